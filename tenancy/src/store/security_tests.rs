//! Row-level security in PostgreSQL: that every table has it, that the service is bound by it, and
//! that a query which forgets the tenant sees no other's rows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod forgetful;
mod rows;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use self::rows::{fill, new_tenant};
use super::places::{Place, authority};
use super::*;

/// What is wrong with the tables in the eyes of the catalog, a line each.
async fn faults(connection: &mut PgConnection) -> Vec<String> {
    // The tenants' own table has their number as its key; `_sqlx_migrations` holds nothing of anybody.
    sqlx::query_scalar(
        "WITH tables AS ( \
            SELECT c.oid, c.relname::TEXT AS name, c.relrowsecurity, c.relforcerowsecurity, \
                c.relowner, t.attnum AS tenant, t.attnotnull, \
                c.relname NOT LIKE 'platform\\_%' AND c.relname <> 'tenants' AS is_tenants \
            FROM pg_class c LEFT JOIN pg_attribute t \
                ON t.attrelid = c.oid AND t.attname = 'tenant_id' AND NOT t.attisdropped \
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') \
                AND c.relname <> '_sqlx_migrations' \
         ), policies AS ( \
            SELECT polrelid, polcmd, polroles, \
                coalesce(pg_get_expr(polqual, polrelid), '') AS reads, \
                coalesce(pg_get_expr(polwithcheck, polrelid), pg_get_expr(polqual, polrelid)) AS writes \
            FROM pg_policy WHERE polpermissive \
         ) \
         SELECT name || ' has no row-level security' FROM tables \
            WHERE NOT (relrowsecurity AND relforcerowsecurity) \
         UNION ALL SELECT name || ' has no tenant_id, or one that may be null' FROM tables \
            WHERE is_tenants AND attnotnull IS NOT TRUE \
         UNION ALL SELECT name || ' is the platform''s and has a tenant_id' FROM tables \
            WHERE NOT is_tenants AND tenant IS NOT NULL \
         UNION ALL SELECT name || ' has an index that does not lead with the tenant' \
            FROM tables JOIN pg_index i ON i.indrelid = tables.oid \
            WHERE is_tenants AND i.indkey[0] IS DISTINCT FROM tenant \
         UNION ALL SELECT name || ' has no index' FROM tables \
            WHERE is_tenants AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = tables.oid) \
         UNION ALL SELECT name || ' has no policy on the tenant' FROM tables \
            WHERE is_tenants AND NOT EXISTS (SELECT 1 FROM policies p WHERE p.polrelid = oid \
                AND polcmd = '*' AND polroles = '{0}' AND reads = writes AND reads LIKE \
                '(tenant_id = (NULLIF(current_setting(''app.current_tenant''::text, true), ''''::text))::bigint)') \
         UNION ALL SELECT name || ' has a policy for writing that asks for no tenant' \
            FROM tables JOIN policies p ON p.polrelid = oid \
            WHERE is_tenants AND polcmd <> 'r' AND writes NOT LIKE '%app.current_tenant%' \
         UNION ALL SELECT name || ' has a policy that asks for nothing' \
            FROM tables JOIN policies p ON p.polrelid = oid \
            WHERE name <> 'platform_changes' \
                AND NOT (reads || writes LIKE '%app.current_tenant%' \
                    OR reads || writes LIKE '%app.platform%') \
         UNION ALL SELECT name || ' belongs to the service' FROM tables \
            WHERE pg_has_role('tidemark_service', relowner, 'MEMBER') \
         UNION ALL SELECT 'the service may bypass row-level security' FROM pg_roles r \
            WHERE (r.rolsuper OR r.rolbypassrls) AND pg_has_role('tidemark_service', r.oid, 'MEMBER') \
         ORDER BY 1",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_table_goes_without_row_level_security() {
    let place = Place::server().await;
    place.open().await.close().await;
    let mut connection = place.superuser().await;
    assert_eq!(faults(&mut connection).await, [""; 0]);

    // What the test is there for is found.
    let begin = "BEGIN; CREATE TABLE extra (tenant_id BIGINT NOT NULL, a TEXT, \
                 PRIMARY KEY (tenant_id, a)); \
                 ALTER TABLE extra ENABLE ROW LEVEL SECURITY; \
                 ALTER TABLE extra FORCE ROW LEVEL SECURITY; \
                 CREATE POLICY of_tenant ON extra USING \
                 (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT)";
    for (change, expected) in [
        ("SELECT 1", None),
        ("ALTER TABLE extra NO FORCE ROW LEVEL SECURITY", Some("row-level security")),
        ("ALTER TABLE extra DISABLE ROW LEVEL SECURITY", Some("row-level security")),
        ("CREATE INDEX ON extra (a)", Some("lead")),
        ("ALTER TABLE extra DROP COLUMN tenant_id CASCADE", Some("no tenant_id")),
        ("DROP POLICY of_tenant ON extra", Some("no policy")),
        ("CREATE POLICY all_of_it ON extra USING (true)", Some("asks for nothing")),
        (
            "CREATE POLICY w ON extra FOR INSERT WITH CHECK \
          (current_setting('app.platform', true) = 'on')",
            Some("for writing"),
        ),
        ("ALTER TABLE extra DROP CONSTRAINT extra_pkey", Some("no index")),
        ("ALTER TABLE extra OWNER TO tidemark_service", Some("belongs to the service")),
        ("ALTER ROLE tidemark_service BYPASSRLS", Some("bypass")),
        ("ALTER ROLE tidemark_service SUPERUSER", Some("bypass")),
        (
            "CREATE TABLE platform_x (tenant_id BIGINT); \
          ALTER TABLE platform_x ENABLE ROW LEVEL SECURITY; \
          ALTER TABLE platform_x FORCE ROW LEVEL SECURITY",
            Some("has a tenant_id"),
        ),
    ] {
        sqlx::raw_sql(begin).execute(&mut connection).await.unwrap();
        sqlx::raw_sql(change).execute(&mut connection).await.unwrap();
        let found = faults(&mut connection).await.join("\n");
        assert_eq!(found.is_empty(), expected.is_none(), "{change}: {found}");
        assert!(found.contains(expected.unwrap_or_default()), "{change}: {found}");
        sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_not_bound_is_refused() {
    let place = Place::server().await;
    place.open().await.close().await;
    let Place::Server(database) = &place else { panic!("it is one") };
    let access = place.access();
    let Access { owner: Some(owner), database: service, connections } = access else {
        panic!("it has an owner")
    };
    let address = match &service {
        Database::Server(server) => {
            format!("{}:{}", server.options().get_host(), server.options().get_port())
        }
        Database::File(_) => panic!("it is a server"),
    };
    for (role, reason) in [("tidemark_owner", "owns its tables"), ("postgres", "bypass")] {
        let access = Access { database: database.url(role, &address), owner: None, connections };
        let error = Store::connect(&access).await.unwrap_err();
        assert!(matches!(error, StoreError::Role { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!error.to_string().contains("tidemark-secret"), "{error}");
    }
    let twice = Access { database: owner.clone(), owner: Some(owner), connections };
    let error = Store::connect(&twice).await.unwrap_err();
    assert!(error.to_string().contains("same role"), "{error}");

    // Without the owner the schema must be there.
    let empty = Place::server().await;
    let access = Access { owner: None, ..empty.access() };
    let error = Store::connect(&access).await.unwrap_err();
    assert!(error.to_string().contains("run `tidemark migrate`"), "{error}");
}

/// The tables that have a tenant.
async fn tables(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT c.relname::TEXT FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') \
         AND a.attname = 'tenant_id' ORDER BY 1",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

/// The rows of every table that has a tenant, those of one tenant.
async fn rows_of(place: &Place, tenant: u32) -> Vec<String> {
    let mut connection = place.superuser().await;
    let mut rows = Vec::new();
    for table in tables(&mut connection).await {
        let sql = format!(
            "SELECT '{table} ' || row_to_json(t)::TEXT FROM {table} t \
             WHERE tenant_id = {tenant} ORDER BY 1"
        );
        let of: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        assert!(!of.is_empty(), "fill puts nothing into {table}");
        rows.extend(of);
    }
    rows
}

/// Every table, read and changed without any condition, as each tenant and as nobody.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_condition_a_tenant_reaches_its_own_rows_only() {
    let place = Place::server().await;
    let store = place.open().await;
    let a = store.create_tenant(new_tenant("a")).await.unwrap().number;
    let b = store.create_tenant(new_tenant("b")).await.unwrap().number;
    fill(&store, a).await;
    fill(&store, b).await;
    let (of_a, of_b) = (rows_of(&place, a).await, rows_of(&place, b).await);
    let mut connection = place.superuser().await;
    for table in tables(&mut connection).await {
        let all: Vec<String> =
            of_a.iter().filter(|r| r.starts_with(&format!("{table} "))).cloned().collect();
        let count = all.len() as u64;
        let mut transaction = store.write(Scope::Tenant(a)).await.unwrap();
        let sql = format!("SELECT '{table} ' || row_to_json(t)::TEXT FROM {table} t ORDER BY 1");
        let seen: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut *transaction).await.unwrap();
        assert_eq!(seen, all);
        if table == "audit" {
            // Nobody changes it at all.
            transaction.rollback().await.unwrap();
            continue;
        }
        for change in ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}"] {
            let sql = change.replace("{}", &table);
            let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await.unwrap();
            assert_eq!(done.rows_affected(), count, "{change} {table}");
        }
        transaction.rollback().await.unwrap();
        // Rows can neither be given to another tenant …
        let mut transaction = store.write(Scope::Tenant(a)).await.unwrap();
        let sql = format!("UPDATE {table} SET tenant_id = {b}");
        let given = sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await.unwrap_err();
        assert!(given.to_string().contains("row-level security"), "{given}");
        transaction.rollback().await.unwrap();
        // … nor does the platform change those of any.
        let mut transaction = store.write(Scope::Platform).await.unwrap();
        let sql = format!("DELETE FROM {table}");
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await.unwrap();
        assert_eq!(done.rows_affected(), 0, "{table}");
        transaction.rollback().await.unwrap();
        // Who has not said whose rows he wants gets none.
        let sql = format!("SELECT count(*) FROM {table}");
        let mut unsaid = store.pool.acquire().await.unwrap();
        let seen: i64 =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *unsaid).await.unwrap();
        assert_eq!(seen, 0, "{table}");
    }
    connection.close().await.unwrap();
    assert_eq!((rows_of(&place, a).await, rows_of(&place, b).await), (of_a, of_b));
}

/// The platform's tables are nothing to a transaction of a tenant.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_nothing_of_the_platform() {
    let place = Place::server().await;
    let store = place.open().await;
    let a = store.create_tenant(new_tenant("a")).await.unwrap();
    let b = store.create_tenant(new_tenant("b")).await.unwrap();
    store.delete_tenant(&b.id, "ops").await.unwrap();
    let of_all = StoredEventType { tenant: None, name: "x.y".into(), schema: "{}".into() };
    store.put_event_type(&of_all, None).await.unwrap();
    store.acquire_partition(0, "me", None).await.unwrap();
    store.source_partitions(6).await.unwrap();
    assert!(store.put_schema("http://registry/", 1, "{}").await.unwrap());
    let mut transaction = store.write(Scope::Tenant(a.number)).await.unwrap();
    for table in [
        "platform_audit",
        "platform_audit_chain",
        "platform_audit_heads",
        "platform_checkpoints",
        "platform_dead_letters",
        "platform_event_types",
        "platform_id_key",
        "platform_nodes",
        "platform_partitions",
        "platform_schemas",
        "platform_source",
    ] {
        let sql = format!("SELECT count(*) FROM {table}");
        let seen: i64 =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *transaction).await.unwrap();
        assert_eq!(seen, 0, "{table}");
    }
    let seen: Vec<String> =
        sqlx::query_scalar("SELECT id FROM tenants").fetch_all(&mut *transaction).await.unwrap();
    assert_eq!(seen, ["a"]);
    transaction.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_encrypted_and_the_server_is_the_one_meant() {
    let place = Place::server().await;
    let known = format!("sslrootcert={}", authority().display());
    let access = place.access_with("127.0.0.1", &format!("sslmode=verify-full&{known}"));
    let store = Store::connect(&access).await.unwrap();
    let mut transaction = store.read(Scope::Platform).await.unwrap();
    let encrypted: i64 =
        sql::query_scalar("SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
    assert_eq!(encrypted, 1);
    transaction.commit().await.unwrap();
    for (host, parameters) in [
        // The certificate is for an address, not for this name.
        ("localhost", format!("sslmode=verify-full&{known}")),
        // Nobody whom this machine trusts has signed it.
        ("127.0.0.1", "sslmode=verify-full".to_owned()),
        ("127.0.0.1", "sslmode=verify-ca".to_owned()),
    ] {
        let refused = Store::connect(&place.access_with(host, &parameters)).await.unwrap_err();
        let told = format!("{refused:?}").to_lowercase();
        assert!(told.contains("certificate"), "{host} {parameters}: {told}");
    }
}
