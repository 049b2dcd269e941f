//! What was planned and answered before, so that it need not be again.
//!
//! An entry belongs to one tenant, one text of SQL and one list of parameters. It notes what it was
//! made of (`reads`): the very views, event types, position of the history and date. It is given out
//! only while the asking snapshot has exactly those, so a cached answer is the answer that would be
//! computed now, and an entry that no longer fits is replaced by the next one of its key. A tenant is
//! known by its number, which is never given again, not even to one of the same name.
//!
//! Nothing of a tenant's rows is kept alive by a plan, and of an answer only its own rows.

mod bounded;
mod reads;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;
use projections::Tenant;
use serde_json::Value;

use bounded::Bounded;
pub(crate) use reads::Reads;

use crate::catalog::Relations;
use crate::{QueryLimits, literals};

/// Bytes of SQL and parameters up to which a query is remembered.
const KEY_BYTES: usize = 16 << 10;

/// What a plan weighs for each byte of its SQL and parameters, and besides: plans are trees of some
/// hundred bytes a node, and how large one is cannot be asked.
const PLAN_BYTES_PER_BYTE: usize = 32;
const PLAN_BYTES: usize = 8 << 10;

/// Bytes of the values in a plan up to which it is kept.
const PLAN_VALUES: usize = 64 << 10;

/// What is asked, by whom.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    tenant: Tenant,
    sql: String,
    params: String,
}

impl Asked {
    /// None when it is too long to be remembered.
    pub(crate) fn new(tenant: Tenant, sql: &str, params: &[Value]) -> Option<Arc<Self>> {
        if sql.len() > KEY_BYTES {
            return None;
        }
        // As JSON, in which no two lists of parameters are written alike.
        let params = serde_json::to_string(params).ok()?;
        let asked = Self { tenant, sql: sql.to_owned(), params };
        (asked.bytes() <= KEY_BYTES).then(|| Arc::new(asked))
    }

    fn bytes(&self) -> usize {
        self.sql.len() + self.params.len()
    }
}

/// A plan with its parameters and its date in place, optimized; its relations are empty.
#[derive(Clone)]
pub(crate) struct KeptPlan {
    pub(crate) plan: LogicalPlan,
    pub(crate) reads: Reads,
    /// Whether the same relations always give the same rows.
    pub(crate) is_repeatable: bool,
}

/// A whole answer.
#[derive(Clone)]
pub(crate) struct KeptAnswer {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Arc<[RecordBatch]>,
    pub(crate) reads: Reads,
}

/// The plans and answers of all tenants.
pub(crate) struct Cache {
    plans: Bounded<KeptPlan>,
    answers: Bounded<KeptAnswer>,
    answer_bytes: usize,
}

impl Cache {
    pub(crate) fn new(limits: &QueryLimits) -> Self {
        let (one, all) = (limits.cache_bytes as u64, limits.total_cache_bytes as u64);
        Self {
            // Plans are far smaller than answers, and serve when the answers are out of date.
            plans: Bounded::new("plans", one / 4, all / 4),
            answers: Bounded::new("answers", one - one / 4, all - all / 4),
            answer_bytes: limits.cache_answer_bytes,
        }
    }

    /// The plan of what is asked, if it fits the relations as they are defined now, and the day.
    pub(crate) fn plan(&self, asked: &Arc<Asked>, relations: &Relations) -> Option<KeptPlan> {
        self.plans.find(asked, |kept| kept.reads.is_defined_alike(relations))
    }

    /// Keeps a plan, unless values that were made while it was planned make it large.
    pub(crate) fn keep_plan(&self, asked: &Arc<Asked>, kept: KeptPlan) {
        if let Some(bytes) = plan_bytes(asked, &kept.plan) {
            self.plans.keep(asked, kept, bytes);
        }
    }

    /// The answer, if it would be the same now.
    pub(crate) fn answer(&self, asked: &Arc<Asked>, relations: &Relations) -> Option<KeptAnswer> {
        self.answers.find(asked, |kept| kept.reads.is_unchanged(relations))
    }

    /// What collects the answer of a query that read these relations.
    pub(crate) fn collect(&self, reads: Reads) -> Collected {
        Collected { reads, batches: Vec::new(), bytes: 0, room: self.answer_bytes }
    }

    /// Keeps the collected answer, if it is small.
    pub(crate) fn keep_answer(&self, asked: &Arc<Asked>, schema: SchemaRef, answer: Collected) {
        let Collected { reads, batches, bytes, room } = answer;
        if bytes > room {
            return;
        }
        let bytes = bytes + asked.bytes() + schema.fields().len() * 256;
        self.answers.keep(asked, KeptAnswer { schema, batches: batches.into(), reads }, bytes);
    }

    /// Lets go of all that is a tenant's.
    pub(crate) fn forget(&self, tenant: Tenant) {
        self.plans.forget(tenant);
        self.answers.forget(tenant);
    }

    /// Brings the figures up to date.
    pub(crate) fn record_figures(&self) {
        self.plans.record_figures();
        self.answers.record_figures();
    }
}

/// What a plan weighs; none of one that is not kept.
fn plan_bytes(asked: &Asked, plan: &LogicalPlan) -> Option<usize> {
    let values = literals::bytes(plan).ok().filter(|values| *values <= PLAN_VALUES)?;
    Some(PLAN_BYTES + asked.bytes() * PLAN_BYTES_PER_BYTE + values)
}

/// An answer on its way out, as long as it is small.
pub(crate) struct Collected {
    reads: Reads,
    batches: Vec<RecordBatch>,
    bytes: usize,
    room: usize,
}

impl Collected {
    /// Adds a batch. Its memory is counted as what it keeps alive, which may be more than its rows.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        self.bytes = self.bytes.saturating_add(batch.get_array_memory_size());
        if self.bytes > self.room {
            self.batches = Vec::new();
        } else {
            self.batches.push(batch.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::logical_expr::{LogicalPlanBuilder, lit};

    use super::*;

    #[test]
    fn a_plan_weighs_its_values_and_is_not_kept_with_large_ones() {
        let asked = Asked::new(Tenant(1), "SELECT 1", &[]).unwrap();
        let bytes = |text: usize| {
            let plan = LogicalPlanBuilder::empty(true).project([lit("x".repeat(text))]).unwrap();
            plan_bytes(&asked, &plan.build().unwrap())
        };
        let small = bytes(10).unwrap();
        assert_eq!(bytes(10_010), Some(small + 10_000));
        assert_eq!(bytes(PLAN_VALUES + 1), None);
    }
}
