//! Event types that tenants and the platform register at run time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, SecondsFormat};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tenancy::Role;

use crate::service::{Service, event, problem, token};

const WIDGET: &str = "acme.widget_made";

fn schema(fields: &Value) -> Value {
    json!({ "type": "record", "name": "widget_made", "namespace": "acme", "fields": fields })
}

fn widget() -> Value {
    schema(&json!([
        {"name": "widget_id", "type": "string"},
        {"name": "cost", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
        {"name": "made_on", "type": {"type": "int", "logicalType": "date"}},
        {"name": "checkedAt", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": null},
        {"name": "parts", "type": ["null", "long"]},
        {"name": "grade", "type": {"type": "enum", "name": "grade", "symbols": ["A", "B"]}},
    ]))
}

async fn register(service: &Service, path: &str, token: &str, body: &Value) -> reqwest::Response {
    service.post(path, token).json(body).send().await.unwrap()
}

/// Registers a type of the tenant and checks that it was new.
async fn registered(service: &Service, token: &str, name: &str, schema: &Value) {
    let body = json!({ "type": name, "schema": schema });
    let answer = register(service, "/v1/event-types", token, &body).await;
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}

async fn asked(service: &Service, token: &str, sql: &str) -> Value {
    let answer = service.post("/v1/query", token).json(&json!({ "sql": sql })).send().await;
    let answer = answer.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(status, 200, "{sql}: {text}");
    serde_json::from_str::<Value>(&text).unwrap()["rows"].clone()
}

/// What SQL says once a position is applied.
async fn asked_at(service: &Service, token: &str, sql: &str, receipt: &Value) -> Value {
    let path = format!("/v1/query?wait_for={}", receipt["position"].as_str().unwrap());
    let answer = service.post(&path, token).json(&json!({ "sql": sql })).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert!(answer["rows"].is_array(), "{sql}: {answer}");
    answer["rows"].clone()
}

/// Ends the process as a power cut would, and starts another on its folder.
async fn killed(mut service: Service) -> Service {
    service.process.kill().unwrap();
    service.process.wait().unwrap();
    let data = Arc::clone(&service.data);
    drop(service);
    Service::start_in(data).await
}

#[tokio::test]
async fn a_type_is_registered_filled_asked_and_survives_a_kill() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let made = |id: &str, cost: Value| {
        let data = json!({
            "widget_id": id, "cost": cost, "made_on": "2024-02-29",
            "checkedAt": "2024-03-01T12:00:00.5+02:00", "parts": 9_007_199_254_740_993_i64,
            "grade": "A", "colour": "red",
        });
        event(WIDGET, id, &data)
    };
    let early = service.send(&admin, &[made("w0", json!("1"))]).await;
    assert_eq!(early["accepted"], 0, "{early}");
    let body = json!({ "type": WIDGET, "schema": widget() });
    let answer = register(&service, "/v1/event-types", &admin, &body).await;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["location"], "/v1/event-types/acme.widget_made");
    let object: Value = answer.json().await.unwrap();
    let expected = json!({ "id": WIDGET, "type": WIDGET, "owner": "tenant", "schema": widget() });
    assert_eq!(object, expected);
    let read = |path: &'static str| async {
        service.get(path, &admin).send().await.unwrap().json::<Value>().await.unwrap()
    };
    assert_eq!(read("/v1/event-types/acme.widget_made").await, expected);
    let list = read("/v1/event-types").await;
    let listed = list["event_types"].as_array().unwrap();
    assert!(listed.contains(&expected));
    assert!(listed.iter().any(|t| t["type"] == "crm.call_logged" && t["owner"] == "built-in"));

    let receipt = service.send(&admin, &[made("w1", json!("12.5")), made("w2", json!(0.1))]).await;
    assert_eq!(receipt["accepted"], 2, "{receipt}");
    let sql = r#"SELECT * FROM events."acme.widget_made" ORDER BY event_id"#;
    let row = |id: &str, cost: &str| {
        json!([
            id,
            "2025-06-01T10:00:00Z",
            null,
            id,
            cost,
            "2024-02-29",
            "2024-03-01T10:00:00.500Z",
            9_007_199_254_740_993_i64,
            "A"
        ])
    };
    let rows = json!([row("w1", "12.5000"), row("w2", "0.1000")]);
    assert_eq!(asked_at(&service, &admin, sql, &receipt).await, rows);
    let columns = "SELECT column_name, data_type FROM information_schema.columns \
                   WHERE table_name = 'acme.widget_made' AND ordinal_position > 6 ORDER BY ordinal_position";
    let expected =
        json!([["checkedAt", "timestamp with time zone"], ["parts", "bigint"], ["grade", "text"]]);
    assert_eq!(asked(&service, &admin, columns).await, expected);
    let bad = service
        .send(&admin, &[event(WIDGET, "w3", &json!({"widget_id": "w3", "cost": 1e-5}))])
        .await;
    assert!(bad["rejected"][0]["reason"].as_str().unwrap().contains("data.cost"), "{bad}");

    let service = killed(service).await;
    assert_eq!(asked(&service, &admin, sql).await, rows);
    let receipt = service.send(&admin, &[made("w1", json!("1")), made("w4", json!("1"))]).await;
    assert_eq!((&receipt["accepted"], &receipt["duplicates"]), (&json!(1), &json!(1)));
    let answer = register(&service, "/v1/event-types", &admin, &body).await;
    assert_eq!(answer.status(), 200, "the same again has no effect");
}

#[tokio::test]
async fn two_tenants_have_each_their_own_type_of_one_name() {
    let service = Service::start().await;
    let (one, two) = (service.tenant("one").await, service.tenant("two").await);
    let third = service.tenant("third").await;
    registered(&service, &one, WIDGET, &schema(&json!([{"name": "size", "type": "string"}]))).await;
    registered(&service, &two, WIDGET, &schema(&json!([{"name": "size", "type": "long"}]))).await;
    let text = event(WIDGET, "a", &json!({"size": "large"}));
    let number = event(WIDGET, "a", &json!({"size": 7}));
    let of_one = service.send(&one, std::slice::from_ref(&text)).await;
    let of_two = service.send(&two, std::slice::from_ref(&number)).await;
    assert_eq!((&of_one["accepted"], &of_two["accepted"]), (&json!(1), &json!(1)));
    assert_eq!(service.send(&one, &[number]).await["accepted"], 0);
    assert_eq!(service.send(&two, std::slice::from_ref(&text)).await["accepted"], 0);
    let sql = r#"SELECT size FROM events."acme.widget_made""#;
    assert_eq!(asked_at(&service, &one, sql, &of_one).await, json!([["large"]]));
    assert_eq!(asked_at(&service, &two, sql, &of_two).await, json!([[7]]));
    let service = killed(service).await;
    assert_eq!(asked(&service, &one, sql).await, json!([["large"]]));
    assert_eq!(asked(&service, &two, sql).await, json!([[7]]));

    // To a third tenant the type is as unknown as one that nobody has.
    let unknown = event("acme.gadget_made", "a", &json!({"size": "large"}));
    let rejected = service.send(&third, &[text, unknown]).await["rejected"].clone();
    let reason = |index: usize| rejected[index]["reason"].as_str().unwrap().to_owned();
    assert_eq!(reason(0).replace("widget", "gadget"), reason(1));
    let ask = |sql: &str| service.post("/v1/query", &third).json(&json!({ "sql": sql })).send();
    let known = problem(ask(sql).await.unwrap(), 400, "invalid-query").await;
    let other = sql.replace("widget", "gadget");
    let unknown = problem(ask(&other).await.unwrap(), 400, "invalid-query").await;
    assert_eq!(known.to_string().replace("widget", "gadget"), unknown.to_string());
    let answer = service.get("/v1/event-types/acme.widget_made", &third).send().await.unwrap();
    problem(answer, 404, "unknown-event-type").await;
    let list = service.get("/v1/event-types", &third).send().await.unwrap().text().await.unwrap();
    assert!(!list.contains("acme"), "{list}");
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_name LIKE 'acme%'";
    assert_eq!(asked(&service, &third, tables).await, json!([[0]]));
}

#[tokio::test]
async fn a_type_of_the_platform_is_everybodys_and_hides_nobodys_own() {
    let service = Service::start().await;
    let (one, two) = (service.tenant("one").await, service.tenant("two").await);
    let platform = token(None, &[Role::Platform]);
    let path = "/v1/platform/event-types";
    registered(&service, &one, WIDGET, &schema(&json!([{"name": "own", "type": "string"}]))).await;
    let shared = schema(&json!([{"name": "shared", "type": "boolean"}]));
    let body = json!({ "type": WIDGET, "schema": shared });
    let answer = register(&service, path, &platform, &body).await;
    assert_eq!(answer.status(), 201, "whatever a tenant has, the platform is not told");
    assert_eq!(answer.headers()["location"], "/v1/platform/event-types/acme.widget_made");
    assert_eq!(answer.json::<Value>().await.unwrap()["owner"], "platform");
    let of_two = service.send(&two, &[event(WIDGET, "a", &json!({"shared": true}))]).await;
    let of_one = service.send(&one, &[event(WIDGET, "a", &json!({"own": "x"}))]).await;
    assert_eq!((&of_one["accepted"], &of_two["accepted"]), (&json!(1), &json!(1)));
    let answer = register(&service, "/v1/event-types", &two, &body).await;
    problem(answer, 409, "conflict").await;
    let service = killed(service).await;
    let sql = |column: &str| format!(r#"SELECT {column} FROM events."acme.widget_made""#);
    assert_eq!(asked(&service, &one, &sql("own")).await, json!([["x"]]));
    assert_eq!(asked(&service, &two, &sql("shared")).await, json!([[true]]));
    let list = service.get(path, &platform).send().await.unwrap().json::<Value>().await.unwrap();
    let of_platform: Vec<&Value> = list["event_types"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|t| t["owner"] != "built-in")
        .collect();
    assert_eq!(of_platform.len(), 1);
    assert_eq!(of_platform[0]["schema"], shared);
    let path = "/v1/platform/event-types/acme.gadget_made";
    let answer = service.get(path, &platform).send().await.unwrap();
    problem(answer, 404, "unknown-event-type").await;
}

#[tokio::test]
async fn a_type_grows_by_optional_fields_and_by_nothing_else() {
    let service = Service::start().await;
    let admin = service.tenant("grows").await;
    let first = json!({"name": "a", "type": "string"});
    let added = json!({"name": "b", "type": ["null", "long"], "default": null});
    registered(&service, &admin, WIDGET, &schema(&json!([first]))).await;
    service.send(&admin, &[event(WIDGET, "e1", &json!({"a": "x", "b": 1}))]).await;
    let put = |fields: Value| {
        let body = json!({ "type": WIDGET, "schema": schema(&fields) });
        let (service, admin) = (&service, &admin);
        async move { register(service, "/v1/event-types", admin, &body).await }
    };
    for (fields, word) in [
        (json!([]), "`a` is missing"),
        (json!([added, first]), "moved"),
        (json!([first, {"name": "b", "type": "long"}]), "optional"),
        (json!([{"name": "a", "type": "long"}]), "a whole number"),
        (json!([{"name": "a", "type": ["null", "string"]}]), "required"),
    ] {
        let problem = problem(put(fields).await, 409, "incompatible-schema").await;
        assert!(problem["differences"].to_string().contains(word), "{problem}");
    }
    assert_eq!(put(json!([first, added])).await.status(), 200);
    let receipt = service.send(&admin, &[event(WIDGET, "e2", &json!({"a": "y", "b": 2}))]).await;
    let sql = r#"SELECT a, b FROM events."acme.widget_made" ORDER BY a"#;
    let rows = json!([["x", null], ["y", 2]]);
    assert_eq!(asked_at(&service, &admin, sql, &receipt).await, rows);
    let service = killed(service).await;
    assert_eq!(asked(&service, &admin, sql).await, rows);
}

#[tokio::test]
async fn what_cannot_be_registered_is_a_problem() {
    let service = Service::start().await;
    let admin = service.tenant("bad").await;
    let of = |kind: Value| schema(&json!([{"name": "x", "type": kind}]));
    for (body, status, slug) in [
        (json!({}), 400, "invalid-body"),
        (json!([]), 400, "invalid-body"),
        (json!({"type": WIDGET}), 400, "invalid-body"),
        (json!({"type": WIDGET, "schema": widget(), "name": "x"}), 400, "invalid-body"),
        (json!({"type": 7, "schema": widget()}), 400, "invalid-body"),
        (json!({"type": "Widget", "schema": widget()}), 400, "invalid-body"),
        (json!({"type": "acme.a/b", "schema": widget()}), 400, "invalid-body"),
        (json!({"type": WIDGET, "schema": widget().to_string()}), 400, "invalid-schema"),
        (json!({"type": WIDGET, "schema": null}), 400, "invalid-schema"),
        (json!({"type": WIDGET, "schema": of(json!("double"))}), 400, "invalid-schema"),
        (
            json!({"type": WIDGET, "schema": of(json!({"type": "array", "items": "int"}))}),
            400,
            "invalid-schema",
        ),
        (json!({"type": "crm.call_logged", "schema": widget()}), 409, "conflict"),
    ] {
        let answer = register(&service, "/v1/event-types", &admin, &body).await;
        problem(answer, status, slug).await;
    }
    let answer = register(
        &service,
        "/v1/event-types",
        &admin,
        &json!({"type": WIDGET, "schema": of(json!("float"))}),
    )
    .await;
    let told = problem(answer, 400, "invalid-schema").await;
    assert_eq!(told["field"], "x");
    let many: Vec<Value> =
        (0..201).map(|n| json!({"name": format!("f{n}"), "type": "int"})).collect();
    let body = json!({"type": WIDGET, "schema": schema(&json!(many))});
    problem(register(&service, "/v1/event-types", &admin, &body).await, 400, "invalid-schema")
        .await;
    let wordy = json!({"type": WIDGET, "schema": schema(&json!([{"name": "x", "type": "int", "doc": "x".repeat(70_000)}]))});
    problem(register(&service, "/v1/event-types", &admin, &wordy).await, 400, "invalid-schema")
        .await;
    for role in [Role::Analyst, Role::Service, Role::Executive] {
        let body = json!({"type": WIDGET, "schema": widget()});
        let other = token(Some("bad"), &[role]);
        problem(register(&service, "/v1/event-types", &other, &body).await, 403, "forbidden").await;
    }
    let answer = service.post("/v1/event-types", &admin).body("{}").send().await.unwrap();
    problem(answer, 415, "unsupported-media-type").await;
    let list = service.get("/v1/event-types", &admin).send().await.unwrap().text().await.unwrap();
    assert!(!list.contains("acme"), "nothing of it was registered: {list}");
    for n in 0..200 {
        registered(&service, &admin, &format!("acme.t{n}"), &of(json!("int"))).await;
    }
    let body = json!({"type": "acme.t200", "schema": of(json!("int"))});
    let told =
        problem(register(&service, "/v1/event-types", &admin, &body).await, 422, "limit-exceeded")
            .await;
    assert_eq!(told["limit"], "event_types");
}

/// A value as it is sent, and as SQL gives it back.
type Pair = (Value, Value);

/// A field: its Avro type, whether it is optional, and values of it.
#[derive(Clone, Debug)]
struct FieldCase {
    name: String,
    kind: Value,
    optional: bool,
    values: Vec<Option<Pair>>,
}

/// As many values as a case has events.
const EVENTS: usize = 4;

fn decimals(scale: u32) -> BoxedStrategy<Pair> {
    (-10_i128.pow(12)..10_i128.pow(12), any::<bool>())
        .prop_map(move |(units, as_text)| {
            let plain = |units: i128, places: usize| {
                let digits = format!("{:0>width$}", units.unsigned_abs(), width = places + 1);
                let (whole, part) = digits.split_at(digits.len() - places);
                let sign = if units < 0 { "-" } else { "" };
                let point = if places > 0 { "." } else { "" };
                format!("{sign}{whole}{point}{part}")
            };
            let sent = plain(units, scale as usize);
            let back = plain(units * 10_i128.pow(4 - scale), 4);
            let sent = if as_text { json!(sent) } else { serde_json::from_str(&sent).unwrap() };
            (sent, json!(back))
        })
        .boxed()
}

/// A type of the grammar, and its values.
fn kinds() -> impl Strategy<Value = (Value, BoxedStrategy<Pair>)> {
    let same = |value: Value| (value.clone(), value);
    let text = any::<String>().prop_map(move |t| same(json!(t.replace('\0', ""))));
    let int = any::<i64>().prop_map(move |n| same(json!(n)));
    let boolean = any::<bool>().prop_map(move |b| same(json!(b)));
    let date = (-700_000..2_900_000_i32)
        .prop_map(move |d| same(json!(NaiveDate::from_epoch_days(d).unwrap().to_string())));
    let time = (-60_000_000_000_000_000..250_000_000_000_000_000_i64, -840..840_i32).prop_map(
        |(micros, offset)| {
            let at = DateTime::from_timestamp_micros(micros).unwrap();
            let zone = chrono::FixedOffset::east_opt(offset * 60).unwrap();
            let back = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            (json!(at.with_timezone(&zone).to_rfc3339()), json!(back))
        },
    );
    let (text, int, boolean) = (text.boxed(), int.boxed(), boolean.boxed());
    prop_oneof![
        Just((json!("string"), text.clone())),
        Just((json!({"type": "string", "avro.java.string": "String"}), text.clone())),
        Just((json!({"type": "enum", "name": "E", "symbols": ["A"]}), text)),
        Just((json!("int"), int.clone())),
        Just((json!({"type": "long"}), int)),
        Just((json!("boolean"), boolean)),
        Just((json!({"type": "int", "logicalType": "date"}), date.boxed())),
        Just((json!({"type": "long", "logicalType": "timestamp-millis"}), time.clone().boxed())),
        Just((json!({"type": "long", "logicalType": "timestamp-micros"}), time.boxed())),
        (0..=4_u32).prop_map(|scale| (
            json!({"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": scale}),
            decimals(scale)
        )),
    ]
}

fn fields() -> impl Strategy<Value = Vec<FieldCase>> {
    let field = (kinds(), "[A-Za-z_][A-Za-z0-9_]{0,8}", any::<bool>()).prop_flat_map(
        |((kind, values), name, optional)| {
            let value = if optional {
                prop::option::of(values).boxed()
            } else {
                values.prop_map(Some).boxed()
            };
            prop::collection::vec(value, EVENTS).prop_map(move |values| FieldCase {
                name: name.clone(),
                kind: kind.clone(),
                optional,
                values,
            })
        },
    );
    prop::collection::vec(field, 0..8).prop_map(|mut fields| {
        for (place, field) in fields.iter_mut().enumerate() {
            // Names differ, also where capital letters do not count; an enum has a name too.
            field.name = format!("{}_{place}", field.name);
            if field.kind["type"] == "enum" {
                field.kind["name"] = json!(format!("E{place}"));
            }
        }
        fields
    })
}

fn avro(fields: &[FieldCase]) -> Value {
    let field = |(place, field): (usize, &FieldCase)| {
        let kind = match (field.optional, place % 2) {
            (false, _) => field.kind.clone(),
            (true, 0) => json!(["null", field.kind]),
            (true, _) => json!([field.kind, "null"]),
        };
        json!({ "name": field.name, "type": kind })
    };
    schema(&fields.iter().enumerate().map(field).collect())
}

fn sent(name: &str, fields: &[FieldCase], at: usize) -> Value {
    let mut data = serde_json::Map::new();
    for (place, field) in fields.iter().enumerate() {
        match &field.values[at] {
            Some((value, _)) => drop(data.insert(field.name.clone(), value.clone())),
            None if place % 2 == 0 => drop(data.insert(field.name.clone(), Value::Null)),
            None => {}
        }
    }
    event(name, &format!("e{at}"), &Value::Object(data))
}

fn expected(fields: &[FieldCase]) -> Value {
    (0..EVENTS)
        .map(|at| {
            let value = |field: &FieldCase| field.values[at].clone().map_or(Value::Null, |v| v.1);
            fields.iter().map(value).collect::<Vec<_>>()
        })
        .collect()
}

fn select(name: &str, fields: &[FieldCase]) -> String {
    let columns: Vec<String> = fields.iter().map(|f| format!("\"{}\"", f.name)).collect();
    let columns = if columns.is_empty() { "NULL".to_owned() } else { columns.join(", ") };
    format!("SELECT {columns} FROM events.\"{name}\" ORDER BY event_id")
}

/// Any schema of the grammar is taken, and what is sent comes back exactly: at once, and after a
/// kill.
#[test]
fn any_schema_registers_and_its_events_come_back() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = runtime.block_on(Service::start());
    let admin = runtime.block_on(service.tenant("any"));
    let (case, seen) = (Cell::new(0), RefCell::new(BTreeMap::new()));
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&fields(), |fields| {
            case.set(case.get() + 1);
            let name = format!("any.case_{}", case.get());
            runtime.block_on(async {
                registered(&service, &admin, &name, &avro(&fields)).await;
                let events: Vec<Value> = (0..EVENTS).map(|at| sent(&name, &fields, at)).collect();
                let receipt = service.send(&admin, &events).await;
                prop_assert_eq!(&receipt["accepted"], EVENTS, "{}", receipt);
                if fields.is_empty() {
                    return Ok(());
                }
                let sql = select(&name, &fields);
                let rows = asked_at(&service, &admin, &sql, &receipt).await;
                prop_assert_eq!(&rows, &expected(&fields));
                seen.borrow_mut().insert(sql, rows);
                Ok(())
            })
        })
        .unwrap();
    runtime.block_on(async {
        let service = killed(service).await;
        for (sql, rows) in seen.take() {
            assert_eq!(asked(&service, &admin, &sql).await, rows, "{sql}");
        }
    });
}
