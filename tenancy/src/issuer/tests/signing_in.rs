//! What the page signs in with.

use super::*;

#[tokio::test]
async fn a_code_becomes_a_token() {
    let issuer = ExampleIssuer::start(&[&CURVE]).await;
    let mut known = settings(&issuer.address);
    known.client.secret = Some(ClientSecret("hush & more".into()));
    assert!(!format!("{known:?}").contains("hush"));
    let here = Issuer::new(known, AT_ONCE).unwrap();
    let sign_in = here.sign_in(Account::Tenant).await.unwrap();
    assert_eq!(sign_in.authorization_endpoint, format!("{}/authorize", issuer.address));
    assert_eq!((sign_in.client_id.as_str(), sign_in.scope.as_str()), ("page", "openid"));

    let token = CURVE.sign(&issuer.claims(later()));
    let exchange = |tokens: Value| {
        *issuer.behaviour.tokens.lock().unwrap() = tokens;
        here.exchange(Account::Tenant, "c&d", "the verifier", "http://127.0.0.1/")
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
    let here = Issuer::new(settings(&issuer.address), AT_ONCE).unwrap();
    // The other page's client is not this one's.
    assert_eq!(here.sign_in(Account::Platform).await, Err(SignInError::NotSet));
    let exchange = here.exchange(Account::Platform, "c", "v", "r");
    assert_eq!(exchange.await, Err(SignInError::NotSet));
}

#[tokio::test]
async fn each_page_has_a_client_of_its_own_whose_secret_is_replaced() {
    let issuer = ExampleIssuer::start(&[&CURVE]).await;
    let client = |id: &str, secret: &str| PageClient {
        id: Some(id.to_owned()),
        secret: Some(ClientSecret(secret.to_owned())),
    };
    let known = |tenant: &str, platform: &str| IssuerSettings {
        client: client("page", tenant),
        platform_client: client("operators", platform),
        ..settings(&issuer.address)
    };
    let here = Issuer::new(known("t1", "p1"), AT_ONCE).unwrap();
    assert_eq!(here.sign_in(Account::Platform).await.unwrap().client_id, "operators");
    let token = CURVE.sign(&issuer.claims(later()));
    *issuer.behaviour.tokens.lock().unwrap() = json!({ "access_token": token });
    let sent = async |account: Account| {
        here.exchange(account, "c", "v", "r").await.unwrap();
        let form = issuer.behaviour.forms.lock().unwrap().pop().unwrap();
        (form["client_id"].clone(), form["client_secret"].clone())
    };
    let said = |id: &str, secret: &str| (id.to_owned(), secret.to_owned());
    assert_eq!(sent(Account::Tenant).await, said("page", "t1"));
    assert_eq!(sent(Account::Platform).await, said("operators", "p1"));
    assert!(here.replace_secrets(&known("t2", "p2")));
    assert_eq!(sent(Account::Tenant).await, said("page", "t2"));
    assert_eq!(sent(Account::Platform).await, said("operators", "p2"));
    // What is meant for another issuer, or another client, is not sent to this one.
    let elsewhere = IssuerSettings { issuer: "https://id.example.com".into(), ..known("t3", "p3") };
    assert!(!here.replace_secrets(&elsewhere));
    assert!(
        !here.replace_secrets(&IssuerSettings { client: client("x", "t3"), ..known("t3", "p3") })
    );
    assert_eq!(sent(Account::Tenant).await, said("page", "t2"));
}

#[tokio::test]
async fn what_is_sent_is_bounded_and_an_issuer_that_is_down_is_told_apart() {
    let issuer = ExampleIssuer::start(&[&CURVE]).await;
    let here = Issuer::new(settings(&issuer.address), AT_ONCE).unwrap();
    let long = "x".repeat(5000);
    let exchange = async |code: &str, verifier: &str| {
        here.exchange(Account::Tenant, code, verifier, "r").await.unwrap_err()
    };
    assert_eq!(exchange(&long, "v").await, SignInError::Field("code"));
    assert_eq!(exchange("c", "").await, SignInError::Field("code_verifier"));
    issuer.go_down(true);
    assert!(matches!(here.sign_in(Account::Tenant).await, Err(SignInError::Issuer(_))));
}
