//! Dead letters: who sees them, and what replay does.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tenancy::Role;

use crate::cluster::{prefix, send, serve};
use crate::service::{Service, event, payment, problem, token};

async fn letters(service: &Service, path: &str, token: &str, count: usize) -> Vec<Value> {
    for _ in 0..400 {
        let answer = service.get(path, token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        let letters = answer["dead_letters"].as_array().unwrap().clone();
        if letters.len() == count {
            return letters;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("there are no {count} dead letters");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_repair_a_dead_letter_is_an_event() {
    let prefix = prefix();
    let service = serve(Arc::new(tempfile::tempdir().unwrap()), &prefix).await;
    let acme = service.tenant("acme").await;
    let globex = service.tenant("globex").await;
    let platform = token(None, &[Role::Platform]);
    let made = event("acme.widget_made", "w1", &json!({"widget_id": "W"})).to_string();

    // A type that is not registered yet, and a tenant that is not there yet.
    let topic = format!("{prefix}invoicing.payment_received");
    send(&topic, "acme", made.as_bytes()).await;
    send(&topic, "hooli", payment("p1", "i", "5.00").to_string().as_bytes()).await;
    send(&topic, "acme", b"\0\0").await;
    let own = letters(&service, "/v1/dead-letters", &acme, 2).await;
    assert!(own[0]["reason"].as_str().unwrap().starts_with("type: expected"), "{own:?}");
    assert!(own[1]["reason"].as_str().unwrap().contains("cut short"), "{own:?}");
    assert_eq!((&own[1]["value"], &own[1]["size"]), (&json!("AAA="), &json!(2)));
    assert_eq!(own[0].get("offset"), None, "it would tell of others");
    let shared = letters(&service, "/v1/platform/dead-letters", &platform, 1).await;
    assert_eq!(shared[0]["reason"], "the key \"hooli\" is no tenant's id");
    assert!(shared[0]["partition"].is_number() && shared[0]["offset"].is_number(), "{shared:?}");
    letters(&service, "/v1/dead-letters", &globex, 0).await;

    // One that stays broken stays where it is; another tenant's is not found.
    let replay = |id: &Value| format!("/v1/dead-letters/{}/replay", id.as_str().unwrap());
    let answer = service.post(&replay(&own[1]["id"]), &acme).send().await.unwrap();
    problem(answer, 422, "not-replayable").await;
    let answer = service.post(&replay(&own[1]["id"]), &globex).send().await.unwrap();
    problem(answer, 404, "unknown-dead-letter").await;
    let answer = service.post(&replay(&shared[0]["id"]), &acme).send().await.unwrap();
    problem(answer, 404, "unknown-dead-letter").await;

    let hooli = service.tenant("hooli").await;
    let path = format!("/v1/platform/dead-letters/{}/replay", shared[0]["id"].as_str().unwrap());
    let answer = service.post(&path, &platform).send().await.unwrap();
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    letters(&service, "/v1/platform/dead-letters", &platform, 0).await;
    let paid = "SELECT sum(amount) FROM unapplied_cash";
    for _ in 0..200 {
        if service.ask(&hooli, paid).await == json!([["5.0000"]]) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the event did not come");
}
