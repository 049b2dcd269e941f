//! A subquery that is a value: at most one row for each tenant.

use std::collections::HashMap;

use super::{Operator, Step};
use crate::{Change, RuntimeError, Tenant};

/// Lets rows through as long as no tenant has more than one.
#[derive(Default)]
pub(crate) struct SingleRow {
    rows: HashMap<Tenant, i64>,
}

impl Operator for SingleRow {
    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        let mut now: HashMap<Tenant, i64> = HashMap::new();
        for (tenant, weight) in change.tenants.values().iter().zip(change.weights.values()) {
            let tenant = Tenant(*tenant);
            let before = || self.rows.get(&tenant).copied().unwrap_or_default();
            *now.entry(tenant).or_insert_with(before) += weight;
        }
        if now.values().any(|rows| *rows > 1) {
            let message = "a subquery that is a value has more than one row".to_owned();
            return Err(RuntimeError { message });
        }
        for (tenant, rows) in now {
            if rows == 0 {
                self.rows.remove(&tenant);
            } else {
                self.rows.insert(tenant, rows);
            }
        }
        Ok(change.clone())
    }

    fn append_only(&mut self, inputs: &[bool]) -> bool {
        inputs[0]
    }

    fn bytes(&self, tenant: Tenant) -> usize {
        self.rows.get(&tenant).map_or(0, size_of_val)
    }

    fn forget(&mut self, tenant: Tenant) {
        self.rows.remove(&tenant);
    }
}
