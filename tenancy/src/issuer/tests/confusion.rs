//! Tokens that try to be checked with a key of another kind.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;

use super::*;

/// What a forger would like to have accepted.
fn forged(issuer: &ExampleIssuer) -> Value {
    let mut claims = issuer.claims(later());
    claims["roles"] = json!(["admin"]);
    claims
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// The signature of `text` by HMAC with any bytes as the secret.
fn hmac(secret: &[u8], header: &Value, claims: &Value) -> String {
    let text = unsigned(header, claims);
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{text}.{signature}")
}

#[tokio::test]
async fn a_public_key_is_no_secret() {
    let (issuer, verifier) = all_keys().await;
    identify(&verifier, &RSA.sign(&issuer.claims(later()))).await.unwrap();
    let claims = forged(&issuer);
    for key in [&*RSA, &*CURVE, &*EDWARDS] {
        for form in &key.forms {
            for kid in [None, Some(key.id.as_str())] {
                let mut header = Header::new(Algorithm::HS256);
                header.kid = kid.map(str::to_owned);
                let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(form));
                let outcome = identify(&verifier, &token.unwrap()).await;
                assert_eq!(outcome, Err(TokenError::Signature), "{}", key.id);
            }
            // The same bytes under the name of the algorithm whose key they are.
            for algorithm in ["RS256", "ES256", "EdDSA"] {
                let token = hmac(form, &json!({"alg": algorithm}), &claims);
                let outcome = identify(&verifier, &token).await;
                assert_eq!(outcome, Err(TokenError::Signature), "{algorithm}");
            }
        }
    }
}

#[tokio::test]
async fn a_token_is_checked_with_keys_of_its_algorithm_alone() {
    let (issuer, verifier) = all_keys().await;
    for key in [&*RSA, &*CURVE, &*EDWARDS] {
        for other in [&*RSA, &*CURVE, &*EDWARDS] {
            let mut header = Header::new(key.algorithm);
            header.kid = Some(other.id.clone());
            let outcome = identify(&verifier, &key.sign_as(&header, &forged(&issuer))).await;
            if key.id == other.id {
                assert!(outcome.is_ok());
            } else {
                assert_eq!(outcome, Err(TokenError::UnknownKey), "{} as {}", key.id, other.id);
            }
        }
    }
}

#[tokio::test]
async fn what_a_token_brings_along_is_no_key() {
    let (issuer, verifier) = all_keys().await;
    let mine = SigningKey::fresh("mine", Algorithm::ES256);
    let mut header = Header::new(Algorithm::ES256);
    header.jwk = Some(serde_json::from_value(mine.public.clone()).unwrap());
    header.jku = Some(format!("{}/keys", issuer.address));
    let outcome = identify(&verifier, &mine.sign_as(&header, &forged(&issuer))).await;
    assert_eq!(outcome, Err(TokenError::Signature));
    header.kid = Some("mine".into());
    let outcome = identify(&verifier, &mine.sign_as(&header, &forged(&issuer))).await;
    assert_eq!(outcome, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn none_and_other_algorithms_are_refused_unseen() {
    let (issuer, verifier) = all_keys().await;
    for algorithm in
        ["none", "None", "nOnE", "", "RS384", "RS512", "PS256", "ES384", "HS384", "eddsa"]
    {
        for signature in ["", "AAAA"] {
            let token = unsigned(&json!({"alg": algorithm, "kid": "rsa"}), &forged(&issuer));
            let outcome = identify(&verifier, &format!("{token}.{signature}")).await;
            assert_eq!(outcome, Err(TokenError::Algorithm), "{algorithm}");
        }
    }
    assert_eq!(issuer.asked(), 0, "none of them is worth a question");
}

#[tokio::test]
async fn without_an_issuer_or_a_secret_the_other_kind_is_refused() {
    let (issuer, _) = all_keys().await;
    let own = Verifier::hs256(vec![SECRET.clone()]);
    let token = RSA.sign(&issuer.claims(later()));
    assert_eq!(identify(&own, &token).await, Err(TokenError::Algorithm));
    let theirs = Issuer::new(settings(&issuer.address), AT_ONCE).unwrap();
    let theirs = Verifier::hs256(vec![]).with_issuer(theirs);
    let claims = crate::Claims::new("jo", None, Role::Platform.into(), now() + TimeDelta::hours(1));
    let token = crate::mint(&SECRET, &claims.unwrap()).unwrap();
    assert_eq!(identify(&theirs, &token).await, Err(TokenError::Algorithm));
}

/// A verifier with the keys known, and good tokens of all kinds.
static KNOWN: LazyLock<(Verifier, Vec<String>)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (issuer, verifier) = all_keys().await;
        let mut tokens = Vec::new();
        for key in [&*RSA, &*CURVE, &*EDWARDS] {
            let token = key.sign(&issuer.claims(later()));
            verifier.identify(&token, now()).await.unwrap();
            tokens.push(token);
        }
        (verifier, tokens)
    })
});

proptest! {
    /// No byte can be changed, removed or added.
    #[test]
    fn a_mutated_token_never_passes(
        which in 0usize..3, place in any::<prop::sample::Index>(), byte in 0u8..128, how in 0..3,
    ) {
        let (verifier, tokens) = &*KNOWN;
        let mut bytes = tokens[which].clone().into_bytes();
        let at = place.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => { bytes.remove(at); }
            _ => bytes.insert(at, byte),
        }
        let mutated = String::from_utf8(bytes).unwrap();
        prop_assume!(mutated != tokens[which]);
        prop_assert!(verifier.verify(&mutated, now()).is_err());
    }

    /// Nor do the parts of several genuine tokens make another one.
    #[test]
    fn spliced_tokens_never_pass(from in prop::array::uniform3(0usize..3)) {
        let (verifier, tokens) = &*KNOWN;
        let part = |i: usize| tokens[from[i]].split('.').nth(i).unwrap();
        let spliced = [part(0), part(1), part(2)].join(".");
        let genuine = tokens.contains(&spliced);
        prop_assert_eq!(verifier.verify(&spliced, now()).is_ok(), genuine);
    }
}
