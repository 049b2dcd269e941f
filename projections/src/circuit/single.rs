//! A subquery that is a value: at most one row for each tenant.

use std::collections::HashMap;

use super::journal::Journal;
use super::state::{Capture, Reader, put_i64, store};
use super::{Operator, Step};
use crate::{Change, RuntimeError, Tenant};

/// Lets rows through as long as no tenant has more than one.
#[derive(Default)]
pub(crate) struct SingleRow {
    rows: HashMap<Tenant, i64>,
    journal: Journal,
}

/// What a checkpoint keeps of a tenant, its number being the slot.
fn write_rows(rows: &HashMap<Tenant, i64>, slot: u32, out: &mut Vec<u8>) {
    if let Some(rows) = rows.get(&Tenant(slot)) {
        put_i64(out, *rows);
    }
}

impl Operator for SingleRow {
    fn is_one_row(&self, _: &[bool]) -> bool {
        true
    }

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
            self.journal.before(tenant.0, |out| write_rows(&self.rows, tenant.0, out));
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
        self.journal.before(tenant.0, |out| write_rows(&self.rows, tenant.0, out));
        self.rows.remove(&tenant);
    }

    fn cut(&mut self, whole: bool) {
        let last = self.rows.keys().map(|tenant| tenant.0 as usize + 1).max();
        self.journal.cut(whole, last.unwrap_or(0));
    }

    fn capture(&mut self, capture: &mut Capture) -> bool {
        let rows = &self.rows;
        let of = (store(capture.node, 0), 0);
        self.journal.capture(capture, of, |slot, out| write_rows(rows, slot, out))
    }

    fn restore(&mut self, _store: u32, slot: u64, entry: &[u8]) -> Result<(), RuntimeError> {
        let tenant = Tenant(slot as u32);
        if entry.is_empty() {
            self.rows.remove(&tenant);
        } else {
            self.rows.insert(tenant, Reader(entry).i64()?);
        }
        Ok(())
    }

    fn restored(&mut self) {
        self.journal.keep();
    }
}
