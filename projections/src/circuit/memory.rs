//! How much state each tenant has in an operator.

use hashbrown::HashMap;

use crate::Tenant;

/// Bytes by tenant.
#[derive(Debug, Default)]
pub(crate) struct Tally(HashMap<Tenant, usize>);

impl Tally {
    /// More bytes of a tenant.
    pub(crate) fn add(&mut self, tenant: Tenant, bytes: usize) {
        *self.0.entry(tenant).or_default() += bytes;
    }

    /// Fewer bytes of a tenant.
    pub(crate) fn remove(&mut self, tenant: Tenant, bytes: usize) {
        if let Some(held) = self.0.get_mut(&tenant) {
            *held = held.saturating_sub(bytes);
        }
    }

    /// The bytes of a tenant.
    pub(crate) fn bytes(&self, tenant: Tenant) -> usize {
        self.0.get(&tenant).copied().unwrap_or(0)
    }
}
