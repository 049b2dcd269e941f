//! Nothing of one tenant is visible to another by the wire: not by SQL, the catalog, cursors, settings
//! or error texts.

use serde_json::json;

use super::postgres::{Wired, errors};
use crate::service::{event, invoice};

/// Stands in everything that the firm keeps.
const MARK: &str = "zqx";

/// Statements with `{name}` for the firm's own view.
const ATTEMPTS: &[&str] = &[
    "SELECT * FROM {name}",
    "SELECT * FROM firm.public.{name}",
    "SELECT * FROM firm.open_invoices",
    "SELECT * FROM open_invoices",
    "SELECT * FROM events.\"invoicing.invoice_issued\"",
    "SELECT * FROM events.\"{name}.kept\"",
    "BEGIN; DECLARE c CURSOR FOR SELECT * FROM {name}; FETCH ALL FROM c; COMMIT",
    "SET search_path TO firm; SELECT * FROM open_invoices",
    "SET app.current_tenant = 'firm'; SELECT * FROM open_invoices",
    "SET ROLE firm; SELECT * FROM open_invoices",
    "SET SESSION AUTHORIZATION firm; SELECT * FROM open_invoices",
    "SELECT set_config('app.current_tenant', 'firm', false); SELECT * FROM open_invoices",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM pg_class WHERE relname LIKE '%hoard%'",
    "SELECT * FROM pg_attribute",
    "SELECT * FROM pg_views",
    "SELECT * FROM pg_tables",
    "SELECT * FROM pg_rewrite",
    "SELECT * FROM pg_namespace",
    "SELECT * FROM pg_database",
    "SELECT * FROM pg_roles",
    "SELECT * FROM pg_user",
    "SELECT * FROM pg_settings",
    "SELECT * FROM pg_stat_activity",
    "SELECT * FROM pg_stats",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.columns",
    "SELECT * FROM information_schema.views",
    "SELECT '{name}'::regclass",
    "SELECT 'public.{name}'::regclass::oid",
    "SELECT to_regclass('{name}')",
    "SELECT pg_get_viewdef(to_regclass('{name}'), true)",
    "SELECT has_table_privilege('{name}', 'select')",
    "SELECT obj_description(to_regclass('{name}'))",
    "SELECT col_description(to_regclass('{name}'), 1)",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT current_setting('app.current_tenant', true)",
    "COPY {name} TO STDOUT",
    "COPY (SELECT * FROM {name}) TO STDOUT",
    "LISTEN {name}",
    "EXECUTE {name}",
    "DROP VIEW {name}",
    "\\d {name}",
    "\\d+ {name}",
    "\\d events.\"invoicing.invoice_issued\"",
    "\\d+",
    "\\dt *.*",
    "\\dv+ *.*",
    "\\sv {name}",
    "\\du",
    "\\l",
    "\\dn+",
    "\\df",
    "\\z",
];

#[tokio::test]
async fn the_wire_finds_nothing_of_another() {
    let wired = Wired::start().await;
    let firm = wired.service.tenant("firm").await;
    let schema = json!({
        "type": "record", "name": "Kept",
        "fields": [{ "name": "zqx_secret", "type": "string" }],
    });
    let kind = json!({ "type": "their_hoard.kept", "schema": schema });
    let made = wired.service.post("/v1/event-types", &firm).json(&kind).send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    let field = wired.service.url("/v1/tenant/fields/invoicing.invoice_issued/zqx_lot");
    let body = json!({ "title": "zqx", "type": "text" });
    let made = wired.service.client.put(field).bearer_auth(&firm).json(&body).send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    let kept = event("their_hoard.kept", "k1", &json!({ "zqx_secret": "zqx" }));
    let mut issued = invoice("zqx-1", "zqx-C", "7");
    issued["data"]["zqx_lot"] = json!("zqx-7");
    let receipt = wired.service.send(&firm, &[issued, kept]).await;
    wired.service.rows(&firm, "open_invoices", &receipt["position"]).await;
    let view = json!({ "name": "their_hoard", "sql": "SELECT customer_id, 'zqx' AS zqx FROM open_invoices" });
    let made = wired.service.post("/v1/views", &firm).json(&view).send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    let read =
        wired.service.get("/v1/views/their_hoard?wait_ms=20000", &firm).send().await.unwrap();
    assert!(read.text().await.unwrap().contains(MARK));

    let own = wired.psql(&firm, &["-A", "-c", "\\d their_hoard"]).output().unwrap();
    let own = String::from_utf8(own.stdout).unwrap();
    assert!(own.contains(MARK), "the firm sees its own: {own}");
    let lots = "SELECT zqx_lot FROM events.\"invoicing.invoice_issued\"";
    let own = wired.psql(&firm, &["-A", "-t", "-c", lots]).output().unwrap();
    assert_eq!(String::from_utf8(own.stdout).unwrap().trim_end(), "zqx-7");
    assert!(wired.refuses(&wired.admin, lots).contains("42703"));
    let mut attempts = 0;
    for attempt in ATTEMPTS {
        // What is another's is answered as what is not there.
        let mut answers = Vec::new();
        for name in ["their_hoard", "empty_hoard"] {
            let command = attempt.replace("{name}", name);
            let said = wired.psql(&wired.admin, &["-A", "-c", &command]).output().unwrap();
            let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), errors(&said));
            assert!(!text.contains(MARK), "{command}: {text}");
            assert!(!text.contains("XX000") && !text.contains("root:"), "{command}: {text}");
            answers.push(text.replace(name, "NAME"));
            attempts += 1;
        }
        assert_eq!(answers[0], answers[1], "{attempt}");
    }
    println!("{attempts} attempts by the wire, no leak");
}

#[tokio::test]
async fn many_connections_are_each_ones_own() {
    let wired = Wired::start().await;
    let other = wired.service.tenant("other").await;
    let receipt = wired.service.send(&other, &[invoice("o1", "O1", "5")]).await;
    wired.service.rows(&other, "open_invoices", &receipt["position"]).await;
    let sql = "SELECT customer_id FROM open_invoices ORDER BY 1";
    let ask = |token: String| {
        let options = wired.options(&token);
        async move {
            use sqlx::{Connection, Row};
            let mut connection = sqlx::PgConnection::connect_with(&options).await.unwrap();
            let mut seen = Vec::new();
            for _ in 0..10 {
                let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
                seen.extend(rows.iter().map(|row| row.get::<String, _>(0)));
            }
            seen
        }
    };
    let all = futures::future::join_all(
        (0..6).map(|turn| ask(if turn % 2 == 0 { wired.admin.clone() } else { other.clone() })),
    );
    for (turn, seen) in all.await.into_iter().enumerate() {
        let expected = if turn % 2 == 0 { vec!["C'3", "C1", "C2"] } else { vec!["O1"] };
        assert_eq!(seen, expected.repeat(10), "connection {turn}");
    }
}
