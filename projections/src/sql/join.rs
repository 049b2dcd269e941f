//! Joins: the equal keys, the further condition, and the side whose rows are kept whole.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::common::{Column, DFSchema, JoinType, NullEquality};
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan};

use super::columns::{physical, reads_clock, refuse_volatile};
use super::{Compiled, Compiler, arrow_schema, unsupported};
use crate::circuit::{self, Expressions, JoinKind, JoinSide, NodeId};

impl Compiler {
    pub(super) fn join(&mut self, join: &Join) -> Compiled<NodeId> {
        let (kind, swapped) = kind(join)?;
        let left_keys: Vec<Expr> = join.on.iter().map(|(left, _)| left.clone()).collect();
        let right_keys: Vec<Expr> = join.on.iter().map(|(_, right)| right.clone()).collect();
        let (outer, inner) = if swapped {
            ((&join.right, right_keys), (&join.left, left_keys))
        } else {
            ((&join.left, left_keys), (&join.right, right_keys))
        };
        let both = Arc::new(outer.0.schema().join(inner.0.schema())?);
        let (condition, after) = match &join.filter {
            Some(filter) if reads_clock(filter) && kind == JoinKind::Inner => (None, Some(filter)),
            Some(filter) if reads_clock(filter) => {
                return unsupported(
                    "current_date in the condition of an outer join",
                    "filter the joined side in a subquery before the join",
                );
            }
            other => (other.as_ref(), None),
        };
        let residual = match condition {
            Some(filter) => {
                refuse_volatile(filter)?;
                Some((physical(self.state(), filter, &both)?, arrow_schema(&both)))
            }
            None => None,
        };
        let nodes = vec![self.node(outer.0)?, self.node(inner.0)?];
        let left = self.side(outer.0, &outer.1, nodes[0])?;
        let right = self.side(inner.0, &inner.1, nodes[1])?;
        let nulls_are_equal = join.null_equality == NullEquality::NullEqualsNull;
        let schema = match kind {
            JoinKind::Semi | JoinKind::Anti => arrow_schema(outer.0.schema()),
            JoinKind::Inner | JoinKind::Left => arrow_schema(&both),
        };
        let operator =
            circuit::Join::new(kind, left, right, residual, nulls_are_equal, schema.clone())?;
        let mut node = self.circuit.add(Box::new(operator), nodes, schema);
        if let Some(filter) = after {
            node = self.filtered(node, &both, filter)?;
        }
        if swapped && matches!(kind, JoinKind::Left) {
            node = self.reordered(node, &both, &join.schema)?;
        }
        Ok(node)
    }

    fn side(&self, input: &LogicalPlan, keys: &[Expr], node: NodeId) -> Compiled<JoinSide> {
        let fields = keys
            .iter()
            .map(|key| Ok(Field::new("key", key.get_type(input.schema())?, true)))
            .collect::<datafusion::common::Result<Vec<_>>>()?;
        let keys = self.physicals(keys, input.schema())?;
        let keys = Expressions::new(keys, Arc::new(Schema::new(fields)));
        Ok(JoinSide::new(keys, self.circuit.schema(node).clone())?)
    }

    /// The columns of a swapped join in the order the plan has them.
    fn reordered(&mut self, node: NodeId, from: &DFSchema, to: &DFSchema) -> Compiled<NodeId> {
        let columns: Vec<Expr> = to.iter().map(|field| Expr::Column(Column::from(field))).collect();
        self.project(node, from, &columns, arrow_schema(to))
    }
}

/// The kind of join, and whether the right side takes the left one's part.
fn kind(join: &Join) -> Compiled<(JoinKind, bool)> {
    if join.on.is_empty() {
        return unsupported(
            "a join without an equality between its sides",
            "join on a column that both sides have, and put the rest into the condition",
        );
    }
    if join.null_aware {
        return unsupported("NOT IN (SELECT …)", "use NOT EXISTS (SELECT 1 … WHERE …)");
    }
    match join.join_type {
        JoinType::Inner => Ok((JoinKind::Inner, false)),
        JoinType::Left => Ok((JoinKind::Left, false)),
        JoinType::LeftSemi => Ok((JoinKind::Semi, false)),
        JoinType::LeftAnti => Ok((JoinKind::Anti, false)),
        JoinType::Right => Ok((JoinKind::Left, true)),
        JoinType::RightSemi => Ok((JoinKind::Semi, true)),
        JoinType::RightAnti => Ok((JoinKind::Anti, true)),
        other => unsupported(
            format!("a {} join", other.to_string().to_uppercase()),
            "write it as the LEFT joins of both sides, put together with UNION ALL",
        ),
    }
}
