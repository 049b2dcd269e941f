//! A partition's part in checkpoints: cuts between two steps, taken bit by bit, and put back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use super::Partition;
use crate::circuit::StateLoader;
use crate::circuit::state::{CIRCUIT, StatePart, TENANTS};
use crate::snapshot::{SavedChunk, SavedMarks};
use crate::{RuntimeError, Tenant, TenantSnapshot};

/// Which tenants a checkpoint has to write.
#[derive(Default)]
pub(super) struct Saving {
    /// All that there are or were.
    known: BTreeSet<Tenant>,
    /// Those with changes since the last cut.
    changed: BTreeSet<Tenant>,
    /// What the circuit keeps beside its operators, of the cut under way.
    circuit: Option<StatePart>,
}

impl Saving {
    /// Notes that a tenant's snapshot is another now.
    pub(super) fn touch(&mut self, tenant: Tenant) {
        self.known.insert(tenant);
        self.changed.insert(tenant);
    }
}

/// The snapshots of a cut: of the tenants that changed since the last one, or of all.
#[derive(Debug, Default)]
pub struct CutSnapshots {
    /// By tenant; none for one that was forgotten.
    pub tenants: BTreeMap<Tenant, Option<Arc<TenantSnapshot>>>,
    /// How many views of each stand in checkpoints, from the first on.
    pub views: usize,
}

impl Partition {
    /// Tells which checkpoints fit: those of a partition with the same one.
    pub fn fingerprint(&self) -> [u8; 16] {
        self.circuit.fingerprint()
    }

    /// Makes a cut: what stands now is what the checkpoint has. It takes no longer than to note
    /// that; [`Partition::capture`] gives the state afterwards, between later steps, and has to come
    /// to its end before the next cut. A `whole` cut stands alone; another has what changed since
    /// the last one, which must have been written.
    pub fn cut(&mut self, whole: bool) -> CutSnapshots {
        self.saving.circuit = Some(self.circuit.cut(whole));
        let mut tenants = std::mem::take(&mut self.saving.changed);
        if whole {
            tenants.clone_from(&self.saving.known);
        }
        let published = self.published.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let tenants = tenants.into_iter().map(|t| (t, published.get(&t).cloned())).collect();
        CutSnapshots { tenants, views: self.builtin() }
    }

    /// About `room` bytes of the state of the cut; answers whether that was the last of it.
    pub fn capture(&mut self, room: usize) -> (Vec<StatePart>, bool) {
        let (mut parts, done) = self.circuit.capture(room);
        parts.extend(self.saving.circuit.take());
        (parts, done)
    }

    /// The parts of the state that can be put back side by side, before the first step. Every entry
    /// of a store that one of them owns is to be given to it, in the order of the checkpoints; then
    /// all of them are to be finished. Entries of other stores: [`Partition::restore_entry`].
    pub fn loaders(&mut self) -> Vec<StateLoader<'_>> {
        self.circuit.loaders().collect()
    }

    /// Puts an entry of a store back that no [`StateLoader`] owns.
    pub fn restore_entry(
        &mut self,
        store: u32,
        slot: u64,
        entry: &[u8],
    ) -> Result<(), RuntimeError> {
        match store {
            CIRCUIT => self.circuit.restore(slot, entry),
            _ => Err(crate::circuit::state::damaged()),
        }
    }

    /// The store of the records of the tenants' views, by the tenant's number.
    pub const VIEWS: u32 = TENANTS;

    /// Publishes a tenant's views as a record of a checkpoint has them. Its own views are not among
    /// them: they are to be filled anew.
    pub fn restore_views(
        &mut self,
        tenant: Tenant,
        record: &[u8],
        chunks: &HashMap<u64, SavedChunk>,
    ) -> Result<(), RuntimeError> {
        let empty = self.published.empty.clone();
        let snapshot = TenantSnapshot::restore(tenant, record, empty, chunks)?;
        self.saving.known.insert(tenant);
        self.publish(snapshot);
        Ok(())
    }

    /// The tenants of which a built-in view has failed.
    pub fn failed_tenants(&self) -> BTreeSet<Tenant> {
        self.circuit.failed_tenants()
    }

    /// Says how far a tenant had come, after its events were applied anew in other steps than the
    /// first time, so that its positions stay good.
    pub fn resume(&mut self, tenant: Tenant, marks: SavedMarks) {
        let mut snapshot = TenantSnapshot::clone(&self.readers().snapshot(tenant));
        snapshot.resume(marks);
        self.saving.touch(tenant);
        self.publish(snapshot);
    }
}
