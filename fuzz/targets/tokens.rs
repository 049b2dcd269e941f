//! Tokens: whatever bytes are sent as one, nobody is identified whom the service's secret did not
//! name. An accepted token is checked a second time here, from its parts.
//!
//! The first byte says what the others are: a token; the header and claims of a token that is signed
//! with the secret, or with another; or changes of a good token.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeZone, Utc};
use hmac::{Hmac, Mac};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sha2::Sha256;
use tenancy::{Identity, LEEWAY, Role, Secret, ShownToken, TicketLimits, Tickets, Verifier};

const SECRET: &str = "an example secret of more than 32 bytes";
const FORMER: &str = "the example secret that was in use before";
const FOREIGN: &str = "a secret that this service has never had, ever";

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let secrets = [SECRET, FORMER].map(|text| text.parse::<Secret>().expect("a long secret"));
    Verifier::hs256(secrets.to_vec())
});

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2024, 5, 6, 7, 8, 9).single().expect("a moment")
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    match mode % 4 {
        0 => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            judge(text);
            other_credentials(text);
        }
        1 => judge(&signed(rest, if mode & 4 == 0 { SECRET } else { FORMER })),
        2 => {
            let token = signed(rest, FOREIGN);
            assert!(VERIFIER.verify(&token, now()).is_err(), "another's secret passed: {token}");
        }
        _ => {
            let header = br#"{"alg":"HS256","typ":"JWT"}"#;
            let claims =
                br#"{"sub":"jo","exp":1714984089,"tenant":"acme","roles":["analyst","admin"]}"#;
            let good = seal(header, claims, SECRET);
            let token = changed(&good, rest);
            if token != good {
                assert!(VERIFIER.verify(&token, now()).is_err(), "a changed token passed: {token}");
            }
        }
    }
});

/// A genuine token of a header and claims, with a zero byte between them in `data`.
fn signed(data: &[u8], secret: &str) -> String {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let header = parts.next().unwrap_or_default();
    seal(header, parts.next().unwrap_or_default(), secret)
}

fn seal(header: &[u8], claims: &[u8], secret: &str) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let seal = URL_SAFE_NO_PAD.encode(mac(secret, &text));
    format!("{text}.{seal}")
}

fn mac(secret: &str, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length is a key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The token with bytes replaced: a place and the new byte, again and again.
fn changed(token: &str, changes: &[u8]) -> String {
    let mut bytes = token.as_bytes().to_vec();
    for change in changes.chunks_exact(2) {
        let place = usize::from(change[0]) % bytes.len();
        bytes[place] = change[1] & 0x7f;
    }
    String::from_utf8(bytes).expect("ASCII")
}

/// If the token is accepted, it must be right in all that makes one right.
fn judge(token: &str) {
    let Ok(identity) = VERIFIER.verify(token, now()) else { return };
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, seal] = parts[..] else { panic!("not three parts: {token}") };
    let json = |part: &str| -> Value {
        let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    assert_eq!(json(header)["alg"], "HS256", "another algorithm passed: {token}");
    let seal = URL_SAFE_NO_PAD.decode(seal).expect("base64url");
    let text = format!("{header}.{claims}");
    assert!(
        [SECRET, FORMER].iter().any(|secret| mac(secret, &text) == seal),
        "a seal of no secret passed: {token}"
    );
    agrees(&identity, &json(claims));
}

/// Whether the identity is what the claims say.
fn agrees(identity: &Identity, claims: &Value) {
    assert_eq!(claims["sub"].as_str(), Some(identity.subject.as_str()));
    let tenant = identity.tenant.as_ref().map(ToString::to_string);
    assert_eq!(claims["tenant"].as_str(), tenant.as_deref());
    let named: Vec<Role> = claims["roles"]
        .as_array()
        .expect("a list of roles")
        .iter()
        .filter_map(|role| role.as_str()?.parse().ok())
        .collect();
    for role in [Role::Executive, Role::Analyst, Role::Service, Role::Admin, Role::Platform] {
        assert_eq!(named.contains(&role), identity.roles.contains(role), "{role:?}");
    }
    assert!(!named.is_empty());
    assert_eq!(tenant.is_none(), named.iter().all(|role| *role == Role::Platform));
    let seconds = |name: &str| claims[name].as_f64();
    let (now, leeway) = (now().timestamp() as f64, LEEWAY.num_seconds() as f64);
    assert!(seconds("exp").expect("an end") + leeway > now, "an expired token passed");
    assert!(seconds("nbf").is_none_or(|nbf| nbf - leeway - 1.0 < now), "a token passed too early");
}

/// What else a caller may send: service tokens are only read here, and no ticket is out.
fn other_credentials(text: &str) {
    if let Some(token) = ShownToken::read(text) {
        assert!(ShownToken::is_one(text) && text.contains(&token.tenant.to_string()));
    }
    assert!(Tickets::new(TicketLimits::default()).redeem(text, now()).is_none());
}
