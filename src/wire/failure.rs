//! Why a statement is not answered, in the words and codes of PostgreSQL.

use serde_json::Value;

use super::messages::ReadError;

/// An error as a client is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Its SQLSTATE.
    pub(super) code: &'static str,
    pub(super) message: String,
    /// The character of the statement, from 1, at which it went wrong.
    pub(super) position: Option<usize>,
    /// It ends the connection.
    pub(super) is_fatal: bool,
}

/// The codes that a problem may name itself; others are not passed on.
const NAMED: [&str; 10] =
    ["22012", "22023", "22P02", "25006", "42000", "42601", "42702", "42703", "42883", "42P01"];

impl Failure {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), position: None, is_fatal: false }
    }

    /// One that ends the connection.
    pub(super) fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self { is_fatal: true, ..Self::new(code, message) }
    }

    /// What a statement is told that was cancelled.
    pub(super) fn cancelled(why: &str) -> Self {
        Self::new("57014", format!("the statement was cancelled: {why}"))
    }

    /// Of messages that are not as they must be.
    pub(super) fn of_reading(error: &ReadError) -> Option<Self> {
        let code = match error {
            ReadError::Gone(_) => return None,
            ReadError::TooLong { .. } => "54000",
            ReadError::Malformed(_) => "08P01",
        };
        Some(Self::fatal(code, error.to_string()))
    }

    /// What the query service answered in place of rows.
    pub(super) fn of_problem(status: u16, problem: &Value, sql: &str) -> Self {
        let member = |name: &str| problem.get(name).and_then(Value::as_str);
        let number = |name: &str| {
            problem.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())
        };
        let named = member("sqlstate").and_then(|code| NAMED.into_iter().find(|n| *n == code));
        let code = named.unwrap_or(match (status, member("limit")) {
            (401, _) => "28P01",
            (403, _) => "42501",
            (404, _) => "42P01",
            (409, _) => "55000",
            (422, Some("time")) => "57014",
            (422, Some("memory")) => "53200",
            (422, Some("disk")) => "53100",
            (413 | 422, _) => "54000",
            (429, _) => "53300",
            (502..=504, _) => "57P03",
            (400..=499, _) => "42000",
            _ => "XX000",
        });
        let message = member("detail").or(member("title")).unwrap_or("the query failed");
        let position = match (number("line"), number("column")) {
            (Some(line), Some(column)) => position(sql, line, column),
            _ => None,
        };
        // A token that does not hold any more will not hold for the next statement.
        let is_fatal = status == 401;
        Self { code, message: message.to_owned(), position, is_fatal }
    }
}

/// The character at a line and column, all from 1.
fn position(sql: &str, line: usize, column: usize) -> Option<usize> {
    let before: usize =
        sql.split_inclusive('\n').take(line.checked_sub(1)?).map(|line| line.chars().count()).sum();
    let position = before + column;
    (position <= sql.chars().count() + 1).then_some(position)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_counted_in_characters() {
        let sql = "SELECT ä\n  FROM nothing";
        assert_eq!(position(sql, 1, 8), Some(8));
        assert_eq!(position(sql, 2, 8), Some(17));
        assert_eq!(position(sql, 9, 8), None);
        assert_eq!(position(sql, 0, 1), None);
        let problem = json!({
            "detail": "there is no relation 'nothing'", "line": 2, "column": 8, "sqlstate": "42P01",
        });
        let failure = Failure::of_problem(400, &problem, sql);
        assert_eq!((failure.code, failure.position, failure.is_fatal), ("42P01", Some(17), false));
    }

    #[test]
    fn limits_have_the_codes_of_postgresql() {
        for (status, limit, code) in [
            (422, "time", "57014"),
            (422, "rows", "54000"),
            (422, "memory", "53200"),
            (429, "", "53300"),
            (503, "", "57P03"),
            (500, "", "XX000"),
        ] {
            let failure = Failure::of_problem(status, &json!({ "limit": limit }), "");
            assert_eq!(failure.code, code, "{status} {limit}");
        }
        assert!(Failure::of_problem(401, &json!({}), "").is_fatal);
    }
}
