//! What is no view: each is refused when it is defined, with its place in the SQL and a way round.

use projections::events::EventTypes;
use projections::{DefineError, Partition, ViewDefinition};
use proptest::prelude::*;
use proptest::test_runner::Config;

fn refusal(sql: &str) -> Option<DefineError> {
    let view = ViewDefinition::parse("refused", sql);
    Partition::new(&EventTypes::builtin(), vec![view]).err()
}

/// The SQL and what the message must hold.
const REFUSED: &[(&str, &[&str])] = &[
    (
        "SELECT call_id\nFROM events.\"crm.call_logged\"\nLIMIT 3",
        &["LIMIT without ORDER BY", "line 3, column 1", "ORDER BY … LIMIT"],
    ),
    (
        "SELECT user_id, array_agg(call_id) AS calls FROM events.\"crm.call_logged\" GROUP BY user_id",
        &["array_agg() without ORDER BY", "line 1, column 17", "array_agg(… ORDER BY …)"],
    ),
    (
        "SELECT user_id, first_value(call_id) AS c FROM events.\"crm.call_logged\" GROUP BY user_id",
        &["first_value() without ORDER BY"],
    ),
    (
        "SELECT user_id, approx_median(duration_s) FROM events.\"crm.call_logged\" GROUP BY user_id",
        &["approx_median()", "median(…)"],
    ),
    ("SELECT call_id, random() AS r FROM events.\"crm.call_logged\"", &["random()", "column 17"]),
    ("SELECT call_id, uuid() AS r FROM events.\"crm.call_logged\"", &["uuid()"]),
    (
        "WITH RECURSIVE r AS (SELECT call_id FROM events.\"crm.call_logged\" \
         UNION ALL SELECT call_id FROM r) SELECT call_id FROM r",
        &["RECURSIVE", "line 1, column 6", "joins"],
    ),
    ("SELECT cal_id FROM events.\"crm.call_logged\"", &["cal_id", "line 1, column 8"]),
    (
        "SELECT call_id FROM events.\"crm.call_loged\"",
        &["did you mean events.\"crm.call_logged\"?"],
    ),
    ("SELECT call_id FROM \"crm.call_logged\"", &["did you mean events.\"crm.call_logged\"?"]),
    ("SELECT call_id FORM events.\"crm.call_logged\"", &["does not parse", "line 1, column"]),
    ("SELECT 'open", &["does not parse"]),
    ("", &["one SELECT"]),
    ("SELECT 1 AS a; SELECT 2 AS a", &["one SELECT"]),
    ("DROP TABLE x", &["DROP"]),
    ("INSERT INTO x VALUES (1)", &["INSERT"]),
    ("SET a = 1", &["SET"]),
    ("COPY x TO 'file'", &["COPY"]),
    ("CREATE VIEW v AS SELECT 1", &["CREATE"]),
    ("EXPLAIN SELECT 1", &["EXPLAIN"]),
    ("SELECT table_name FROM information_schema.tables", &["no relation"]),
    ("SELECT value FROM generate_series(1, 3)", &["generate_series"]),
    ("SELECT call_id FROM events.\"crm.call_logged\" TABLESAMPLE SYSTEM (10)", &["TABLESAMPLE"]),
    (
        "SELECT event_id FROM events.\"invoicing.invoice_issued\" AS i WHERE project_id NOT IN ( \
         SELECT project_id FROM events.\"purchasing.bill_received\" AS b WHERE b.amount > i.amount)",
        &["NOT IN", "NOT EXISTS"],
    ),
    (
        "SELECT EXISTS (SELECT 1 FROM events.\"tasks.task_assigned\" AS t WHERE t.user_id = c.user_id) \
         AS busy FROM events.\"crm.call_logged\" AS c",
        &["EXISTS", "LEFT JOIN"],
    ),
    (
        "SELECT last_value(call_id) OVER (ORDER BY duration_s) AS c FROM events.\"crm.call_logged\"",
        &["last_value()", "line 1, column 8", "ROWS"],
    ),
    ("SELECT 1 / 0 AS a, now(1)", &["now"]),
    ("SELECT count(*) FROM events.\"crm.call_logged\" WHERE sum(duration_s) > 1", &["refused"]),
];

#[test]
fn what_is_no_view_is_refused_with_a_way_round() {
    for (sql, said) in REFUSED {
        let Some(error) = refusal(sql) else { panic!("taken: {sql}") };
        let message = error.to_string();
        assert!(message.starts_with("view 'refused': "), "{message}");
        for part in *said {
            assert!(message.contains(part), "{sql}\nlacks {part}:\n{message}");
        }
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let call = "FROM events.\"crm.call_logged\"";
    let deep = format!("SELECT {}1{} AS a {call}", "(".repeat(5_000), ")".repeat(5_000));
    let long = format!("SELECT {} AS a {call}", vec!["1"; 5_000].join(" + "));
    let columns: Vec<String> = (0..1_200).map(|i| format!("duration_s AS c{i}")).collect();
    let wide = format!("SELECT {} {call}", columns.join(", "));
    let many = vec!["SELECT call_id FROM events.\"crm.call_logged\""; 400].join(" UNION ALL ");
    let nested =
        (0..200).fold("SELECT 1 AS a".to_owned(), |sql, _| format!("SELECT a FROM ({sql})"));
    for sql in [deep, long, wide, many, nested] {
        let start: String = sql.chars().take(60).collect();
        let Some(error) = refusal(&sql) else { panic!("taken: {start}…") };
        assert!(error.to_string().len() < 1_000, "{start}… {error}");
    }
}

/// Words that make sense together often enough to get past the parser.
const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "(",
    ")",
    ",",
    "*",
    "AS",
    "a",
    "b",
    "events.\"crm.call_logged\"",
    "events.\"tasks.task_assigned\"",
    "call_id",
    "user_id",
    "duration_s",
    "count(*)",
    "sum(duration_s)",
    "OVER",
    "PARTITION BY",
    "UNION ALL",
    "EXCEPT",
    "JOIN",
    "LEFT JOIN",
    "ON",
    "=",
    "<",
    "AND",
    "NOT",
    "IN",
    "EXISTS",
    "1",
    "'x'",
    "NULL",
    "+",
    "current_date",
    "unnest",
    "ROLLUP",
    "DISTINCT",
    "CASE WHEN",
    "THEN",
    "END",
    "WITH a AS",
    "HAVING",
    "VALUES",
    "INTERVAL '1 day'",
    ".",
    "::",
    "LATERAL",
    "USING (user_id)",
];

proptest! {
    #![proptest_config(Config { cases: 512, failure_persistence: None, ..Config::default() })]

    #[test]
    fn no_text_brings_the_compiler_down(picks in prop::collection::vec(0..WORDS.len(), 1..24)) {
        let words: Vec<&str> = picks.into_iter().map(|pick| WORDS[pick]).collect();
        let _ = refusal(&words.join(" "));
        let _ = refusal(&format!("SELECT {}", words.join(" ")));
        let _ = refusal(&format!("SELECT * FROM events.\"crm.call_logged\" {}", words.join(" ")));
    }

    #[test]
    fn no_characters_bring_the_compiler_down(text in "\\PC{0,60}") {
        let _ = refusal(&text);
    }
}
