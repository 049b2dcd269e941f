//! Orders that leave nothing open.
//!
//! Where `ORDER BY` leaves rows equal, SQL lets any of them come first, so that the answer would
//! depend on the order in which events arrived. Here the rest of what is read decides, the same in
//! views and in ad hoc queries: the value taken, for `first_value`, `last_value`, `array_agg` and
//! the like; for `row_number`, `lag`, frames of `ROWS` and `LIMIT` the columns that are known to
//! identify a row, or all of them.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{
    AggregateFunction, Alias, NullTreatment, Sort, WindowFunction,
};
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, LogicalPlan, Projection, Window, WindowFrameUnits,
};
use datafusion::optimizer::AnalyzerRule;

use super::unique::{completing, identify};

/// Completes every order that decides which rows or values an answer has.
#[derive(Debug)]
pub(super) struct CompleteOrder;

impl AnalyzerRule for CompleteOrder {
    fn name(&self) -> &'static str {
        "complete_order"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(complete).data()
    }
}

fn complete(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => Ok(complete_aggregate(aggregate)),
        LogicalPlan::Distinct(Distinct::On(distinct)) => Ok(complete_distinct_on(distinct)),
        LogicalPlan::Window(window) => complete_window(window),
        LogicalPlan::Limit(mut limit) => {
            complete_sort(Arc::make_mut(&mut limit.input));
            Ok(Transformed::yes(LogicalPlan::Limit(limit)))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// The same expression with its name, around a function that was changed.
fn renamed(expr: Expr, change: impl FnOnce(Expr) -> Expr) -> Expr {
    match expr {
        Expr::Alias(alias) => Expr::Alias(Alias { expr: Box::new(change(*alias.expr)), ..alias }),
        plain => {
            let (relation, name) = plain.qualified_name();
            let changed = change(plain);
            if changed.qualified_name() == (relation.clone(), name.clone()) {
                changed
            } else {
                changed.alias_qualified(relation, name)
            }
        }
    }
}

fn aggregate_function(expr: &Expr) -> Option<&AggregateFunction> {
    match expr {
        Expr::AggregateFunction(function) => Some(function),
        Expr::Alias(alias) => aggregate_function(&alias.expr),
        _ => None,
    }
}

/// An order as it is for `last_value`, which takes the row at the end.
fn normal(function: &AggregateFunction) -> Vec<Sort> {
    let reverse = function.func.name() == "first_value";
    let sort = |s: &Sort| Sort::new(s.expr.clone(), s.asc != reverse, s.nulls_first != reverse);
    function.params.order_by.iter().map(sort).collect()
}

fn is_pick(function: &AggregateFunction) -> bool {
    matches!(function.func.name(), "first_value" | "last_value")
}

fn complete_aggregate(mut aggregate: Aggregate) -> Transformed<LogicalPlan> {
    let functions: Vec<AggregateFunction> =
        aggregate.aggr_expr.iter().filter_map(aggregate_function).cloned().collect();
    let mut changed = false;
    aggregate.aggr_expr = std::mem::take(&mut aggregate.aggr_expr)
        .into_iter()
        .map(|expr| {
            let Some(function) = aggregate_function(&expr) else { return expr };
            let more = missing(function, &functions);
            if more.is_empty() {
                return expr;
            }
            changed = true;
            renamed(expr, |plain| match plain {
                Expr::AggregateFunction(mut function) => {
                    function.params.order_by.extend(more);
                    Expr::AggregateFunction(function)
                }
                other => other,
            })
        })
        .collect();
    Transformed::new_transformed(LogicalPlan::Aggregate(aggregate), changed)
}

/// What completes the order of a function: its value; for those that take it from one row of the
/// same order, the values of all of them, so that they still take it from the same row.
fn missing(function: &AggregateFunction, all: &[AggregateFunction]) -> Vec<Sort> {
    if function.params.order_by.is_empty() {
        return Vec::new();
    }
    let values: Vec<&Expr> = if is_pick(function) {
        let order = normal(function);
        let same = |f: &&AggregateFunction| is_pick(f) && normal(f) == order;
        all.iter().filter(same).filter_map(|f| f.params.args.first()).collect()
    } else if matches!(function.func.name(), "array_agg" | "string_agg" | "nth_value") {
        function.params.args.first().into_iter().collect()
    } else {
        return Vec::new();
    };
    let first = function.func.name() == "first_value";
    let mut order = function.params.order_by.clone();
    let given = order.len();
    for value in values {
        let constant = matches!(value, Expr::Literal(..));
        if !constant && !order.iter().any(|sort| sort.expr == *value) {
            order.push(Sort::new(value.clone(), !first, !first));
        }
    }
    order.split_off(given)
}

fn complete_distinct_on(mut distinct: DistinctOn) -> Transformed<LogicalPlan> {
    let ascending = |expr: &Expr| Sort::new(expr.clone(), true, false);
    let mut order = distinct
        .sort_expr
        .take()
        .unwrap_or_else(|| distinct.on_expr.iter().map(ascending).collect());
    for value in &distinct.select_expr {
        let value = value.clone().unalias();
        if !matches!(value, Expr::Literal(..)) && !order.iter().any(|sort| sort.expr == value) {
            order.push(Sort::new(value, false, false));
        }
    }
    distinct.sort_expr = Some(order);
    Transformed::yes(LogicalPlan::Distinct(Distinct::On(distinct)))
}

fn window_function(expr: &Expr) -> Option<&WindowFunction> {
    match expr {
        Expr::WindowFunction(function) => Some(function),
        Expr::Alias(alias) => window_function(&alias.expr),
        _ => None,
    }
}

/// Whether a function takes rows or values one by one, so that equal ones make a difference.
fn takes_rows(function: &WindowFunction) -> bool {
    let name = function.fun.name();
    matches!(name, "first_value" | "last_value" | "nth_value" | "array_agg" | "string_agg")
}

/// Whether rows that its order leaves equal make a difference to a function which a longer order
/// leaves what it is.
fn is_by_row(function: &WindowFunction) -> bool {
    let frame = &function.params.window_frame;
    let (from_start, to_end) = (frame.start_bound.is_unbounded(), frame.end_bound.is_unbounded());
    let all = function.params.null_treatment != Some(NullTreatment::IgnoreNulls);
    match function.fun.name() {
        "row_number" | "lag" | "lead" | "ntile" => true,
        "rank" | "dense_rank" | "percent_rank" | "cume_dist" => false,
        _ if frame.units == WindowFrameUnits::Rows => {
            takes_rows(function) || !(from_start && to_end)
        }
        "first_value" => from_start && all,
        "last_value" => to_end && all,
        _ => false,
    }
}

/// Whether the answer of a function is left open by its order.
pub(super) fn is_open(function: &WindowFunction, input: &LogicalPlan) -> bool {
    takes_rows(function) && !is_by_row(function) && !identify(input, fixed(function))
}

/// The functions of one node share their order; those that need a longer one get a node above.
fn complete_window(window: Window) -> Result<Transformed<LogicalPlan>> {
    let needs = |expr: &Expr| {
        window_function(expr).is_some_and(|f| is_by_row(f) && !identify(&window.input, fixed(f)))
    };
    if !window.window_expr.iter().any(needs) {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    let (longer, same): (Vec<Expr>, Vec<Expr>) =
        window.window_expr.iter().cloned().partition(needs);
    let longer = longer.into_iter().map(|expr| longer_order(expr, &window.input)).collect();
    if same.is_empty() {
        let window = Window { window_expr: longer, ..window };
        return Ok(Transformed::yes(LogicalPlan::Window(window)));
    }
    let below = LogicalPlan::Window(Window::try_new(same, window.input)?);
    let above = LogicalPlan::Window(Window::try_new(longer, Arc::new(below))?);
    let columns = window.schema.iter().map(|field| Expr::Column(Column::from(field))).collect();
    let projection = Projection::try_new_with_schema(columns, Arc::new(above), window.schema)?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// What rows that its order leaves equal agree in.
fn fixed(function: &WindowFunction) -> impl Iterator<Item = &Expr> {
    let order = function.params.order_by.iter().map(|sort| &sort.expr);
    function.params.partition_by.iter().chain(order)
}

fn longer_order(expr: Expr, input: &LogicalPlan) -> Expr {
    renamed(expr, |plain| match plain {
        Expr::WindowFunction(mut function) => {
            let more = rest(input, &fixed(&function).collect::<Vec<_>>());
            function.params.order_by.extend(more);
            Expr::WindowFunction(function)
        }
        other => other,
    })
}

/// What decides between rows that agree in all of `fixed`, as an order.
fn rest(input: &LogicalPlan, fixed: &[&Expr]) -> Vec<Sort> {
    let columns = completing(input, fixed.iter().copied());
    let columns = columns.unwrap_or_else(|| sortable(input.schema()));
    let missing = columns.into_iter().filter(|column| !fixed.contains(&column));
    missing.map(|column| Sort::new(column, true, false)).collect()
}

/// The columns of a relation that have an order.
fn sortable(schema: &DFSchema) -> Vec<Expr> {
    let fields = schema.iter().filter(|(_, field)| !field.data_type().is_nested());
    fields.map(|field| Expr::Column(Column::from(field))).collect()
}

/// Completes the order a `LIMIT` cuts.
fn complete_sort(plan: &mut LogicalPlan) {
    match plan {
        LogicalPlan::Projection(node) => complete_sort(Arc::make_mut(&mut node.input)),
        LogicalPlan::SubqueryAlias(node) => complete_sort(Arc::make_mut(&mut node.input)),
        LogicalPlan::Sort(sort) if !identify(&sort.input, sort.expr.iter().map(|s| &s.expr)) => {
            let more = rest(&sort.input, &sort.expr.iter().map(|s| &s.expr).collect::<Vec<_>>());
            sort.expr.extend(more);
        }
        _ => {}
    }
}
