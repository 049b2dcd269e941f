//! Keys that come and go, and issuers that do not answer.

use std::sync::atomic::Ordering;

use super::*;

#[tokio::test]
async fn a_new_key_is_found_and_an_old_one_ends() {
    let issuer = ExampleIssuer::start(&[&CURVE]).await;
    let verifier = trusting(&issuer.address, AT_ONCE);
    let (old, new) = (CURVE.sign(&issuer.claims(later())), RSA.sign(&issuer.claims(later())));
    identify(&verifier, &old).await.unwrap();
    assert_eq!(identify(&verifier, &new).await, Err(TokenError::UnknownKey));
    issuer.have(&[&CURVE, &RSA]);
    identify(&verifier, &new).await.unwrap();
    identify(&verifier, &old).await.unwrap();
    issuer.have(&[&RSA]);
    // Any question for a key shows that the old one is gone.
    let unknown = EDWARDS.sign(&issuer.claims(later()));
    assert_eq!(identify(&verifier, &unknown).await, Err(TokenError::UnknownKey));
    assert_eq!(identify(&verifier, &old).await, Err(TokenError::UnknownKey));
    identify(&verifier, &new).await.unwrap();
}

/// A token need not say of which key it is.
#[tokio::test]
async fn a_new_key_is_found_by_a_token_that_does_not_name_it() {
    let (old, new) =
        (SigningKey::fresh("a", Algorithm::ES256), SigningKey::fresh("b", Algorithm::ES256));
    let issuer = ExampleIssuer::start(&[&old]).await;
    let verifier = trusting(&issuer.address, AT_ONCE);
    let nameless = Header::new(Algorithm::ES256);
    let signed = |key: &SigningKey| key.sign_as(&nameless, &issuer.claims(later()));
    identify(&verifier, &signed(&old)).await.unwrap();
    assert_eq!(identify(&verifier, &signed(&new)).await, Err(TokenError::Signature));
    issuer.have(&[&old, &new]);
    identify(&verifier, &signed(&new)).await.unwrap();
    identify(&verifier, &signed(&old)).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_gone_is_told_and_a_new_one_is_not() {
    let issuer = ExampleIssuer::start(&[&CURVE]).await;
    let verifier = trusting(&issuer.address, AT_ONCE);
    let unknown = EDWARDS.sign(&issuer.claims(later()));
    let look =
        async || assert_eq!(identify(&verifier, &unknown).await, Err(TokenError::UnknownKey));
    look().await;
    issuer.have(&[&CURVE, &RSA]);
    look().await;
    issuer.go_down(true);
    look().await;
    assert_eq!(verifier.withdrawals(), 0);
    issuer.go_down(false);
    issuer.have(&[&RSA]);
    look().await;
    assert_eq!(verifier.withdrawn(0).await, 1);
    // Another key under the name of the one before is another.
    let other = SigningKey::fresh(&RSA.id, Algorithm::RS256);
    issuer.have(&[&other]);
    look().await;
    assert_eq!(verifier.withdrawn(1).await, 2);
}

#[test]
fn a_secret_that_is_gone_is_told_and_a_new_one_is_not() {
    let other: Secret = "another secret of more than 32 bytes".parse().unwrap();
    let verifier = Verifier::hs256(vec![SECRET.clone()]);
    verifier.replace_secrets(&[other.clone(), SECRET.clone()]);
    assert_eq!(verifier.withdrawals(), 0);
    verifier.replace_secrets(std::slice::from_ref(&other));
    assert_eq!(verifier.withdrawals(), 1);
    verifier.replace_secrets(&[other]);
    assert_eq!(verifier.withdrawals(), 1);
}

/// The first call after a night would let a key in that was withdrawn in the evening.
#[tokio::test]
async fn keys_that_are_very_old_are_asked_for_before_they_are_used() {
    let issuer = ExampleIssuer::start(&[&CURVE]).await;
    let pace = Pace { between: Duration::ZERO, fresh: Duration::ZERO };
    let verifier = trusting(&issuer.address, pace);
    let token = CURVE.sign(&issuer.claims(later()));
    identify(&verifier, &token).await.unwrap();
    issuer.go_down(true);
    identify(&verifier, &token).await.unwrap();
    issuer.go_down(false);
    issuer.have(&[&RSA]);
    assert_eq!(identify(&verifier, &token).await, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn old_keys_are_looked_after_without_a_question() {
    let issuer = ExampleIssuer::start(&[&CURVE]).await;
    let verifier =
        trusting(&issuer.address, Pace { between: Duration::ZERO, fresh: Duration::ZERO });
    let token = CURVE.sign(&issuer.claims(later()));
    identify(&verifier, &token).await.unwrap();
    issuer.have(&[&RSA]);
    // The background has it sooner or later.
    while verifier.verify(&token, now()).is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn however_many_unknown_keys_come_the_issuer_is_asked_once_in_a_while() {
    let issuer = ExampleIssuer::start(&[&CURVE]).await;
    let pace = Pace { between: Duration::from_hours(1), ..AT_ONCE };
    let verifier = Arc::new(trusting(&issuer.address, pace));
    let mut asking = Vec::new();
    for number in 0..64 {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(format!("made up {number}"));
        let token = CURVE.sign_as(&header, &issuer.claims(later()));
        let verifier = Arc::clone(&verifier);
        asking.push(tokio::spawn(async move { identify(&verifier, &token).await }));
    }
    for outcome in asking {
        assert_eq!(outcome.await.unwrap(), Err(TokenError::UnknownKey));
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_down_voids_nothing_and_is_told_from_a_bad_token() {
    let issuer = ExampleIssuer::start(&[&CURVE]).await;
    let verifier = trusting(&issuer.address, AT_ONCE);
    let token = CURVE.sign(&issuer.claims(later()));
    issuer.go_down(true);
    assert_eq!(identify(&verifier, &token).await, Err(TokenError::IssuerUnreachable));
    issuer.go_down(false);
    identify(&verifier, &token).await.unwrap();
    issuer.go_down(true);
    identify(&verifier, &token).await.unwrap();
    let unknown = RSA.sign(&issuer.claims(later()));
    assert_eq!(identify(&verifier, &unknown).await, Err(TokenError::UnknownKey));
    identify(&verifier, &token).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_says_it_is_another_is_not_believed() {
    let issuer = ExampleIssuer::start(&[&CURVE]).await;
    *issuer.behaviour.says.lock().unwrap() = Some("https://elsewhere".into());
    let verifier = trusting(&issuer.address, AT_ONCE);
    let token = CURVE.sign(&issuer.claims(later()));
    assert_eq!(identify(&verifier, &token).await, Err(TokenError::IssuerUnreachable));
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn keys_for_something_else_are_left_alone() {
    let changed = |key: &SigningKey, name: &str, value: Value| {
        let mut public = key.public.clone();
        public[name] = value;
        public
    };
    let (_, short, _) = super::super::example::rsa(1024);
    let useless = [
        changed(&CURVE, "use", json!("enc")),
        changed(&CURVE, "alg", json!("ES384")),
        changed(&CURVE, "crv", json!("P-384")),
        changed(&CURVE, "x", json!("AAAA")),
        changed(&EDWARDS, "x", json!("AAAA")),
        changed(&EDWARDS, "x", json!(5)),
        changed(&RSA, "alg", json!("RS512")),
        changed(&RSA, "e", Value::Null),
        json!({"kty": "oct", "kid": "ec", "k": "c2VjcmV0"}),
        json!("key"),
        short,
    ];
    let issuer = ExampleIssuer::start(&[]).await;
    for public in useless {
        *issuer.behaviour.keys.lock().unwrap() = vec![public.clone()];
        let verifier = trusting(&issuer.address, AT_ONCE);
        let token = CURVE.sign(&issuer.claims(later()));
        let outcome = identify(&verifier, &token).await;
        assert_eq!(outcome, Err(TokenError::IssuerUnreachable), "{public}");
        // It does not hide the others.
        issuer.behaviour.keys.lock().unwrap().push(CURVE.public.clone());
        identify(&verifier, &token).await.unwrap();
    }
    // A point that is not on the curve is a key that nothing is signed with.
    let off = changed(&CURVE, "x", EDWARDS.public["x"].clone());
    *issuer.behaviour.keys.lock().unwrap() = vec![off];
    let verifier = trusting(&issuer.address, AT_ONCE);
    let outcome = identify(&verifier, &CURVE.sign(&issuer.claims(later()))).await;
    assert_eq!(outcome, Err(TokenError::Signature));
    assert!(issuer.behaviour.asked.load(Ordering::SeqCst) > 0);
}
