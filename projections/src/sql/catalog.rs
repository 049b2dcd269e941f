//! What the SQL of a view may read: event relations in `events`, and the views before it.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::common::{Result, TableReference};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::executor::block_on;

use super::late::read_late;
use super::refusal::{Compiled, Refusal};
use super::{dialect, statement};
use crate::{EventTypes, clock};

/// The schema of event relations.
pub(crate) const EVENTS: &str = "events";

/// Names and columns only: no row is ever in it.
pub(crate) struct Catalog {
    context: SessionContext,
    state: SessionState,
    /// The relations as SQL writes them.
    names: BTreeSet<String>,
}

impl Catalog {
    /// A catalog of the relations of `types`.
    pub(crate) fn new(types: &EventTypes) -> Self {
        let context = dialect::session();
        let events = Arc::new(MemorySchemaProvider::new());
        let mut names = BTreeSet::new();
        for event_type in types.iter() {
            let table = Arc::new(EmptyTable::new(event_type.columns().clone()));
            // The schema is new, so no name is taken yet.
            let _ = events.register_table(event_type.name().to_owned(), table);
            names.insert(event_name(event_type.name()));
        }
        for catalog in context.catalog_names() {
            if let Some(catalog) = context.catalog(&catalog) {
                let _ = catalog.register_schema(EVENTS, events.clone());
            }
        }
        let state = context.state();
        Self { context, state, names }
    }

    /// The state that plans and runs.
    pub(crate) fn state(&self) -> &SessionState {
        &self.state
    }

    /// The plan of one query, optimized.
    pub(super) fn plan(&self, sql: &str) -> Compiled<LogicalPlan> {
        // DataFusion's planner has places that give up with a panic.
        let planned = catch_unwind(AssertUnwindSafe(|| {
            let statement = statement::parse(sql)?;
            for relation in self.state.resolve_table_references(&statement)? {
                self.check(&relation)?;
            }
            let plan = block_on(self.state.statement_to_plan(statement))?;
            dialect::check_widths(&plan)?;
            Ok(read_late(self.state.optimize(&clock::open(plan)?)?)?)
        }));
        planned.unwrap_or_else(|_| {
            Err(Refusal::invalid("the SQL cannot be planned: write it another way"))
        })
    }

    /// Makes a view readable for those after it.
    pub(crate) fn add_view(&mut self, name: &str, schema: SchemaRef) -> Result<()> {
        self.context.register_table(
            TableReference::bare(name.to_owned()),
            Arc::new(EmptyTable::new(schema)),
        )?;
        self.state = self.context.state();
        self.names.insert(name.to_owned());
        Ok(())
    }

    /// An error that names the nearest relations, unless `relation` is one.
    fn check(&self, relation: &TableReference) -> Compiled<()> {
        let table = relation.table();
        let name = match relation.schema() {
            Some(EVENTS) => event_name(table),
            None | Some("public") => table.to_owned(),
            Some(_) => relation.to_string(),
        };
        let is_function =
            relation.schema().is_none() && self.state.table_functions().contains_key(table);
        if self.names.contains(&name) || is_function {
            return Ok(());
        }
        // An event type written without its schema and quotes.
        let as_event = event_name(&relation.to_string());
        let near = if self.names.contains(&as_event) {
            vec![as_event]
        } else {
            nearest(&name, self.names.iter())
        };
        let hint = match near.as_slice() {
            [] => String::new(),
            names => format!("; did you mean {}?", names.join(" or ")),
        };
        Err(Refusal::invalid(format!("there is no relation {name}{hint}")))
    }
}

fn event_name(event_type: &str) -> String {
    format!("{EVENTS}.\"{event_type}\"")
}

/// Up to three names that are a few typing mistakes away, the nearest first.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let within = 1 + wanted.chars().count() / 4;
    let mut near: Vec<(usize, &String)> = names
        .map(|name| (strsim::levenshtein(&wanted.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= within)
        .collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, name)| name.clone()).collect()
}
