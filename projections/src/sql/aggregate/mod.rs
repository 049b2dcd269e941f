//! `GROUP BY`: each function is maintained in the cheapest way it can be.
//!
//! Sums, counts and averages are linear, picks (`min`, `max`, `first_value`, `last_value`) keep
//! their rows in order, distinct values stand once for all functions of them, and the rest is recomputed for the
//! groups that are touched. Where a query mixes them, each kind has an operator of its own, and
//! the figures of a group are joined.

mod average;
mod classes;
mod grouping_sets;
mod totals;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams, Sort};
use datafusion::logical_expr::{Aggregate, Cast, Expr, LogicalPlanBuilder};

use super::columns::{Columns, key, keys, name, nths};
use super::{Compiled, Compiler, arrow_schema, unsupported};
use crate::circuit::{
    JoinKind, Latest, LinearAggregate, LinearFunction, Measure, NodeId, Operator, Recompute,
};
use classes::Class;

/// A grouping: the rows, what they are grouped by, and the columns of the answer.
pub(super) struct Grouping<'a> {
    pub(super) input: NodeId,
    pub(super) input_schema: &'a DFSchema,
    pub(super) groups: &'a [Expr],
    /// The groups' columns, then one for each function.
    pub(super) schema: SchemaRef,
}

impl Grouping<'_> {
    /// The columns of the groups and of the functions at these places.
    fn schema_of(&self, functions: &[usize]) -> Result<SchemaRef, arrow::error::ArrowError> {
        let width = self.groups.len();
        let places: Vec<usize> =
            (0..width).chain(functions.iter().map(|place| width + place)).collect();
        Ok(Arc::new(self.schema.project(&places)?))
    }

    fn columns(&self) -> Columns<'_> {
        let mut columns = Columns::new(self.input_schema);
        for group in self.groups {
            columns.push(group);
        }
        columns
    }
}

impl Compiler {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) -> Compiled<NodeId> {
        if let [Expr::GroupingSet(sets)] = aggregate.group_expr.as_slice() {
            return self.grouping_sets(aggregate, sets);
        }
        let functions = aggregate.aggr_expr.iter().map(function).collect::<Compiled<Vec<_>>>()?;
        let input_schema = aggregate.input.schema();
        let grouping = Grouping {
            input: self.node(&aggregate.input)?,
            input_schema,
            groups: &keys(&aggregate.group_expr, input_schema)?,
            schema: arrow_schema(&aggregate.schema),
        };
        if aggregate.group_expr.is_empty() {
            return self.totals(&grouping, &functions);
        }
        self.grouped(&grouping, &functions)
    }

    /// The groups with their functions, each of its class.
    pub(super) fn grouped(
        &mut self,
        grouping: &Grouping<'_>,
        functions: &[AggregateFunction],
    ) -> Compiled<NodeId> {
        let mut parts: Vec<(Class, Vec<usize>)> = Vec::new();
        for (place, function) in functions.iter().enumerate() {
            let result = grouping.schema.field(grouping.groups.len() + place).data_type();
            let class = classes::class(function, result, grouping.input_schema)?;
            let shares = |places: &[usize]| {
                let first = &functions[places[0]];
                class != Class::Distinct || first.params.args == function.params.args
            };
            match parts.iter_mut().find(|(other, places)| *other == class && shares(places)) {
                Some((_, places)) => places.push(place),
                None => parts.push((class, vec![place])),
            }
        }
        if parts.is_empty() {
            parts.push((Class::Linear, vec![]));
        }
        let mut nodes = Vec::new();
        for (class, places) in &parts {
            let functions: Vec<AggregateFunction> =
                places.iter().map(|place| functions[*place].clone()).collect();
            let part = Grouping { schema: grouping.schema_of(places)?, ..*grouping };
            nodes.push(self.part(*class, &part, &functions)?);
        }
        let order: Vec<usize> = parts.into_iter().flat_map(|(_, places)| places).collect();
        self.together(grouping, &nodes, &order)
    }

    fn part(
        &mut self,
        class: Class,
        grouping: &Grouping<'_>,
        functions: &[AggregateFunction],
    ) -> Compiled<NodeId> {
        match class {
            Class::Linear => self.linear(grouping, functions),
            Class::Pick => self.latest(grouping, functions),
            Class::Distinct => self.distinct_values(grouping, functions),
            Class::Other => self.recomputed(grouping, functions),
        }
    }

    /// The parts of all groups side by side, in the order of the functions.
    fn together(
        &mut self,
        grouping: &Grouping<'_>,
        nodes: &[NodeId],
        order: &[usize],
    ) -> Compiled<NodeId> {
        let [first, others @ ..] = nodes else {
            return unsupported("an aggregate without functions", "use SELECT DISTINCT");
        };
        if others.is_empty() {
            return Ok(*first);
        }
        let width = grouping.groups.len();
        let groups: Vec<usize> = (0..width).collect();
        let mut node = *first;
        // Where the functions stand, part after part.
        let mut places: Vec<usize> = (width..self.circuit.schema(node).fields().len()).collect();
        for other in others {
            let offset = self.circuit.schema(node).fields().len();
            let end = offset + self.circuit.schema(*other).fields().len();
            node = self.join_on(JoinKind::Inner, (node, &groups), (*other, &groups))?;
            places.extend(offset + width..end);
        }
        let joined = self.circuit.schema(node).clone();
        let mut columns = groups;
        for function in 0..order.len() {
            let place = order.iter().position(|place| *place == function);
            columns.extend(place.map(|place| places[place]));
        }
        let columns = nths(&joined, &columns);
        Ok(self.columns_of(node, columns, grouping.schema.clone()))
    }

    /// Sums, counts and averages.
    fn linear(
        &mut self,
        grouping: &Grouping<'_>,
        functions: &[AggregateFunction],
    ) -> Compiled<NodeId> {
        if functions.iter().any(|f| f.func.name() == "avg") {
            return self.averages(grouping, functions);
        }
        let mut columns = grouping.columns();
        let functions = functions.iter().map(|f| linear(f, &mut columns)).collect();
        self.linear_over(grouping, &columns, functions)
    }

    fn linear_over(
        &mut self,
        grouping: &Grouping<'_>,
        columns: &Columns<'_>,
        functions: Vec<LinearFunction>,
    ) -> Compiled<NodeId> {
        let before = self.columns(grouping.input, columns)?;
        let schema = grouping.schema.clone();
        let operator = LinearAggregate::new(grouping.groups.len(), functions, schema.clone())?;
        Ok(self.circuit.add(Box::new(operator), vec![before], schema))
    }

    fn latest(
        &mut self,
        grouping: &Grouping<'_>,
        functions: &[AggregateFunction],
    ) -> Compiled<NodeId> {
        let mut columns = grouping.columns();
        let picks = classes::picks(functions, grouping.groups.len(), &mut columns);
        let before = self.columns(grouping.input, &columns)?;
        let rows = self.circuit.schema(before).clone();
        let schema = grouping.schema.clone();
        let operator = Latest::new(grouping.groups.len(), picks, &rows, schema.clone())?;
        Ok(self.circuit.add(Box::new(operator), vec![before], schema))
    }

    /// Linear functions of the distinct values of one expression: first the values of each group,
    /// each with whether it has a row for which a `FILTER` holds, then the functions.
    fn distinct_values(
        &mut self,
        grouping: &Grouping<'_>,
        functions: &[AggregateFunction],
    ) -> Compiled<NodeId> {
        let width = grouping.groups.len();
        let mut columns = grouping.columns();
        let [argument] = functions[0].params.args.as_slice() else {
            return unsupported("DISTINCT over several expressions", "put them into one");
        };
        let (value, argument) =
            average::whole_number(argument, grouping.input_schema, &name(width));
        columns.push(&key(&value, grouping.input_schema)?);
        let mut filters: Vec<&Expr> = Vec::new();
        for filter in functions.iter().filter_map(|f| f.params.filter.as_deref()) {
            if !filters.contains(&filter) {
                filters.push(filter);
            }
        }
        let presence = |filter: &&Expr| LinearFunction {
            argument: None,
            filter: Some(columns.place(filter)),
            measure: Measure::Presence,
        };
        let presences: Vec<LinearFunction> = filters.iter().map(presence).collect();
        let rows = self.columns(grouping.input, &columns)?;
        let mut fields: Vec<Field> = self.circuit.schema(rows).fields()[..=width]
            .iter()
            .map(|f| f.as_ref().clone())
            .collect();
        let place = |filter: usize| name(width + 1 + filter);
        fields.extend((0..filters.len()).map(|i| Field::new(place(i), DataType::Boolean, false)));
        let schema = Arc::new(Schema::new(fields));
        let distinct = LinearAggregate::new(width + 1, presences, schema.clone())?;
        let values = self.circuit.add(Box::new(distinct), vec![rows], schema.clone());
        let column = |place: usize| Expr::Column(Column::from_name(name(place)));
        let plain = |function: &AggregateFunction| {
            let mut plain = function.clone();
            plain.params.distinct = false;
            plain.params.args = vec![argument.clone()];
            plain.params.filter = function.params.filter.as_deref().and_then(|filter| {
                let place = filters.iter().position(|other| *other == filter)?;
                Some(Box::new(column(width + 1 + place)))
            });
            plain
        };
        let groups: Vec<Expr> = (0..width).map(column).collect();
        let of_values = Grouping {
            input: values,
            input_schema: &DFSchema::try_from(schema.as_ref().clone())?,
            groups: &groups,
            schema: grouping.schema.clone(),
        };
        self.linear(&of_values, &functions.iter().map(plain).collect::<Vec<_>>())
    }

    /// A projection to the columns an operator reads.
    pub(super) fn columns(&mut self, input: NodeId, columns: &Columns<'_>) -> Compiled<NodeId> {
        let schema = columns.schema()?;
        self.project(input, columns.input(), columns.expressions(), schema)
    }

    fn recomputed(
        &mut self,
        grouping: &Grouping<'_>,
        functions: &[AggregateFunction],
    ) -> Compiled<NodeId> {
        let mut columns = grouping.columns();
        let functions: Vec<Expr> =
            functions.iter().enumerate().map(|(i, f)| over_columns(i, f, &mut columns)).collect();
        let before = self.columns(grouping.input, &columns)?;
        let rows = self.circuit.schema(before).clone();
        let groups = grouping.groups.len();
        let group = std::iter::once(super::window::group_column())
            .chain((0..groups).map(|i| Expr::Column(Column::from_name(name(i)))));
        let group: Vec<Expr> = group.collect();
        let schema = grouping.schema.clone();
        let kept = (1..=schema.fields().len()).collect();
        let runner =
            self.runner(&rows, |scan: LogicalPlanBuilder| scan.aggregate(group, functions))?;
        let key = (0..groups).collect();
        let operator: Box<dyn Operator> =
            Box::new(Recompute::new(key, &rows, runner, kept, schema.clone())?);
        Ok(self.circuit.add(operator, vec![before], schema))
    }
}

fn function(expr: &Expr) -> Compiled<AggregateFunction> {
    match expr.clone().unalias() {
        Expr::AggregateFunction(function) => Ok(function),
        other => unsupported(format!("the aggregate {other}"), "use an aggregate function"),
    }
}

/// A function of the class [`Class::Linear`] but an average.
fn linear(function: &AggregateFunction, columns: &mut Columns<'_>) -> LinearFunction {
    let params = &function.params;
    let counts = function.func.name() == "count";
    let counts_rows = |e: &Expr| counts && matches!(e, Expr::Literal(value, _) if !value.is_null());
    LinearFunction {
        argument: params.args.first().filter(|a| !counts_rows(a)).map(|a| columns.place(a)),
        filter: params.filter.as_ref().map(|filter| columns.place(filter)),
        measure: if counts { Measure::Count } else { Measure::Sum },
    }
}

/// The same function over the columns before it, named by its place.
pub(super) fn over_columns(
    place: usize,
    function: &AggregateFunction,
    columns: &mut Columns<'_>,
) -> Expr {
    let params = &function.params;
    let params = AggregateFunctionParams {
        args: params.args.iter().map(|a| argument(a, columns)).collect(),
        distinct: params.distinct,
        filter: params.filter.as_ref().map(|f| Box::new(columns.reference(f))),
        order_by: sorts(&params.order_by, columns),
        null_treatment: params.null_treatment,
    };
    Expr::AggregateFunction(AggregateFunction { func: function.func.clone(), params })
        .alias(format!("f{place}"))
}

/// An argument over the columns before it. A cast stays outside, so that whole numbers are still
/// known as such.
fn argument(expr: &Expr, columns: &mut Columns<'_>) -> Expr {
    match expr {
        Expr::Cast(cast) => {
            let inner = columns.reference(&cast.expr);
            Expr::Cast(Cast { expr: Box::new(inner), ..cast.clone() })
        }
        other => columns.reference(other),
    }
}

/// The same order over the columns before it.
pub(super) fn sorts(order: &[Sort], columns: &mut Columns<'_>) -> Vec<Sort> {
    order
        .iter()
        .map(|s| Sort { expr: columns.reference(&s.expr), asc: s.asc, nulls_first: s.nulls_first })
        .collect()
}

/// The same columns, named by their places, so that no two are confused.
pub(super) fn by_place(schema: &Schema) -> SchemaRef {
    let field = |(i, f): (usize, &Arc<Field>)| f.as_ref().clone().with_name(name(i));
    Arc::new(Schema::new(schema.fields().iter().enumerate().map(field).collect::<Vec<_>>()))
}
