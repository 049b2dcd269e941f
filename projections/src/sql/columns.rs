//! Expressions: from the plan's to the circuit's, and the columns an operator needs of its input.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, ExprSchemable, Volatility, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions;

use super::{Compiled, unsupported_at};
use crate::clock::TODAY;
use crate::functions::charge;

/// Whether an expression reads the tenant's date.
pub(super) fn reads_clock(expr: &Expr) -> bool {
    expr.exists(|e| Ok(matches!(e, Expr::ScalarVariable(..)))).unwrap_or(false)
}

/// Refuses functions whose answer is not determined by their arguments.
pub(super) fn refuse_volatile(expr: &Expr) -> Compiled<()> {
    let mut found = None;
    // The closure never fails, so neither does the walk.
    let _ = expr.apply(|e| {
        if let Expr::ScalarFunction(call) = e
            && call.func.signature().volatility != Volatility::Immutable
        {
            found = Some(call.func.name().to_owned());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match found {
        Some(name) => unsupported_at(
            format!("{name}()"),
            "use only functions whose result follows from their arguments, and current_date",
            name,
        ),
        None => Ok(()),
    }
}

/// An expression that reads the date, as one over an input whose last column is the date.
pub(super) fn with_clock(expr: &Expr, schema: &DFSchema) -> Result<(Expr, DFSchema)> {
    if !reads_clock(expr) {
        return Ok((expr.clone(), schema.clone()));
    }
    let mut fields: Vec<_> = schema.iter().map(|(q, f)| (q.cloned(), f.clone())).collect();
    fields.push((None, Arc::new(Field::new(TODAY, DataType::Date32, true))));
    let schema = DFSchema::new_with_metadata(fields, schema.metadata().clone())?;
    let expr = expr.clone().transform_up(|e| {
        Ok(match e {
            Expr::ScalarVariable(..) => Transformed::yes(Expr::Column(Column::from_name(TODAY))),
            other => Transformed::no(other),
        })
    })?;
    Ok((expr.data, schema))
}

/// The expression to run over rows of `schema`.
pub(super) fn physical(
    state: &SessionState,
    expr: &Expr,
    schema: &DFSchema,
) -> Result<Arc<dyn PhysicalExpr>> {
    // What it makes is charged to the step that evaluates it.
    let expr = charge(expr.clone(), &mut || None)?.data;
    datafusion::physical_expr::create_physical_expr(
        &expr,
        schema,
        state.execution_props(),
        &PhysicalPlanningContext::default(),
    )
}

/// What rows are grouped or joined by. An operator compares bytes, and of floats the two zeros are one
/// key to DataFusion: adding a zero makes one of them, and leaves all other values as they are.
pub(super) fn key(expr: &Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(match expr.get_type(schema)? {
        DataType::Float64 => expr.clone().unalias() + lit(0.0_f64),
        DataType::Float32 => expr.clone().unalias() + lit(0.0_f32),
        _ => expr.clone(),
    })
}

/// What rows are grouped or joined by, each as [`key`].
pub(super) fn keys<'a>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    schema: &DFSchema,
) -> Result<Vec<Expr>> {
    exprs.into_iter().map(|expr| key(expr, schema)).collect()
}

/// The columns an operator reads, put before it as a projection. They are named by their place,
/// `c0`, `c1`, …, so that no two are confused.
pub(super) struct Columns<'a> {
    input: &'a DFSchema,
    expressions: Vec<Expr>,
    /// How many of the first columns stand for themselves alone.
    apart: usize,
}

impl<'a> Columns<'a> {
    /// No columns yet of `input`.
    pub(super) fn new(input: &'a DFSchema) -> Self {
        Self { input, expressions: Vec::new(), apart: 0 }
    }

    /// Adds a column, even if an equal one is there.
    pub(super) fn push(&mut self, expr: &Expr) -> usize {
        self.expressions.push(expr.clone().unalias());
        self.expressions.len() - 1
    }

    /// The place of a column, added when no equal one is there.
    pub(super) fn place(&mut self, expr: &Expr) -> usize {
        let expr = expr.clone().unalias();
        match self.expressions[self.apart..].iter().position(|e| *e == expr) {
            Some(place) => self.apart + place,
            None => self.push(&expr),
        }
    }

    /// Keeps the columns so far for themselves: no expression is found among them.
    pub(super) fn set_apart(&mut self) {
        self.apart = self.expressions.len();
    }

    /// The expression as a reference to its column; a constant stays what it is, for some
    /// functions insist on one.
    pub(super) fn reference(&mut self, expr: &Expr) -> Expr {
        let mut constant = !reads_clock(expr);
        constant &= !expr.exists(|e| Ok(matches!(e, Expr::Column(_)))).unwrap_or(true);
        if constant {
            return expr.clone();
        }
        Expr::Column(Column::from_name(name(self.place(expr))))
    }

    /// The columns they are made from.
    pub(super) fn input(&self) -> &'a DFSchema {
        self.input
    }

    /// All columns.
    pub(super) fn expressions(&self) -> &[Expr] {
        &self.expressions
    }

    /// Their names and types.
    pub(super) fn schema(&self) -> Result<SchemaRef> {
        let fields = self
            .expressions
            .iter()
            .enumerate()
            .map(|(i, e)| Ok(Field::new(name(i), e.get_type(self.input)?, true)))
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Schema::new(fields)))
    }
}

/// The name of the column at a place.
pub(super) fn name(place: usize) -> String {
    format!("c{place}")
}

/// The column of a batch at a place.
pub(super) fn nth(schema: &Schema, place: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(expressions::Column::new(schema.field(place).name(), place))
}

/// The columns of a batch at these places.
pub(super) fn nths(schema: &Schema, places: &[usize]) -> Vec<Arc<dyn PhysicalExpr>> {
    places.iter().map(|place| nth(schema, *place)).collect()
}
