//! The service with a certificate.

use std::path::Path;
use std::sync::Arc;

use reqwest::{Certificate, Client};
use tenancy::Role;

use crate::certificates::certificate;
use crate::service::{Service, token};

/// A client that trusts this certificate and no other, on a connection of its own.
fn trusting(certificate: &str) -> Client {
    let root = Certificate::from_pem(certificate.as_bytes()).unwrap();
    Client::builder().tls_certs_only([root]).pool_max_idle_per_host(0).build().unwrap()
}

fn write(folder: &Path, (certificate, key): &(String, String)) {
    std::fs::write(folder.join("certificate.pem"), certificate).unwrap();
    std::fs::write(folder.join("key.pem"), key).unwrap();
}

#[tokio::test]
async fn it_speaks_tls_alone_and_takes_another_certificate_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (first, second) = (certificate("first"), certificate("second"));
    write(folder.path(), &first);
    let data = Arc::new(tempfile::tempdir().unwrap());
    let (shown, key) = (path("certificate.pem"), path("key.pem"));
    let files = [
        ("TIDEMARK_TLS_CERTIFICATE_FILE", shown.as_str()),
        ("TIDEMARK_TLS_KEY_FILE", key.as_str()),
    ];
    let service = Service::start_as(data, &files, ("https", trusting(&first.0))).await;
    let admin = service.tenant("locked").await;
    let answer = service.get("/v1/views", &admin).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    let plain = format!("http://{}/livez", service.address);
    assert!(Client::new().get(plain).send().await.is_err(), "nothing is said without TLS");
    let stranger = trusting(&second.0);
    assert!(stranger.get(service.url("/livez")).send().await.is_err());

    let mut ask = std::process::Command::new(env!("CARGO_BIN_EXE_tidemark"));
    ask.args(["query", "SELECT 1", "--format", "csv", "--token", &admin]);
    ask.args(["--url", &service.url(""), "--ca", &shown]);
    let asked = ask.output().unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));

    // A key that does not fit changes nothing.
    write(folder.path(), &(second.0.clone(), first.1.clone()));
    service.hang_up();
    service.until_logged("stay as they were", 1).await;
    assert_eq!(service.get("/v1/views", &admin).send().await.unwrap().status(), 200);
    write(folder.path(), &second);
    service.hang_up();
    service.until_logged("were read anew", 1).await;
    let answer = stranger.get(service.url("/v1/views")).bearer_auth(&admin).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(service.get("/livez", &admin).send().await.is_err(), "the first is not shown any more");
    let service_only = token(Some("locked"), &[Role::Service]);
    let answer = stranger.get(service.url("/v1/views")).bearer_auth(&service_only).send().await;
    assert_eq!(answer.unwrap().status(), 403);
}
