#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use serde_json::json;

use super::places::{Place, on_both};
use super::*;
use crate::Clock;

fn new_tenant(id: &str) -> NewTenant {
    serde_json::from_value(
        json!({"id": id, "name": "Acme", "timezone": "Europe/Berlin", "currency": "EUR"}),
    )
    .unwrap()
}

fn change(body: Value) -> TenantChange {
    serde_json::from_value(body).unwrap()
}

fn id(text: &str) -> TenantId {
    text.parse().unwrap()
}

on_both! {
async fn a_fresh_store_gets_the_whole_schema(place: &Place) {
    let store = place.open().await;
    let mut transaction = store.read(Scope::Platform).await.unwrap();
    let applied: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(&mut *transaction)
            .await
            .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(applied, place.migrations());
    assert!(store.tenants().await.unwrap().is_empty());
}

async fn an_existing_store_keeps_its_tenants(place: &Place) {
    let store = place.open().await;
    let created = store.create_tenant(new_tenant("acme")).await.unwrap();
    store.close().await;
    for _ in 0..2 {
        let store = place.open().await;
        assert_eq!(store.tenants().await.unwrap(), std::slice::from_ref(&created));
        store.close().await;
    }
}

async fn a_store_of_a_newer_version_is_refused(place: &Place) {
    place.open().await.close().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 SELECT 9999, 'from the future', TRUE, checksum, 1 FROM _sqlx_migrations \
                 WHERE version = 1";
    place.execute(newer).await.unwrap();
    let error = place.try_open().await.unwrap_err();
    assert!(matches!(error, StoreError::Migration { .. }), "{error}");
    assert!(error.to_string().contains("migration 9999"), "{error}");
}

async fn an_altered_migration_is_refused(place: &Place) {
    place.open().await.close().await;
    let altered = "UPDATE _sqlx_migrations SET checksum = \
                   (SELECT checksum FROM _sqlx_migrations WHERE version = 2) WHERE version = 1";
    place.execute(altered).await.unwrap();
    let error = place.try_open().await.unwrap_err();
    assert!(matches!(error, StoreError::Migration { .. }), "{error}");
}
}

async fn pragma(store: &Store, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&store.pool).await.unwrap()
}

#[tokio::test]
async fn the_file_is_set_to_survive_a_power_cut() {
    let place = Place::file();
    let store = place.open().await;
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.pool).await.unwrap();
    assert_eq!(mode, "wal");
    assert_eq!(pragma(&store, "PRAGMA synchronous").await, 2);
    assert_eq!(pragma(&store, "PRAGMA foreign_keys").await, 1);
}

#[tokio::test]
async fn any_name_of_a_file_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ünï + 100% ?mode=ro#x.db");
    let store = Store::open(&path).await.unwrap();
    store.create_tenant(new_tenant("acme")).await.unwrap();
    store.close().await;
    assert!(path.is_file());
}

/// The tables and indexes that do not lead with the tenant. The platform's own tables hold nothing
/// of a tenant.
async fn forgetful(store: &Store) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_' \
         AND name NOT IN ('_sqlx_migrations', 'tenants') AND name NOT LIKE 'platform\\_%' ESCAPE '\\' \
         ORDER BY name",
    )
    .fetch_all(&store.pool)
    .await
    .unwrap();
    let mut found = Vec::new();
    for table in tables {
        let first: String = sqlx::query_scalar(
            "SELECT name || ' ' || \"notnull\" FROM pragma_table_info($1) WHERE cid = 0",
        )
        .bind(&table)
        .fetch_one(&store.pool)
        .await
        .unwrap();
        if first != "tenant_id 1" {
            found.push(table.clone());
        }
        let indexes: Vec<String> = sqlx::query_scalar(
            "SELECT l.name FROM pragma_index_list($1) AS l, pragma_index_info(l.name) AS i \
             WHERE i.seqno = 0 AND i.name IS NOT 'tenant_id' ORDER BY l.name",
        )
        .bind(&table)
        .fetch_all(&store.pool)
        .await
        .unwrap();
        found.extend(indexes);
    }
    found
}

#[tokio::test]
async fn no_table_of_a_file_forgets_the_tenant() {
    let place = Place::file();
    let store = place.open().await;
    assert_eq!(forgetful(&store).await, [""; 0]);
    for sql in [
        "CREATE TABLE good (tenant_id INTEGER NOT NULL, a TEXT, PRIMARY KEY (tenant_id, a)) STRICT",
        "CREATE TABLE bad (a TEXT, tenant_id INTEGER NOT NULL) STRICT",
        "CREATE TABLE lax (tenant_id INTEGER, a TEXT) STRICT",
        "CREATE INDEX good_a ON good (tenant_id, a)",
        "CREATE INDEX bad_a ON good (a, tenant_id)",
    ] {
        place.execute(sql).await.unwrap();
    }
    assert_eq!(forgetful(&store).await, ["bad", "bad_a", "lax"]);
}

#[tokio::test]
async fn what_is_no_store_is_refused_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("notes.txt");
    std::fs::write(
        &file,
        "just text, and long enough to have been a header of a database file ".repeat(20),
    )
    .unwrap();
    for path in [file, dir.path().to_owned(), dir.path().join("missing/control.db")] {
        let error = Store::open(&path).await.unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

on_both! {
async fn a_tenant_is_read_as_it_was_created(place: &Place) {
    let store = place.open().await;
    let mut new = new_tenant("acme");
    new.name = " Ünïted ".into();
    new.clock = "fixed:2014-06-30".parse().unwrap();
    new.locale = "de-AT".parse().unwrap();
    new.vertical = Some("construction".into());
    new.modules = Some(vec!["hr".into(), "crm".into()]);
    new.branding = json!({"name": "Ünïted", "colours": {"accent": "#005ea8"}}).as_object().cloned();
    let before = Utc::now().timestamp_micros();
    let created = store.create_tenant(new).await.unwrap();
    assert_eq!(created.number, 1);
    assert_eq!(created.name, "Ünïted");
    assert_eq!(created.modules, ["crm", "hr"]);
    assert_eq!(created.locale.as_str(), "de-AT");
    assert_eq!(created.branding.as_ref().unwrap()["colours"]["accent"], "#005ea8");
    assert!(
        (before..=Utc::now().timestamp_micros()).contains(&created.created_at.timestamp_micros())
    );
    assert_eq!(store.tenant(&id("acme")).await.unwrap(), Some(created.clone()));
    assert_eq!(store.tenants().await.unwrap(), [created]);

    let plain = store.create_tenant(new_tenant("plain")).await.unwrap();
    assert_eq!((plain.number, plain.clock), (2, Clock::Wall));
    assert_eq!(plain.locale.as_str(), "en-GB");
    assert_eq!(plain.modules, MODULES);
    assert_eq!(store.tenant(&id("nobody")).await.unwrap(), None);
}

async fn an_id_is_given_once(place: &Place) {
    let store = place.open().await;
    let first = store.create_tenant(new_tenant("acme")).await.unwrap();
    let error = store.create_tenant(new_tenant("acme")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Conflict { id } if id.as_str() == "acme"), "{error}");
    assert_eq!(store.tenants().await.unwrap(), [first]);
}

async fn a_number_is_never_given_again(place: &Place) {
    let store = place.open().await;
    store.create_tenant(new_tenant("a")).await.unwrap();
    let last = store.create_tenant(new_tenant("b")).await.unwrap();
    place.execute("DELETE FROM tenants WHERE id = 'b'").await.unwrap();
    let next = store.create_tenant(new_tenant("b")).await.unwrap();
    assert_eq!(next.number, last.number + 1);
}

async fn values_made_in_code_are_checked_too(place: &Place) {
    let store = place.open().await;
    let mut new = new_tenant("acme");
    new.name = "\u{0}".into();
    let error = store.create_tenant(new).await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid { field: "name", .. }), "{error}");
    store.create_tenant(new_tenant("acme")).await.unwrap();
    let bad = TenantChange { modules: Some(Some(vec!["sales".into()])), ..TenantChange::default() };
    let error = store.update_tenant(&id("acme"), bad).await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid { field: "modules", .. }), "{error}");
}

async fn a_change_touches_what_it_names(place: &Place) {
    let store = place.open().await;
    let other = store.create_tenant(new_tenant("other")).await.unwrap();
    let mut expected = store.create_tenant(new_tenant("acme")).await.unwrap();
    let acme = id("acme");
    assert_eq!(store.update_tenant(&acme, TenantChange::default()).await.unwrap(), expected);

    let all = change(json!({
        "name": "New", "timezone": "Asia/Tokyo", "currency": "JPY", "clock": "events",
        "locale": "ja-JP", "vertical": "retail", "modules": ["tasks"], "branding": {"name": "R"},
    }));
    expected.name = "New".into();
    expected.timezone = chrono_tz::Tz::Asia__Tokyo;
    expected.currency = "JPY".parse().unwrap();
    expected.locale = "ja-JP".parse().unwrap();
    expected.clock = Clock::Events;
    expected.vertical = Some("retail".into());
    expected.modules = vec!["tasks".into()];
    expected.branding = json!({"name": "R"}).as_object().cloned();
    assert_eq!(store.update_tenant(&acme, all).await.unwrap(), expected);

    let cleared = change(json!({"vertical": null, "modules": null, "branding": null}));
    expected.vertical = None;
    expected.modules = MODULES.map(str::to_owned).to_vec();
    expected.branding = None;
    assert_eq!(store.update_tenant(&acme, cleared).await.unwrap(), expected);
    assert_eq!(store.tenants().await.unwrap(), [other, expected]);
}

async fn a_change_of_nobody_is_not_found(place: &Place) {
    let store = place.open().await;
    let error = store.update_tenant(&id("nobody"), change(json!({"name": "X"}))).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    assert!(store.tenants().await.unwrap().is_empty());
}

async fn a_damaged_row_is_named(place: &Place) {
    let store = place.open().await;
    store.create_tenant(new_tenant("acme")).await.unwrap();
    place.execute("UPDATE tenants SET timezone = 'Mars/Olympus'").await.unwrap();
    let error = store.tenants().await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { number: 1, field: "timezone", .. }), "{error}");
}

async fn a_closed_store_answers_with_an_error(place: &Place) {
    let store = place.open().await;
    store.close().await;
    let error = store.tenants().await.unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error}");
}

async fn of_many_who_create_at_once_each_id_has_one_winner(place: &Place) {
    let store = place.open().await;
    let racers: Vec<_> = (0..60)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(
                async move { store.create_tenant(new_tenant(&format!("t{}", n % 20))).await },
            )
        })
        .collect();
    let mut won = Vec::new();
    for racer in racers {
        match racer.await.unwrap() {
            Ok(record) => won.push(record),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(won.iter().map(|r| r.id.clone()).collect::<HashSet<_>>().len(), 20);
    won.sort_by_key(|record| record.number);
    assert_eq!(store.tenants().await.unwrap(), won);
}
}

fn stored(tenant: Option<u32>, name: &str, schema: &str) -> StoredEventType {
    StoredEventType { tenant, name: name.to_owned(), schema: schema.to_owned() }
}

on_both! {
async fn event_types_are_kept_for_each_tenant_and_for_all(place: &Place) {
    let store = place.open().await;
    for id in ["a", "b"] {
        store.create_tenant(new_tenant(id)).await.unwrap();
    }
    for (tenant, name, schema) in [
        (Some(2), "acme.x", "of b"),
        (None, "acme.x", "of all"),
        (Some(1), "acme.y", "of a"),
        (Some(1), "acme.x", "of a"),
    ] {
        assert!(store.put_event_type(&stored(tenant, name, schema), None).await.unwrap());
    }
    for (tenant, before) in [(Some(1), "of a"), (None, "of all")] {
        let later = stored(tenant, "acme.x", &format!("{before}, later"));
        for (seen, is_taken) in [(None, false), (Some("else"), false), (Some(before), true)] {
            assert_eq!(store.put_event_type(&later, seen).await.unwrap(), is_taken);
        }
    }
    store.close().await;
    let store = place.open().await;
    assert_eq!(
        store.event_types().await.unwrap(),
        [
            stored(None, "acme.x", "of all, later"),
            stored(Some(1), "acme.x", "of a, later"),
            stored(Some(1), "acme.y", "of a"),
            stored(Some(2), "acme.x", "of b"),
        ]
    );
    let nobody = store.put_event_type(&stored(Some(9), "acme.x", ""), None).await;
    assert!(matches!(nobody, Err(StoreError::Database { .. })), "{nobody:?}");
}
}

on_both! {
/// A store of the first version, with a tenant in it, gets what came later.
async fn a_store_with_tenants_takes_the_later_migrations(place: &Place) {
    place.migrate_to(1).await;
    let acme = "INSERT INTO tenants (id, name, timezone, currency, clock, created_at) \
                VALUES ('acme', 'Acme', 'UTC', 'EUR', 'wall', 0)";
    place.execute(acme).await.unwrap();
    let store = place.open().await;
    let tenants = store.tenants().await.unwrap();
    assert_eq!((tenants.len(), tenants[0].id.as_str()), (1, "acme"));
    assert_eq!(tenants[0].locale, crate::Locale::default());
    let own = stored(Some(tenants[0].number), "acme.x", "{}");
    assert!(store.put_event_type(&own, None).await.unwrap());
    // What was there before is no change, what comes is one.
    assert!(store.tenants_since(0).await.unwrap().is_empty());
    assert_eq!(store.event_types_since(0).await.unwrap(), std::slice::from_ref(&own));
    assert_eq!(store.event_types().await.unwrap(), [own]);
}
}

/// Connections that are made after a password was replaced use the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_replaced_while_the_store_is_open() {
    async fn run(connection: &mut sqlx::postgres::PgConnection, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
    }
    let place = Place::server().await;
    let mut superuser = place.superuser().await;
    let role = format!("reloaded_{}", std::process::id());
    run(&mut superuser, format!("CREATE ROLE {role} LOGIN PASSWORD 'one'")).await;
    let store = Store::connect(&place.access_as(&role, "one")).await.unwrap();
    store.tenants().await.unwrap();
    run(&mut superuser, format!("ALTER ROLE {role} PASSWORD 'two'")).await;
    store.tenants().await.expect("connections that there are go on");
    let end = format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{role}'"
    );
    run(&mut superuser, end).await;
    store.tenants().await.unwrap_err();
    assert!(store.replace_password(&place.access_as(&role, "two").database).unwrap());
    store.tenants().await.unwrap();
    // What is meant for another role, or another place, is not shown to this one.
    assert!(!store.replace_password(&place.access().database).unwrap());
    assert!(!store.replace_password(&Database::File("control.db".into())).unwrap());
    store.tenants().await.unwrap();
    store.close().await;
    run(&mut superuser, format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}
