//! Two firms on one service: one whose figures are secret, and one that looks for them.

use serde_json::{Value, json};
use tenancy::Role;

use crate::service::{Service, event, invoice, payment, token};

/// What the firm has that is looked for, and what nobody has. Both have the same length, so that not
/// even that tells them apart.
pub(crate) const THEIRS: &str = "their_hoard";
pub(crate) const NOBODYS: &str = "empty_hoard";

/// Stands in everything that the firm keeps; whatever has it in it is a leak.
pub(crate) const MARK: &str = "zqx";

/// The ids of the two firms, and of one that never was.
pub(crate) const FIRM: &str = "zqx-their-firm";
pub(crate) const NO_FIRM: &str = "zzz-their-firm";
pub(crate) const SEEKER: &str = "seeker";

/// The service with both firms on it.
pub(crate) struct Firms {
    pub(crate) service: Service,
    /// The firm's admin.
    pub(crate) firm: String,
    /// The other's admin.
    pub(crate) seeker: String,
    /// A position of the firm.
    pub(crate) position: String,
}

impl Firms {
    pub(crate) async fn new() -> Self {
        let service = Service::start().await;
        let firm = service.tenant(FIRM).await;
        let seeker = service.tenant(SEEKER).await;
        define(&service, &firm, "zqx_secret").await;
        declare(&service, &firm).await;
        let position = feed(&service, &firm, MARK, 20).await;
        feed(&service, &seeker, "own", 3).await;
        let view = json!({
            "name": THEIRS,
            "sql": "SELECT customer_id, count(*) AS zqx_count FROM open_invoices GROUP BY customer_id",
        });
        let made = service.post("/v1/views", &firm).json(&view).send().await.unwrap();
        assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
        let path = format!("/v1/views/{THEIRS}?wait_ms=20000");
        let read = service.get(&path, &firm).send().await.unwrap().text().await.unwrap();
        assert!(read.contains(MARK), "the firm's own view has its rows: {read}");
        let name = json!({ "name": "zqx Holdings", "branding": { "logo": "zqx.svg" } });
        let patch = service.client.patch(service.url("/v1/tenant")).bearer_auth(&firm).json(&name);
        patch.send().await.unwrap();
        Self { service, firm, seeker, position }
    }

    /// What the firm sees of its own; it must be the same after all attempts.
    pub(crate) async fn own(&self) -> Vec<Value> {
        let mut seen = Vec::new();
        for path in [
            "/v1/views/open_invoices",
            "/v1/views/ar_aging",
            "/v1/event-types",
            "/v1/tenant",
            "/v1/dashboards",
            "/v1/tenant/fields",
        ] {
            let answer = self.service.get(path, &self.firm).send().await.unwrap();
            seen.push(answer.json::<Value>().await.unwrap());
        }
        let view = self.service.get(&format!("/v1/views/{THEIRS}"), &self.firm).send().await;
        seen.push(view.unwrap().json::<Value>().await.unwrap());
        seen
    }
}

/// Who calls: a role of the seeker's, the platform, or nobody.
pub(crate) fn callers() -> Vec<(String, Option<String>)> {
    let mut callers = vec![("nobody".to_owned(), None)];
    for role in Role::ALL {
        let tenant = (role != Role::Platform).then_some(SEEKER);
        callers.push((role.to_string(), Some(token(tenant, &[role]))));
    }
    callers
}

/// Registers the firm's own event type, with fields of this name.
pub(crate) async fn define(service: &Service, admin: &str, field: &str) {
    let schema = json!({
        "type": "record", "name": THEIRS,
        "fields": [{ "name": field, "type": "string" }],
    });
    let body = json!({ "type": format!("{THEIRS}.kept"), "schema": schema });
    let made = service.post("/v1/event-types", admin).json(&body).send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
}

/// Declares fields of types that both firms have: one that is looked for, and one in whose column the
/// mark stands.
async fn declare(service: &Service, admin: &str) {
    for (kind, name) in [("hr.employee_left", THEIRS), ("invoicing.payment_received", "zqx_note")] {
        let url = service.url(&format!("/v1/tenant/fields/{kind}/{name}"));
        let body = json!({ "title": "zqx", "type": "text", "choices": ["zqx"] });
        let made = service.client.put(url).bearer_auth(admin).json(&body).send().await.unwrap();
        assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    }
}

/// Sends events with the mark in every text; answers the position once they are applied.
pub(crate) async fn feed(service: &Service, admin: &str, mark: &str, count: usize) -> String {
    let mut events = Vec::new();
    for number in 0..count {
        let id = format!("{mark}-{number}");
        events.push(invoice(&id, &format!("{mark}-customer-{}", number % 4), "1000.01"));
        let mut payment = payment(&format!("{id}-p"), &id, "1");
        if mark == MARK {
            payment["data"]["zqx_note"] = json!(mark);
        }
        events.push(payment);
    }
    if mark == MARK {
        let kind = format!("{THEIRS}.kept");
        events.push(event(&kind, "zqx-kept", &json!({ "zqx_secret": "zqx-kept" })));
    }
    let receipt = service.send(admin, &events).await;
    assert_eq!(receipt["rejected"], json!([]), "{receipt}");
    service.rows(admin, "ar_aging", &receipt["position"]).await;
    receipt["position"].as_str().unwrap().to_owned()
}
