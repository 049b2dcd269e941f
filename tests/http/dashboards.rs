//! Dashboards: made, changed by who saw what they are, restored, and nobody else's.

use std::sync::Arc;

use reqwest::Response;
use serde_json::{Value, json};
use tenancy::Role;

use crate::service::{Service, of_subject, problem, token};

const BOARDS: &str = "/v1/dashboards";

/// A dashboard of one figure with that title.
fn board(name: &str, title: &str) -> Value {
    json!({ "name": name, "document": { "schema": 1, "filters": [], "widgets": [{
        "id": "owed", "title": title, "at": { "x": 0, "y": 0, "w": 3, "h": 2 },
        "source": { "view": "ar_aging" },
        "show": { "kind": "kpi", "value": { "column": "total" }, "currency": "currency" },
    }] } })
}

fn title(board: &Value) -> &Value {
    &board["document"]["widgets"][0]["title"]
}

async fn create(service: &Service, token: &str, body: &Value) -> Response {
    service.post(BOARDS, token).json(body).send().await.unwrap()
}

/// Makes a dashboard; its path.
async fn made(service: &Service, token: &str, body: &Value) -> String {
    let answer = create(service, token, body).await;
    let status = answer.status();
    let headers = answer.headers().clone();
    let told: Value = answer.json().await.unwrap();
    assert_eq!(status, 201, "{told}");
    assert_eq!(headers["etag"], "\"1\"");
    let path = headers["location"].to_str().unwrap().to_owned();
    assert_eq!(path, format!("{BOARDS}/{}", told["id"].as_str().unwrap()));
    path
}

async fn put(service: &Service, token: &str, path: &str, tag: &str, body: &Value) -> Response {
    let request = service.client.put(service.url(path)).bearer_auth(token).json(body);
    request.header("if-match", tag).send().await.unwrap()
}

async fn restore(service: &Service, token: &str, path: &str, of: u32, tag: &str) -> Response {
    let request = service.post(&format!("{path}/versions/{of}/restore"), token);
    request.header("if-match", tag).send().await.unwrap()
}

async fn delete(service: &Service, token: &str, path: &str, tag: Option<&str>) -> Response {
    let mut request = service.client.delete(service.url(path)).bearer_auth(token);
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_dashboard_is_made_read_changed_restored_and_deleted() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let analyst = of_subject("ann", "acme", Role::Analyst);
    assert_eq!(service.read(BOARDS, &admin).await, json!({ "dashboards": [] }));
    let path = made(&service, &analyst, &board(" Debts ", "a")).await;
    let first = service.read(&path, &admin).await;
    assert_eq!((&first["name"], &first["changed_by"]), (&json!("Debts"), &json!("ann")));
    assert_eq!((&first["version"], &first["origin"]), (&json!(1), &Value::Null));

    // What was read can be sent back as it is, with a change.
    let mut changed = first.clone();
    changed["document"]["widgets"][0]["title"] = json!("b");
    let answer = put(&service, &admin, &path, "\"1\"", &changed).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["etag"]),
        (200, &"\"2\"".parse().unwrap())
    );
    let second: Value = answer.json().await.unwrap();
    assert_eq!((title(&second), &second["changed_by"]), (&json!("b"), &json!("test")));
    assert_eq!(second["created_at"], first["created_at"]);
    assert_eq!(service.read(&path, &analyst).await, second);

    let restored = restore(&service, &analyst, &path, 1, "\"2\"").await;
    assert_eq!(restored.headers()["etag"], "\"3\"");
    let third: Value = restored.json().await.unwrap();
    assert_eq!((&third["document"], &third["version"]), (&first["document"], &json!(3)));
    let versions = service.read(&format!("{path}/versions"), &analyst).await;
    let told: Vec<_> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| {
            let member = |name: &str| version[name].clone();
            [member("version"), member("changed_by"), member("restored_from")]
        })
        .collect();
    let expected = [
        [json!(3), json!("ann"), json!(1)],
        [json!(2), json!("test"), Value::Null],
        [json!(1), json!("ann"), Value::Null],
    ];
    assert_eq!(told, expected);
    let was = service.read(&format!("{path}/versions/2"), &analyst).await;
    assert_eq!((title(&was), &was["version"]), (&json!("b"), &json!(2)));
    let listed = service.read(BOARDS, &admin).await;
    assert_eq!(listed["dashboards"].as_array().unwrap().len(), 1);
    assert_eq!(listed["dashboards"][0]["version"], 3);
    assert_eq!(listed["dashboards"][0].get("document"), None);

    assert_eq!(delete(&service, &admin, &path, Some("\"3\"")).await.status(), 204);
    for path in [path.clone(), format!("{path}/versions"), format!("{path}/versions/3")] {
        let answer = service.get(&path, &admin).send().await.unwrap();
        problem(answer, 404, "unknown-dashboard").await;
    }
    // The audit has who did what.
    let audit = service.read("/v1/audit?action=change", &admin).await;
    let records = audit["records"].as_array().unwrap().iter();
    let of = records.filter(|record| record["object"].as_str().unwrap().contains(BOARDS));
    let told: Vec<_> = of
        .map(|record| {
            let detail = &record["detail"];
            (
                record["actor"].as_str().unwrap(),
                record["status"].as_u64().unwrap(),
                detail["name"].as_str(),
            )
        })
        .collect();
    let name = Some("Debts");
    let expected = [
        ("test", 204, name),
        ("ann", 200, name),
        ("test", 200, name),
        ("ann", 201, Some(" Debts ")),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn of_two_editors_the_later_is_shown_what_it_would_overwrite() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let bob = of_subject("bob", "acme", Role::Analyst);
    let path = made(&service, &admin, &board("Debts", "a")).await;
    let mine = board("Debts", "mine");
    let url = service.url(&path);
    let unsaid = service.client.put(&url).bearer_auth(&admin).json(&mine).send().await.unwrap();
    problem(unsaid, 428, "if-match-missing").await;
    let unsaid = service.post(&format!("{path}/versions/1/restore"), &admin).send().await.unwrap();
    problem(unsaid, 428, "if-match-missing").await;

    let theirs = put(&service, &bob, &path, "\"1\"", &board("Debts", "theirs")).await;
    let theirs: Value = theirs.json().await.unwrap();
    for answer in [
        put(&service, &admin, &path, "\"1\"", &mine).await,
        restore(&service, &admin, &path, 1, "\"1\"").await,
        delete(&service, &admin, &path, Some("\"1\"")).await,
    ] {
        let refused = problem(answer, 412, "changed-meanwhile").await;
        assert_eq!((&refused["version"], &refused["current"]), (&json!(2), &theirs));
    }
    problem(put(&service, &admin, &path, "2", &mine).await, 412, "changed-meanwhile").await;
    assert_eq!(service.read(&path, &admin).await, theirs);
    // Whoever insists overwrites it, and it is among the versions.
    assert_eq!(put(&service, &admin, &path, "*", &mine).await.status(), 200);
    let was = service.read(&format!("{path}/versions/2"), &admin).await;
    assert_eq!((title(&was), &was["changed_by"]), (&json!("theirs"), &json!("bob")));
}

#[tokio::test]
async fn who_has_it_already_is_told_so() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let path = made(&service, &admin, &board("Debts", "a")).await;
    let ask = async |tag: &str| {
        let request = service.get(&path, &admin).header("if-none-match", tag);
        request.send().await.unwrap()
    };
    let same = ask("\"1\"").await;
    assert_eq!(
        (same.status().as_u16(), same.headers()["etag"].clone()),
        (304, "\"1\"".parse().unwrap())
    );
    assert!(same.bytes().await.unwrap().is_empty());
    assert_eq!(ask("\"7\", \"1\"").await.status(), 304);
    assert_eq!(ask("\"2\"").await.status(), 200);
    put(&service, &admin, &path, "\"1\"", &board("Debts", "b")).await;
    let now: Value = ask("\"1\"").await.json().await.unwrap();
    assert_eq!(title(&now), "b");
}

#[tokio::test]
async fn executives_read_and_nobody_of_another_tenant_does() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let other = service.tenant("other").await;
    let executive = token(Some("acme"), &[Role::Executive]);
    let path = made(&service, &admin, &board("Debts", "a")).await;
    for path in
        [BOARDS.to_owned(), path.clone(), format!("{path}/versions"), format!("{path}/versions/1")]
    {
        service.read(&path, &executive).await;
    }
    let body = board("Mine", "b");
    for answer in [
        create(&service, &executive, &body).await,
        put(&service, &executive, &path, "\"1\"", &body).await,
        restore(&service, &executive, &path, 1, "\"1\"").await,
        delete(&service, &executive, &path, None).await,
    ] {
        problem(answer, 403, "forbidden").await;
    }
    // Word for word as one that never was.
    let never = format!("{BOARDS}/d0000000000000000");
    assert_eq!(service.read(BOARDS, &other).await["dashboards"], json!([]));
    for (theirs, nobodys) in [
        (
            service.get(&path, &other).send().await.unwrap(),
            service.get(&never, &other).send().await.unwrap(),
        ),
        (
            put(&service, &other, &path, "*", &body).await,
            put(&service, &other, &never, "*", &body).await,
        ),
        (
            restore(&service, &other, &path, 1, "*").await,
            restore(&service, &other, &never, 1, "*").await,
        ),
        (delete(&service, &other, &path, None).await, delete(&service, &other, &never, None).await),
    ] {
        let [theirs, nobodys] = [
            problem(theirs, 404, "unknown-dashboard").await.to_string(),
            problem(nobodys, 404, "unknown-dashboard").await.to_string(),
        ];
        let id = path.rsplit('/').next().unwrap();
        assert_eq!(theirs.replace(id, "d0000000000000000"), nobodys);
    }
    assert_eq!(title(&service.read(&path, &admin).await), "a");
}

#[tokio::test]
async fn what_is_no_dashboard_is_refused_with_its_place() {
    let service = Service::start().await;
    let admin = service.tenant("acme").await;
    let path = made(&service, &admin, &board("Debts", "a")).await;
    let with = |pointer: &str, value: Value| {
        let mut body = board("Debts", "a");
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    for (body, field) in [
        (with("/name", json!(" ")), "name"),
        (with("/name", json!("x".repeat(201))), "name"),
        (with("/document/schema", json!(9)), "document.schema"),
        (with("/document/widgets/0/at/w", json!(13)), "document.widgets[0].at.w"),
        (with("/document/widgets/0/title", json!("")), "document.widgets[0].title"),
        (with("/document", json!([])), "document"),
    ] {
        let answers =
            [create(&service, &admin, &body).await, put(&service, &admin, &path, "*", &body).await];
        for answer in answers {
            let refused = problem(answer, 400, "invalid-dashboard").await;
            let told = refused["field"].as_str().unwrap();
            assert!(told.starts_with(field), "{told}: {body}");
        }
    }
    for body in [
        json!({ "name": "x" }),
        json!({ "document": {} }),
        json!({ "name": 1, "document": 1 }),
        json!({ "name": "x", "document": {}, "colour": "red" }),
        json!([]),
    ] {
        problem(create(&service, &admin, &body).await, 400, "invalid-body").await;
    }
    for number in ["2", "0", "-1", "one", "18446744073709551616"] {
        let version = format!("{path}/versions/{number}");
        let answer = service.get(&version, &admin).send().await.unwrap();
        problem(answer, 404, "unknown-dashboard-version").await;
        let restore = service.post(&format!("{version}/restore"), &admin).header("if-match", "*");
        problem(restore.send().await.unwrap(), 404, "unknown-dashboard-version").await;
    }
    assert_eq!(service.read(&path, &admin).await["version"], 1);
}

#[tokio::test]
async fn number_size_and_history_are_bounded_and_survive_a_kill() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let bounds = [
        ("TIDEMARK_LIMITS_DASHBOARDS_COUNT", "2"),
        ("TIDEMARK_LIMITS_DASHBOARDS_BYTES", "500"),
        ("TIDEMARK_LIMITS_DASHBOARDS_VERSIONS", "3"),
    ];
    let mut service = Service::start_with(Arc::clone(&data), &bounds).await;
    let admin = service.tenant("acme").await;
    let other = service.tenant("other").await;
    let path = made(&service, &admin, &board("Debts", "1")).await;
    made(&service, &admin, &board("More", "x")).await;
    let full = create(&service, &admin, &board("Most", "x")).await;
    assert_eq!(problem(full, 422, "dashboards-limit").await["limit"], "count");
    made(&service, &other, &board("Debts", "x")).await;
    let mut large = board("Debts", "x");
    large["document"]["about"] = json!("x".repeat(500));
    let large = put(&service, &admin, &path, "*", &large).await;
    assert_eq!(problem(large, 422, "dashboards-limit").await["limit"], "bytes");
    for number in 2..=5 {
        let tag = format!("\"{}\"", number - 1);
        let answer = put(&service, &admin, &path, &tag, &board("Debts", &number.to_string())).await;
        assert_eq!(answer.status(), 200, "{number}");
    }
    service.process.kill().unwrap();
    service.process.wait().unwrap();
    let service = Service::start_with(data, &bounds).await;
    assert_eq!(title(&service.read(&path, &admin).await), "5");
    let kept = service.read(&format!("{path}/versions"), &admin).await;
    let kept: Vec<_> = kept["versions"].as_array().unwrap().iter().map(|v| &v["version"]).collect();
    assert_eq!(kept, [5, 4, 3]);
    let gone = restore(&service, &admin, &path, 2, "\"5\"").await;
    problem(gone, 404, "unknown-dashboard-version").await;
    let back = restore(&service, &admin, &path, 3, "\"5\"").await;
    assert_eq!(title(&back.json::<Value>().await.unwrap()), "3");
}
