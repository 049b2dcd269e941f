//! Random changes, joins, leaves, slow reads, evaluations now or later, circuits that take over and are
//! lost, drops and resumes of subscriptions to SQL beside some to views, against what is true.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use projections::{Position, Tenant, TenantDelta};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Connection, Step, bench};
use crate::hub::Hub;
use crate::limits::StreamLimits;
use crate::subscription::Subscription;
use crate::support::client::Reference;
use crate::support::questions::{Asker, Keeping, SQL, expected_answer};
use crate::support::{Shared, VIEWS, World, expected};

const TENANT: Tenant = Tenant(4);
const TEAMS: [&str; 2] = ["red", "green"];
const CLIENTS: usize = 2;

/// The view, the item, and its team and amount, or nothing to remove it.
type Change = (usize, u8, Option<(usize, i8)>);

#[derive(Clone, Debug)]
enum Op {
    Apply { edits: Vec<Change>, is_published: bool },
    Evaluate,
    Keep(Keeping),
    Subscribe { client: usize, id: u8, view: usize, is_sql: bool, rate: u16 },
    Unsubscribe { client: usize, id: u8 },
    Read { client: usize, messages: u8 },
    Pass { ms: u32 },
    Drop { client: usize, resume: bool },
}

fn op() -> impl Strategy<Value = Op> {
    // Few amounts, so that rows repeat and come back.
    let edit = (0..2_usize, 0..6_u8, proptest::option::weighted(0.7, (0..2_usize, 0..3_i8)));
    let client = 0..CLIENTS;
    prop_oneof![
        8 => (proptest::collection::vec(edit, 0..5), proptest::bool::weighted(0.8))
            .prop_map(|(edits, is_published)| Op::Apply { edits, is_published }),
        5 => Just(Op::Evaluate),
        3 => prop_oneof![
            4 => Just(Keeping::Ready),
            1 => Just(Keeping::NoRoom),
            1 => Just(Keeping::NotYet),
            1 => Just(Keeping::Anew),
            1 => Just(Keeping::Never),
        ]
        .prop_map(Op::Keep),
        3 => (
            client.clone(),
            0..4_u8,
            0..2_usize,
            proptest::bool::weighted(0.8),
            prop_oneof![3 => Just(0_u16), 1 => 1..3_u16],
        )
            .prop_map(|(client, id, view, is_sql, rate)| Op::Subscribe {
                client, id, view, is_sql, rate,
            }),
        1 => (client.clone(), 0..4_u8).prop_map(|(client, id)| Op::Unsubscribe { client, id }),
        8 => (client.clone(), 1..8_u8)
            .prop_map(|(client, messages)| Op::Read { client, messages }),
        2 => (0..20_000_u32).prop_map(|ms| Op::Pass { ms }),
        2 => (client, any::<bool>()).prop_map(|(client, resume)| Op::Drop { client, resume }),
    ]
}

/// What a client holds of one subscription, by what it was told alone.
#[derive(Clone, Debug)]
struct Held {
    view: usize,
    is_sql: bool,
    rate: u16,
    rows: BTreeMap<String, i64>,
    /// The position of its own last message, and the newest at which it was told to be.
    told: Option<u64>,
    at: u64,
    is_partial: bool,
}

impl Held {
    fn new(view: usize, is_sql: bool, rate: u16) -> Self {
        Self { view, is_sql, rate, rows: BTreeMap::new(), told: None, at: 0, is_partial: false }
    }

    fn wanted(&self, id: &str, from: Option<u64>) -> Subscription {
        let mut wanted = json!({"id": id, "max_rate_ms": self.rate});
        if self.is_sql {
            wanted["sql"] = SQL[self.view].into();
        } else {
            wanted["view"] = VIEWS[self.view].into();
        }
        if let Some(sequence) = from {
            wanted["resume"] = Position::new(TENANT, sequence).to_string().into();
        }
        Subscription::parse(&wanted.to_string()).unwrap()
    }

    fn check(&self, id: &str, sequence: u64, reference: &Reference) {
        let rows = reference.get(&sequence).unwrap_or_else(|| panic!("{sequence} is no position"));
        let rows = &rows[self.view];
        let due = if self.is_sql {
            expected_answer(rows)
        } else {
            expected(rows, None).into_iter().map(|row| (row, 1)).collect()
        };
        assert_eq!(self.rows, due, "{id} at {sequence}");
    }

    fn add(&mut self, row: &Value, weight: i64) {
        let key = row.to_string();
        let now = self.rows.entry(key.clone()).or_default();
        *now += weight;
        assert!(*now >= 0, "{key} goes and was not there");
        if *now == 0 {
            self.rows.remove(&key);
        }
    }
}

struct Run {
    world: Shared,
    asker: Arc<Asker>,
    hub: Hub,
    runtime: tokio::runtime::Runtime,
    reference: Reference,
    unpublished: Vec<TenantDelta>,
    connections: Vec<Connection>,
    clients: Vec<BTreeMap<String, Held>>,
    now: Instant,
}

impl Run {
    fn new(limits: StreamLimits) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (world, asker) = (World::shared(), Arc::<Asker>::default());
        let hub = Hub::answering(world.clone(), asker.clone(), limits);
        let now = Instant::now();
        let reference = Reference::from([(0, world.0.rows(TENANT))]);
        let connections = Vec::new();
        let clients = vec![BTreeMap::new(); CLIENTS];
        let unpublished = Vec::new();
        let mut run =
            Self { world, asker, hub, runtime, reference, unpublished, connections, clients, now };
        run.connections = (0..CLIENTS).map(|_| run.connect()).collect();
        run
    }

    fn connect(&self) -> Connection {
        let _guard = self.runtime.enter();
        bench::connect(&self.hub, TENANT, Ok(()), self.now)
    }

    fn perform(&mut self, op: Op) {
        match op {
            Op::Apply { edits, is_published } => self.apply(&edits, is_published),
            Op::Evaluate => self.let_tasks_run(),
            Op::Keep(keeping) => {
                self.asker.keep(keeping);
                self.hub.redefined(TENANT);
            }
            Op::Subscribe { client, id, view, is_sql, rate } => {
                let id = format!("s{id}");
                if self.clients[client].remove(&id).is_some() {
                    self.connections[client].unsubscribe(&id);
                }
                self.subscribe(client, &id, Held::new(view, is_sql, rate), None);
            }
            Op::Unsubscribe { client, id } => {
                let id = format!("s{id}");
                if self.clients[client].remove(&id).is_some() {
                    self.connections[client].unsubscribe(&id);
                }
            }
            Op::Read { client, messages } => {
                for _ in 0..messages {
                    self.read(client);
                }
            }
            Op::Pass { ms } => self.now += Duration::from_millis(ms.into()),
            Op::Drop { client, resume } => self.reconnect(client, resume),
        }
    }

    fn apply(&mut self, edits: &[Change], is_published: bool) {
        let names: Vec<String> = edits.iter().map(|(_, item, _)| format!("item {item}")).collect();
        let rows = edits.iter().zip(&names).map(|((view, _, row), name)| {
            let row = row.map(|(team, amount)| (Some(TEAMS[team]), i128::from(amount)));
            (*view, name.as_str(), row)
        });
        let delta = self.world.0.apply(TENANT, edits.len() as u64 + 1, &rows.collect::<Vec<_>>());
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

    fn let_tasks_run(&self) {
        self.runtime.block_on(async {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        });
    }

    fn subscribe(&mut self, client: usize, id: &str, held: Held, from: Option<u64>) {
        let _guard = self.runtime.enter();
        let wanted = held.wanted(id, from);
        assert!(self.connections[client].subscribe(wanted, self.now));
        self.clients[client].insert(id.to_owned(), held);
    }

    fn reconnect(&mut self, client: usize, resume: bool) {
        self.connections[client] = self.connect();
        for (id, held) in std::mem::take(&mut self.clients[client]) {
            let is_held = held.told.is_some() && !held.is_partial;
            if resume && held.is_sql && is_held {
                let from = held.at;
                self.subscribe(client, &id, held, Some(from));
            } else {
                let held = Held::new(held.view, held.is_sql, held.rate);
                self.subscribe(client, &id, held, None);
            }
        }
    }

    /// Takes one step of a connection. False if there is nothing to be read now.
    fn read(&mut self, client: usize) -> bool {
        match self.connections[client].step(self.now) {
            Step::Message(message) => {
                let message = serde_json::from_str(&message.into_json()).unwrap();
                self.receive(client, &message);
                true
            }
            Step::Again => true,
            Step::Idle => {
                assert!(self.connections[client].deadline() > self.now, "a busy loop");
                false
            }
            Step::Stalled => {
                self.reconnect(client, true);
                true
            }
        }
    }

    fn receive(&mut self, client: usize, message: &Value) {
        let subs = &mut self.clients[client];
        let position = message["position"].as_str();
        let at = position.map(|text| Position::parse(TENANT, text).unwrap().sequence);
        let kind = message["type"].as_str().unwrap();
        if kind == "heartbeat" {
            let at = at.unwrap();
            for held in subs.values_mut().filter(|held| held.told.is_some() && !held.is_partial) {
                held.at = held.at.max(at);
            }
            return;
        }
        let id = message["id"].as_str().unwrap();
        let held = subs.get_mut(id).unwrap();
        match kind {
            "snapshot" => {
                assert!(held.told.is_none() || held.is_partial, "a snapshot without a reset");
                assert!(!held.is_partial || held.told == at, "all parts are of one position");
                for row in message["rows"].as_array().unwrap() {
                    held.add(row, 1);
                }
                held.is_partial = message["last"] == false;
            }
            "delta" => {
                assert!(held.told.is_some_and(|told| Some(told) < at) && !held.is_partial);
                assert!(held.at < at.unwrap(), "it was told to be complete up to there");
                for change in message["changes"].as_array().unwrap() {
                    held.add(&change[1], change[0].as_i64().unwrap());
                }
            }
            "resumed" => assert_eq!(Some(held.at), at),
            "reset" => *held = Held::new(held.view, held.is_sql, held.rate),
            other => panic!("{other}: {message}"),
        }
        let Some(at) = at else { return };
        (held.told, held.at) = (Some(at), at);
        if kind == "resumed" || held.is_partial {
            return;
        }
        held.check(id, at, &self.reference);
        // What is told of SQL is never ahead of what is told of views.
        if held.is_sql {
            let views = subs.iter().filter(|(_, held)| !held.is_sql && held.rate == 0);
            for (id, held) in views.filter(|(_, held)| held.told.is_some() && !held.is_partial) {
                if held.told.is_some_and(|told| told < at) {
                    held.check(id, at, &self.reference);
                }
            }
        }
    }

    /// Lets everybody read until all hold what is true in the end.
    fn settle(&mut self) {
        self.publish();
        let newest = self.world.0.position(TENANT).sequence;
        for _ in 0..5_000 {
            self.let_tasks_run();
            for client in 0..CLIENTS {
                while self.read(client) {}
            }
            self.now += Duration::from_millis(5);
            let channel = self.hub.shared.channel_of(TENANT).unwrap();
            if channel.register().hold_to().is_some_and(|to| to >= newest) {
                break;
            }
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        }
        for client in 0..CLIENTS {
            // A subscription with a rate may be due twice.
            for _ in 0..4 {
                while self.read(client) {}
                self.now += Duration::from_millis(5);
            }
            for (id, held) in &self.clients[client] {
                held.check(id, newest, &self.reference);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_client_always_holds_the_answer(
        ops in proptest::collection::vec(op(), 1..100),
        connection_bytes in prop_oneof![Just(120_usize), Just(1 << 20)],
        ring_bytes in prop_oneof![Just(3_000_usize), Just(1 << 20)],
        snapshot_part_rows in 1..6_usize,
    ) {
        let limits = StreamLimits {
            connection_bytes, ring_bytes, snapshot_part_rows, ring_age_s: 60, sql_interval_ms: 0,
            ..StreamLimits::default()
        };
        let mut run = Run::new(limits);
        for op in ops {
            run.perform(op);
        }
        run.settle();
    }
}
