//! Dead letters, kept in the control store.

use std::future::Future;
use std::pin::Pin;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use ingest::{DeadLetter, DeadLetterError, DeadLetters};
use projections::Tenant;
use serde::Serialize;
use tenancy::{DeadLetterLimits, NewDeadLetter, Overflow, Store, StoredDeadLetter, TenantId};
use utoipa::ToSchema;

/// The control store as the place of dead letters, up to so many of them.
pub(crate) struct StoredDeadLetters {
    pub(crate) store: Store,
    pub(crate) limits: DeadLetterLimits,
}

impl DeadLetters for StoredDeadLetters {
    fn store(
        &self,
        letters: Vec<DeadLetter>,
    ) -> Pin<Box<dyn Future<Output = Result<(), DeadLetterError>> + Send + '_>> {
        Box::pin(async move {
            let letters: Vec<NewDeadLetter> = letters.into_iter().map(stored).collect();
            let kept = self.store.put_dead_letters(&letters, self.limits).await;
            let kept = kept.map_err(|error| DeadLetterError::Store(error.to_string()))?;
            if kept < letters.len() {
                return Err(DeadLetterError::Full { limit: self.limits.all, stored: kept });
            }
            Ok(())
        })
    }
}

fn stored(letter: DeadLetter) -> NewDeadLetter {
    NewDeadLetter {
        tenant: letter.tenant.map(|Tenant(number)| number),
        topic: letter.topic,
        partition: letter.partition,
        offset: letter.offset,
        reason: letter.reason,
        key: letter.key,
        value: letter.value,
        size: letter.size as u64,
        is_json: letter.is_json,
    }
}

/// A stored dead letter as the source knows it.
pub(crate) fn letter(stored: NewDeadLetter) -> DeadLetter {
    DeadLetter {
        topic: stored.topic,
        partition: stored.partition,
        offset: stored.offset,
        tenant: stored.tenant.map(Tenant),
        reason: stored.reason,
        key: stored.key,
        value: stored.value,
        size: usize::try_from(stored.size).unwrap_or(usize::MAX),
        is_json: stored.is_json,
    }
}

/// A dead letter as lists have it. Where it stands in its topic tells of other tenants' traffic,
/// so only the platform sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(crate) struct Described {
    id: String,
    topic: String,
    /// What is wrong with it.
    reason: String,
    received_at: DateTime<Utc>,
    /// In base64; null where there is none.
    key: Option<String>,
    /// In base64, or the beginning of it; null where there is none.
    value: Option<String>,
    /// The bytes of the whole value.
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    offset: Option<i64>,
    /// Where it stands for all that came beyond the limits in its topic: how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    missed: Option<u64>,
    /// The offset of the last of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_offset: Option<i64>,
}

/// Where dead letters of a tenant came beyond the limits, so that they can be read again.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLettersBeyond)]
pub(crate) struct Beyond {
    #[schema(value_type = String)]
    tenant: TenantId,
    topic: String,
    partition: i32,
    first_offset: i64,
    last_offset: i64,
    /// How many.
    missed: u64,
}

impl Beyond {
    pub(crate) fn of(tenant: TenantId, overflow: Overflow) -> Self {
        let Overflow { topic, partition, first, beyond, .. } = overflow;
        let (last_offset, missed) = (beyond.last, beyond.missed);
        Self { tenant, topic, partition, first_offset: first, last_offset, missed }
    }
}

impl Described {
    pub(crate) fn of(stored: &StoredDeadLetter) -> Self {
        let StoredDeadLetter { id, letter, received_at, beyond } = stored;
        let bytes = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
        let is_shared = letter.tenant.is_none();
        Self {
            id: id.clone(),
            topic: letter.topic.clone(),
            reason: letter.reason.clone(),
            received_at: *received_at,
            key: bytes(&letter.key),
            value: bytes(&letter.value),
            size: letter.size,
            partition: is_shared.then_some(letter.partition),
            offset: is_shared.then_some(letter.offset),
            missed: beyond.map(|beyond| beyond.missed),
            last_offset: beyond.filter(|_| is_shared).map(|beyond| beyond.last),
        }
    }
}
