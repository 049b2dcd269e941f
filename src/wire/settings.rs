//! The settings that a connection has: what a client is told, and what it has set.

use std::collections::BTreeMap;
use std::time::Duration;

use super::failure::Failure;

/// Settings that a client sets of its own, at most.
const OWN: usize = 64;
/// The bytes of one of them.
const BYTES: usize = 1 << 10;

/// The version that clients choose their words by.
pub(super) const VERSION: &str = "16.0";

/// What every connection begins with, and whether a client is told it unasked.
static SETTINGS: [(&str, &str, bool); 24] = [
    ("application_name", "", true),
    ("bytea_output", "hex", false),
    ("client_encoding", "UTF8", true),
    ("client_min_messages", "notice", false),
    ("DateStyle", "ISO, MDY", true),
    ("default_transaction_isolation", "repeatable read", false),
    ("default_transaction_read_only", "on", true),
    ("extra_float_digits", "1", false),
    ("in_hot_standby", "off", true),
    ("integer_datetimes", "on", true),
    ("IntervalStyle", "postgres", true),
    ("is_superuser", "off", true),
    ("lc_collate", "C", false),
    ("max_identifier_length", "63", false),
    ("search_path", "public", false),
    ("server_encoding", "UTF8", true),
    ("server_version", VERSION, true),
    ("server_version_num", "160000", false),
    ("session_authorization", "tidemark", true),
    ("standard_conforming_strings", "on", true),
    ("statement_timeout", "0", false),
    ("TimeZone", "UTC", true),
    ("transaction_isolation", "repeatable read", false),
    ("transaction_read_only", "on", false),
];

/// Settings that say how things are, which no client changes.
const FIXED: [&str; 9] = [
    "in_hot_standby",
    "integer_datetimes",
    "is_superuser",
    "lc_collate",
    "max_identifier_length",
    "server_encoding",
    "server_version",
    "server_version_num",
    "transaction_read_only",
];

/// The settings of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    /// Those that it has set, by their names in lower case.
    own: BTreeMap<String, String>,
}

impl Settings {
    /// What a client is told unasked, with the values that hold.
    pub(super) fn told(&self) -> impl Iterator<Item = (&'static str, &str)> {
        SETTINGS.iter().filter(|(_, _, is_told)| *is_told).map(|(name, value, _)| {
            (*name, self.own.get(&key(name)).map_or(*value, String::as_str))
        })
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<(&str, &str)> {
        let known = SETTINGS.iter().map(|(name, _, _)| *name);
        let own = self.own.keys().map(String::as_str).filter(|own| canonical(own).is_none());
        let mut all: Vec<_> = known.chain(own).filter_map(|name| self.get(name)).collect();
        all.sort_unstable_by_key(|(name, _)| key(name));
        all
    }

    /// The name and value of one.
    pub(super) fn get(&self, name: &str) -> Option<(&str, &str)> {
        let known = canonical(name);
        match self.own.get_key_value(&key(name)) {
            Some((own, value)) => {
                Some((known.map_or(own.as_str(), |(name, _)| name), value.as_str()))
            }
            None => known,
        }
    }

    /// Sets one, or gives it its first value again. Answers what a client is told then.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
    ) -> Result<Option<(&'static str, String)>, Failure> {
        let key = key(name);
        let Some(value) = value else {
            self.own.remove(&key);
            return Ok(self.report(name));
        };
        check(&key, value)?;
        if key.len() > BYTES || value.len() > BYTES {
            return Err(Failure::new("22023", format!("a setting has at most {BYTES} bytes")));
        }
        if self.own.len() >= OWN && !self.own.contains_key(&key) {
            return Err(Failure::new("54000", format!("a connection sets at most {OWN} settings")));
        }
        self.own.insert(key, value.to_owned());
        Ok(self.report(name))
    }

    /// All as they were at first.
    pub(super) fn reset(&mut self) {
        self.own.clear();
    }

    /// How long a statement may take, if the client has said so.
    pub(super) fn statement_timeout(&self) -> Option<Duration> {
        let value = self.own.get("statement_timeout")?;
        duration(value).filter(|duration| !duration.is_zero())
    }

    fn report(&self, name: &str) -> Option<(&'static str, String)> {
        let (known, _, is_told) =
            SETTINGS.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(name))?;
        let value = self.get(name).map(|(_, value)| value.to_owned())?;
        is_told.then_some((*known, value))
    }
}

fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn canonical(name: &str) -> Option<(&'static str, &'static str)> {
    let known = SETTINGS.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(name));
    known.map(|(name, value, _)| (*name, *value))
}

/// Refuses what would have to change how values are written, or what can be done.
fn check(key: &str, value: &str) -> Result<(), Failure> {
    let is_known = match key {
        "client_encoding" => {
            let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
            matches!(plain.to_ascii_lowercase().as_str(), "utf8" | "unicode")
        }
        "datestyle" => value.to_ascii_lowercase().starts_with("iso"),
        "bytea_output" => value.eq_ignore_ascii_case("hex"),
        "standard_conforming_strings" => {
            matches!(value.to_ascii_lowercase().as_str(), "on" | "true" | "1")
        }
        "statement_timeout" => duration(value).is_some(),
        _ => true,
    };
    if !is_known {
        return Err(Failure::new("22023", format!("the setting {key} cannot be '{value}' here")));
    }
    if FIXED.contains(&key) {
        return Err(Failure::new("55P02", format!("the setting {key} cannot be changed")));
    }
    Ok(())
}

/// A number with a unit; without one, of milliseconds.
fn duration(value: &str) -> Option<Duration> {
    let value = value.trim();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(milliseconds)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_set_is_shown_and_told() {
        let mut settings = Settings::default();
        assert_eq!(settings.get("timezone"), Some(("TimeZone", "UTC")));
        let told = settings.set("TIMEZONE", Some("Europe/Berlin")).unwrap();
        assert_eq!(told, Some(("TimeZone", "Europe/Berlin".into())));
        assert_eq!(settings.set("app.x", Some("1")).unwrap(), None);
        assert_eq!(settings.get("APP.X"), Some(("app.x", "1")));
        assert!(settings.all().contains(&("app.x", "1")));
        assert_eq!(settings.set("timezone", None).unwrap(), Some(("TimeZone", "UTC".into())));
        assert_eq!(settings.get("nothing"), None);
    }

    #[test]
    fn what_would_change_how_values_are_written_is_refused() {
        let mut settings = Settings::default();
        for (name, value) in [
            ("client_encoding", "LATIN1"),
            ("datestyle", "German"),
            ("server_version", "9.1"),
            ("transaction_read_only", "off"),
            ("statement_timeout", "soon"),
        ] {
            settings.set(name, Some(value)).unwrap_err();
        }
        settings.set("client_encoding", Some("utf-8")).unwrap();
        for number in 0..OWN - 1 {
            settings.set(&format!("a.{number}"), Some("x")).unwrap();
        }
        assert_eq!(settings.set("b", Some("x")).unwrap_err().code, "54000");
        settings.set("a.0", Some("y")).unwrap();
    }

    #[test]
    fn a_time_has_a_unit() {
        let mut settings = Settings::default();
        for (value, milliseconds) in [("250", 250), ("2s", 2_000), ("1 min", 60_000)] {
            settings.set("statement_timeout", Some(value)).unwrap();
            let wanted = Duration::from_millis(milliseconds);
            assert_eq!(settings.statement_timeout(), Some(wanted));
        }
        settings.set("statement_timeout", Some("0")).unwrap();
        assert_eq!(settings.statement_timeout(), None);
    }
}
