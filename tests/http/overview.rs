//! How all tenants do, for the operators of the platform, and for nobody else.

use serde_json::{Value, json};
use tenancy::{Role, access};

use crate::service::{Service, event, invoice, problem, token};

async fn overview(service: &Service) -> Value {
    let platform = token(None, &[Role::Platform]);
    let answer = service.get("/v1/platform/overview", &platform).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

fn line<'a>(overview: &'a Value, id: &str) -> &'a Value {
    let tenants = overview["tenants"].as_array().unwrap();
    tenants.iter().find(|tenant| tenant["id"] == id).unwrap()
}

#[tokio::test]
async fn every_tenant_is_told_with_what_it_has() {
    let service = Service::start().await;
    let quiet = service.tenant("quiet").await;
    let busy = service.tenant("busy").await;
    let events: Vec<Value> = (0..50).map(|n| invoice(&format!("i{n}"), "c", "10")).collect();
    let receipt = service.send(&busy, &events).await;
    service.rows(&busy, "open_invoices", &receipt["position"]).await;
    // A view that fails on what comes.
    let own = json!({ "name": "tenth", "sql": "SELECT invoice_id, CAST(invoice_id AS BIGINT) AS n \
                                               FROM events.\"invoicing.invoice_voided\"" });
    let answer = service.post("/v1/views", &busy).json(&own).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    service.get("/v1/views/tenth?wait_ms=60000", &busy).send().await.unwrap();
    let voided = event("invoicing.invoice_voided", "v", &json!({ "invoice_id": "none" }));
    let receipt = service.send(&busy, &[voided]).await;
    service.rows(&busy, "open_invoices", &receipt["position"]).await;

    let told = overview(&service).await;
    assert_eq!(told["totals"]["tenants"], 2);
    assert_eq!(told["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(
        told["nodes"][0],
        json!({ "address": service.address, "reachable": true, "tenants": 2 })
    );
    let busy_line = line(&told, "busy");
    assert_eq!(
        (&busy_line["state"], &busy_line["failed_views"]),
        (&json!("failed"), &json!(["tenth"]))
    );
    // Events and the date.
    assert_eq!((&busy_line["events"], &busy_line["lag"]), (&json!(52), &json!(0)));
    assert_eq!(busy_line["node"], service.address.as_str());
    assert_eq!(busy_line["newest_event"], "2025-06-01T10:00:00Z");
    assert!(busy_line["memory_bytes"].as_u64().unwrap() > 0);
    let quiet_line = line(&told, "quiet");
    assert_eq!((&quiet_line["state"], &quiet_line["newest_event"]), (&json!("live"), &Value::Null));
    assert_eq!(told["totals"]["failed"], 1);
    assert_eq!(told["totals"]["events"], 53);

    // One that is deleted is told by its id alone, until it is gone.
    let platform = token(None, &[Role::Platform]);
    let url = service.url("/v1/platform/tenants/quiet");
    service.client.delete(url).bearer_auth(&platform).send().await.unwrap();
    let told = overview(&service).await;
    let left = told["tenants"].as_array().unwrap().iter().find(|tenant| tenant["id"] == "quiet");
    assert!(left.is_none_or(|left| left["state"] == "deleting" && left["name"] == ""), "{left:?}");
    let answer = service.get("/v1/tenant", &quiet).send().await.unwrap();
    problem(answer, 403, "unknown-tenant").await;
}

#[tokio::test]
async fn each_look_is_recorded() {
    let service = Service::start().await;
    for _ in 0..3 {
        overview(&service).await;
    }
    let admin = service.tenant("curious").await;
    let answer = service.get("/v1/platform/overview", &admin).send().await.unwrap();
    problem(answer, 403, "forbidden").await;
    // No later than the answers: it is asked once.
    let platform = token(None, &[Role::Platform]);
    let answer = service.get("/v1/platform/audit?action=look", &platform).send().await.unwrap();
    let told: Value = answer.json().await.unwrap();
    let looks = told["records"].as_array().unwrap();
    assert_eq!(looks.len(), 3, "{looks:?}");
    for look in looks {
        assert_eq!((&look["actor"], &look["status"]), (&json!("test"), &json!(200)));
        assert_eq!(look["object"], "GET /v1/platform/overview");
    }
}

#[tokio::test]
async fn an_operator_is_nobody_in_a_tenant_and_the_other_way_round() {
    let service = Service::start().await;
    let admin = service.tenant("north").await;
    let platform = token(None, &[Role::Platform]);
    let mut tried = 0;
    let public = |route: &&access::Route| route.callers == access::Callers::Public;
    for route in access::ROUTES.iter().filter(|route| !public(route)) {
        let is_platforms = route.path.starts_with("/v1/platform/");
        let wrong = if is_platforms { &admin } else { &platform };
        let path = route.path.replace("{id}", "north").replace("{type}", "crm.call_logged");
        let path = path.replace("{name}", "ar_aging").replace("{run}", "x");
        let method = reqwest::Method::from_bytes(route.method.as_bytes()).unwrap();
        let answer = service.client.request(method, service.url(&path)).bearer_auth(wrong);
        problem(answer.send().await.unwrap(), 403, "forbidden").await;
        tried += 1;
    }
    assert!(tried > 25, "{tried}");
}
