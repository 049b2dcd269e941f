//! A session on one tenant's relations: from a statement to a plan that is ready to run.

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use projections::clock;
use projections::sql::dialect;

use crate::catalog::{CATALOG, Relations, TenantCatalog, VIEWS};
use crate::guard::Watch;
use crate::memory::QueryPool;
use crate::{QueryError, QueryLimits, complexity, functions, guard, parameters};

/// Rows of a batch: a compromise between speed and what a batch of long texts takes.
const BATCH_ROWS: usize = 4096;

/// What all sessions share: functions and rules, built once, and the memory of all queries.
pub(crate) struct Template {
    state: SessionState,
    runtime: RuntimeEnv,
    memory: Arc<GreedyMemoryPool>,
}

/// A plan that is ready to run, and what it runs with.
pub(crate) struct Prepared {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) context: Arc<TaskContext>,
}

impl Template {
    pub(crate) fn new(limits: &QueryLimits) -> Result<Self, QueryError> {
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new().with_disk_manager_builder(disk).build()?;
        let state = SessionStateBuilder::new()
            .with_config(config())
            .with_runtime_env(Arc::new(runtime.clone()))
            .with_scalar_functions(functions::scalar())
            .with_aggregate_functions(functions::aggregate())
            .with_window_functions(SessionStateDefaults::default_window_functions())
            .with_table_function_list(SessionStateDefaults::default_table_functions())
            .with_expr_planners(SessionStateDefaults::default_expr_planners())
            .with_relation_planners(dialect::relation_planners())
            .with_analyzer_rules(dialect::analyzer_rules())
            .with_optimizer_rules(dialect::optimizer_rules())
            .build();
        let memory = Arc::new(GreedyMemoryPool::new(limits.total_memory_bytes));
        Ok(Self { state, runtime, memory })
    }

    /// The memory of one query.
    pub(crate) fn pool(&self, limits: &QueryLimits) -> Arc<QueryPool> {
        Arc::new(QueryPool::new(limits.memory_bytes, self.memory.clone()))
    }

    /// Plans `statement` over `relations`.
    pub(crate) async fn prepare(
        &self,
        relations: Arc<Relations>,
        statement: Statement,
        params: Vec<serde_json::Value>,
        watch: &Arc<Watch>,
        pool: Arc<QueryPool>,
    ) -> Result<Prepared, QueryError> {
        let mut state = self.state.clone();
        state.register_catalog_list(Arc::new(TenantCatalog(relations.clone())));
        for reference in state.resolve_table_references(&statement)? {
            // A table function is no relation, but is named like one.
            let function = reference.schema().is_none()
                && state.table_functions().contains_key(reference.table());
            if !function {
                relations.check(&reference)?;
            }
        }
        let plan = state.statement_to_plan(statement).await?;
        read_only().verify_plan(&plan)?;
        let plan = parameters::bind(plan, &params)?;
        let plan = clock::pin(plan, relations.snapshot.today())?;
        guard::check_windows(&plan)?;
        complexity::check_terms(&plan)?;
        watch.check()?;

        state.mark_start_execution();
        let plan = guard::watch(state.optimize(&plan)?, watch)?;
        watch.check()?;
        let physical = state.query_planner().create_physical_plan(&plan, &state).await?;
        let runtime = RuntimeEnv { memory_pool: pool, ..self.runtime.clone() };
        Ok(Prepared { plan: guard::bound(physical)?, context: context(&state, Arc::new(runtime)) })
    }
}

fn context(state: &SessionState, runtime: Arc<RuntimeEnv>) -> Arc<TaskContext> {
    Arc::new(TaskContext::new(
        None,
        state.session_id().to_owned(),
        state.config().clone(),
        state.scalar_functions().clone(),
        state.higher_order_functions().clone(),
        state.aggregate_functions().clone(),
        state.window_functions().clone(),
        runtime,
    ))
}

/// A second look, at the plan itself, for whatever the look at the statement let through.
fn read_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, VIEWS)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        // One thread a query: small queries are the rule, and many at once make use of the cores.
        .with_target_partitions(1)
        .with_batch_size(BATCH_ROWS);
    dialect::configure(&mut config);
    config
}
