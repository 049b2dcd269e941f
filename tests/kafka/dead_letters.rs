//! Dead letters: who sees them, and what replay does.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use tenancy::Role;

use crate::cluster::{addresses, prefix, send, serve, variables};
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

/// Sends a message with the header that it is a CloudEvent in JSON.
async fn send_as_json(topic: &str, key: &str, value: &[u8]) {
    let producer: FutureProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &addresses().0)
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap();
    let header = Header { key: "content-type", value: Some("application/cloudevents+json") };
    let headers = OwnedHeaders::new().insert(header);
    let record = FutureRecord::to(topic).key(key).payload(value).headers(headers);
    producer.send(record, Duration::from_secs(10)).await.unwrap();
}

/// A sender that has its share of dead letters stops nobody, itself not either, and all of its are counted.
#[tokio::test(flavor = "multi_thread")]
async fn who_sends_nothing_but_rubbish_stops_nobody() {
    let prefix = prefix();
    let data = Arc::new(tempfile::tempdir().unwrap());
    let (kafka, registry) = addresses();
    let variables = [
        ("TIDEMARK_KAFKA_BROKERS", kafka.as_str()),
        ("TIDEMARK_SCHEMA_REGISTRY_URL", registry.as_str()),
        ("TIDEMARK_KAFKA_TOPIC_PREFIX", prefix.as_str()),
        ("TIDEMARK_KAFKA_GROUP", prefix.as_str()),
        ("TIDEMARK_KAFKA_PARTITIONS", "3"),
        ("TIDEMARK_LIMITS_DEAD_LETTERS", "3"),
        ("TIDEMARK_LIMITS_TENANT_DEAD_LETTERS", "2"),
    ];
    let service = Service::start_with(data, &variables).await;
    let (acme, globex) = (service.tenant("acme").await, service.tenant("globex").await);
    let platform = token(None, &[Role::Platform]);
    let topic = format!("{prefix}invoicing.payment_received");
    for _ in 0..6 {
        send(&topic, "acme", br#"{"id":"rubbish"}"#).await;
    }
    send(&topic, "acme", payment("p1", "i", "5.00").to_string().as_bytes()).await;
    send(&topic, "globex", br#"{"id":"rubbish"}"#).await;
    send(&topic, "globex", payment("p1", "i", "7.00").to_string().as_bytes()).await;
    for (admin, sum) in [(&acme, "5.0000"), (&globex, "7.0000")] {
        until_paid(&service, admin, sum).await;
    }
    let own = letters(&service, "/v1/dead-letters", &acme, 3).await;
    let missed: Vec<&Value> = own.iter().map(|letter| &letter["missed"]).collect();
    assert_eq!(missed, [&Value::Null, &Value::Null, &json!(4)]);
    assert_eq!(own[2].get("last_offset"), None, "it would tell of others");
    letters(&service, "/v1/dead-letters", &globex, 1).await;
    let counted: Value = service.read("/v1/platform/dead-letters", &platform).await;
    let beyond = &counted["beyond"][0];
    assert_eq!((&beyond["tenant"], &beyond["missed"]), (&json!("acme"), &json!(4)), "{counted}");
    let (first, last) = (beyond["first_offset"].as_i64(), beyond["last_offset"].as_i64());
    assert!(first < last, "{counted}");

    let path = format!("/v1/dead-letters/{}/replay", own[2]["id"].as_str().unwrap());
    problem(service.post(&path, &acme).send().await.unwrap(), 422, "not-replayable").await;
    let overview = service.read("/v1/platform/overview", &platform).await;
    assert_eq!(overview["totals"]["dead_letters"], 7, "{overview}");
}

/// How often a checkpoint was due and there was nothing to be kept in it.
async fn idle(service: &Service) -> u64 {
    let answer = service.client.get(service.url("/metrics")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix("tidemark_checkpoints_idle_total "));
    line.map_or(0, |count| count.parse().unwrap())
}

/// Waits until the tenant's payments come to this.
async fn until_paid(service: &Service, admin: &str, sum: &str) {
    let mut looks = 0;
    while service.ask(admin, "SELECT sum(amount) FROM unapplied_cash").await != json!([[sum]]) {
        looks += 1;
        assert!(looks < 400, "the event did not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A dead letter is read once, also where nothing else came behind it before the process ended: what
/// was removed stays so.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_was_removed_does_not_come_again_with_a_restart() {
    let prefix = prefix();
    let data = Arc::new(tempfile::tempdir().unwrap());
    let registry = &addresses().1;
    let mut settings = variables(&prefix, registry).to_vec();
    settings.retain(|(name, _)| *name != "TIDEMARK_KAFKA_PARTITIONS");
    settings.extend([("TIDEMARK_KAFKA_PARTITIONS", "1"), ("TIDEMARK_CHECKPOINT_MS", "100")]);
    let mut service = Service::start_with(Arc::clone(&data), &settings).await;
    let acme = service.tenant("acme").await;
    let topic = format!("{prefix}invoicing.payment_received");
    send(&topic, "acme", payment("p1", "i", "5.00").to_string().as_bytes()).await;
    until_paid(&service, &acme, "5.0000").await;
    // All that came so far is in a checkpoint.
    let (before, mut looks) = (idle(&service).await, 0);
    while idle(&service).await < before + 2 {
        looks += 1;
        assert!(looks < 400, "the partition does not become idle");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    send(&topic, "acme", b"\0\0").await;
    let letter = letters(&service, "/v1/dead-letters", &acme, 1).await.remove(0);
    let url = service.url(&format!("/v1/dead-letters/{}", letter["id"].as_str().unwrap()));
    let removed = service.client.delete(url).bearer_auth(&acme).send().await.unwrap();
    assert_eq!(removed.status(), 204);
    let id = service.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(service.process.wait().unwrap().code(), Some(0));

    let service = Service::start_with(data, &settings).await;
    send(&topic, "acme", payment("p2", "i", "7.00").to_string().as_bytes()).await;
    until_paid(&service, &acme, "12.0000").await;
    letters(&service, "/v1/dead-letters", &acme, 0).await;
}

/// What is a CloudEvent by its header alone is so also when it is given to Kafka again.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_header_calls_an_event_is_one_after_repair() {
    let prefix = prefix();
    let service = serve(Arc::new(tempfile::tempdir().unwrap()), &prefix).await;
    let acme = service.tenant("acme").await;
    let platform = token(None, &[Role::Platform]);
    let topic = format!("{prefix}invoicing.payment_received");
    let text = format!(" {}", payment("p1", "i", "5.00"));
    send_as_json(&topic, "hooli", text.as_bytes()).await;
    let shared = letters(&service, "/v1/platform/dead-letters", &platform, 1).await;
    let hooli = service.tenant("hooli").await;
    let path = format!("/v1/platform/dead-letters/{}/replay", shared[0]["id"].as_str().unwrap());
    let answer = service.post(&path, &platform).send().await.unwrap();
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    until_paid(&service, &hooli, "5.0000").await;
    letters(&service, "/v1/platform/dead-letters", &platform, 0).await;
    letters(&service, "/v1/dead-letters", &acme, 0).await;
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

    // What can never be repaired is removed, by whom it is.
    let remove = async |path: String, token: &str| {
        let url = service.url(&path);
        service.client.delete(url).bearer_auth(token).send().await.unwrap()
    };
    let one = |id: &Value| format!("/v1/dead-letters/{}", id.as_str().unwrap());
    problem(remove(one(&own[1]["id"]), &globex).await, 404, "unknown-dead-letter").await;
    problem(remove(one(&shared[0]["id"]), &acme).await, 404, "unknown-dead-letter").await;
    assert_eq!(remove(one(&own[1]["id"]), &acme).await.status(), 204);
    problem(remove(one(&own[1]["id"]), &acme).await, 404, "unknown-dead-letter").await;
    let left = letters(&service, "/v1/dead-letters", &acme, 1).await;
    assert_eq!(left[0]["id"], own[0]["id"]);

    let hooli = service.tenant("hooli").await;
    let path = format!("/v1/platform/dead-letters/{}/replay", shared[0]["id"].as_str().unwrap());
    let answer = service.post(&path, &platform).send().await.unwrap();
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    letters(&service, "/v1/platform/dead-letters", &platform, 0).await;
    until_paid(&service, &hooli, "5.0000").await;
}
