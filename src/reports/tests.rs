//! Schedules, leases, owners and times, on a clock that the test turns.
#![allow(clippy::unwrap_used, clippy::panic)]

mod audit;
mod days;
mod files;
mod recipients;
mod turns;
mod unread;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use chrono::TimeDelta;
use futures::future::join_all;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use projections::{EventTypes, Partition, ViewDefinition};
use serde_json::json;
use tempfile::TempDir;
use tenancy::audit::{AuditKey, Trail};
use tenancy::{ReportJob, Role, RoleSet, RunState, Secret, Store};
use tokio::task::JoinHandle;

use super::*;
use crate::config::Limits;
use crate::event_types::TypeDirectory;
use crate::forward::Alone;
use crate::own_views::OwnViews;
use crate::serve::{EventHistory, Orders, alone};

/// Nodes that share a control store, an object store and a clock.
pub(super) struct Place {
    folder: TempDir,
    objects: Arc<dyn ObjectStore>,
    /// Microseconds since 1970.
    time: Arc<AtomicI64>,
    /// Whether a job that asks for the time panics.
    panics: Arc<AtomicBool>,
}

impl Place {
    pub(super) fn new(now: &str) -> Self {
        let now: DateTime<Utc> = now.parse().unwrap();
        let time = Arc::new(AtomicI64::new(now.timestamp_micros()));
        let (folder, objects) = (tempfile::tempdir().unwrap(), Arc::new(InMemory::new()));
        Self { folder, objects, time, panics: Arc::default() }
    }

    fn pass(&self, time: TimeDelta) {
        self.time.fetch_add(time.num_microseconds().unwrap(), Ordering::Relaxed);
    }

    async fn node(&self, name: &str) -> Reports {
        self.node_with(name, ReportSettings::default()).await
    }

    async fn node_with(&self, name: &str, settings: ReportSettings) -> Reports {
        self.open(name, settings).await.0
    }

    /// A node with the partition that it reads.
    pub(super) async fn open(&self, name: &str, settings: ReportSettings) -> (Reports, Partition) {
        let store = Store::open(&self.folder.path().join("control.db")).await.unwrap();
        let directory = Directory::open(store.clone()).await.unwrap();
        let limits = Limits::default();
        let types =
            TypeDirectory::new(store.clone(), Vec::new(), Vec::new(), limits.types.clone(), false)
                .unwrap();
        let registry = types.registry().clone();
        let history = EventHistory::new(1, alone());
        let partition = Partition::new(&EventTypes::builtin(), ViewDefinition::builtin()).unwrap();
        let readers = partition.readers();
        let own_views = OwnViews::start(
            store.clone(),
            history.clone(),
            registry.clone(),
            readers.clone(),
            Orders::new(1, alone()),
            limits.views.clone(),
        )
        .unwrap();
        let shown =
            Shown::new(readers.clone(), directory.clone(), registry.clone(), own_views.clone());
        let queries = Queries::new(registry, Arc::new(history.clone()), limits.query.clone());
        let sources = Sources { store: store.clone(), types, history, readers, own_views };
        let (trail, _) = Trail::start(store, AuditKey::new(&Secret::random().unwrap()));
        let (time, panics) = (Arc::clone(&self.time), Arc::clone(&self.panics));
        let reports = Reports::open(Parts {
            sources,
            directory,
            shown,
            places: Arc::new(Alone),
            queries: queries.unwrap(),
            objects: Arc::clone(&self.objects),
            outside: Some(Arc::clone(&self.objects)),
            scratch: self.folder.path().join(name),
            settings,
            tenant_bytes: limits.tenant_bytes,
            trail,
            clock: Arc::new(move || {
                let is_job = tokio::task::try_id().is_some();
                assert!(!is_job || !panics.load(Ordering::Relaxed), "a defect of a job");
                DateTime::from_timestamp_micros(time.load(Ordering::Relaxed)).unwrap()
            }),
        });
        (reports.unwrap(), partition)
    }
}

async fn tenant(reports: &Reports) -> Arc<TenantRecord> {
    tenant_of(reports, "acme").await
}

pub(super) async fn tenant_of(reports: &Reports, id: &str) -> Arc<TenantRecord> {
    let new = json!({
        "id": id, "name": "Acme", "timezone": "Europe/Berlin", "currency": "EUR",
    });
    let directory = &reports.shared.parts.directory;
    directory.create(serde_json::from_value(new).unwrap()).await.unwrap()
}

fn somebody(subject: &str, role: Role) -> Identity {
    Identity {
        subject: subject.to_owned(),
        tenant: Some("acme".parse().unwrap()),
        roles: RoleSet::of(&[role]),
        issued_at: DateTime::UNIX_EPOCH,
        expires_at: DateTime::<Utc>::MAX_UTC,
    }
}

fn definition(more: Value) -> Definition {
    let mut all = json!({ "name": "ones", "sql": "SELECT 1 AS n" });
    let more: serde_json::Map<String, Value> = serde_json::from_value(more).unwrap();
    all.as_object_mut().unwrap().extend(more);
    serde_json::from_value(all).unwrap()
}

/// Does what is due until nothing is.
async fn settle(nodes: &[&Reports]) {
    let serves = |_: &tenancy::TenantId| true;
    for _ in 0..50 {
        let turns = nodes.iter().map(|node| node.turn(&serves));
        let begun: Vec<_> = join_all(turns).await.into_iter().flat_map(Result::unwrap).collect();
        if begun.is_empty() {
            return;
        }
        for done in join_all(begun).await {
            done.unwrap();
        }
    }
    panic!("there is always something due");
}

/// Begins what is due.
pub(super) async fn turn(node: &Reports) -> Vec<JoinHandle<()>> {
    node.turn(&|_: &tenancy::TenantId| true).await.unwrap()
}

/// The one job that is due, which a node takes under the lease `gone` and is never heard of again.
async fn taken(node: &Reports) -> ReportJob {
    let (now, store) = (node.now(), node.shared.store());
    let due = store.due_report_jobs(now, &[1], 9).await.unwrap();
    let [job]: [ReportJob; 1] = due.try_into().unwrap();
    let until = now + TimeDelta::seconds(60);
    assert!(store.claim_report_job(&job, "gone", now, until).await.unwrap());
    store.begin_run(&job, now).await.unwrap().unwrap();
    job
}

async fn states(reports: &Reports, id: &str) -> Vec<(Option<String>, &'static str)> {
    let runs = reports.runs(1, id, None, 500).await.unwrap();
    let mut all: Vec<_> = runs
        .iter()
        .map(|run| {
            let due = run.stored.due_at.map(|at| at.format("%m-%dT%H:%M").to_string());
            (due, run.stored.state.as_str())
        })
        .collect();
    all.reverse();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_met_once_by_however_many_nodes() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let one = place.node("one").await;
    let acme = tenant(&one).await;
    let two = place.node("two").await;
    let jo = somebody("jo", Role::Analyst);
    let schedule = json!({ "schedule": { "cron": "0 7 * * *" } });
    let report = one.create(&acme, &jo, definition(schedule)).await.unwrap();
    settle(&[&one, &two]).await;
    assert_eq!(states(&one, &report.id).await, []);
    for _ in 0..3 {
        place.pass(TimeDelta::hours(12));
        settle(&[&one, &two]).await;
        settle(&[&two, &one]).await;
    }
    let expected = [("11-20T06:00", "done"), ("11-21T06:00", "done")];
    let expected = expected.map(|(at, state)| (Some(at.to_owned()), state));
    assert_eq!(states(&two, &report.id).await, expected);
    let runs = one.runs(1, &report.id, None, 10).await.unwrap();
    for run in &runs {
        assert_eq!(run.stored.attempts, 1);
        let outcome = run.outcome.as_ref().unwrap();
        let file = one.file(outcome, None).await.unwrap().bytes().await.unwrap();
        assert_eq!(&file[..], b"n\r\n1\r\n");
        assert_eq!((outcome.rows, outcome.bytes), (1, 6));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_shown_and_the_last_is_made() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let schedule = json!({ "schedule": { "cron": "0 7 * * *" } });
    let report = node.create(&acme, &jo, definition(schedule)).await.unwrap();
    drop(node);
    place.pass(TimeDelta::days(3));
    let node = place.node("one").await;
    settle(&[&node]).await;
    let expected = [("11-20T06:00", "missed"), ("11-21T06:00", "missed"), ("11-22T06:00", "done")];
    let expected = expected.map(|(at, state)| (Some(at.to_owned()), state));
    assert_eq!(states(&node, &report.id).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_leaves_another_makes() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let one = place.node("one").await;
    let acme = tenant(&one).await;
    let two = place.node("two").await;
    let jo = somebody("jo", Role::Analyst);
    let report = one.create(&acme, &jo, definition(json!({}))).await.unwrap();
    let run = one.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
    let (now, job) = (one.now(), taken(&one).await);
    settle(&[&two]).await;
    assert_eq!(two.run_of(1, &run).await.unwrap().stored.state, RunState::Running);
    place.pass(TimeDelta::seconds(61));
    settle(&[&two]).await;
    let made = two.run_of(1, &run).await.unwrap();
    assert_eq!((made.stored.state, made.stored.attempts), (RunState::Done, 2));
    // What the other one comes with in the end counts for nothing.
    assert!(!one.shared.store().fail_run(&job, "gone", "late", now, None).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_the_rights_that_its_owner_has_then() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let (jo, ann) = (somebody("jo", Role::Analyst), somebody("ann", Role::Admin));
    let report = node.create(&acme, &jo, definition(json!({}))).await.unwrap();
    let outcome = async |by: &Identity| {
        let run = node.run(&acme, by, &report.id, Map::new(), None).await.unwrap();
        settle(&[&node]).await;
        let run = node.run_of(1, &run).await.unwrap().stored;
        (run.state, run.error.unwrap_or_default())
    };
    assert_eq!(outcome(&ann).await.0, RunState::Done);
    // What a token says that came after counts, also in a run that another asks for.
    let less = StoredOwner {
        roles: RoleSet::of(&[Role::Executive]),
        seen_at: (node.shared.parts.clock)(),
    };
    node.shared.store().note_owner(1, "jo", &less, false).await.unwrap();
    let (state, error) = outcome(&ann).await;
    assert_eq!(state, RunState::Failed);
    assert!(error.contains("'jo' is no analyst any more (executive)"), "{error}");
    let again = node.replace(&acme, &ann, &report.id, Some(1), definition(json!({})));
    assert_eq!(again.await.unwrap().owner, "ann");
    assert_eq!(outcome(&jo).await.0, RunState::Done);
    place.pass(TimeDelta::days(91));
    let (state, error) = outcome(&jo).await;
    assert_eq!(state, RunState::Failed);
    assert!(error.contains("has not called for 90 days"), "{error}");
}

/// Who was signed out for good has no reports run by the rights of before.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_somebody_whose_sign_ins_were_ended_is_not_run() {
    // Long before the end of the sign-ins, which is at the time of the machine.
    let place = Place::new("2020-01-01T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let (jo, ann) = (somebody("jo", Role::Analyst), somebody("ann", Role::Admin));
    let report = node.create(&acme, &jo, definition(json!({}))).await.unwrap();
    let outcome = async || {
        let run = node.run(&acme, &ann, &report.id, Map::new(), None).await.unwrap();
        settle(&[&node]).await;
        let run = node.run_of(1, &run).await.unwrap().stored;
        (run.state, run.error.unwrap_or_default())
    };
    assert_eq!(outcome().await.0, RunState::Done);
    let revocations = node.shared.parts.directory.revocations();
    revocations.end(1, "jo", "ann").await.unwrap();
    let (state, error) = outcome().await;
    assert_eq!(state, RunState::Failed);
    assert!(error.contains("owner 'jo' were ended"), "{error}");
    // Who comes again with a new token is noted at once, and has it run again.
    place.pass(Utc::now() - (node.shared.parts.clock)() + TimeDelta::seconds(1));
    node.seen(1, &jo);
    for _ in 0..200 {
        if outcome().await.0 == RunState::Done {
            return;
        }
    }
    panic!("the owner's call is not noted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_when_its_time_is_over_and_with_its_report() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let short = definition(json!({ "keep_days": 1 }));
    let report = node.create(&acme, &jo, short).await.unwrap();
    let files = async || {
        let all: Vec<_> = node.shared.parts.objects.list(None).try_collect().await.unwrap();
        all.len()
    };
    let mut runs = Vec::new();
    for _ in 0..2 {
        runs.push(node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap());
        settle(&[&node]).await;
        place.pass(TimeDelta::hours(13));
    }
    assert_eq!(files().await, 2);
    settle(&[&node]).await;
    assert_eq!(node.run_of(1, &runs[0]).await.unwrap().stored.state, RunState::Expired);
    assert_eq!(node.run_of(1, &runs[1]).await.unwrap().stored.state, RunState::Done);
    assert_eq!(files().await, 1);
    node.delete(1, &report.id, None).await.unwrap();
    settle(&[&node]).await;
    assert_eq!(files().await, 0);
    assert!(matches!(node.run_of(1, &runs[0]).await, Err(ReportError::UnknownRun(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_may_pass_is_tried_again_and_not_for_ever() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let report = node.create(&acme, &jo, definition(json!({ "format": "xlsx" }))).await.unwrap();
    // Nothing can be written beside the data.
    std::fs::remove_dir_all(place.folder.path().join("one")).unwrap();
    let run = node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
    for attempts in 1..=5 {
        settle(&[&node]).await;
        let stored = node.run_of(1, &run).await.unwrap().stored;
        assert_eq!(stored.attempts, attempts);
        let state = if attempts < 5 { RunState::Queued } else { RunState::Failed };
        assert_eq!(stored.state, state, "{stored:?}");
        place.pass(TimeDelta::hours(2));
    }
    settle(&[&node]).await;
    assert_eq!(node.run_of(1, &run).await.unwrap().stored.attempts, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_called_off_is_not_made() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let report = node.create(&acme, &jo, definition(json!({}))).await.unwrap();
    let run = node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
    node.cancel(1, &run).await.unwrap();
    assert!(matches!(node.cancel(1, &run).await, Err(ReportError::Over("cancelled"))));
    settle(&[&node]).await;
    assert_eq!(node.run_of(1, &run).await.unwrap().stored.state, RunState::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_into_the_tenants_folder() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let deliver = json!({ "deliver": [{ "kind": "s3", "path": "daily/{{today}}.csv" }] });
    let report = node.create(&acme, &jo, definition(deliver)).await.unwrap();
    let run = node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
    settle(&[&node]).await;
    let told = node.run_of(1, &run).await.unwrap();
    assert_eq!(told.deliveries[0].state, "done", "{:?}", told.deliveries);
    let copy = Path::from("acme/daily/2026-11-20.csv");
    let copy = node.shared.parts.objects.get(&copy).await.unwrap().bytes().await.unwrap();
    assert_eq!(&copy[..], b"n\r\n1\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_is_not_taken() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    for (report, part) in [
        (json!({ "sql": "SELECT nothing" }), "nothing"),
        (json!({ "sql": "DROP TABLE x" }), "not allowed"),
        (json!({ "sql": "SELECT $1" }), "$1"),
        (json!({ "sql": null, "view": "nowhere" }), "nowhere"),
        (json!({ "deliver": [{ "kind": "email", "to": ["a@b.example"] }] }), "smtp_url"),
    ] {
        let error = node.create(&acme, &jo, definition(report)).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(node.list(1).await.unwrap().is_empty());
    node.create(&acme, &jo, definition(json!({ "sql": null, "view": "ar_aging" }))).await.unwrap();
}
