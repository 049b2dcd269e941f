//! Why a view cannot be compiled, and where in its text.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::{DefineError, RuntimeError};

/// A line and a column, from 1.
type Place = (u64, u64);

/// Why a view cannot be compiled, before its name is added.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The SQL is wrong.
    Invalid { message: String, place: Option<Place> },
    /// The SQL is right, but not maintained; `token` is the word of it that says so.
    Unsupported { construct: String, way_out: String, token: Option<String> },
}

pub(super) type Compiled<T> = Result<T, Refusal>;

pub(super) fn unsupported<T>(
    construct: impl Into<String>,
    way_out: impl Into<String>,
) -> Compiled<T> {
    let (construct, way_out) = (construct.into(), way_out.into());
    Err(Refusal::Unsupported { construct, way_out, token: None })
}

/// The same with the word of the SQL that names the construct.
pub(super) fn unsupported_at<T>(
    construct: impl Into<String>,
    way_out: impl Into<String>,
    token: impl Into<String>,
) -> Compiled<T> {
    let (construct, way_out) = (construct.into(), way_out.into());
    Err(Refusal::Unsupported { construct, way_out, token: Some(token.into()) })
}

impl Refusal {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), place: None }
    }

    /// The error of defining `view` by the text `sql`.
    pub(super) fn of(self, view: &str, sql: &str) -> DefineError {
        let view = view.to_owned();
        match self {
            Self::Invalid { message, place } => {
                let message = match place {
                    Some((line, column)) => format!("{message} (line {line}, column {column})"),
                    None => message,
                };
                DefineError::Invalid { view, message }
            }
            Self::Unsupported { construct, way_out, token } => {
                let construct = match token.and_then(|token| find(sql, &token)) {
                    Some((line, column)) => format!("{construct} (line {line}, column {column})"),
                    None => construct,
                };
                DefineError::Unsupported { view, construct, way_out }
            }
        }
    }
}

/// Where a word first stands in the SQL, outside texts and comments.
fn find(sql: &str, word: &str) -> Option<Place> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().ok()?;
    let found = tokens.into_iter().find(|t| match &t.token {
        Token::Word(w) => w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word),
        _ => false,
    })?;
    Some((found.span.start.line, found.span.start.column))
}

impl From<DataFusionError> for Refusal {
    fn from(error: DataFusionError) -> Self {
        Self::from(&error)
    }
}

impl From<&DataFusionError> for Refusal {
    fn from(error: &DataFusionError) -> Self {
        match error {
            DataFusionError::Diagnostic(diagnostic, inner) => {
                let place = diagnostic.span.as_ref().map(|s| (s.start.line, s.start.column));
                match Self::from(inner.as_ref()) {
                    Self::Invalid { message, place: None } => Self::Invalid { message, place },
                    other => other,
                }
            }
            DataFusionError::Context(_, inner) => Self::from(inner.as_ref()),
            DataFusionError::Shared(inner) => Self::from(inner.as_ref()),
            DataFusionError::Collection(errors) => match errors.first() {
                Some(first) => Self::from(first),
                None => Self::invalid("the SQL cannot be planned"),
            },
            DataFusionError::SQL(parser, _) => from_parser(parser),
            DataFusionError::SchemaError(schema, _) => {
                let place = match schema.as_ref() {
                    SchemaError::FieldNotFound { field, .. } => {
                        field.spans().first().map(|s| (s.start.line, s.start.column))
                    }
                    _ => None,
                };
                let message = schema.to_string();
                Self::Invalid { message: first_line(&message), place }
            }
            DataFusionError::Plan(message) => Self::invalid(first_line(message)),
            DataFusionError::NotImplemented(message) => {
                Self::invalid(format!("not supported: {}", first_line(message)))
            }
            other => Self::invalid(first_line(&other.strip_backtrace())),
        }
    }
}

/// What follows the first line is advice to DataFusion's developers.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

fn from_parser(error: &ParserError) -> Refusal {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        ParserError::RecursionLimitExceeded => {
            return Refusal::invalid(
                "the SQL is nested too deeply: use WITH for its parts, or fewer parentheses",
            );
        }
    };
    // The parser states the place at the end: `… at Line: 1, Column: 8`.
    let (message, place) = match message.rsplit_once(" at Line: ") {
        Some((what, place)) => (
            what,
            place
                .split_once(", Column: ")
                .and_then(|(line, column)| Some((line.parse().ok()?, column.trim().parse().ok()?))),
        ),
        None => (message.as_str(), None),
    };
    Refusal::Invalid { message: format!("the SQL does not parse: {message}"), place }
}

impl From<RuntimeError> for Refusal {
    fn from(error: RuntimeError) -> Self {
        Self::invalid(error.message)
    }
}

impl From<arrow::error::ArrowError> for Refusal {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::invalid(error.to_string())
    }
}
