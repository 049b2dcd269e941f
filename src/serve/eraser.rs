//! Deleted tenants, until nothing of them is left: begun by their deletion, here or on another node,
//! and gone on with after a restart.
//!
//! A tenant is erased by the node that has its partition, in this order, so that whatever is cut off
//! can be begun again: nothing more of it is taken; its views and its files go; then what the
//! control store has of it but the tombstone. Its exports and the files of its reports go first.

use std::time::Duration;

use chrono::Utc;
use ingest::IntakeError;
use projections::Tenant;
use serde_json::{Map, json};
use tenancy::audit::{Action, AuditEntry, Chain, TrailError};
use tenancy::{StoreError, Tombstone, hex};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use super::Intake;
use super::checkpointer::Erasure;
use super::held::Host;
use crate::exports::{ExportError, Exports};
use crate::reports::Reports;

/// Between two tries of what cannot be finished yet.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a tenant is not erased yet.
#[derive(Debug, thiserror::Error)]
enum NotYet {
    /// Its partition is not held here, or its files are in use.
    #[error("its files are in use")]
    InUse,
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error("the folder of its exports: {0}")]
    Disk(#[from] std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Trail(#[from] TrailError),
}

/// Erases what is deleted, for as long as it is polled.
pub(super) async fn keep(host: &Host, intake: &Intake) {
    let mut deletions = host.directory.deletions();
    let mut turns = interval(AGAIN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = turns.tick() => {}
            Ok(()) = deletions.changed() => {}
        }
        for stone in host.directory.tombstones() {
            if stone.erased_at.is_some() {
                continue;
            }
            match erase(host, intake, &stone).await {
                Ok(()) => tracing::info!(tenant = stone.number, "a deleted tenant is erased"),
                Err(NotYet::InUse | NotYet::Intake(IntakeError::Elsewhere)) => {}
                Err(error) => {
                    let tenant = stone.number;
                    tracing::warn!(%error, tenant, "a deleted tenant is not erased yet; trying again");
                }
            }
        }
    }
}

async fn erase(host: &Host, intake: &Intake, stone: &Tombstone) -> Result<(), NotYet> {
    let tenant = Tenant(stone.number);
    // Also those that were let in just before they would have been refused.
    host.hub.leave(|of| of == tenant);
    let erasures = host.erasures.of(tenant).ok_or(NotYet::InUse)?;
    host.own_views.forget(tenant).await;
    host.exports.erase(tenant).await?;
    host.reports.erase(tenant).await.map_err(ExportError::from)?;
    for folder in [Exports::folder(tenant), Reports::folder(tenant)] {
        let address = host.place.address.clone();
        // What a crash has left of an upload.
        tokio::task::spawn_blocking(move || address.remove_half_written(&folder))
            .await
            .map_err(std::io::Error::other)??;
    }
    let up_to = intake.forget(tenant, &stone.id).await?;
    let (done, erased) = oneshot::channel();
    let erasure = Erasure { stone: stone.clone(), up_to, done };
    erasures.send(erasure).await.map_err(|_| NotYet::InUse)?;
    erased.await.map_err(|_| NotYet::InUse)?;
    // Not before: the log could not be read without its types.
    host.types.forget(tenant);
    let record = erasure_record(host, stone).await?;
    host.place.store.erase_tenant(stone).await?;
    host.hub.leave(|of| of == tenant);
    // Before it is said to be finished: what is begun again is recorded again.
    host.trail.keep(record).await?;
    host.directory.finish_erasure(stone).await?;
    Ok(())
}

/// The record of an erasure: what went, and where the tenant's own chain of the audit ended, by
/// which a copy of it can be told to be whole.
async fn erasure_record(host: &Host, stone: &Tombstone) -> Result<AuditEntry, StoreError> {
    let store = &host.place.store;
    let erasure = store.erasure(&stone.id).await?;
    let mut detail = Map::new();
    if let Some(erasure) = &erasure {
        detail.insert("events".to_owned(), json!(erasure.events));
        detail.insert("files".to_owned(), json!(erasure.files));
    }
    if let Some(head) = store.audit_head(Chain::Tenant(stone.number)).await? {
        detail.insert("audit_records".to_owned(), json!(head.seq));
        detail.insert("audit_hash".to_owned(), json!(hex(&head.hash)));
    }
    Ok(AuditEntry {
        chain: Chain::Platform,
        at: Utc::now(),
        actor: erasure.map(|erasure| erasure.actor).unwrap_or_default(),
        source: String::new(),
        action: Action::Change,
        object: format!("erased the tenant {}", stone.id),
        status: 200,
        detail,
    })
}
