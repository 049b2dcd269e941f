//! What an archive has of reports: what they are, their runs, and the files that are kept.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use projections::Tenant;
use serde_json::json;
use tenancy::{RunState, Store, StoreError, StoredReport};

use super::tar::Archive;
use super::{ExportError, bundle};
use crate::reports::told::{ShownReport, WholeRun};
use crate::reports::{Report, Run};

/// Runs that are read at a time.
const RUNS: u32 = 100;

fn unread(error: &StoreError) -> ExportError {
    ExportError::Read(error.to_string())
}

/// Writes the tenant's reports, their runs if there are any, and each run's file that is there.
pub(super) async fn write(
    archive: &mut Archive,
    store: &Store,
    objects: &Arc<dyn ObjectStore>,
    tenant: Tenant,
) -> Result<(), ExportError> {
    let reports = store.reports(tenant.0).await.map_err(|error| unread(&error))?;
    let told = reports.iter().cloned().map(Report::listed);
    let told: Vec<ShownReport> = told.map(|report| ShownReport::listed(&report)).collect();
    bundle::file(archive, "reports.json", json!(told)).await?;
    let mut has_begun = false;
    for report in &reports {
        let mut pages = Pages::of(store, tenant, report);
        while let Some(runs) = pages.next().await? {
            if !std::mem::replace(&mut has_begun, true) {
                archive.begin("report_runs.ndjson").await?;
            }
            let lines = runs.iter().map(|run| format!("{}\n", json!(WholeRun::of(run))));
            archive.write(lines.collect::<String>().as_bytes(), runs.len() as u64).await?;
        }
    }
    if has_begun {
        archive.end().await?;
    }
    // A file of the archive has its end before the next begins: the runs are read once more.
    for report in &reports {
        let mut pages = Pages::of(store, tenant, report);
        while let Some(runs) = pages.next().await? {
            for run in &runs {
                file(archive, objects, run).await?;
            }
        }
    }
    Ok(())
}

/// The file of a run, if it has one.
async fn file(
    archive: &mut Archive,
    objects: &Arc<dyn ObjectStore>,
    run: &Run,
) -> Result<(), ExportError> {
    let is_there = run.stored.state == RunState::Done;
    let Some(outcome) = run.outcome.as_ref().filter(|_| is_there) else { return Ok(()) };
    let found = match objects.get(&Path::from(outcome.file.as_str())).await {
        Ok(found) => found,
        // Its time was over meanwhile.
        Err(object_store::Error::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    archive.begin(format!("report_files/{}/{}", run.stored.id, outcome.name)).await?;
    archive.write(&[], outcome.rows).await?;
    let mut parts = found.into_stream();
    while let Some(part) = parts.try_next().await? {
        archive.write(&part, 0).await?;
    }
    Ok(archive.end().await?)
}

/// The runs of a report, the newest first.
struct Pages<'a> {
    store: &'a Store,
    tenant: u32,
    report: &'a str,
    before: Option<String>,
}

impl<'a> Pages<'a> {
    fn of(store: &'a Store, tenant: Tenant, report: &'a StoredReport) -> Self {
        Self { store, tenant: tenant.0, report: &report.id, before: None }
    }

    /// The next of them; none behind the last.
    async fn next(&mut self) -> Result<Option<Vec<Run>>, ExportError> {
        let before = self.before.as_deref();
        let read = self.store.report_runs(self.tenant, self.report, before, RUNS).await;
        let (runs, deliveries) = read.map_err(|error| unread(&error))?;
        let Some(last) = runs.last() else { return Ok(None) };
        self.before = Some(last.id.clone());
        let whole = runs.into_iter().map(|run| {
            let of_run = deliveries.iter().filter(|delivery| delivery.run_id == run.id);
            let of_run = of_run.cloned().collect();
            Run::read(run, of_run)
        });
        Ok(Some(whole.collect()))
    }
}
