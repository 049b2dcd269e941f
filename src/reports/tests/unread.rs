//! What this version cannot read: it may be a newer one's, as while nodes are replaced one by one.

use tenancy::{FinishedRun, JobKind, PositionMark, StoredReport};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_a_newer_version_is_listed_and_keeps_its_schedule() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let hourly = json!({ "schedule": { "cron": "0 * * * *" } });
    let report = node.create(&acme, &jo, definition(hourly)).await.unwrap();
    place.pass(TimeDelta::seconds(1));
    let other = node.create(&acme, &jo, definition(json!({}))).await.unwrap();
    let run = node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
    settle(&[&node]).await;
    let store = node.shared.store();
    let stored = store.report(1, &report.id).await.unwrap().unwrap();
    let definition = stored.definition.replacen('{', "{\"tides\": 2, ", 1);
    let newer = StoredReport { version: 2, definition, ..stored };
    let due = node.now() + TimeDelta::hours(1) - TimeDelta::seconds(1);
    assert!(store.replace_report(1, &newer, Some(due)).await.unwrap());
    place.pass(TimeDelta::hours(3));
    settle(&[&node]).await;
    // It waits for whoever can read it, from the time on that it was due at.
    let jobs = store.due_report_jobs(node.now() + TimeDelta::hours(1), &[1], 9).await.unwrap();
    let [job]: [ReportJob; 1] = jobs.try_into().unwrap();
    assert_eq!((job.kind, &job.id, job.due_at), (JobKind::Schedule, &report.id, due));
    assert_eq!(states(&node, &report.id).await, [(None, "done")]);
    let listed = node.list(1).await.unwrap();
    let unread = listed[0].as_ref().unwrap_err();
    assert_eq!((&unread.id, unread.name.as_deref()), (&report.id, Some("ones")));
    assert!(unread.error.contains("tides"), "{}", unread.error);
    assert_eq!(listed[1].as_ref().unwrap().id, other.id);
    // What it has is there, and it can be deleted.
    assert_eq!(node.run_of(1, &run).await.unwrap().stored.state, RunState::Done);
    assert!(matches!(node.delete(1, &report.id, Some(1)).await, Err(ReportError::Changed)));
    node.delete(1, &report.id, Some(2)).await.unwrap();
    assert_eq!(node.list(1).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_newer_version_is_listed_and_its_delivery_waits() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let report = node.create(&acme, &jo, definition(json!({}))).await.unwrap();
    let good = node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
    settle(&[&node]).await;
    let run = node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
    let job = taken(&node).await;
    let finished = FinishedRun {
        outcome: "{\"tides\": 2}",
        at: node.now(),
        expires_at: node.now() + TimeDelta::days(1),
        targets: &["{\"kind\": \"pigeon\"}".to_owned()],
        mark: PositionMark { sequence: 1, offset: 1, day: None, closes: false },
    };
    assert!(node.shared.store().finish_run(&job, "gone", &finished).await.unwrap());
    settle(&[&node]).await;
    let runs = node.runs(1, &report.id, None, 10).await.unwrap();
    let of = |id: &str| runs.iter().find(|run| run.stored.id == id).unwrap();
    assert!(of(&good).outcome.is_some() && of(&good).unread.is_none());
    let unread = of(&run).unread.as_deref().unwrap();
    assert!(unread.contains("cannot be read"), "{unread}");
    assert_eq!(of(&run).deliveries[0].state, "waiting");
    place.pass(TimeDelta::minutes(6));
    settle(&[&node]).await;
    assert_eq!(node.run_of(1, &run).await.unwrap().deliveries[0].state, "waiting");
    // When there is nothing to be delivered any more it is given up.
    place.pass(TimeDelta::days(2));
    settle(&[&node]).await;
    let given_up = node.run_of(1, &run).await.unwrap();
    let why = given_up.deliveries[0].error.as_deref().unwrap();
    assert_eq!(given_up.deliveries[0].state, "failed");
    assert!(why.contains("cannot be read"), "{why}");
    assert_eq!(given_up.stored.state, RunState::Expired);
}
