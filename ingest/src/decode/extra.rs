//! What an event carried beyond the plain, kept as JSON.

use serde_json::value::RawValue;

use super::envelope::Unknown;
use super::value::{is_null, shown, unescape};

/// How deep an unknown value may be nested, so that every JSON reader can take it up again.
const MAX_DEPTH: usize = 64;

/// `{"attributes": {…}, "data": {…}}` of the unknown members, written to `out`; nothing if there are none.
///
/// # Errors
/// A value holds a text that is not taken or is nested too deep.
pub(super) fn write(
    attributes: &[Unknown<'_>],
    data: &[Unknown<'_>],
    max_text: usize,
    out: &mut String,
) -> Result<(), String> {
    out.clear();
    for (part, path, members) in [("attributes", "", attributes), ("data", "data.", data)] {
        // A null attribute is an absent one; a null in the data is the sender's.
        let mut kept =
            members.iter().filter(|(_, value)| part == "data" || !is_null(value)).peekable();
        if kept.peek().is_none() {
            continue;
        }
        out.push_str(if out.is_empty() { "{\"" } else { ",\"" });
        out.push_str(part);
        for (at, (name, value)) in kept.enumerate() {
            check_name(name, max_text)
                .and_then(|()| check(value, max_text))
                .map_err(|reason| format!("{path}{}: {reason}", shown(name)))?;
            out.push_str(if at == 0 { "\":{" } else { "," });
            out.push_str(&serde_json::Value::from(name.as_ref()).to_string());
            out.push(':');
            out.push_str(value.get());
        }
        out.push('}');
    }
    if !out.is_empty() {
        out.push('}');
    }
    Ok(())
}

fn check_name(name: &str, max_text: usize) -> Result<(), String> {
    if name.len() > max_text {
        return Err(format!("the name has {} bytes, and at most {max_text} are taken", name.len()));
    }
    if name.contains('\0') {
        return Err("the name contains the character NUL, which is not taken".to_owned());
    }
    Ok(())
}

/// Checks every text within the value, which is known to be JSON, and its depth.
fn check(value: &RawValue, max_text: usize) -> Result<(), String> {
    let text = value.get();
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let end = string_end(bytes, at);
                let quoted: &RawValue = serde_json::from_str(&text[at..end])
                    .map_err(|_| "the text has an escape that is no character".to_owned())?;
                unescape(quoted, &text[at + 1..end - 1], max_text)?;
                at = end;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("the value is nested more than {MAX_DEPTH} deep"));
        }
        at += 1;
    }
    Ok(())
}

/// Behind the closing quote of the string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}
