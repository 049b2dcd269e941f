//! Tokens of an issuer, and the page's sign-in, with a real issuer beside the process.

#[path = "../../tenancy/src/issuer/example.rs"]
pub(crate) mod example;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{Duration, Utc};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use self::example::{ExampleIssuer, SigningKey};
use crate::service::{Service, problem};

fn in_an_hour() -> i64 {
    (Utc::now() + Duration::hours(1)).timestamp()
}

/// A service with a tenant `acme` that trusts the issuer.
async fn trusting(issuer: &ExampleIssuer, more: &[(&str, &str)]) -> Service {
    let variables =
        [("TIDEMARK_OIDC_ISSUER", issuer.address.as_str()), ("TIDEMARK_OIDC_AUDIENCE", "figures")];
    let data = Arc::new(tempfile::tempdir().unwrap());
    let service = Service::start_with(data, &[&variables[..], more].concat()).await;
    service.tenant("acme").await;
    service
}

#[tokio::test]
async fn a_token_of_the_issuer_opens_what_its_roles_may() {
    let (rsa, curve) =
        (SigningKey::fresh("r", Algorithm::RS256), SigningKey::fresh("c", Algorithm::ES256));
    let issuer = ExampleIssuer::start(&[&rsa]).await;
    let service = trusting(&issuer, &[]).await;
    let token = rsa.sign(&issuer.claims(in_an_hour()));
    assert_eq!(service.get("/v1/views", &token).send().await.unwrap().status(), 200);
    let answer = service.client.patch(service.url("/v1/tenant")).bearer_auth(&token);
    problem(answer.send().await.unwrap(), 403, "forbidden").await;
    // Neither a token of another key, nor one for another service, nor one for another tenant.
    let forged = curve.sign(&issuer.claims(in_an_hour()));
    problem(service.get("/v1/views", &forged).send().await.unwrap(), 401, "invalid-token").await;
    for (claim, value, status, slug) in [
        ("aud", "elsewhere", 401, "invalid-token"),
        ("iss", "https://elsewhere", 401, "invalid-token"),
        ("tenant", "globex", 403, "unknown-tenant"),
    ] {
        let mut claims = issuer.claims(in_an_hour());
        claims[claim] = json!(value);
        let answer = service.get("/v1/views", &rsa.sign(&claims)).send().await.unwrap();
        problem(answer, status, slug).await;
    }
}

#[tokio::test]
async fn an_issuer_that_never_answered_is_told_from_a_bad_token() {
    let key = SigningKey::fresh("k", Algorithm::EdDSA);
    let issuer = ExampleIssuer::start(&[&key]).await;
    issuer.go_down(true);
    let service = trusting(&issuer, &[]).await;
    let token = key.sign(&issuer.claims(in_an_hour()));
    let answer = service.get("/v1/views", &token).send().await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "1");
    problem(answer, 503, "issuer-unreachable").await;
}

#[tokio::test]
async fn a_browser_gets_a_token_for_a_code() {
    let key = SigningKey::fresh("k", Algorithm::EdDSA);
    let issuer = ExampleIssuer::start(&[&key]).await;
    let service = trusting(&issuer, &[("TIDEMARK_OIDC_CLIENT_ID", "page")]).await;
    let url = service.url("/v1/sign-in");
    let said: Value = service.client.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(said["oidc"]["client_id"], "page");
    assert_eq!(said["oidc"]["authorization_endpoint"], format!("{}/authorize", issuer.address));

    let code = json!({"code": "c", "code_verifier": "v", "redirect_uri": service.url("/")});
    let post = |body: &Value| service.client.post(&url).json(body).send();
    let give = |tokens: Value| *issuer.behaviour.tokens.lock().unwrap() = tokens;
    let token = key.sign(&issuer.claims(in_an_hour()));
    give(json!({"access_token": token}));
    let answer = post(&code).await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "token": token }));
    give(json!({"error": "invalid_grant"}));
    problem(post(&code).await.unwrap(), 401, "sign-in-refused").await;
    // A token that would not hold here is not handed on.
    let mut claims = issuer.claims(in_an_hour());
    claims["roles"] = json!(["guest"]);
    give(json!({"access_token": key.sign(&claims)}));
    let refused = problem(post(&code).await.unwrap(), 401, "invalid-token").await;
    assert!(refused["detail"].as_str().unwrap().contains("roles"), "{refused}");
    problem(post(&json!({"code": "c"})).await.unwrap(), 400, "invalid-body").await;
}

/// The operators' page signs in as a client of its own, and neither takes the other's accounts.
#[tokio::test]
async fn operators_sign_in_beside_a_tenants_people() {
    let key = SigningKey::fresh("k", Algorithm::EdDSA);
    let issuer = ExampleIssuer::start(&[&key]).await;
    let variables = [
        ("TIDEMARK_OIDC_CLIENT_ID", "page"),
        ("TIDEMARK_OIDC_PLATFORM_CLIENT_ID", "operators"),
        ("TIDEMARK_OIDC_PLATFORM_CLIENT_SECRET", "hush"),
    ];
    let service = trusting(&issuer, &variables).await;
    let url = service.url("/v1/sign-in");
    let said: Value = service.client.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(said["oidc"]["client_id"], "page");
    assert_eq!(said["platform"]["client_id"], "operators");

    let tenants = issuer.claims(in_an_hour());
    let mut operators = tenants.clone();
    operators.as_object_mut().unwrap().remove("tenant");
    operators["roles"] = json!(["platform"]);
    let post = async |claims: &Value, account: &str| {
        *issuer.behaviour.tokens.lock().unwrap() = json!({ "access_token": key.sign(claims) });
        let code =
            json!({"code": "c", "code_verifier": "v", "redirect_uri": "r", "account": account});
        service.client.post(&url).json(&code).send().await.unwrap()
    };
    let answer: Value = post(&operators, "platform").await.json().await.unwrap();
    let form = issuer.behaviour.forms.lock().unwrap().pop().unwrap();
    assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str()), ("operators", "hush"));
    let token = answer["token"].as_str().unwrap();
    let tenants_listed = service.get("/v1/platform/tenants", token).send().await.unwrap();
    assert_eq!(tenants_listed.status(), 200);
    assert_eq!(post(&tenants, "tenant").await.status(), 200);
    for (claims, account) in [(&tenants, "platform"), (&operators, "tenant")] {
        let refused = post(claims, account).await;
        let refused = problem(refused, 401, "sign-in-refused").await;
        assert!(refused["detail"].as_str().unwrap().contains("operator's"), "{refused}");
    }
    problem(post(&tenants, "nobody").await, 400, "invalid-body").await;
}

#[tokio::test]
async fn without_an_issuer_the_page_takes_pasted_tokens() {
    let service = Service::start().await;
    let url = service.url("/v1/sign-in");
    let said: Value = service.client.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(said, json!({ "oidc": null }));
    let code = json!({"code": "c", "code_verifier": "v", "redirect_uri": "r"});
    let answer = service.client.post(&url).json(&code).send().await.unwrap();
    problem(answer, 404, "no-sign-in").await;
}

/// Whoever has no token keeps nobody else from signing in, however slow the issuer is.
#[tokio::test]
async fn sign_ins_of_one_address_leave_room_for_those_of_others() {
    let key = SigningKey::fresh("k", Algorithm::EdDSA);
    let issuer = ExampleIssuer::start(&[&key]).await;
    let service = trusting(&issuer, &[("TIDEMARK_OIDC_CLIENT_ID", "page")]).await;
    let url = service.url("/v1/sign-in");
    assert_eq!(service.client.get(&url).send().await.unwrap().status(), 200);
    let code = json!({"code": "c", "code_verifier": "v", "redirect_uri": "r"});
    issuer.behaviour.hangs.store(true, Ordering::SeqCst);
    let post = |client: &reqwest::Client| tokio::spawn(client.post(&url).json(&code).send());
    let mut hanging: Vec<_> = (0..32).map(|_| post(&service.client)).collect();
    while issuer.behaviour.forms.lock().unwrap().len() < 4 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(service.client.get(&url).send().await.unwrap().status(), 200);
    // All but four are refused at once.
    let mut refused = 0;
    while refused < 28 {
        let before = hanging.len();
        hanging.retain(|call| !call.is_finished());
        refused += before - hanging.len();
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let other = reqwest::Client::builder().local_address(IpAddr::from([127, 0, 0, 2]));
    let other = post(&other.build().unwrap());
    while issuer.behaviour.forms.lock().unwrap().len() < 5 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let token = key.sign(&issuer.claims(in_an_hour()));
    *issuer.behaviour.tokens.lock().unwrap() = json!({ "access_token": token });
    issuer.behaviour.hangs.store(false, Ordering::SeqCst);
    assert_eq!(other.await.unwrap().unwrap().status(), 200);
    for call in hanging {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
}
