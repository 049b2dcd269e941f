//! A view as the stream tells it: the snapshot plus all deltas.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::super::Failure;
use super::super::connection::problem_text;
use super::super::sse::Message;
use super::super::table::Column;

/// For which a changed row is marked.
const MARKED: Duration = Duration::from_secs(2);

/// The rows of a view by their key, in its order.
#[derive(Debug, Default)]
pub(super) struct View {
    columns: Vec<Column>,
    key: Vec<usize>,
    rows: BTreeMap<Key, Vec<Value>>,
    /// When rows last changed.
    marks: BTreeMap<Key, Instant>,
    position: Option<String>,
    /// Parts of a snapshot so far.
    part: Vec<Vec<Value>>,
    known: bool,
}

/// What a message meant.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// These are all rows.
    Snapshot { columns: Vec<String>, rows: Vec<Vec<Value>> },
    /// Rows went (-1) and came (1).
    Delta(Vec<(i64, Vec<Value>)>),
    /// What was shown is void; a snapshot follows.
    Reset(String),
}

/// The values of a row's key columns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Vec<KeyPart>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum KeyPart {
    Null,
    Whole(i64),
    Text(String),
}

#[derive(Deserialize)]
struct Snapshot {
    #[serde(default)]
    columns: Vec<Column>,
    #[serde(default)]
    key: Vec<String>,
    rows: Vec<Vec<Value>>,
    #[serde(default)]
    last: bool,
}

#[derive(Deserialize)]
struct Delta {
    changes: Vec<(i64, Vec<Value>)>,
}

#[derive(Deserialize)]
struct Reset {
    reason: String,
}

#[derive(Deserialize)]
struct Refused {
    problem: Value,
}

impl View {
    /// A new connection is made: what the one before began to tell is told anew from its beginning.
    pub(super) fn connected(&mut self) {
        self.part.clear();
    }

    /// Takes a message; says what it meant, if it meant something to the rows.
    pub(super) fn take(&mut self, message: Message) -> Result<Option<Event>, Failure> {
        let event = match message.event.as_str() {
            "snapshot" => self.snapshot(read(&message)?),
            "delta" => {
                let Delta { changes } = read(&message)?;
                self.change(&changes);
                Some(Event::Delta(changes))
            }
            "reset" => {
                let Reset { reason } = read(&message)?;
                self.part.clear();
                Some(Event::Reset(reason))
            }
            "error" => {
                let Refused { problem } = read(&message)?;
                let text = problem_text(&problem).unwrap_or_else(|| problem.to_string());
                return Err(Failure::Failed(text));
            }
            // `resumed`, `heartbeat`, and what later versions may say.
            _ => None,
        };
        if let Some(id) = message.id {
            self.position = Some(id).filter(|id| !id.is_empty());
        }
        Ok(event)
    }

    fn snapshot(&mut self, snapshot: Snapshot) -> Option<Event> {
        if !snapshot.columns.is_empty() {
            let place = |name: &String| snapshot.columns.iter().position(|c| c.name == *name);
            self.key = snapshot.key.iter().filter_map(place).collect();
            self.columns = snapshot.columns;
        }
        self.part.extend(snapshot.rows);
        if !snapshot.last {
            return None;
        }
        let rows = std::mem::take(&mut self.part);
        self.known = true;
        self.marks.clear();
        self.rows = rows.iter().map(|row| (self.key_of(row), row.clone())).collect();
        let columns = self.columns.iter().map(|column| column.name.clone()).collect();
        Some(Event::Snapshot { columns, rows })
    }

    fn change(&mut self, changes: &[(i64, Vec<Value>)]) {
        let now = Instant::now();
        // Removals first: an update is a removal and an insertion of the same key.
        for (_, row) in changes.iter().filter(|(weight, _)| *weight < 0) {
            let key = self.key_of(row);
            self.rows.remove(&key);
        }
        for (_, row) in changes.iter().filter(|(weight, _)| *weight > 0) {
            let key = self.key_of(row);
            self.marks.insert(key.clone(), now);
            self.rows.insert(key, row.clone());
        }
    }

    fn key_of(&self, row: &[Value]) -> Key {
        let part = |index: &usize| match row.get(*index) {
            None | Some(Value::Null) => KeyPart::Null,
            Some(Value::String(text)) => KeyPart::Text(text.clone()),
            Some(other) => match other.as_i64() {
                Some(whole) => KeyPart::Whole(whole),
                None => KeyPart::Text(other.to_string()),
            },
        };
        Key(self.key.iter().map(part).collect())
    }

    /// Where to resume.
    pub(super) fn position(&self) -> Option<&str> {
        self.position.as_deref()
    }

    /// Whether a whole snapshot has come.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// How its columns are called and typed.
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Rows in the order of their keys, each with whether it has just changed.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Vec<Value>, bool)> {
        self.rows.iter().map(|(key, row)| (row, self.marks.contains_key(key)))
    }

    /// Forgets which rows changed a while ago; says whether some are still marked.
    pub(super) fn forget_old_marks(&mut self) -> bool {
        self.marks.retain(|_, at| at.elapsed() < MARKED);
        !self.marks.is_empty()
    }
}

fn read<'a, T: Deserialize<'a>>(message: &'a Message) -> Result<T, Failure> {
    serde_json::from_str(&message.data).map_err(|error| {
        Failure::Failed(format!(
            "the service sent a `{}` that this version does not understand: {error}",
            message.event
        ))
    })
}

impl Event {
    /// The event as lines: `#` for what is said about the view, `=`, `+` and `-` for rows.
    pub(super) fn lines(&self) -> String {
        let row = |sign: char, row: &Vec<Value>| format!("{sign} {}\n", Value::from(row.clone()));
        match self {
            Self::Snapshot { columns, rows } => {
                let head = format!("# {}\n", columns.join(", "));
                rows.iter().fold(head, |text, values| text + &row('=', values))
            }
            Self::Delta(changes) => changes
                .iter()
                .map(|(weight, values)| row(if *weight < 0 { '-' } else { '+' }, values))
                .collect(),
            Self::Reset(reason) => format!("# what was shown is void: {reason}\n"),
        }
    }
}
