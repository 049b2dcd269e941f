//! What the SQL of a view may read: event relations in `events`, and the views before it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::common::Result;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::{EventTypes, exact_sum};

/// The schema of event relations.
pub(crate) const EVENTS: &str = "events";

/// Names and columns only: no row is ever in it.
pub(crate) struct Catalog {
    context: SessionContext,
    state: SessionState,
}

impl Catalog {
    /// A catalog of the relations of `types`.
    pub(crate) fn new(types: &EventTypes) -> Self {
        // One partition: a circuit's plans run on its own thread.
        let mut config =
            SessionConfig::new().with_target_partitions(1).with_information_schema(false);
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        let context = SessionContext::new_with_config(config);
        context.register_udaf(exact_sum().as_ref().clone());
        let events = Arc::new(MemorySchemaProvider::new());
        for event_type in types.iter() {
            let table = Arc::new(EmptyTable::new(event_type.relation().clone()));
            // The schema is new, so no name is taken yet.
            let _ = events.register_table(event_type.name().to_owned(), table);
        }
        for catalog in context.catalog_names() {
            if let Some(catalog) = context.catalog(&catalog) {
                let _ = catalog.register_schema(EVENTS, events.clone());
            }
        }
        let state = context.state();
        Self { context, state }
    }

    /// The state that plans and runs.
    pub(crate) fn state(&self) -> &SessionState {
        &self.state
    }

    /// The plan of one `SELECT`, not yet optimized.
    pub(crate) async fn plan(&self, sql: &str) -> Result<LogicalPlan> {
        self.state.create_logical_plan(sql).await
    }

    /// Makes a view readable for those after it.
    pub(crate) fn add_view(&mut self, name: &str, schema: SchemaRef) -> Result<()> {
        self.context.register_table(name, Arc::new(EmptyTable::new(schema)))?;
        self.state = self.context.state();
        Ok(())
    }
}
