//! `ROLLUP`, `CUBE` and `GROUPING SETS`: every row counts once in each of the sets, with nulls for
//! the columns that the set leaves out.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, lit};

use super::super::columns::{Columns, keys, name};
use super::super::{Compiled, Compiler, arrow_schema, unsupported_at};
use super::{Grouping, function, over_columns};
use crate::circuit::{self, JoinKind, NodeId};

/// More sets are refused: each multiplies the rows.
const MOST_SETS: usize = 64;

/// More columns are refused: each is a bit of the sets' numbers.
const MOST_COLUMNS: usize = 32;

impl Compiler {
    pub(super) fn grouping_sets(
        &mut self,
        aggregate: &Aggregate,
        sets: &GroupingSet,
    ) -> Compiled<NodeId> {
        let input = self.node(&aggregate.input)?;
        let all: Vec<Expr> =
            grouping_set_to_exprlist(&aggregate.group_expr)?.into_iter().cloned().collect();
        let sets = listed(sets);
        if sets.len() > MOST_SETS || all.len() > MOST_COLUMNS {
            return unsupported_at(
                format!(
                    "a grouping in more than {MOST_SETS} sets or by more than {MOST_COLUMNS} columns"
                ),
                "use fewer, or several views",
                "GROUP",
            );
        }
        let schema = arrow_schema(&aggregate.schema);
        let id_type = schema.field(all.len()).data_type().clone();
        // The columns that the functions read, behind those of the groups.
        let mut columns = Columns::new(aggregate.input.schema());
        for group in keys(&all, aggregate.input.schema())? {
            columns.push(&group);
        }
        // A set nulls the columns it leaves out, but not for the functions.
        columns.set_apart();
        let functions = aggregate
            .aggr_expr
            .iter()
            .enumerate()
            .map(|(i, f)| function(&over_columns(i, &function(f)?, &mut columns)))
            .collect::<Compiled<Vec<_>>>()?;
        let nodes = ids(&all, &sets)
            .into_iter()
            .zip(&sets)
            .map(|(id, set)| self.of_set(input, &columns, &all, set, id, &id_type))
            .collect::<Compiled<Vec<_>>>()?;
        let rows = self.circuit.schema(nodes[0]).clone();
        let expanded =
            self.circuit.add(Box::new(circuit::Union(rows.clone())), nodes, rows.clone());
        let column = |i: usize| Expr::Column(Column::from_name(name(i)));
        let last = rows.fields().len() - 1;
        let groups: Vec<Expr> = (0..all.len()).chain([last]).map(column).collect();
        let grouping = Grouping {
            input: expanded,
            input_schema: &DFSchema::try_from(rows.as_ref().clone())?,
            groups: &groups,
            schema: schema.clone(),
        };
        let node = self.grouped(&grouping, &functions)?;
        let totals: Vec<u64> = ids(&all, &sets)
            .into_iter()
            .zip(&sets)
            .filter_map(|(id, set)| set.is_empty().then_some(id))
            .collect();
        if totals.is_empty() {
            return Ok(node);
        }
        self.with_totals(node, &grouping, &functions, &totals, &id_type)
    }

    /// The rows with the columns that a set leaves out as nulls, and the set's number.
    fn of_set(
        &mut self,
        input: NodeId,
        columns: &Columns<'_>,
        all: &[Expr],
        set: &[Expr],
        id: u64,
        id_type: &DataType,
    ) -> Compiled<NodeId> {
        let mut expressions = columns.expressions().to_vec();
        for (place, group) in all.iter().enumerate() {
            if !set.contains(group) {
                let data_type = group.get_type(columns.input())?;
                expressions[place] = lit(ScalarValue::try_from(&data_type)?);
            }
        }
        expressions.push(lit(ScalarValue::UInt64(Some(id)).cast_to(id_type)?));
        let mut fields: Vec<Arc<Field>> = columns.schema()?.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(name(fields.len()), id_type.clone(), true)));
        self.project(input, columns.input(), &expressions, Arc::new(Schema::new(fields)))
    }

    /// The set of no columns has a row for every tenant, also over no rows.
    fn with_totals(
        &mut self,
        node: NodeId,
        grouping: &Grouping<'_>,
        functions: &[datafusion::logical_expr::expr::AggregateFunction],
        totals: &[u64],
        id_type: &DataType,
    ) -> Compiled<NodeId> {
        let births = self.one_row();
        let groups = grouping.groups.len() - 1;
        let defaults = self.over_nothing(grouping, functions)?;
        let mut parts = vec![node];
        for id in totals {
            let id = ScalarValue::UInt64(Some(*id)).cast_to(id_type)?;
            let mut row = Vec::new();
            for field in &grouping.schema.fields()[..groups] {
                row.push(lit(ScalarValue::try_from(field.data_type())?));
            }
            row.push(lit(id));
            row.extend(defaults.iter().cloned().map(lit));
            let empty = DFSchema::empty();
            let row = self.project(births, &empty, &row, grouping.schema.clone())?;
            // It stands as long as no row makes it come about by itself.
            let keys: Vec<usize> = (0..=groups).collect();
            parts.push(self.join_on(JoinKind::Anti, (row, &keys), (node, &keys))?);
        }
        let schema = grouping.schema.clone();
        Ok(self.circuit.add(Box::new(circuit::Union(schema.clone())), parts, schema))
    }
}

/// The sets one by one.
fn listed(sets: &GroupingSet) -> Vec<Vec<Expr>> {
    match sets {
        GroupingSet::GroupingSets(sets) => sets.clone(),
        GroupingSet::Rollup(columns) => {
            (0..=columns.len()).map(|length| columns[..length].to_vec()).collect()
        }
        GroupingSet::Cube(columns) => {
            let chosen = |set: u64| {
                let within = |(i, _): &(usize, &Expr)| set >> i & 1 == 1;
                columns.iter().enumerate().filter(within).map(|(_, e)| e.clone()).collect()
            };
            (0..1_u64 << columns.len().min(7)).map(chosen).collect()
        }
    }
}

/// The number DataFusion gives each set: a bit for every column it leaves out, the last column's
/// being the lowest, and above them how often the same set came before.
fn ids(all: &[Expr], sets: &[Vec<Expr>]) -> Vec<u64> {
    let left_out = |set: &Vec<Expr>| {
        all.iter().fold(0_u64, |id, column| id << 1 | u64::from(!set.contains(column)))
    };
    let mut ids: Vec<u64> = Vec::new();
    for set in sets {
        let bits = left_out(set);
        let before = ids.iter().filter(|id| *id & ((1 << all.len()) - 1) == bits).count() as u64;
        ids.push(bits | before << all.len());
    }
    ids
}
