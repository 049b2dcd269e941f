//! The text of statements, as far as it must be understood without parsing it: where one ends, and
//! what its words are.

/// The statements of a text, each with the character at which it begins. What is empty is left out.
pub(super) fn statements(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut begin, mut at) = (0, 0);
    while at < text.len() {
        let length = token(text, at);
        if text.get(at..).is_some_and(|rest| rest.starts_with(';')) {
            found.push(begin..at);
            begin = at + length;
        }
        at += length;
    }
    found.push(begin..text.len());
    let (mut counted, mut characters) = (0, 0);
    let known = found.into_iter().filter_map(|range| {
        let statement = text.get(range.clone())?;
        // On from the one before: there may be as many as the text has characters.
        characters += text.get(counted..range.start)?.chars().count();
        counted = range.start;
        words(statement).next().map(|_| (characters, statement))
    });
    known.collect()
}

/// The words, texts and signs of a statement, without spaces and comments.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let begin = at;
            if begin >= text.len() {
                return None;
            }
            at += token(text, begin);
            let word = text.get(begin..at)?;
            let is_comment = word.starts_with("--") || word.starts_with("/*");
            if !is_comment && !word.trim().is_empty() {
                return Some(word);
            }
        }
    })
}

/// The text of a literal or a quoted name, without its quotes; of any other word itself.
pub(super) fn unquoted(word: &str) -> String {
    for quote in ['\'', '"'] {
        if let Some(inner) = word.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.replace(&format!("{quote}{quote}"), &quote.to_string());
        }
    }
    word.to_owned()
}

/// How many bytes the token has that begins at `at`; at least one, and never a part of a character.
fn token(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let mut characters = rest.chars();
    let Some(first) = characters.next() else { return 1 };
    let second = characters.next();
    match (first, second) {
        ('\'', _) => quoted(rest, '\'', false),
        ('"', _) => quoted(rest, '"', false),
        ('E' | 'e', Some('\'')) => 1 + quoted(rest.get(1..).unwrap_or_default(), '\'', true),
        ('-', Some('-')) => rest.find('\n').unwrap_or(rest.len()),
        ('/', Some('*')) => comment(rest),
        ('$', _) => dollars(rest).unwrap_or(1),
        (letter, _) if is_of_word(letter) => {
            rest.find(|character| !is_of_word(character)).unwrap_or(rest.len())
        }
        (other, _) => other.len_utf8(),
    }
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '.')
}

/// Until the closing quote that is not doubled, and with `escapes` not behind a backslash.
fn quoted(rest: &str, quote: char, escapes: bool) -> usize {
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if escapes && character == '\\' {
            characters.next();
        } else if character == quote {
            match characters.peek() {
                Some((_, next)) if *next == quote => {
                    characters.next();
                }
                _ => return at + quote.len_utf8(),
            }
        }
    }
    rest.len()
}

/// A comment, which may have others in it.
fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = rest.as_bytes();
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// A text between `$tag$`; none if it is a parameter.
fn dollars(rest: &str) -> Option<usize> {
    let end = rest.get(1..)?.find('$')? + 2;
    let tag = rest.get(..end)?;
    let inner = tag.trim_matches('$');
    let is_tag = inner.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !inner.starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return None;
    }
    Some(rest.get(end..)?.find(tag).map_or(rest.len(), |at| end + at + tag.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn statements_end_at_semicolons_that_are_code() {
        let text = "SELECT ';', \"a;b\", $$ ; $$, $t$;$$;$t$, E'\\';' -- ;\n/* ; /* ; */ ; */; ; SELECT ü;x";
        let found = statements(text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().any(|(_, statement)| statement.trim() == "SELECT ü"));
        let (begin, last) = found.last().copied().unwrap_or_default();
        assert_eq!((begin, last), (text.chars().count() - 1, "x"));
        assert!(statements(" ; -- nothing\n;").is_empty());
        assert_eq!(statements("SELECT 'open ; ").len(), 1);
        assert_eq!(statements("SELECT $1; SELECT $2").len(), 2);
    }

    #[test]
    fn very_many_statements_are_told_with_their_places() {
        let text = "é;".repeat(300_000);
        let found = statements(&text);
        assert_eq!((found.len(), found.last().copied()), (300_000, Some((599_998, "é"))));
    }

    #[test]
    fn words_are_told_apart() {
        let found: Vec<&str> = words("SET /* x */ a.b TO 'it''s', \"C\" -- end").collect();
        assert_eq!(found, ["SET", "a.b", "TO", "'it''s'", ",", "\"C\""]);
        assert_eq!(unquoted("'it''s'"), "it's");
        assert_eq!(unquoted("\"C\""), "C");
        assert_eq!(unquoted("x"), "x");
    }

    proptest! {
        /// Every text is taken apart to its end.
        #[test]
        fn any_text_is_taken_apart(text in "[ a;'\"$/*\\-é\\\\\n1E]{0,40}") {
            let _ = words(&text).count();
            for (begin, statement) in statements(&text) {
                prop_assert!(begin + statement.chars().count() <= text.chars().count());
            }
        }
    }
}
