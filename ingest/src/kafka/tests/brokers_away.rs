//! Brokers that are away when a partition is taken.

use std::sync::atomic::Ordering;
use std::time::Duration;

use projections::{Tenant, Tick};

use super::bench::services;
use super::door::door;
use super::*;

/// It waits for them, for as long as it takes, and records dates meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_taken_waits_for_its_brokers() {
    let mut bench = Bench::new(&[PAYMENT], 1).await;
    bench.send(&bench.topic(PAYMENT), Some("t1"), Some(&event("a"))).await;
    let (address, is_open) = door(&services().kafka).await;
    is_open.store(false, Ordering::SeqCst);
    bench.parts.settings.brokers = address;
    let mut reading = bench.read(0, &[PAYMENT]);
    // It has asked in vain by the time it records a date.
    let today = "2024-01-01".parse().unwrap();
    reading.partition.tick(vec![Tick { tenant: Tenant(1), today }]).await.unwrap();
    assert!(!reading.partition.has_ended());
    is_open.store(true, Ordering::SeqCst);
    reading.until(1).await;
    reading.catch_up().await;
    assert_eq!(reading.sorted(), ["a"]);
}

/// Told to leave, it does not wait any longer.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_for_its_brokers_can_be_closed() {
    let mut bench = Bench::new(&[PAYMENT], 1).await;
    let (address, is_open) = door(&services().kafka).await;
    is_open.store(false, Ordering::SeqCst);
    bench.parts.settings.brokers = address;
    let reading = bench.read(0, &[PAYMENT]);
    reading.partition.close();
    let ended = tokio::time::timeout(Duration::from_mins(1), reading.partition.ended()).await;
    assert!(ended.unwrap().is_none(), "it was closed");
}
