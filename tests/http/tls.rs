//! The service with a certificate.

use std::path::Path;
use std::sync::Arc;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509Builder, X509NameBuilder};
use reqwest::{Certificate, Client};
use tenancy::Role;

use crate::service::{Service, token};

/// A certificate for 127.0.0.1 that vouches for itself, and its key, both as PEM.
pub(crate) fn certificate(name: &str) -> (String, String) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    let subject = subject.build();
    let mut certificate = X509Builder::new().unwrap();
    certificate.set_version(2).unwrap();
    let number = BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap();
    certificate.set_serial_number(&number).unwrap();
    certificate.set_subject_name(&subject).unwrap();
    certificate.set_issuer_name(&subject).unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    let mut names = SubjectAlternativeName::new();
    let names = names.ip("127.0.0.1").build(&certificate.x509v3_context(None, None)).unwrap();
    certificate.append_extension(names).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    let pem = certificate.build().to_pem().unwrap();
    let key = key.private_key_to_pem_pkcs8().unwrap();
    (String::from_utf8(pem).unwrap(), String::from_utf8(key).unwrap())
}

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
