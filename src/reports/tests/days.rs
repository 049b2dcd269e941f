//! Of which day a run is: of that on which it was due, whenever it is made.

use std::time::Duration;

use ingest::history::{Accepted, HistoryStore, Recent, Tail};
use projections::{Input, Tick};

use super::*;

/// A node whose partition has had no events.
async fn without_events(place: &Place) -> (Reports, Partition) {
    let (node, partition) = place.open("one", ReportSettings::default()).await;
    let history = HistoryStore::new(Arc::clone(&place.objects), 0, 1);
    let recent = Recent::Tail(Tail::new(1 << 20));
    let accepted = Accepted::new(history, recent, Vec::new(), 0);
    node.shared.parts.sources.history.set(0, Some(accepted));
    (node, partition)
}

/// Sets the date of the tenant.
fn begin(partition: &mut Partition, day: &str) {
    let ticks = vec![Tick { tenant: Tenant(1), today: day.parse().unwrap() }];
    drop(partition.apply(Input { events: Vec::new(), ticks, offset: 0 }));
}

/// A report that says its day, at that time of the clock in Berlin.
fn of_its_day(cron: &str) -> Definition {
    definition(json!({
        "sql": "SELECT $1 AS today",
        "params": [{ "name": "today", "type": "date", "default": "{{today}}" }],
        "schedule": { "cron": cron },
    }))
}

/// The days of a report's runs, and what they were asked with.
async fn days(node: &Reports, report: &str) -> Vec<(String, Value)> {
    let runs = node.runs(1, report, None, 9).await.unwrap();
    let day = |run: &Run| {
        let outcome = run.outcome.as_ref().unwrap_or_else(|| panic!("{:?}", run.stored.error));
        (outcome.as_of.to_string(), json!(outcome.params))
    };
    runs.iter().map(day).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_comes_after_its_day_is_of_its_day() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let (node, mut partition) = without_events(&place).await;
    let acme = tenant(&node).await;
    begin(&mut partition, "2026-11-20");
    let jo = somebody("jo", Role::Analyst);
    let report = node.create(&acme, &jo, of_its_day("59 23 * * *")).await.unwrap();
    // A minute after it was due it is midnight in Berlin.
    place.pass(TimeDelta::hours(18));
    begin(&mut partition, "2026-11-21");
    settle(&[&node]).await;
    assert_eq!(days(&node, &report.id).await, [("2026-11-20".to_owned(), json!(["2026-11-20"]))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_at_midnight_waits_until_the_date_is_there() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let (node, mut partition) = without_events(&place).await;
    let acme = tenant(&node).await;
    begin(&mut partition, "2026-11-20");
    let jo = somebody("jo", Role::Analyst);
    let report = node.create(&acme, &jo, of_its_day("0 0 * * *")).await.unwrap();
    place.pass(TimeDelta::hours(18));
    let date = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        begin(&mut partition, "2026-11-21");
    };
    let nodes = [&node];
    tokio::join!(settle(&nodes), date);
    assert_eq!(days(&node, &report.id).await, [("2026-11-21".to_owned(), json!(["2026-11-21"]))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_asked_for_as_of_a_day_in_words() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let report = node.create(&acme, &jo, definition(json!({}))).await.unwrap();
    let asked =
        async |words: &str| node.run(&acme, &jo, &report.id, Map::new(), Some(words.into())).await;
    asked("{{last_month.end}}").await.unwrap();
    let error = asked("{{last_moon.end}}").await.unwrap_err().to_string();
    assert!(error.contains("as_of"), "{error}");
}
