//! Tenants that begin with what their line of business has: in one call, once, also after a crash.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tenancy::{Directory, NewTenant, Role, Store, templates};

use crate::service::{Service, problem, token};

const TASKS: &str = "SELECT event_id, task_id, start_date \
                     FROM events.\"tasks.task_assigned\" ORDER BY task_id";

fn body(id: &str, vertical: &str) -> Value {
    json!({
        "id": id, "name": id, "timezone": "Europe/Berlin", "currency": "EUR", "vertical": vertical,
        "clock": "fixed:2025-06-30",
    })
}

async fn create(service: &Service, body: &Value) -> reqwest::Response {
    let platform = token(None, &[Role::Platform]);
    service.post("/v1/platform/tenants", &platform).json(body).send().await.unwrap()
}

async fn get(service: &Service, token: &str, path: &str) -> Value {
    let answer = service.get(path, token).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

#[tokio::test]
async fn one_call_and_all_is_there() {
    let service = Service::start().await;
    for template in templates::all() {
        let id = template.vertical.as_str();
        let answer = create(&service, &body(id, id)).await;
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        let tenant: Value = answer.json().await.unwrap();
        assert_eq!(tenant["modules"], json!(template.modules));
        // Everything that follows waits for nothing.
        let admin = token(Some(id), &[Role::Admin]);
        for kind in ["tasks.task_assigned", "projects.project_created", "inventory.product_added"] {
            let given = template.events.iter().filter(|event| event.r#type == kind).count();
            let sql = format!("SELECT count(*) FROM events.\"{kind}\"");
            if template.modules.iter().any(|module| kind.starts_with(module)) {
                assert_eq!(service.ask(&admin, &sql).await, json!([[given]]), "{id}: {kind}");
            }
        }
        // Each dashboard can be shown: its views and columns are there.
        let views = get(&service, &admin, "/v1/views").await;
        for tile in template.dashboards.iter().flat_map(|dashboard| &dashboard.tiles) {
            let view = views["views"].as_array().unwrap().iter().find(|v| v["name"] == tile.view);
            let columns = view.unwrap_or_else(|| panic!("{id}: {}", tile.view))["columns"].clone();
            let sort = tile.sort.as_deref().map(|column| column.trim_start_matches('-'));
            let named = [tile.value.as_deref(), tile.by.as_deref(), tile.currency.as_deref(), sort];
            let named = named.into_iter().flatten();
            let named = named.chain(tile.columns.iter().map(String::as_str));
            for column in named.chain(tile.filter.keys().map(String::as_str)) {
                let known = columns.as_array().unwrap().iter().any(|c| c["name"] == column);
                assert!(known, "{}: {} has no {column}", id, tile.view);
            }
        }
        // And they are the tenant's own.
        let boards = get(&service, &admin, "/v1/dashboards").await;
        let boards = boards["dashboards"].as_array().unwrap();
        let told: Vec<_> = boards.iter().map(|b| (b["name"].clone(), b["id"].clone())).collect();
        let meant = template
            .dashboards
            .iter()
            .map(|dashboard| (json!(dashboard.title), json!(format!("{id}-{}", dashboard.id))));
        assert_eq!(told, meant.collect::<Vec<_>>());
        let path = format!("/v1/dashboards/{}", boards[0]["id"].as_str().unwrap());
        let board = get(&service, &admin, &path).await;
        assert_eq!(board["document"], board["base"]);
        assert_eq!(board["changed_by"], Value::Null);
        assert_eq!(board["origin"]["template"], format!("{id}/{}", template.dashboards[0].id));
    }
    let platform = token(None, &[Role::Platform]);
    let listed = get(&service, &platform, "/v1/platform/verticals").await;
    assert_eq!(listed["verticals"], json!(templates::all()));
    let mut unknown = body("x", "services");
    unknown["vertical"] = json!("piracy");
    problem(create(&service, &unknown).await, 400, "invalid-body").await;
}

#[tokio::test]
async fn a_repeat_gives_nothing_twice() {
    let service = Service::start().await;
    assert_eq!(create(&service, &body("prop", "property")).await.status(), 201);
    let admin = token(Some("prop"), &[Role::Admin]);
    let tasks = service.ask(&admin, TASKS).await;
    assert_eq!(tasks.as_array().unwrap().len(), 3);
    assert!(tasks.as_array().unwrap().iter().all(|row| row[2] == "2025-06-30"), "{tasks}");
    // What the tenant has taken away does not come back either.
    let boards = get(&service, &admin, "/v1/dashboards").await;
    let boards = boards["dashboards"].as_array().unwrap();
    let url = service.url(&format!("/v1/dashboards/{}", boards[0]["id"].as_str().unwrap()));
    let deleted = service.client.delete(url).bearer_auth(&admin).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    assert_eq!(create(&service, &body("prop", "property")).await.status(), 200);
    assert_eq!(service.ask(&admin, TASKS).await, tasks);
    let left = get(&service, &admin, "/v1/dashboards").await;
    assert_eq!(left["dashboards"], json!(boards[1..]));
    problem(create(&service, &body("prop", "retail")).await, 409, "conflict").await;
    // What was named is on, and what the template has beside it is there when it is switched on.
    let mut few = body("few", "property");
    few["modules"] = json!(["property"]);
    let tenant: Value = create(&service, &few).await.json().await.unwrap();
    assert_eq!(tenant["modules"], json!(["property"]));
    let few = token(Some("few"), &[Role::Admin]);
    let change = json!({ "modules": ["property", "tasks"] });
    let url = service.url("/v1/tenant");
    let answer = service.client.patch(url).bearer_auth(&few).json(&change).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(service.ask(&few, TASKS).await, tasks);
}

/// A tenant as a crash leaves it right after it is created: without what its template gives.
async fn cut_off(control: &Path, body: &Value) {
    let store = Store::open(control).await.unwrap();
    let new: NewTenant = serde_json::from_value(body.clone()).unwrap();
    let directory = Directory::open(store.clone()).await.unwrap();
    directory.create(new).await.unwrap();
    assert_eq!(directory.unfinished().len(), 1);
    store.close().await;
}

#[tokio::test]
async fn what_a_crash_left_is_finished_at_the_next_start() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    drop(Service::start_in(Arc::clone(&data)).await);
    cut_off(&data.path().join("control.db"), &body("prop", "property")).await;
    let service = Service::start_in(data).await;
    let platform = token(None, &[Role::Platform]);
    let mut state = Value::Null;
    for _ in 0..600 {
        state = get(&service, &platform, "/v1/platform/tenants/prop").await["state"].clone();
        if state == "active" {
            break;
        }
        assert_eq!(state, "onboarding");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(state, "active");
    let admin = token(Some("prop"), &[Role::Admin]);
    assert_eq!(service.ask(&admin, TASKS).await.as_array().unwrap().len(), 3);
    let boards = get(&service, &admin, "/v1/dashboards").await;
    let given = templates::find("property").unwrap().dashboards.len();
    assert_eq!(boards["dashboards"].as_array().unwrap().len(), given);
    assert_eq!(create(&service, &body("prop", "property")).await.status(), 200);
    assert_eq!(service.ask(&admin, TASKS).await.as_array().unwrap().len(), 3);
    assert_eq!(get(&service, &admin, "/v1/dashboards").await, boards);
}
