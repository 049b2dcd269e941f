//! Broker and registry, and a service on topics of its own.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::service::Service;

/// The addresses of broker and registry.
pub(crate) fn addresses() -> &'static (String, String) {
    static ADDRESSES: OnceLock<(String, String)> = OnceLock::new();
    ADDRESSES.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services");
        let output = Command::new(script).arg("start").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "scripts/services start: {said}");
        let text = String::from_utf8(output.stdout).unwrap();
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.expect("it says where they are").trim().to_owned()
        };
        (of("kafka"), of("registry"))
    })
}

/// A prefix of topics that nobody else has.
pub(crate) fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    format!("p{started}-{}.", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The service with these topics as its source, on a folder that may have something in it.
pub(crate) async fn serve(data: Arc<tempfile::TempDir>, prefix: &str) -> Service {
    let (kafka, registry) = addresses();
    let variables = [
        ("TIDEMARK_KAFKA_BROKERS", kafka.as_str()),
        ("TIDEMARK_SCHEMA_REGISTRY_URL", registry.as_str()),
        ("TIDEMARK_KAFKA_TOPIC_PREFIX", prefix),
        ("TIDEMARK_KAFKA_GROUP", prefix),
        ("TIDEMARK_KAFKA_PARTITIONS", "3"),
    ];
    Service::start_with(data, &variables).await
}

/// Sends a message into the partition of its key.
pub(crate) async fn send(topic: &str, key: &str, value: &[u8]) {
    use rdkafka::producer::{FutureProducer, FutureRecord};
    let producer: FutureProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &addresses().0)
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap();
    let record = FutureRecord::to(topic).key(key).payload(value);
    producer.send(record, Duration::from_secs(10)).await.unwrap();
}
