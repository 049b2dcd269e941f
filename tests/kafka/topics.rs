//! Topics that become others under a running service.

use std::io::Read;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::cluster::{PARTITIONS, addresses, home, prefix, send, serve, until_figure, variables};
use crate::service::{Service, command, payment, problem};

fn brokers() -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", &addresses().0).create().unwrap()
}

/// The topics with a prefix, with their numbers of partitions.
fn topics(brokers: &AdminClient<DefaultClientContext>, prefix: &str) -> Vec<(String, usize)> {
    let metadata = brokers.inner().fetch_metadata(None, Duration::from_secs(10)).unwrap();
    let topics = metadata.topics().iter();
    let of_prefix =
        topics.filter(|topic| topic.error().is_none() && topic.name().starts_with(prefix));
    of_prefix.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect()
}

/// Removes a topic, and makes one of the same name.
async fn remade(topic: &str) {
    let brokers = brokers();
    let options = AdminOptions::new();
    let gone = brokers.delete_topics(&[topic], &options).await.unwrap();
    assert!(gone.iter().all(Result::is_ok), "{gone:?}");
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    let made = brokers.create_topics([&new], &options).await.unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    for _ in 0..200 {
        if !topics(&brokers, topic).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{topic} is not made anew");
}

fn signal(service: &Service, name: &str) {
    let id = service.process.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
}

/// The node sees nothing of it but that the topic goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_while_the_node_was_halted_is_not_read_on() {
    let prefix = prefix();
    let service = serve(Arc::new(tempfile::tempdir().unwrap()), &prefix).await;
    let admin = service.tenant("acme").await;
    let payments: Vec<_> =
        (0..3).map(|number| payment(&format!("p{number}"), "i", "1.00")).collect();
    let receipt = service.send(&admin, &payments).await;
    let rows = service.rows(&admin, "unapplied_cash", &receipt["position"]).await;
    assert_eq!(rows.as_array().unwrap().len(), 3, "{rows}");

    signal(&service, "STOP");
    let topic = format!("{prefix}invoicing.payment_received");
    remade(&topic).await;
    for number in 0..6 {
        let payment = payment(&format!("n{number}"), "i", "1.00");
        send(&topic, "acme", payment.to_string().as_bytes()).await;
    }
    signal(&service, "CONT");
    until_figure(&service, "tidemark_kafka_stopped", home("acme"), "1").await;
    service.until_logged("so the topic was made anew", 1).await;
    // Its seat is taken from it soon after.
    let mut answer = service.get("/v1/views/unapplied_cash", &admin).send().await.unwrap();
    for _ in 0..200 {
        if answer.status() != 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer = service.get("/v1/views/unapplied_cash", &admin).send().await.unwrap();
    }
    problem(answer, 503, "source-stopped").await;
}

/// Tenants would be looked for in other partition numbers than they have been in.
#[tokio::test(flavor = "multi_thread")]
async fn with_another_number_of_partitions_all_stop_and_none_starts() {
    let (data, prefix) = (Arc::new(tempfile::tempdir().unwrap()), prefix());
    let service = serve(Arc::clone(&data), &prefix).await;
    let brokers = brokers();
    let there = topics(&brokers, &prefix);
    assert!(there.len() > 30 && there.iter().all(|(_, count)| *count == 3), "{there:?}");
    let grown: Vec<NewPartitions<'_>> =
        there.iter().map(|(topic, _)| NewPartitions::new(topic, 4)).collect();
    let made = brokers.create_partitions(&grown, &AdminOptions::new()).await.unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    for partition in 0..PARTITIONS {
        until_figure(&service, "tidemark_kafka_stopped", partition, "1").await;
    }
    let why = "have 4 partitions, and had 3";
    service.until_logged(why, 3).await;
    drop(service);

    let registry = &addresses().1;
    let mut refused = command(&data).envs(variables(&prefix, registry)).spawn().unwrap();
    let mut ended = None;
    for _ in 0..1200 {
        ended = refused.try_wait().unwrap();
        if ended.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if ended.is_none() {
        refused.kill().unwrap();
    }
    let mut said = String::new();
    refused.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    refused.wait().unwrap();
    assert!(ended.is_some_and(|status| !status.success()), "{said}");
    assert!(said.contains(why) && said.contains("Beginning anew"), "{said}");
}
