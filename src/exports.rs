//! All of a tenant's data as one file: made beside the running service, kept in the object store.
//!
//! **In:** the word of an admin. **Out:** a run, and once it is done a tar archive: events as they can
//! be sent again, views as CSV, settings, the files of reports, and a manifest with counts and
//! checksums ([`bundle`]).
//!
//! Invariants:
//! - An export states one position: events and views up to there, and nothing beyond.
//! - Nothing of a run can be read before all of it is there.
//! - What is held in memory does not depend on how much there is. On disk, beside the node's data,
//!   stands what of one archive is written so far; it is removed when it is in the object store, and
//!   at the next start what a crash has left.
//! - A tenant has one run at a time and its newest [`KEPT`] archives; all go when it is deleted.

mod bundle;
mod report_files;
mod tar;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use projections::Tenant;
use serde::{Deserialize, Serialize};
use tenancy::{Directory, TenantRecord};
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

pub(crate) use self::bundle::Sources;

/// Archives of a tenant that are kept.
pub(crate) const KEPT: usize = 2;
/// Archives that are made at a time, of all tenants.
const AT_ONCE: usize = 2;
/// What of a file is held while it is copied.
const PART: usize = 8 << 20;
/// The folder of exports in the object store.
const FOLDER: &str = "exports";

/// Why an export is not made, or not found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// The disk failed.
    #[error("the export cannot be written beside the data: {0}")]
    Disk(#[from] std::io::Error),
    /// The object store failed.
    #[error("the object store failed: {0}")]
    Objects(#[from] object_store::Error),
    /// Events or views cannot be read.
    #[error("{0}")]
    Read(String),
    /// The tenant is not served here any more.
    #[error("the tenant is served by another node now; ask for the export again")]
    Moved,
    /// It was stopped, as an export is when its tenant is deleted.
    #[error("it was stopped")]
    Stopped,
}

/// An export: under way, done or failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Export)]
pub(crate) struct Run {
    /// Its id, which sorts by time.
    #[serde(rename = "run_id")]
    pub(crate) id: String,
    /// How far it has come.
    pub(crate) state: State,
    /// The subject of the token by which it was asked for.
    pub(crate) requested_by: String,
    /// When it was asked for.
    pub(crate) started_at: DateTime<Utc>,
    /// When it was done or failed.
    pub(crate) finished_at: Option<DateTime<Utc>>,
    /// Bytes of the archive.
    pub(crate) bytes: Option<u64>,
    /// SHA-256 of the archive, in hexadecimal digits.
    pub(crate) sha256: Option<String>,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

/// How far an export has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ExportState)]
pub(crate) enum State {
    /// It is being made, or waits for that.
    Running,
    /// It can be downloaded.
    Done,
    /// It was given up.
    Failed,
}

/// The exports of all tenants. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Exports {
    shared: Arc<Shared>,
}

struct Shared {
    objects: Arc<dyn ObjectStore>,
    /// Where archives are put together; of this process alone.
    scratch: PathBuf,
    directory: Directory,
    sources: Sources,
    /// What runs here. Held for a look-up or a change in memory only.
    running: Mutex<HashMap<Tenant, Running>>,
    room: Semaphore,
    background: Handle,
}

#[derive(Clone)]
struct Running {
    run: Run,
    stop: CancellationToken,
}

impl Exports {
    /// Exports of what is in `sources`, made in the `background` and kept in `objects`; `scratch` is
    /// emptied.
    pub(crate) fn open(
        objects: Arc<dyn ObjectStore>,
        scratch: PathBuf,
        directory: Directory,
        sources: Sources,
        background: Handle,
    ) -> Result<Self, std::io::Error> {
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch)?;
        }
        std::fs::create_dir_all(&scratch)?;
        let (running, room) = (Mutex::default(), Semaphore::new(AT_ONCE));
        let shared = Shared { objects, scratch, directory, sources, running, room, background };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Begins an export; one that is under way is answered instead.
    pub(crate) fn start(&self, tenant: &Arc<TenantRecord>, actor: &str) -> Run {
        let number = Tenant(tenant.number);
        let running = {
            let mut all = self.shared.running();
            if let Some(there) = all.get(&number) {
                return there.run.clone();
            }
            let running = Running { run: Run::new(actor), stop: CancellationToken::new() };
            all.insert(number, running.clone());
            running
        };
        let (shared, tenant) = (Arc::clone(&self.shared), Arc::clone(tenant));
        let run = running.run.clone();
        let background = shared.background.clone();
        background.spawn(async move { shared.run(&tenant, running).await });
        run
    }

    /// The export of that id, if the tenant has one.
    pub(crate) async fn get(&self, tenant: Tenant, id: &str) -> Result<Option<Run>, ExportError> {
        if let Some(running) = self.shared.running().get(&tenant)
            && running.run.id == id
        {
            return Ok(Some(running.run.clone()));
        }
        let Some(path) = note_path(tenant, id) else { return Ok(None) };
        let noted = match self.shared.objects.get(&path).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let run: Run = serde_json::from_slice(&noted)
            .map_err(|error| ExportError::Read(format!("the record of the export: {error}")))?;
        Ok(Some(match run.state {
            State::Running => run.failed("the node that made it ended before it was done"),
            State::Done | State::Failed => run,
        }))
    }

    /// The archive of a run that is done.
    pub(crate) async fn archive(
        &self,
        tenant: Tenant,
        run: &Run,
    ) -> Result<BoxStream<'static, object_store::Result<Bytes>>, ExportError> {
        let found = self.shared.objects.get(&archive_path(tenant, &run.id)).await?;
        Ok(found.into_stream())
    }

    /// The folder of a tenant's exports in the object store.
    pub(crate) fn folder(tenant: Tenant) -> String {
        format!("{FOLDER}/{}", tenant.0)
    }

    /// Stops the tenant's run and removes all it has; of a tenant that is deleted.
    pub(crate) async fn erase(&self, tenant: Tenant) -> Result<(), ExportError> {
        loop {
            let stop = self.shared.running().get(&tenant).map(|running| running.stop.clone());
            let Some(stop) = stop else { break };
            stop.cancel();
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        self.shared.clear(tenant).await
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, HashMap<Tenant, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes all that a tenant has.
    async fn clear(&self, tenant: Tenant) -> Result<(), ExportError> {
        let all = self.objects.list(Some(&folder(tenant))).map_ok(|object| object.location);
        let removed = self.objects.delete_stream(all.boxed());
        Ok(removed.try_for_each(|_| std::future::ready(Ok(()))).await?)
    }

    /// Makes an export and notes what became of it.
    async fn run(&self, tenant: &TenantRecord, Running { run, stop }: Running) {
        let number = Tenant(tenant.number);
        let scratch = self.scratch.join(format!("{}-{}.tar", number.0, run.id));
        let made = self.make(tenant, &run, &stop, &scratch).await;
        if let Err(error) = tokio::fs::remove_file(&scratch).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %scratch.display(), "an export's draft is left");
        }
        let is_there = self.directory.by_number(number.0).is_some();
        let noted = match made {
            // It may have been deleted before this began, and nobody comes to clear up after it.
            _ if !is_there => self.clear(number).await,
            Ok(()) | Err(ExportError::Stopped) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, tenant = number.0, "an export failed");
                self.note(number, &run.failed(&error.to_string())).await
            }
        };
        if let Err(error) = noted {
            tracing::warn!(%error, tenant = number.0, "what became of an export is not noted");
        }
        // Last: until then it is under way, and a deletion waits for it.
        self.running().remove(&number);
    }

    async fn make(
        &self,
        tenant: &TenantRecord,
        run: &Run,
        stop: &CancellationToken,
        scratch: &std::path::Path,
    ) -> Result<(), ExportError> {
        let number = Tenant(tenant.number);
        // So that it is known of, and known to have failed, if this process ends before it is done.
        self.note(number, run).await?;
        let written = async {
            let room = self.room.acquire().await.map_err(|_| ExportError::Moved)?;
            let written = bundle::write(&self.sources, &self.objects, tenant, scratch).await?;
            Ok::<_, ExportError>((room, written))
        };
        // What comes after is not cut off: half an upload would stay where nobody finds it.
        let (_room, (bytes, sha256)) = tokio::select! {
            () = stop.cancelled() => return Err(ExportError::Stopped),
            written = written => written?,
        };
        upload(&self.objects, scratch, &archive_path(number, &run.id), stop).await?;
        let done = Run {
            state: State::Done,
            finished_at: Some(Utc::now()),
            bytes: Some(bytes),
            sha256: Some(sha256),
            ..run.clone()
        };
        self.note(number, &done).await?;
        self.prune(number).await
    }

    async fn note(&self, tenant: Tenant, run: &Run) -> Result<(), ExportError> {
        let Some(path) = note_path(tenant, &run.id) else { return Ok(()) };
        let text = serde_json::to_vec(run).map_err(|error| ExportError::Read(error.to_string()))?;
        self.objects.put(&path, PutPayload::from(text)).await?;
        Ok(())
    }

    /// Removes the tenant's archives but for the newest, with what is noted of them.
    async fn prune(&self, tenant: Tenant) -> Result<(), ExportError> {
        let mut all: Vec<Path> = self
            .objects
            .list(Some(&folder(tenant)))
            .map_ok(|object| object.location)
            .try_collect()
            .await?;
        all.sort_unstable();
        let mut runs: Vec<&str> = all.iter().filter_map(run_of).collect();
        runs.dedup();
        let kept = &runs[runs.len().saturating_sub(KEPT)..];
        for path in &all {
            if run_of(path).is_some_and(|run| !kept.contains(&run)) {
                self.objects.delete(path).await?;
            }
        }
        Ok(())
    }
}

impl Run {
    fn new(actor: &str) -> Self {
        let started_at = Utc::now();
        let drawn: u32 = rand::random();
        Self {
            id: format!("{}-{drawn:08x}", started_at.format("%Y%m%dT%H%M%S%6f")),
            state: State::Running,
            requested_by: actor.to_owned(),
            started_at,
            finished_at: None,
            bytes: None,
            sha256: None,
            error: None,
        }
    }

    fn failed(&self, error: &str) -> Self {
        let (finished_at, error) = (Some(Utc::now()), Some(error.to_owned()));
        Self { state: State::Failed, finished_at, error, ..self.clone() }
    }
}

/// Copies a file into the object store, a part at a time. One that fails or is stopped leaves nothing
/// there; one that is dropped may leave half a file.
pub(crate) async fn upload(
    objects: &Arc<dyn ObjectStore>,
    from: &std::path::Path,
    to: &Path,
    stop: &CancellationToken,
) -> Result<(), ExportError> {
    let file = tokio::fs::File::open(from).await?;
    let mut upload = objects.put_multipart(to).await?;
    send(file, upload.as_mut(), stop).await
}

/// Sends a file, or nothing of it.
async fn send(
    file: tokio::fs::File,
    upload: &mut dyn MultipartUpload,
    stop: &CancellationToken,
) -> Result<(), ExportError> {
    let sent = send_parts(file, upload, stop).await;
    if sent.is_err()
        && let Err(error) = upload.abort().await
    {
        tracing::warn!(%error, "half of a file may be left in the object store");
    }
    sent
}

/// Sends a file's parts, each while the next one is read.
async fn send_parts(
    mut file: tokio::fs::File,
    upload: &mut dyn MultipartUpload,
    stop: &CancellationToken,
) -> Result<(), ExportError> {
    let mut part = next_part(&mut file).await?;
    while !part.is_empty() {
        if stop.is_cancelled() {
            return Err(ExportError::Stopped);
        }
        let sent = upload.put_part(PutPayload::from(part));
        let (sent, next) = tokio::join!(sent, next_part(&mut file));
        sent?;
        part = next?;
    }
    upload.complete().await?;
    Ok(())
}

async fn next_part(file: &mut tokio::fs::File) -> std::io::Result<Vec<u8>> {
    let mut part = Vec::new();
    file.take(PART as u64).read_to_end(&mut part).await?;
    Ok(part)
}

fn folder(tenant: Tenant) -> Path {
    Path::from(Exports::folder(tenant))
}

/// Where a run is noted; none if the id is none that was ever given.
fn note_path(tenant: Tenant, id: &str) -> Option<Path> {
    let is_one = id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    is_one.then(|| Path::from(format!("{FOLDER}/{}/{id}.json", tenant.0)))
}

fn archive_path(tenant: Tenant, id: &str) -> Path {
    Path::from(format!("{FOLDER}/{}/{id}.tar", tenant.0))
}

/// The id of the run that an object belongs to.
fn run_of(path: &Path) -> Option<&str> {
    path.filename()?.split('.').next()
}

#[cfg(test)]
#[path = "exports/upload_tests.rs"]
mod tests;
