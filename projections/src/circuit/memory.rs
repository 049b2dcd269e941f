//! How much state each tenant has in an operator.

use hashbrown::HashMap;

use crate::Tenant;

/// Bytes by tenant. Rows of a tenant mostly come together, so the last one's place is kept.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    places: HashMap<Tenant, usize>,
    bytes: Vec<(Tenant, usize)>,
    last: usize,
}

impl Tally {
    fn of(&mut self, tenant: Tenant) -> &mut usize {
        if self.bytes.get(self.last).is_none_or(|(last, _)| *last != tenant) {
            self.last = *self.places.entry(tenant).or_insert_with(|| {
                self.bytes.push((tenant, 0));
                self.bytes.len() - 1
            });
        }
        &mut self.bytes[self.last].1
    }

    /// More bytes of a tenant.
    pub(crate) fn add(&mut self, tenant: Tenant, bytes: usize) {
        *self.of(tenant) += bytes;
    }

    /// Fewer bytes of a tenant.
    pub(crate) fn remove(&mut self, tenant: Tenant, bytes: usize) {
        let held = self.of(tenant);
        debug_assert!(*held >= bytes, "more goes than came");
        *held = held.saturating_sub(bytes);
    }

    /// No bytes of a tenant any more.
    pub(crate) fn forget(&mut self, tenant: Tenant) {
        if let Some(place) = self.places.get(&tenant) {
            self.bytes[*place].1 = 0;
        }
    }

    /// The bytes of a tenant.
    pub(crate) fn bytes(&self, tenant: Tenant) -> usize {
        self.places.get(&tenant).map_or(0, |place| self.bytes[*place].1)
    }
}
