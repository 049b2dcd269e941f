//! SQL to circuit: DataFusion plans a view, and its logical plan becomes operators.
//!
//! The plan goes through DataFusion's analyzer and its logical rules (coercion, simplification,
//! push-down, decorrelation). What is left are a few kinds of nodes, compiled here one by one; the
//! tenant is put into every key by the operators themselves, so no plan ever names it.

mod aggregate;
mod catalog;
mod columns;
mod join;
mod window;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{DFSchema, TableReference};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Distinct, Expr, Filter, LogicalPlan, Projection, TableScan, Union};
use datafusion::physical_expr::PhysicalExpr;
use futures::executor::block_on;

use crate::circuit::{self, Circuit, Expressions, NodeId, Temporal, TemporalState};
use crate::{DefineError, EventTypes, RuntimeError, View, ViewDefinition, clock};
use catalog::Catalog;
use columns::{physical, reads_clock, with_clock};

/// Compiles views one after the other into one circuit; equal parts are compiled once.
pub(crate) struct Compiler {
    circuit: Circuit,
    catalog: Catalog,
    views: HashMap<String, NodeId>,
    compiled: HashMap<LogicalPlan, NodeId>,
}

/// Why a view cannot be compiled, before its name is added.
#[derive(Debug)]
enum Refusal {
    Invalid(String),
    Unsupported { construct: String, way_out: String },
}

type Compiled<T> = Result<T, Refusal>;

impl From<DataFusionError> for Refusal {
    fn from(error: DataFusionError) -> Self {
        Self::Invalid(error.strip_backtrace())
    }
}

impl From<RuntimeError> for Refusal {
    fn from(error: RuntimeError) -> Self {
        Self::Invalid(error.message)
    }
}

fn unsupported<T>(construct: impl Into<String>, way_out: impl Into<String>) -> Compiled<T> {
    Err(Refusal::Unsupported { construct: construct.into(), way_out: way_out.into() })
}

impl Compiler {
    /// A compiler of views over events of `types`.
    pub(crate) fn new(types: &EventTypes) -> Self {
        Self {
            circuit: Circuit::default(),
            catalog: Catalog::new(types),
            views: HashMap::new(),
            compiled: HashMap::new(),
        }
    }

    /// Compiles a view; those after it may read it by its name.
    pub(crate) fn define(&mut self, definition: &ViewDefinition) -> Result<View, DefineError> {
        self.compile(definition).map_err(|refusal| {
            let view = definition.name.clone();
            match refusal {
                Refusal::Invalid(message) => DefineError::Invalid { view, message },
                Refusal::Unsupported { construct, way_out } => {
                    DefineError::Unsupported { view, construct, way_out }
                }
            }
        })
    }

    /// The circuit of all views defined.
    pub(crate) fn finish(self) -> Circuit {
        self.circuit
    }

    fn compile(&mut self, definition: &ViewDefinition) -> Compiled<View> {
        let plan = block_on(self.catalog.plan(&definition.sql))?;
        let plan = self.catalog.state().optimize(&clock::open(plan)?)?;
        let node = self.node(&plan)?;
        let schema = self.circuit.schema(node).clone();
        let key = key_columns(definition, &schema)?;
        if !definition.internal {
            self.circuit.output(node, &key)?;
        }
        self.catalog.add_view(&definition.name, schema.clone())?;
        self.views.insert(definition.name.clone(), node);
        Ok(View::new(&definition.name, &definition.sql, schema, key))
    }

    /// The node that computes a plan.
    fn node(&mut self, plan: &LogicalPlan) -> Compiled<NodeId> {
        if let Some(node) = self.compiled.get(plan) {
            return Ok(*node);
        }
        let node = match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan)?,
            LogicalPlan::SubqueryAlias(alias) => self.node(&alias.input)?,
            LogicalPlan::Projection(projection) => self.projection(projection)?,
            LogicalPlan::Filter(filter) => self.filter(filter)?,
            LogicalPlan::Union(union) => self.union(union)?,
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate)?,
            LogicalPlan::Window(window) => self.window(window)?,
            LogicalPlan::Join(join) => self.join(join)?,
            LogicalPlan::EmptyRelation(empty) if !empty.produce_one_row => {
                let schema = arrow_schema(plan.schema());
                self.circuit.add(Box::new(circuit::Union(schema.clone())), vec![], schema)
            }
            other => return refuse(other),
        };
        self.compiled.insert(plan.clone(), node);
        Ok(node)
    }

    fn scan(&mut self, scan: &TableScan) -> Compiled<NodeId> {
        let name = scan.table_name.table();
        let node = if scan.table_name.schema() == Some(catalog::EVENTS) {
            let schema = scan.source.schema();
            self.circuit.source(name, &nullable(&schema))
        } else {
            match self.views.get(name) {
                Some(node) => *node,
                None => return Err(Refusal::Invalid(format!("there is no relation '{name}'"))),
            }
        };
        let Some(columns) = &scan.projection else {
            return Ok(node);
        };
        let input = DFSchema::try_from(self.circuit.schema(node).as_ref().clone())?;
        let expressions: Vec<Expr> =
            columns.iter().map(|c| Expr::Column(input.qualified_field(*c).into())).collect();
        self.project(node, &input, &expressions, arrow_schema(&scan.projected_schema))
    }

    fn projection(&mut self, projection: &Projection) -> Compiled<NodeId> {
        let input = self.node(&projection.input)?;
        let schema = arrow_schema(&projection.schema);
        self.project(input, projection.input.schema(), &projection.expr, schema)
    }

    /// Puts `expressions` over a node; a node that keeps rows when they read the date.
    fn project(
        &mut self,
        input: NodeId,
        input_schema: &DFSchema,
        expressions: &[Expr],
        schema: SchemaRef,
    ) -> Compiled<NodeId> {
        let temporal = expressions.iter().any(reads_clock);
        let compiled = self.physicals(expressions, input_schema)?;
        let expressions = Expressions::new(compiled, schema.clone());
        let operator: Box<dyn circuit::Operator> = if temporal {
            let state = TemporalState::new(self.circuit.schema(input))?;
            Box::new(Temporal::Project(expressions, state))
        } else {
            Box::new(circuit::Project(expressions))
        };
        Ok(self.circuit.add(operator, vec![input], schema))
    }

    fn filter(&mut self, filter: &Filter) -> Compiled<NodeId> {
        let input = self.node(&filter.input)?;
        self.filtered(input, filter.input.schema(), &filter.predicate)
    }

    /// The rows of a node that satisfy `predicate`.
    fn filtered(
        &mut self,
        input: NodeId,
        input_schema: &DFSchema,
        predicate: &Expr,
    ) -> Compiled<NodeId> {
        let compiled = self.physical(predicate, input_schema)?;
        let schema = self.circuit.schema(input).clone();
        let operator: Box<dyn circuit::Operator> = if reads_clock(predicate) {
            Box::new(Temporal::Filter(compiled, TemporalState::new(&schema)?))
        } else {
            Box::new(circuit::Filter(compiled))
        };
        Ok(self.circuit.add(operator, vec![input], schema))
    }

    fn union(&mut self, union: &Union) -> Compiled<NodeId> {
        let schema = arrow_schema(&union.schema);
        let inputs = union.inputs.iter().map(|i| self.node(i)).collect::<Compiled<Vec<_>>>()?;
        Ok(self.circuit.add(Box::new(circuit::Union(schema.clone())), inputs, schema))
    }

    fn physical(&self, expr: &Expr, schema: &DFSchema) -> Compiled<Arc<dyn PhysicalExpr>> {
        columns::refuse_volatile(expr)?;
        let (expr, schema) = with_clock(expr, schema)?;
        Ok(physical(self.state(), &expr, &schema)?)
    }

    fn physicals(
        &self,
        expressions: &[Expr],
        schema: &DFSchema,
    ) -> Compiled<Vec<Arc<dyn PhysicalExpr>>> {
        expressions.iter().map(|e| self.physical(e, schema)).collect()
    }

    fn state(&self) -> &SessionState {
        self.catalog.state()
    }
}

fn key_columns(definition: &ViewDefinition, schema: &Schema) -> Compiled<Vec<usize>> {
    definition
        .key
        .iter()
        .map(|name| {
            schema.index_of(name).map_err(|_| {
                Refusal::Invalid(format!("the key names '{name}', which is no column of the view"))
            })
        })
        .collect()
}

/// A schema whose columns may all be null: a plan's claims are not needed, and a wrong one would
/// stop the view.
fn nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn arrow_schema(schema: &DFSchema) -> SchemaRef {
    nullable(schema.as_arrow())
}

fn refuse<T>(plan: &LogicalPlan) -> Compiled<T> {
    match plan {
        LogicalPlan::Sort(_) => unsupported("ORDER BY", "order the rows when you read the view"),
        LogicalPlan::Limit(_) => unsupported("LIMIT", "limit the rows when you read the view"),
        LogicalPlan::RecursiveQuery(_) => {
            unsupported("WITH RECURSIVE", "write the levels out as joins")
        }
        LogicalPlan::Distinct(Distinct::On(_)) => {
            unsupported("DISTINCT ON", "use first_value(… ORDER BY …) with GROUP BY")
        }
        LogicalPlan::Unnest(_) => unsupported("UNNEST", "register an event type with a row each"),
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => unsupported(
            "a SELECT without FROM, or VALUES",
            "write the constants as a CASE expression",
        ),
        other => unsupported(
            format!("{}", other.display()),
            "use SELECT, WHERE, JOIN, GROUP BY, window functions, UNION ALL and WITH",
        ),
    }
}

/// The name that columns of a relation are known by inside the compiler.
fn bare(name: &str) -> TableReference {
    TableReference::bare(name)
}
