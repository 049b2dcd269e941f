#![allow(clippy::unwrap_used)]
use crate::statement;

use super::rewrite;

fn parsed(sql: &str) -> String {
    statement::parse(sql, 1 << 20).unwrap().to_string()
}

fn rewritten(sql: &str) -> String {
    let mut statement = statement::parse(sql, 1 << 20).unwrap();
    rewrite(&mut statement).unwrap();
    statement.to_string()
}

#[test]
fn what_is_no_question_of_the_catalog_stays_as_it_is() {
    for sql in [
        "SELECT 1, 1, 'a'",
        "SELECT count(*), sum(balance) FROM open_invoices GROUP BY currency",
        "SELECT \"user\", oid, age(due_date) FROM open_invoices WHERE name ~ '^a'",
        "SELECT CAST(balance AS TEXT), o.* FROM open_invoices AS o ORDER BY 1 LIMIT 3",
        "SELECT (SELECT max(balance) FROM open_invoices), array_to_string(x, ',') FROM a",
        "WITH n AS (SELECT 1 AS a) SELECT * FROM n WHERE EXISTS (SELECT 1 FROM n)",
        "SELECT a FROM (SELECT customer_id AS a, customer_id FROM open_invoices) AS t",
        "EXPLAIN SELECT * FROM open_invoices",
    ] {
        assert_eq!(rewritten(sql), parsed(sql));
    }
}

#[test]
fn what_only_postgresql_has_is_put_into_other_words() {
    for (sql, part) in [
        (
            "SELECT 1 WHERE 'a' OPERATOR(pg_catalog.~) '^a$' COLLATE pg_catalog.default",
            "'a' ~ '^a$'",
        ),
        ("SELECT 1 FROM pg_class WHERE relkind = ANY(ARRAY['r', 'v'])", "relkind IN ('r', 'v')"),
        ("SELECT 1 FROM pg_class WHERE relkind <> ALL('{r,v}')", "relkind NOT IN ('r', 'v')"),
        ("SELECT 1 FROM a WHERE x = ANY('{a, b}')", "x IN ('a', 'b')"),
        (r#"SELECT 1 FROM a WHERE x <> ALL('{"c,d", e f}'::text[])"#, "x NOT IN ('c,d', 'e f')"),
        ("SELECT 1 FROM a WHERE x <> ALL('{a,NULL}')", "x NOT IN ('a', CAST(NULL AS TEXT))"),
        (
            "SELECT 1 FROM pg_class WHERE oid = ANY (SELECT t.typrelid FROM pg_type t)",
            "oid IN (SELECT t.typrelid FROM",
        ),
        ("SELECT relname FROM pg_class", "FROM pg_catalog.pg_class"),
        ("SELECT current_database()", "'tidemark' AS \"current_database\""),
        ("SELECT current_user", "'tidemark' AS \"current_user\""),
        ("SELECT 'open_invoices'::regclass::oid", "max(pg_named_.oid)"),
        ("SELECT 'events.\"a.b\"'::regclass", "pg_named_.relname = 'a.b'"),
        ("SELECT c.oid::regclass FROM pg_class c", "max(pg_named_.relname)"),
        ("SELECT pg_catalog.lower('A')", "lower('A')"),
        ("SELECT pg_get_userbyid(c.relowner) FROM pg_class c", "'tidemark' AS \"pg_get_userbyid\""),
        (
            "SELECT (SELECT t.typname FROM pg_type t WHERE t.oid = a.atttypid) FROM pg_attribute a",
            "max(t.typname)",
        ),
        ("SELECT has_table_privilege('a', 'INSERT')", "false AS"),
    ] {
        let said = rewritten(sql);
        assert!(said.contains(part), "{sql}: {said}");
    }
}

#[test]
fn what_needs_a_row_that_never_is_has_none() {
    let sql = "SELECT t.tgname, pg_catalog.pg_get_triggerdef(t.oid, true) FROM pg_catalog.pg_trigger t \
               WHERE t.tgrelid = '1' ORDER BY 1";
    let said = rewritten(sql);
    assert!(said.contains("WHERE false") && !said.contains("pg_trigger"), "{said}");
    assert!(said.contains("AS \"tgname\""), "{said}");
    for sql in [
        "SELECT count(*) FROM pg_trigger",
        "SELECT * FROM pg_trigger",
        "SELECT c.relname FROM pg_class c LEFT JOIN pg_trigger t ON t.tgrelid = c.oid",
        "SELECT c.relname FROM pg_trigger t RIGHT JOIN pg_class c ON t.tgrelid = c.oid",
    ] {
        assert!(rewritten(sql).contains("pg_catalog.pg_trigger"), "{sql}");
    }
    let sql = "SELECT (SELECT d.description FROM pg_description d WHERE d.objoid = c.oid) FROM pg_class c \
               WHERE NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid)";
    let said = rewritten(sql);
    assert!(said.contains("NULL AS \"description\""), "{said}");
    assert!(!said.contains("pg_description") && !said.contains("pg_index"), "{said}");
}

#[test]
fn a_column_is_there_once() {
    let said = rewritten("SELECT c.oid, c.*, '', '' FROM pg_class c");
    assert!(said.starts_with("SELECT c.*, '' AS \"?column?\", '' AS \"?column?_2\""), "{said}");
}

#[test]
fn there_is_an_end_to_what_is_put_into_other_words() {
    let calls = vec!["pg_backend_pid()"; 201].join(", ");
    let mut statement = statement::parse(&format!("SELECT {calls}"), 1 << 20).unwrap();
    let error = rewrite(&mut statement).unwrap_err().to_string();
    assert!(error.contains("more than 200"), "{error}");
}
