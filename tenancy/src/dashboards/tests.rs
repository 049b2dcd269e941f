#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::templates;

const ONE: u32 = 1;
const OTHER: u32 = 2;

/// The dashboards of two tenants.
async fn fresh(limits: DashboardLimits) -> (TempDir, Dashboards) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("control.db")).await.unwrap();
    for id in ["one", "other"] {
        let new = json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"});
        store.create_tenant(serde_json::from_value(new).unwrap()).await.unwrap();
    }
    (folder, Dashboards::new(store, limits))
}

fn document(text: &str) -> Value {
    json!({ "schema": document::SCHEMA, "filters": [], "widgets": [{
        "id": "words", "title": "Words", "at": { "x": 0, "y": 0, "w": 6, "h": 2 },
        "show": { "kind": "text", "text": text },
    }] })
}

fn new(name: &str, text: &str) -> NewDashboard {
    NewDashboard { name: name.to_owned(), document: document(text) }
}

#[tokio::test]
async fn a_dashboard_is_made_changed_restored_and_deleted() {
    let (_folder, dashboards) = fresh(DashboardLimits::default()).await;
    let made = dashboards.create(ONE, "ann", new("  Cash\u{a0}", "a")).await.unwrap();
    assert_eq!((made.head.name.as_str(), made.head.version), ("Cash", 1));
    let id = made.head.id.as_str();
    assert_eq!(dashboards.get(ONE, id).await.unwrap(), made);
    let second = dashboards.replace(ONE, id, Some(1), "bob", new("Money", "b")).await.unwrap();
    assert_eq!((second.head.version, second.head.changed_by.as_str()), (2, "bob"));
    assert_eq!(second.head.created_at, made.head.created_at);
    let third = dashboards.restore(ONE, id, "1", Some(2), "eve").await.unwrap();
    assert_eq!((third.head.version, &third.head.name), (3, &made.head.name));
    assert_eq!((&third.document, third.head.changed_by.as_str()), (&made.document, "eve"));
    assert_eq!(dashboards.get(ONE, id).await.unwrap(), third);
    let versions = dashboards.versions(ONE, id).await.unwrap();
    let told: Vec<_> = versions.iter().map(|v| (v.number, v.restored_from)).collect();
    assert_eq!(told, [(3, Some(1)), (2, None), (1, None)]);
    let (version, was) = dashboards.version(ONE, id, "2").await.unwrap();
    assert_eq!((version.name.as_str(), was), ("Money", document("b")));
    dashboards.delete(ONE, id, Some(3)).await.unwrap();
    assert!(dashboards.list(ONE).await.unwrap().is_empty());
    let gone = dashboards.versions(ONE, id).await;
    assert!(matches!(gone, Err(DashboardError::Unknown(_))), "{gone:?}");
}

#[tokio::test]
async fn who_has_not_seen_what_it_is_now_is_shown_it() {
    let (_folder, dashboards) = fresh(DashboardLimits::default()).await;
    let made = dashboards.create(ONE, "ann", new("Cash", "a")).await.unwrap();
    let id = made.head.id.as_str();
    let now = dashboards.replace(ONE, id, Some(1), "ann", new("Cash", "b")).await.unwrap();
    let late = [
        dashboards.replace(ONE, id, Some(1), "bob", new("Cash", "c")).await.unwrap_err(),
        dashboards.restore(ONE, id, "1", Some(1), "bob").await.unwrap_err(),
        dashboards.delete(ONE, id, Some(1)).await.unwrap_err(),
    ];
    for error in late {
        assert!(error.to_string().contains("has the version 2 now"), "{error}");
        let DashboardError::Changed { now: shown } = error else { panic!("it is another") };
        assert_eq!(*shown, now);
    }
    // Of another tenant it is not there at all.
    for error in [
        dashboards.get(OTHER, id).await.unwrap_err(),
        dashboards.replace(OTHER, id, None, "x", new("x", "x")).await.unwrap_err(),
        dashboards.restore(OTHER, id, "1", None, "x").await.unwrap_err(),
        dashboards.delete(OTHER, id, None).await.unwrap_err(),
        dashboards.versions(OTHER, id).await.unwrap_err(),
        dashboards.version(OTHER, id, "1").await.unwrap_err(),
        dashboards.get(ONE, "No Id").await.unwrap_err(),
    ] {
        assert!(matches!(error, DashboardError::Unknown(_)), "{error}");
    }
    for number in ["3", "0", "-1", "one", "99999999999999999999"] {
        let error = dashboards.restore(ONE, id, number, None, "ann").await.unwrap_err();
        assert!(matches!(error, DashboardError::UnknownVersion(_)), "{error}");
    }
    assert_eq!(dashboards.get(ONE, id).await.unwrap(), now);
}

#[tokio::test]
async fn what_is_stored_is_right_and_within_bounds() {
    let (_folder, dashboards) = fresh(DashboardLimits { count: 2, bytes: 300, versions: 2 }).await;
    for name in ["", " ", "a\nb", &"x".repeat(201)] {
        let error = dashboards.create(ONE, "ann", new(name, "a")).await.unwrap_err();
        assert!(matches!(error, DashboardError::Invalid(_)), "{error}");
    }
    let wrong = NewDashboard { name: "a".to_owned(), document: json!({ "schema": 1 }) };
    let error = dashboards.create(ONE, "ann", wrong).await.unwrap_err();
    assert!(matches!(error, DashboardError::Document(_)), "{error}");
    let large = dashboards.create(ONE, "ann", new("a", &"x".repeat(300))).await.unwrap_err();
    assert!(matches!(large, DashboardError::TooLarge { most: 300, .. }), "{large}");
    let first = dashboards.create(ONE, "ann", new("a", "a")).await.unwrap();
    dashboards.create(ONE, "ann", new("a", "a")).await.unwrap();
    let full = dashboards.create(ONE, "ann", new("a", "a")).await.unwrap_err();
    assert!(matches!(full, DashboardError::Full(2)), "{full}");
    dashboards.create(OTHER, "ann", new("a", "a")).await.unwrap();
    let id = first.head.id.as_str();
    for text in ["b", "c"] {
        dashboards.replace(ONE, id, None, "ann", new("a", text)).await.unwrap();
    }
    let kept = dashboards.versions(ONE, id).await.unwrap();
    assert_eq!(kept.iter().map(|version| version.number).collect::<Vec<_>>(), [3, 2]);
    let error = dashboards.restore(ONE, id, "1", None, "ann").await.unwrap_err();
    assert!(matches!(error, DashboardError::UnknownVersion(_)), "{error}");
}

#[test]
fn every_dashboard_of_a_template_is_one() {
    let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    for template in templates::all() {
        let given = of_template(template, at).unwrap();
        assert_eq!(given, of_template(template, at).unwrap(), "the same whenever it is asked for");
        assert_eq!(given.len(), template.dashboards.len());
        assert!(given.is_sorted_by(|one, next| one.head.created_at < next.head.created_at));
        for (dashboard, from) in given.iter().zip(&template.dashboards) {
            let Dashboard { head, document, base } = dashboard;
            assert_eq!(head.id.as_str(), format!("{}-{}", template.vertical, from.id));
            assert_eq!((&head.name, head.version, base.as_ref()), (&from.title, 1, Some(document)));
            let origin = head.origin.as_ref().unwrap();
            let of = format!("{}/{}", template.vertical, from.id);
            assert_eq!((&origin.template, origin.version), (&of, template.version));
            // As it would be taken from anybody.
            assert_eq!(read(document.clone()).unwrap(), *document, "{}", head.id);
            assert_eq!(*document, json!(from.document), "{}", head.id);
        }
    }
}
