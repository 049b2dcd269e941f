//! Where in the SQL the names stand that an error is about.

use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, Value, Visit, Visitor};
use datafusion::sql::sqlparser::tokenizer::Location;

use crate::QueryError;

/// The relations and parameters of a statement, with their places.
#[derive(Debug, Default)]
pub(crate) struct Places {
    relations: Vec<(String, Location)>,
    parameters: Vec<(String, Location)>,
}

impl Places {
    pub(crate) fn of(statement: &Statement) -> Self {
        let mut places = Self::default();
        let mut inner = statement;
        while let Statement::Explain(explain) = inner {
            inner = &explain.statement;
        }
        if let Statement::Statement(sql) = inner {
            let _: ControlFlow<()> = sql.visit(&mut places);
        }
        places
    }

    /// The error of a relation, with the place where it is named first.
    pub(crate) fn relation(&self, error: QueryError, reference: &TableReference) -> QueryError {
        let place = self.relations.iter().find(|(name, _)| name == reference.table());
        error.at(place.map(|(_, place)| (place.line, place.column)))
    }

    /// An error about a parameter that names it at its beginning or end, with the place where it
    /// stands first.
    pub(crate) fn parameter(&self, error: QueryError) -> QueryError {
        let place = match &error {
            QueryError::Invalid { message, .. } => self.parameters.iter().find(|(id, _)| {
                message.starts_with(&format!("parameter {id}:"))
                    || message.contains(&format!("uses {id},"))
            }),
            _ => None,
        };
        error.at(place.map(|(_, place)| (place.line, place.column)))
    }
}

impl Visitor for Places {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let parts: Vec<&Ident> = relation.0.iter().filter_map(|part| part.as_ident()).collect();
        if let (Some(first), Some(last)) = (parts.first(), parts.last()) {
            let name = match last.quote_style {
                Some(_) => last.value.clone(),
                None => last.value.to_ascii_lowercase(),
            };
            self.relations.push((name, first.span.start));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(id) = &value.value
        {
            self.parameters.push((id.clone(), value.span.start));
        }
        ControlFlow::Continue(())
    }
}
