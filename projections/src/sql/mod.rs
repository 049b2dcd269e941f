//! SQL to circuit: DataFusion plans a view, and its logical plan becomes operators.
//!
//! The plan goes through DataFusion's analyzer and its logical rules (coercion, simplification,
//! push-down, decorrelation). What is left are a few kinds of nodes, compiled here one by one; the
//! tenant is put into every key by the operators themselves, so no plan ever names it.

mod aggregate;
mod catalog;
mod columns;
mod constant;
mod dependencies;
pub mod dialect;
mod distinct_from_null;
mod flips;
mod group_keys;
mod join;
mod late;
mod limit;
mod order;
mod push_down;
mod refusal;
mod statement;
mod subquery;
mod subquery_names;
mod top;
mod unique;
mod unnest;
mod widths;
mod window;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{DFSchema, TableReference};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection, TableScan, Union};
use datafusion::physical_expr::PhysicalExpr;

use crate::circuit::{self, Circuit, Expressions, NodeId, Temporal};
use crate::{DefineError, EventTypes, View, ViewDefinition};
use catalog::Catalog;
use columns::{nths, physical, reads_clock, with_clock};
use refusal::{Compiled, Refusal, unsupported, unsupported_at};

/// Columns of a relation, also of one inside a view.
const COLUMNS: usize = 1_000;

/// Compiles views one after the other into one circuit; equal parts are compiled once.
pub(crate) struct Compiler {
    circuit: Circuit,
    catalog: Catalog,
    types: EventTypes,
    views: HashMap<String, NodeId>,
    /// Views of another circuit, whose changes come in like events.
    relations: HashMap<String, SchemaRef>,
    compiled: HashMap<LogicalPlan, NodeId>,
    /// How many subqueries have become relations.
    scalars: usize,
}

impl Compiler {
    /// A compiler of views over events of `types`.
    pub(crate) fn new(types: &EventTypes) -> Self {
        Self {
            circuit: Circuit::default(),
            catalog: Catalog::new(types),
            types: types.clone(),
            views: HashMap::new(),
            relations: HashMap::new(),
            compiled: HashMap::new(),
            scalars: 0,
        }
    }

    /// Makes a view of another circuit readable: its changes are to be given to
    /// [`Circuit::step_over`] under its name.
    pub(crate) fn read(&mut self, view: &View) -> Result<(), DefineError> {
        self.catalog.add_view(view.name(), view.schema().clone()).map_err(|error| {
            let message = error.strip_backtrace();
            DefineError::Invalid { view: view.name().to_owned(), message }
        })?;
        self.relations.insert(view.name().to_owned(), view.schema().clone());
        Ok(())
    }

    /// Compiles a view; those after it may read it by its name.
    pub(crate) fn define(&mut self, definition: &ViewDefinition) -> Result<View, DefineError> {
        self.compile(definition).map_err(|refusal| refusal.of(&definition.name, &definition.sql))
    }

    /// The circuit of all views defined.
    pub(crate) fn finish(self) -> Circuit {
        self.circuit
    }

    fn compile(&mut self, definition: &ViewDefinition) -> Compiled<View> {
        let plan = self.catalog.plan(&definition.sql)?;
        self.circuit.note_plan(&definition.name, &plan.display_indent_schema().to_string());
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
        if plan.schema().fields().len() > COLUMNS {
            return Err(Refusal::invalid(format!(
                "a relation of it has {} columns, more than the {COLUMNS} allowed",
                plan.schema().fields().len()
            )));
        }
        let node = if subquery::has_scalars(plan) {
            let joined = self.without_scalars(plan)?;
            self.node(&joined)?
        } else {
            subquery::refuse_subqueries(plan)?;
            self.operator(plan)?
        };
        self.compiled.insert(plan.clone(), node);
        Ok(node)
    }

    fn operator(&mut self, plan: &LogicalPlan) -> Compiled<NodeId> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => self.node(&alias.input),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::Values(values) => self.values(values, plan),
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => Ok(self.one_row()),
            LogicalPlan::EmptyRelation(_) => {
                let schema = arrow_schema(plan.schema());
                Ok(self.circuit.add(Box::new(circuit::Union(schema.clone())), vec![], schema))
            }
            other => unsupported(
                format!("{}", other.display()),
                "use SELECT, WHERE, JOIN, GROUP BY, window functions, set operations and WITH",
            ),
        }
    }

    fn scan(&mut self, scan: &TableScan) -> Compiled<NodeId> {
        let name = scan.table_name.table();
        let node = if scan.table_name.schema() == Some(catalog::EVENTS) {
            self.events(name, scan.projection.as_deref())?
        } else {
            match (self.views.get(name), self.relations.get(name)) {
                (Some(node), _) => *node,
                (None, Some(schema)) => self.circuit.view_source(name, &nullable(schema)),
                (None, None) => {
                    return unsupported_at(
                        format!("the table function {name}"),
                        "list the values with VALUES, or unnest a list",
                        name,
                    );
                }
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

    /// The node of the events of a type, of which these columns are read; all, if none are named.
    fn events(&mut self, name: &str, columns: Option<&[usize]>) -> Compiled<NodeId> {
        let Some(event_type) = self.types.get(name) else {
            return Err(Refusal::invalid(format!("there is no event type '{name}'")));
        };
        let width = event_type.relation().fields().len();
        let is_read =
            |place: usize| columns.is_none_or(|columns| columns.contains(&(width + place)));
        let mut reads_declared = false;
        for (place, field) in event_type.declared().iter().enumerate() {
            if is_read(place) {
                self.circuit.note_declared(event_type, field);
                reads_declared = true;
            }
        }
        // What nobody reads is not taken out of what the events carried.
        let (schema, declared) = if reads_declared {
            (event_type.columns(), event_type.declared())
        } else {
            (event_type.relation(), &[][..])
        };
        Ok(self.circuit.source(event_type, &nullable(schema), declared))
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
        let compiled = self.physicals(expressions, input_schema)?;
        let compiled = Expressions::new(compiled, schema.clone());
        let operator: Box<dyn circuit::Operator> = if expressions.iter().any(reads_clock) {
            let flips = self.flips(expressions, input_schema)?;
            Box::new(Temporal::project(compiled, flips, self.circuit.schema(input))?)
        } else {
            Box::new(circuit::Project(compiled))
        };
        Ok(self.circuit.add(operator, vec![input], schema))
    }

    fn filter(&mut self, filter: &Filter) -> Compiled<NodeId> {
        if let Some(node) = self.top_of_partitions(filter)? {
            return Ok(node);
        }
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
            let flips = self.flips([predicate], input_schema)?;
            Box::new(Temporal::filter(compiled, flips, &schema)?)
        } else {
            Box::new(circuit::Filter(compiled))
        };
        Ok(self.circuit.add(operator, vec![input], schema))
    }

    /// Columns computed from those of a node.
    fn columns_of(
        &mut self,
        input: NodeId,
        columns: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
    ) -> NodeId {
        let project = circuit::Project(Expressions::new(columns, schema.clone()));
        self.circuit.add(Box::new(project), vec![input], schema)
    }

    /// The columns of a node at these places.
    fn nth_columns(&mut self, input: NodeId, places: &[usize]) -> Compiled<NodeId> {
        let schema = self.circuit.schema(input).clone();
        let columns = nths(&schema, places);
        Ok(self.columns_of(input, columns, Arc::new(schema.project(places)?)))
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
                Refusal::invalid(format!("the key names '{name}', which is no column of the view"))
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

/// The name that columns of a relation are known by inside the compiler.
fn bare(name: &str) -> TableReference {
    TableReference::bare(name)
}
