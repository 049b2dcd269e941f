//! What an answer was computed from, so that it can be told whether the same would be answered now.

use std::sync::Arc;

use projections::TenantSnapshot;

use crate::Queries;
use crate::cache::Reads;

/// The relations that an answer was computed from, as they were, and the tenant's date. It keeps none of
/// their rows alive.
#[derive(Clone, Debug)]
pub struct Grounds {
    reads: Reads,
    since: Option<u64>,
}

impl Grounds {
    /// Those of an answer over `snapshot` that read these relations.
    pub(crate) fn new(reads: Reads, snapshot: &TenantSnapshot) -> Self {
        let since = reads.since(snapshot);
        Self { reads, since }
    }

    /// The tenant's sequence up to which the same SQL may have read other relations; none if its names
    /// always meant the same.
    pub fn since(&self) -> Option<u64> {
        self.since
    }
}

impl Queries {
    /// Whether the statement whose answer has these grounds has the same answer over `snapshot`, as
    /// nothing that it reads is another. It neither plans nor reads rows. Of event types it is known
    /// only whether anything at all came for the tenant.
    pub fn is_unchanged(&self, grounds: &Grounds, snapshot: &Arc<TenantSnapshot>) -> bool {
        grounds.reads.is_unchanged(&self.relations(snapshot))
    }

    /// Whether each name in the statement whose answer has these grounds means the same relation over
    /// `snapshot`, whatever its rows, on the same date. It neither plans nor reads rows.
    pub fn is_defined_alike(&self, grounds: &Grounds, snapshot: &Arc<TenantSnapshot>) -> bool {
        grounds.reads.is_defined_alike(&self.relations(snapshot))
    }
}
