//! All tenants in memory, for the paths that are taken often.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::{Mutex, Notify, watch};

use crate::{
    NewTenant, Revocations, Store, StoreError, TemplateGift, TemplateUpdate, TenantChange,
    TenantId, TenantRecord, Tombstone,
};

/// All tenant records, by id and by number. Cheap to clone; all clones are one directory.
///
/// It is read from memory and changed through the store: a change is there when its call returns,
/// and only if the store took it. There must be one directory a process; what other processes change
/// in the store is there after the next [`Directory::refresh`]. A tenant that is deleted is found no
/// more but by its tombstone. It knows whose sign-ins their admins have ended, too.
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
    /// How many deletions were learned of.
    deletions: watch::Sender<u64>,
    /// Tells that modules of some tenant were switched.
    switches: Notify,
    revocations: Revocations,
}

#[derive(Debug, Default)]
struct Records {
    by_id: HashMap<TenantId, Arc<TenantRecord>>,
    by_number: BTreeMap<u32, Arc<TenantRecord>>,
    /// The deleted ones, by number.
    deleted: BTreeMap<u32, Tombstone>,
    deleted_ids: HashMap<TenantId, u32>,
    /// Those that are still to be given the reference data of a template, by number.
    unfinished: BTreeSet<u32>,
    /// The tenants whose modules were switched since it was last asked, by number.
    switched: BTreeSet<u32>,
}

impl Directory {
    /// Loads all tenants.
    pub async fn open(store: Store) -> Result<Self, StoreError> {
        let revocations = Revocations::open(store.clone()).await?;
        let mut records = Records::default();
        for record in store.tenants().await? {
            records.insert(&Arc::new(record));
        }
        for stone in store.tombstones().await? {
            records.bury(stone);
        }
        let (turn, deletions) = (Mutex::default(), watch::Sender::new(0));
        let (records, switches) = (RwLock::new(records), Notify::new());
        let shared = Shared { store, turn, records, deletions, switches, revocations };
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

    /// The id of the tenant with this number, also if it is deleted.
    pub fn id_of(&self, number: u32) -> Option<TenantId> {
        let records = self.shared.read();
        let living = records.by_number.get(&number).map(|record| &record.id);
        living.or_else(|| Some(&records.deleted.get(&number)?.id)).cloned()
    }

    /// What stays of the tenant with this id, if it is deleted.
    pub fn tombstone(&self, id: &TenantId) -> Option<Tombstone> {
        let records = self.shared.read();
        records.deleted.get(records.deleted_ids.get(id)?).cloned()
    }

    /// What stays of all tenants that are deleted, in the order of their creation.
    pub fn tombstones(&self) -> Vec<Tombstone> {
        self.shared.read().deleted.values().cloned().collect()
    }

    /// Changes whenever it is learned that a tenant is deleted.
    pub fn deletions(&self) -> watch::Receiver<u64> {
        self.shared.deletions.subscribe()
    }

    /// The sign-ins that admins of tenants have ended.
    pub fn revocations(&self) -> &Revocations {
        &self.shared.revocations
    }

    /// Waits until modules of tenants have been switched on or off, here or by other processes, and
    /// answers the numbers of these tenants. Each is answered once: one task asks.
    pub async fn switched(&self) -> BTreeSet<u32> {
        loop {
            let told = self.shared.switches.notified();
            let switched = {
                let records = self.shared.records.write();
                std::mem::take(&mut records.unwrap_or_else(PoisonError::into_inner).switched)
            };
            if !switched.is_empty() {
                return switched;
            }
            told.await;
        }
    }

    /// The tenants that are still to be given what a template has.
    pub fn unfinished(&self) -> Vec<Arc<TenantRecord>> {
        let records = self.shared.read();
        let numbers = records.unfinished.iter();
        numbers.filter_map(|number| records.by_number.get(number).cloned()).collect()
    }

    /// All tenants, in the order of their creation.
    pub fn all(&self) -> Vec<Arc<TenantRecord>> {
        self.shared.read().by_number.values().cloned().collect()
    }

    /// Creates a tenant, as [`Store::create_tenant`].
    pub async fn create(&self, new: NewTenant) -> Result<Arc<TenantRecord>, StoreError> {
        self.change(|store: Store| async move { store.create_tenant(new).await }, Records::take)
            .await
    }

    /// Changes a tenant, as [`Store::update_tenant`].
    pub async fn update(
        &self,
        id: &TenantId,
        change: TenantChange,
    ) -> Result<Arc<TenantRecord>, StoreError> {
        let id = id.clone();
        let change = |store: Store| async move { store.update_tenant(&id, change).await };
        self.change(change, Records::take).await
    }

    /// Says that a tenant has the reference data of its template, and gives it what else that has, as
    /// [`Store::finish_template`].
    pub async fn finish_template(
        &self,
        id: &TenantId,
        gift: TemplateGift,
    ) -> Result<Arc<TenantRecord>, StoreError> {
        let id = id.clone();
        let change = |store: Store| async move { store.finish_template(&id, &gift).await };
        self.change(change, Records::take).await
    }

    /// Takes a newer version of its template over for a tenant, as [`Store::update_template`].
    pub async fn update_template(
        &self,
        tenant: &TenantRecord,
        update: TemplateUpdate,
        keep: usize,
    ) -> Result<bool, StoreError> {
        let (id, number) = (tenant.id.clone(), tenant.number);
        let change = move |store: Store| async move {
            let is_done = store.update_template(number, &update, keep).await?;
            // The modules that it switches are in the record.
            let switched = if is_done { store.tenant(&id).await? } else { None };
            Ok::<_, StoreError>((is_done, switched))
        };
        self.change(change, Records::take_switched).await
    }

    /// Deletes a tenant, as [`Store::delete_tenant`].
    pub async fn delete(&self, id: &TenantId, actor: &str) -> Result<Tombstone, StoreError> {
        let (id, actor) = (id.clone(), actor.to_owned());
        let change = |store: Store| async move { store.delete_tenant(&id, &actor).await };
        let stone = self.change(change, Records::bury).await?;
        self.shared.deletions.send_modify(|count| *count += 1);
        Ok(stone)
    }

    /// Says that nothing is left of a deleted tenant, as [`Store::finish_erasure`].
    pub async fn finish_erasure(&self, stone: &Tombstone) -> Result<Tombstone, StoreError> {
        let stone = stone.clone();
        let change = |store: Store| async move { store.finish_erasure(&stone).await };
        self.change(change, Records::bury).await
    }

    /// Takes over what was changed in the store after its change `since`, by whomever; answers how
    /// many tenants that are.
    pub async fn refresh(&self, since: u64) -> Result<usize, StoreError> {
        let _turn = self.shared.turn.lock().await;
        self.shared.revocations.refresh(since).await?;
        let changed = self.shared.store.tenants_since(since).await?;
        // Read later: who was deleted in between is among these, and found no more.
        let deleted = self.shared.store.tombstones_since(since).await?;
        let count = changed.len() + deleted.len();
        let has_deletions = !deleted.is_empty();
        {
            let mut records = self.shared.records.write().unwrap_or_else(PoisonError::into_inner);
            for record in changed {
                records.insert(&Arc::new(record));
            }
            for stone in deleted {
                records.bury(stone);
            }
        }
        self.shared.switches.notify_one();
        if has_deletions {
            self.shared.deletions.send_modify(|count| *count += 1);
        }
        Ok(count)
    }

    /// Runs a change of the store and takes its result over, which `take` answers.
    ///
    /// On a task of its own: a caller that goes away must not leave the store changed and the
    /// directory not.
    async fn change<F, Fut, T, U>(
        &self,
        change: F,
        take: fn(&mut Records, T) -> U,
    ) -> Result<U, StoreError>
    where
        F: FnOnce(Store) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
        U: Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let _turn = shared.turn.lock().await;
            let changed = change(shared.store.clone()).await?;
            let taken = {
                let mut records = shared.records.write().unwrap_or_else(PoisonError::into_inner);
                take(&mut records, changed)
            };
            shared.switches.notify_one();
            Ok(taken)
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
        if self.deleted.contains_key(&record.number) {
            return;
        }
        self.by_id.insert(record.id.clone(), Arc::clone(record));
        match record.template {
            Some(_) => self.unfinished.insert(record.number),
            None => self.unfinished.remove(&record.number),
        };
        let before = self.by_number.insert(record.number, Arc::clone(record));
        if before.is_some_and(|before| before.modules != record.modules) {
            self.switched.insert(record.number);
        }
    }

    fn take(&mut self, record: TenantRecord) -> Arc<TenantRecord> {
        let record = Arc::new(record);
        self.insert(&record);
        record
    }

    fn take_switched(&mut self, (is_done, record): (bool, Option<TenantRecord>)) -> bool {
        if let Some(record) = record {
            self.insert(&Arc::new(record));
        }
        is_done
    }

    fn bury(&mut self, stone: Tombstone) -> Tombstone {
        self.by_id.remove(&stone.id);
        self.by_number.remove(&stone.number);
        self.switched.remove(&stone.number);
        self.unfinished.remove(&stone.number);
        self.deleted_ids.insert(stone.id.clone(), stone.number);
        self.deleted.insert(stone.number, stone.clone());
        stone
    }
}

#[cfg(test)]
mod tests;
