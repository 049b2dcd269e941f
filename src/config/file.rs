//! The configuration file: TOML, flattened to dotted keys with their places.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Found, Origin};

/// The largest file that can be meant as a configuration.
const MOST_BYTES: u64 = 1 << 20;

/// Reads all values of a file, or says what is wrong with it.
pub(super) fn read(path: &Path) -> Result<Vec<Found>, Vec<String>> {
    let name = path.display().to_string();
    let size = std::fs::metadata(path)
        .map_err(|error| vec![format!("cannot read the configuration file {name}: {error}")])?;
    if size.len() > MOST_BYTES {
        return Err(vec![format!(
            "{name} has {} bytes; a configuration file has at most {MOST_BYTES}",
            size.len()
        )]);
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![format!("cannot read the configuration file {name}: {error}")])?;
    parse(&name, &text)
}

/// The values of a file's text.
pub(super) fn parse(name: &str, text: &str) -> Result<Vec<Found>, Vec<String>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors
            .iter()
            .map(|error| {
                let at = error.span().map_or(0, |span| span.start);
                format!("{}: {}", place(name, text, at), error.message())
            })
            .collect());
    }
    let mut walk = Walk { name, text, found: Vec::new(), problems: Vec::new() };
    walk.table("", table.get_ref());
    if walk.problems.is_empty() { Ok(walk.found) } else { Err(walk.problems) }
}

struct Walk<'a> {
    name: &'a str,
    text: &'a str,
    found: Vec<Found>,
    problems: Vec<String>,
}

impl Walk<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let dotted = match prefix {
                "" => key.get_ref().to_string(),
                _ => format!("{prefix}.{}", key.get_ref()),
            };
            self.value(dotted, key.span().start, value);
        }
    }

    fn value(&mut self, key: String, at: usize, value: &Spanned<DeValue<'_>>) {
        let place = place(self.name, self.text, at);
        let text = match value.get_ref() {
            DeValue::Table(table) => return self.table(&key, table),
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Datetime(moment) => moment.to_string(),
            DeValue::Float(_) | DeValue::Array(_) => {
                self.problems.push(format!(
                    "{place}: `{key}` is {}; expected a text or a whole number",
                    value.get_ref().type_str()
                ));
                return;
            }
        };
        self.found.push(Found { key, value: text, origin: Origin::File(place) });
    }
}

/// `name:line:column` of a byte offset, both counted from 1.
fn place(name: &str, text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("{name}:{line}:{column}")
}
