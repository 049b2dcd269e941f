#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::json;
use sqlx::AssertSqlSafe;

use super::super::places::{Place, on_both};
use super::*;
use crate::custom_fields::{CustomFields, DeclaredField};
use crate::dashboards::{Dashboard, Head, Origin};
use crate::templates::{self, CustomFieldType, Template};
use crate::{
    DeadLetterLimits, NewDeadLetter, NewTenant, RuleState, StoredAlertRule, StoredEventType,
    StoredReport, StoredRevocation, StoredView, TemplateGift, TemplateUpdate, TenantChange,
};

const MARKER: &str = "Marker-of-the-deleted";
const LETTERS: DeadLetterLimits = DeadLetterLimits { all: 100, share: 100 };
/// A dashboard of which only its last version is known.
const DELETED_BOARD: &str = "board-of-the-deleted";
/// And such a report.
const DELETED_REPORT: &str = "report-of-the-deleted";

fn new_tenant(id: &str) -> NewTenant {
    serde_json::from_value(json!({
        "id": id, "name": format!("{MARKER} {id}"), "timezone": "Europe/Berlin", "currency": "CHF",
        "clock": "fixed:2031-05-17", "branding": {"name": MARKER},
    }))
    .unwrap()
}

fn letter(tenant: Option<u32>, key: &str, offset: i64) -> NewDeadLetter {
    NewDeadLetter {
        tenant,
        topic: "t".to_owned(),
        partition: 0,
        offset,
        reason: MARKER.to_owned(),
        key: Some(key.as_bytes().to_vec()),
        value: Some(MARKER.repeat(300).into_bytes()),
        size: 1,
        is_json: false,
    }
}

/// One of a template's.
fn dashboard(id: &str) -> Dashboard {
    let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let document = json!({ "said": MARKER });
    Dashboard {
        head: Head {
            id: id.parse().unwrap(),
            version: 1,
            name: MARKER.to_owned(),
            changed_by: String::new(),
            created_at: at,
            changed_at: at,
            origin: Some(Origin { template: format!("retail/{id}"), version: 1 }),
        },
        base: Some(document.clone()),
        document,
    }
}

fn gift() -> TemplateGift {
    let retail = templates::find("retail").unwrap().clone();
    TemplateGift {
        template: Template { title: MARKER.to_owned(), ..retail },
        at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        dashboards: Vec::new(),
        reports: Vec::new(),
        rules: Vec::new(),
    }
}

async fn fill(store: &Store, tenant: u32) {
    assert!(store.create_dashboard(tenant, &dashboard("mine"), 9).await.unwrap());
    let deleted = dashboard(DELETED_BOARD);
    assert!(store.create_dashboard(tenant, &deleted, 9).await.unwrap());
    assert!(store.delete_dashboard(tenant, &deleted.head.id, None).await.unwrap());
    let report = StoredReport {
        id: DELETED_REPORT.to_owned(),
        version: 1,
        owner: MARKER.to_owned(),
        definition: format!("\"{MARKER}\""),
        created_at: deleted.head.created_at,
        changed_at: deleted.head.created_at,
    };
    assert!(store.create_report(tenant, &report, None, 9).await.unwrap());
    assert!(store.delete_report(tenant, &report.id, None).await.unwrap());
    let update = TemplateUpdate {
        revision: None,
        by: MARKER.to_owned(),
        modules: None,
        gift: gift(),
        dashboards: Vec::new(),
        reports: Vec::new(),
        rules: Vec::new(),
        removed: Vec::new(),
        fields: CustomFields::default().with(DeclaredField {
            on: "hr.time_logged".to_owned(),
            name: "x".to_owned(),
            title: MARKER.to_owned(),
            r#type: CustomFieldType::Text,
            choices: vec![MARKER.to_owned()],
        }),
    };
    assert!(store.update_template(tenant, &update, 9).await.unwrap());
    let (sql, key) = (format!("SELECT '{MARKER}' AS x"), vec!["x".to_owned()]);
    let view = StoredView { name: format!("v{tenant}"), sql, key };
    store.put_own_views(tenant, &[view]).await.unwrap();
    let (name, schema) = (format!("a.b{tenant}"), format!("\"{MARKER}\""));
    let event_type = StoredEventType { tenant: Some(tenant), name, schema };
    assert!(store.put_event_type(&event_type, None).await.unwrap());
    let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let (subject, ended_by) = (MARKER.to_owned(), MARKER.to_owned());
    let ended = StoredRevocation { tenant, subject, ended_at: at, ended_by, expires_at: at };
    assert!(store.put_revocation(&ended, 9).await.unwrap());
    let letters = [letter(Some(tenant), "k", i64::from(tenant))];
    store.put_dead_letters(&letters, LETTERS).await.unwrap();
}

/// How often a text stands in the files of the store, or in the rows of its tables.
async fn found(place: &Place, text: &str) -> usize {
    if let Place::File(folder) = place {
        return found_in(folder.path(), text);
    }
    let mut connection = place.superuser().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::TEXT FROM pg_class \
         WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut found = 0;
    for table in tables {
        let rows = format!("SELECT row_to_json(t)::TEXT FROM {table} t");
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(&mut connection).await.unwrap();
        found +=
            rows.iter().map(|r| r.matches(text).count() + r.matches(&hex).count()).sum::<usize>();
    }
    found
}

fn found_in(folder: &Path, text: &str) -> usize {
    let files = std::fs::read_dir(folder).unwrap();
    let count =
        |bytes: Vec<u8>| bytes.windows(text.len()).filter(|w| *w == text.as_bytes()).count();
    files.map(|file| count(std::fs::read(file.unwrap().path()).unwrap())).sum()
}

on_both! {
async fn of_an_erased_tenant_only_the_tombstone_and_the_record_stay(place: &Place) {
    let store = place.open().await;
    let acme = store.create_tenant(new_tenant("acme")).await.unwrap();
    let other = store.create_tenant(new_tenant("other")).await.unwrap();
    fill(&store, acme.number).await;
    fill(&store, other.number).await;
    let shared = [letter(None, "acme", 7), letter(None, "nobody", 8)];
    store.put_dead_letters(&shared, LETTERS).await.unwrap();
    let before = store.last_change().await.unwrap();

    let stone = store.delete_tenant(&acme.id, "ops").await.unwrap();
    assert_eq!((stone.number, stone.erased_at), (acme.number, None));
    assert_eq!(store.delete_tenant(&acme.id, "again").await.unwrap(), stone, "it stays as it is");
    assert_eq!(store.tombstones_since(before).await.unwrap(), std::slice::from_ref(&stone));
    assert!(store.tenants_since(before).await.unwrap().is_empty());
    assert_eq!(store.tenant(&acme.id).await.unwrap(), None);
    assert_eq!(store.tenants().await.unwrap(), std::slice::from_ref(&other));
    let again = store.create_tenant(new_tenant("acme")).await.unwrap_err();
    assert!(matches!(again, StoreError::Deleted { .. }), "{again}");
    let changed = store.update_tenant(&acme.id, TenantChange::default()).await.unwrap_err();
    assert!(matches!(changed, StoreError::NotFound { .. }), "{changed}");
    let unknown = store.delete_tenant(&"none".parse().unwrap(), "ops").await.unwrap_err();
    assert!(matches!(unknown, StoreError::NotFound { .. }), "{unknown}");

    // What was under way stores nothing.
    let late = StoredView { name: "late".to_owned(), sql: String::new(), key: Vec::new() };
    store.put_own_views(acme.number, &[late]).await.unwrap_err();
    store.put_dead_letters(&[letter(Some(acme.number), "k", 99)], LETTERS).await.unwrap();
    assert_eq!(store.dead_letters(Some(acme.number), None, 9).await.unwrap().len(), 1);

    store.note_erasure(&acme.id, 5, 2).await.unwrap();
    store.note_erasure(&acme.id, 0, 0).await.unwrap();
    // The other's are erased too in the end, so that nothing with the marker may be left.
    store.erase_tenant(&stone).await.unwrap();
    assert!(store.dead_letters(Some(acme.number), None, 9).await.unwrap().is_empty());
    let left = store.dead_letters(None, None, 9).await.unwrap();
    assert_eq!(left.len(), 1, "one of a key that is nobody's");
    store.remove_dead_letter(None, &left[0].id).await.unwrap();
    assert_eq!(store.own_views().await.unwrap().len(), 1);
    let done = store.finish_erasure(&stone).await.unwrap();
    assert!(done.erased_at.is_some());
    let record = store.erasure(&acme.id).await.unwrap().unwrap();
    assert_eq!((record.actor.as_str(), record.tenant.as_str()), ("ops", "acme"));
    assert_eq!((record.events, record.files, record.finished_at), (5, 2, done.erased_at));

    assert!(found(place, MARKER).await > 0, "the other's");
    assert!(found(place, DELETED_REPORT).await > 0, "the other's");
    let stone = store.delete_tenant(&other.id, "ops").await.unwrap();
    store.erase_tenant(&stone).await.unwrap();
    assert_eq!(found(place, MARKER).await, 0);
    assert_eq!(found(place, "2031-05-17").await, 0);
    assert_eq!(found(place, DELETED_BOARD).await, 0);
    assert_eq!(found(place, DELETED_REPORT).await, 0);
}

async fn records_of_the_audit_are_neither_removed_nor_changed(place: &Place) {
    let store = place.open().await;
    let acme = store.create_tenant(new_tenant("acme")).await.unwrap();
    let stone = store.delete_tenant(&acme.id, "ops").await.unwrap();
    let refused = async |statement: &'static str| place.execute(statement).await.unwrap_err();
    let removed = refused("DELETE FROM platform_audit").await;
    assert!(removed.contains("never removed"), "{removed}");
    let changed = refused("UPDATE platform_audit SET actor = 'another'").await;
    assert!(changed.contains("never changed"), "{changed}");
    store.finish_erasure(&stone).await.unwrap();
    let reopened = refused("UPDATE platform_audit SET finished_at = NULL").await;
    assert!(reopened.contains("never changed"), "{reopened}");
}
}

on_both! {
async fn a_template_is_given_once(place: &Place) {
    let store = place.open().await;
    let mut new = new_tenant("shop");
    new.vertical = Some("retail".to_owned());
    let made = store.create_tenant(new).await.unwrap();
    assert_eq!(made.template.as_deref(), Some("retail"));
    assert_eq!(store.tenants().await.unwrap(), std::slice::from_ref(&made));
    let rule = |id: &str| StoredAlertRule {
        id: id.to_owned(),
        version: 1,
        owner: String::new(),
        definition: "{}".to_owned(),
        audience: 1,
        state: RuleState::Waiting,
        error: None,
        created_at: made.created_at,
        changed_at: made.created_at,
    };
    let rules = [rule("retail-a"), rule("retail-b")];
    let boards = [dashboard("stock"), dashboard("till")];
    let report = StoredReport {
        id: "retail-cash".to_owned(),
        version: 1,
        owner: String::new(),
        definition: "{}".to_owned(),
        created_at: made.created_at,
        changed_at: made.created_at,
    };
    let due = made.created_at + chrono::TimeDelta::days(1);
    let gift = TemplateGift {
        dashboards: boards.to_vec(),
        reports: vec![(report.clone(), Some(due))],
        rules: rules.to_vec(),
        ..gift()
    };
    let done = store.finish_template(&made.id, &gift).await.unwrap();
    assert_eq!(done, crate::TenantRecord { template: None, ..made.clone() });
    assert_eq!(store.alert_rules(done.number).await.unwrap(), rules);
    assert_eq!(store.reports(done.number).await.unwrap(), [report]);
    let jobs = store.due_report_jobs(due, &[done.number], 9).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["retail-cash"]);
    let given = store.given_template(done.number).await.unwrap().unwrap();
    assert_eq!((&given.template, given.revision), (&gift.template, 1));
    let fields = store.custom_fields_of(done.number).await.unwrap();
    assert_eq!(fields.len(), gift.template.custom_fields.len());
    assert!(fields.get("inventory.stock_adjusted", "shrinkage").is_some());
    let fields = fields.without("inventory.stock_adjusted", "shrinkage");
    assert!(store.put_custom_fields(done.number, &fields).await.unwrap());
    let [stock, till] = boards.clone().map(|dashboard| dashboard.head);
    assert_eq!(store.dashboards(done.number).await.unwrap(), [stock.clone(), till.clone()]);
    assert_eq!(store.dashboard(done.number, &stock.id).await.unwrap(), Some(boards[0].clone()));
    // They are the tenant's: what it has deleted does not come back.
    assert!(store.delete_alert_rule(done.number, "retail-a", None).await.unwrap());
    assert!(store.delete_dashboard(done.number, &stock.id, Some(1)).await.unwrap());
    assert!(store.delete_report(done.number, "retail-cash", None).await.unwrap());
    assert_eq!(store.finish_template(&done.id, &gift).await.unwrap(), done);
    assert!(store.reports(done.number).await.unwrap().is_empty());
    let fields = store.custom_fields_of(done.number).await.unwrap();
    assert!(fields.get("inventory.stock_adjusted", "shrinkage").is_none());
    assert_eq!(store.alert_rules(done.number).await.unwrap(), rules[1..]);
    assert_eq!(store.dashboards(done.number).await.unwrap(), [till]);
    store.delete_tenant(&done.id, "ada").await.unwrap();
    let gone = store.finish_template(&done.id, &gift).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
}
}
