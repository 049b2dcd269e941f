//! What becomes of a delivery when its report, or what its recipients may see, is another by then.

use super::*;
use crate::reports::settings::SmtpUrl;

/// What became of the one delivery of a run, and why it failed.
async fn delivery(node: &Reports, run: &str) -> (String, String) {
    let run = node.run_of(1, run).await.unwrap();
    let [delivery]: [StoredDelivery; 1] = run.deliveries.try_into().unwrap();
    (delivery.state, delivery.error.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_only_where_its_report_still_goes() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let to = |path: &str| definition(json!({ "deliver": [{ "kind": "s3", "path": path }] }));
    let report = node.create(&acme, &jo, to("a.csv")).await.unwrap();
    let copy = async |path: &str| {
        node.shared.parts.objects.get(&Path::from(format!("acme/{path}"))).await.is_ok()
    };
    for (version, path, expected) in [(1, "a.csv", "done"), (2, "b.csv", "failed")] {
        let run = node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
        for done in join_all(turn(&node).await).await {
            done.unwrap();
        }
        // Between the run and its delivery.
        node.replace(&acme, &jo, &report.id, Some(version), to(path)).await.unwrap();
        settle(&[&node]).await;
        let (state, error) = delivery(&node, &run).await;
        assert_eq!(state, expected, "{error}");
        assert_eq!(error.contains("does not go there any more"), state == "failed", "{error}");
        assert!(!copy("b.csv").await);
    }
    assert!(copy("a.csv").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_of_another_role_gets_what_that_role_may_see() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let settings = ReportSettings {
        // Nobody listens there: what is let through fails in another way.
        smtp: Some(SmtpUrl::new("smtp://127.0.0.1:1").unwrap()),
        ..ReportSettings::default()
    };
    let node = place.node_with("one", settings).await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    node.own(&acme, &jo).await.unwrap();
    let mail = json!([{ "kind": "email", "to": ["ceo@acme.example"], "role": "executive" }]);
    let of_sql = json!({ "deliver": mail });
    let of_view = json!({ "deliver": mail, "sql": null, "view": "ar_aging" });
    assert!(node.create(&acme, &jo, definition(of_sql.clone())).await.is_err());
    for (id, report, is_refused) in [("sql", of_sql, true), ("view", of_view, false)] {
        // As if it had been stored when the role might see it.
        let report = Report {
            id: id.to_owned(),
            version: 1,
            owner: "jo".to_owned(),
            created_at: node.now(),
            changed_at: node.now(),
            definition: definition(report),
        };
        let stored = report.stored().unwrap();
        assert!(node.shared.store().create_report(1, &stored, None, 9).await.unwrap());
        let run = node.run(&acme, &jo, id, Map::new(), None).await.unwrap();
        settle(&[&node]).await;
        let (state, error) = delivery(&node, &run).await;
        assert_eq!(state, if is_refused { "failed" } else { "waiting" }, "{error}");
        let refusal = "the role `executive` does not see what is asked in SQL";
        assert_eq!(error.contains(refusal), is_refused, "{error}");
        assert_eq!(error.contains("the mail server"), !is_refused, "{error}");
    }
}

/// An executive may take no files, so a link to one would not open.
#[tokio::test(flavor = "multi_thread")]
async fn an_executive_is_sent_no_link_in_the_place_of_a_file() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let settings = ReportSettings {
        smtp: Some(SmtpUrl::new("smtp://127.0.0.1:1").unwrap()),
        attach_bytes: 1,
        ..ReportSettings::default()
    };
    let node = place.node_with("one", settings).await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let mail = json!([{ "kind": "email", "to": ["ceo@acme.example"], "role": "executive" }]);
    let of_view = json!({ "deliver": mail, "sql": null, "view": "ar_aging" });
    let report = node.create(&acme, &jo, definition(of_view)).await.unwrap();
    let run = node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
    settle(&[&node]).await;
    let (state, error) = delivery(&node, &run).await;
    assert_eq!(state, "failed", "{error}");
    assert!(error.contains("executives take no files by link"), "{error}");
}
