//! Joins: the equal keys, the further condition, and the side whose rows are kept whole.
//!
//! The circuit knows inner, left, semi and anti joins with conditions that stand still. The other
//! kinds are made from these.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Literal, is_not_null};

use super::columns::{self, nth, nths, physical, reads_clock, refuse_volatile};
use super::subquery::is_scalar;
use super::{Compiled, Compiler, arrow_schema, nullable, unsupported};
use crate::circuit::{
    self, Expressions, JoinKind, JoinSide, LinearAggregate, NodeId, Operator, Residual, SingleRow,
};

/// One side of a join: its rows and what they are joined on.
#[derive(Clone)]
struct Side {
    node: NodeId,
    schema: Arc<DFSchema>,
    keys: Vec<Expr>,
}

/// What is joined, and how.
struct Joined {
    left: Side,
    right: Side,
    condition: Option<Expr>,
    nulls_are_equal: bool,
}

/// The kinds of joins of SQL, the left side being the one whose rows are kept whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Inner,
    Left,
    Full,
    Semi,
    Anti,
    /// Left rows, each with whether it has a partner.
    Mark,
    /// `NOT IN`: left rows without a partner, where nothing is unknown.
    NotIn,
}

impl Compiler {
    pub(super) fn join(&mut self, join: &Join) -> Compiled<NodeId> {
        let (kind, swapped) = kind(join);
        let left = self.input_side(&join.left, join.on.iter().map(|(left, _)| left))?;
        let mut right = self.input_side(&join.right, join.on.iter().map(|(_, right)| right))?;
        if is_scalar(&join.right) {
            right.node = self.single(right.node);
        }
        let (left, right) = if swapped { (right, left) } else { (left, right) };
        let joined = Joined {
            left,
            right,
            condition: join.filter.clone().filter(|filter| *filter != lit(true)),
            nulls_are_equal: join.null_equality == NullEquality::NullEqualsNull,
        };
        let node = match &joined.condition {
            Some(condition) if reads_clock(condition) => self.dated(kind, &joined)?,
            _ => self.undated(kind, &joined)?,
        };
        if swapped && kind == Kind::Left {
            let both = joined.left.schema.join(&joined.right.schema)?;
            return self.reordered(node, &both, &join.schema);
        }
        Ok(node)
    }

    fn input_side<'a>(
        &mut self,
        input: &LogicalPlan,
        keys: impl Iterator<Item = &'a Expr>,
    ) -> Compiled<Side> {
        let keys = columns::keys(keys, input.schema())?;
        let node = self.node(input)?;
        if !keys.iter().any(reads_clock) {
            return Ok(Side { node, schema: input.schema().clone(), keys });
        }
        unsupported(
            "current_date as a key of a join",
            "compare with it in WHERE, or give the relation a column with the date in a subquery",
        )
    }

    /// A join whose condition does not read the date.
    fn undated(&mut self, kind: Kind, joined: &Joined) -> Compiled<NodeId> {
        match kind {
            Kind::Inner => self.basic(JoinKind::Inner, joined),
            Kind::Left => self.basic(JoinKind::Left, joined),
            Kind::Semi => self.existing(JoinKind::Semi, joined),
            Kind::Anti => self.existing(JoinKind::Anti, joined),
            Kind::Mark => self.mark(joined),
            Kind::NotIn => self.not_in(joined),
            Kind::Full => {
                let left = self.basic(JoinKind::Left, joined)?;
                let alone = self.existing(JoinKind::Anti, &joined.swapped())?;
                let right = self.beside_nulls(alone, &joined.left, &joined.right, true)?;
                Ok(self.union_of(vec![left, right]))
            }
        }
    }

    /// One of the circuit's own joins.
    fn basic(&mut self, kind: JoinKind, joined: &Joined) -> Compiled<NodeId> {
        let Joined { left, right, condition, nulls_are_equal } = joined;
        let both = left.schema.join(&right.schema)?;
        let residual = match condition {
            Some(condition) => {
                refuse_volatile(condition)?;
                let condition = physical(self.state(), condition, &both)?;
                Some(Residual::new(condition, &arrow_schema(&both))?)
            }
            None => None,
        };
        let schema = match kind {
            JoinKind::Semi | JoinKind::Anti => arrow_schema(&left.schema),
            JoinKind::Inner | JoinKind::Left => arrow_schema(&both),
        };
        let sides = (self.side(left)?, self.side(right)?);
        let operator =
            circuit::Join::new(kind, sides.0, sides.1, residual, *nulls_are_equal, schema.clone());
        Ok(self.circuit.add(Box::new(operator), vec![left.node, right.node], schema))
    }

    fn side(&self, side: &Side) -> Compiled<JoinSide> {
        let fields = side
            .keys
            .iter()
            .map(|key| Ok(Field::new("key", key.get_type(&side.schema)?, true)))
            .collect::<datafusion::common::Result<Vec<_>>>()?;
        let keys = self.physicals(&side.keys, &side.schema)?;
        let keys = Expressions::new(keys, Arc::new(Schema::new(fields)));
        Ok(JoinSide::new(keys, self.circuit.schema(side.node).clone())?)
    }

    /// A join of two nodes on the columns at these places, nulls being equal.
    pub(super) fn join_on(
        &mut self,
        kind: JoinKind,
        left: (NodeId, &[usize]),
        right: (NodeId, &[usize]),
    ) -> Compiled<NodeId> {
        let (left_schema, right_schema) =
            (self.circuit.schema(left.0).clone(), self.circuit.schema(right.0).clone());
        let side = |schema: &SchemaRef, columns: &[usize]| {
            let keys = nths(schema, columns);
            let keys = Expressions::new(keys, Arc::new(schema.project(columns)?));
            JoinSide::new(keys, schema.clone())
        };
        let schema = match kind {
            JoinKind::Semi | JoinKind::Anti => left_schema.clone(),
            JoinKind::Inner | JoinKind::Left => {
                let fields = left_schema.fields().iter().chain(right_schema.fields());
                nullable(&Schema::new(fields.cloned().collect::<Vec<_>>()))
            }
        };
        let sides = (side(&left_schema, left.1)?, side(&right_schema, right.1)?);
        let operator = circuit::Join::new(kind, sides.0, sides.1, None, true, schema.clone());
        Ok(self.circuit.add(Box::new(operator), vec![left.0, right.0], schema))
    }

    /// A semi or anti join. Without keys and condition it matters only whether there is a row.
    fn existing(&mut self, kind: JoinKind, joined: &Joined) -> Compiled<NodeId> {
        if !joined.left.keys.is_empty() || joined.condition.is_some() {
            return self.basic(kind, joined);
        }
        let any = self.distinct(joined.right.node, vec![])?;
        self.join_on(kind, (joined.left.node, &[]), (any, &[]))
    }

    /// The distinct values of some columns of a node.
    fn distinct(
        &mut self,
        node: NodeId,
        columns: Vec<(String, Arc<dyn PhysicalExpr>)>,
    ) -> Compiled<NodeId> {
        let input = self.circuit.schema(node).clone();
        let fields = columns
            .iter()
            .map(|(name, column)| Ok(Field::new(name, column.data_type(&input)?, true)))
            .collect::<datafusion::common::Result<Vec<_>>>()?;
        let schema = Arc::new(Schema::new(fields));
        let width = columns.len();
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        let before = self.columns_of(node, columns, schema.clone());
        let operator = LinearAggregate::new(width, vec![], schema.clone())?;
        Ok(self.circuit.add(Box::new(operator), vec![before], schema))
    }

    /// Left rows with whether they have a partner.
    fn mark(&mut self, joined: &Joined) -> Compiled<NodeId> {
        if joined.condition.is_some() {
            let with = self.existing(JoinKind::Semi, joined)?;
            let without = self.existing(JoinKind::Anti, joined)?;
            let parts = vec![self.marked(with, true), self.marked(without, false)];
            return Ok(self.union_of(parts));
        }
        // Each distinct key of the right side, with a column that is null beside no partner.
        let Joined { left, right, .. } = joined;
        let keys = self.physicals(&right.keys, &right.schema)?;
        let mut columns: Vec<_> =
            keys.into_iter().enumerate().map(|(i, key)| (format!("k{i}"), key)).collect();
        let width = columns.len();
        columns.push(("found".into(), constant(ScalarValue::from(true))));
        let found = self.distinct(right.node, columns)?;
        let found_schema = self.circuit.schema(found).clone();
        let name = |i: usize| Expr::Column(Column::new(Some(FOUND), format!("k{i}")));
        let found = Side {
            node: found,
            schema: Arc::new(DFSchema::try_from_qualified_schema(FOUND, &found_schema)?),
            keys: (0..width).map(name).collect(),
        };
        let pairs = Joined {
            left: left.clone(),
            right: found,
            condition: None,
            nulls_are_equal: joined.nulls_are_equal,
        };
        let node = self.basic(JoinKind::Left, &pairs)?;
        let schema = self.circuit.schema(node).clone();
        let last = schema.fields().len() - 1;
        let kept: Vec<usize> = (0..last - width).collect();
        let mut columns = nths(&schema, &kept);
        columns.push(is_not_null(nth(&schema, last))?);
        let schema = with_mark(&schema.project(&kept)?);
        Ok(self.columns_of(node, columns, schema))
    }

    fn marked(&mut self, node: NodeId, mark: bool) -> NodeId {
        let schema = self.circuit.schema(node).clone();
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let mut columns = nths(&schema, &all);
        columns.push(constant(ScalarValue::from(mark)));
        self.columns_of(node, columns, with_mark(&schema))
    }

    /// `NOT IN`: a null on the right makes every comparison unknown, and so does one on the left
    /// unless there is nothing to compare it with.
    fn not_in(&mut self, joined: &Joined) -> Compiled<NodeId> {
        let ([key], [other], None) =
            (&joined.left.keys[..], &joined.right.keys[..], &joined.condition)
        else {
            return unsupported(
                "NOT IN with a subquery that refers to the row",
                "use NOT EXISTS (SELECT 1 … WHERE …)",
            );
        };
        let without = self.basic(JoinKind::Anti, joined)?;
        let is_null = self.physical(&other.clone().is_null(), &joined.right.schema)?;
        let nulls = self.distinct(joined.right.node, vec![("is_null".into(), is_null)])?;
        let nulls_schema = self.circuit.schema(nulls).clone();
        let right = DFSchema::try_from_qualified_schema(FOUND, &nulls_schema)?;
        let unknown = Expr::Column(Column::new(Some(FOUND), "is_null")).or(key.clone().is_null());
        self.basic(
            JoinKind::Anti,
            &Joined {
                left: Side { node: without, keys: vec![], ..joined.left.clone() },
                right: Side { node: nulls, schema: Arc::new(right), keys: vec![] },
                condition: Some(unknown),
                nulls_are_equal: false,
            },
        )
    }

    /// A join whose condition reads the date: its pairs are filtered by it, and a row is without a
    /// partner when it is in no pair. So a new date moves the pairs that it changes, and no others.
    fn dated(&mut self, kind: Kind, joined: &Joined) -> Compiled<NodeId> {
        let Some(condition) = &joined.condition else {
            return self.undated(kind, joined);
        };
        let both = joined.left.schema.join(&joined.right.schema)?;
        let all = Joined { condition: None, ..joined.swapped().swapped() };
        let pairs = self.basic(JoinKind::Inner, &all)?;
        let pairs = self.filtered(pairs, &both, condition)?;
        if kind == Kind::Inner {
            return Ok(pairs);
        }
        let width = joined.left.schema.fields().len();
        let left: Vec<usize> = (0..width).collect();
        let in_pairs = self.nth_columns(pairs, &left)?;
        let (sides, rows) = ((joined.left.node, &left[..]), (in_pairs, &left[..]));
        match kind {
            Kind::Semi => self.join_on(JoinKind::Semi, sides, rows),
            Kind::Anti => self.join_on(JoinKind::Anti, sides, rows),
            Kind::Mark => {
                let with = self.join_on(JoinKind::Semi, sides, rows)?;
                let without = self.join_on(JoinKind::Anti, sides, rows)?;
                let parts = vec![self.marked(with, true), self.marked(without, false)];
                Ok(self.union_of(parts))
            }
            Kind::NotIn => unsupported(
                "current_date in a subquery of NOT IN",
                "use NOT EXISTS (SELECT 1 … WHERE …)",
            ),
            Kind::Inner | Kind::Left | Kind::Full => {
                let alone = self.join_on(JoinKind::Anti, sides, rows)?;
                let alone = self.beside_nulls(alone, &joined.left, &joined.right, false)?;
                let mut parts = vec![pairs, alone];
                if kind == Kind::Full {
                    let right: Vec<usize> =
                        (width..width + joined.right.schema.fields().len()).collect();
                    let in_pairs = self.nth_columns(pairs, &right)?;
                    let places: Vec<usize> = (0..right.len()).collect();
                    let sides = (joined.right.node, &places[..]);
                    let alone = self.join_on(JoinKind::Anti, sides, (in_pairs, &places))?;
                    parts.push(self.beside_nulls(alone, &joined.left, &joined.right, true)?);
                }
                Ok(self.union_of(parts))
            }
        }
    }

    /// Rows of one side with nulls for the columns of the other.
    fn beside_nulls(
        &mut self,
        node: NodeId,
        left: &Side,
        right: &Side,
        nulls_first: bool,
    ) -> Compiled<NodeId> {
        let both = left.schema.join(&right.schema)?;
        let schema = self.circuit.schema(node).clone();
        let own = nths(&schema, &(0..schema.fields().len()).collect::<Vec<_>>());
        let other = if nulls_first { &left.schema } else { &right.schema };
        let nulls = other
            .fields()
            .iter()
            .map(|f| Ok(constant(ScalarValue::try_from(f.data_type())?)))
            .collect::<datafusion::common::Result<Vec<_>>>()?;
        let columns = if nulls_first {
            nulls.into_iter().chain(own).collect()
        } else {
            own.into_iter().chain(nulls).collect()
        };
        Ok(self.columns_of(node, columns, arrow_schema(&both)))
    }

    fn union_of(&mut self, nodes: Vec<NodeId>) -> NodeId {
        let schema = self.circuit.schema(nodes[0]).clone();
        self.circuit.add(Box::new(circuit::Union(schema.clone())), nodes, schema)
    }

    fn single(&mut self, node: NodeId) -> NodeId {
        let schema = self.circuit.schema(node).clone();
        let operator: Box<dyn Operator> = Box::new(SingleRow::default());
        self.circuit.add(operator, vec![node], schema)
    }

    /// The columns of a swapped join in the order the plan has them.
    fn reordered(&mut self, node: NodeId, from: &DFSchema, to: &DFSchema) -> Compiled<NodeId> {
        let columns: Vec<Expr> = to.iter().map(|field| Expr::Column(Column::from(field))).collect();
        self.project(node, from, &columns, arrow_schema(to))
    }
}

/// The name of the compiler's own side of a join.
const FOUND: &str = "@found";

impl Joined {
    fn swapped(&self) -> Self {
        Self {
            left: self.right.clone(),
            right: self.left.clone(),
            condition: self.condition.clone(),
            nulls_are_equal: self.nulls_are_equal,
        }
    }
}

fn constant(value: ScalarValue) -> Arc<dyn PhysicalExpr> {
    Arc::new(Literal::new(value))
}

/// The columns of left rows and the mark.
fn with_mark(schema: &Schema) -> SchemaRef {
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("mark", DataType::Boolean, true)));
    nullable(&Schema::new(fields))
}

/// The kind of join, and whether the right side takes the left one's part.
fn kind(join: &Join) -> (Kind, bool) {
    match join.join_type {
        JoinType::LeftAnti if join.null_aware => (Kind::NotIn, false),
        JoinType::Inner => (Kind::Inner, false),
        JoinType::Left => (Kind::Left, false),
        JoinType::Full => (Kind::Full, false),
        JoinType::LeftSemi => (Kind::Semi, false),
        JoinType::LeftAnti => (Kind::Anti, false),
        JoinType::LeftMark => (Kind::Mark, false),
        JoinType::Right => (Kind::Left, true),
        JoinType::RightSemi => (Kind::Semi, true),
        JoinType::RightAnti => (Kind::Anti, true),
        JoinType::RightMark => (Kind::Mark, true),
    }
}
