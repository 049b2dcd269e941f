#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Instant;

use projections::Tenant;
use serde_json::{Value, json};

use super::super::Connection;
use super::super::bench::{self, TENANT};
use crate::hub::Hub;
use crate::limits::StreamLimits;
use crate::subscription::Subscription;
use crate::support::World;

fn connect(hub: &Hub, tenant: Tenant) -> Connection {
    bench::connect(hub, tenant, Ok(()), Instant::now())
}

fn subscribe(connection: &mut Connection, wanted: &Value) -> bool {
    let wanted = Subscription::parse(&wanted.to_string()).unwrap();
    connection.subscribe(wanted, Instant::now())
}

fn read(connection: &mut Connection) -> Vec<Value> {
    bench::json(connection, Instant::now())
}

#[tokio::test]
async fn who_follows_alerts_is_told_that_there_is_something_new() {
    let hub = Hub::new(World::shared(), StreamLimits::default());
    let (mut here, mut elsewhere) = (connect(&hub, TENANT), connect(&hub, Tenant(2)));
    let wanted = json!({"id": "bell", "alerts": true});
    let told = json!({"type": "alerts", "id": "bell"});
    for connection in [&mut here, &mut elsewhere] {
        assert!(subscribe(connection, &wanted));
        // From here on it is told: what there is, it reads now.
        assert_eq!(read(connection), std::slice::from_ref(&told));
        assert_eq!(read(connection), [] as [Value; 0]);
    }
    // However often there was something, it is one message, and it wakes who waits.
    hub.alerted(TENANT);
    hub.alerted(TENANT);
    here.ready(Instant::now() + std::time::Duration::from_mins(1)).await;
    assert_eq!(read(&mut here), [told]);
    assert_eq!(read(&mut elsewhere), [] as [Value; 0]);
}

#[tokio::test]
async fn a_subscription_to_alerts_is_one_of_the_connections() {
    let limits = StreamLimits { subscriptions: 2, ..StreamLimits::default() };
    let hub = Hub::new(World::shared(), limits);
    let mut connection = connect(&hub, TENANT);
    assert!(subscribe(&mut connection, &json!({"id": "a", "alerts": true})));
    assert!(!subscribe(&mut connection, &json!({"id": "a", "view": "items"})));
    assert!(subscribe(&mut connection, &json!({"id": "b", "view": "items"})));
    assert!(!subscribe(&mut connection, &json!({"id": "c", "alerts": true})));
    let kinds: Vec<Value> = read(&mut connection).iter().map(|m| m["type"].clone()).collect();
    assert_eq!(kinds, ["error", "error", "alerts", "snapshot"]);
    connection.unsubscribe("a");
    hub.alerted(TENANT);
    assert_eq!(read(&mut connection), [] as [Value; 0]);
    connection.unsubscribe("a");
    assert_eq!(read(&mut connection)[0]["type"], "error");
}
