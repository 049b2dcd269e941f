//! The tokens of producers.

use serde_json::{Value, json};
use tenancy::Role;

use crate::service::{Service, invoice, problem, token};
use crate::traces::traces;

#[tokio::test]
async fn an_admin_gives_a_token_to_a_producer_and_takes_it_back() {
    let service = Service::start().await;
    let admin = service.tenant("shop").await;
    let create = service.post("/v1/service-tokens", &admin).json(&json!({"name": "the till"}));
    let answer = create.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let made: Value = answer.json().await.unwrap();
    assert_eq!(location, format!("/v1/service-tokens/{}", made["id"].as_str().unwrap()));
    let till = made["token"].as_str().unwrap().to_owned();

    // It sends events and does nothing else.
    let receipt = service.send(&till, &[invoice("i1", "c1", "10")]).await;
    assert_eq!(receipt["accepted"], 1);
    for path in ["/v1/views", "/v1/service-tokens", "/v1/tenant", "/v1/platform/tenants"] {
        problem(service.get(path, &till).send().await.unwrap(), 403, "forbidden").await;
    }
    // It is not shown again, and not kept.
    let list: Value =
        service.get("/v1/service-tokens", &admin).send().await.unwrap().json().await.unwrap();
    let mut kept = made.clone();
    kept.as_object_mut().unwrap().remove("token");
    assert_eq!(list, json!({"service_tokens": [kept]}));
    let one: Value = service.get(&location, &admin).send().await.unwrap().json().await.unwrap();
    assert_eq!(one, kept);
    let secret = till.split_once('~').unwrap().1;
    assert_eq!(traces(service.data.path(), secret), Vec::<String>::new());
    assert!(!service.log().contains(secret));

    let revoke = |token: &str| service.client.delete(service.url(&location)).bearer_auth(token);
    let stranger = service.tenant("other").await;
    problem(revoke(&stranger).send().await.unwrap(), 404, "unknown-service-token").await;
    problem(service.get(&location, &stranger).send().await.unwrap(), 404, "unknown-service-token")
        .await;
    assert_eq!(revoke(&admin).send().await.unwrap().status(), 204);
    let send = service.post("/v1/events", &till).body("{}");
    problem(send.send().await.unwrap(), 401, "invalid-token").await;
    problem(revoke(&admin).send().await.unwrap(), 404, "unknown-service-token").await;
}

#[tokio::test]
async fn tokens_that_never_were_are_refused_in_the_same_words() {
    let service = Service::start().await;
    let admin = service.tenant("shop").await;
    let made = service.post("/v1/service-tokens", &admin).json(&json!({"name": "x"}));
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let good = made["token"].as_str().unwrap().to_owned();
    let mut answers = Vec::new();
    for token in [
        good.replace("tms_shop~", "tms_nowhere~"),
        good.replace("tms_shop~", "tms_other~"),
        format!("{}AAAA", &good[..good.len() - 4]),
        good[..good.len() - 1].to_owned(),
        "tms_".to_owned(),
    ] {
        let answer = service.post("/v1/events", &token).body("{}").send().await.unwrap();
        answers.push(problem(answer, 401, "invalid-token").await);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    let analyst = token(Some("shop"), &[Role::Analyst]);
    let create = service.post("/v1/service-tokens", &analyst).json(&json!({"name": "x"}));
    problem(create.send().await.unwrap(), 403, "forbidden").await;
    for bad in
        [json!({}), json!({"name": ""}), json!({"name": "x", "expires_at": "2020-01-01T00:00:00Z"})]
    {
        let create = service.post("/v1/service-tokens", &admin).json(&bad);
        problem(create.send().await.unwrap(), 400, "invalid-body").await;
    }
}
