//! From text to one statement that reads, and nothing else.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, ExplainStatement, Statement};
use datafusion::sql::sqlparser::ast::{
    Query, Select, SetExpr, Statement as SqlStatement, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::QueryError;
use crate::complexity;

/// Parentheses, subqueries and other nested forms within each other.
const NESTING: usize = 50;

/// Operators and keywords of one text. A chain of operators parses without recursion, into a tree
/// as deep as the chain is long, and planning takes the square of it: this bounds both.
const OPERATORS: usize = 2_000;

/// `SELECT`s, joins and set operations of one text.
const PARTS: usize = 300;

/// Bytes of one text literal or text parameter: it may be repeated for every row of a batch.
pub(crate) const TEXT_BYTES: usize = 16 << 10;

/// What of a text is looked at before it is read.
const GLANCE: usize = 4 << 10;

/// Refuses what a glance shows to be too long, or too deeply nested at its beginning. It takes some
/// microseconds, wherever it is called.
pub(crate) fn glance(sql: &str, max_bytes: usize) -> Result<(), QueryError> {
    if sql.len() > max_bytes {
        let bytes = sql.len();
        return Err(QueryError::invalid(format!(
            "the SQL has {bytes} bytes, more than the {max_bytes} allowed: pass long lists as a \
             join instead"
        )));
    }
    let mut depth = 0_usize;
    for byte in sql.bytes().take(GLANCE) {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            // From here on it may be within a text, a quoted name or a comment.
            b'\'' | b'"' | b'`' | b'$' | b'-' | b'/' => break,
            _ => {}
        }
        if depth > NESTING {
            return Err(too_deep());
        }
    }
    Ok(())
}

/// Parses `sql`, at most `max_bytes` long, and accepts it if it is one statement that only reads.
pub(crate) fn parse(sql: &str, max_bytes: usize) -> Result<Statement, QueryError> {
    glance(sql, max_bytes)?;
    let mut statements = statements(tokens(sql)?).map_err(|error| at_end(error, sql))?;
    let Some(statement) = statements.pop_front() else {
        return Err(QueryError::invalid("there is no statement: send one SELECT"));
    };
    if !statements.is_empty() {
        return Err(QueryError::Refused { statement: "more than one statement".into() });
    }
    let query = readable(&statement)?;
    complexity::check_expansion(query)?;
    Ok(statement)
}

/// The tokens of the text, if they cannot make too deep a tree.
fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, QueryError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| parser_error(error.into()))?;
    let (mut operators, mut parts) = (0, 0);
    let (mut depth, mut deepest) = (0_usize, 0);
    for token in &tokens {
        match &token.token {
            Token::Comma
            | Token::Whitespace(_)
            | Token::Number(..)
            | Token::Placeholder(_)
            | Token::Period
            | Token::EOF => {}
            Token::LParen => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) => match word.keyword {
                Keyword::NoKeyword => {}
                Keyword::SELECT
                | Keyword::JOIN
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT => parts += 1,
                _ => operators += 1,
            },
            Token::SingleQuotedString(text) => check_text(text.len(), token)?,
            other => {
                operators += 1;
                check_text(other.to_string().len(), token)?;
            }
        }
    }
    if operators > OPERATORS {
        return Err(QueryError::invalid(format!(
            "the SQL has {operators} operators and keywords, more than the {OPERATORS} allowed: \
             use IN (…) or a join in place of a chain of conditions"
        )));
    }
    if parts > PARTS {
        return Err(QueryError::invalid(format!(
            "the SQL has {parts} SELECTs, joins and set operations, more than the {PARTS} allowed"
        )));
    }
    if deepest > NESTING {
        return Err(too_deep());
    }
    Ok(tokens)
}

fn check_text(bytes: usize, token: &TokenWithSpan) -> Result<(), QueryError> {
    if bytes <= TEXT_BYTES {
        return Ok(());
    }
    Err(QueryError::Invalid {
        message: format!("a text has {bytes} bytes, more than the {TEXT_BYTES} allowed in SQL"),
        line: Some(token.span.start.line),
        column: Some(token.span.start.column),
    })
}

fn statements(tokens: Vec<TokenWithSpan>) -> Result<VecDeque<Statement>, QueryError> {
    let mut parser = DFParserBuilder::new(tokens)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(NESTING)
        .build()?;
    Ok(parser.parse_statements()?)
}

/// Where the text ends too early, the parser knows no place: it is the end of the text.
fn at_end(error: QueryError, sql: &str) -> QueryError {
    match error {
        QueryError::Invalid { message, line: None, .. } if message.ends_with("found: EOF") => {
            let last = sql.rsplit('\n').next().unwrap_or_default();
            QueryError::Invalid {
                message,
                line: Some(1 + sql.bytes().filter(|b| *b == b'\n').count() as u64),
                column: Some(1 + last.chars().count() as u64),
            }
        }
        other => other,
    }
}

/// What the parser says of it, too, which counts more forms than parentheses.
fn too_deep() -> QueryError {
    parser_error(ParserError::RecursionLimitExceeded)
}

fn parser_error(error: ParserError) -> QueryError {
    DataFusionError::SQL(Box::new(error), None).into()
}

/// The query of a statement that only reads; otherwise the statement is refused by its kind.
fn readable(statement: &Statement) -> Result<&Query, QueryError> {
    match statement {
        Statement::Statement(sql) => readable_sql(sql),
        Statement::Explain(ExplainStatement { options, statement }) => {
            if options.analyze {
                return Err(refused("EXPLAIN ANALYZE"));
            }
            readable(statement)
        }
        Statement::CreateExternalTable(_) => Err(refused("CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => Err(refused("COPY")),
        Statement::Reset(_) => Err(refused("RESET")),
    }
}

fn readable_sql(statement: &SqlStatement) -> Result<&Query, QueryError> {
    match statement {
        SqlStatement::Query(query) => match query.visit(&mut Writes) {
            ControlFlow::Continue(()) => Ok(query),
            ControlFlow::Break(kind) => Err(refused(kind)),
        },
        SqlStatement::Explain { analyze: true, .. } => Err(refused("EXPLAIN ANALYZE")),
        SqlStatement::Explain { statement, .. } => readable_sql(statement),
        other => {
            let text = other.to_string();
            Err(refused(text.split([' ', '(', ';']).next().unwrap_or("this statement")))
        }
    }
}

fn refused(kind: &str) -> QueryError {
    QueryError::Refused { statement: kind.to_ascii_uppercase() }
}

/// Finds what writes inside a query, and what would be taken for something else.
struct Writes;

impl Visitor for Writes {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        if !query.locks.is_empty() {
            return ControlFlow::Break("SELECT … FOR UPDATE");
        }
        writes(&query.body)
    }

    /// DataFusion reads a sample as the whole, so a figure of it would not be what was asked for.
    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Self::Break> {
        match table {
            TableFactor::Table { sample: Some(_), .. }
            | TableFactor::Derived { sample: Some(_), .. } => ControlFlow::Break("TABLESAMPLE"),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        if select.into.is_some() {
            return ControlFlow::Break("SELECT INTO");
        }
        ControlFlow::Continue(())
    }
}

fn writes(body: &SetExpr) -> ControlFlow<&'static str> {
    match body {
        SetExpr::Insert(_) => ControlFlow::Break("INSERT"),
        SetExpr::Update(_) => ControlFlow::Break("UPDATE"),
        SetExpr::Delete(_) => ControlFlow::Break("DELETE"),
        SetExpr::Merge(_) => ControlFlow::Break("MERGE"),
        SetExpr::SetOperation { left, right, .. } => {
            writes(left)?;
            writes(right)
        }
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => {
            ControlFlow::Continue(())
        }
    }
}
