//! Which texts of SQL are the same.

/// What may make white space or a closing semicolon mean something outside of plain quotes.
const UNSAFE: [&str; 6] = ["--", "/*", "#", "\\", "$", "`"];

/// The text by which equal SQL is told: without a semicolon at its end, and with one blank for each run
/// of white space outside of quotes. Two texts of one wording ask the same; of what asks the same there
/// may be several wordings.
pub(super) fn wording(sql: &str) -> String {
    let sql = sql.trim_matches(|c: char| c.is_ascii_whitespace());
    if UNSAFE.iter().any(|mark| sql.contains(mark)) {
        return sql.to_owned();
    }
    let sql = sql.trim_end_matches(|c: char| c == ';' || c.is_ascii_whitespace());
    let mut text = String::with_capacity(sql.len());
    let mut quote = None;
    for c in sql.chars() {
        match quote {
            Some(open) if open == c => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c.is_ascii_whitespace() => {
                if !text.ends_with(' ') {
                    text.push(' ');
                }
                continue;
            }
            _ => {}
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_count_for_nothing_but_in_quotes() {
        for (sql, same) in [
            ("  SELECT a\n\tFROM  b ; ", "SELECT a FROM b"),
            ("SELECT ' a  b'  FROM \"c  d\"", "SELECT ' a  b' FROM \"c  d\""),
            ("SELECT 'it''s  ' ,  1", "SELECT 'it''s  ' , 1"),
            ("SELECT ' '  FROM a", "SELECT ' ' FROM a"),
            ("", ""),
        ] {
            assert_eq!(wording(sql), same);
        }
        for sql in ["SELECT  1 -- ;", "SELECT  E'\\'  '", "SELECT  $$  $$;"] {
            assert_eq!(wording(sql), sql);
        }
        assert_ne!(wording("SELECT 'a b'"), wording("SELECT 'a  b'"));
    }
}
