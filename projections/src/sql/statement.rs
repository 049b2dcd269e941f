//! From text to one query that is not too large to be planned.

use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Query, Select, SetExpr, Statement as SqlStatement, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::refusal::{Compiled, Refusal, unsupported_at};

/// Bytes of a view's text.
const BYTES: usize = 256 << 10;

/// Parentheses, subqueries and other nested forms within each other.
const NESTING: usize = 50;

/// Operators and keywords of one text. A chain of operators parses without recursion, into a tree
/// as deep as the chain is long, and planning takes the square of it: this bounds both.
const OPERATORS: usize = 2_000;

/// `SELECT`s, joins and set operations of one text.
const PARTS: usize = 200;

/// Bytes of one text literal, which may be repeated for every row.
const TEXT_BYTES: usize = 16 << 10;

/// The one query that `sql` is.
pub(super) fn parse(sql: &str) -> Compiled<Statement> {
    if sql.len() > BYTES {
        let bytes = sql.len();
        return Err(Refusal::invalid(format!(
            "the SQL has {bytes} bytes, more than the {BYTES} allowed: split it into several views"
        )));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| DataFusionError::SQL(Box::new(error.into()), None))?;
    check_size(&tokens)?;
    let mut statements = DFParserBuilder::new(tokens)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(NESTING)
        .build()?
        .parse_statements()?;
    let (Some(statement), None) = (statements.pop_front(), statements.pop_front()) else {
        return Err(Refusal::invalid("a view is one SELECT, neither none nor several"));
    };
    check_reads(&statement)?;
    Ok(statement)
}

fn check_size(tokens: &[TokenWithSpan]) -> Compiled<()> {
    let (mut operators, mut parts) = (0, 0);
    for token in tokens {
        match &token.token {
            Token::Comma
            | Token::Whitespace(_)
            | Token::Number(..)
            | Token::LParen
            | Token::RParen
            | Token::Period
            | Token::EOF => {}
            Token::Word(word) => match word.keyword {
                Keyword::NoKeyword => {}
                Keyword::SELECT
                | Keyword::JOIN
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT => parts += 1,
                _ => operators += 1,
            },
            Token::SingleQuotedString(text) => check_text(text.len())?,
            other => {
                operators += 1;
                check_text(other.to_string().len())?;
            }
        }
    }
    if operators > OPERATORS {
        return Err(Refusal::invalid(format!(
            "the SQL has {operators} operators and keywords, more than the {OPERATORS} allowed: \
             use IN (…) or a join in place of a chain of conditions"
        )));
    }
    if parts > PARTS {
        return Err(Refusal::invalid(format!(
            "the SQL has {parts} SELECTs, joins and set operations, more than the {PARTS} \
             allowed: split it into several views"
        )));
    }
    Ok(())
}

fn check_text(bytes: usize) -> Compiled<()> {
    if bytes <= TEXT_BYTES {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "a text has {bytes} bytes, more than the {TEXT_BYTES} allowed in SQL"
    )))
}

/// Refuses what is no query.
fn check_reads(statement: &Statement) -> Compiled<()> {
    let Statement::Statement(sql) = statement else {
        return refused(&statement.to_string());
    };
    let SqlStatement::Query(query) = sql.as_ref() else {
        return refused(&sql.to_string());
    };
    match query.visit(&mut Others) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break((construct, way_out)) => {
            unsupported_at(construct, way_out, construct.split(' ').next().unwrap_or_default())
        }
    }
}

fn refused(text: &str) -> Compiled<()> {
    let kind = text.split([' ', '(', ';']).next().unwrap_or_default().to_uppercase();
    Err(Refusal::invalid(format!("a view is one SELECT, and {kind} is none")))
}

/// Finds what a query must not hold.
struct Others;

/// The construct and a way round it.
type Found = (&'static str, &'static str);

impl Visitor for Others {
    type Break = Found;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Found> {
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            return ControlFlow::Break(("RECURSIVE queries", "write the levels out as joins"));
        }
        if !query.locks.is_empty() {
            return ControlFlow::Break(("FOR UPDATE", "leave it out"));
        }
        writes(&query.body)
    }

    /// DataFusion reads a sample as the whole.
    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Found> {
        match table {
            TableFactor::Table { sample: Some(_), .. }
            | TableFactor::Derived { sample: Some(_), .. } => {
                ControlFlow::Break(("TABLESAMPLE", "filter by a hash of the id"))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Found> {
        match select.into {
            Some(_) => ControlFlow::Break(("INTO a table", "give the view its name instead")),
            None => ControlFlow::Continue(()),
        }
    }
}

fn writes(body: &SetExpr) -> ControlFlow<Found> {
    const WAY_OUT: &str = "a view only reads";
    match body {
        SetExpr::Insert(_) => ControlFlow::Break(("INSERT", WAY_OUT)),
        SetExpr::Update(_) => ControlFlow::Break(("UPDATE", WAY_OUT)),
        SetExpr::Delete(_) => ControlFlow::Break(("DELETE", WAY_OUT)),
        SetExpr::Merge(_) => ControlFlow::Break(("MERGE", WAY_OUT)),
        SetExpr::SetOperation { left, right, .. } => {
            writes(left)?;
            writes(right)
        }
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => {
            ControlFlow::Continue(())
        }
    }
}
