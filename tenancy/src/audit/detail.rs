//! What of a caller's own words is recorded: whole if it is short, else how it begins, how long it
//! is, and the hash by which a copy is told to be it.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::hex;

/// The longest value that is recorded whole, as JSON.
const MOST: usize = 16 << 10;
/// What is recorded of a longer one.
const BEGINNING: usize = 8 << 10;

/// The value, or what is recorded of a longer one: `begins`, `bytes` and `sha256`, of a text itself, of
/// anything else of its JSON.
pub fn bounded(value: Value) -> Value {
    let encoded = value.to_string();
    if encoded.len() <= MOST {
        return value;
    }
    let text = match value {
        Value::String(text) => text,
        _ => encoded,
    };
    json!({
        "begins": beginning(&text),
        "bytes": text.len(),
        "sha256": hex(&Sha256::digest(&text)),
    })
}

/// As much of a text as takes at most so many bytes in JSON.
fn beginning(text: &str) -> &str {
    let mut bytes = 0;
    let taken = text.char_indices().find(|(_, character)| {
        bytes += match character {
            '"' | '\\' => 2,
            '\0'..='\x1f' => 6,
            other => other.len_utf8(),
        };
        bytes > BEGINNING
    });
    taken.map_or(text, |(end, _)| text.split_at(end).0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_short_is_whole() {
        for value in [json!("SELECT 1"), json!([1, "a"]), json!(null), json!("x".repeat(16_000))] {
            assert_eq!(bounded(value.clone()), value);
        }
    }

    #[test]
    fn of_what_is_long_it_is_said_what_it_was() {
        // The longest in JSON is the one of which each byte takes six.
        for text in ["x".repeat(1 << 20), "\u{1}".repeat(20_000), "ä\"".repeat(9_999)] {
            let kept = bounded(json!(text));
            assert!(kept.to_string().len() < MOST, "{}", kept.to_string().len());
            let begins = kept["begins"].as_str().unwrap();
            assert!(begins.len() > 1_000 && text.starts_with(begins));
            assert_eq!(kept["bytes"], text.len());
            assert_eq!(kept["sha256"], hex(&Sha256::digest(&text)));
        }
        let list = json!(["x".repeat(1 << 20)]);
        let kept = bounded(list.clone());
        assert!(kept.to_string().len() < MOST);
        assert_eq!(kept["sha256"], hex(&Sha256::digest(list.to_string())));
    }
}
