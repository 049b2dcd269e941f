//! Rows that come from no event: they are there from a tenant's birth.

use datafusion::logical_expr::{LogicalPlan, Values};

use super::{Compiled, Compiler, arrow_schema};
use crate::circuit::{self, NodeId};

impl Compiler {
    /// One row without columns for every tenant.
    pub(super) fn one_row(&mut self) -> NodeId {
        self.circuit.births()
    }

    pub(super) fn values(&mut self, values: &Values, plan: &LogicalPlan) -> Compiled<NodeId> {
        let births = self.one_row();
        let schema = arrow_schema(plan.schema());
        let none = datafusion::common::DFSchema::empty();
        let rows = values
            .values
            .iter()
            .map(|row| self.project(births, &none, row, schema.clone()))
            .collect::<Compiled<Vec<_>>>()?;
        Ok(self.circuit.add(Box::new(circuit::Union(schema.clone())), rows, schema))
    }
}
