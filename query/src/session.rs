//! A session on one tenant's relations: from a statement to a plan that is ready to run.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use projections::clock;
use projections::sql::dialect;

use crate::cache::Reads;
use crate::catalog::{CATALOG, Relations, TenantCatalog, VIEWS};
use crate::disk::{Disk, QueryDisk};
use crate::execution::Description;
use crate::joins::SortedJoins;
use crate::memory::QueryPool;
use crate::places::Places;
use crate::turn::Turn;
use crate::{
    QueryError, QueryLimits, complexity, functions, guard, literals, parameters, postgres,
};

/// Rows of a batch: a compromise between speed and what a batch of long texts takes.
const BATCH_ROWS: usize = 4096;

/// What all sessions share: functions and rules, built once, and what all queries may use together.
pub(crate) struct Template {
    state: SessionState,
    /// The same with joins that need not be held in memory.
    sorting: SessionState,
    runtime: RuntimeEnv,
    memory: Arc<GreedyMemoryPool>,
    disk: Option<Arc<Disk>>,
}

/// A statement planned and optimized, with its parameters and its date in place.
pub(crate) struct Planned {
    pub(crate) plan: LogicalPlan,
    /// What it reads, if that can be said by the names of views and event types.
    pub(crate) reads: Option<Reads>,
    /// Whether the same relations always give the same rows.
    pub(crate) is_repeatable: bool,
}

/// A plan without its values, the state that it was planned in, and what it reads.
struct Unbound {
    state: SessionState,
    plan: LogicalPlan,
    reads: Option<Reads>,
    places: Places,
}

/// A plan that is ready to run, and what it runs with.
pub(crate) struct Prepared {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) context: Arc<TaskContext>,
}

/// What one query may use, and what it ran out of.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) memory: Arc<QueryPool>,
    pub(crate) disk: Option<Arc<QueryDisk>>,
}

/// How joins are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joins {
    /// One side is held in memory.
    Hashed,
    /// Both sides are sorted, on disk when they must be.
    Sorted,
}

impl Template {
    pub(crate) fn new(limits: &QueryLimits, disk: Option<Arc<Disk>>) -> Result<Self, QueryError> {
        let none = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new().with_disk_manager_builder(none).build()?;
        let mut state = SessionStateBuilder::new()
            .with_config(config(limits))
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
        // Gives functions the settings; the time that goes with it is read by none of them.
        state.mark_start_execution();
        let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> =
            vec![Arc::new(SortedJoins)];
        rules.extend_from_slice(state.physical_optimizers());
        let sorting = SessionStateBuilder::new_from_existing(state.clone())
            .with_physical_optimizer_rules(rules)
            .build();
        let memory = Arc::new(GreedyMemoryPool::new(limits.total_memory_bytes));
        Ok(Self { state, sorting, runtime, memory, disk })
    }

    /// What one query may use.
    pub(crate) fn means(&self, limits: &QueryLimits) -> Means {
        let disk = self.disk.as_ref().map(|disk| disk.of_query(limits.spill_bytes));
        let memory = QueryPool::new(limits.memory_bytes, self.memory.clone());
        Means { memory: Arc::new(memory), disk }
    }

    /// Plans `statement` over `relations`.
    pub(crate) async fn plan(
        &self,
        relations: &Arc<Relations>,
        statement: Statement,
        params: &[serde_json::Value],
        turn: &Turn,
    ) -> Result<Planned, QueryError> {
        turn.look()?;
        let Unbound { mut state, plan, reads, places } = self.unbound(relations, statement).await?;
        let plan = parameters::bind(plan, params).map_err(|error| places.parameter(error))?;
        let plan = clock::pin(plan, relations.snapshot.today())?;
        check(&plan)?;
        turn.look()?;

        state.mark_start_execution();
        let plan = state.optimize(&plan)?;
        literals::check(&plan)?;
        turn.look()?;
        let is_repeatable = is_repeatable(&plan)?;
        Ok(Planned { plan, reads, is_repeatable })
    }

    /// What `statement` takes and gives, whatever its values are.
    pub(crate) async fn describe(
        &self,
        relations: &Arc<Relations>,
        statement: Statement,
        turn: &Turn,
    ) -> Result<Description, QueryError> {
        turn.look()?;
        let Unbound { mut state, plan, .. } = self.unbound(relations, statement).await?;
        let params = parameters::types(&plan)?;
        let plan = parameters::bind_nulls(plan, &params)?;
        let plan = clock::pin(plan, relations.snapshot.today())?;
        check(&plan)?;
        turn.look()?;

        state.mark_start_execution();
        let schema = match state.optimize(&plan) {
            Ok(optimized) => optimized.schema().as_arrow().clone(),
            // Not every place takes a null; the columns are the same with a value.
            Err(_) if !params.is_empty() => plan.schema().as_arrow().clone(),
            Err(error) => return Err(error.into()),
        };
        Ok(Description { schema: Arc::new(schema), params })
    }

    /// The plan of a statement without values.
    async fn unbound(
        &self,
        relations: &Arc<Relations>,
        mut statement: Statement,
    ) -> Result<Unbound, QueryError> {
        let places = Places::of(&statement);
        postgres::rewrite(&mut statement)?;
        let mut state = self.state.clone();
        state.register_catalog_list(Arc::new(TenantCatalog(relations.clone())));
        let references = state.resolve_table_references(&statement)?;
        for reference in &references {
            // A table function is no relation, but is named like one.
            let function = reference.schema().is_none()
                && state.table_functions().contains_key(reference.table());
            if !function {
                relations.check(reference).map_err(|error| places.relation(error, reference))?;
            }
        }
        let reads = Reads::new(&references, relations);
        let plan = state.statement_to_plan(statement).await?;
        read_only().verify_plan(&plan)?;
        dialect::check_widths(&plan)?;
        Ok(Unbound { state, plan, reads, places })
    }

    /// Makes an optimized plan ready to run.
    pub(crate) async fn prepare(
        &self,
        plan: LogicalPlan,
        joins: Joins,
        turn: &Arc<Turn>,
        means: &Means,
    ) -> Result<Prepared, QueryError> {
        let state = match joins {
            Joins::Hashed => &self.state,
            Joins::Sorted => &self.sorting,
        };
        turn.look()?;
        let plan = guard::watch(plan, turn)?;
        let physical = state.query_planner().create_physical_plan(&plan, state).await?;
        let mut runtime = RuntimeEnv { memory_pool: means.memory.clone(), ..self.runtime.clone() };
        if let Some(disk) = &means.disk {
            let files = DiskManagerBuilder::default().with_temp_file_factory(disk.clone());
            runtime.disk_manager = Arc::new(files.build()?);
        }
        let context = context(state, Arc::new(runtime), turn.clone());
        Ok(Prepared { plan: guard::bound(physical)?, context })
    }
}

/// Refuses a plan, with its values in place, that would take much before it is run.
fn check(plan: &LogicalPlan) -> Result<(), QueryError> {
    guard::check_windows(plan)?;
    complexity::check_columns(plan)?;
    complexity::check_terms(plan)
}

/// Whether a plan gives the same rows whenever it is run over the same relations.
fn is_repeatable(plan: &LogicalPlan) -> Result<bool, QueryError> {
    if matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) {
        return Ok(false);
    }
    let mut is_repeatable = true;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            is_repeatable &= !expr.is_volatile();
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(is_repeatable)
}

/// What a plan runs with; the turn is there for its leaves.
fn context(state: &SessionState, runtime: Arc<RuntimeEnv>, turn: Arc<Turn>) -> Arc<TaskContext> {
    Arc::new(TaskContext::new(
        None,
        state.session_id().to_owned(),
        state.config().clone().with_extension(turn),
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

fn config(limits: &QueryLimits) -> SessionConfig {
    // What a sort keeps for putting together what it has on disk.
    let merging = (limits.memory_bytes / 16).min(10 << 20);
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, VIEWS)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        // One thread a query: small queries are the rule, and many at once make use of the cores.
        .with_target_partitions(1)
        .with_batch_size(BATCH_ROWS)
        .with_sort_spill_reservation_bytes(merging);
    dialect::configure(&mut config);
    config
}
