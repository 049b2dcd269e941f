//! All tenants in memory, for the paths that are taken often.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::Mutex;

use crate::{NewTenant, Store, StoreError, TenantChange, TenantId, TenantRecord};

/// All tenant records, by id and by number. Cheap to clone; all clones are one directory.
///
/// It is read from memory and changed through the store: a change is there when its call returns,
/// and only if the store took it. There must be one directory a process; what other processes change
/// in the store is there after the next [`Directory::refresh`].
#[derive(Clone, Debug)]
pub struct Directory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    /// Changes take turns, so that records come into the maps in the order of the store.
    turn: Mutex<()>,
    records: RwLock<Records>,
}

#[derive(Debug, Default)]
struct Records {
    by_id: HashMap<TenantId, Arc<TenantRecord>>,
    by_number: BTreeMap<u32, Arc<TenantRecord>>,
}

impl Directory {
    /// Loads all tenants.
    pub async fn open(store: Store) -> Result<Self, StoreError> {
        let mut records = Records::default();
        for record in store.tenants().await? {
            records.insert(&Arc::new(record));
        }
        let shared = Shared { store, turn: Mutex::default(), records: RwLock::new(records) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The tenant with this id.
    pub fn get(&self, id: &TenantId) -> Option<Arc<TenantRecord>> {
        self.shared.read().by_id.get(id).cloned()
    }

    /// The tenant with this number.
    pub fn by_number(&self, number: u32) -> Option<Arc<TenantRecord>> {
        self.shared.read().by_number.get(&number).cloned()
    }

    /// All tenants, in the order of their creation.
    pub fn all(&self) -> Vec<Arc<TenantRecord>> {
        self.shared.read().by_number.values().cloned().collect()
    }

    /// Creates a tenant, as [`Store::create_tenant`].
    pub async fn create(&self, new: NewTenant) -> Result<Arc<TenantRecord>, StoreError> {
        self.change(|store: Store| async move { store.create_tenant(new).await }).await
    }

    /// Changes a tenant, as [`Store::update_tenant`].
    pub async fn update(
        &self,
        id: &TenantId,
        change: TenantChange,
    ) -> Result<Arc<TenantRecord>, StoreError> {
        let id = id.clone();
        self.change(|store: Store| async move { store.update_tenant(&id, change).await }).await
    }

    /// Takes over what was changed in the store after its change `since`, by whomever; answers how
    /// many tenants that are.
    pub async fn refresh(&self, since: u64) -> Result<usize, StoreError> {
        let _turn = self.shared.turn.lock().await;
        let changed = self.shared.store.tenants_since(since).await?;
        let mut records = self.shared.records.write().unwrap_or_else(PoisonError::into_inner);
        let count = changed.len();
        for record in changed {
            records.insert(&Arc::new(record));
        }
        Ok(count)
    }

    /// Runs a change of the store and takes its result over.
    ///
    /// On a task of its own: a caller that goes away must not leave the store changed and the
    /// directory not.
    async fn change<F, Fut>(&self, change: F) -> Result<Arc<TenantRecord>, StoreError>
    where
        F: FnOnce(Store) -> Fut + Send + 'static,
        Fut: Future<Output = Result<TenantRecord, StoreError>> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let _turn = shared.turn.lock().await;
            let record = Arc::new(change(shared.store.clone()).await?);
            shared.records.write().unwrap_or_else(PoisonError::into_inner).insert(&record);
            Ok(record)
        })
        .await?
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, Records> {
        // An insertion is all that happens under the lock; it leaves the maps whole.
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    fn insert(&mut self, record: &Arc<TenantRecord>) {
        self.by_id.insert(record.id.clone(), Arc::clone(record));
        self.by_number.insert(record.number, Arc::clone(record));
    }
}

#[cfg(test)]
mod tests;
