#![allow(clippy::unwrap_used)]

use chrono::TimeDelta;
use futures::future::join_all;

use super::super::places::{Place, on_both};
use super::super::{FinishedRun, NewRun, PositionMark, ReportJob, RunState, StoredServiceToken};
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

fn service_token(number: u32) -> StoredServiceToken {
    StoredServiceToken {
        id: number.to_string(),
        name: "the till".to_owned(),
        hash: format!("{number:064}"),
        created_by: "jo".to_owned(),
        created_at: at(0),
        expires_at: None,
    }
}

async fn due(store: &Store, seconds: i64) -> Vec<ReportJob> {
    store.due_report_jobs(at(seconds), &[1, 2], 100).await.unwrap()
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
    assert!(!store.queue_scheduled(&job, "x", 1, &[new_run("1", Some(0))], None, 9).await.unwrap());
    assert!(!store.queue_scheduled(&later, "y", 2, &[new_run("1", Some(0))], None, 9).await.unwrap());
    let runs = [new_run("1", Some(0)), new_run("2", Some(60))];
    assert!(store.queue_scheduled(&later, "y", 1, &runs, Some(at(500)), 9).await.unwrap());
    let queued = due(&store, 400).await;
    assert_eq!(queued.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    // A time that was named is not named again.
    let again = due(&store, 500).await.into_iter().find(|job| job.kind == JobKind::Schedule);
    let again = again.unwrap();
    assert!(store.claim_report_job(&again, "z", at(500), at(560)).await.unwrap());
    assert!(store.queue_scheduled(&again, "z", 1, &[new_run("3", Some(60))], None, 9).await.unwrap());
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

/// What was noted beyond an offset that will stand for other events is let go of, and nobody else's.
async fn positions_beyond_an_offset_are_let_go_of(place: &Place) {
    let store = place.open().await;
    for (number, id) in ["one", "two", "three"].into_iter().enumerate() {
        store.create_tenant(tenant(id)).await.unwrap();
        for sequence in [3, 5, 6] {
            let noted = mark(sequence, "2026-01-31", sequence == 6);
            store.put_position_mark(number as u32 + 1, &noted).await.unwrap();
        }
    }
    store.forget_positions_beyond(&[1, 3], 10).await.unwrap();
    for (tenant, last) in [(1, None), (2, Some(6)), (3, None)] {
        assert!(store.position_mark(tenant, 5).await.unwrap().is_some(), "{tenant}");
        let found = store.position_mark(tenant, 6).await.unwrap();
        assert_eq!(found.map(|mark| mark.sequence), last, "{tenant}");
    }
    store.forget_positions_beyond(&[1], 0).await.unwrap();
    assert_eq!(store.position_mark(1, 3).await.unwrap(), None);
    assert!(store.position_mark(2, 3).await.unwrap().is_some());
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

/// Of each tenant and kind the first ones, of those tenants that are asked for.
async fn who_has_much_to_be_done_hides_nobody_elses(place: &Place) {
    let store = place.open().await;
    for id in ["one", "two", "three"] {
        store.create_tenant(tenant(id)).await.unwrap();
    }
    for (tenant, count) in [(1, 6), (2, 1), (3, 1)] {
        for number in 0..count {
            let report = StoredReport { id: format!("r{number}"), ..report("") };
            let next = Some(at(10 * i64::from(tenant) + number));
            assert!(store.create_report(tenant, &report, next, 9).await.unwrap());
            let run = NewRun { report_id: report.id, ..new_run(&format!("{number}"), None) };
            assert!(store.queue_run(tenant, &run, 9).await.unwrap());
        }
    }
    let looked_at = async |tenants: &[u32]| {
        let due = store.due_report_jobs(at(1_000), tenants, 2).await.unwrap();
        let mut all: Vec<(u32, JobKind, String)> =
            due.into_iter().map(|job| (job.tenant, job.kind, job.id)).collect();
        all.sort_unstable();
        all
    };
    let (schedule, run) = (JobKind::Schedule, JobKind::Run);
    let expected = [
        (1, schedule, "r0"),
        (1, schedule, "r1"),
        (1, run, "0"),
        (1, run, "1"),
        (3, schedule, "r0"),
        (3, run, "0"),
    ];
    assert_eq!(looked_at(&[1, 3]).await, expected.map(|(of, kind, id)| (of, kind, id.to_owned())));
    assert_eq!(looked_at(&[2]).await.len(), 2);
    assert_eq!(looked_at(&[]).await, []);
    // What is taken makes room for the next.
    let due = store.due_report_jobs(at(1_000), &[1], 1).await.unwrap();
    let job = due.iter().find(|job| job.kind == run).unwrap();
    assert!(store.claim_report_job(job, "x", at(1_000), at(1_060)).await.unwrap());
    let ids: Vec<String> = looked_at(&[1]).await.into_iter().map(|(_, _, id)| id).collect();
    assert_eq!(ids, ["r0", "r1", "1", "2"]);
}

async fn a_job_that_is_given_back_is_due_at_what_it_was(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    assert!(store.create_report(1, &report("a"), Some(at(0)), 2).await.unwrap());
    let job = take(&store, 100, "x").await;
    store.return_report_job(&job, "y", at(101)).await.unwrap();
    assert_eq!(due(&store, 150).await, [], "it is another's");
    store.return_report_job(&job, "x", at(400)).await.unwrap();
    assert_eq!(due(&store, 399).await, []);
    assert_eq!(due(&store, 400).await, [job]);
}

async fn what_is_scheduled_beyond_the_bound_is_missed(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    assert!(store.create_report(1, &report("a"), Some(at(0)), 2).await.unwrap());
    assert!(store.queue_run(1, &new_run("0", None), 9).await.unwrap());
    let all = due(&store, 100).await;
    let job = all.iter().find(|job| job.kind == JobKind::Schedule).unwrap();
    assert!(store.claim_report_job(job, "x", at(100), at(160)).await.unwrap());
    let late = NewRun { missed: Some("too late".to_owned()), ..new_run("1", Some(0)) };
    let runs = [late, new_run("2", Some(60)), new_run("3", Some(120))];
    assert!(store.queue_scheduled(job, "x", 1, &runs, None, 2).await.unwrap());
    let (runs, _) = store.report_runs(1, "a", None, 10).await.unwrap();
    let states: Vec<(&str, RunState, Option<&str>)> =
        runs.iter().map(|run| (run.id.as_str(), run.state, run.error.as_deref())).collect();
    let full = Some("2 runs waited or were made, and no more may be");
    let expected = [
        ("3", RunState::Missed, full),
        ("2", RunState::Queued, None),
        ("1", RunState::Missed, Some("too late")),
        ("0", RunState::Queued, None),
    ];
    assert_eq!(states, expected);
}

async fn of_a_run_that_comes_to_nothing_what_was_begun_is_swept(place: &Place) {
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    assert!(store.create_report(1, &report("a"), None, 2).await.unwrap());
    let sweeps = async |seconds: i64| -> Vec<String> {
        let all = due(&store, seconds).await;
        all.into_iter().filter(|job| job.kind == JobKind::Sweep).map(|job| job.id).collect()
    };
    for id in ["1", "2", "3"] {
        assert!(store.queue_run(1, &new_run(id, None), 9).await.unwrap());
        let job = take(&store, 10, "x").await;
        store.begin_run(&job, at(10)).await.unwrap().unwrap();
        assert_eq!(sweeps(20).await, [""; 0], "it may still come to something");
        match id {
            "1" => assert!(store.fail_run(&job, "x", "broken", at(20), None).await.unwrap()),
            "2" => assert!(store.cancel_run(1, "2", at(20)).await.unwrap()),
            _ => assert!(store.delete_report(1, "a", None).await.unwrap()),
        }
        let job = due(&store, 10_000).await.into_iter().find(|job| job.id == id).unwrap();
        let now = sweeps(20).await;
        assert_eq!(now.len(), usize::from(id == "1"), "who still brings something has time to");
        assert!(store.claim_report_job(&job, "s", at(10_000), at(10_060)).await.unwrap());
        store.end_report_job(&job, "s").await.unwrap();
    }
    assert_eq!(due(&store, 100_000).await, []);
}

/// However many ask at once.
async fn bounds_hold(place: &Place) {
    const MOST: usize = 2;
    let store = place.open().await;
    store.create_tenant(tenant("one")).await.unwrap();
    let took = |all: Vec<Result<bool, StoreError>>| {
        all.into_iter().filter(|took| *took.as_ref().unwrap()).count()
    };
    let reports = (0..8).map(|number| {
        let (store, report) = (store.clone(), report(&format!("r{number}")));
        async move { store.create_report(1, &report, None, MOST).await }
    });
    assert_eq!(took(join_all(reports).await), MOST);
    let runs = (0..8).map(|number| {
        let (store, run) = (store.clone(), new_run(&format!("{number}"), None));
        async move { store.queue_run(1, &run, MOST).await }
    });
    assert_eq!(took(join_all(runs).await), MOST);
    let tokens = (0..8).map(|number| {
        let (store, token) = (store.clone(), service_token(number));
        async move { store.put_service_token(1, &token, MOST).await }
    });
    assert_eq!(took(join_all(tokens).await), MOST);
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
