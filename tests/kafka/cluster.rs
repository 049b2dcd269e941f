//! A service on topics of its own, and messages to them.

use std::sync::Arc;
use std::time::Duration;

pub(crate) use crate::broker::{addresses, prefix};
use crate::service::Service;

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
