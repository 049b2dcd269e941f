//! What the page signs in with.

use super::*;

#[tokio::test]
async fn a_code_becomes_a_token() {
    let issuer = ExampleIssuer::start(&[&CURVE]).await;
    let mut known = settings(&issuer.address);
    known.client_secret = Some(ClientSecret("hush & more".into()));
    assert!(!format!("{known:?}").contains("hush"));
    let here = Issuer::new(known, AT_ONCE).unwrap();
    let sign_in = here.sign_in().await.unwrap();
    assert_eq!(sign_in.authorization_endpoint, format!("{}/authorize", issuer.address));
    assert_eq!((sign_in.client_id.as_str(), sign_in.scope.as_str()), ("page", "openid"));

    let token = CURVE.sign(&issuer.claims(later()));
    let exchange = |tokens: Value| {
        *issuer.behaviour.tokens.lock().unwrap() = tokens;
        here.exchange("c&d", "the verifier", "http://127.0.0.1/")
    };
    let both = json!({"access_token": token, "id_token": "other"});
    let exchanged = exchange(both).await.unwrap();
    assert_eq!(exchanged.token, token);
    assert!(!format!("{exchanged:?}").contains(&token));
    let opaque = json!({"access_token": "opaque", "id_token": token});
    assert_eq!(exchange(opaque).await.unwrap().token, token);
    for nothing in [json!({"access_token": "opaque"}), json!({"error": "invalid_grant"})] {
        assert!(matches!(exchange(nothing).await, Err(SignInError::Refused(_))));
    }
    let forms = issuer.behaviour.forms.lock().unwrap().clone();
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "c&d"),
        ("code_verifier", "the verifier"),
        ("redirect_uri", "http://127.0.0.1/"),
        ("client_id", "page"),
        ("client_secret", "hush & more"),
    ] {
        assert_eq!(forms[0][name], value);
    }
}

#[tokio::test]
async fn without_a_client_nobody_signs_in() {
    let issuer = ExampleIssuer::start(&[&CURVE]).await;
    let known = IssuerSettings { client_id: None, ..settings(&issuer.address) };
    let here = Issuer::new(known, AT_ONCE).unwrap();
    assert_eq!(here.sign_in().await, Err(SignInError::NotSet));
    assert_eq!(here.exchange("c", "v", "r").await, Err(SignInError::NotSet));
}

#[tokio::test]
async fn what_is_sent_is_bounded_and_an_issuer_that_is_down_is_told_apart() {
    let issuer = ExampleIssuer::start(&[&CURVE]).await;
    let here = Issuer::new(settings(&issuer.address), AT_ONCE).unwrap();
    let long = "x".repeat(5000);
    assert_eq!(here.exchange(&long, "v", "r").await, Err(SignInError::Field("code")));
    assert_eq!(here.exchange("c", "", "r").await, Err(SignInError::Field("code_verifier")));
    issuer.go_down(true);
    assert!(matches!(here.sign_in().await, Err(SignInError::Issuer(_))));
}
