#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod confusion;
mod rotation;
mod signing_in;

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use jsonwebtoken::{Algorithm, Header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::example::{ExampleIssuer, SigningKey};
use super::*;
use crate::{Identity, LEEWAY, Role, Secret, Verifier};

static RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::fresh("rsa", Algorithm::RS256));
static CURVE: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::fresh("ec", Algorithm::ES256));
static EDWARDS: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::fresh("ed", Algorithm::EdDSA));
static SECRET: LazyLock<Secret> =
    LazyLock::new(|| "an example secret of more than 32 bytes".parse().unwrap());

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2024, 5, 6, 7, 8, 9).unwrap()
}

fn later() -> i64 {
    (now() + TimeDelta::hours(1)).timestamp()
}

fn settings(issuer: &str) -> IssuerSettings {
    IssuerSettings {
        issuer: issuer.to_owned(),
        audience: "figures".into(),
        claims: ClaimNames::default(),
        client: PageClient { id: Some("page".into()), secret: None },
        platform_client: PageClient::default(),
        scope: "openid".into(),
    }
}

const AT_ONCE: Pace = Pace { between: Duration::ZERO, fresh: Duration::from_mins(5) };

fn trusting(issuer: &str, pace: Pace) -> Verifier {
    Verifier::hs256(vec![SECRET.clone()]).with_issuer(Issuer::new(settings(issuer), pace).unwrap())
}

async fn all_keys() -> (ExampleIssuer, Verifier) {
    let issuer = ExampleIssuer::start(&[&RSA, &CURVE, &EDWARDS]).await;
    let verifier = trusting(&issuer.address, Pace::default());
    (issuer, verifier)
}

async fn identify(verifier: &Verifier, token: &str) -> Result<Identity, TokenError> {
    verifier.identify(token, now()).await
}

#[tokio::test]
async fn tokens_of_every_algorithm_are_accepted_and_the_keys_asked_for_once() {
    let (issuer, verifier) = all_keys().await;
    for key in [&*RSA, &*CURVE, &*EDWARDS] {
        let identity = identify(&verifier, &key.sign(&issuer.claims(later()))).await.unwrap();
        assert_eq!(identity.subject, "jo");
        assert_eq!(identity.tenant.unwrap().as_str(), "acme");
        assert_eq!(identity.roles, Role::Analyst.into());
        assert_eq!(identity.expires_at.timestamp(), later() + LEEWAY.num_seconds());
        // A token need not name its key where only one can be meant.
        let nameless = key.sign_as(&Header::new(key.algorithm), &issuer.claims(later()));
        assert!(identify(&verifier, &nameless).await.is_ok());
    }
    assert_eq!(issuer.asked(), 1);
    let own = crate::Claims::new("jo", None, Role::Platform.into(), now() + TimeDelta::hours(1));
    let own = crate::mint(&SECRET, &own.unwrap()).unwrap();
    assert!(identify(&verifier, &own).await.is_ok(), "the secret goes on holding beside it");
}

#[tokio::test]
async fn claims_are_judged_as_those_of_the_issuer() {
    let (issuer, verifier) = all_keys().await;
    let verify = async |name: &str, value: Value| {
        let mut claims = issuer.claims(later());
        claims[name] = value;
        identify(&verifier, &CURVE.sign(&claims)).await
    };
    let now = now().timestamp();
    for (name, value) in [
        ("iss", json!("https://elsewhere")),
        ("iss", json!(format!("{}/", issuer.address))),
        ("iss", json!([issuer.address])),
        ("iss", Value::Null),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("aud", json!(5)),
        ("aud", Value::Null),
        ("exp", Value::Null),
        ("exp", json!("later")),
        ("nbf", json!("now")),
        ("sub", Value::Null),
        ("tenant", Value::Null),
        ("tenant", json!("No Such Form")),
        ("roles", json!([])),
        ("roles", json!(["reader"])),
    ] {
        match verify(name, value.clone()).await {
            Err(TokenError::Claim { claim, .. }) => assert_eq!(claim, name, "{value}"),
            other => panic!("{name} {value} gave {other:?}"),
        }
    }
    assert!(matches!(verify("exp", json!(now - 31)).await, Err(TokenError::Expired(_))));
    assert!(verify("exp", json!(now - 29)).await.is_ok());
    assert!(matches!(verify("nbf", json!(now + 31)).await, Err(TokenError::NotYetValid(_))));
    assert!(verify("nbf", json!(now + 30)).await.is_ok());
    assert!(verify("aud", json!("figures")).await.is_ok());
    assert_eq!(verify("roles", json!("admin x")).await.unwrap().roles, Role::Admin.into());
}

#[tokio::test]
async fn claims_may_have_other_names_and_stand_deeper() {
    let issuer = ExampleIssuer::start(&[&EDWARDS]).await;
    let mut other = settings(&issuer.address);
    other.claims = ClaimNames {
        subject: "email".into(),
        tenant: "https://tidemark.example/firm".into(),
        roles: "resource_access.figures.roles".into(),
    };
    let verifier = Verifier::hs256(vec![]).with_issuer(Issuer::new(other, AT_ONCE).unwrap());
    let claims = json!({
        "iss": issuer.address, "aud": "figures", "exp": later(), "sub": "1",
        "email": "jo@acme.example", "https://tidemark.example/firm": "acme",
        "resource_access": {"figures": {"roles": ["executive"]}},
        // The plain names mean nothing now.
        "tenant": "globex", "roles": ["admin"],
    });
    let identity = identify(&verifier, &EDWARDS.sign(&claims)).await.unwrap();
    assert_eq!(identity.subject, "jo@acme.example");
    assert_eq!(identity.tenant.unwrap().as_str(), "acme");
    assert_eq!(identity.roles, Role::Executive.into());
    let mut without = claims.clone();
    without["resource_access"] = json!({"figures": ["admin"]});
    let error = identify(&verifier, &EDWARDS.sign(&without)).await.unwrap_err();
    assert!(error.to_string().contains("resource_access.figures.roles"), "{error}");
}

#[test]
fn an_address_that_is_none_is_refused() {
    for wrong in [
        "",
        "id.example.com",
        "ftp://a",
        "https://me:hidden@a",
        "https://a?b",
        "https://a#b",
        "http://id.example.com",
        "http://10.0.0.1/realm",
        "http://127.0.0.1.example.com",
    ] {
        let error = Issuer::new(settings(wrong), AT_ONCE).unwrap_err();
        assert_eq!(error, IssuerError::Address, "{wrong}");
    }
    for here in ["http://127.0.0.1:8080/realm", "http://[::1]", "http://localhost:8080"] {
        assert!(Issuer::check_address(here).is_ok(), "{here}");
    }
    let url = discovery("https://a/realm/").unwrap();
    assert_eq!(url.as_str(), "https://a/realm/.well-known/openid-configuration");
}

/// A code, a client's secret and a browser must not be sent where others listen.
#[test]
fn all_addresses_of_an_issuer_are_of_https_or_on_this_machine() {
    let metadata = |name: &str, address: &str| -> Metadata {
        let mut said = json!({"issuer": "https://id.example.com", "jwks_uri": "https://a/keys"});
        said[name] = json!(address);
        serde_json::from_value(said).unwrap()
    };
    for name in ["jwks_uri", "authorization_endpoint", "token_endpoint", "end_session_endpoint"] {
        assert_eq!(metadata(name, "https://a/b").unsafe_address(false), None);
        for plain in ["http://a/b", "http://127.0.0.1/b"] {
            assert_eq!(metadata(name, plain).unsafe_address(false), Some(name));
        }
        assert_eq!(metadata(name, "http://127.0.0.1/b").unsafe_address(true), None);
        assert_eq!(metadata(name, "http://a/b").unsafe_address(true), Some(name));
    }
}
