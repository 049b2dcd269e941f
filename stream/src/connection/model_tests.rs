//! Random changes, joins, leaves, slow reads, drops and resumes, against what is true.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use projections::{Tenant, TenantDelta};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::{Connection, Step, bench};
use crate::hub::Hub;
use crate::limits::StreamLimits;
use crate::message::Message;
use crate::subscription::Subscription;
use crate::support::client::{Client, Held, Reference, State};
use crate::support::{Shared, VIEWS, World};

const TENANT: Tenant = Tenant(3);
const TEAMS: [&str; 3] = ["red", "green", "blue"];
const CLIENTS: usize = 3;
/// Cases that failed once; they are tried first.
const REGRESSIONS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/connection/model_tests.regressions");

/// The view, the item, and its team and amount, or nothing to remove it.
type Change = (usize, u8, Option<(usize, i8)>);

#[derive(Clone, Debug)]
enum Op {
    /// Edits, and whether the hub hears of them at once.
    Apply {
        edits: Vec<Change>,
        is_published: bool,
    },
    Subscribe {
        client: usize,
        id: u8,
        view: usize,
        team: Option<usize>,
        rate: u16,
        resume: bool,
    },
    Unsubscribe {
        client: usize,
        id: u8,
    },
    Read {
        client: usize,
        messages: u8,
    },
    Pass {
        ms: u32,
    },
    /// The connection breaks; the client resumes what it held, or asks anew.
    Drop {
        client: usize,
        resume: bool,
        is_newest: bool,
    },
    Sweep,
}

fn op() -> impl Strategy<Value = Op> {
    let edit = (0..2_usize, 0..12_u8, proptest::option::weighted(0.7, (0..3_usize, any::<i8>())));
    let edits = prop_oneof![
        4 => proptest::collection::vec(edit.clone(), 0..4),
        1 => proptest::collection::vec(edit, 20..40),
    ];
    let client = 0..CLIENTS;
    prop_oneof![
        8 => (edits, proptest::bool::weighted(0.8))
            .prop_map(|(edits, is_published)| Op::Apply { edits, is_published }),
        3 => (
            client.clone(),
            0..4_u8,
            0..2_usize,
            proptest::option::of(0..3_usize),
            prop_oneof![3 => Just(0_u16), 1 => 1..500_u16],
            any::<bool>(),
        )
            .prop_map(|(client, id, view, team, rate, resume)| Op::Subscribe {
                client, id, view, team, rate, resume,
            }),
        1 => (client.clone(), 0..4_u8).prop_map(|(client, id)| Op::Unsubscribe { client, id }),
        8 => (client.clone(), 1..12_u8)
            .prop_map(|(client, messages)| Op::Read { client, messages }),
        2 => (0..20_000_u32).prop_map(|ms| Op::Pass { ms }),
        2 => (client, proptest::bool::weighted(0.8), any::<bool>())
            .prop_map(|(client, resume, is_newest)| Op::Drop { client, resume, is_newest }),
        1 => Just(Op::Sweep),
    ]
}

struct Run {
    world: Shared,
    hub: Hub,
    reference: Reference,
    unpublished: Vec<TenantDelta>,
    connections: Vec<Connection>,
    clients: Vec<Client>,
    now: Instant,
}

impl Run {
    fn new(limits: StreamLimits) -> Self {
        let world = World::shared();
        let hub = Hub::new(world.clone(), limits);
        let now = Instant::now();
        let connections = (0..CLIENTS).map(|_| connect(&hub, now)).collect();
        let clients = (0..CLIENTS).map(|_| Client::new(TENANT)).collect();
        let reference = Reference::from([(0, world.0.rows(TENANT))]);
        Self { world, hub, reference, unpublished: Vec::new(), connections, clients, now }
    }

    fn perform(&mut self, op: Op) {
        match op {
            Op::Apply { edits, is_published } => self.apply(&edits, is_published),
            Op::Subscribe { client, id, view, team, rate, resume } => {
                let id = format!("s{id}");
                let held = Held::new(view, team.map(|t| TEAMS[t]), rate > 0);
                let before = self.clients[client].subs.remove(&id);
                if before.is_some() {
                    self.connections[client].unsubscribe(&id);
                }
                let resumed = before.filter(|b| {
                    resume && b.view == held.view && b.team == held.team && b.state == State::Live
                });
                let held = Held { is_limited: rate > 0, ..resumed.clone().unwrap_or(held) };
                let from = resumed.and_then(|r| r.resumable(TENANT, true));
                self.subscribe(client, &id, &held, rate, from.as_deref());
                self.clients[client].subs.insert(id, held);
            }
            Op::Unsubscribe { client, id } => {
                let id = format!("s{id}");
                self.connections[client].unsubscribe(&id);
                self.clients[client].subs.remove(&id);
            }
            Op::Read { client, messages } => {
                for _ in 0..messages {
                    self.read(client);
                }
            }
            Op::Pass { ms } => self.now += Duration::from_millis(ms.into()),
            Op::Drop { client, resume, is_newest } => self.reconnect(client, resume, is_newest),
            Op::Sweep => self.hub.shared.sweep(self.now),
        }
    }

    fn apply(&mut self, edits: &[Change], is_published: bool) {
        let names: Vec<String> = edits.iter().map(|(_, item, _)| format!("item {item}")).collect();
        let edits: Vec<_> = edits
            .iter()
            .zip(&names)
            .map(|((view, _, row), name)| {
                (*view, name.as_str(), row.map(|(t, amount)| (Some(TEAMS[t]), i128::from(amount))))
            })
            .collect();
        let events = edits.len() as u64 + 1;
        let delta = self.world.0.apply(TENANT, events, &edits);
        self.reference.insert(delta.snapshot.position().sequence, self.world.0.rows(TENANT));
        self.unpublished.push(delta);
        if is_published {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let deltas = std::mem::take(&mut self.unpublished);
        self.hub.shared.publish(&deltas, self.now);
    }

    fn subscribe(&mut self, client: usize, id: &str, held: &Held, rate: u16, from: Option<&str>) {
        let mut wanted = serde_json::json!({"id": id, "view": VIEWS[held.view]});
        if let Some(team) = &held.team {
            wanted["where"] = serde_json::json!({"team": team});
        }
        if rate > 0 {
            wanted["max_rate_ms"] = rate.into();
        }
        if let Some(from) = from {
            wanted["resume"] = from.into();
        }
        let wanted = Subscription::parse(&wanted.to_string()).unwrap();
        self.connections[client].subscribe(wanted, self.now);
    }

    fn reconnect(&mut self, client: usize, resume: bool, is_newest: bool) {
        self.connections[client] = connect(&self.hub, self.now);
        self.clients[client].reconnect();
        let mut subs = std::mem::take(&mut self.clients[client].subs);
        for (id, held) in &mut subs {
            let from = held.resumable(TENANT, is_newest).filter(|_| resume);
            if from.is_none() {
                *held = Held::new(held.view, held.team.as_deref(), held.is_limited);
            }
            let rate = if held.is_limited { 100 } else { 0 };
            self.subscribe(client, id, held, rate, from.as_deref());
        }
        self.clients[client].subs = subs;
    }

    /// Takes one step of a connection. False if there is nothing to be read now.
    fn read(&mut self, client: usize) -> bool {
        match self.connections[client].step(self.now) {
            Step::Message(message) => {
                self.receive(client, &message);
                true
            }
            Step::Again => true,
            Step::Idle => {
                assert!(self.connections[client].deadline() > self.now, "a busy loop");
                false
            }
            Step::Stalled => {
                self.reconnect(client, true, true);
                true
            }
        }
    }

    fn receive(&mut self, client: usize, message: &Message) {
        let json = serde_json::from_str(&message.clone().into_json()).unwrap();
        let client = &mut self.clients[client];
        client.receive(&json, &self.reference);
        // What an event stream would resume from must be complete.
        let mut event = Vec::new();
        message.write_event(&mut event);
        let event = String::from_utf8(event).unwrap();
        if let Some(line) = event.lines().find_map(|l| l.strip_prefix("id: ")) {
            let at = projections::Position::parse(TENANT, line).unwrap();
            client.complete_at(at.sequence, &self.reference);
        }
    }

    /// Lets everybody read until nothing is left, then holds all against the final state.
    fn settle(&mut self) {
        self.publish();
        for client in 0..CLIENTS {
            // A subscription with a rate may be due twice.
            for _ in 0..4 {
                while self.read(client) {}
                self.now += Duration::from_millis(501);
            }
            let newest = self.world.0.position(TENANT).sequence;
            let client = &mut self.clients[client];
            client.subs.retain(|_, held| held.state != State::Ended);
            client.complete_at(newest, &self.reference);
        }
    }
}

fn connect(hub: &Hub, now: Instant) -> Connection {
    bench::connect(hub, TENANT, Ok(()), now)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_client_always_holds_what_is_true(
        ops in proptest::collection::vec(op(), 1..120),
        connection_bytes in prop_oneof![Just(200_usize), Just(900), Just(1 << 20)],
        ring_bytes in prop_oneof![Just(0_usize), Just(3_000), Just(1 << 20)],
        snapshot_part_rows in 1..6_usize,
    ) {
        let limits = StreamLimits {
            connection_bytes, ring_bytes, snapshot_part_rows, ring_age_s: 60,
            ..StreamLimits::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        let mut run = Run::new(limits);
        for op in ops {
            run.perform(op);
        }
        run.settle();
    }
}

#[test]
fn resumed_with_another_rate_behind_the_others() {
    let limits = StreamLimits {
        connection_bytes: 200,
        ring_bytes: 3_000,
        snapshot_part_rows: 1,
        ring_age_s: 60,
        ..StreamLimits::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let mut run = Run::new(limits);
    let subscribe =
        |id, team, rate, resume| Op::Subscribe { client: 2, id, view: 0, team, rate, resume };
    let mut many = vec![(0, 0, None); 19];
    many.push((0, 3, Some((0, 0))));
    for op in [
        subscribe(1, None, 1, false),
        subscribe(2, Some(0), 0, false),
        Op::Apply { edits: vec![], is_published: false },
        Op::Read { client: 2, messages: 1 },
        Op::Apply { edits: many, is_published: false },
        Op::Apply { edits: vec![], is_published: true },
        Op::Read { client: 2, messages: 3 },
        subscribe(1, None, 0, true),
        Op::Apply { edits: vec![], is_published: false },
    ] {
        run.perform(op);
    }
    run.settle();
}
