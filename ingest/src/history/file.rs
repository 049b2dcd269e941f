//! One file of history as a manifest lists it, and the columns in it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use projections::{EventType, Tenant};
use serde::{Deserialize, Serialize};

use super::Tenants;
use crate::log::key;

/// The columns in front of the stored ones: the tenant, and the offset at which it was accepted.
pub(super) const AHEAD: usize = 2;
/// What marks the columns that are no fields. No field's name has it, so a type may have a field
/// `tenant` or `source` of its own.
const MARK: &str = "#";

/// A file of history: the rows of one event type, sorted by tenant and offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryFile {
    /// Where it is, within the object store.
    pub path: String,
    /// The key of its type: the name, and for a type that one tenant has alone the tenant's number
    /// before it, `17/acme.widget_made`.
    pub event_type: String,
    /// How many events it holds.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// What its rows take in memory.
    pub memory: u64,
    /// Whose events it holds.
    pub tenants: Tenants,
    /// The smallest offset of an event in it.
    pub first: u64,
    /// The largest.
    pub last: u64,
    /// The length of its end, which begins behind the last row and holds all that says where the
    /// rows are.
    pub end_bytes: u64,
    /// CRC-32 of the end.
    pub end_crc: u32,
    /// CRC-32 of the whole file.
    pub crc: u32,
}

impl HistoryFile {
    /// Whether it can hold events of that tenant and type up to the offset.
    pub fn may_hold(&self, tenant: Tenant, event_type: &EventType, up_to: u64) -> bool {
        self.first <= up_to && self.event_type == key(event_type) && self.tenants.contains(tenant)
    }

    /// Whether something of the tenant is in it, if only its type.
    pub(super) fn concerns(&self, tenant: Tenant) -> bool {
        self.tenants.contains(tenant) || self.owner() == Some(tenant)
    }

    /// The tenant that alone has its type.
    pub(super) fn owner(&self) -> Option<Tenant> {
        Some(Tenant(self.event_type.split_once('/')?.0.parse().ok()?))
    }

    /// Rows that a batch may have so that it stays at a few megabytes, at most `most`.
    pub(super) fn batch_rows(&self, most: usize) -> usize {
        const BATCH_BYTES: u64 = 4 << 20;
        let row = (self.memory / self.rows.max(1)).max(1);
        usize::try_from(BATCH_BYTES / row).unwrap_or(most).clamp(1, most)
    }
}

/// The columns of a file whose rows have the columns `stored`.
pub(super) fn file_schema(stored: &Schema) -> SchemaRef {
    let ahead = [
        Field::new(format!("{MARK}tenant"), DataType::UInt32, false),
        Field::new(format!("{MARK}offset"), DataType::UInt64, false),
    ];
    let relation = stored.fields().len().saturating_sub(crate::stored::BEHIND);
    let rows = stored.fields().iter().enumerate().map(|(place, field)| {
        if place < relation {
            Arc::clone(field)
        } else {
            Arc::new(field.as_ref().clone().with_name(format!("{MARK}{}", field.name())))
        }
    });
    Arc::new(Schema::new(ahead.into_iter().map(Arc::new).chain(rows).collect::<Vec<_>>()))
}

/// The stored columns of a file; none if it is no file of history.
pub(super) fn stored_columns(file: &Schema) -> Option<Schema> {
    let stored =
        file.fields().get(AHEAD..)?.iter().map(|field| match field.name().strip_prefix(MARK) {
            Some(name) => Arc::new(field.as_ref().clone().with_name(name)),
            None => Arc::clone(field),
        });
    let stored = Schema::new(stored.collect::<Vec<_>>());
    (file_schema(&stored).fields() == file.fields()).then_some(stored)
}
