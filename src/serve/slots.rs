//! What there is for each of the partitions that this node holds.

use std::sync::{Arc, PoisonError, RwLock};

use projections::Tenant;

/// In which of several partitions a tenant lives.
pub(crate) type Home = Arc<dyn Fn(Tenant) -> usize + Send + Sync>;

/// All tenants in the only partition.
pub(crate) fn alone() -> Home {
    Arc::new(|_| 0)
}

/// One thing for each partition that is held here. Cheap to clone; all clones are one.
pub(crate) struct Slots<T> {
    slots: Arc<[RwLock<Option<T>>]>,
    home: Home,
}

impl<T> Clone for Slots<T> {
    fn clone(&self) -> Self {
        Self { slots: Arc::clone(&self.slots), home: Arc::clone(&self.home) }
    }
}

impl<T: Clone> Slots<T> {
    /// Empty slots of so many partitions.
    pub(crate) fn new(count: usize, home: Home) -> Self {
        Self { slots: (0..count).map(|_| RwLock::new(None)).collect(), home }
    }

    /// What there is where the tenant lives, if that is held here.
    pub(crate) fn of(&self, tenant: Tenant) -> Option<T> {
        let slot = self.slots.get((self.home)(tenant))?;
        slot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fills a slot, or empties it.
    pub(crate) fn set(&self, number: usize, value: Option<T>) {
        if let Some(slot) = self.slots.get(number) {
            *slot.write().unwrap_or_else(PoisonError::into_inner) = value;
        }
    }

    /// Whether what is in one of the slots is so.
    pub(crate) fn any(&self, is_so: impl Fn(&T) -> bool) -> bool {
        self.slots.iter().any(|slot| {
            slot.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(&is_so)
        })
    }

    /// In which partition the tenant lives.
    pub(crate) fn home(&self, tenant: Tenant) -> usize {
        (self.home)(tenant)
    }
}
