//! A tenant out of all files.

use std::sync::Arc;

use projections::Tenant;

use super::merge::merge;
use super::store::aside;
use super::{Change, HistoryError, HistoryFile, HistoryStore};

impl HistoryStore {
    /// Rewrites every file that holds events of the tenant, so that neither its rows nor what a
    /// file says of itself has anything of it. A file that has nothing else is only removed.
    ///
    /// Once the change is committed, and no manifest from before it is kept, the old files go with
    /// [`remove_unlisted`](Self::remove_unlisted), at once.
    ///
    /// # Errors
    /// A file cannot be read, or a new one not written: then nothing has changed.
    pub async fn erase(
        &self,
        files: &[Arc<HistoryFile>],
        tenant: Tenant,
    ) -> Result<Change, HistoryError> {
        let mut change = Change::default();
        for file in files.iter().filter(|file| file.concerns(tenant)) {
            change.removed.push(Arc::clone(file));
            let mut left = 0;
            if file.owner() != Some(tenant) && !file.tenants.is_only(tenant) {
                let (store, inputs) = (self.clone(), [Arc::clone(file)]);
                let added =
                    aside(async move { merge(&store, &inputs, Some(tenant)).await }).await?;
                left = added.as_ref().map_or(0, |added| added.rows);
                change.added.extend(added);
            }
            change.erased += file.rows - left;
        }
        Ok(change)
    }
}
