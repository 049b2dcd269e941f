//! Lists as PostgreSQL writes them in a text: `{a, "b,c", NULL}`.

use std::str::Chars;

/// The values of such a list; none for NULL. Nothing where the text is no list, or one of lists.
pub(super) fn members(written: &str) -> Option<Vec<Option<String>>> {
    let inner = written.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut members = Vec::new();
    if inner.trim().is_empty() {
        return Some(members);
    }
    let mut characters = inner.chars();
    loop {
        let (value, is_last) = member(&mut characters)?;
        members.push(value);
        if is_last {
            return Some(members);
        }
    }
}

/// The value up to the next comma or to the end, and whether that was the end.
fn member(characters: &mut Chars<'_>) -> Option<(Option<String>, bool)> {
    // Blanks around a value do not count, but for those in quotes: it is kept up to here.
    let (mut value, mut kept) = (String::new(), 0);
    let (mut is_quoted, mut was_quoted) = (false, false);
    let is_last = loop {
        let Some(character) = characters.next() else {
            if is_quoted {
                return None;
            }
            break true;
        };
        match character {
            '\\' => {
                value.push(characters.next()?);
                (kept, was_quoted) = (value.len(), true);
            }
            '"' => (is_quoted, was_quoted, kept) = (!is_quoted, true, value.len()),
            '{' | '}' if !is_quoted => return None,
            ',' if !is_quoted => break false,
            blank if blank.is_ascii_whitespace() && !is_quoted => {
                if kept > 0 {
                    value.push(blank);
                }
            }
            other => {
                value.push(other);
                kept = value.len();
            }
        }
    };
    value.truncate(kept);
    if value.is_empty() && !was_quoted {
        return None;
    }
    let is_null = !was_quoted && value.eq_ignore_ascii_case("null");
    Some(((!is_null).then_some(value), is_last))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Against what PostgreSQL 15 makes of the same texts.
    #[test]
    fn lists_are_read_as_postgresql_reads_them() {
        for (written, expected) in [
            ("{}", &[][..]),
            (" { } ", &[]),
            ("{a,b}", &[Some("a"), Some("b")]),
            ("{a, b }", &[Some("a"), Some("b")]),
            ("{a b,  c\td}", &[Some("a b"), Some("c\td")]),
            (r#"{"c,d", "e \" f",a}"#, &[Some("c,d"), Some("e \" f"), Some("a")]),
            (r#"{"", " x "}"#, &[Some(""), Some(" x ")]),
            (r"{a\,b,\NULL}", &[Some("a,b"), Some("NULL")]),
            (r#"{a,NULL,"null",nUlL}"#, &[Some("a"), None, Some("null"), None]),
        ] {
            let found = members(written).unwrap();
            let found: Vec<Option<&str>> = found.iter().map(Option::as_deref).collect();
            assert_eq!(found, expected, "{written}");
        }
        for wrong in ["a,b", "{a", "{a,,b}", "{a,}", "{{a},{b}}", r#"{"a}"#, r"{a\}"] {
            assert_eq!(members(wrong), None, "{wrong}");
        }
    }
}
