//! Queries as though they had no condition on the tenant, in a database in which two numbers that are
//! compared are always equal: policies keep the comparison that they were made with. Every function of
//! the store that reads or writes rows of a tenant is called here, or said to be the platform's.
#![allow(clippy::unwrap_used)]

use chrono::TimeDelta;
use serde_json::json;

use super::rows::{
    dashboard, deleted_dashboard, deleted_report, entry, fill, fill_reports, key, mark, new_tenant,
    now, report, revocation, run, service_token, taken_over, view,
};
use super::*;
use crate::audit::{AuditFilter, Chain, verify};
use crate::custom_fields::DeclaredField;
use crate::dashboards::{NewDashboard, Origin};
use crate::templates::CustomFieldType;
use crate::templates::parts::PartKind;
use crate::{Role, RoleSet};

/// What opens a store, and what asks for the platform's rows, those that a policy opens to it among
/// them: there a tenant is told by the condition alone, or asked for by no condition.
const OF_THE_PLATFORM: [&str; 36] = [
    "acquire_partition",
    "beat",
    "checkpoints",
    "close",
    "commit_checkpoint",
    "connect",
    "count_dead_letters",
    "create_tenant",
    "custom_fields_since",
    "dead_letter_overflows",
    "dead_letters_by_tenant",
    "delete_tenant",
    "erasure",
    "event_types_alike",
    "event_types_since",
    "finish_erasure",
    "id_key",
    "last_change",
    "migrate",
    "note_erasure",
    "open",
    "ownership",
    "put_dead_letters",
    "put_schema",
    "release_partition",
    "retire",
    "revocations_since",
    "schema",
    "source_partitions",
    "tenant",
    "tenants",
    "tenants_since",
    "tombstone",
    "tombstones",
    "tombstones_since",
    "update_tenant",
];

/// The names of the functions by which others use the store.
fn functions() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut files = vec![folder.with_extension("rs")];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_file() && name != "places.rs" && !name.ends_with("tests.rs") {
            files.push(path);
        }
    }
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for line in text.lines() {
            let open = ["    pub async fn ", "    pub(crate) async fn "];
            let Some(rest) = open.iter().find_map(|begins| line.strip_prefix(begins)) else {
                continue;
            };
            let ends = rest.find(['(', '<']).unwrap();
            found.push(rest[..ends].to_owned());
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn every_function_of_the_store_is_called_here() {
    let here = include_str!("forgetful.rs");
    let found = functions();
    assert!(found.len() > 80, "the functions of the store are looked at: {found:?}");
    let is_called = |name: &str| here.contains(&format!(".{name}("));
    let forgotten: Vec<&String> = found
        .iter()
        .filter(|name| !OF_THE_PLATFORM.contains(&name.as_str()) && !is_called(name))
        .collect();
    assert_eq!(forgotten, [""; 0], "call them as a tenant, and see that no other's rows come");
    let gone = OF_THE_PLATFORM.iter().filter(|name| !found.iter().any(|found| found == *name));
    assert_eq!(gone.collect::<Vec<_>>(), [&""; 0], "there are no such functions");
}

/// Runs every query of the store on tables with a tenant as though it had no condition on the
/// tenant.
#[tokio::test(flavor = "multi_thread")]
async fn queries_that_forget_the_tenant_reach_its_own_rows_only() {
    let place = Place::server().await;
    let store = place.open().await;
    let a = store.create_tenant(new_tenant("a")).await.unwrap().number;
    let b = store.create_tenant(new_tenant("b")).await.unwrap().number;
    let household = NewTenant { vertical: Some("household".to_owned()), ..new_tenant("c") };
    let c = store.create_tenant(household).await.unwrap();
    fill(&store, a).await;
    fill(&store, b).await;
    store.put_own_views(c.number, &[view("c")]).await.unwrap();
    fill_reports(&store, c.number).await;
    let of_b = rows_of(&place, b).await;
    store.close().await;
    place
        .execute(
            "CREATE SCHEMA forgetful; GRANT USAGE ON SCHEMA forgetful TO PUBLIC; \
             CREATE FUNCTION forgetful.same(BIGINT, BIGINT) RETURNS BOOLEAN \
             LANGUAGE SQL AS 'SELECT true'; \
             CREATE OPERATOR forgetful.= (LEFTARG = BIGINT, RIGHTARG = BIGINT, \
             FUNCTION = forgetful.same); \
             DO $$ BEGIN EXECUTE format( \
             'ALTER DATABASE %I SET search_path = public, forgetful, pg_catalog', \
             current_database()); END $$",
        )
        .await
        .unwrap();
    let access = Access { owner: None, ..place.access() };
    let store = Store::connect(&access).await.unwrap();
    let mut transaction = store.read(Scope::Platform).await.unwrap();
    let (is_forgetful, all): (bool, i64) = sqlx::query_as(
        "SELECT 1::BIGINT = 2::BIGINT, (SELECT count(*) FROM own_views WHERE tenant_id = 0::BIGINT)",
    )
    .fetch_one(&mut *transaction)
    .await
    .unwrap();
    transaction.commit().await.unwrap();
    assert!(is_forgetful && all == 5, "numbers are still compared");

    only_own_letters(&store, a, &of_b).await;
    assert_eq!(store.own_views().await.unwrap().len(), 5, "all tenants' are listed");
    store.put_own_views(a, &[view("b"), view("c")]).await.unwrap();
    store.delete_own_view(a, "b").await.unwrap();
    assert_eq!(store.event_types().await.unwrap().len(), 4);
    let changed = StoredEventType { tenant: Some(a), name: "x.b".into(), schema: "2".into() };
    assert!(store.put_event_type(&changed, Some("{}")).await.unwrap());
    only_own_audit(&store, a).await;
    only_own_reports(&store, a, b).await;
    only_own_runs(&store, a, b).await;
    only_own_jobs(&store, a, b).await;
    only_own_alerts(&store, a, b).await;
    only_own_dashboards(&store, a, b).await;
    only_own_templates(&store, a, b).await;
    only_own_fields(&store, a, b).await;
    let tokens = [service_token(a, 1), service_token(a, 2)];
    assert_eq!(store.service_tokens(a).await.unwrap(), tokens);
    assert!(!store.put_service_token(a, &service_token(a, 3), 2).await.unwrap());
    assert!(!store.delete_service_token(a, &service_token(b, 1).id).await.unwrap());
    assert!(store.delete_service_token(a, &tokens[0].id).await.unwrap());
    assert!(store.put_service_token(a, &service_token(a, 3), 2).await.unwrap());
    let ended = [revocation(a, "bo"), revocation(a, "jo")];
    assert_eq!(store.revocations(a).await.unwrap(), ended);
    assert!(store.put_revocation(&ended[0], 2).await.unwrap());
    assert!(!store.put_revocation(&revocation(a, "al"), 2).await.unwrap());
    assert!(store.put_revocation(&revocation(a, "al"), 3).await.unwrap());
    let finished = store.finish_template(&c.id, &taken_over(None).gift).await.unwrap();
    assert_eq!((finished.number, finished.template), (c.number, None));
    let stone = store.delete_tenant(&c.id, "ops").await.unwrap();
    store.erase_tenant(&stone).await.unwrap();
    assert!(store.reports(c.number).await.unwrap().is_empty());
    assert_eq!(rows_of(&place, b).await, of_b);
}

/// Every query on dead letters, as `a`, upon what is its own and what is of `b`.
async fn only_own_letters(store: &Store, a: u32, of_b: &[String]) {
    let letters = store.dead_letters(Some(a), None, 100).await.unwrap();
    assert_eq!(letters.len(), 2, "{letters:?}");
    for row in of_b.iter().filter(|row| row.starts_with("dead_letters ")) {
        let row: Value = serde_json::from_str(row.split_once(' ').unwrap().1).unwrap();
        let id = row["id"].as_str().unwrap();
        assert_eq!(store.dead_letter(Some(a), id).await.unwrap(), None);
        assert!(!store.remove_dead_letter(Some(a), id).await.unwrap());
    }
    assert!(store.remove_dead_letter(Some(a), &letters[0].id).await.unwrap());
}

/// Every query on a chain of the audit, as `a`.
async fn only_own_audit(store: &Store, a: u32) {
    let chain = Chain::Tenant(a);
    store.append_audit(&key(), &[entry(a)]).await.unwrap();
    let filter = AuditFilter::default();
    let records = store.audit_records(chain, &filter, None, 100).await.unwrap().records;
    assert_eq!(records.len(), 3, "{records:?}");
    assert_eq!(store.audit_after(chain, 0, 100, 100).await.unwrap().len(), 3);
    assert_eq!(store.audit_last(chain).await.unwrap(), 3);
    let head = store.audit_head(chain).await.unwrap().unwrap();
    assert_eq!(head.seq, 3);
    assert!(store.reseal_audit(chain, &head, &key()).await.unwrap());
    assert!(verify(store, &key(), chain, &[]).await.unwrap().faults.is_empty());
}

/// Every query on reports, their owners and positions, as `a`, upon what is its own and what is of
/// `b`.
async fn only_own_reports(store: &Store, a: u32, b: u32) {
    let theirs = format!("r{b}");
    assert_eq!(store.reports(a).await.unwrap(), [report(&format!("r{a}"))]);
    assert!(store.report(a, &theirs).await.unwrap().is_none());
    let replaced = StoredReport { version: 2, ..report(&theirs) };
    assert!(!store.replace_report(a, &replaced, Some(now())).await.unwrap());
    assert!(!store.delete_report(a, &theirs, None).await.unwrap());
    assert!(store.create_report(a, &report("own"), Some(now()), 2).await.unwrap(), "it has one");
    let less = StoredOwner { roles: RoleSet::of(&[Role::Executive]), seen_at: now() };
    store.note_owner(a, &format!("jo{b}"), &less, false).await.unwrap();
    assert!(store.owner(a, &format!("jo{b}")).await.unwrap().is_none());
    assert!(store.owner(a, &format!("jo{a}")).await.unwrap().is_some());
    let day = "2026-01-01".parse().unwrap();
    assert_eq!(store.closing_mark(a, day).await.unwrap(), Some(mark(a)));
    assert_eq!(store.position_mark(a, 99).await.unwrap(), Some(mark(a)));
    let noted = PositionMark { sequence: 9, ..mark(a) };
    store.put_position_mark(a, &noted).await.unwrap();
    store.forget_positions_beyond(&[a], 0).await.unwrap();
    assert_eq!(store.position_mark(a, 9).await.unwrap(), None);
}

/// Every query on runs and their deliveries, as `a`, upon what is its own and what is of `b`.
async fn only_own_runs(store: &Store, a: u32, b: u32) {
    let job =
        |kind, id: String| ReportJob { tenant: a, kind, id, place: 0, due_at: now(), attempts: 0 };
    let finished =
        FinishedRun { outcome: "{}", at: now(), expires_at: now(), targets: &[], mark: mark(a) };
    let (run_of_b, theirs) = (format!("run{b}"), job(JobKind::Run, format!("next{b}")));
    let (runs, deliveries) = store.report_runs(a, &format!("r{a}"), None, 9).await.unwrap();
    assert_eq!((runs.len(), deliveries.len()), (2, 1));
    assert!(store.report_runs(a, &format!("r{b}"), None, 9).await.unwrap().0.is_empty());
    assert!(store.report_run(a, &run_of_b).await.unwrap().is_none());
    assert!(store.run_deliveries(a, &run_of_b).await.unwrap().is_empty());
    assert!(store.begin_run(&theirs, now()).await.unwrap().is_none());
    assert!(!store.fail_run(&theirs, "x", "broken", now(), None).await.unwrap());
    assert!(!store.finish_run(&theirs, "x", &finished).await.unwrap());
    assert!(!store.cancel_run(a, &theirs.id, now()).await.unwrap());
    let expire = job(JobKind::Expire, run_of_b.clone());
    assert!(!store.expire_run(&expire, "").await.unwrap());
    let deliver = job(JobKind::Deliver, run_of_b);
    assert!(!store.end_delivery(&deliver, "", None, now(), None).await.unwrap());
    let own = job(JobKind::Run, format!("next{a}"));
    assert!(store.begin_run(&own, now()).await.unwrap().is_some());
    assert!(store.finish_run(&own, "x", &finished).await.unwrap());
}

/// Every query on jobs, as `a`, upon what is its own and what is of `b`.
async fn only_own_jobs(store: &Store, a: u32, b: u32) {
    let later = now() + TimeDelta::hours(2);
    let until = later + TimeDelta::hours(1);
    let theirs = ReportJob {
        tenant: a,
        kind: JobKind::Run,
        id: format!("next{b}"),
        place: 0,
        due_at: now(),
        attempts: 1,
    };
    assert!(!store.claim_report_job(&theirs, "y", later, until).await.unwrap());
    assert!(!store.renew_report_job(&theirs, "x", until).await.unwrap());
    store.return_report_job(&theirs, "x", later).await.unwrap();
    store.end_report_job(&theirs, "x").await.unwrap();
    let of_b = ReportJob { kind: JobKind::Schedule, id: format!("r{b}"), ..theirs };
    assert!(!store.queue_scheduled(&of_b, "", 1, &[], None, 9).await.unwrap());
    let due = store.due_report_jobs(later, &[a], 9).await.unwrap();
    assert!(!due.is_empty() && due.iter().all(|job| job.tenant == a), "{due:?}");
    let notices = store.due_alert_jobs(later, &[a], 9).await.unwrap();
    assert!(!notices.is_empty() && notices.iter().all(|job| job.tenant == a), "{notices:?}");
    let own = due.iter().find(|job| job.kind == JobKind::Schedule).unwrap();
    assert!(store.claim_report_job(own, "y", later, until).await.unwrap());
    assert!(store.queue_scheduled(own, "y", 1, &[run("first", "own")], None, 9).await.unwrap());
    assert!(store.queue_run(a, &run("second", "own"), 2).await.unwrap(), "it has one");
    assert!(!store.queue_run(a, &run("third", "own"), 2).await.unwrap());
}

/// Has a rule say which subjects have an alert.
pub(super) async fn decide(
    store: &Store,
    tenant: u32,
    rule: &StoredAlertRule,
    subjects: &[AlertSubject],
) -> Decided {
    let (epoch, _) = store.acquire_partition(0, "me", None).await.unwrap();
    let decision = Decision {
        rule,
        is_builtin: false,
        sequence: 1,
        at: rule.created_at,
        title: "",
        severity: "warning",
        subjects,
        columns: "[]",
        deliver: &["{}".to_owned()],
        bounds: AlertBounds { queued: 9, kept: 9, kept_since: DateTime::UNIX_EPOCH },
    };
    store.decide_alerts(tenant, Fence { partition: 0, epoch }, &decision).await.unwrap()
}

/// Every query on alerts, as `a`, upon what is its own and what is of `b`.
async fn only_own_alerts(store: &Store, a: u32, b: u32) {
    let (rules, alert) = ([format!("rule{a}"), format!("rule{b}")], format!("alert{b}"));
    let now = DateTime::from_timestamp(1_700_000_001, 0).unwrap();
    let (watched, open) = store.alert_watch(a).await.unwrap();
    assert_eq!((watched.len(), open.len()), (1, 1));
    assert_eq!(store.alert_rules(a).await.unwrap(), watched);
    assert!(store.alert_rule(a, &rules[1]).await.unwrap().is_none());
    let filter = AlertFilter { audience: 3, state: None, rule: None, before: None, most: 9 };
    assert_eq!(store.alerts(a, filter).await.unwrap().len(), 1);
    assert_eq!(store.open_alerts(a, 3).await.unwrap(), 1);
    assert!(store.alert(a, &alert, 3).await.unwrap().is_none());
    assert!(store.alert_deliveries(a, &alert).await.unwrap().is_empty());
    assert!(!store.acknowledge_alert(a, &alert, "ada", now).await.unwrap());
    assert!(!store.snooze_alert(a, &alert, "ada", now, None).await.unwrap());
    let of_b = StoredAlertRule { id: rules[1].clone(), version: 2, ..watched[0].clone() };
    assert!(!store.replace_alert_rule(a, &of_b, None, Some("ada")).await.unwrap());
    assert_eq!(decide(store, a, &of_b, &[]).await, Decided::Changed);
    assert!(!store.delete_alert_rule(a, &rules[1], None).await.unwrap());
    let (epoch, _) = store.acquire_partition(0, "me", None).await.unwrap();
    let fence = Fence { partition: 0, epoch };
    assert!(!store.note_alert_rule(a, fence, &of_b, false).await.unwrap());
    let notify = |id: String| ReportJob {
        tenant: a,
        kind: JobKind::Notify,
        id,
        place: 0,
        due_at: now,
        attempts: 0,
    };
    let (own, theirs) = (notify(format!("alert{a}")), notify(alert));
    assert!(store.alert_notice(&theirs).await.unwrap().is_none());
    assert!(!store.end_alert_delivery(&theirs, "", None, now, None).await.unwrap());
    assert_eq!(store.alert_notice(&own).await.unwrap().unwrap().alert.id, own.id);
    let decided = decide(store, a, &watched[0], &[]).await;
    assert_eq!(decided, Decided::Done { fired: 0, cleared: 1 });
    assert!(store.delete_alert_rule(a, &rules[0], None).await.unwrap());
    assert!(store.create_alert_rule(a, &watched[0], &[], 1).await.unwrap(), "it has none");
}

/// Every query on dashboards, as `a`, upon what is its own and what is of `b`.
async fn only_own_dashboards(store: &Store, a: u32, b: u32) {
    let [own, other] = [a, b].map(|tenant| dashboard(tenant).head);
    assert_eq!(store.dashboards(a).await.unwrap(), std::slice::from_ref(&own));
    assert!(store.dashboard(a, &other.id).await.unwrap().is_none());
    assert!(store.dashboard_versions(a, &other.id).await.unwrap().is_empty());
    assert!(store.dashboard_version(a, &other.id, 1).await.unwrap().is_none());
    let change = DashboardChange {
        name: "mine".to_owned(),
        document: json!({}),
        by: "ada".to_owned(),
        at: own.changed_at,
        restored_from: None,
    };
    assert!(store.change_dashboard(a, &other.id, None, &change, 1).await.unwrap().is_none());
    assert!(!store.delete_dashboard(a, &other.id, None).await.unwrap());
    assert!(!store.create_dashboard(a, &dashboard(9), 1).await.unwrap(), "it counts its own");
    let changed = store.change_dashboard(a, &own.id, None, &change, 1).await.unwrap().unwrap();
    assert_eq!((changed.head.version, changed.head.name), (2, change.name));
    assert_eq!(store.dashboard_versions(a, &own.id).await.unwrap().len(), 1);
    assert!(store.delete_dashboard(a, &own.id, None).await.unwrap());
}

/// Every query on templates, as `a`, upon what is its own and what is of `b`.
async fn only_own_templates(store: &Store, a: u32, b: u32) {
    assert_eq!(store.given_template(a).await.unwrap().unwrap().revision, 1);
    let of_b = dashboard(b).head;
    let content = NewDashboard { name: "mine".to_owned(), document: json!({}) };
    let (origin, base) = (Origin { template: "x/y".to_owned(), version: 2 }, json!({}));
    let board = UpdatedDashboard { id: of_b.id.clone(), version: 1, content: None, origin, base };
    // Noting what is the base of another's changes nothing of it.
    let noted = TemplateUpdate { dashboards: vec![board.clone()], ..taken_over(Some(1)) };
    assert!(store.update_template(a, &noted, 9).await.unwrap());
    let board = UpdatedDashboard { content: Some(content), ..board };
    let changed = TemplateUpdate { dashboards: vec![board], ..taken_over(Some(2)) };
    assert!(!store.update_template(a, &changed, 9).await.unwrap());
    let part = RemovedPart { kind: PartKind::Dashboard, id: of_b.id.to_string(), version: 1 };
    let removed = TemplateUpdate { removed: vec![part], ..taken_over(Some(2)) };
    assert!(!store.update_template(a, &removed, 9).await.unwrap());
    assert_eq!(store.given_template(a).await.unwrap().unwrap().revision, 2);
    // That another has had it before is nothing to whom it is given.
    let (given, report) = (deleted_dashboard(b), deleted_report(b));
    let gift = TemplateGift {
        dashboards: vec![given.clone()],
        reports: vec![(report.clone(), None)],
        ..taken_over(None).gift
    };
    let brought = TemplateUpdate { gift, ..taken_over(Some(2)) };
    assert!(store.update_template(a, &brought, 9).await.unwrap());
    assert_eq!(store.dashboard(a, &given.head.id).await.unwrap(), Some(given));
    assert_eq!(store.report(a, &report.id).await.unwrap(), Some(report));
    let all: Vec<String> = MODULES.map(str::to_owned).to_vec();
    let modules = Some(SwitchedModules { before: all.clone(), after: all[..1].to_vec() });
    let switched = TemplateUpdate { modules, ..taken_over(Some(3)) };
    assert!(store.update_template(a, &switched, 9).await.unwrap());
    let other = store.tenant(&"b".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(other.modules, all);
}

/// Every query on custom fields, as `a`, upon what is its own and what is of `b`.
async fn only_own_fields(store: &Store, a: u32, b: u32) {
    let own = store.custom_fields_of(a).await.unwrap();
    assert_eq!((own.revision, own.is_empty()), (4, true));
    let field = DeclaredField {
        on: "hr.time_logged".to_owned(),
        name: "mine".to_owned(),
        title: "Mine".to_owned(),
        r#type: CustomFieldType::Text,
        choices: Vec::new(),
    };
    assert!(store.put_custom_fields(a, &own.with(field)).await.unwrap());
    assert_eq!(store.custom_fields_of(a).await.unwrap().len(), 1);
    // The platform reads those of all.
    let all = store.custom_fields().await.unwrap();
    let counts: Vec<(u32, usize)> = all.iter().map(|(of, fields)| (*of, fields.len())).collect();
    assert_eq!(counts, [(a, 1), (b, 0)]);
}
