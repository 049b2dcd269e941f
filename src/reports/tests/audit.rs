//! What is recorded of runs and deliveries.

use tenancy::audit::{AuditFilter, AuditRecord, Chain};

use super::*;

/// The records of a tenant's chain, the oldest first.
async fn records(node: &Reports) -> Vec<Value> {
    let (chain, filter) = (Chain::Tenant(1), AuditFilter::default());
    let page = node.shared.store().audit_records(chain, &filter, None, 100).await.unwrap();
    page.records.iter().rev().map(AuditRecord::to_json).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_try_is_recorded_whatever_came_of_it() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let settings = ReportSettings { private_webhooks: true, ..ReportSettings::default() };
    let node = place.node_with("one", settings).await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", silent.local_addr().unwrap());
    let deliver = json!([
        { "kind": "s3", "path": "a.csv" },
        { "kind": "webhook", "url": url, "secret": "a secret of sixteen" },
    ]);
    let long = format!("SELECT 1 AS n -- {}", "x".repeat(40_000));
    let report = definition(json!({ "sql": long, "deliver": deliver }));
    let report = node.create(&acme, &jo, report).await.unwrap();
    let run = node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
    for done in join_all(turn(&node).await).await {
        done.unwrap();
    }
    // The one delivery is done; the other is cut off.
    let begun = turn(&node).await;
    assert_eq!(begun.len(), 2);
    while node.run_of(1, &run).await.unwrap().deliveries[0].state != "done" {
        tokio::task::yield_now().await;
    }
    node.shared.running()[&(1, format!("deliver {run} 1"))].stop.cancel();
    for done in join_all(begun).await {
        done.unwrap();
    }
    let less = StoredOwner { roles: RoleSet::of(&[Role::Executive]), seen_at: node.now() };
    node.shared.store().note_owner(1, "jo", &less, false).await.unwrap();
    let failed = node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
    for done in join_all(turn(&node).await).await {
        done.unwrap();
    }
    let records = records(&node).await;
    let told = |record: &Value| {
        let of = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        (of("action"), of("object"), record["status"].as_u64().unwrap())
    };
    let of = |run: &str| format!("run {run} of the report {}", report.id);
    let found: Vec<_> = records.iter().map(told).collect();
    let expected = [
        ("query".to_owned(), of(&run), 200),
        ("download".to_owned(), of(&run), 200),
        ("download".to_owned(), of(&run), 499),
        ("query".to_owned(), of(&failed), 422),
    ];
    assert_eq!(found, expected);
    for record in &records {
        let detail = &record["detail"];
        assert_eq!(record["actor"], "jo");
        assert!(detail["ms"].is_u64() && detail["attempt"] == 1, "{record}");
        assert_eq!(detail["sql"]["bytes"], long.len(), "of a long text its beginning is recorded");
        assert!(record.to_string().len() < 16_000, "{record}");
        let is_done = record["status"] == 200;
        assert_eq!(detail["error"].is_null(), is_done, "{record}");
    }
    assert_eq!(records[0]["detail"]["rows"], 1);
    assert_eq!(records[1]["detail"]["target"], json!({ "kind": "s3", "path": "a.csv" }));
    assert_eq!(records[2]["detail"]["target"]["url"], url);
    let why = records[3]["detail"]["error"].as_str().unwrap();
    assert!(why.contains("no analyst any more"), "{why}");
    drop(silent);
}
