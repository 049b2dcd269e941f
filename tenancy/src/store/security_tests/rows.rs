//! What a tenant has in each table, so that there is something to be seen.
#![allow(clippy::unwrap_used)]

use chrono::TimeDelta;
use serde_json::json;

use super::forgetful::decide;
use super::*;
use crate::audit::{Action, AuditEntry, AuditKey, Chain};
use crate::custom_fields::CustomFields;
use crate::dashboards::{Dashboard, Head, Origin};
use crate::{Role, RoleSet, templates};

pub(super) fn new_tenant(id: &str) -> NewTenant {
    serde_json::from_value(json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"}))
        .unwrap()
}

fn letter(tenant: u32, offset: i64) -> NewDeadLetter {
    NewDeadLetter {
        tenant: Some(tenant),
        topic: "t".to_owned(),
        partition: 0,
        offset,
        reason: "broken".to_owned(),
        key: None,
        value: None,
        size: 0,
        is_json: false,
    }
}

pub(super) fn view(name: &str) -> StoredView {
    StoredView { name: name.to_owned(), sql: "SELECT 1".to_owned(), key: Vec::new() }
}

pub(super) fn key() -> AuditKey {
    AuditKey::new(&"a key of the tests that is long enough".parse().unwrap())
}

pub(super) fn entry(tenant: u32) -> AuditEntry {
    AuditEntry {
        chain: Chain::Tenant(tenant),
        at: Utc::now(),
        actor: "ada".to_owned(),
        source: "127.0.0.1:1".to_owned(),
        action: Action::Query,
        object: "POST /v1/query".to_owned(),
        status: 200,
        detail: Map::new(),
    }
}

/// Puts two rows of a tenant into every table that has a tenant, but for where its audit ends.
pub(super) async fn fill(store: &Store, tenant: u32) {
    store.put_own_views(tenant, &[view("a"), view("b")]).await.unwrap();
    for name in ["x.a", "x.b"] {
        let (name, schema) = (name.to_owned(), "{}".to_owned());
        let event_type = StoredEventType { tenant: Some(tenant), name, schema };
        assert!(store.put_event_type(&event_type, None).await.unwrap());
    }
    let limits = DeadLetterLimits { all: 100, share: 100 };
    store.put_dead_letters(&[letter(tenant, 1), letter(tenant, 2)], limits).await.unwrap();
    store.append_audit(&key(), &[entry(tenant), entry(tenant)]).await.unwrap();
    for token in [service_token(tenant, 1), service_token(tenant, 2)] {
        assert!(store.put_service_token(tenant, &token, 2).await.unwrap());
    }
    for subject in ["jo", "bo"] {
        assert!(store.put_revocation(&revocation(tenant, subject), 2).await.unwrap());
    }
    fill_reports(store, tenant).await;
    fill_alerts(store, tenant).await;
    assert!(store.create_dashboard(tenant, &dashboard(tenant), 9).await.unwrap());
    let deleted = deleted_dashboard(tenant);
    assert!(store.create_dashboard(tenant, &deleted, 9).await.unwrap());
    assert!(store.delete_dashboard(tenant, &deleted.head.id, None).await.unwrap());
    let deleted = deleted_report(tenant);
    assert!(store.create_report(tenant, &deleted, None, 9).await.unwrap());
    assert!(store.delete_report(tenant, &deleted.id, None).await.unwrap());
    assert!(store.update_template(tenant, &taken_over(None), 9).await.unwrap());
}

/// A template that gives and changes nothing.
pub(super) fn taken_over(revision: Option<u64>) -> TemplateUpdate {
    TemplateUpdate {
        revision,
        by: "jo".to_owned(),
        modules: None,
        gift: TemplateGift {
            template: templates::find("household").unwrap().clone(),
            at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
            dashboards: Vec::new(),
            reports: Vec::new(),
            rules: Vec::new(),
        },
        dashboards: Vec::new(),
        reports: Vec::new(),
        rules: Vec::new(),
        removed: Vec::new(),
        // Each update is one change of them too.
        fields: CustomFields { revision: revision.unwrap_or_default(), ..CustomFields::default() },
    }
}

pub(super) fn dashboard(tenant: u32) -> Dashboard {
    let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    Dashboard {
        head: Head {
            id: format!("d{tenant}").parse().unwrap(),
            version: 1,
            name: "what we owe".to_owned(),
            changed_by: "jo".to_owned(),
            created_at: at,
            changed_at: at,
            origin: None,
        },
        document: json!({ "of": tenant }),
        base: None,
    }
}

/// One of a template's, which the tenant has had.
pub(super) fn deleted_dashboard(tenant: u32) -> Dashboard {
    let origin = Some(Origin { template: "household/deleted".to_owned(), version: 1 });
    let id = format!("deleted{tenant}").parse().unwrap();
    let head = Head { id, origin, ..dashboard(tenant).head };
    Dashboard { head, ..dashboard(tenant) }
}

/// A rule with an alert that is to be told.
async fn fill_alerts(store: &Store, tenant: u32) {
    let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let rule = StoredAlertRule {
        id: format!("rule{tenant}"),
        version: 1,
        owner: "jo".to_owned(),
        definition: "{}".to_owned(),
        audience: 1,
        state: RuleState::Waiting,
        error: None,
        created_at: now,
        changed_at: now,
    };
    assert!(store.create_alert_rule(tenant, &rule, &[], 9).await.unwrap());
    let subject = AlertSubject {
        alert_id: format!("alert{tenant}"),
        key: "x".to_owned(),
        subject: "{}".to_owned(),
        details: "{}".to_owned(),
    };
    let decided = decide(store, tenant, &rule, &[subject]).await;
    assert_eq!(decided, Decided::Done { fired: 1, cleared: 0 });
}

/// What has no other time in these tests.
pub(super) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

pub(super) fn report(id: &str) -> StoredReport {
    StoredReport {
        id: id.to_owned(),
        version: 1,
        owner: "jo".to_owned(),
        definition: "{}".to_owned(),
        created_at: now(),
        changed_at: now(),
    }
}

/// One of a template's, which the tenant has had.
pub(super) fn deleted_report(tenant: u32) -> StoredReport {
    report(&format!("household-deleted{tenant}"))
}

pub(super) fn run(id: &str, report: &str) -> NewRun {
    NewRun {
        id: id.to_owned(),
        report_id: report.to_owned(),
        due_at: None,
        requested_by: "jo".to_owned(),
        request: "{}".to_owned(),
        created_at: now(),
        missed: None,
    }
}

/// The end of a day of January, that of the later tenant before that of the earlier.
pub(super) fn mark(tenant: u32) -> PositionMark {
    let (place, day) = (u64::from(tenant), format!("2026-01-{}", 20 - tenant));
    PositionMark { sequence: place, offset: place, day: day.parse().ok(), closes: true }
}

/// A report with a run that is done and to be delivered, and one that is taken under the lease `x`.
pub(super) async fn fill_reports(store: &Store, tenant: u32) {
    let report = report(&format!("r{tenant}"));
    assert!(store.create_report(tenant, &report, None, 9).await.unwrap());
    let owner = StoredOwner { roles: RoleSet::of(&[Role::Analyst]), seen_at: now() };
    store.note_owner(tenant, &format!("jo{tenant}"), &owner, true).await.unwrap();
    for id in ["run", "next"] {
        let run = run(&format!("{id}{tenant}"), &report.id);
        assert!(store.queue_run(tenant, &run, 9).await.unwrap());
        let jobs = store.due_report_jobs(now(), &[tenant], 9).await.unwrap();
        let job = jobs.iter().find(|job| job.kind == JobKind::Run).unwrap();
        let until = now() + TimeDelta::hours(1);
        assert!(store.claim_report_job(job, "x", now(), until).await.unwrap());
        if id == "next" {
            continue;
        }
        let finished = FinishedRun {
            outcome: "{}",
            at: now(),
            expires_at: now(),
            targets: &["{}".to_owned()],
            mark: mark(tenant),
        };
        assert!(store.finish_run(job, "x", &finished).await.unwrap());
    }
}

pub(super) fn revocation(tenant: u32, subject: &str) -> StoredRevocation {
    let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    StoredRevocation {
        tenant,
        subject: subject.to_owned(),
        ended_at: at,
        ended_by: "ada".to_owned(),
        expires_at: at + chrono::TimeDelta::days(1),
    }
}

pub(super) fn service_token(tenant: u32, number: u32) -> StoredServiceToken {
    StoredServiceToken {
        id: format!("{tenant}-{number}"),
        name: "the till".to_owned(),
        hash: format!("{tenant:032}{number:032}"),
        created_by: "jo".to_owned(),
        created_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        expires_at: None,
    }
}
