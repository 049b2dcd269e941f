//! Why there is no answer, or no more of it.

use std::any::Any;
use std::fmt;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use projections::functions::TooMuch;

/// Which bound a query ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// The seconds from its start until its last row is read.
    Time,
    /// The bytes its operators hold.
    Memory,
    /// The rows of its answer.
    Rows,
    /// The bytes its operators put on disk.
    Disk,
}

impl LimitKind {
    /// `time`, `memory`, `rows` or `disk`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Rows => "rows",
            Self::Disk => "disk",
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a query has no answer. Inside a stream of batches it travels as
/// [`DataFusionError::External`]; [`QueryError::from`] takes it out again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The SQL, a parameter or an argument is wrong, or a row makes the SQL fail.
    #[error("{message}")]
    Invalid {
        /// What is wrong, where, and what to do.
        message: String,
        /// The line of the SQL, from 1, where it is known.
        line: Option<u64>,
        /// The column in that line, from 1.
        column: Option<u64>,
    },
    /// The statement writes, or reads something other than the relations.
    #[error("{statement} is not allowed: send one SELECT, WITH, VALUES or EXPLAIN")]
    Refused {
        /// The kind of the statement, like `INSERT`.
        statement: String,
    },
    /// There is no view of that name.
    #[error("there is no view '{view}'{}", did_you_mean(.nearest))]
    UnknownView {
        /// What was asked for.
        view: String,
        /// The most similar names.
        nearest: Vec<String>,
    },
    /// The query ran into a bound.
    #[error("the query is over its limit of {which} ({limit}); {}", way_out(*.which))]
    Limit {
        /// Which bound.
        which: LimitKind,
        /// The bound with its unit.
        limit: String,
    },
    /// Too many queries are running and waiting.
    #[error("too many queries are running at once; try again when some have ended")]
    Busy,
    /// The query reads a view that could not be evaluated.
    #[error("the view '{view}' cannot be read: {message}")]
    ViewFailed {
        /// The view.
        view: String,
        /// Why it failed.
        message: String,
    },
    /// The query reads a view that is still being filled.
    #[error("the view '{view}' is being filled from history; ask again when it is live")]
    ViewFilling {
        /// The view.
        view: String,
    },
    /// The query reads what belongs to a module that the tenant has switched off.
    #[error("{relation} belongs to the module `{module}`, which is switched off")]
    SwitchedOff {
        /// The view or event type.
        relation: String,
        /// The module.
        module: String,
    },
    /// The events of the tenant are not here any more.
    #[error("the events of the tenant are being handed over to another node; ask again")]
    NotServed,
    /// The engine came to a place at which it gives up on the statement.
    #[error(
        "the engine gives up on the query ({reason}): write it in another way, or ask for less at once"
    )]
    GivenUp {
        /// What it says of it.
        reason: String,
    },
    /// A defect of this program; nothing the query's author can mend.
    #[error("the query failed inside the engine: {message}")]
    Internal {
        /// What is known of it.
        message: String,
    },
}

/// Characters of the reason for which the engine gave up.
const REASON: usize = 200;

/// How Arrow says that a pattern is wrong.
const BAD_PATTERN: &str = "Regular expression did not compile";

impl QueryError {
    /// An [`Invalid`](Self::Invalid) without a place.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), line: None, column: None }
    }

    /// An [`Invalid`](Self::Invalid) with its place, unless it has one.
    pub(crate) fn at(self, place: Option<(u64, u64)>) -> Self {
        match (self, place) {
            (Self::Invalid { message, line: None, .. }, Some((line, column))) if line > 0 => {
                Self::Invalid { message, line: Some(line), column: Some(column) }
            }
            (error, _) => error,
        }
    }

    /// The code of SQL for such an error (SQLSTATE).
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Invalid { message, .. } => code_of(message),
            Self::Refused { .. } => "25006",
            Self::UnknownView { .. } => "42P01",
            Self::SwitchedOff { .. } => "42501",
            Self::Limit { which: LimitKind::Time, .. } => "57014",
            Self::Limit { which: LimitKind::Memory, .. } => "53200",
            Self::Limit { which: LimitKind::Disk, .. } => "53100",
            Self::Limit { which: LimitKind::Rows, .. } => "54000",
            Self::Busy => "53300",
            Self::ViewFailed { .. } | Self::ViewFilling { .. } => "55000",
            Self::NotServed => "57P03",
            Self::GivenUp { .. } => "0A000",
            Self::Internal { .. } => "XX000",
        }
    }

    /// What a panic of the engine tells of the query in which it came.
    pub(crate) fn given_up(panic: &(dyn Any + Send)) -> Self {
        let said = panic.downcast_ref::<&str>().copied();
        let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let reason = said.map_or("it does not say why", |said| said.lines().next().unwrap_or(said));
        Self::GivenUp { reason: reason.chars().take(REASON).collect() }
    }

    /// The error as it travels in a stream of batches.
    pub(crate) fn into_datafusion(self) -> DataFusionError {
        DataFusionError::External(Box::new(self))
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        Self::from(&error)
    }
}

impl From<&DataFusionError> for QueryError {
    fn from(error: &DataFusionError) -> Self {
        match error {
            DataFusionError::External(inner) => {
                if let Some(own) = inner.downcast_ref::<Self>() {
                    return own.clone();
                }
                if let Some(bound) = inner.downcast_ref::<TooMuch>() {
                    return from_bound(bound);
                }
                // What is foreign here is a function's own error about its arguments.
                match inner.downcast_ref::<DataFusionError>() {
                    Some(nested) => Self::from(nested),
                    None => Self::invalid(inner.to_string()),
                }
            }
            DataFusionError::Shared(inner) => Self::from(inner.as_ref()),
            DataFusionError::Context(_, inner) => Self::from(inner.as_ref()),
            DataFusionError::Diagnostic(diagnostic, inner) => {
                let span = diagnostic.span.as_ref();
                Self::from(inner.as_ref()).at(span.map(|s| (s.start.line, s.start.column)))
            }
            DataFusionError::Collection(errors) => match errors.first() {
                Some(first) => Self::from(first),
                None => Self::Internal { message: "an empty list of errors".into() },
            },
            DataFusionError::SQL(parser, _) => from_parser(parser),
            DataFusionError::SchemaError(schema, _) => from_schema(schema),
            // The bound itself is named by who knows it.
            DataFusionError::ResourcesExhausted(_) => {
                Self::Limit { which: LimitKind::Memory, limit: String::new() }
            }
            // Arrow reports through its own type what a row's value causes, like a division by
            // zero, and hands back what a stream put into it.
            DataFusionError::ArrowError(arrow, _) => match arrow.as_ref() {
                arrow::error::ArrowError::ExternalError(inner) => {
                    if let Some(own) = inner.downcast_ref::<Self>() {
                        return own.clone();
                    }
                    match inner.downcast_ref::<DataFusionError>() {
                        Some(nested) => Self::from(nested),
                        None => Self::invalid(arrow.to_string()),
                    }
                }
                other => Self::invalid(other.to_string()),
            },
            DataFusionError::Plan(message)
            | DataFusionError::Execution(message)
            | DataFusionError::Configuration(message) => Self::invalid(message.clone()),
            DataFusionError::NotImplemented(message) => {
                Self::invalid(format!("not supported: {message}"))
            }
            // DataFusion reports a pattern that is no regular expression as a fault of its own.
            DataFusionError::Internal(message) if message.contains(BAD_PATTERN) => {
                Self::invalid(first_line(message))
            }
            DataFusionError::Internal(message) => Self::Internal { message: first_line(message) },
            other => Self::Internal { message: first_line(&other.strip_backtrace()) },
        }
    }
}

/// The bound of a function that is called outside of a batch.
fn from_bound(bound: &TooMuch) -> QueryError {
    let (which, limit) = match bound {
        TooMuch::Text { by, most } => {
            (LimitKind::Memory, format!("{} KiB of text made by {by} at once", most >> 10))
        }
        TooMuch::Comparisons { by, most } => {
            (LimitKind::Time, format!("{most} comparisons of characters by {by} for one batch"))
        }
        TooMuch::Time(most) => (LimitKind::Time, format!("{} ms", most.as_millis())),
    };
    QueryError::Limit { which, limit }
}

/// The code of an error in the SQL, by how it is worded here and by DataFusion.
fn code_of(message: &str) -> &'static str {
    const CODES: [(&str, &str); 10] = [
        ("the SQL does not parse", "42601"),
        ("there is no statement", "42601"),
        ("there is no relation", "42P01"),
        ("there is no column", "42703"),
        ("is in more than one relation", "42702"),
        ("Invalid function", "42883"),
        ("parameter $", "22P02"),
        ("Divide by zero", "22012"),
        ("Cast error", "22P02"),
        ("Cannot cast", "22P02"),
    ];
    CODES.iter().find(|(words, _)| message.contains(words)).map_or("42000", |(_, code)| *code)
}

fn from_parser(error: &ParserError) -> QueryError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        ParserError::RecursionLimitExceeded => {
            return QueryError::invalid(
                "the SQL is nested too deeply: use WITH for its parts, or fewer parentheses",
            );
        }
    };
    // The parser states the place at the end: `… at Line: 1, Column: 8`.
    let place = message.rsplit_once(" at Line: ").and_then(|(_, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((line.parse().ok()?, column.trim().parse().ok()?))
    });
    QueryError::invalid(format!("the SQL does not parse: {message}")).at(place)
}

fn from_schema(error: &SchemaError) -> QueryError {
    let (field, valid_fields) = match error {
        SchemaError::FieldNotFound { field, valid_fields } => (field, valid_fields),
        SchemaError::AmbiguousReference { field } => {
            let place = field.spans().first().map(|s| (s.start.line, s.start.column));
            let message = format!(
                "the column '{}' is in more than one relation: write it as relation.{}",
                field.flat_name(),
                field.name
            );
            return QueryError::invalid(message).at(place);
        }
        _ => return QueryError::invalid(error.to_string()),
    };
    let names: Vec<&str> = valid_fields.iter().map(|c| c.name.as_str()).collect();
    let near = nearest(&field.name, names.iter().copied());
    let mut message = format!("there is no column '{}'{}", field.flat_name(), did_you_mean(&near));
    if near.is_empty() && !names.is_empty() {
        let some: Vec<&str> = names.into_iter().take(20).collect();
        message = format!("{message}; there are {}", some.join(", "));
    }
    let place = field.spans().first().map(|s| (s.start.line, s.start.column));
    QueryError::invalid(message).at(place)
}

fn way_out(which: LimitKind) -> &'static str {
    match which {
        LimitKind::Time => "ask for less at once: filter earlier, or aggregate",
        LimitKind::Memory | LimitKind::Disk => {
            "ask for less at once: filter before joining, sorting and grouping"
        }
        LimitKind::Rows => "add a LIMIT, a filter or a GROUP BY",
    }
}

/// `; did you mean 'a' or 'b'?`, or nothing.
pub(crate) fn did_you_mean(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("; did you mean {}?", quoted.join(" or "))
}

/// Up to three of `names` that are within a few typing mistakes of `wanted`, nearest first.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted: Vec<char> = wanted.to_lowercase().chars().take(64).collect();
    let within = 1 + wanted.len() / 4;
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let chars: Vec<char> = name.to_lowercase().chars().take(64).collect();
            let contained = wanted.len() > 3 && name.to_lowercase().contains(&text(&wanted));
            let distance = if contained { within } else { edit_distance(&wanted, &chars) };
            (distance <= within).then_some((distance, name))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

fn text(chars: &[char]) -> String {
    chars.iter().collect()
}

/// The number of insertions, deletions and replacements between two words (Levenshtein).
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            let replaced = diagonal + usize::from(x != y);
            row[j + 1] = replaced.min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

/// The first line: what follows is advice to the engine's developers.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}
