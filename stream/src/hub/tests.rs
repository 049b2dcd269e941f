#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use projections::{Position, Tenant};

use super::Hub;
use crate::connection::{Connection, Step};
use crate::limits::StreamLimits;
use crate::subscription::Subscription;
use crate::support::{Shared, World, row_json};

const TENANT: Tenant = Tenant(1);

fn connect(hub: &Hub, tenant: Tenant) -> Connection {
    let place = hub.enter().unwrap_or_else(|r| panic!("{}", r.problem));
    let seat = hub.attach(tenant, place).unwrap_or_else(|r| panic!("{}", r.problem));
    Connection::new(hub.clone(), seat, Ok(()), Instant::now())
}

/// Watches a view of one row, whose amount is the position, through so many messages.
async fn watch(hub: Hub, messages: usize) {
    let mut connection = connect(&hub, TENANT);
    let wanted = Subscription::parse(r#"{"id":"x","view":"items"}"#).unwrap();
    connection.subscribe(wanted, Instant::now());
    let mut seen = 0;
    let mut row: Option<serde_json::Value> = None;
    while seen < messages {
        connection.ready(Instant::now() + Duration::from_hours(1)).await;
        let Step::Message(message) = connection.step(Instant::now()) else { continue };
        let message: serde_json::Value = serde_json::from_str(&message.into_json()).unwrap();
        match message["type"].as_str().unwrap() {
            "snapshot" => row = message["rows"].as_array().unwrap().first().cloned(),
            "delta" => {
                for change in message["changes"].as_array().unwrap() {
                    if change[0] == -1 {
                        assert_eq!(row.take().as_ref(), Some(&change[1]));
                    } else {
                        assert_eq!(row.replace(change[1].clone()), None);
                    }
                }
            }
            "reset" => {
                row = None;
                continue;
            }
            _ => continue,
        }
        let position = message["position"].as_str().unwrap();
        let sequence = Position::parse(TENANT, position).unwrap().sequence;
        let now = row.as_ref().map(ToString::to_string);
        assert_eq!(now, (sequence > 0).then(|| row_json("only", None, sequence.into())));
        seen += 1;
    }
}

/// Applies one change after the other, and lets the hub hear of each a little later.
fn write(world: &Shared, hub: &Hub, until: &AtomicBool) {
    let mut sequence = 0;
    while !until.load(Ordering::Acquire) {
        sequence += 1;
        let edits = [(0, "only", Some((None, sequence)))];
        let delta = world.0.apply(TENANT, 1, &edits);
        std::thread::yield_now();
        hub.publish(&[delta]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_join_while_changes_come_miss_and_repeat_nothing() {
    let world = World::shared();
    // So small that some fall off the ring, and some get merged changes.
    let limits =
        StreamLimits { ring_bytes: 20_000, connection_bytes: 2_000, ..StreamLimits::default() };
    let hub = Hub::new(world.clone(), limits);
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (hub, is_over) = (hub.clone(), is_over.clone());
        move || write(&world, &hub, &is_over)
    });
    for _ in 0..40 {
        let watchers: Vec<_> = (1..8).map(|n| tokio::spawn(watch(hub.clone(), n * 3))).collect();
        for watcher in watchers {
            watcher.await.unwrap();
        }
    }
    is_over.store(true, Ordering::Release);
    writer.join().unwrap();
    assert_eq!(hub.connections(), 0);
}

#[tokio::test]
async fn connections_are_bounded_per_tenant_and_in_all() {
    let limits = StreamLimits { connections: 3, tenant_connections: 2, ..StreamLimits::default() };
    let hub = Hub::new(World::shared(), limits);
    let held = [connect(&hub, TENANT), connect(&hub, TENANT)];
    let place = hub.enter().unwrap_or_else(|r| panic!("{}", r.problem));
    let refused = hub.attach(TENANT, place).err().unwrap();
    assert_eq!(refused.problem.status, 429);
    let other = connect(&hub, Tenant(2));
    assert_eq!(hub.enter().err().unwrap().problem.status, 429);
    drop((held, other));
    assert_eq!(hub.connections(), 0);
    connect(&hub, TENANT);
}

#[tokio::test]
async fn what_all_tenants_have_is_redefined_for_all_of_them() {
    let hub = Hub::new(World::shared(), StreamLimits::default());
    let tenants = [TENANT, Tenant(2)];
    let _held = tenants.map(|tenant| connect(&hub, tenant));
    let definitions = |tenant: Tenant| {
        let channel = hub.shared.channel_of(tenant).unwrap();
        channel.ring().definitions()
    };
    hub.redefined(TENANT);
    assert_eq!(tenants.map(definitions), [1, 0]);
    hub.redefined_all();
    assert_eq!(tenants.map(definitions), [2, 1]);
}

#[tokio::test]
async fn a_ring_is_kept_for_a_while_after_the_last_one_left() {
    let hub = Hub::new(World::shared(), StreamLimits::default());
    assert!(hub.shared.channel_of(TENANT).is_none(), "nobody watches, nothing is kept");
    drop(connect(&hub, TENANT));
    let left = Instant::now();
    hub.shared.sweep(left + Duration::from_secs(299));
    assert!(hub.shared.channel_of(TENANT).is_some());
    let held = connect(&hub, TENANT);
    hub.shared.sweep(left + Duration::from_secs(400));
    assert!(hub.shared.channel_of(TENANT).is_some());
    drop(held);
    hub.shared.sweep(Instant::now() + Duration::from_secs(301));
    assert!(hub.shared.channel_of(TENANT).is_none());
}

#[tokio::test]
async fn many_rings_share_one_bound() {
    let world = World::shared();
    let limits =
        StreamLimits { ring_bytes: 10_000, rings_bytes: 20_000, ..StreamLimits::default() };
    let hub = Hub::new(world.clone(), limits);
    let held: Vec<_> = (0..10).map(|tenant| connect(&hub, Tenant(tenant))).collect();
    for round in 0..100 {
        for tenant in 0..10 {
            let edits = [(0, "a", Some((None, round)))];
            let delta = world.0.apply(Tenant(tenant), 1, &edits);
            hub.publish(&[delta]);
        }
    }
    let bytes: usize = (0..10)
        .map(|tenant| hub.shared.channel_of(Tenant(tenant)).unwrap().ring().held_bytes())
        .sum();
    assert!(bytes > 0 && bytes <= 20_000, "{bytes}");
    drop(held);
}

#[tokio::test]
async fn a_gap_in_what_is_published_starts_everybody_anew() {
    let world = World::shared();
    let hub = Hub::new(world.clone(), StreamLimits::default());
    let mut connection = connect(&hub, TENANT);
    let wanted = Subscription::parse(r#"{"id":"x","view":"items"}"#).unwrap();
    connection.subscribe(wanted, Instant::now());
    assert!(matches!(connection.step(Instant::now()), Step::Message(_)));
    drop(world.0.apply(TENANT, 1, &[(0, "lost", Some((None, 1)))]));
    hub.publish(&[world.0.apply(TENANT, 1, &[(0, "a", Some((None, 1)))])]);
    let mut told = Vec::new();
    while let Step::Message(message) = connection.step(Instant::now()) {
        told.push(message.into_json());
    }
    assert_eq!(told.len(), 2);
    assert!(told[0].contains("\"reset\"") && told[1].contains("lost"));
}

#[tokio::test]
async fn reads_wait_for_a_position() {
    let world = World::shared();
    let hub = Hub::new(world.clone(), StreamLimits::default());
    let position = Position::new(TENANT, 1);
    let late = hub.wait_for(position, Duration::from_millis(1)).await;
    assert!(late.is_err());
    let waiting = tokio::spawn({
        let hub = hub.clone();
        async move { hub.wait_for(position, Duration::from_mins(10)).await }
    });
    tokio::task::yield_now().await;
    hub.publish(&[world.0.apply(TENANT, 1, &[])]);
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(hub.wait_for(position, Duration::ZERO).await, Ok(()));
}
