#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeZone;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Role, Secret};

static SECRET: LazyLock<Secret> =
    LazyLock::new(|| "an example secret of more than 32 bytes".parse().unwrap());
static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| Verifier::hs256(vec![SECRET.clone()]));

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2024, 5, 6, 7, 8, 9).unwrap()
}

fn hour() -> TimeDelta {
    TimeDelta::hours(1)
}

/// A token of any claims and header, signed with the secret.
fn sign(header: &Header, claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.bytes());
    jsonwebtoken::encode(header, claims, &key).unwrap()
}

fn verify(claims: &Value) -> Result<Identity, TokenError> {
    VERIFIER.verify(&sign(&Header::new(Algorithm::HS256), claims), now())
}

fn good() -> Value {
    let exp = (now() + hour()).timestamp();
    json!({"sub": "jo", "exp": exp, "tenant": "acme", "roles": ["analyst"]})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = good();
    claims[name] = value;
    claims
}

fn good_token() -> String {
    sign(&Header::new(Algorithm::HS256), &good())
}

fn bad_claim(claims: &Value) -> Cow<'static, str> {
    match verify(claims) {
        Err(TokenError::Claim { claim, .. }) => claim,
        other => panic!("{claims} gave {other:?}"),
    }
}

/// Else its calls would stand in the audit as a producer's.
#[test]
fn nobody_has_the_subject_of_a_service_token() {
    assert_eq!(bad_claim(&with("sub", json!("service-token:abc"))), "sub");
    let roles = Role::Analyst.into();
    let minted =
        Claims::new("service-token:", Some("acme".parse().unwrap()), roles, now() + hour());
    assert!(matches!(minted, Err(TokenError::Claim { .. })));
    assert!(verify(&with("sub", json!("a service-token:abc"))).is_ok());
}

#[test]
fn a_minted_token_verifies() {
    let roles = RoleSet::of(&[Role::Analyst, Role::Service]);
    let tenant: TenantId = "acme".parse().unwrap();
    let claims = Claims::new("jo", Some(tenant.clone()), roles, now() + hour()).unwrap();
    let identity = VERIFIER.verify(&mint(&SECRET, &claims).unwrap(), now()).unwrap();
    assert_eq!(
        identity,
        Identity {
            subject: "jo".into(),
            tenant: Some(tenant),
            roles,
            issued_at: identity.issued_at,
            expires_at: now() + hour() + LEEWAY
        }
    );
    assert!((Utc::now() - identity.issued_at).abs() < hour());
    let claims = Claims::new("ops", None, Role::Platform.into(), now() + hour()).unwrap();
    let identity = VERIFIER.verify(&mint(&SECRET, &claims).unwrap(), now()).unwrap();
    assert_eq!((identity.tenant, identity.roles), (None, Role::Platform.into()));
}

#[test]
fn nothing_is_minted_that_would_not_verify() {
    let tenant: Option<TenantId> = Some("acme".parse().unwrap());
    let end = now() + hour();
    for (subject, tenant, roles) in [
        ("jo", tenant.clone(), RoleSet::EMPTY),
        ("jo", None, RoleSet::from(Role::Admin)),
        ("jo", tenant.clone(), RoleSet::from(Role::Platform)),
        ("jo", None, RoleSet::of(&[Role::Platform, Role::Admin])),
        ("", tenant, RoleSet::from(Role::Admin)),
    ] {
        assert!(matches!(Claims::new(subject, tenant, roles, end), Err(TokenError::Claim { .. })));
    }
}

#[test]
fn any_secret_in_use_will_do() {
    let token = good_token();
    let fresh = Secret::random().unwrap();
    let both = Verifier::hs256(vec![fresh.clone(), SECRET.clone()]);
    assert!(both.verify(&token, now()).is_ok());
    assert_eq!(Verifier::hs256(vec![fresh]).verify(&token, now()), Err(TokenError::Signature));
    assert_eq!(Verifier::hs256(vec![]).verify(&token, now()), Err(TokenError::Signature));
    assert!(!format!("{both:?}").contains("example"));
}

#[test]
fn other_algorithms_are_refused() {
    let payload = URL_SAFE_NO_PAD.encode(good().to_string());
    for alg in ["none", "None", "NONE", "hs256", "HS384", "HS512", "RS256", "ES256", "EdDSA", ""] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "JWT"}).to_string());
        for signature in ["", "AAAA"] {
            let token = format!("{header}.{payload}.{signature}");
            assert_eq!(VERIFIER.verify(&token, now()), Err(TokenError::Algorithm), "{alg}");
        }
    }
    // Signed with the right secret, by a stronger hash: still not what was agreed.
    let token = sign(&Header::new(Algorithm::HS512), &good());
    assert_eq!(VERIFIER.verify(&token, now()), Err(TokenError::Algorithm));
}

#[test]
fn extensions_that_must_be_understood_are_refused() {
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["b64".into()]);
    assert_eq!(VERIFIER.verify(&sign(&header, &good()), now()), Err(TokenError::Algorithm));
}

#[test]
fn what_is_no_token_is_malformed() {
    let token = good_token();
    let parts: Vec<_> = token.split('.').collect();
    let nested = URL_SAFE_NO_PAD.encode("[".repeat(3000));
    for text in [
        String::new(),
        ".".into(),
        "..".into(),
        "a.b".into(),
        "a.b.c".into(),
        format!("{token}.x"),
        format!(" {token}"),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}=", parts[0], parts[1], parts[2]),
        format!("{nested}.{}.{}", parts[1], parts[2]),
        "é.é.é".into(),
        "a".repeat(1 << 20),
    ] {
        assert_eq!(VERIFIER.verify(&text, now()), Err(TokenError::Malformed), "{text:.40}");
    }
    // Genuine, yet not an object.
    for claims in [json!([]), json!("x"), json!(null), json!(1)] {
        let token = sign(&Header::new(Algorithm::HS256), &claims);
        assert_eq!(VERIFIER.verify(&token, now()), Err(TokenError::Malformed), "{claims}");
    }
}

#[test]
fn it_holds_until_its_end_and_a_little_longer() {
    let exp = now() + hour();
    let token = good_token();
    let last = exp + LEEWAY - TimeDelta::milliseconds(1);
    assert!(VERIFIER.verify(&token, last).is_ok());
    assert_eq!(VERIFIER.verify(&token, exp + LEEWAY), Err(TokenError::Expired(exp)));
    assert_eq!(VERIFIER.verify(&token, exp + hour()), Err(TokenError::Expired(exp)));
    let message = TokenError::Expired(exp).to_string();
    assert!(message.contains("2024-05-06T08:08:09Z"), "{message}");
}

#[test]
fn it_holds_from_its_beginning_and_a_little_earlier() {
    let at = |nbf: DateTime<Utc>| verify(&with("nbf", nbf.timestamp().into()));
    assert!(at(now() - hour()).is_ok());
    assert!(at(now() + LEEWAY).is_ok());
    let later = now() + LEEWAY + TimeDelta::seconds(1);
    assert_eq!(at(later), Err(TokenError::NotYetValid(later)));
}

#[test]
fn times_must_be_numbers_of_seconds() {
    for value in [
        json!("1700000000"),
        json!(1e300),
        json!(-1e300),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(i64::MIN),
        json!([]),
        json!({}),
        json!(true),
    ] {
        assert_eq!(bad_claim(&with("exp", value.clone())), "exp", "{value}");
        assert_eq!(bad_claim(&with("nbf", value.clone())), "nbf", "{value}");
        assert_eq!(bad_claim(&with("iat", value.clone())), "iat", "{value}");
    }
    assert_eq!(bad_claim(&with("exp", Value::Null)), "exp");
    let mut claims = good();
    claims.as_object_mut().unwrap().remove("exp");
    assert_eq!(bad_claim(&claims), "exp");
    let fraction = (now() + hour()).timestamp() as f64 + 0.75;
    assert_eq!(verify(&with("exp", json!(fraction))).unwrap().expires_at, now() + hour() + LEEWAY);
    assert_eq!(verify(&good()).unwrap().issued_at, DateTime::UNIX_EPOCH);
    let issued = with("iat", json!(now().timestamp()));
    assert_eq!(verify(&issued).unwrap().issued_at, now());
}

#[test]
fn the_subject_is_required() {
    for value in [json!(null), json!(5), json!(""), json!("a\nb"), json!("x".repeat(256))] {
        assert_eq!(bad_claim(&with("sub", value)), "sub");
    }
}

#[test]
fn roles_are_a_list_with_one_that_is_known() {
    for value in [json!(null), json!("admin"), json!([]), json!(["root"]), json!(["admin", 1])] {
        assert_eq!(bad_claim(&with("roles", value)), "roles");
    }
    // What other services call their roles grants nothing here, and hinders nothing.
    let identity = verify(&with("roles", json!(["billing:write", "executive", "Admin"]))).unwrap();
    assert_eq!(identity.roles, Role::Executive.into());
}

#[test]
fn a_token_is_for_one_tenant_or_for_the_platform() {
    for value in [json!(null), json!(5), json!(["acme"]), json!("Acme"), json!("")] {
        assert_eq!(bad_claim(&with("tenant", value)), "tenant");
    }
    assert_eq!(bad_claim(&with("roles", json!(["platform"]))), "tenant");
    let mut claims = with("tenant", Value::Null);
    claims["roles"] = json!(["platform", "admin"]);
    assert_eq!(bad_claim(&claims), "roles");
    claims["roles"] = json!(["platform"]);
    assert_eq!(verify(&claims).unwrap().tenant, None);
}

#[test]
fn an_audience_if_named_must_be_this_service() {
    assert_eq!(bad_claim(&with("aud", json!("other"))), "aud");
    assert_eq!(bad_claim(&with("aud", json!(["other", "else"]))), "aud");
    assert!(verify(&with("aud", json!("tidemark"))).is_ok());
    assert!(verify(&with("aud", json!(["other", "tidemark"]))).is_ok());
}

#[test]
fn claims_are_judged_only_after_the_signature() {
    let key = EncodingKey::from_secret(Secret::random().unwrap().bytes());
    let claims = json!({"exp": 1, "roles": 5});
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
    assert_eq!(VERIFIER.verify(&token, now()), Err(TokenError::Signature));
}

proptest! {
    /// No byte can be changed, removed or added.
    #[test]
    fn a_mutated_token_never_verifies(place in any::<prop::sample::Index>(), byte in 0u8..128, how in 0..3) {
        let token = good_token();
        let mut bytes = token.clone().into_bytes();
        let at = place.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => { bytes.remove(at); }
            _ => bytes.insert(at, byte),
        }
        let mutated = String::from_utf8(bytes).unwrap();
        prop_assume!(mutated != token);
        let error = VERIFIER.verify(&mutated, now()).unwrap_err();
        prop_assert!(!error.to_string().contains(&token[..20]));
    }

    /// Nor can the parts of two genuine tokens be put together.
    #[test]
    fn spliced_tokens_never_verify(cut in 0usize..8, role in "executive|service|admin") {
        let other = sign(&Header::new(Algorithm::HS256), &with("roles", json!([role])));
        let token = good_token();
        let (ours, theirs): (Vec<_>, Vec<_>) = (token.split('.').collect(), other.split('.').collect());
        let parts: Vec<_> = (0..3).map(|i| if cut >> i & 1 == 0 { ours[i] } else { theirs[i] }).collect();
        let spliced = parts.join(".");
        let genuine = spliced == token || spliced == other;
        prop_assert_eq!(VERIFIER.verify(&spliced, now()).is_ok(), genuine);
    }

    /// Without the secret nothing verifies, and nothing panics.
    #[test]
    fn made_up_text_never_verifies(text in "\\PC*", header in "\\PC{0,40}", payload in "\\PC{0,40}") {
        prop_assert!(VERIFIER.verify(&text, now()).is_err());
        let token = format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(&text)
        );
        prop_assert!(VERIFIER.verify(&token, now()).is_err());
    }
}
