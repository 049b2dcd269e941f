//! One event as a line of JSON.

use std::fmt::{self, Display, Formatter};
use std::io::Write as _;

use super::calendar::{DAY, Day};

/// A business id: a prefix and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(pub(crate) &'static str, pub(crate) u64);

impl Display for Id {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:05}", self.0, self.1)
    }
}

/// Writes the fields of one event's data. All texts written are free of characters that JSON
/// escapes; debug builds check it.
pub(crate) struct Line<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

/// What stands around the data of an event.
pub(crate) struct Envelope<'a> {
    /// The tenant.
    pub(crate) tenant: &'a str,
    /// Unique within the tenant.
    pub(crate) number: u64,
    /// `module.fact`.
    pub(crate) kind: &'static str,
    /// Seconds since 1970.
    pub(crate) time: i64,
}

impl<'a> Line<'a> {
    /// Writes everything up to the data's fields.
    pub(crate) fn begin(
        out: &'a mut Vec<u8>,
        envelope: &Envelope<'_>,
        subject: &dyn Display,
    ) -> Self {
        let module = envelope.kind.split('.').next().unwrap_or_default();
        push(out, r#"{"specversion":"1.0","id":""#);
        text(out, &format_args!("{}-{}", envelope.tenant, envelope.number));
        push(out, r#"","source":"/"#);
        push(out, module);
        push(out, r#"","type":""#);
        push(out, envelope.kind);
        push(out, r#"","time":""#);
        instant(out, envelope.time);
        push(out, r#"","tenantid":""#);
        push(out, envelope.tenant);
        push(out, r#"","subject":""#);
        text(out, subject);
        push(out, r#"","data":{"#);
        Self { out, first: true }
    }

    fn name(&mut self, name: &str) {
        push(self.out, if self.first { "\"" } else { ",\"" });
        self.first = false;
        push(self.out, name);
        push(self.out, "\":");
    }

    /// A text.
    pub(crate) fn text(mut self, name: &str, value: &dyn Display) -> Self {
        self.name(name);
        self.out.push(b'"');
        text(self.out, value);
        self.out.push(b'"');
        self
    }

    /// A decimal of hundredths.
    pub(crate) fn cents(mut self, name: &str, value: i64) -> Self {
        self.name(name);
        let sign = if value < 0 { "-" } else { "" };
        let value = value.unsigned_abs();
        let (whole, part) = (value / 100, value % 100);
        let out = &mut *self.out;
        if part == 0 {
            format(out, format_args!("\"{sign}{whole}\""));
        } else {
            format(out, format_args!("\"{sign}{whole}.{part:02}\""));
        }
        self
    }

    /// A whole number.
    pub(crate) fn whole(mut self, name: &str, value: i64) -> Self {
        self.name(name);
        format(self.out, format_args!("{value}"));
        self
    }

    /// True or false.
    pub(crate) fn flag(mut self, name: &str, value: bool) -> Self {
        self.name(name);
        push(self.out, if value { "true" } else { "false" });
        self
    }

    /// A date.
    pub(crate) fn date(mut self, name: &str, value: Day) -> Self {
        self.name(name);
        self.out.push(b'"');
        date(self.out, value);
        self.out.push(b'"');
        self
    }

    /// A moment, in seconds since 1970.
    pub(crate) fn time(mut self, name: &str, value: i64) -> Self {
        self.name(name);
        self.out.push(b'"');
        instant(self.out, value);
        self.out.push(b'"');
        self
    }

    /// Ends the event and its line.
    pub(crate) fn end(self) {
        push(self.out, "}}\n");
    }
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn format(out: &mut Vec<u8>, arguments: fmt::Arguments<'_>) {
    let written = out.write_fmt(arguments);
    debug_assert!(written.is_ok(), "writing to memory does not fail");
}

fn text(out: &mut Vec<u8>, value: &dyn Display) {
    let from = out.len();
    format(out, format_args!("{value}"));
    debug_assert!(
        out.iter().skip(from).all(|b| *b >= b' ' && !matches!(b, b'"' | b'\\')),
        "a generated text needs no escapes"
    );
}

fn two(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&[b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]);
}

fn date(out: &mut Vec<u8>, day: Day) {
    let (year, month, day) = day.parts();
    let year = year.unsigned_abs();
    two(out, year / 100);
    two(out, year % 100);
    out.push(b'-');
    two(out, month);
    out.push(b'-');
    two(out, day);
}

fn instant(out: &mut Vec<u8>, seconds: i64) {
    date(out, Day(seconds.div_euclid(DAY) as i32));
    let within = seconds.rem_euclid(DAY) as u32;
    out.push(b'T');
    two(out, within / 3600);
    out.push(b':');
    two(out, within / 60 % 60);
    out.push(b':');
    two(out, within % 60);
    out.push(b'Z');
}
