#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn checked(report: Value) -> Result<Definition, Wrong> {
    let definition: Definition = serde_json::from_value(report).unwrap();
    definition.checked(Tz::Europe__Berlin)
}

fn field(report: Value) -> String {
    checked(report).unwrap_err().field
}

#[test]
fn what_is_left_out_has_a_value() {
    let report = checked(json!({
        "name": "Debts", "sql": "SELECT 1", "schedule": { "cron": "0 7 * * MON" },
    }))
    .unwrap();
    let schedule = report.schedule.unwrap();
    assert_eq!(schedule.timezone.as_deref(), Some("Europe/Berlin"));
    assert_eq!((report.keep_days, schedule.catch_up), (30, CatchUp::Last));
    assert_eq!((report.format, report.fiscal_year_starts), (FileFormat::Csv, 1));
}

#[test]
fn a_value_alone_is_the_default_of_a_parameter_and_null_is_nothing() {
    let report = checked(json!({
        "name": "Debts", "sql": "SELECT $1, $2, $3, $4",
        "params": ["C9", 30, { "name": "from", "type": "date", "default": "{{today}}" }, "2026-01-31"],
        "keep_days": null, "format": null, "deliver": null, "schedule": null,
    }))
    .unwrap();
    let types: Vec<_> = report.params.iter().map(|param| param.r#type).collect();
    assert_eq!(types, [ParamType::Text, ParamType::Int, ParamType::Date, ParamType::Date]);
    assert_eq!((report.params[1].name.as_str(), report.keep_days), ("p2", 30));
    let today = NaiveDate::from_ymd_opt(2026, 3, 31).unwrap();
    let values = report.values(&Map::new(), today).unwrap();
    assert_eq!(values, [json!("C9"), json!(30), json!("2026-03-31"), json!("2026-01-31")]);
    let none = checked(json!({ "name": "a", "sql": "SELECT 1", "params": null })).unwrap();
    assert!(none.params.is_empty());
}

#[test]
fn what_is_wrong_is_named() {
    let with = |more: Value| {
        let mut report = json!({ "name": "a", "sql": "SELECT 1" });
        let all = report.as_object_mut().unwrap();
        all.extend(more.as_object().unwrap().clone());
        report
    };
    for (report, expected) in [
        (json!({ "name": "a" }), "sql"),
        (json!({ "name": "a", "sql": "SELECT 1", "view": "v" }), "sql"),
        (json!({ "name": " ", "sql": "SELECT 1" }), "name"),
        (json!({ "name": "a\nb", "sql": "SELECT 1" }), "name"),
        (json!({ "name": "a", "view": "v", "params": [{ "name": "x", "type": "int" }] }), "params"),
        (with(json!({ "keep_days": 0 })), "keep_days"),
        (with(json!({ "fiscal_year_starts": 13 })), "fiscal_year_starts"),
        (with(json!({ "as_of": "some day" })), "as_of"),
        (with(json!({ "as_of": "{{last_moon.end}}" })), "as_of"),
        (
            with(json!({ "schedule": { "cron": "0 7 * * *", "timezone": "CEST" } })),
            "schedule.timezone",
        ),
        (with(json!({ "schedule": { "cron": "7" } })), "schedule.cron"),
        (with(json!({ "params": [{ "name": "a b", "type": "int" }] })), "params[0].name"),
        (
            with(json!({ "params": [
                { "name": "a", "type": "int" }, { "name": "a", "type": "int" },
            ] })),
            "params[1].name",
        ),
        (
            with(json!({
                "params": [{ "name": "a", "type": "int" }], "schedule": { "cron": "0 7 * * *" },
            })),
            "params[0].default",
        ),
        (with(json!({ "params": [{ "name": "a", "type": "int", "default": "x" }] })), "params.a"),
        (
            with(
                json!({ "params": [{ "name": "a", "type": "date", "default": "{{last_month}}" }] }),
            ),
            "params.a",
        ),
        (with(json!({ "deliver": [{ "kind": "email", "to": [] }] })), "deliver[0].to"),
        (with(json!({ "deliver": [{ "kind": "email", "to": ["x"] }] })), "deliver[0].to"),
        (
            with(json!({ "deliver": [
                { "kind": "email", "to": ["a@b.example"], "role": "executive" },
            ] })),
            "deliver[0].role",
        ),
        (
            with(
                json!({ "deliver": [{ "kind": "webhook", "url": "ftp://a", "secret": "0123456789abcdef" }] }),
            ),
            "deliver[0].url",
        ),
        (
            with(json!({ "deliver": [{ "kind": "webhook", "url": "https://a" }] })),
            "deliver[0].secret",
        ),
        (with(json!({ "deliver": [{ "kind": "s3", "path": "../x" }] })), "deliver[0].path"),
        (with(json!({ "deliver": [{ "kind": "s3", "path": "/x" }] })), "deliver[0].path"),
    ] {
        assert_eq!(field(report.clone()), expected, "{report}");
    }
    let of_a_view = json!({
        "name": "a", "view": "v",
        "deliver": [{ "kind": "email", "to": ["a@b.example"], "role": "executive" }],
    });
    assert!(checked(of_a_view).is_ok(), "views are for executives too");
}

#[test]
fn what_has_no_such_field_is_refused() {
    for report in [
        json!({ "name": "a", "sql": "SELECT 1", "crontab": "x" }),
        json!({ "name": "a", "sql": "SELECT 1", "deliver": [{ "kind": "pigeon" }] }),
        json!({ "name": "a", "sql": "SELECT 1", "format": "pdf" }),
    ] {
        assert!(serde_json::from_value::<Definition>(report).is_err());
    }
}

#[test]
fn parameters_have_their_types_and_words_are_dates() {
    let report = checked(json!({
        "name": "a", "sql": "SELECT 1",
        "params": [
            { "name": "from", "type": "date", "default": "{{last_month.start}}" },
            { "name": "note", "type": "text", "default": "of {{last_month}}" },
            { "name": "least", "type": "decimal" },
            { "name": "count", "type": "int", "default": 3 },
            { "name": "open", "type": "bool", "default": true },
            { "name": "since", "type": "timestamp", "default": "2026-01-01T00:00:00Z" },
        ],
    }))
    .unwrap();
    let today = "2026-03-15".parse().unwrap();
    let values = |given: Value| report.values(given.as_object().unwrap(), today);
    assert_eq!(
        values(json!({ "least": "12.50" })).unwrap(),
        [
            json!("2026-02-01"),
            json!("of 2026-02"),
            json!("12.50"),
            json!(3),
            json!(true),
            json!("2026-01-01T00:00:00Z"),
        ]
    );
    for (given, expected) in [
        (json!({}), "params.least"),
        (json!({ "least": "1e3" }), "params.least"),
        (json!({ "least": "1", "from": "2026-02-30" }), "params.from"),
        (json!({ "least": "1", "count": 1.5 }), "params.count"),
        (json!({ "least": "1", "open": "true" }), "params.open"),
        (json!({ "least": "1", "other": 1 }), "params"),
    ] {
        assert_eq!(values(given.clone()).unwrap_err().field, expected, "{given}");
    }
}

#[test]
fn files_have_names_that_every_system_takes() {
    let name = |name: &str| {
        let report = checked(json!({ "name": name, "sql": "SELECT 1" })).unwrap();
        report.file_name("2026-03-15".parse().unwrap())
    };
    assert_eq!(name("Open debts / Jan."), "open-debts-jan-2026-03-15.csv");
    assert_eq!(name("\"..\\x"), "x-2026-03-15.csv");
    assert_eq!(name("üü"), "report-2026-03-15.csv");
}
