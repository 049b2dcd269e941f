//! Window functions: partitions recomputed whole when a row of theirs changes.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::expr::{NullTreatment, Sort, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Window};

use super::aggregate::sorts;
use super::columns::Columns;
use super::order::is_open;
use super::{Compiled, Compiler, arrow_schema, unsupported, unsupported_at};
use crate::circuit::{self, NodeId, PlanRunner, Recompute, Slot, WindowValue};

/// The name of the column with the number of the group.
const GROUP: &str = "@group";

/// A reference to the column with the number of the group.
pub(super) fn group_column() -> Expr {
    Expr::Column(Column::from_name(GROUP))
}

impl Compiler {
    pub(super) fn window(&mut self, window: &Window) -> Compiled<NodeId> {
        let input = self.node(&window.input)?;
        let input_schema = window.input.schema();
        let mut columns = Columns::new(input_schema);
        for (qualifier, field) in input_schema.iter() {
            columns.push(&Expr::Column(Column::from((qualifier, field))));
        }
        let width = input_schema.fields().len();
        let functions = window.window_expr.iter().map(function).collect::<Compiled<Vec<_>>>()?;
        for function in &functions {
            if is_open(function, &window.input) {
                let name = function.fun.name().to_owned();
                return unsupported_at(
                    format!("{name}() over a frame that ends between equal rows"),
                    "use a frame of ROWS, or an order in which no rows are equal",
                    name,
                );
            }
        }
        if let Some(node) = self.numbered(input, width, &functions, &mut columns, window)? {
            return Ok(node);
        }
        let key = common_partition(&functions).iter().map(|e| columns.place(e)).collect();
        let functions: Vec<Expr> =
            functions.iter().enumerate().map(|(i, f)| over_columns(i, f, &mut columns)).collect();
        let before = self.columns(input, &columns)?;
        let rows = self.circuit.schema(before).clone();
        let first = 1 + columns.expressions().len();
        let kept = (1..=width).chain(first..first + functions.len()).collect();
        let runner = self.runner(&rows, |scan: LogicalPlanBuilder| scan.window(functions))?;
        let schema = arrow_schema(&window.schema);
        let operator = Recompute::new(key, &rows, runner, kept, schema.clone())?;
        Ok(self.circuit.add(Box::new(operator), vec![before], schema))
    }

    /// The window as an operator of its own, when its functions only number rows or look at
    /// neighbours, all in one order.
    fn numbered(
        &mut self,
        input: NodeId,
        width: usize,
        functions: &[WindowFunction],
        columns: &mut Columns<'_>,
        window: &Window,
    ) -> Compiled<Option<NodeId>> {
        let params = &functions[0].params;
        let one_order = functions.iter().all(|other| {
            other.params.partition_by == params.partition_by
                && other.params.order_by == params.order_by
        });
        let values: Option<Vec<WindowValue>> =
            functions.iter().map(|function| value(function, columns)).collect();
        let Some(values) = values.filter(|_| one_order) else { return Ok(None) };
        let key = params.partition_by.iter().map(|e| columns.place(e)).collect();
        let options = |s: &Sort| SortOptions { descending: !s.asc, nulls_first: s.nulls_first };
        let order: Vec<_> =
            params.order_by.iter().map(|s| (columns.place(&s.expr), options(s))).collect();
        let before = self.columns(input, columns)?;
        let rows = self.circuit.schema(before).clone();
        let schema = arrow_schema(&window.schema);
        let operator = circuit::Window::new(key, &order, values, width, &rows, schema.clone())?;
        Ok(Some(self.circuit.add(Box::new(operator), vec![before], schema)))
    }

    /// A plan over rows of `schema` with the number of their group before them.
    pub(super) fn runner(
        &self,
        rows: &SchemaRef,
        build: impl FnOnce(LogicalPlanBuilder) -> Result<LogicalPlanBuilder>,
    ) -> Compiled<PlanRunner> {
        let mut fields = vec![Arc::new(Field::new(GROUP, DataType::UInt32, false))];
        fields.extend(rows.fields().iter().cloned());
        let schema = Arc::new(Schema::new(fields));
        let slot = Arc::new(Slot::new(schema.clone()));
        let table = Arc::new(StreamingTable::try_new(schema, vec![slot.clone()])?);
        let scan = LogicalPlanBuilder::scan(super::bare("slot"), provider_as_source(table), None)?;
        let plan = build(scan)?.build()?;
        let runner = PlanRunner::new(plan, self.state().clone(), slot);
        runner.planned().or_else(|error| {
            unsupported(
                format!("functions that DataFusion cannot plan side by side ({error})"),
                "put each into a query of its own and join these on the group's columns",
            )
        })
    }
}

fn function(expr: &Expr) -> Compiled<WindowFunction> {
    match expr.clone().unalias() {
        Expr::WindowFunction(function) => Ok(*function),
        other => unsupported(format!("the window expression {other}"), "use a window function"),
    }
}

/// What the function puts beside a row, if it numbers rows or looks at a neighbour.
fn value(function: &WindowFunction, columns: &mut Columns<'_>) -> Option<WindowValue> {
    let params = &function.params;
    if params.filter.is_some()
        || params.distinct
        || params.null_treatment == Some(NullTreatment::IgnoreNulls)
    {
        return None;
    }
    let name = function.fun.name();
    match (name, params.args.as_slice()) {
        ("row_number", []) => Some(WindowValue::RowNumber),
        ("rank", []) => Some(WindowValue::Rank),
        ("dense_rank", []) => Some(WindowValue::DenseRank),
        ("lag" | "lead", [value, rest @ ..]) => {
            let distance = match rest {
                [] => 1,
                [Expr::Literal(ScalarValue::Int64(Some(n)), _)] => isize::try_from(*n).ok()?,
                _ => return None,
            };
            let distance = if name == "lag" { distance.checked_neg()? } else { distance };
            Some(WindowValue::Neighbour { column: columns.place(value), distance })
        }
        _ => None,
    }
}

/// What all functions partition by: a group of these is a union of partitions of each.
fn common_partition(functions: &[WindowFunction]) -> Vec<Expr> {
    let mut partitions = functions.iter().map(|f| &f.params.partition_by);
    let first = partitions.next().cloned().unwrap_or_default();
    first.into_iter().filter(|e| partitions.clone().all(|other| other.contains(e))).collect()
}

/// The same function over the columns before it, within its group and named by its place.
fn over_columns(place: usize, function: &WindowFunction, columns: &mut Columns<'_>) -> Expr {
    let params = &function.params;
    let mut partition_by = vec![group_column()];
    partition_by.extend(params.partition_by.iter().map(|e| columns.reference(e)));
    let params = WindowFunctionParams {
        args: params.args.iter().map(|a| columns.reference(a)).collect(),
        partition_by,
        order_by: sorts(&params.order_by, columns),
        window_frame: params.window_frame.clone(),
        filter: params.filter.as_ref().map(|f| Box::new(columns.reference(f))),
        null_treatment: params.null_treatment,
        distinct: params.distinct,
    };
    let function = WindowFunction { fun: function.fun.clone(), params };
    Expr::WindowFunction(Box::new(function)).alias(format!("w{place}"))
}
