//! Checkpoints and history in a bucket: the real process with an S3 server, which scripts/services
//! starts if it does not run.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::service::{self, Service, invoice, payment};

/// The address of the S3 server.
fn endpoint() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services");
    let output = Command::new(script).args(["start", "s3"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/services start s3: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().strip_prefix("s3 ").expect("it says where it is").to_owned()
}

/// The checkpoints that the process has made.
async fn checkpoints(service: &Service) -> u64 {
    let answer = service.client.get(service.url("/metrics")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let made = text.lines().find_map(|line| line.strip_prefix("tidemark_checkpoints_total "));
    made.map_or(0, |made| made.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_from_a_bucket() {
    let endpoint = endpoint();
    let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let address = format!("s3://tidemark/run-{started}/objects");
    let variables = [
        ("TIDEMARK_OBJECT_STORE_URL", address.as_str()),
        ("TIDEMARK_CHECKPOINT_MS", "100"),
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "tidemark"),
        ("AWS_SECRET_ACCESS_KEY", "tidemark-secret"),
    ];
    let data = Arc::new(tempfile::tempdir().unwrap());
    let service = Service::start_with(Arc::clone(&data), &variables).await;
    let admin = service.tenant("acme").await;
    let mut position = Value::Null;
    for round in 0..5 {
        let (invoiced, paid) = (format!("i{round}"), format!("p{round}"));
        let events = [invoice(&invoiced, "c1", "100.00"), payment(&paid, &invoiced, "40.00")];
        position = service.send(&admin, &events).await["position"].clone();
        let before = checkpoints(&service).await;
        for _ in 0..600 {
            if checkpoints(&service).await > before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(checkpoints(&service).await > before, "no checkpoint is made");
    }
    let aging = service.rows(&admin, "ar_aging", &position).await;
    assert_ne!(aging, json!([]));
    drop(service);
    assert!(!data.path().join("objects").exists(), "all of it is in the bucket");

    let service = Service::start_with(Arc::clone(&data), &variables).await;
    assert_eq!(service.rows(&admin, "ar_aging", &position).await, aging);
    let paid = "SELECT count(*), sum(amount) FROM events.\"invoicing.payment_received\"";
    assert_eq!(service.ask(&admin, paid).await, json!([[5, "200.0000"]]));
    let again = service.send(&admin, &[payment("p0", "i0", "40.00")]).await;
    assert_eq!(again["duplicates"], 1);
    drop(service);

    // Without the right to the bucket it says so, and serves nothing.
    let mut variables = variables;
    variables[6].1 = "another-secret";
    let mut refused = service::command(&data);
    let refused = refused.envs(variables).stderr(std::process::Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("checkpoints/0"), "{said}");
}
