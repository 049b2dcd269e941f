//! What tools ask of the catalog: psql by its own commands, others by the questions that they are known
//! to ask.

use serde_json::json;

use super::postgres::{Wired, errors};
use crate::service::invoice;

/// What psql prints for one of its commands, which must succeed.
fn shows(wired: &Wired, command: &str) -> String {
    // With what stands below a table only where more is asked for.
    let form: &[&str] = if command.starts_with("\\d+") { &["-A"] } else { &["-A", "-t"] };
    let arguments = [form, &["-E", "-c", command]].concat();
    let asked = wired.psql(&wired.admin, &arguments).output().unwrap();
    let (said, failed) = (String::from_utf8(asked.stdout.clone()).unwrap(), errors(&asked));
    assert!(asked.status.success() && !failed.contains("ERROR"), "{command}: {failed}\n{said}");
    // What follows the last of the queries that -E shows.
    said.rsplit("**************************\n").next().unwrap_or_default().trim().to_owned()
}

#[tokio::test]
async fn psql_lists_and_describes() {
    let wired = Wired::start().await;
    let shows = |command: &str| shows(&wired, command);
    assert!(shows("\\d").contains("public|open_invoices|view|tidemark"));
    assert!(shows("\\dv").contains("public|ar_aging|view|tidemark"));
    assert!(shows("\\dv+ open_*").contains("open_invoices"));
    let tables = shows("\\dt events.*");
    assert!(tables.contains("events|invoicing.invoice_issued|table|tidemark"), "{tables}");
    let columns = shows("\\d open_invoices");
    for column in ["invoice_id|text|", "balance|numeric(38,4)|", "due_date|date|"] {
        assert!(columns.contains(column), "{columns}");
    }
    let more = shows("\\d+ open_invoices");
    assert!(more.contains("View definition:") && more.to_uppercase().contains("SELECT"), "{more}");
    let events = shows("\\d events.\"invoicing.invoice_issued\"");
    assert!(events.contains("occurred_at|timestamp with time zone|"), "{events}");
    assert!(shows("\\d+ events.\"invoicing.invoice_issued\"").contains("amount|numeric(38,4)"));
    assert!(shows("\\dn").contains("events|tidemark"));
    assert!(shows("\\l").contains("tidemark|tidemark|UTF8"));
    assert!(shows("\\du").contains("tidemark"));
    assert!(shows("\\sv open_invoices").to_uppercase().contains("SELECT"));
    for command in ["\\di", "\\ds", "\\df", "\\dT", "\\dx", "\\dp", "\\dm", "\\des"] {
        shows(command);
    }
}

#[tokio::test]
async fn fields_that_are_declared_are_columns_of_their_types() {
    let wired = Wired::start().await;
    let issued = "events.\"invoicing.invoice_issued\"";
    for (name, kind) in [("lot", "text"), ("rate", "decimal"), ("sent_at", "timestamp")] {
        let url = wired.service.url(&format!("/v1/tenant/fields/invoicing.invoice_issued/{name}"));
        let body = json!({ "title": name, "type": kind });
        let put = wired.service.client.put(url).bearer_auth(&wired.admin).json(&body);
        assert_eq!(put.send().await.unwrap().status(), 201);
    }
    let columns = shows(&wired, &format!("\\d {issued}"));
    for column in ["lot|text|", "rate|numeric(38,4)|", "sent_at|timestamp with time zone|"] {
        assert!(columns.contains(column), "{columns}");
    }
    let mut invoice = invoice("i9", "C9", "1");
    invoice["data"]["lot"] = json!("L-9");
    invoice["data"]["rate"] = json!("0.5");
    invoice["data"]["sent_at"] = json!("2025-06-01T10:00:00Z");
    let receipt = wired.service.send(&wired.admin, &[invoice]).await;
    wired.service.rows(&wired.admin, "open_invoices", &receipt["position"]).await;
    let sql = format!("SELECT lot, rate, sent_at FROM {issued} WHERE lot IS NOT NULL");
    assert_eq!(wired.says(&sql), "L-9|0.5000|2025-06-01 10:00:00+00");
    let sum = format!("SELECT count(*), sum(rate) FROM {issued}");
    assert_eq!(wired.says(&sum), "4|0.5000");
}

/// Questions, with a part of what must be in the answer.
const QUESTIONS: &[(&str, &str)] = &[
    // JDBC, which DBeaver and Metabase use.
    (
        "SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME, \
         CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' WHEN true THEN 'SYSTEM' \
         WHEN false THEN CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' ELSE NULL END \
         ELSE NULL END AS TABLE_TYPE, d.description AS REMARKS \
         FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c \
         LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 \
         AND d.classoid = 'pg_class'::regclass) \
         WHERE c.relnamespace = n.oid AND n.nspname LIKE 'public' ORDER BY TABLE_TYPE, 2, 3",
        "public|open_invoices|VIEW",
    ),
    (
        "SELECT * FROM (SELECT n.nspname, c.relname, a.attname, a.atttypid, \
         a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull, a.atttypmod, a.attlen, \
         t.typtypmod, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum, \
         nullif(a.attidentity, '') AS attidentity, pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc, \
         dsc.description, t.typbasetype, t.typtype \
         FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid) \
         JOIN pg_catalog.pg_attribute a ON (a.attrelid = c.oid) \
         JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) \
         LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid = def.adrelid AND a.attnum = def.adnum) \
         LEFT JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid) \
         WHERE c.relkind in ('r','p','v','f','m') AND a.attnum > 0 AND NOT a.attisdropped \
         AND c.relname LIKE 'open_invoices' ) c WHERE true ORDER BY nspname, c.relname, attnum",
        "public|open_invoices|balance|1700|",
    ),
    (
        "SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, ct.relname AS TABLE_NAME, a.attname AS COLUMN_NAME, \
         (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ, ci.relname AS PK_NAME \
         FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) \
         JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid) \
         JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid) \
         JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid) WHERE i.indisprimary",
        "",
    ),
    // DBeaver.
    ("SELECT current_schema(), session_user", "public|tidemark"),
    ("SHOW search_path", "public"),
    ("SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE datname = 'tidemark'", "tidemark"),
    (
        "SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n \
         LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0 \
         AND d.classoid = 'pg_namespace'::regclass ORDER BY nspname",
        "events|",
    ),
    (
        "SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_expr, \
         pg_catalog.pg_get_partkeydef(c.oid) AS partition_key FROM pg_catalog.pg_class c \
         LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 \
         AND d.classoid = 'pg_class'::regclass \
         WHERE c.relnamespace = 2200 AND c.relkind NOT IN ('i','I','c')",
        "open_invoices|2200|",
    ),
    (
        "SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base_type_name, \
         d.description FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid \
         LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid = d.objoid \
         WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c')",
        "numeric|",
    ),
    // Metabase.
    (
        "SELECT nsp.nspname, c.relname, pg_catalog.has_table_privilege(current_user, c.oid, 'SELECT') AS may \
         FROM pg_class c JOIN pg_namespace nsp ON nsp.oid = c.relnamespace \
         WHERE c.relkind = ANY(ARRAY['r', 'v']) AND nsp.nspname <> ALL(ARRAY['pg_catalog']) ORDER BY 1, 2",
        "public|open_invoices|t",
    ),
    // Grafana.
    ("SELECT current_setting('server_version_num')::int / 100 AS version", "1600"),
    (
        "SELECT CASE WHEN quote_ident(table_schema) = 'public' THEN quote_ident(table_name) \
         ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS \"table\" \
         FROM information_schema.tables \
         WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog') ORDER BY 1",
        "open_invoices",
    ),
    (
        "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" \
         FROM information_schema.columns WHERE quote_ident(table_name) = 'open_invoices'",
        "balance|numeric",
    ),
    // Power BI, and Npgsql below it.
    (
        "select TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE from INFORMATION_SCHEMA.tables \
         where TABLE_SCHEMA not in ('information_schema', 'pg_catalog') order by TABLE_SCHEMA, TABLE_NAME",
        "public|open_invoices|VIEW",
    ),
    (
        "select COLUMN_NAME, ORDINAL_POSITION, IS_NULLABLE, DATA_TYPE from INFORMATION_SCHEMA.columns \
         where TABLE_SCHEMA = 'public' and TABLE_NAME = 'open_invoices' order by ORDINAL_POSITION",
        "due_date|6|",
    ),
    (
        "SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid FROM ( \
           SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, \
             typ.relkind, elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, \
             elemcls.relkind AS elemrelkind, \
             CASE WHEN elemproc.proname='array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype \
           FROM ( \
             SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid, \
               CASE WHEN proc.proname='array_recv' THEN 'a' ELSE typ.typtype END AS typtype, \
               CASE WHEN proc.proname='array_recv' THEN typ.typelem WHEN typ.typtype='r' THEN rngsubtype \
               WHEN typ.typtype='m' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = typ.oid) \
               WHEN typ.typtype='d' THEN typ.typbasetype END AS elemtypoid \
             FROM pg_type AS typ LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid) \
             LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive \
             LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid) \
           ) AS typ \
           LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid \
           LEFT JOIN pg_class AS elemcls ON (elemcls.oid = elemtyp.typrelid) \
           LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive \
         ) AS t JOIN pg_namespace AS ns ON (ns.oid = typnamespace) \
         WHERE typtype IN ('b', 'r', 'm', 'e', 'd') OR (typtype = 'c' AND relkind='c') \
         OR (typtype = 'p' AND typname IN ('record', 'void')) ORDER BY 2",
        "pg_catalog|1700|numeric|b|f|",
    ),
    (
        "SELECT pg_type.oid, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid=enumtypid \
         ORDER BY oid, enumsortorder",
        "",
    ),
];

#[tokio::test]
async fn tools_are_answered() {
    let wired = Wired::start().await;
    let mut failures = Vec::new();
    for (question, part) in QUESTIONS {
        let asked = wired.psql(&wired.admin, &["-A", "-t", "-c", question]).output().unwrap();
        let said = String::from_utf8_lossy(&asked.stdout).into_owned();
        if !asked.status.success() || !said.contains(part) {
            failures.push(format!("{question}\n{said}{}", errors(&asked)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
