//! A client that believes only what it is told, and checks it against what is true.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use projections::{Position, Tenant};
use serde_json::Value;

use super::{Rows, VIEWS, expected};

/// What the views held at every position there was.
pub type Reference = HashMap<u64, [Rows; 2]>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing has been heard.
    Waiting,
    /// Some parts of a snapshot have come.
    Partial,
    Live,
    /// A reset has come.
    Void,
    /// An error has come.
    Ended,
}

#[derive(Clone, Debug)]
pub struct Held {
    pub view: usize,
    pub team: Option<String>,
    pub is_limited: bool,
    pub rows: BTreeMap<String, i64>,
    pub state: State,
    /// Where it is known to be, by its own messages or by those that completed a position.
    pub at: u64,
    /// Where its own last message left it.
    pub told: u64,
    /// Whether it was resumed from before the others: it may come to them with the next position,
    /// which can be one at which nothing else has changed.
    pub is_behind: bool,
}

impl Held {
    pub fn new(view: usize, team: Option<&str>, is_limited: bool) -> Self {
        let team = team.map(str::to_owned);
        Self {
            view,
            team,
            is_limited,
            rows: BTreeMap::new(),
            state: State::Waiting,
            at: 0,
            told: 0,
            is_behind: false,
        }
    }

    /// A position to resume from, if there is one: the newest, or that of its own last message.
    pub fn resumable(&self, tenant: Tenant, is_newest: bool) -> Option<String> {
        let sequence = if is_newest { self.at } else { self.told };
        (self.state == State::Live).then(|| Position::new(tenant, sequence).to_string())
    }

    fn check(&self, id: &str, sequence: u64, reference: &Reference) {
        let rows = reference.get(&sequence).unwrap_or_else(|| panic!("{sequence} is no position"));
        let held: BTreeSet<String> = self.rows.keys().cloned().collect();
        assert!(self.rows.values().all(|w| *w == 1), "{id} at {sequence}: {:?}", self.rows);
        assert_eq!(held, expected(&rows[self.view], self.team.as_deref()), "{id} at {sequence}");
    }
}

pub struct Client {
    pub tenant: Tenant,
    pub subs: BTreeMap<String, Held>,
    /// The highest position of a delta or a snapshot so far.
    last: u64,
    pub heard: Vec<String>,
}

impl Client {
    pub fn new(tenant: Tenant) -> Self {
        Self { tenant, subs: BTreeMap::new(), last: 0, heard: Vec::new() }
    }

    /// A new connection, with what was held before.
    pub fn reconnect(&mut self) {
        self.last = 0;
        self.heard.clear();
    }

    /// Takes a message, and checks all that it claims.
    pub fn receive(&mut self, message: &Value, reference: &Reference) {
        let kind = message["type"].as_str().unwrap().to_owned();
        self.heard.push(kind.clone());
        let id = message["id"].as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "snapshot" => self.snapshot(&id, message, reference),
            "delta" => self.delta(&id, message, reference),
            "resumed" => {
                let at = self.sequence(message);
                let held = self.subs.get_mut(&id).unwrap();
                assert_eq!(held.state, State::Live, "only what is held can be resumed");
                assert!(at == held.at || at == held.told);
                (held.at, held.told) = (at, at);
                held.is_behind = at < self.last;
                held.check(&id, at, reference);
            }
            "reset" => {
                assert!(!message["reason"].as_str().unwrap().is_empty());
                let held = self.subs.get_mut(&id).unwrap();
                held.rows.clear();
                held.state = State::Void;
            }
            "error" => {
                assert!(message["problem"]["detail"].is_string());
                if let Some(held) = self.subs.get_mut(&id) {
                    held.state = State::Ended;
                }
            }
            "heartbeat" => self.complete_at(self.sequence(message), reference),
            "pong" => {}
            other => panic!("unknown message {other}"),
        }
    }

    /// All that is held must be what was true at `sequence`, or later where later was told.
    pub fn complete_at(&mut self, sequence: u64, reference: &Reference) {
        for (id, held) in &mut self.subs {
            if held.state == State::Ended {
                continue;
            }
            assert_eq!(held.state, State::Live, "{id} is not complete");
            held.at = held.at.max(sequence);
            held.check(id, held.at, reference);
        }
    }

    fn snapshot(&mut self, id: &str, message: &Value, reference: &Reference) {
        let at = self.sequence(message);
        self.moves_to(at, reference);
        let held = self.subs.get_mut(id).unwrap();
        assert_eq!(message["key"], serde_json::json!(["item"]), "of {}", VIEWS[held.view]);
        assert_eq!(message["columns"][2]["type"], "decimal");
        if held.state == State::Partial {
            assert_eq!(held.at, at, "all parts are of one position");
        } else {
            assert_ne!(held.state, State::Live, "a snapshot without a reset");
            held.rows.clear();
        }
        (held.at, held.told) = (at, at);
        for row in message["rows"].as_array().unwrap() {
            *held.rows.entry(row.to_string()).or_default() += 1;
        }
        if message["last"] == true {
            held.state = State::Live;
            held.check(id, at, reference);
        } else {
            held.state = State::Partial;
        }
    }

    fn delta(&mut self, id: &str, message: &Value, reference: &Reference) {
        let at = self.sequence(message);
        self.moves_to(at, reference);
        let held = self.subs.get_mut(id).unwrap();
        assert_eq!(held.state, State::Live);
        assert!(at > held.at, "{id}: from {} to {at}", held.at);
        let changes = message["changes"].as_array().unwrap();
        assert!(!changes.is_empty(), "a delta without changes");
        let mut has_come = false;
        for change in changes {
            let weight = change[0].as_i64().unwrap();
            assert!(weight == 1 || (weight == -1 && !has_come), "removals come first");
            has_come |= weight == 1;
            let key = change[1].to_string();
            let now = held.rows.entry(key.clone()).or_default();
            *now += weight;
            if *now == 0 {
                held.rows.remove(&key);
            }
        }
        (held.at, held.told) = (at, at);
        held.check(id, at, reference);
    }

    /// Before anything of a later position, everything of the one before must have come.
    fn moves_to(&mut self, at: u64, reference: &Reference) {
        if at <= self.last {
            return;
        }
        for (id, held) in &mut self.subs {
            let was_behind = std::mem::take(&mut held.is_behind);
            if held.state == State::Live && !held.is_limited && !was_behind && self.last > 0 {
                held.check(id, held.at.max(self.last), reference);
            }
        }
        self.last = at;
    }

    fn sequence(&self, message: &Value) -> u64 {
        let text = message["position"].as_str().unwrap();
        Position::parse(self.tenant, text).unwrap().sequence
    }
}
