#![allow(clippy::unwrap_used, clippy::panic)]

use tenancy::Secret;

use super::*;

/// An issuer that the configuration names by now is none that the running service asks.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_secret_does_not_go_for_an_issuer_that_is_not_asked() {
    let data = tempfile::tempdir().unwrap();
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: data.path().to_owned(),
        jwt_secrets: vec![Secret::random().unwrap()],
        ..Config::default()
    };
    let mut other = Config { jwt_secrets: Vec::new(), ..Config::default() };
    other.oidc.issuer = "https://id.example.com".into();
    other.oidc.audience = "figures".into();
    let running = start(config).await.unwrap();
    assert!(matches!(running.keys().replace(&other), Err(ServeError::NoSecret)));
    other.jwt_secrets.push(Secret::random().unwrap());
    running.keys().replace(&other).unwrap();
    running.until_shutdown(async {}).await.unwrap();
}
