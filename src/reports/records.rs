//! What is recorded in the audit of runs and deliveries: every try, in the name of the report's owner,
//! whatever came of it.

use std::time::Instant;

use serde_json::{Map, Value, json};
use tenancy::audit::{Action, AuditEntry, Chain, bounded};
use tenancy::{JobKind, ReportJob, RunState, StoreError, StoredRun};

use super::delivery::Target;
use super::{Request, Shared};

/// What came of a try.
pub(super) enum Ended<'a> {
    /// It is done.
    Done,
    /// It failed, and is tried again.
    Again(&'a str),
    /// It failed for good.
    ForGood(&'a str),
    /// It was cut off.
    Cut(&'a str),
}

impl<'a> Ended<'a> {
    /// It failed; whether it is tried again.
    pub(super) fn failed(error: &'a str, is_tried_again: bool) -> Self {
        if is_tried_again { Self::Again(error) } else { Self::ForGood(error) }
    }

    /// As the status of an answer says it.
    fn status(&self) -> u16 {
        match self {
            Self::Done => 200,
            Self::Again(_) => 503,
            Self::ForGood(_) => 422,
            Self::Cut(_) => 499,
        }
    }

    fn error(&self) -> Option<&'a str> {
        match self {
            Self::Done => None,
            Self::Again(error) | Self::ForGood(error) | Self::Cut(error) => Some(error),
        }
    }
}

/// A try of a run or of a delivery of its file.
pub(super) struct Record<'a> {
    pub(super) job: &'a ReportJob,
    pub(super) run: &'a StoredRun,
    pub(super) action: Action,
    pub(super) ended: Ended<'a>,
    pub(super) begun: Instant,
    /// What else is known of it.
    pub(super) detail: Map<String, Value>,
}

impl Shared {
    /// Records a try.
    pub(super) async fn record(&self, record: Record<'_>) {
        let Record { job, run, action, ended, begun, mut detail } = record;
        let request: Option<Request> = serde_json::from_str(&run.request).ok();
        let report = request.as_ref().map(|request| &request.report);
        let mut put = |name: &str, value: Value| {
            detail.insert(name.to_owned(), value);
        };
        put("ms", json!(begun.elapsed().as_millis() as u64));
        put("attempt", json!(job.attempts + 1));
        if let Some(sql) = report.and_then(|report| report.sql.as_ref()) {
            put("sql", json!(sql));
        }
        if let Some(view) = report.and_then(|report| report.view.as_ref()) {
            put("view", json!(view));
        }
        if let Some(error) = ended.error() {
            put("error", json!(error));
        }
        for value in detail.values_mut() {
            *value = bounded(value.take());
        }
        let entry = AuditEntry {
            chain: Chain::Tenant(job.tenant),
            at: self.now(),
            actor: request.map(|request| request.owner).unwrap_or_default(),
            source: String::new(),
            action,
            object: format!("run {} of the report {}", run.id, run.report_id),
            status: ended.status(),
            detail,
        };
        if let Err(error) = self.parts.trail.keep(entry).await {
            tracing::error!(%error, tenant = job.tenant, "a run is not in the audit");
        }
    }

    /// Records that a try was cut off: it was called off, or its lease was lost.
    pub(super) async fn record_cut(
        &self,
        job: &ReportJob,
        begun: Instant,
    ) -> Result<(), StoreError> {
        let (action, run, detail) = match job.kind {
            JobKind::Run => {
                let run = self.store().report_run(job.tenant, &job.id).await?;
                (Action::Query, run, Map::new())
            }
            JobKind::Deliver => {
                let found = self.delivery_of(job).await?;
                let (run, stored) = found.unzip();
                let target = stored.and_then(|stored| serde_json::from_str(&stored.target).ok());
                let target = target.map(|target: Target| ("target".to_owned(), target.shown()));
                (Action::Download, run, target.into_iter().collect())
            }
            JobKind::Schedule | JobKind::Expire | JobKind::Sweep | JobKind::Notify => {
                return Ok(());
            }
        };
        // What is left of a report that was deleted is recorded with its deletion.
        let Some(run) = run else { return Ok(()) };
        let ended = Ended::Cut(match run.state {
            RunState::Cancelled => "it was called off",
            _ => "its lease was lost: another node may go on with it",
        });
        self.record(Record { job, run: &run, action, ended, begun, detail }).await;
        Ok(())
    }
}
