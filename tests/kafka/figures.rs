//! What those see who watch the service from outside: the offsets of the group, and figures.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::cluster::{addresses, home, prefix, send, serve, serve_with, until_figure};
use crate::service::{invoice, payment};

#[tokio::test(flavor = "multi_thread")]
async fn how_far_it_is_stands_in_the_group() {
    let prefix = prefix();
    let service = serve(Arc::new(tempfile::tempdir().unwrap()), &prefix).await;
    let admin = service.tenant("acme").await;
    let events = [invoice("i1", "c1", "10.00"), invoice("i2", "c1", "20.00")];
    service.send(&admin, &events).await;
    let group: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &addresses().0)
        .set("group.id", &prefix)
        .create()
        .unwrap();
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&format!("{prefix}invoicing.invoice_issued"), home("acme"));
    let mut told = Offset::Invalid;
    for _ in 0..400 {
        let list = group.committed_offsets(asked.clone(), Duration::from_secs(10)).unwrap();
        told = list.elements()[0].offset();
        if told == Offset::Offset(2) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the group is told {told:?}");
}

/// A message whose schema cannot be had waits, is counted, and keeps nobody from starting.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_schema_is_counted_and_delays_no_start() {
    let (data, prefix) = (Arc::new(tempfile::tempdir().unwrap()), prefix());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let registry = format!("http://{nobody}");
    let service = serve_with(Arc::clone(&data), &prefix, &registry).await;
    let admin = service.tenant("acme").await;
    let receipt = service.send(&admin, &[invoice("i1", "c1", "10.00")]).await;
    service.rows(&admin, "open_invoices", &receipt["position"]).await;
    let partition = home("acme");
    until_figure(&service, "tidemark_kafka_waiting_for_schema", partition, "0").await;
    until_figure(&service, "tidemark_kafka_lag", partition, "0").await;
    let topic = format!("{prefix}invoicing.payment_received");
    send(&topic, "acme", &[0, 0, 0, 0, 77, 1, 2, 3]).await;
    until_figure(&service, "tidemark_kafka_waiting_for_schema", partition, "1").await;
    until_figure(&service, "tidemark_kafka_lag", partition, "1").await;
    until_figure(&service, "tidemark_kafka_waiting_for_schema", (partition + 1) % 3, "0").await;

    drop(service);
    let service = serve_with(data, &prefix, &registry).await;
    until_figure(&service, "tidemark_kafka_waiting_for_schema", partition, "1").await;
    // What comes by other topics goes on; what stands behind it in its own waits too.
    let receipt = service.send(&admin, &[invoice("i2", "c1", "20.00")]).await;
    let rows = service.rows(&admin, "open_invoices", &receipt["position"]).await;
    assert_eq!(rows.as_array().unwrap().len(), 2, "{rows}");
    send(&topic, "acme", payment("p1", "i1", "1.00").to_string().as_bytes()).await;
    until_figure(&service, "tidemark_kafka_stopped", partition, "0").await;
    until_figure(&service, "tidemark_kafka_waiting_for_schema", partition, "1").await;
}
