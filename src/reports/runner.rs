//! One run: the rows at a position, as a file in the object store.

use std::path::Path as FilePath;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use projections::{Position, Tenant, TenantSnapshot};
use query::{
    Answer, Calendar, QueryError, TitleSheet, XlsxFile, csv_body, parquet_body, view_answer,
};
use sha2::{Digest, Sha256};
use tenancy::{PositionMark, StoredRun, TenantRecord, hex};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::as_of::{self, AsOf, Moment};
use super::definition::{Definition, FileFormat};
use super::runs::run_folder;
use super::{Failure, Outcome, Request, Running, Shared};
use crate::exports;
use crate::forward::Served;

/// What of a file is read at a time.
const PART: usize = 1 << 20;
/// How often, and how many times, it is looked whether the date has come on which a run is due.
const DATE_LOOK: Duration = Duration::from_millis(100);
const DATE_LOOKS: u32 = 50;

/// What was made.
pub(super) struct Made {
    pub(super) outcome: Outcome,
    pub(super) mark: PositionMark,
    /// For how long its file is kept.
    pub(super) keep: TimeDelta,
}

/// What of a file is known once it is written.
struct Written {
    bytes: u64,
    sha256: String,
}

impl Shared {
    /// Makes a run's file. Each try makes one of its own, `attempt`.
    pub(super) async fn make(
        &self,
        tenant: &TenantRecord,
        run: &StoredRun,
        attempt: &str,
        running: &Running,
    ) -> Result<Made, Failure> {
        let request: Request = serde_json::from_str(&run.request)
            .map_err(|error| Failure::ForGood(format!("what was asked for: {error}")))?;
        let report = &request.report;
        self.check_owner(tenant.number, &request.owner, "report").await?;
        let (mut answer, params, mark) = self.answer(tenant, run, &request).await?;
        let as_of = answer.as_of.unwrap_or_else(|| self.today(tenant));
        let position = answer.position.to_string();
        let (schema, counter) = (answer.schema.clone(), Arc::clone(&running.rows));
        let counted = answer.batches.inspect_ok(move |batch| {
            counter.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        });
        answer.batches = Box::pin(RecordBatchStreamAdapter::new(schema, counted));
        let draft = tempfile::Builder::new().prefix("run-").tempfile_in(&self.parts.scratch);
        let draft = draft.map_err(|error| disk(&error))?.into_temp_path();
        let title = TitleSheet {
            firm: tenant.firm().to_owned(),
            colour: tenant.colour(),
            title: report.name.clone(),
            facts: vec![("As of", as_of.to_string()), ("Position", position.clone())],
        };
        let written = self.write(report, answer, title, &draft, running).await?;
        let folder = run_folder(tenant.number, &run.id);
        let file = Path::from(format!("{folder}/{attempt}.{}", report.format.extension()));
        self.upload(&draft, &file, running).await?;
        // Of one that was given up meanwhile, other events may stand at this position by now.
        self.snapshot(tenant).map_err(|error| failed(&error))?;
        let outcome = Outcome {
            file: file.to_string(),
            name: report.file_name(as_of),
            format: report.format,
            rows: running.rows.load(Ordering::Relaxed),
            bytes: written.bytes,
            sha256: written.sha256,
            position,
            as_of,
            made_at: (self.parts.clock)(),
            params,
        };
        Ok(Made { outcome, mark, keep: TimeDelta::days(report.keep_days.into()) })
    }

    /// What the tenant is shown at this moment. Whether it is still served here is asked after that: of
    /// one that was given up meanwhile nothing is left here, and nothing is no figure.
    pub(super) fn snapshot(
        &self,
        tenant: &TenantRecord,
    ) -> Result<Arc<TenantSnapshot>, QueryError> {
        let snapshot = self.parts.shown.snapshot(Tenant(tenant.number));
        match self.parts.places.of(&tenant.id) {
            Served::Here => Ok(snapshot),
            Served::At(_) | Served::Nowhere => Err(QueryError::NotServed),
        }
    }

    /// The same, once its date is the one on which a run is due: that is recorded a moment after midnight.
    async fn snapshot_of(
        &self,
        tenant: &TenantRecord,
        due: Option<chrono::NaiveDate>,
    ) -> Result<Arc<TenantSnapshot>, Failure> {
        for _ in 0..DATE_LOOKS {
            let snapshot = self.snapshot(tenant).map_err(|error| failed(&error))?;
            if snapshot.today().is_none_or(|today| due.is_none_or(|due| due <= today)) {
                return Ok(snapshot);
            }
            tokio::time::sleep(DATE_LOOK).await;
        }
        Err(Failure::Again("the tenant's new date is not recorded yet".into()))
    }

    fn today(&self, tenant: &TenantRecord) -> chrono::NaiveDate {
        let now = (self.parts.clock)();
        tenant.today(now).unwrap_or_else(|| now.with_timezone(&tenant.timezone).date_naive())
    }

    /// The rows, the parameters they were asked for with, and the position.
    async fn answer(
        &self,
        tenant: &TenantRecord,
        run: &StoredRun,
        request: &Request,
    ) -> Result<(Answer, Vec<serde_json::Value>, PositionMark), Failure> {
        let number = Tenant(tenant.number);
        let report = &request.report;
        let due = run.due_at.and_then(|at| tenant.today(at));
        let mut snapshot = self.snapshot_of(tenant, due).await?;
        let now = snapshot.today().unwrap_or_else(|| self.today(tenant));
        let late = due.filter(|day| snapshot.today().is_some_and(|today| *day < today));
        let moment = self.moment(report, request, run, (now, late), &snapshot).await?;
        let mut mark = PositionMark {
            sequence: snapshot.position().sequence,
            offset: snapshot.offset(),
            day: snapshot.today(),
            closes: false,
        };
        if let Some(moment) = moment {
            let (sources, limit) = (&self.parts.sources, self.parts.tenant_bytes);
            let one = Arc::clone(&self.slots.past).acquire_owned().await;
            let one = one.map_err(|_| Failure::Again("the service is stopping".into()))?;
            let past = as_of::snapshot(sources, number, moment, limit, one).await?;
            snapshot = Arc::new(past.hiding(self.parts.shown.hidden(number)));
            mark = moment.mark;
        }
        let today = snapshot.today().unwrap_or(now);
        let values = report.values(&request.params, today);
        let values = values.map_err(|error| Failure::ForGood(error.to_string()))?;
        let answer = match (&report.sql, &report.view) {
            (Some(sql), _) => self.parts.queries.run(snapshot, sql, values.clone()).await,
            (None, Some(view)) => view_answer(&snapshot, view),
            (None, None) => Err(QueryError::Internal { message: "a report of nothing".into() }),
        };
        let mut answer = answer.map_err(|error| failed(&error))?;
        answer.position = Position::new(number, mark.sequence);
        Ok((answer, values, mark))
    }

    /// The moment that the run or the report names; of a run that is `late`, made after the day on which
    /// it was due, that day; none: now.
    async fn moment(
        &self,
        report: &Definition,
        request: &Request,
        run: &StoredRun,
        (today, late): (chrono::NaiveDate, Option<chrono::NaiveDate>),
        snapshot: &TenantSnapshot,
    ) -> Result<Option<Moment>, Failure> {
        let wrong = |error: &dyn std::fmt::Display| Failure::ForGood(format!("as_of: {error}"));
        let text = match (request.as_of.as_ref().or(report.as_of.as_ref()), late) {
            (Some(text), late) => {
                let calendar = Calendar::new(late.unwrap_or(today), report.fiscal_year_starts);
                calendar.expand(text).map_err(|error| wrong(&error))?
            }
            (None, Some(day)) => day.to_string(),
            (None, None) => return Ok(None),
        };
        let as_of = AsOf::parse(&text).map_err(|error| Failure::ForGood(error.to_string()))?;
        tracing::debug!(run = run.id, text, "a report of an earlier moment");
        as_of::find(&self.parts.sources, snapshot, &as_of).await
    }

    /// Writes the rows to a file; of a sheet also what it is.
    async fn write(
        &self,
        report: &Definition,
        answer: Answer,
        title: TitleSheet,
        to: &FilePath,
        running: &Running,
    ) -> Result<Written, Failure> {
        let parts: Pin<Box<dyn Stream<Item = Result<Bytes, QueryError>> + Send>> =
            match report.format {
                FileFormat::Csv => Box::pin(csv_body(answer, report.raw)),
                FileFormat::Parquet => Box::pin(parquet_body(answer)),
                FileFormat::Xlsx => {
                    self.write_sheet(answer, title, to, running).await?;
                    return self.look_through(to).await;
                }
            };
        self.write_parts(parts, to).await
    }

    async fn write_parts(
        &self,
        mut parts: Pin<Box<dyn Stream<Item = Result<Bytes, QueryError>> + Send>>,
        to: &FilePath,
    ) -> Result<Written, Failure> {
        let mut file = File::create(to).await.map_err(|error| disk(&error))?;
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| failed(&error))?;
            bytes += part.len() as u64;
            self.check_size(bytes)?;
            hash.update(&part);
            file.write_all(&part).await.map_err(|error| disk(&error))?;
        }
        file.flush().await.map_err(|error| disk(&error))?;
        Ok(Written { bytes, sha256: hex(&hash.finalize()) })
    }

    /// Writes a sheet, on a thread that may wait. It ends when the run is stopped.
    async fn write_sheet(
        &self,
        answer: Answer,
        title: TitleSheet,
        to: &FilePath,
        running: &Running,
    ) -> Result<(), Failure> {
        let (scratch, to) = (self.parts.scratch.clone(), to.to_owned());
        let (most, stop) = (self.parts.settings.file_bytes as u64, running.stop.clone());
        let runtime = tokio::runtime::Handle::current();
        let written = running.tasks.spawn_blocking(move || {
            let stopped = || Failure::Again("the run was stopped".into());
            let begun = XlsxFile::begin(&answer.schema, &scratch, &title, most);
            let mut sheet = begun.map_err(|error| failed(&error))?;
            let mut batches = answer.batches;
            while let Some(batch) = runtime.block_on(batches.next()) {
                if stop.is_cancelled() {
                    return Err(stopped());
                }
                let batch = batch.map_err(|error| failed(&QueryError::from(error)))?;
                let written = sheet.batch(&batch);
                written.map_err(|e| if sheet.is_full() { too_large(most) } else { failed(&e) })?;
            }
            sheet.finish(&to).map_err(|error| failed(&error))?;
            if stop.is_cancelled() {
                // Whoever would have removed it may have been here before.
                std::fs::remove_file(&to).map_err(|error| disk(&error))?;
                return Err(stopped());
            }
            Ok(())
        });
        written.await.map_err(|error| Failure::Again(error.to_string()))?
    }

    /// Copies a file into the object store. That goes on beside the run, to its end or until the run is
    /// stopped: cut off anywhere, it would leave half a file.
    async fn upload(&self, from: &FilePath, to: &Path, running: &Running) -> Result<(), Failure> {
        let (objects, stop) = (Arc::clone(&self.parts.objects), running.stop.clone());
        let (from, to) = (from.to_owned(), to.clone());
        let copied =
            running.tasks.spawn(async move { exports::upload(&objects, &from, &to, &stop).await });
        let copied = copied.await.map_err(|error| Failure::Again(error.to_string()))?;
        copied.map_err(|error| Failure::Again(error.to_string()))
    }

    async fn look_through(&self, path: &FilePath) -> Result<Written, Failure> {
        let mut file = File::open(path).await.map_err(|error| disk(&error))?;
        let (mut hash, mut bytes, mut part) = (Sha256::new(), 0, vec![0; PART]);
        loop {
            let read = file.read(&mut part).await.map_err(|error| disk(&error))?;
            let Some(found) = part.get(..read).filter(|found| !found.is_empty()) else {
                return Ok(Written { bytes, sha256: hex(&hash.finalize()) });
            };
            bytes += read as u64;
            self.check_size(bytes)?;
            hash.update(found);
        }
    }

    fn check_size(&self, bytes: u64) -> Result<(), Failure> {
        let most = self.parts.settings.file_bytes as u64;
        if bytes <= most { Ok(()) } else { Err(too_large(most)) }
    }
}

fn too_large(most: u64) -> Failure {
    Failure::ForGood(format!(
        "the file is larger than the {most} bytes that one may have (limits.reports.file_bytes); \
         ask for less"
    ))
}

fn disk(error: &std::io::Error) -> Failure {
    Failure::Again(format!("the file cannot be written beside the data: {error}"))
}

/// What may be otherwise at the next try.
fn failed(error: &QueryError) -> Failure {
    match error {
        QueryError::Busy
        | QueryError::ViewFilling { .. }
        | QueryError::NotServed
        | QueryError::Internal { .. } => Failure::Again(error.to_string()),
        _ => Failure::ForGood(error.to_string()),
    }
}
