//! How many queries run at once, per tenant and in all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use projections::Tenant;

use crate::{QueryError, QueryLimits};

/// Counts the running queries. An entry lives only as long as its tenant has one running.
#[derive(Debug)]
pub(crate) struct Admission {
    per_tenant: usize,
    in_all: usize,
    running: Mutex<HashMap<Tenant, usize>>,
}

/// The right to run one query; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    tenant: Tenant,
}

impl Admission {
    pub(crate) fn new(limits: &QueryLimits) -> Arc<Self> {
        Arc::new(Self {
            per_tenant: limits.concurrent,
            in_all: limits.total_concurrent,
            running: Mutex::default(),
        })
    }

    /// Lets one more query in, or says that too many are running.
    pub(crate) fn enter(self: &Arc<Self>, tenant: Tenant) -> Result<Permit, QueryError> {
        let mut running = self.running();
        let total: usize = running.values().sum();
        let mine = running.get(&tenant).copied().unwrap_or(0);
        if mine >= self.per_tenant || total >= self.in_all {
            return Err(QueryError::Busy);
        }
        running.insert(tenant, mine + 1);
        drop(running);
        Ok(Permit { admission: self.clone(), tenant })
    }

    /// A count cannot be left half written, so a poisoned lock is as good as any.
    fn running(&self) -> MutexGuard<'_, HashMap<Tenant, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut running = self.admission.running();
        match running.get_mut(&self.tenant) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                running.remove(&self.tenant);
            }
        }
    }
}
