//! Runs: queued, looked at, called off, and their files.

use std::ops::Range;
use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectStore};
use projections::{Position, Tenant};
use query::Calendar;
use serde_json::{Map, Value};
use tenancy::{Identity, NewRun, RunState, StoredDelivery, StoredRun, TenantRecord};

use super::as_of::AsOf;
use super::definition::Wrong;
use super::{Outcome, ReportError, Reports, Request, Run};

impl Reports {
    /// Queues a run.
    pub(crate) async fn run(
        &self,
        tenant: &TenantRecord,
        by: &Identity,
        id: &str,
        params: Map<String, Value>,
        as_of: Option<String>,
    ) -> Result<String, ReportError> {
        let report = self.get(tenant.number, id).await?;
        let now = self.now();
        let today = now.with_timezone(&tenant.timezone).date_naive();
        report.definition.values(&params, today)?;
        if let Some(text) = &as_of {
            let calendar = Calendar::new(today, report.definition.fiscal_year_starts);
            let text = calendar.expand(text).map_err(|e| Wrong::new("as_of", e.to_string()))?;
            let moment = AsOf::parse(&text)?;
            if let Some(position) = &moment.position {
                let parsed = Position::parse(Tenant(tenant.number), position);
                parsed.map_err(|error| Wrong {
                    field: "as_of".to_owned(),
                    message: error.to_string(),
                })?;
            }
        }
        let request =
            Request { owner: report.owner.clone(), report: report.definition, params, as_of };
        let run = NewRun {
            id: run_id(now),
            report_id: report.id,
            due_at: None,
            requested_by: by.subject.clone(),
            request: serde_json::to_string(&request)?,
            created_at: now,
            missed: None,
        };
        let most = self.shared.parts.settings.queued;
        if !self.shared.store().queue_run(tenant.number, &run, most).await? {
            return Err(ReportError::Full(format!(
                "{most} runs wait or are made, and no more may be; try again when one has ended"
            )));
        }
        self.shared.wake.notify_one();
        Ok(run.id)
    }

    /// The runs of a report before the one of that id, the newest first.
    pub(crate) async fn runs(
        &self,
        tenant: u32,
        report: &str,
        before: Option<&str>,
        most: u32,
    ) -> Result<Vec<Run>, ReportError> {
        let (runs, deliveries) =
            self.shared.store().report_runs(tenant, report, before, most).await?;
        let of = |run: StoredRun| {
            let deliveries = deliveries.iter().filter(|d| d.run_id == run.id).cloned().collect();
            self.described(tenant, run, deliveries)
        };
        Ok(runs.into_iter().map(of).collect())
    }

    /// A run of a tenant.
    pub(crate) async fn run_of(&self, tenant: u32, id: &str) -> Result<Run, ReportError> {
        let unknown = || ReportError::UnknownRun(id.chars().take(40).collect());
        let run = self.shared.store().report_run(tenant, id).await?.ok_or_else(unknown)?;
        let deliveries = self.shared.store().run_deliveries(tenant, id).await?;
        Ok(self.described(tenant, run, deliveries))
    }

    fn described(&self, tenant: u32, stored: StoredRun, deliveries: Vec<StoredDelivery>) -> Run {
        let rows = {
            let running = self.shared.running();
            running.get(&(tenant, stored.id.clone())).map(|r| r.rows.load(Ordering::Relaxed))
        };
        let rows_so_far = rows.filter(|_| stored.state == RunState::Running);
        Run { rows_so_far, ..Run::read(stored, deliveries) }
    }

    /// Calls a run off.
    pub(crate) async fn cancel(&self, tenant: u32, id: &str) -> Result<(), ReportError> {
        let run = self.run_of(tenant, id).await?;
        if !self.shared.store().cancel_run(tenant, id, self.now()).await? {
            return Err(ReportError::Over(run.stored.state.as_str()));
        }
        if let Some(running) = self.shared.running().get(&(tenant, id.to_owned())) {
            running.stop.cancel();
        }
        Ok(())
    }

    /// A run's file, or some of its bytes.
    pub(crate) async fn file(
        &self,
        outcome: &Outcome,
        range: Option<Range<u64>>,
    ) -> Result<GetResult, ReportError> {
        let range = range.map(GetRange::Bounded);
        let options = GetOptions { range, ..GetOptions::default() };
        let file = Path::from(outcome.file.as_str());
        self.shared.parts.objects.get_opts(&file, options).await.map_err(|error| match error {
            // Files go before it is noted that they have gone.
            object_store::Error::NotFound { .. } => ReportError::Gone,
            error => error.into(),
        })
    }
}

impl Run {
    /// A run as it is stored; what of it cannot be read is left out, and it says so.
    pub(crate) fn read(stored: StoredRun, deliveries: Vec<StoredDelivery>) -> Self {
        let request: Result<Request, _> = serde_json::from_str(&stored.request);
        let outcome: Result<Option<Outcome>, _> =
            stored.outcome.as_deref().map(serde_json::from_str).transpose();
        let error = request.as_ref().err().or(outcome.as_ref().err());
        let unread = error.map(|error| format!("what is stored of it cannot be read: {error}"));
        let (request, outcome) = (request.ok(), outcome.unwrap_or_default());
        Self { stored, request, outcome, deliveries, rows_so_far: None, unread }
    }
}

/// The folder of a run's files.
pub(super) fn run_folder(tenant: u32, run: &str) -> Path {
    Path::from(format!("{}/{run}", Reports::folder(Tenant(tenant))))
}

/// A new id, which sorts by time.
pub(super) fn run_id(now: DateTime<Utc>) -> String {
    let drawn: u32 = rand::random();
    format!("{}-{drawn:08x}", now.format("%Y%m%dT%H%M%S%6f"))
}
