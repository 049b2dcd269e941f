//! How an aggregate function is maintained.

use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, NullTreatment, Sort,
};
use datafusion::logical_expr::{Expr, ExprSchemable, lit, when};

use super::super::columns::Columns;
use super::super::{Compiled, unsupported_at};
use super::average;
use crate::circuit::Pick;

/// The ways, from the cheapest to the dearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Follows from its old value and the change alone.
    Linear,
    /// The value of the row that comes last in some order.
    Pick,
    /// Linear over the distinct values of the group.
    Distinct,
    /// Recomputed on all rows of a touched group.
    Other,
}

/// The class of a function whose result has the type `result`; an error if its answer would depend
/// on the order in which rows arrive.
pub(super) fn class(
    function: &AggregateFunction,
    result: &DataType,
    input: &DFSchema,
) -> Compiled<Class> {
    refuse_arbitrary(function)?;
    let params = &function.params;
    if is_linear(function, result, input) && params.order_by.is_empty() {
        return Ok(if params.distinct { Class::Distinct } else { Class::Linear });
    }
    let pick = match (function.func.name(), params.order_by.is_empty()) {
        ("first_value" | "last_value", false) => !params.distinct,
        ("max" | "min", true) => true,
        _ => false,
    };
    let nested = params.args.iter().any(|a| a.get_type(input).is_ok_and(|t| t.is_nested()));
    Ok(if pick && params.args.len() == 1 && !nested { Class::Pick } else { Class::Other })
}

fn is_linear(function: &AggregateFunction, result: &DataType, input: &DFSchema) -> bool {
    let [argument] = function.params.args.as_slice() else { return false };
    match function.func.name() {
        "count" => true,
        // Floats do not add up to the same in every order.
        "sum" => matches!(
            result,
            DataType::Int64
                | DataType::UInt64
                | DataType::Decimal128(..)
                | DataType::Decimal256(..)
        ),
        "avg" => average::exact_argument(argument, result, input).is_some(),
        _ => false,
    }
}

/// Refuses functions whose answer depends on the order in which rows arrive.
fn refuse_arbitrary(function: &AggregateFunction) -> Compiled<()> {
    let name = function.func.name();
    let ordered = !function.params.order_by.is_empty();
    let way_out = match name {
        "first_value" | "last_value" | "nth_value" if !ordered => {
            format!("say which is first: {name}(… ORDER BY …)")
        }
        "array_agg" | "string_agg" if !ordered => {
            format!("say in which order: {name}(… ORDER BY …)")
        }
        "any_value" => "say which one: first_value(… ORDER BY …), or min(…)".to_owned(),
        "approx_median" => "use median(…)".to_owned(),
        "approx_percentile_cont" | "approx_percentile_cont_with_weight" => {
            "use percentile_cont(…)".to_owned()
        }
        _ => return Ok(()),
    };
    let construct = if ordered
        || !matches!(name, "first_value" | "last_value" | "nth_value" | "array_agg" | "string_agg")
    {
        format!("{name}()")
    } else {
        format!("{name}() without ORDER BY")
    };
    unsupported_at(construct, way_out, name)
}

/// The value a function is over, null where its `FILTER` does not hold.
pub(super) fn filtered_value(function: &AggregateFunction) -> Expr {
    let AggregateFunctionParams { args, filter, .. } = &function.params;
    let value = args.first().cloned().unwrap_or_else(|| lit(true));
    match filter {
        Some(filter) => only_where(filter, value),
        None => value,
    }
}

fn only_where(condition: &Expr, value: Expr) -> Expr {
    when(condition.clone(), value.clone()).end().unwrap_or(value)
}

/// The functions as picks: those with the same order share it.
pub(super) fn picks(
    functions: &[AggregateFunction],
    groups: usize,
    columns: &mut Columns<'_>,
) -> Vec<Pick> {
    let mut picks: Vec<Pick> = Vec::new();
    for (i, function) in functions.iter().enumerate() {
        let (order, value) = ordered(function);
        let order: Vec<(usize, SortOptions)> =
            order.into_iter().map(|(expr, options)| (columns.place(&expr), options)).collect();
        let value = (columns.place(&value), groups + i);
        match picks.iter_mut().find(|pick| pick.order == order) {
            Some(pick) => pick.values.push(value),
            None => picks.push(Pick { order, values: vec![value] }),
        }
    }
    picks
}

/// What a function sorts by, so that the row it takes comes last, and the value it takes of it.
/// Rows that do not count come before all others, and their value is null.
fn ordered(function: &AggregateFunction) -> (Vec<(Expr, SortOptions)>, Expr) {
    let params = &function.params;
    let value = filtered_value(function);
    let name = function.func.name();
    if matches!(name, "min" | "max") {
        // Nulls come first in both: an extreme is null only when there is nothing else.
        let options = SortOptions { descending: name == "min", nulls_first: true };
        return (vec![(value.clone(), options)], value);
    }
    let reverse = name == "first_value";
    let options = |sort: &Sort| SortOptions {
        descending: sort.asc == reverse,
        nulls_first: sort.nulls_first != reverse,
    };
    let mut counts = params.filter.as_ref().map(|filter| filter.as_ref().clone().is_true());
    let mut value = value;
    if params.null_treatment == Some(NullTreatment::IgnoreNulls) {
        let present = params.args[0].clone().is_not_null();
        counts = Some(match counts {
            Some(counts) => counts.and(present),
            None => present,
        });
    }
    let mut order = Vec::new();
    if let Some(counts) = counts {
        value = only_where(&counts, params.args[0].clone());
        order.push((counts, SortOptions { descending: false, nulls_first: true }));
    }
    order.extend(params.order_by.iter().map(|sort| (sort.expr.clone(), options(sort))));
    (order, value)
}
