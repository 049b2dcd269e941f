//! `ORDER BY` and `LIMIT`. A view has no order of its own, so an order alone changes nothing; with
//! a limit it says which rows there are.

use datafusion::logical_expr::{FetchType, Limit, LogicalPlan, SkipType, Sort};

use super::subquery::has_scalars;
use super::top::{all_columns, ordered};
use super::{Compiled, Compiler, arrow_schema, unsupported_at};
use crate::circuit::{NodeId, Numbering, Top, TopRows};

/// Whether a plan has one row at most, whatever the events.
pub(super) fn is_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(node) => is_one_row(&node.input),
        LogicalPlan::Filter(node) => is_one_row(&node.input),
        LogicalPlan::SubqueryAlias(node) => is_one_row(&node.input),
        LogicalPlan::Aggregate(node) => node.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(_) => true,
        _ => false,
    }
}

impl Compiler {
    pub(super) fn sort(&mut self, sort: &Sort) -> Compiled<NodeId> {
        match sort.fetch {
            Some(_) => self.first(sort, 0, u64::MAX),
            None => self.node(&sort.input),
        }
    }

    pub(super) fn limit(&mut self, limit: &Limit) -> Compiled<NodeId> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
            (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return unsupported_at("a LIMIT that is computed", "give it as a number", "LIMIT");
        };
        let skip = skip as u64;
        let up_to = fetch.map_or(u64::MAX, |fetch| skip.saturating_add(fetch as u64));
        if let Some(node) = self.first_below(&limit.input, skip, up_to)? {
            return Ok(node);
        }
        if skip == 0 && up_to > 0 && is_one_row(&limit.input) {
            return self.node(&limit.input);
        }
        unsupported_at(
            "LIMIT without ORDER BY",
            "say which rows come first: ORDER BY … LIMIT …",
            if fetch.is_some() { "LIMIT" } else { "OFFSET" },
        )
    }

    /// The rows from number `skip + 1` to `up_to` in the order that is below projections.
    fn first_below(
        &mut self,
        plan: &LogicalPlan,
        skip: u64,
        up_to: u64,
    ) -> Compiled<Option<NodeId>> {
        Ok(match plan {
            LogicalPlan::Sort(sort) => Some(self.first(sort, skip, up_to)?),
            LogicalPlan::SubqueryAlias(alias) => self.first_below(&alias.input, skip, up_to)?,
            LogicalPlan::Projection(projection) if !has_scalars(plan) => {
                match self.first_below(&projection.input, skip, up_to)? {
                    Some(node) => {
                        let (from, to) = (projection.input.schema(), &projection.schema);
                        Some(self.project(node, from, &projection.expr, arrow_schema(to))?)
                    }
                    None => None,
                }
            }
            _ => None,
        })
    }

    fn first(&mut self, sort: &Sort, skip: u64, up_to: u64) -> Compiled<NodeId> {
        let input = self.node(&sort.input)?;
        let mut columns = all_columns(sort.input.schema());
        let width = columns.expressions().len();
        let what = TopRows {
            partition: vec![],
            order: ordered(&sort.expr, &mut columns),
            width,
            numbering: Numbering::RowNumber,
            skip,
            up_to: sort.fetch.map_or(up_to, |fetch| up_to.min(fetch as u64)),
            numbered: false,
        };
        let before = self.columns(input, &columns)?;
        let rows = self.circuit.schema(before).clone();
        let schema = arrow_schema(sort.input.schema());
        let operator = Top::new(what, &rows, schema.clone())?;
        Ok(self.circuit.add(Box::new(operator), vec![before], schema))
    }
}
