//! Reports: a query or a view as a file, made when it is asked for or when its schedule says,
//! delivered, and kept for some days.
//!
//! **In:** what a report is ([`definition`]), from those whose role may ask in SQL; the time.
//! **Out:** runs, and for each that is done a file in the object store, with the position and the date
//! it was made at.
//!
//! Invariants:
//! - What is to be done stands in the control store as a job ([`scheduler`]). One node at a time has
//!   its lease, and what is made without the lease counts for nothing: no time of a schedule is made
//!   twice, and none is lost with a process.
//! - However much a tenant has to be done, the others' jobs have their turns ([`slots`]).
//! - Of a run that comes to nothing no file stays.
//! - A run has the rights of the report's owner at the time it is made ([`owners`]). A report that a
//!   template gave, as long as nobody has replaced it, needs nobody's: this service asks in it.
//! - Nothing of a file can be read before all of it is there.
//! - What is held in memory does not depend on how large a file is.
//! - The time comes from outside.

mod as_of;
mod closings;
pub(crate) mod definition;
mod delivery;
mod jobs;
mod owners;
mod records;
mod report;
mod runner;
mod runs;
mod schedule;
mod scheduler;
pub(crate) mod settings;
mod slots;
mod template;
pub(crate) mod told;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, NaiveDate, Utc};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use projections::Tenant;
use query::{Queries, QueryError, view_answer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tenancy::audit::Trail;
use tenancy::{
    Directory, Identity, StoreError, StoredDelivery, StoredOwner, StoredRun, TenantRecord,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::closings::Closings;
use self::definition::{Definition, Wrong};
use self::delivery::{Carrier, Undelivered};
pub(crate) use self::delivery::{Notice, ShownTarget, Target};
pub(crate) use self::jobs::wait;
use self::owners::Owners;
pub(crate) use self::report::{Report, Unread};
use self::settings::{ReportSettings, SmtpUrl};
use self::slots::Slots;
pub(crate) use self::template::{definition_given, reports_given};
use crate::exports::Sources;
use crate::forward::Places;
use crate::shown::Shown;

/// The folder of files in the object store.
const FOLDER: &str = "reports";

/// Why something is not done about a report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    /// A field is not right.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// The query or the view cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// There is no such report.
    #[error("there is no report '{0}'; GET /v1/reports lists those there are")]
    Unknown(String),
    /// There is no such run.
    #[error("there is no run '{0}'; GET /v1/reports/{{id}}/runs lists those of a report")]
    UnknownRun(String),
    /// The file of a run is there no more.
    #[error("the file was kept for its time; run the report again")]
    Gone,
    /// The report is another one than its editor saw.
    #[error("the report was changed meanwhile; read it again and change what it is now")]
    Changed,
    /// The run is not under way.
    #[error("the run is {0} already; there is nothing to call off")]
    Over(&'static str),
    /// There is no room for another.
    #[error("{0}")]
    Full(String),
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The object store failed.
    #[error("the object store failed: {0}")]
    Objects(#[from] object_store::Error),
    /// What is stored cannot be read.
    #[error("what is stored of a report cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
}

/// Why a run is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// Another try may do better.
    #[error("{0}")]
    Again(String),
    /// None will.
    #[error("{0}")]
    ForGood(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Again(error.to_string())
    }
}

/// What a run is to make, as it stood when it was queued.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Whose rights it has; empty: nobody's, of a report that a template gave.
    pub(crate) owner: String,
    /// The report.
    pub(crate) report: Definition,
    /// The parameters that were given.
    #[serde(default)]
    pub(crate) params: Map<String, Value>,
    /// The moment that was given.
    #[serde(default)]
    pub(crate) as_of: Option<String>,
}

/// What a run has made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The object.
    pub(crate) file: String,
    /// The file's name for people.
    pub(crate) name: String,
    /// Its format.
    pub(crate) format: definition::FileFormat,
    /// The rows in it, without a header.
    pub(crate) rows: u64,
    /// Its length.
    pub(crate) bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub(crate) sha256: String,
    /// The position it was made at.
    pub(crate) position: String,
    /// The date that was today.
    pub(crate) as_of: NaiveDate,
    /// When it was made.
    pub(crate) made_at: DateTime<Utc>,
    /// What `$1`, `$2` and so on were.
    pub(crate) params: Vec<Value>,
}

/// A run of a report with what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) stored: StoredRun,
    /// What it is to make; none if that cannot be read.
    pub(crate) request: Option<Request>,
    /// What it has made; none also if that cannot be read.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) deliveries: Vec<StoredDelivery>,
    /// The rows so far, while it is made here.
    pub(crate) rows_so_far: Option<u64>,
    /// Why something of it cannot be read.
    pub(crate) unread: Option<String>,
}

/// What the reports are made with.
pub(crate) struct Parts {
    pub(crate) sources: Sources,
    pub(crate) directory: Directory,
    pub(crate) shown: Shown,
    /// Which node serves whom.
    pub(crate) places: Arc<dyn Places>,
    /// Of its own, so that a long run takes no place of who asks.
    pub(crate) queries: Queries,
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// Where copies go.
    pub(crate) outside: Option<Arc<dyn ObjectStore>>,
    /// Where files are put together; of this process alone.
    pub(crate) scratch: PathBuf,
    pub(crate) settings: ReportSettings,
    /// What the views of a tenant may hold, also those of an earlier position.
    pub(crate) tenant_bytes: usize,
    pub(crate) trail: Trail,
    /// The time.
    pub(crate) clock: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

/// The reports of all tenants. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Reports {
    shared: Arc<Shared>,
}

struct Shared {
    parts: Parts,
    carrier: Carrier,
    owners: Owners,
    /// What is made here. Held for a look-up or a change in memory only.
    running: Mutex<HashMap<(u32, String), Running>>,
    slots: Slots,
    closings: Closings,
    /// That something is due at once.
    wake: Notify,
}

/// A job that is worked on here. All clones are of one.
#[derive(Clone, Default)]
struct Running {
    stop: CancellationToken,
    /// The rows so far.
    rows: Arc<AtomicU64>,
    /// What goes on beside it; it ends soon after the job is stopped.
    tasks: TaskTracker,
}

impl Reports {
    /// Reports of what is in `parts`; its scratch folder is emptied.
    pub(crate) fn open(parts: Parts) -> Result<Self, std::io::Error> {
        if parts.scratch.exists() {
            std::fs::remove_dir_all(&parts.scratch)?;
        }
        std::fs::create_dir_all(&parts.scratch)?;
        let (objects, outside) = (Arc::clone(&parts.objects), parts.outside.clone());
        let carrier = Carrier::new(parts.settings.clone(), objects, outside);
        let owners = Owners::default();
        let (running, slots, wake) = (Mutex::default(), Slots::new(), Notify::new());
        let closings = Closings::default();
        let shared = Shared { parts, carrier, owners, running, slots, closings, wake };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Sends messages through another mail server from now on, or through none.
    pub(crate) fn replace_smtp(&self, smtp: Option<SmtpUrl>) {
        self.shared.carrier.replace_smtp(smtp);
    }

    fn now(&self) -> DateTime<Utc> {
        self.shared.now()
    }

    /// The reports of a tenant, the oldest first, with those that cannot be read.
    pub(crate) async fn list(
        &self,
        tenant: u32,
    ) -> Result<Vec<Result<Report, Box<Unread>>>, ReportError> {
        let stored = self.shared.store().reports(tenant).await?;
        Ok(stored.into_iter().map(Report::listed).collect())
    }

    /// Whether a tenant has a report, also one that cannot be read; its version.
    pub(crate) async fn version(&self, tenant: u32, id: &str) -> Result<u64, ReportError> {
        let stored = self.shared.store().report(tenant, id).await?;
        let unknown = || ReportError::Unknown(id.chars().take(40).collect());
        stored.map(|stored| stored.version).ok_or_else(unknown)
    }

    /// A report of a tenant.
    pub(crate) async fn get(&self, tenant: u32, id: &str) -> Result<Report, ReportError> {
        let stored = self.shared.store().report(tenant, id).await?;
        let stored = stored.ok_or_else(|| ReportError::Unknown(id.chars().take(40).collect()))?;
        Report::read(stored)
    }

    /// Makes a report, whose owner is who asks for it.
    pub(crate) async fn create(
        &self,
        tenant: &TenantRecord,
        by: &Identity,
        definition: Definition,
    ) -> Result<Report, ReportError> {
        let definition = self.checked(tenant, definition, &[]).await?;
        let now = self.now();
        let drawn: u64 = rand::random();
        let report = Report {
            id: format!("r{drawn:016x}"),
            version: 1,
            owner: by.subject.clone(),
            created_at: now,
            changed_at: now,
            definition,
        };
        self.own(tenant, by).await?;
        let most = self.shared.parts.settings.count;
        let (stored, next) = (report.stored()?, report.next(now));
        if !self.shared.store().create_report(tenant.number, &stored, next, most).await? {
            return Err(ReportError::Full(format!(
                "there are {most} reports, and no more may be; delete one first"
            )));
        }
        Ok(report)
    }

    /// Puts another definition in the place of the one of that version; who does it is the owner
    /// from then on.
    pub(crate) async fn replace(
        &self,
        tenant: &TenantRecord,
        by: &Identity,
        id: &str,
        version: Option<u64>,
        definition: Definition,
    ) -> Result<Report, ReportError> {
        let before = self.get(tenant.number, id).await?;
        if version.is_some_and(|version| version != before.version) {
            return Err(ReportError::Changed);
        }
        let definition = self.checked(tenant, definition, &before.definition.deliver).await?;
        let now = self.now();
        let report = Report {
            version: before.version + 1,
            owner: by.subject.clone(),
            changed_at: now,
            definition,
            ..before
        };
        self.own(tenant, by).await?;
        let (stored, next) = (report.stored()?, report.next(now));
        if !self.shared.store().replace_report(tenant.number, &stored, next).await? {
            return Err(ReportError::Changed);
        }
        Ok(report)
    }

    /// Deletes a report; its runs and files go too.
    pub(crate) async fn delete(
        &self,
        tenant: u32,
        id: &str,
        version: Option<u64>,
    ) -> Result<(), ReportError> {
        let before = self.version(tenant, id).await?;
        if version.is_some_and(|version| version != before) {
            return Err(ReportError::Changed);
        }
        if !self.shared.store().delete_report(tenant, id, version).await? {
            return Err(ReportError::Changed);
        }
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Notes whose rights a report, or a rule of alerts, has.
    pub(crate) async fn own(&self, tenant: &TenantRecord, by: &Identity) -> Result<(), StoreError> {
        let owner = StoredOwner { roles: by.roles, seen_at: self.now() };
        self.shared.store().note_owner(tenant.number, &by.subject, &owner, true).await
    }

    /// Whether what a target needs is configured; if not, what is missing.
    pub(crate) fn check_target(&self, target: &Target) -> Result<(), String> {
        self.shared.carrier.check(target)
    }

    /// Tells a target something, as files are delivered.
    pub(crate) async fn notify(&self, notice: Notice, target: &Target) -> Result<(), Undelivered> {
        self.shared.carrier.notify(notice, target).await
    }

    /// Where people find what is at this path.
    pub(crate) fn link(&self, path: &str) -> String {
        self.shared.parts.settings.link_to(path)
    }

    /// Notes that somebody called who may own reports.
    pub(crate) fn seen(&self, tenant: u32, by: &Identity) {
        let now = self.now();
        let ended = self.shared.parts.directory.revocations().ended_at(tenant, &by.subject);
        let Some(owner) = self.shared.owners.news(tenant, by, now, ended) else { return };
        let (shared, subject) = (Arc::clone(&self.shared), by.subject.clone());
        tokio::spawn(async move {
            let noted = shared.store().note_owner(tenant, &subject, &owner, false).await;
            if let Err(error) = noted {
                shared.owners.forget(tenant, &subject);
                tracing::warn!(%error, tenant, "that an owner of reports called is not noted");
            }
        });
    }

    /// The definition, if it can be run on what the tenant has.
    async fn checked(
        &self,
        tenant: &TenantRecord,
        mut definition: Definition,
        before: &[Target],
    ) -> Result<Definition, ReportError> {
        for target in &mut definition.deliver {
            target.keep_secret(before);
        }
        let definition = definition.checked(tenant.timezone)?;
        for (place, target) in definition.deliver.iter().enumerate() {
            let wrong = |message| Wrong { field: format!("deliver[{place}].kind"), message };
            self.shared.carrier.check(target).map_err(wrong)?;
        }
        let snapshot = self.shared.snapshot(tenant)?;
        if let Some(view) = &definition.view {
            match view_answer(&snapshot, view) {
                // It will be there when it is filled.
                Err(QueryError::UnknownView { .. }) if snapshot.unready(view).is_some() => {}
                read => drop(read?),
            }
        }
        if let Some(sql) = &definition.sql {
            // What it answers is let go of; that there is an answer shows that it is planned.
            let queries = &self.shared.parts.queries;
            drop(queries.run(snapshot, sql, definition.examples()).await?);
        }
        Ok(definition)
    }

    /// The folder of a tenant's files in the object store.
    pub(crate) fn folder(tenant: Tenant) -> String {
        format!("{FOLDER}/{}", tenant.0)
    }

    /// Stops what is made for a tenant and removes all its files; of a tenant that is deleted.
    pub(crate) async fn erase(&self, tenant: Tenant) -> Result<(), object_store::Error> {
        loop {
            let stops: Vec<CancellationToken> = {
                let running = self.shared.running();
                let of = running.iter().filter(|((number, _), _)| *number == tenant.0);
                of.map(|(_, running)| running.stop.clone()).collect()
            };
            if stops.is_empty() {
                break;
            }
            stops.iter().for_each(CancellationToken::cancel);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        self.shared.owners.leave(tenant.0);
        self.shared.remove_below(&Path::from(Self::folder(tenant))).await
    }
}

impl Shared {
    fn now(&self) -> DateTime<Utc> {
        (self.parts.clock)()
    }

    fn store(&self) -> &tenancy::Store {
        &self.parts.sources.store
    }

    fn running(&self) -> MutexGuard<'_, HashMap<(u32, String), Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes all objects of a folder.
    async fn remove_below(&self, folder: &Path) -> Result<(), object_store::Error> {
        let objects = &self.parts.objects;
        let all = objects.list(Some(folder)).map_ok(|object| object.location);
        let removed = objects.delete_stream(all.boxed());
        removed.try_for_each(|_| std::future::ready(Ok(()))).await
    }
}

#[cfg(test)]
mod tests;
