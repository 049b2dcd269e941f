//! Statements about the connection itself, which are no queries: transactions, settings, cursors.
//!
//! They are what drivers and tools send around their queries. Nothing is ever written, so a
//! transaction is only remembered; settings are remembered and shown, and only `statement_timeout`
//! changes anything.

use super::failure::Failure;
use super::text::{unquoted, words};

/// A statement about the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Begin,
    Commit,
    Rollback,
    /// What is answered with its tag and has no effect: points of a transaction, and its kind.
    Noted(&'static str),
    Set {
        name: String,
        value: Option<String>,
    },
    ResetAll,
    Show(String),
    ShowAll,
    /// Everything that the connection remembers is let go of, or a part.
    Discard(Discarded),
    Deallocate(Option<String>),
    Declare {
        cursor: String,
        sql: String,
    },
    /// The next so many rows of a cursor; none for all that are left.
    Fetch {
        cursor: String,
        rows: Option<u32>,
    },
    /// A cursor is closed; none for all.
    Close(Option<String>),
    /// Nothing is ever told, so nothing is to be listened to.
    Unlisten,
}

impl Command {
    /// The bytes of the texts in it.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Set { name, value } => {
                name.capacity() + value.as_ref().map_or(0, String::capacity)
            }
            Self::Declare { cursor, sql } => cursor.capacity() + sql.capacity(),
            Self::Show(name)
            | Self::Deallocate(Some(name))
            | Self::Fetch { cursor: name, .. }
            | Self::Close(Some(name)) => name.capacity(),
            Self::Begin
            | Self::Commit
            | Self::Rollback
            | Self::Noted(_)
            | Self::ResetAll
            | Self::ShowAll
            | Self::Discard(_)
            | Self::Deallocate(None)
            | Self::Close(None)
            | Self::Unlisten => 0,
        }
    }
}

/// What of a connection is let go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Discarded {
    All,
    Nothing,
}

/// The command that a statement is, if it is none to be queried for.
pub(super) fn command(statement: &str) -> Result<Option<Command>, Failure> {
    let all: Vec<&str> = words(statement).take(24).collect();
    let upper: Vec<String> = all.iter().map(|word| word.to_ascii_uppercase()).collect();
    let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
    let named = |place: usize| all.get(place).map(|word| name(word));
    Ok(Some(match upper.as_slice() {
        ["BEGIN", ..] | ["START", "TRANSACTION", ..] => Command::Begin,
        ["ROLLBACK", "TO", ..] | ["ROLLBACK", "TRANSACTION" | "WORK", "TO", ..] => {
            Command::Noted("ROLLBACK")
        }
        ["COMMIT" | "END" | "ROLLBACK", "PREPARED", ..] => return Ok(None),
        ["COMMIT" | "END", ..] => Command::Commit,
        ["ROLLBACK" | "ABORT", ..] => Command::Rollback,
        ["SAVEPOINT", _] => Command::Noted("SAVEPOINT"),
        ["RELEASE", ..] => Command::Noted("RELEASE"),
        ["SET", rest @ ..] => set(rest, all.get(1..).unwrap_or_default())?,
        ["RESET", "ALL"] => Command::ResetAll,
        ["RESET", ..] => match named(1) {
            Some(name) => Command::Set { name, value: None },
            None => return Err(unreadable("RESET")),
        },
        ["SHOW", "ALL"] => Command::ShowAll,
        ["SHOW", "TRANSACTION", "ISOLATION", "LEVEL"] => {
            Command::Show("transaction_isolation".into())
        }
        ["SHOW", "TIME", "ZONE"] => Command::Show("timezone".into()),
        ["SHOW", "SESSION", "AUTHORIZATION"] => Command::Show("session_authorization".into()),
        ["SHOW", _] => Command::Show(named(1).unwrap_or_default()),
        ["DISCARD", "ALL"] => Command::Discard(Discarded::All),
        ["DISCARD", _] => Command::Discard(Discarded::Nothing),
        ["DEALLOCATE", "ALL"] | ["DEALLOCATE", "PREPARE", "ALL"] => Command::Deallocate(None),
        ["DEALLOCATE", "PREPARE", _] => Command::Deallocate(named(2)),
        ["DEALLOCATE", _] => Command::Deallocate(named(1)),
        ["DECLARE", _, ..] => declare(statement, &all)?,
        ["FETCH", rest @ ..] => fetch(rest, all.get(1..).unwrap_or_default())?,
        ["CLOSE", "ALL"] => Command::Close(None),
        ["CLOSE", _] => Command::Close(named(1)),
        ["UNLISTEN", ..] => Command::Unlisten,
        _ => return Ok(None),
    }))
}

/// Whether a statement ends a transaction, which is all that one that has failed takes.
pub(super) fn ends_transaction(command: Option<&Command>) -> bool {
    matches!(command, Some(Command::Commit | Command::Rollback | Command::Noted("ROLLBACK")))
}

fn set(upper: &[&str], words: &[&str]) -> Result<Command, Failure> {
    let (upper, words) = match upper {
        ["SESSION", "CHARACTERISTICS", ..] | ["TRANSACTION", ..] => {
            // How transactions are isolated: each statement sees one position.
            return Ok(Command::Noted("SET"));
        }
        ["SESSION" | "LOCAL", rest @ ..] => (rest, words.get(1..).unwrap_or_default()),
        _ => (upper, words),
    };
    let value = |place: usize| {
        let words = words.get(place..).unwrap_or_default();
        let values: Vec<String> =
            words.iter().filter(|word| **word != ",").map(|word| unquoted(word)).collect();
        values.join(", ")
    };
    let (name, value) = match upper {
        ["TIME", "ZONE", _, ..] => ("timezone".to_owned(), value(2)),
        ["NAMES", _, ..] => ("client_encoding".to_owned(), value(1)),
        [_, "=" | "TO", _, ..] => (words.first().map(|w| name(w)).unwrap_or_default(), value(2)),
        [name, role] if *name == "ROLE" => ("role".to_owned(), unquoted(&role.to_lowercase())),
        _ => return Err(unreadable("SET")),
    };
    let value = (!value.eq_ignore_ascii_case("default")).then_some(value);
    Ok(Command::Set { name, value })
}

/// `DECLARE c [BINARY] [INSENSITIVE] [[NO] SCROLL] CURSOR [WITH | WITHOUT HOLD] FOR SELECT …`.
fn declare(statement: &str, words: &[&str]) -> Result<Command, Failure> {
    let is = |word: &&str, wanted: &str| word.eq_ignore_ascii_case(wanted);
    let query = words.iter().find(|word| is(word, "FOR")).and_then(|word| {
        // The word is a part of the statement, so its place is known.
        let at = word.as_ptr() as usize - statement.as_ptr() as usize + word.len();
        statement.get(at..)
    });
    let is_cursor = words.iter().any(|word| is(word, "CURSOR"));
    if words.iter().any(|word| is(word, "BINARY")) {
        return Err(Failure::new("0A000", "a cursor in binary is not supported"));
    }
    match (words.get(1), query) {
        (Some(cursor), Some(sql)) if is_cursor => {
            Ok(Command::Declare { cursor: name(cursor), sql: sql.trim().to_owned() })
        }
        _ => Err(unreadable("DECLARE")),
    }
}

/// `FETCH [NEXT | n | ALL | FORWARD [n | ALL]] [FROM | IN] c`.
fn fetch(upper: &[&str], words: &[&str]) -> Result<Command, Failure> {
    let Some(cursor) = words.last().map(|word| name(word)) else {
        return Err(unreadable("FETCH"));
    };
    let how = upper.get(..upper.len() - 1).unwrap_or_default();
    let how: Vec<&str> =
        how.iter().copied().filter(|word| !matches!(*word, "FROM" | "IN" | "FORWARD")).collect();
    let is_forward = upper.contains(&"FORWARD");
    let rows = match how.as_slice() {
        [] if is_forward || upper.len() <= 2 => Some(1),
        ["NEXT"] => Some(1),
        ["ALL"] => None,
        [count] => match count.parse() {
            Ok(0) | Err(_) => return Err(backwards()),
            Ok(count) => Some(count),
        },
        _ => return Err(backwards()),
    };
    Ok(Command::Fetch { cursor, rows })
}

fn backwards() -> Failure {
    Failure::new("0A000", "a cursor only goes forward: FETCH so many rows, NEXT or ALL")
}

fn unreadable(what: &str) -> Failure {
    Failure::new("42601", format!("this {what} is not understood"))
}

/// A name as it is meant: in lower case unless it is quoted.
fn name(word: &str) -> String {
    if word.starts_with('"') { unquoted(word) } else { word.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(sql: &str) -> Option<Command> {
        command(sql).unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what `of` gives")]
    fn set(name: &str, value: &str) -> Option<Command> {
        Some(Command::Set { name: name.into(), value: Some(value.into()) })
    }

    #[test]
    fn what_drivers_send_is_understood() {
        assert_eq!(of("begin read only"), Some(Command::Begin));
        assert_eq!(of("START TRANSACTION ISOLATION LEVEL SERIALIZABLE"), Some(Command::Begin));
        assert_eq!(of("/* a */ COMMIT"), Some(Command::Commit));
        assert_eq!(of("ROLLBACK TO SAVEPOINT a"), Some(Command::Noted("ROLLBACK")));
        assert_eq!(of("rollback"), Some(Command::Rollback));
        assert_eq!(of("SET extra_float_digits = 3"), set("extra_float_digits", "3"));
        assert_eq!(of("SET SESSION DateStyle TO 'ISO', \"MDY\""), set("datestyle", "ISO, MDY"));
        assert_eq!(of("SET TIME ZONE 'Europe/Berlin'"), set("timezone", "Europe/Berlin"));
        assert_eq!(of("SET NAMES 'UTF8'"), set("client_encoding", "UTF8"));
        assert_eq!(of("SET a TO DEFAULT"), Some(Command::Set { name: "a".into(), value: None }));
        assert_eq!(
            of("SHOW TRANSACTION ISOLATION LEVEL"),
            Some(Command::Show("transaction_isolation".into()))
        );
        assert_eq!(of("DISCARD ALL"), Some(Command::Discard(Discarded::All)));
        assert_eq!(of("DEALLOCATE \"S_1\""), Some(Command::Deallocate(Some("S_1".into()))));
        assert_eq!(of("SELECT 1"), None);
        assert_eq!(of("INSERT INTO a VALUES (1)"), None);
    }

    #[test]
    fn cursors_go_forward() {
        let declared = of("DECLARE \"C 1\" NO SCROLL CURSOR WITHOUT HOLD FOR\nSELECT 'for' FROM a");
        let sql = "SELECT 'for' FROM a".to_owned();
        assert_eq!(declared, Some(Command::Declare { cursor: "C 1".into(), sql }));
        let fetch = |rows| Some(Command::Fetch { cursor: "c".into(), rows });
        assert_eq!(of("FETCH 100 FROM c"), fetch(Some(100)));
        assert_eq!(of("FETCH FORWARD 5 IN c"), fetch(Some(5)));
        assert_eq!(of("FETCH ALL c"), fetch(None));
        assert_eq!(of("FETCH NEXT FROM c"), fetch(Some(1)));
        assert_eq!(of("fetch c"), fetch(Some(1)));
        for back in ["FETCH PRIOR FROM c", "FETCH BACKWARD 2 FROM c", "FETCH -1 FROM c"] {
            assert_eq!(command(back).unwrap_err().code, "0A000", "{back}");
        }
    }
}
