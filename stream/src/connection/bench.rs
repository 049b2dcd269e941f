//! What tests of connections have in common: a world, a hub over it, and who connects and reads.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Instant;

use projections::{Position, Tenant};
use serde_json::Value;

use super::{Connection, Step};
use crate::hub::{Hub, Snapshots};
use crate::limits::StreamLimits;
use crate::message::Message;
use crate::problem::Problem;
use crate::subscription::Subscription;
use crate::support::{Edit, Shared, World};

pub(super) const TENANT: Tenant = Tenant(1);

pub(super) struct Bench {
    pub(super) world: Shared,
    pub(super) hub: Hub,
    pub(super) now: Instant,
    pub(super) runtime: tokio::runtime::Runtime,
}

impl Bench {
    pub(super) fn new(limits: StreamLimits) -> Self {
        Self::showing(limits, |world| world)
    }

    /// One whose hub reads what `shown` makes of the world.
    pub(super) fn showing<S: Snapshots + 'static>(
        limits: StreamLimits,
        shown: impl FnOnce(Shared) -> S,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = World::shared();
        let hub = Hub::new(shown(world.clone()), limits);
        Self { world, hub, now: Instant::now(), runtime }
    }

    pub(super) fn connect(&self) -> Connection {
        self.connect_as(TENANT)
    }

    pub(super) fn connect_as(&self, tenant: Tenant) -> Connection {
        let _guard = self.runtime.enter();
        connect(&self.hub, tenant, Ok(()), self.now)
    }

    pub(super) fn put(&self, view: usize, item: &str, amount: i128) -> Position {
        self.edit(&[(view, item, Some((Some("red"), amount)))])
    }

    pub(super) fn edit(&self, edits: &[Edit<'_>]) -> Position {
        let delta = self.world.0.apply(TENANT, 1, edits);
        self.hub.shared.publish(std::slice::from_ref(&delta), self.now);
        delta.snapshot.position()
    }

    pub(super) fn subscribe(&self, connection: &mut Connection, wanted: &Value) {
        connection.subscribe(Subscription::parse(&wanted.to_string()).unwrap(), self.now);
    }

    pub(super) fn read(&self, connection: &mut Connection) -> Vec<Message> {
        read(connection, self.now)
    }

    pub(super) fn json(&self, connection: &mut Connection) -> Vec<Value> {
        json(connection, self.now)
    }
}

/// A connection of the tenant, which may ask SQL or not.
pub(super) fn connect(
    hub: &Hub,
    tenant: Tenant,
    asking: Result<(), Problem>,
    now: Instant,
) -> Connection {
    let place = hub.enter().unwrap_or_else(|r| panic!("{}", r.problem));
    let seat = hub.attach(tenant, place).unwrap_or_else(|r| panic!("{}", r.problem));
    Connection::new(hub.clone(), seat, asking, now)
}

/// All messages that can be read now.
pub(super) fn read(connection: &mut Connection, now: Instant) -> Vec<Message> {
    let mut messages = Vec::new();
    loop {
        match connection.step(now) {
            Step::Message(message) => messages.push(message),
            Step::Again => {}
            Step::Idle => return messages,
            Step::Stalled => panic!("stalled"),
        }
    }
}

/// The same as JSON.
pub(super) fn json(connection: &mut Connection, now: Instant) -> Vec<Value> {
    let messages = read(connection, now).into_iter();
    messages.map(|m| serde_json::from_str(&m.into_json()).unwrap()).collect()
}

/// The `id:` lines of an event stream: nothing, an empty one, or a position.
pub(super) fn ids(messages: &[Message]) -> Vec<Option<String>> {
    let id = |message: &Message| {
        let mut event = Vec::new();
        message.write_event(&mut event);
        let event = String::from_utf8(event).unwrap();
        event.lines().find_map(|l| l.strip_prefix("id:")).map(|id| id.trim().to_owned())
    };
    messages.iter().map(id).collect()
}

/// The type of each message.
pub(super) fn kinds(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|m| m["type"].as_str().unwrap()).collect()
}
