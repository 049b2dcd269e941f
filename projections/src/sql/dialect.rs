//! What SQL means here, in views and in ad hoc queries alike.
//!
//! It is DataFusion's SQL with a few settings, functions and planning rules of its own. Whoever
//! plans SQL over events or views takes all of them from here, so that a view and the same query
//! asked ad hoc have the same answer.

use std::sync::Arc;

use datafusion::execution::{FunctionRegistry, SessionStateBuilder};
use datafusion::logical_expr::planner::RelationPlanner;
use datafusion::optimizer::{Analyzer, AnalyzerRule, Optimizer, OptimizerRule};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::dependencies::{ForgetDependencies, ForgetRelations};
use super::distinct_from_null::DistinctFromNull;
use super::group_keys::KeepKeys;
use super::order::CompleteOrder;
use super::push_down::KeepAboveTotals;
use super::subquery_names::SubqueryNames;
pub use super::widths::check_widths;
use crate::{exact_average, exact_sum, functions};

/// Sets the options of the dialect.
pub fn configure(config: &mut SessionConfig) {
    let sql = &mut config.options_mut().sql_parser;
    // A number with a point is exact: money never becomes a float.
    sql.parse_float_as_decimal = true;
    sql.map_string_types_to_utf8view = false;
    sql.collect_spans = true;
}

/// The planners of the relations of `FROM`.
pub fn relation_planners() -> Vec<Arc<dyn RelationPlanner>> {
    vec![Arc::new(ForgetRelations)]
}

/// DataFusion's analyzer rules and those of the dialect.
pub fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules = Analyzer::new().rules;
    rules.push(Arc::new(DistinctFromNull));
    rules.push(Arc::new(CompleteOrder));
    rules.push(Arc::new(SubqueryNames));
    rules
}

/// DataFusion's optimizer rules and those of the dialect.
pub fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    // The rules that would draw conclusions from functional dependencies.
    const CONCLUDE: [&str; 3] =
        ["replace_distinct_aggregate", "eliminate_join", "optimize_projections"];
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = Vec::new();
    for rule in Optimizer::new().rules {
        if CONCLUDE.contains(&rule.name()) {
            rules.push(Arc::new(ForgetDependencies));
        }
        rules.push(match rule.name() {
            KeepAboveTotals::OF => Arc::new(KeepAboveTotals(rule)),
            KeepKeys::OF => Arc::new(KeepKeys(rule)),
            _ => rule,
        });
    }
    rules
}

/// A session that speaks the dialect, on one thread, with an empty catalog.
pub fn session() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1).with_information_schema(false);
    configure(&mut config);
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_scalar_functions(functions::session())
        .with_relation_planners(relation_planners())
        .with_analyzer_rules(analyzer_rules())
        .with_optimizer_rules(optimizer_rules())
        .build();
    // A session state takes every function; one of the same name is replaced.
    for function in [exact_sum(), exact_average()] {
        let _ = state.register_udaf(function);
    }
    SessionContext::new_with_state(state)
}
