//! Secrets: replaced while the process runs, and in nothing that it writes.

use std::process::Command;
use std::sync::Arc;

use chrono::Duration;
use futures::StreamExt;
use jsonwebtoken::Algorithm;
use reqwest::Client;
use serde_json::{Value, json};
use tenancy::Role;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::certificates::certificate;
use crate::issuers::example::{ExampleIssuer, SigningKey};
use crate::live::Events;
use crate::service::{Service, command, invoice, payment, signed, stream, token};

const NEW: &str = "the new secret of the tests, longer than 32 bytes";
const OLD: &str = "the old secret of the tests, longer than 32 bytes";

#[tokio::test]
async fn a_secret_is_replaced_while_the_process_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets");
    let write = |text: String| std::fs::write(&file, text).unwrap();
    write(format!("{OLD}\n"));
    let data = Arc::new(tempfile::tempdir().unwrap());
    // The environment's own secret gives way to the file.
    let variables =
        [("TIDEMARK_JWT_SECRET", ""), ("TIDEMARK_JWT_SECRET_FILE", file.to_str().unwrap())];
    let service = Service::start_with(data, &variables).await;
    let of = |secret: &str| signed(secret, None, &[Role::Platform], Duration::hours(1));
    let status = async |secret: &str| {
        service.get("/v1/platform/tenants", &of(secret)).send().await.unwrap().status().as_u16()
    };
    assert_eq!((status(OLD).await, status(NEW).await), (200, 401));
    write(format!("{NEW}\n{OLD}\n"));
    service.hang_up();
    service.until_logged("were read anew", 1).await;
    assert_eq!((status(OLD).await, status(NEW).await), (200, 200));
    write("short".to_owned());
    service.hang_up();
    service.until_logged("stay as they were", 1).await;
    assert_eq!((status(OLD).await, status(NEW).await), (200, 200));
    write(NEW.to_owned());
    service.hang_up();
    service.until_logged("were read anew", 2).await;
    assert_eq!((status(OLD).await, status(NEW).await), (401, 200));
}

/// The secrets by which the service itself is let in elsewhere.
#[tokio::test]
async fn what_others_ask_for_is_replaced_while_the_process_runs() {
    let key = SigningKey::fresh("k", Algorithm::ES256);
    let issuer = ExampleIssuer::start(&[&key]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (client, registry) = (path("client"), path("registry"));
    let write = |client_secret: &str, registry_url: &str| {
        std::fs::write(&client, client_secret).unwrap();
        std::fs::write(&registry, registry_url).unwrap();
    };
    write("one\n", "http://me:one@127.0.0.1:9");
    let data = Arc::new(tempfile::tempdir().unwrap());
    let variables: [(&str, &str); 5] = [
        ("TIDEMARK_OIDC_ISSUER", &issuer.address),
        ("TIDEMARK_OIDC_AUDIENCE", "figures"),
        ("TIDEMARK_OIDC_CLIENT_ID", "page"),
        ("TIDEMARK_OIDC_CLIENT_SECRET_FILE", &client),
        ("TIDEMARK_SCHEMA_REGISTRY_URL_FILE", &registry),
    ];
    let service = Service::start_with(data, &variables).await;
    service.tenant("acme").await;
    let in_an_hour = (chrono::Utc::now() + Duration::hours(1)).timestamp();
    let token = key.sign(&issuer.claims(in_an_hour));
    *issuer.behaviour.tokens.lock().unwrap() = json!({ "access_token": token });
    let shown = async || {
        let code = json!({"code": "c", "code_verifier": "v", "redirect_uri": "r"});
        let post = service.client.post(service.url("/v1/sign-in")).json(&code).send();
        assert_eq!(post.await.unwrap().status(), 200);
        issuer.behaviour.forms.lock().unwrap().pop().unwrap()["client_secret"].clone()
    };
    assert_eq!(shown().await, "one");
    write("two\n", "http://me:two@127.0.0.1:9");
    service.hang_up();
    service.until_logged("were read anew", 1).await;
    assert_eq!(shown().await, "two");
    assert!(!service.log().contains("leads elsewhere"));
    // What is at another place is for the next start, and is said.
    write("three\n", "http://me:three@127.0.0.1:10");
    service.hang_up();
    service.until_logged("were read anew", 2).await;
    assert_eq!(shown().await, "three");
    let log = service.log();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("leads elsewhere")).collect();
    assert!(matches!(said[..], [line] if line.contains("schema_registry_url")), "{said:?}");
}

/// What was let in by a secret does not outlive it; whoever has a good token goes on.
#[tokio::test]
async fn streams_and_tickets_end_with_the_secret_they_were_opened_by() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets");
    let write = |text: String| std::fs::write(&file, text).unwrap();
    write(OLD.to_owned());
    let data = Arc::new(tempfile::tempdir().unwrap());
    let variables =
        [("TIDEMARK_JWT_SECRET", ""), ("TIDEMARK_JWT_SECRET_FILE", file.to_str().unwrap())];
    let service = Service::start_with(data, &variables).await;
    let far = Duration::days(20_000);
    let platform = signed(OLD, None, &[Role::Platform], far);
    let body = json!({
        "id": "live", "name": "Live", "timezone": "UTC", "currency": "EUR",
        "clock": "fixed:2025-06-30",
    });
    let created = service.post("/v1/platform/tenants", &platform).json(&body).send().await;
    assert_eq!(created.unwrap().status(), 201);
    let [old, new] = [OLD, NEW].map(|secret| signed(secret, Some("live"), &[Role::Admin], far));
    service.send(&old, &[invoice("i1", "c1", "100")]).await;

    let aging = json!({"id": "a", "view": "ar_aging"});
    let mut events = Events::open(&service, &old, std::slice::from_ref(&aging), None).await;
    assert_eq!(events.telling().await.0, "snapshot");
    let mut request = format!("ws://{}/v1/ws", service.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {old}").parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();

    // A secret that comes beside it ends nothing.
    write(format!("{NEW}\n{OLD}\n"));
    service.hang_up();
    service.until_logged("were read anew", 1).await;
    service.send(&old, &[payment("p1", "i1", "30")]).await;
    assert_eq!(events.telling().await.0, "delta");
    let ticket = service.post("/v1/tickets", &old).send().await.unwrap();
    let ticket = ticket.json::<Value>().await.unwrap()["ticket"].as_str().unwrap().to_owned();

    write(NEW.to_owned());
    service.hang_up();
    let held = events.last_id.clone();
    let ended = timeout(std::time::Duration::from_secs(10), async {
        events.end().await;
        loop {
            if let Message::Close(frame) = socket.next().await.unwrap().unwrap() {
                return frame.unwrap().code;
            }
        }
    });
    assert_eq!(u16::from(ended.await.expect("both end at once")), 4007);
    let path = stream(&[("ticket", ticket), ("sub", aging.to_string())]);
    let late = service.client.get(service.url(&path)).send().await.unwrap();
    assert_eq!(late.status(), 401);
    let path = stream(&[("sub", aging.to_string())]);
    assert_eq!(service.get(&path, &old).send().await.unwrap().status(), 401);

    service.send(&new, &[payment("p2", "i1", "20")]).await;
    let mut resumed = Events::open(&service, &new, &[aging], Some(&held)).await;
    assert_eq!(resumed.telling().await.0, "resumed");
    assert_eq!(resumed.telling().await.0, "delta");
}

/// A text that can be found again, in the place of a secret.
const MARK: &str = "hush";

#[tokio::test]
async fn no_secret_is_in_anything_that_is_written() {
    let key = SigningKey::fresh("k", Algorithm::ES256);
    let issuer = ExampleIssuer::start(&[&key]).await;
    let (shown, private) = certificate("secrets");
    let secret = format!("{MARK}-{NEW}");
    let database = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", database.path().join("control.db").display());
    let data = Arc::new(tempfile::tempdir().unwrap());
    let registry = format!("http://me:{MARK}-registry@127.0.0.1:9");
    let audit_key = format!("{MARK}-the key of the audit, longer than 32 bytes");
    let variables: [(&str, &str); 15] = [
        ("TIDEMARK_LOG", "debug"),
        ("TIDEMARK_JWT_SECRET", secret.as_str()),
        ("TIDEMARK_AUDIT_KEY", &audit_key),
        ("TIDEMARK_TLS_CERTIFICATE", &shown),
        ("TIDEMARK_TLS_KEY", &private),
        ("TIDEMARK_DATABASE_URL", &database),
        ("TIDEMARK_KAFKA_SASL_PASSWORD", "hush-kafka"),
        ("TIDEMARK_SCHEMA_REGISTRY_URL", &registry),
        ("TIDEMARK_OIDC_ISSUER", &issuer.address),
        ("TIDEMARK_OIDC_AUDIENCE", "figures"),
        ("TIDEMARK_OIDC_CLIENT_ID", "page"),
        ("TIDEMARK_OIDC_CLIENT_SECRET", "hush-client"),
        ("TIDEMARK_OIDC_PLATFORM_CLIENT_SECRET", "hush-operators"),
        ("TIDEMARK_SMTP_URL", "smtp://me:hush-smtp@127.0.0.1:9"),
        ("TIDEMARK_SMTP_FROM", "figures@tidemark.example"),
    ];
    let root = reqwest::Certificate::from_pem(shown.as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([root]).build().unwrap();
    let service = Service::start_as(Arc::clone(&data), &variables, ("https", client)).await;

    let mut texts = Vec::new();
    let mut tokens = Vec::new();
    let in_an_hour = (chrono::Utc::now() + Duration::hours(1)).timestamp();
    for role in Role::ALL {
        let tenant = (role != Role::Platform).then_some("silent");
        tokens.push(signed(&secret, tenant, &[role], Duration::hours(1)));
    }
    tokens.push(token(Some("silent"), &[Role::Admin])); // of another secret
    tokens.push(signed(&secret, Some("silent"), &[Role::Admin], Duration::hours(-1)));
    tokens.push(key.sign(&issuer.claims(in_an_hour)));
    tokens.push(format!("{MARK}-no-token"));
    let body = json!({"id": "silent", "name": "Silent", "timezone": "UTC", "currency": "EUR"});
    let create = service.post("/v1/platform/tenants", &tokens[4]).json(&body);
    assert_eq!(create.send().await.unwrap().status(), 201);
    for token in &tokens {
        for path in ["/v1/views", "/v1/platform/tenants", "/v1/stream", "/v1/tickets", "/nowhere"] {
            let answer = service.get(path, token).send().await.unwrap();
            texts.push(format!("{:?}", answer.headers()));
            texts.push(answer.text().await.unwrap());
        }
    }
    // A ticket is shown to whoever asked for it and to nobody else.
    let answer = service.post("/v1/tickets", &tokens[0]).send().await.unwrap();
    let ticket = answer.json::<Value>().await.unwrap()["ticket"].as_str().unwrap().to_owned();
    let path = format!("/v1/stream?ticket={ticket}");
    let answer = service.client.get(service.url(&path)).send().await.unwrap();
    texts.push(answer.text().await.unwrap());
    // A sign-in that works and one that does not.
    let code = json!({"code": "hush-code", "code_verifier": "hush-verifier", "redirect_uri": "r"});
    for answer in [json!({"access_token": tokens[7]}), json!({"error": "invalid_grant"})] {
        *issuer.behaviour.tokens.lock().unwrap() = answer;
        let post =
            service.client.post(service.url("/v1/sign-in")).json(&code).send().await.unwrap();
        assert!([200, 401].contains(&post.status().as_u16()));
    }
    assert_eq!(issuer.behaviour.forms.lock().unwrap()[0]["client_secret"], "hush-client");
    service.hang_up();
    service.until_logged("were read anew", 1).await;
    let metrics = service.client.get(service.url("/metrics")).send().await.unwrap();
    texts.push(metrics.text().await.unwrap());
    texts.push(service.log());

    let check = |variables: &[(&str, &str)]| {
        let mut check = Command::new(env!("CARGO_BIN_EXE_tidemark"));
        let output = check.arg("check-config").envs(variables.iter().copied()).output().unwrap();
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    };
    let config = check(&variables);
    assert!(config.contains("oidc.client_secret"), "{config}");
    texts.push(config);
    // Wrong ones are not repeated either.
    for (name, value) in [
        ("TIDEMARK_JWT_SECRET", "hush"),
        ("TIDEMARK_AUDIT_KEY", "hush-short"),
        ("TIDEMARK_TLS_KEY", "hush-key"),
        ("TIDEMARK_DATABASE_URL", "mysql://me:hush-database@h/d"),
        ("TIDEMARK_SCHEMA_REGISTRY_URL", "me:hush-registry@h"),
        ("TIDEMARK_SMTP_URL", "http://me:hush-smtp@h"),
        ("TIDEMARK_OIDC_ISSUER", "https://me:hush-issuer@id.example.com"),
    ] {
        let wrong = check(&[&variables[..], &[(name, value)]].concat());
        assert!(wrong.contains("does not hold"), "{name}: {wrong}");
        texts.push(wrong);
    }
    let mut refused = command(&data);
    refused.envs(variables).env("TIDEMARK_TLS_KEY", certificate("other").1);
    let refused = refused.stderr(std::process::Stdio::piped()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    texts.push(String::from_utf8_lossy(&refused.stderr).into_owned());

    assert!(texts.iter().any(|text| text.contains("DEBUG")), "the log is that of debugging");
    let inner = private.lines().nth(5).unwrap();
    for text in &texts {
        assert!(!text.contains(MARK), "{}", around(text, MARK));
        assert!(!text.contains(inner), "the private key");
        for token in tokens.iter().take(8).chain([&ticket]) {
            // A part of it would do for nobody; all of it, or its signature, would.
            let signature = token.rsplit('.').next().unwrap();
            assert!(!text.contains(signature), "{}", around(text, signature));
        }
    }
}

/// The lines of a text that have this in them.
fn around(text: &str, part: &str) -> String {
    text.lines().filter(|line| line.contains(part)).collect::<Vec<_>>().join("\n")
}
