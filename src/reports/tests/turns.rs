//! Whose turn it is, and what a job leaves that ends badly.

use super::*;

async fn finish(begun: Vec<JoinHandle<()>>) {
    for done in join_all(begun).await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_do_not_answer_keep_nothing_else_waiting() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let settings = ReportSettings { private_webhooks: true, ..ReportSettings::default() };
    let node = place.node_with("one", settings).await;
    let (acme, other) = (tenant(&node).await, tenant_of(&node, "other").await);
    let jo = somebody("jo", Role::Analyst);
    // It takes calls and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", silent.local_addr().unwrap());
    let hook = json!({ "kind": "webhook", "url": url, "secret": "a secret of sixteen" });
    let silent_report = definition(json!({ "deliver": vec![hook; 10] }));
    let report = node.create(&acme, &jo, silent_report).await.unwrap();
    node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
    finish(turn(&node).await).await;
    assert_eq!(turn(&node).await.len(), 2, "two of its deliveries are tried");
    assert_eq!(turn(&node).await.len(), 0, "and no more");
    // Schedules have places of their own, and so have the deliveries of others.
    let schedule = definition(json!({ "schedule": { "cron": "* * * * *" } }));
    let scheduled = node.create(&acme, &jo, schedule).await.unwrap();
    place.pass(TimeDelta::seconds(61));
    finish(turn(&node).await).await;
    let runs = node.runs(1, &scheduled.id, None, 10).await.unwrap();
    assert_eq!(runs.len(), 1);
    let copied = definition(json!({ "deliver": [{ "kind": "s3", "path": "a.csv" }] }));
    let report = node.create(&other, &jo, copied).await.unwrap();
    let run = node.run(&other, &jo, &report.id, Map::new(), None).await.unwrap();
    for _ in 0..2 {
        finish(turn(&node).await).await;
    }
    assert_eq!(node.run_of(2, &run).await.unwrap().deliveries[0].state, "done");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_has_its_turn_and_none_that_is_served_elsewhere() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let (acme, other) = (tenant(&node).await, tenant_of(&node, "other").await);
    let jo = somebody("jo", Role::Analyst);
    let mut runs = Vec::new();
    for tenant in [&acme, &acme, &acme, &other] {
        let report = node.create(tenant, &jo, definition(json!({}))).await.unwrap();
        runs.push(node.run(tenant, &jo, &report.id, Map::new(), None).await.unwrap());
        place.pass(TimeDelta::seconds(1));
    }
    let begun = turn(&node).await;
    assert_eq!(begun.len(), 2, "one file of each tenant");
    finish(begun).await;
    assert_eq!(node.run_of(2, &runs[3]).await.unwrap().stored.state, RunState::Done);
    // A node looks at what it serves alone.
    let begun = node.turn(&|id: &tenancy::TenantId| *id == other.id).await.unwrap();
    assert_eq!(begun.len(), 0);
    assert_eq!(turn(&node).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_schedule_names_beyond_the_bound_is_missed() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let settings = ReportSettings { queued: 2, ..ReportSettings::default() };
    let node = place.node_with("one", settings).await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let hourly = json!({ "schedule": { "cron": "0 * * * *", "catch_up": "all" } });
    let report = node.create(&acme, &jo, definition(hourly)).await.unwrap();
    place.pass(TimeDelta::hours(4));
    settle(&[&node]).await;
    let mut runs = node.runs(1, &report.id, None, 10).await.unwrap();
    runs.reverse();
    let states: Vec<RunState> = runs.iter().map(|run| run.stored.state).collect();
    let (done, missed) = (RunState::Done, RunState::Missed);
    assert_eq!(states, [done, done, missed, missed]);
    let why = runs[3].stored.error.as_deref().unwrap();
    assert!(why.starts_with("2 runs waited or were made"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_panics_is_under_way_no_more() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let report = node.create(&acme, &jo, definition(json!({}))).await.unwrap();
    node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
    place.panics.store(true, Ordering::Relaxed);
    for ended in join_all(turn(&node).await).await {
        assert!(ended.unwrap_err().is_panic());
    }
    assert!(node.shared.running().is_empty());
    // Nothing is left that it could wait for.
    node.erase(Tenant(acme.number)).await.unwrap();
}
