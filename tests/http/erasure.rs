//! Deleting a tenant: refused from the answer on, then nothing of it is left in any file, also when
//! the process is killed meanwhile; and its neighbour does not notice.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tenancy::{Role, Store};

use crate::live::Events;
use crate::service::{Service, event, invoice, payment, problem, token};
use crate::traces::traces;

/// Stands in everything that the tenant has, and nowhere else.
const MARKER: &str = "qzxmarker";
/// What the neighbour is compared by.
const VIEWS: [&str; 4] = ["open_invoices", "ar_aging", "unapplied_cash", "call_activity"];

async fn start(data: Arc<TempDir>) -> Service {
    Service::start_with(data, &[("TIDEMARK_CHECKPOINT_MS", "100")]).await
}

fn platform() -> String {
    token(None, &[Role::Platform])
}

/// Creates the tenant, with a marker in its record.
async fn marked_tenant(service: &Service, id: &str) -> String {
    let body = json!({
        "id": id, "name": format!("{MARKER} & Sons"), "timezone": "Europe/Berlin",
        "currency": "EUR", "clock": "fixed:2025-06-30", "branding": { "name": MARKER },
    });
    let answer =
        service.post("/v1/platform/tenants", &platform()).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    token(Some(id), &[Role::Admin])
}

/// Events of which each has the marker; `round` makes their ids others.
fn marked_events(round: u32) -> Vec<Value> {
    let mut events = Vec::new();
    for number in 0..40 {
        let id = format!("{MARKER}-{round}-{number}");
        events.push(invoice(&id, &format!("{MARKER}-customer-{}", number % 5), "100.50"));
        events.push(payment(&format!("p-{id}"), &id, "40.25"));
        let call = json!({
            "call_id": id, "user_id": format!("{MARKER}-user"), "disposition": MARKER,
            "duration_s": 5,
        });
        events.push(event("crm.call_logged", &id, &call));
    }
    events.push(event("qzx.qzxmarker_made", &format!("m{round}"), &json!({ "what": MARKER })));
    events
}

/// The tenant's own type, an own view and a dashboard, all with the marker.
async fn define(service: &Service, admin: &str) {
    let schema = json!({ "type": "record", "name": "qzxmarker_made", "namespace": "qzx",
        "fields": [{ "name": "what", "type": "string" }] });
    let body = json!({ "type": "qzx.qzxmarker_made", "schema": schema });
    let answer = service.post("/v1/event-types", admin).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    let sql = format!("SELECT what, '{MARKER}' AS mark FROM events.\"qzx.qzxmarker_made\"");
    let body = json!({ "name": MARKER, "sql": sql });
    let answer = service.post("/v1/views", admin).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    let words = json!({
        "id": "words", "title": MARKER, "at": { "x": 0, "y": 0, "w": 6, "h": 2 },
        "show": { "kind": "text", "text": MARKER },
    });
    let body = json!({ "name": MARKER, "document": { "schema": 1, "widgets": [words] } });
    let answer = service.post("/v1/dashboards", admin).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}

/// A figure of the process; 0 until it is there.
pub(crate) async fn metric(service: &Service, name: &str) -> f64 {
    let answer = service.client.get(service.url("/metrics")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits until this process has made some more checkpoints.
async fn checkpoints(service: &Service, more: f64) {
    let before = metric(service, "tidemark_checkpoints_total").await;
    for _ in 0..600 {
        if metric(service, "tidemark_checkpoints_total").await >= before + more {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no checkpoints are made");
}

async fn delete(service: &Service, id: &str) -> reqwest::Response {
    let url = service.url(&format!("/v1/platform/tenants/{id}"));
    service.client.delete(url).bearer_auth(platform()).send().await.unwrap()
}

/// Waits until nothing is left of the tenant.
async fn erased(service: &Service, id: &str) {
    let path = format!("/v1/platform/tenants/{id}");
    for _ in 0..1200 {
        let answer = service.get(&path, &platform()).send().await.unwrap();
        if answer.status() == 410 {
            problem(answer, 410, "tenant-deleted").await;
            return;
        }
        let said: Value = answer.json().await.unwrap();
        assert_eq!(said["state"], "deleting", "{said}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the tenant is not erased");
}

fn marked(data: &TempDir) -> Vec<String> {
    traces(data.path(), MARKER)
}

/// Waits until there is a marked file with that in its path.
async fn found_in(data: &TempDir, kind: &str) {
    for _ in 0..600 {
        if marked(data).iter().any(|path| path.contains(kind)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing comes into {kind}");
}

/// The neighbour's views, with the position that they have.
async fn figures(service: &Service, admin: &str) -> Vec<Value> {
    let mut figures = Vec::new();
    for view in VIEWS {
        let answer = service.get(&format!("/v1/views/{view}"), admin).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut answer: Value = answer.json().await.unwrap();
        figures.push(json!([answer["rows"].take(), answer["position"].take()]));
    }
    figures
}

async fn neighbour(service: &Service) -> (String, Vec<Value>) {
    let admin = service.tenant("neighbour").await;
    let events = [
        invoice("n1", "c1", "70.00"),
        payment("np1", "n1", "20.00"),
        payment("np2", "elsewhere", "5.00"),
    ];
    let receipt = service.send(&admin, &events).await;
    service.rows(&admin, "ar_aging", &receipt["position"]).await;
    let figures = figures(service, &admin).await;
    (admin, figures)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_deleted_tenant_is_left_and_its_neighbour_does_not_notice() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let service = start(Arc::clone(&data)).await;
    let (admin, before) = neighbour(&service).await;
    let gone = marked_tenant(&service, "gone").await;
    // Without a type of its own yet.
    service.send(&gone, &marked_events(1)[..120]).await;
    // They are found where they are: what is found nowhere in the end is really gone.
    for kind in ["control.db", "log.db", "parquet", "checkpoints"] {
        found_in(&data, kind).await;
    }
    let answer = service.post("/v1/tenant/export", &gone).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    found_in(&data, "objects/exports").await;
    define(&service, &gone).await;
    service.send(&gone, &marked_events(2)).await;
    checkpoints(&service, 1.0).await;
    let last = service.send(&gone, &marked_events(3)).await;
    service.rows(&gone, "open_invoices", &last["position"]).await;

    let sub = json!({ "id": "a", "view": "open_invoices" });
    let mut live = Events::open(&service, &gone, std::slice::from_ref(&sub), None).await;
    assert_eq!(live.telling().await.0, "snapshot");
    let mut beside = Events::open(&service, &admin, &[sub], None).await;
    assert_eq!(beside.telling().await.0, "snapshot");
    let ticket: Value = {
        let answer = service.post("/v1/tickets", &gone).send().await.unwrap();
        answer.json().await.unwrap()
    };

    // One export is done, and one is under way.
    service.post("/v1/tenant/export", &gone).send().await.unwrap();
    let answer = delete(&service, "gone").await;
    assert_eq!(answer.status(), 202);
    let said: Value = answer.json().await.unwrap();
    assert_eq!((&said["id"], &said["state"]), (&json!("gone"), &json!("deleting")));

    // Refused, word for word, as a tenant that never was.
    let stranger = token(Some("stranger"), &[Role::Admin]);
    for path in ["/v1/views", "/v1/tenant", "/v1/views/ar_aging", "/v1/dead-letters"] {
        let answer = service.get(path, &gone).send().await.unwrap();
        let refusal = problem(answer, 403, "unknown-tenant").await;
        let answer = service.get(path, &stranger).send().await.unwrap();
        assert_eq!(refusal, problem(answer, 403, "unknown-tenant").await);
    }
    let body = serde_json::to_vec(&marked_events(4)).unwrap();
    let post = service.post("/v1/events", &gone);
    let post = post.header("content-type", "application/cloudevents-batch+json").body(body);
    problem(post.send().await.unwrap(), 403, "unknown-tenant").await;
    let path = format!("/v1/stream?ticket={}", ticket["ticket"].as_str().unwrap());
    let answer = service.client.get(service.url(&path)).send().await.unwrap();
    problem(answer, 403, "unknown-tenant").await;
    live.end().await;
    let again = json!({ "id": "gone", "name": "g", "timezone": "UTC", "currency": "EUR" });
    let answer = service.post("/v1/platform/tenants", &platform()).json(&again).send().await;
    problem(answer.unwrap(), 409, "tenant-deleted").await;

    erased(&service, "gone").await;
    assert_eq!(marked(&data), Vec::<String>::new());
    problem(delete(&service, "gone").await, 410, "tenant-deleted").await;
    problem(delete(&service, "nobody").await, 404, "unknown-tenant").await;
    let listed = service.get("/v1/platform/tenants", &platform()).send().await.unwrap();
    let listed: Value = listed.json().await.unwrap();
    assert_eq!(listed["tenants"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["tenants"][0]["state"], "active", "{listed}");

    // The neighbour: as before, at the same position, and its deltas go on.
    assert_eq!(figures(&service, &admin).await, before);
    let receipt = service.send(&admin, &[invoice("n2", "c1", "1.00")]).await;
    let (kind, delta) = beside.telling().await;
    assert_eq!((kind.as_str(), &delta["position"]), ("delta", &receipt["position"]));
    checkpoints(&service, 1.0).await;
    let after = figures(&service, &admin).await;
    drop(service);

    let service = start(Arc::clone(&data)).await;
    assert_eq!(figures(&service, &admin).await, after);
    let repeated = service.send(&admin, &[invoice("n1", "c1", "70.00")]).await;
    assert_eq!(repeated["duplicates"], json!(1), "its ids are known");
    let answer = service.get("/v1/views", &gone).send().await.unwrap();
    problem(answer, 403, "unknown-tenant").await;
    assert_eq!(marked(&data), Vec::<String>::new());
    drop(service);
    let store = Store::open(&data.path().join("control.db")).await.unwrap();
    let erasure = store.erasure(&"gone".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((erasure.actor.as_str(), erasure.tenant.as_str()), ("test", "gone"));
    assert_eq!(erasure.events, 120 + 121 + 121, "{erasure:?}");
    assert!(erasure.files > 0 && erasure.finished_at.is_some(), "{erasure:?}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_only_delays_it() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let mut service = start(Arc::clone(&data)).await;
    let (admin, before) = neighbour(&service).await;
    let rounds = [0, 10, 30, 60, 100, 160, 250, 400].into_iter().enumerate();
    let rounds: Vec<(String, u64)> = rounds.map(|(n, delay)| (format!("gone{n}"), delay)).collect();
    for (id, delay) in &rounds {
        let gone = marked_tenant(&service, id).await;
        define(&service, &gone).await;
        service.send(&gone, &marked_events(1)).await;
        checkpoints(&service, 1.0).await;
        service.send(&gone, &marked_events(2)).await;
        assert_eq!(delete(&service, id).await.status(), 202);
        tokio::time::sleep(Duration::from_millis(*delay)).await;
        service.process.kill().unwrap();
        service.process.wait().unwrap();
        service = start(Arc::clone(&data)).await;
        let answer = service.get("/v1/views", &gone).send().await.unwrap();
        problem(answer, 403, "unknown-tenant").await;
        erased(&service, id).await;
        assert_eq!(marked(&data), Vec::<String>::new(), "killed after {delay} ms");
        assert_eq!(figures(&service, &admin).await, before);
    }
    drop(service);
    let store = Store::open(&data.path().join("control.db")).await.unwrap();
    for (id, _) in &rounds {
        let erasure = store.erasure(&id.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(erasure.events, 2 * 121, "{erasure:?}");
        assert!(erasure.finished_at.is_some(), "{erasure:?}");
    }
    store.close().await;
}
