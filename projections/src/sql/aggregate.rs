//! `GROUP BY`: linear functions, picks, or groups recomputed whole.

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, NullTreatment, Sort,
};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlanBuilder};

use super::columns::{Columns, name};
use super::{Compiled, Compiler, arrow_schema, unsupported};
use crate::circuit::{Latest, LinearAggregate, LinearFunction, NodeId, Operator, Pick, Recompute};

impl Compiler {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) -> Compiled<NodeId> {
        if aggregate.group_expr.is_empty() {
            return unsupported(
                "an aggregate without GROUP BY",
                "group by a column, such as the currency",
            );
        }
        if aggregate.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))) {
            return unsupported(
                "ROLLUP, CUBE or GROUPING SETS",
                "write each grouping as a view of its own",
            );
        }
        let input = self.node(&aggregate.input)?;
        let schema = arrow_schema(&aggregate.schema);
        let mut columns = Columns::new(aggregate.input.schema());
        for group in &aggregate.group_expr {
            columns.push(group);
        }
        let groups = aggregate.group_expr.len();
        let functions = aggregate.aggr_expr.iter().map(function).collect::<Compiled<Vec<_>>>()?;
        let types = schema.fields().iter().skip(groups).map(|f| f.data_type());
        let linear: Option<Vec<LinearFunction>> =
            functions.iter().zip(types).map(|(f, t)| linear(f, t, &mut columns)).collect();
        let operator: Box<dyn Operator>;
        let before: NodeId;
        if let Some(linear) = linear {
            before = self.columns(input, &columns)?;
            operator = Box::new(LinearAggregate::new(groups, linear, schema.clone())?);
        } else if let Some(picks) = picks(&functions, groups, &mut columns) {
            before = self.columns(input, &columns)?;
            let rows = self.circuit.schema(before).clone();
            operator = Box::new(Latest::new(groups, picks, &rows, schema.clone())?);
        } else {
            let functions: Vec<Expr> = functions
                .iter()
                .enumerate()
                .map(|(i, f)| over_columns(i, f, &mut columns))
                .collect();
            before = self.columns(input, &columns)?;
            operator = Box::new(self.recomputed(before, groups, functions, schema.clone())?);
        }
        Ok(self.circuit.add(operator, vec![before], schema))
    }

    /// A projection to the columns an operator reads.
    pub(super) fn columns(&mut self, input: NodeId, columns: &Columns<'_>) -> Compiled<NodeId> {
        let schema = columns.schema()?;
        self.project(input, columns.input(), columns.expressions(), schema)
    }

    fn recomputed(
        &mut self,
        input: NodeId,
        groups: usize,
        functions: Vec<Expr>,
        schema: SchemaRef,
    ) -> Compiled<Recompute> {
        let rows = self.circuit.schema(input).clone();
        let group = std::iter::once(super::window::group_column()).chain(
            (0..groups).map(|i| Expr::Column(datafusion::common::Column::from_name(name(i)))),
        );
        let group: Vec<Expr> = group.collect();
        let kept = (1..=schema.fields().len()).collect();
        let runner =
            self.runner(&rows, |scan: LogicalPlanBuilder| scan.aggregate(group, functions))?;
        Ok(Recompute::new((0..groups).collect(), &rows, runner, kept, schema)?)
    }
}

fn function(expr: &Expr) -> Compiled<AggregateFunction> {
    match expr.clone().unalias() {
        Expr::AggregateFunction(function) => Ok(function),
        other => unsupported(format!("the aggregate {other}"), "use an aggregate function"),
    }
}

/// The function as a linear one, if it is.
fn linear(
    function: &AggregateFunction,
    result: &DataType,
    columns: &mut Columns<'_>,
) -> Option<LinearFunction> {
    let params = &function.params;
    let counts = match function.func.name() {
        "count" => true,
        "sum" if !result.is_floating() => false,
        _ => return None,
    };
    let [argument] = params.args.as_slice() else { return None };
    if params.distinct || !params.order_by.is_empty() {
        return None;
    }
    let counts_rows = counts && matches!(argument, Expr::Literal(value, _) if !value.is_null());
    Some(LinearFunction {
        argument: (!counts_rows).then(|| columns.place(argument)),
        filter: params.filter.as_ref().map(|filter| columns.place(filter)),
        counts,
    })
}

/// The functions as picks, if all are: those with the same order share it.
fn picks(
    functions: &[AggregateFunction],
    groups: usize,
    columns: &mut Columns<'_>,
) -> Option<Vec<Pick>> {
    let mut picks: Vec<Pick> = Vec::new();
    for (i, function) in functions.iter().enumerate() {
        let (order, value) = ordered(function)?;
        let order: Vec<(usize, SortOptions)> =
            order.into_iter().map(|(expr, options)| (columns.place(&expr), options)).collect();
        let value = (columns.place(value), groups + i);
        match picks.iter_mut().find(|pick| pick.order == order) {
            Some(pick) => pick.values.push(value),
            None => picks.push(Pick { order, values: vec![value] }),
        }
    }
    Some(picks)
}

/// What a function sorts by, so that the row it takes comes last, and the value it takes of it.
fn ordered(function: &AggregateFunction) -> Option<(Vec<(Expr, SortOptions)>, &Expr)> {
    let AggregateFunctionParams { args, distinct, filter, order_by, null_treatment } =
        &function.params;
    let [value] = args.as_slice() else { return None };
    if *distinct || filter.is_some() || *null_treatment == Some(NullTreatment::IgnoreNulls) {
        return None;
    }
    let by = |reverse: bool| {
        let options = move |sort: &Sort| SortOptions {
            descending: sort.asc == reverse,
            nulls_first: sort.nulls_first != reverse,
        };
        order_by.iter().map(|sort| (sort.expr.clone(), options(sort))).collect::<Vec<_>>()
    };
    // Nulls come first in both: an extreme is null only when there is nothing else.
    let extreme = |descending| vec![(value.clone(), SortOptions { descending, nulls_first: true })];
    match (function.func.name(), order_by.is_empty()) {
        ("last_value", false) => Some((by(false), value)),
        ("first_value", false) => Some((by(true), value)),
        ("max", true) => Some((extreme(false), value)),
        ("min", true) => Some((extreme(true), value)),
        _ => None,
    }
}

/// The same function over the columns before it, named by its place.
fn over_columns(place: usize, function: &AggregateFunction, columns: &mut Columns<'_>) -> Expr {
    let params = &function.params;
    let params = AggregateFunctionParams {
        args: params.args.iter().map(|a| columns.reference(a)).collect(),
        distinct: params.distinct,
        filter: params.filter.as_ref().map(|f| Box::new(columns.reference(f))),
        order_by: sorts(&params.order_by, columns),
        null_treatment: params.null_treatment,
    };
    Expr::AggregateFunction(AggregateFunction { func: function.func.clone(), params })
        .alias(format!("f{place}"))
}

/// The same order over the columns before it.
pub(super) fn sorts(order: &[Sort], columns: &mut Columns<'_>) -> Vec<Sort> {
    order
        .iter()
        .map(|s| Sort { expr: columns.reference(&s.expr), asc: s.asc, nulls_first: s.nulls_first })
        .collect()
}
