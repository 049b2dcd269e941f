//! A start with other built-in views than before, as after an upgrade; and one at which the history does
//! not answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ingest::checkpoint::{
    CheckpointError, Checkpoints, Commit, Commits, CommitsError, Cut, Extent, Options, Restored,
    StatePart,
};
use object_store::local::LocalFileSystem;
use serde_json::{Value, json};
use tempfile::TempDir;
use tenancy::{CommitOutcome, Role, Store, StoredCheckpoint};

use crate::erasure::metric;
use crate::live::Events;
use crate::service::{Service, command, event, invoice, token};

const SOON: [(&str, &str); 1] = [("TIDEMARK_CHECKPOINT_MS", "100")];

/// Waits until all that was sent before is in a checkpoint. The first that is made may have begun before,
/// so there are two, each of something new.
async fn saved(service: &Service, admin: &str) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let made = "tidemark_checkpoints_total";
    for _ in 0..2 {
        let before = metric(service, made).await;
        let call = json!({
            "call_id": "c", "user_id": "u", "disposition": "answered", "duration_s": 5,
        });
        let id = format!("call-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        service.send(admin, &[event("crm.call_logged", &id, &call)]).await;
        let mut looks = 0;
        while metric(service, made).await < before + 1.0 {
            looks += 1;
            assert!(looks < 1500, "no checkpoint is made");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn killed(mut service: Service) {
    service.process.kill().unwrap();
    service.process.wait().unwrap();
}

/// The control store as the list of checkpoints.
#[derive(Debug)]
struct Listed(Store);

#[async_trait]
impl Commits for Listed {
    async fn acquire(&self, partition: u32, owner: &str) -> Result<u64, CommitsError> {
        Ok(self.0.acquire_partition(partition, owner, None).await.unwrap().0)
    }

    async fn listed(&self, partition: u32) -> Result<Vec<Commit>, CommitsError> {
        let listed = self.0.checkpoints(partition).await.unwrap();
        let commit = |stored| {
            let StoredCheckpoint { partition, epoch, number, manifest, checksum } = stored;
            Commit { partition, epoch, number, manifest, checksum }
        };
        Ok(listed.into_iter().map(commit).collect())
    }

    async fn commit(&self, commit: &Commit, keep: u64) -> Result<(), CommitsError> {
        let Commit { partition, epoch, number, manifest, checksum } = commit.clone();
        let stored = StoredCheckpoint { partition, epoch, number, manifest, checksum };
        let outcome = self.0.commit_checkpoint(&stored, keep).await.unwrap();
        assert_eq!(outcome, CommitOutcome::Committed);
        Ok(())
    }
}

/// Writes the newest checkpoint anew as one of a version with other views.
async fn of_other_views(data: &Path) {
    let store = Store::open(&data.join("control.db")).await.unwrap();
    let objects = Arc::new(LocalFileSystem::new_with_prefix(data.join("objects")).unwrap());
    let commits = Arc::new(Listed(store.clone()));
    let checkpoints =
        Checkpoints::open(objects, commits, 0, "test", Options::default()).await.unwrap();
    let read = |restored: &Restored| {
        let stores = restored.load_stores(1, |_, parts| {
            let mut entries = BTreeMap::new();
            for part in parts {
                entries.extend(part?.entries().map(|(slot, bytes)| (slot, bytes.to_vec())));
            }
            Ok::<_, CheckpointError>(entries)
        })?;
        let mut ids = Vec::new();
        for block in restored.id_blocks().0 {
            ids.extend(restored.ids(block)?);
        }
        Ok::<_, CheckpointError>((stores, ids, restored.marks()?))
    };
    let (checkpoint, (stores, ids, marks)) = checkpoints.restore(read).await.unwrap().unwrap();
    let mut writer = checkpoints.begin(Extent::Whole).unwrap();
    for (store, entries) in stores {
        let (mut slots, mut ends, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        for (slot, entry) in entries.into_iter().filter(|(_, entry)| !entry.is_empty()) {
            slots.push(slot);
            bytes.extend(entry);
            ends.push(bytes.len() as u32);
        }
        writer.state(StatePart { store, slots, ends, bytes: bytes.into() }).await.unwrap();
    }
    writer.ids(&ids).await.unwrap();
    writer.marks(&marks).await.unwrap();
    let cut = Cut {
        circuit: [1; 16],
        source: checkpoint.source.clone(),
        step: checkpoint.step,
        catalogue: Vec::new(),
        history: checkpoint.history.clone(),
        sections: BTreeMap::new(),
    };
    writer.commit(cut).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_views_as_they_were_are_not_resumed_from() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let service = Service::start_with(Arc::clone(&data), &SOON).await;
    let admin = service.tenant("quiet").await;
    let sub = [json!({ "id": "a", "view": "open_invoices" })];
    service.send(&admin, &[invoice("i1", "c1", "10")]).await;
    saved(&service, &admin).await;
    let mut live = Events::open(&service, &admin, &sub, None).await;
    let (_, before) = live.telling().await;
    let held = live.last_id.clone();
    killed(service);

    // Of the same version, it is the place to go on from.
    let service = Service::start_with(Arc::clone(&data), &SOON).await;
    let mut live = Events::open(&service, &admin, &sub, Some(&held)).await;
    assert_eq!(live.telling().await.0, "resumed");
    killed(service);

    of_other_views(data.path()).await;
    let service = Service::start_with(Arc::clone(&data), &SOON).await;
    assert!(service.log().contains("others than those of the checkpoint"), "{}", service.log());
    let mut live = Events::open(&service, &admin, &sub, Some(&held)).await;
    assert_eq!(live.telling().await.0, "reset");
    let (kind, after) = live.telling().await;
    assert_eq!((kind.as_str(), &after["rows"]), ("snapshot", &before["rows"]));
    assert_ne!(after["position"], before["position"]);
    // Positions go on from there, those of intake too.
    let receipt = service.send(&admin, &[invoice("i2", "c1", "10")]).await;
    let (kind, delta) = live.telling().await;
    assert_eq!((kind.as_str(), &delta["position"]), ("delta", &receipt["position"]));
    saved(&service, &admin).await;
    let mut live = Events::open(&service, &admin, &sub, None).await;
    assert_eq!(live.telling().await.0, "snapshot");
    let held = live.last_id.clone();
    killed(service);
    let service = Service::start_with(data, &SOON).await;
    let mut live = Events::open(&service, &admin, &sub, Some(&held)).await;
    assert_eq!(live.telling().await.0, "resumed");
}

/// The files of a folder and those below it that end so.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found
}

/// How a process ends on this folder.
fn ended(data: &TempDir) -> ExitStatus {
    let mut process = command(data).envs(SOON).spawn().unwrap();
    for _ in 0..600 {
        if let Some(status) = process.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    panic!("the process goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn own_views_do_not_fail_for_good_where_history_does_not_answer() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let service = Service::start_with(Arc::clone(&data), &SOON).await;
    let admin = service.tenant("acme").await;
    let body = json!({
        "name": "debts", "sql": "SELECT invoice_id FROM events.\"invoicing.invoice_issued\"",
    });
    let answer = service.post("/v1/views", &admin).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    let receipt = service.send(&admin, &[invoice("i1", "c1", "10")]).await;
    assert_eq!(service.rows(&admin, "debts", &receipt["position"]).await, json!([["i1"]]));
    saved(&service, &admin).await;
    killed(service);

    // A link to itself is a file that is there and cannot be opened.
    let history = files(&data.path().join("objects/history"), ".parquet");
    assert!(!history.is_empty());
    let aside = |path: &Path| path.with_extension("aside");
    for path in &history {
        std::fs::rename(path, aside(path)).unwrap();
        std::os::unix::fs::symlink(path, path).unwrap();
    }
    assert!(!ended(&data).success());
    for path in &history {
        std::fs::remove_file(path).unwrap();
        std::fs::rename(aside(path), path).unwrap();
    }
    let service = Service::start_with(data, &SOON).await;
    let status: Value = service.read("/v1/views/debts/status", &admin).await;
    assert_eq!(status["state"], "live", "{status}");
    assert_eq!(service.ask(&admin, "SELECT invoice_id FROM debts").await, json!([["i1"]]));
}

#[tokio::test]
async fn late_events_alone_since_a_checkpoint_do_not_put_an_events_clock_back() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let service = Service::start_with(Arc::clone(&data), &SOON).await;
    let body = json!({
        "id": "late", "name": "late", "timezone": "Europe/Berlin", "currency": "EUR", "clock": "events",
    });
    let platform = token(None, &[Role::Platform]);
    let made = service.post("/v1/platform/tenants", &platform).json(&body).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let admin = token(Some("late"), &[Role::Admin]);
    let mut newest = invoice("i1", "c1", "10");
    newest["time"] = json!("2025-06-20T10:00:00Z");
    let receipt = service.send(&admin, &[newest]).await;
    service.rows(&admin, "open_invoices", &receipt["position"]).await;
    let day = service.read("/v1/views/open_invoices", &admin).await["as_of"].clone();
    assert_eq!(day, "2025-06-20");
    // What these send is of the day that events have unless they say.
    saved(&service, &admin).await;
    saved(&service, &admin).await;
    killed(service);
    let service = Service::start_with(data, &SOON).await;
    assert_eq!(service.read("/v1/views/open_invoices", &admin).await["as_of"], day);
}
