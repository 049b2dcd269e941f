//! A service on topics of its own, and messages to them.

use std::sync::Arc;
use std::time::Duration;

pub(crate) use crate::broker::{addresses, prefix};
use crate::service::Service;

/// How many partitions the topics of a test have.
pub(crate) const PARTITIONS: i32 = 3;

/// The service with these topics as its source, on a folder that may have something in it.
pub(crate) async fn serve(data: Arc<tempfile::TempDir>, prefix: &str) -> Service {
    serve_with(data, prefix, &addresses().1).await
}

/// The same with another schema registry.
pub(crate) async fn serve_with(
    data: Arc<tempfile::TempDir>,
    prefix: &str,
    registry: &str,
) -> Service {
    Service::start_with(data, &variables(prefix, registry)).await
}

/// What a process is told of its source.
pub(crate) fn variables<'a>(prefix: &'a str, registry: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("TIDEMARK_KAFKA_BROKERS", addresses().0.as_str()),
        ("TIDEMARK_SCHEMA_REGISTRY_URL", registry),
        ("TIDEMARK_KAFKA_TOPIC_PREFIX", prefix),
        ("TIDEMARK_KAFKA_GROUP", prefix),
        ("TIDEMARK_KAFKA_PARTITIONS", "3"),
    ]
}

/// The partition number in which a tenant lives.
pub(crate) fn home(tenant: &str) -> i32 {
    ingest::partition_of(tenant.as_bytes(), PARTITIONS)
}

/// Waits until a figure of a partition number is this.
pub(crate) async fn until_figure(service: &Service, name: &str, partition: i32, expected: &str) {
    let line = format!("{name}{{partition=\"{partition}\"}} ");
    let mut figure = None;
    for _ in 0..1200 {
        let answer = service.client.get(service.url("/metrics")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        figure = text.lines().find_map(|found| found.strip_prefix(&line)).map(str::to_owned);
        if figure.as_deref() == Some(expected) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{line}{figure:?} instead of {expected}");
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
