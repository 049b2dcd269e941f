#![allow(clippy::unwrap_used)]

use chrono::TimeDelta;

use super::super::places::{Place, on_both};
use super::super::{FinishedRun, NewRun, PositionMark, ReportJob, RunState};
use super::*;
use crate::{NewTenant, Role, Tombstone};

fn tenant(id: &str) -> NewTenant {
    let body = serde_json::json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"});
    serde_json::from_value(body).unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn report(id: &str) -> StoredReport {
    StoredReport {
        id: id.to_owned(),
        version: 1,
        owner: "jo".to_owned(),
        definition: "{}".to_owned(),
        created_at: at(0),
        changed_at: at(0),
    }
}

fn new_run(id: &str, due: Option<i64>) -> NewRun {
    NewRun {
        id: id.to_owned(),
        report_id: "a".to_owned(),
        due_at: due.map(at),
        requested_by: "jo".to_owned(),
        request: "{}".to_owned(),
        created_at: at(10),
        missed: None,
    }
}

fn mark(sequence: u64, day: &str, closes: bool) -> PositionMark {
    PositionMark { sequence, offset: 2 * sequence, day: day.parse().ok(), closes }
}

async fn due(store: &Store, seconds: i64) -> Vec<ReportJob> {
    store.due_report_jobs(at(seconds), 100).await.unwrap()
}

/// Takes the one job that is due.
async fn take(store: &Store, seconds: i64, lease: &str) -> ReportJob {
    let [job]: [ReportJob; 1] = due(store, seconds).await.try_into().unwrap();
    assert!(store.claim_report_job(&job, lease, at(seconds), at(seconds + 60)).await.unwrap());
    job
}

on_both! {
async fn reports_are_a_tenants_own_and_change_by_version(place: &Place) {
    let store = place.open().await;
    for id in ["one", "two"] {
        store.create_tenant(tenant(id)).await.unwrap();
    }
    assert!(store.create_report(1, &report("a"), None, 2).await.unwrap());
    assert!(store.create_report(1, &report("b"), Some(at(60)), 2).await.unwrap());
    assert!(!store.create_report(1, &report("c"), None, 2).await.unwrap());
    assert!(store.create_report(2, &report("a"), None, 2).await.unwrap());
    let second = StoredReport { version: 2, definition: "{\"a\":1}".into(), ..report("a") };
    assert!(store.replace_report(1, &second, Some(at(30))).await.unwrap());
    assert!(!store.replace_report(1, &second, None).await.unwrap(), "it has that version already");
    assert_eq!(store.reports(1).await.unwrap(), [second.clone(), report("b")]);
    assert_eq!(store.report(2, "a").await.unwrap(), Some(report("a")));
    assert_eq!(store.report(2, "a\0").await.unwrap(), None, "NUL is in no id");
    assert_eq!(store.report_run(2, "\0").await.unwrap(), None);
    assert!(store.report_runs(2, "a", Some("\0"), 10).await.unwrap().0.is_empty());
    let ids: Vec<(u32, String)> =
        due(&store, 60).await.into_iter().map(|job| (job.tenant, job.id)).collect();
    assert_eq!(ids, [(1, "a".to_owned()), (1, "b".to_owned())]);
    assert!(!store.delete_report(1, "a", Some(1)).await.unwrap());
    assert!(store.delete_report(1, "a", Some(2)).await.unwrap());
    assert!(store.delete_report(1, "b", None).await.unwrap());
    assert_eq!(due(&store, 60).await, []);
    assert_eq!(store.reports(2).await.unwrap(), [report("a")]);
}

async fn a_job_is_one_leases_at_a_time(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    assert!(store.create_report(1, &report("a"), Some(at(0)), 2).await.unwrap());
    assert_eq!(due(&store, -1).await, []);
    let [job]: [ReportJob; 1] = due(&store, 0).await.try_into().unwrap();
    assert!(store.claim_report_job(&job, "x", at(0), at(60)).await.unwrap());
    assert!(!store.claim_report_job(&job, "y", at(0), at(60)).await.unwrap());
    assert_eq!(due(&store, 59).await, []);
    assert!(store.renew_report_job(&job, "x", at(100)).await.unwrap());
    assert!(!store.renew_report_job(&job, "y", at(100)).await.unwrap());
    // Its lease ends, and another has it.
    let later = take(&store, 100, "y").await;
    assert_eq!(later.attempts, 1);
    assert!(!store.renew_report_job(&job, "x", at(200)).await.unwrap());
    assert!(!store.queue_scheduled(&job, "x", 1, &[new_run("1", Some(0))], None).await.unwrap());
    assert!(!store.queue_scheduled(&later, "y", 2, &[new_run("1", Some(0))], None).await.unwrap());
    let runs = [new_run("1", Some(0)), new_run("2", Some(60))];
    assert!(store.queue_scheduled(&later, "y", 1, &runs, Some(at(500))).await.unwrap());
    let queued = due(&store, 400).await;
    assert_eq!(queued.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    // A time that was named is not named again.
    let again = due(&store, 500).await.into_iter().find(|job| job.kind == JobKind::Schedule);
    let again = again.unwrap();
    assert!(store.claim_report_job(&again, "z", at(500), at(560)).await.unwrap());
    assert!(store.queue_scheduled(&again, "z", 1, &[new_run("3", Some(60))], None).await.unwrap());
    assert_eq!(store.report_runs(1, "a", None, 10).await.unwrap().0.len(), 2);
}

async fn a_run_goes_its_way(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    assert!(store.create_report(1, &report("a"), None, 2).await.unwrap());
    assert!(store.queue_run(1, &new_run("1", None), 1).await.unwrap());
    assert!(!store.queue_run(1, &new_run("2", None), 1).await.unwrap(), "one waits");
    let job = take(&store, 10, "x").await;
    let run = store.begin_run(&job, at(10)).await.unwrap().unwrap();
    assert_eq!((run.state, run.attempts), (RunState::Running, 1));
    assert!(!store.fail_run(&job, "y", "not mine", at(11), None).await.unwrap());
    assert!(store.fail_run(&job, "x", "busy", at(11), Some(at(20))).await.unwrap());
    assert_eq!(due(&store, 19).await, []);
    let job = take(&store, 20, "z").await;
    let run = store.begin_run(&job, at(20)).await.unwrap().unwrap();
    assert_eq!((run.attempts, run.error.as_deref()), (2, Some("busy")));
    let targets = ["{}".to_owned(), "{\"b\":1}".to_owned()];
    let finished = FinishedRun {
        outcome: "{\"rows\":1}",
        at: at(21),
        expires_at: at(21) + TimeDelta::days(1),
        targets: &targets,
        mark: mark(7, "2026-01-31", false),
    };
    assert!(!store.finish_run(&job, "x", &finished).await.unwrap());
    assert!(store.finish_run(&job, "z", &finished).await.unwrap());
    assert!(!store.cancel_run(1, "1", at(22)).await.unwrap(), "it is done");
    let run = store.report_run(1, "1").await.unwrap().unwrap();
    assert_eq!((run.state, run.error, run.started_at), (RunState::Done, None, Some(at(10))));
    let deliveries = due(&store, 21).await;
    assert_eq!(deliveries.iter().map(|job| job.place).collect::<Vec<_>>(), [0, 1]);
    for (job, error) in deliveries.iter().zip([None, Some("refused")]) {
        assert!(store.claim_report_job(job, "d", at(21), at(81)).await.unwrap());
        assert!(store.end_delivery(job, "d", error, at(22), None).await.unwrap());
        assert!(!store.end_delivery(job, "d", error, at(22), None).await.unwrap());
    }
    let (runs, told) = store.report_runs(1, "a", None, 10).await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(told.iter().map(|d| d.state.as_str()).collect::<Vec<_>>(), ["done", "failed"]);
    assert_eq!(told, store.run_deliveries(1, "1").await.unwrap());
    assert_eq!(store.position_mark(1, 7).await.unwrap(), Some(mark(7, "2026-01-31", false)));
    let job = take(&store, 100_000, "e").await;
    assert_eq!(job.kind, JobKind::Expire);
    assert!(store.expire_run(&job, "e").await.unwrap());
    assert_eq!(store.report_run(1, "1").await.unwrap().unwrap().state, RunState::Expired);
    // What is called off is due no more.
    assert!(store.queue_run(1, &new_run("2", None), 1).await.unwrap());
    assert!(store.cancel_run(1, "2", at(30)).await.unwrap());
    assert_eq!(due(&store, 100_000).await, []);
}

async fn what_a_deleted_report_has_goes_with_its_files(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    assert!(store.create_report(1, &report("a"), None, 2).await.unwrap());
    assert!(store.queue_run(1, &new_run("1", None), 9).await.unwrap());
    let job = take(&store, 10, "x").await;
    store.begin_run(&job, at(10)).await.unwrap().unwrap();
    let targets = ["{}".to_owned()];
    let finished = FinishedRun {
        outcome: "{}",
        at: at(11),
        expires_at: at(1_000),
        targets: &targets,
        mark: mark(1, "2026-01-31", false),
    };
    assert!(store.finish_run(&job, "x", &finished).await.unwrap());
    assert!(store.queue_run(1, &new_run("2", None), 9).await.unwrap());
    assert!(store.delete_report(1, "a", None).await.unwrap());
    assert!(store.report_run(1, "2").await.unwrap().is_none());
    let job = take(&store, 12, "y").await;
    assert_eq!((job.kind, job.id.as_str()), (JobKind::Expire, "1"));
    assert!(store.expire_run(&job, "y").await.unwrap());
    assert!(store.report_run(1, "1").await.unwrap().is_none());
}

async fn a_day_is_found_by_its_last_position_or_that_of_a_later_one(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    let marks = [
        mark(3, "2026-01-30", true),
        mark(5, "2026-01-31", false),
        mark(6, "2026-01-31", true),
        mark(9, "2026-02-03", true),
    ];
    for noted in &marks {
        store.put_position_mark(1, noted).await.unwrap();
    }
    // What is noted again stays what it was.
    store.put_position_mark(1, &mark(6, "2026-01-31", false)).await.unwrap();
    for (day, expected) in [
        ("2026-01-01", Some(3)),
        ("2026-01-31", Some(6)),
        ("2026-02-01", Some(9)),
        ("2026-02-04", None),
    ] {
        let found = store.closing_mark(1, day.parse().unwrap()).await.unwrap();
        assert_eq!(found.map(|mark| mark.sequence), expected, "{day}");
    }
    assert_eq!(store.position_mark(1, 4).await.unwrap(), None);
    assert_eq!(store.position_mark(2, 3).await.unwrap(), None);
}

async fn of_owners_the_newest_token_counts(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    let analyst = StoredOwner { roles: RoleSet::of(&[Role::Executive, Role::Analyst]), seen_at: at(0) };
    store.note_owner(1, "jo", &analyst, false).await.unwrap();
    assert_eq!(store.owner(1, "jo").await.unwrap(), None, "who owns nothing is not noted");
    store.note_owner(1, "jo", &analyst, true).await.unwrap();
    assert_eq!(store.owner(1, "jo").await.unwrap(), Some(analyst));
    let less = StoredOwner { roles: RoleSet::of(&[Role::Executive]), seen_at: at(5) };
    store.note_owner(1, "jo", &less, false).await.unwrap();
    assert_eq!(store.owner(1, "jo").await.unwrap(), Some(less));
    assert_eq!(store.owner(2, "jo").await.unwrap(), None);
}

async fn all_of_it_goes_with_its_tenant(place: &Place) {
    let store = place.open().await;
    let one = store.create_tenant(tenant("one")).await.unwrap();
    assert!(store.create_report(1, &report("a"), Some(at(0)), 2).await.unwrap());
    assert!(store.queue_run(1, &new_run("1", None), 9).await.unwrap());
    let stone: Tombstone = store.delete_tenant(&one.id, "ops").await.unwrap();
    store.create_report(1, &report("b"), None, 9).await.unwrap_err();
    store.queue_run(1, &new_run("2", None), 9).await.unwrap_err();
    store.put_position_mark(1, &mark(1, "2026-01-31", true)).await.unwrap_err();
    store.erase_tenant(&stone).await.unwrap();
    assert!(store.reports(1).await.unwrap().is_empty());
    assert!(store.report_run(1, "1").await.unwrap().is_none());
    assert_eq!(due(&store, 1_000).await, []);
}
}
