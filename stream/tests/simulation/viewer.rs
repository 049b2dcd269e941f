//! A viewer: it follows over one connection after the other, believes what it is told, and holds all
//! of it against what is true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use projections::Position;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::case::{Plan, STALL_S, TEAMS};
use crate::cluster::{Cluster, Promise, TENANT};
use crate::link::{Heard, Kind, Link};
use crate::network::Pace;
use crate::support::client::{Client, Held, Reference, State};
use crate::support::{Shared, VIEWS};

/// Before a viewer comes again.
const BACKOFF: Duration = Duration::from_millis(100);
/// Subscriptions that a viewer has at most.
const WATCHES: usize = 4;

/// How often everything was heard, by who heard it.
pub(crate) type Tally = BTreeMap<String, u64>;

/// What a viewer is told to do.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Watch(Watch),
    /// The one at this place ends.
    Unwatch(usize),
    /// The one at this place ends, and another of the same goes on from where it was.
    WatchAgain {
        place: usize,
        is_newest: bool,
    },
    /// It does not read for a time.
    Pause(Duration),
    /// Its connection breaks.
    Drop(Coming),
    /// It goes on until it knows that it holds what there is.
    Settle,
}

/// What a viewer watches.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) view: usize,
    pub(crate) team: Option<usize>,
    pub(crate) rate_ms: u16,
}

/// How a viewer comes again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coming {
    pub(crate) resume: Resume,
    /// After this time.
    pub(crate) away: Duration,
    /// First to the node that does not serve the tenant.
    pub(crate) is_lost: bool,
}

/// What a viewer goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    Afresh,
    /// An event stream's last id, as browsers do; a WebSocket has none, and goes on from its own.
    LastId,
    /// Each subscription from its own position: that of its last message, or the newest at which it
    /// was complete.
    Own {
        is_newest: bool,
    },
}

/// What viewers share.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) world: Shared,
    pub(crate) cluster: Arc<Mutex<Cluster>>,
    pub(crate) reference: Arc<Mutex<Reference>>,
    pub(crate) tally: Arc<Mutex<Tally>>,
}

/// What is shared, whoever failed while having it.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Viewer {
    stage: Stage,
    acts: mpsc::UnboundedReceiver<Act>,
    kind: Kind,
    pace: Pace,
    watches: BTreeMap<String, Watch>,
    /// What has been heard of on this connection.
    client: Client,
    /// What has been asked for on this connection and not been heard of.
    asked: BTreeMap<String, Held>,
    /// What was ended on this connection: messages of it may be on their way.
    gone: BTreeSet<String>,
    next_id: u32,
    /// The last `id` of an event stream, and what was held there: what came after it does not count.
    last_id: Option<String>,
    committed: BTreeMap<String, Held>,
    /// For how long this connection was not read.
    paused: Duration,
    is_settling: bool,
}

impl Watch {
    fn held(&self) -> Held {
        Held::new(self.view, self.team.map(|team| TEAMS[team]), self.rate_ms > 0)
    }

    fn subscription(&self, id: &str, from: Option<&str>) -> Value {
        let mut sub = json!({ "id": id, "view": VIEWS[self.view] });
        if let Some(team) = self.team {
            sub["where"] = json!({ "team": TEAMS[team] });
        }
        if self.rate_ms > 0 {
            sub["max_rate_ms"] = json!(self.rate_ms);
        }
        if let Some(from) = from {
            sub["resume"] = json!(from);
        }
        sub
    }
}

impl Coming {
    /// From where all its subscriptions are. Not at once: whoever is turned away again and again would
    /// leave time no chance to pass.
    const BACK: Self = Self { resume: Resume::LastId, away: BACKOFF, is_lost: false };
}

impl Viewer {
    pub(crate) fn new(stage: Stage, plan: &Plan, acts: mpsc::UnboundedReceiver<Act>) -> Self {
        let watches = (0..).zip(&plan.watches);
        let watches: BTreeMap<_, _> =
            watches.map(|(number, watch)| (name(number), watch.clone())).collect();
        Self {
            stage,
            acts,
            kind: plan.kind,
            pace: plan.pace,
            next_id: watches.len() as u32,
            watches,
            client: Client::new(TENANT),
            asked: BTreeMap::new(),
            gone: BTreeSet::new(),
            last_id: None,
            committed: BTreeMap::new(),
            paused: Duration::ZERO,
            is_settling: false,
        }
    }

    /// Follows until it has settled.
    pub(crate) async fn run(mut self) {
        let mut coming = Coming::BACK;
        loop {
            sleep(coming.away).await;
            let (link, promise) = self.connect(coming).await;
            match self.follow(link, promise).await {
                Some(again) => coming = again,
                None => return,
            }
        }
    }

    /// Tries until it is let in.
    async fn connect(&mut self, coming: Coming) -> (Link, Promise) {
        let subs = self.ask(coming.resume);
        let mut is_lost = coming.is_lost;
        self.paused = Duration::ZERO;
        loop {
            let dialled = lock(&self.stage.cluster).dial(is_lost, self.pace);
            is_lost = false;
            if let Some((io, promise)) = dialled {
                let last_id = self.last_id.as_deref();
                if let Some(link) = Link::open(io, self.kind, &subs, last_id).await {
                    return (link, promise);
                }
                let is_promised = lock(&self.stage.cluster).holds(promise);
                assert!(!is_promised, "it is not let in, and nothing has happened");
                self.note("refused");
            }
            sleep(BACKOFF).await;
        }
    }

    /// What is to be asked for on a new connection; what was held is kept as far as it goes on.
    fn ask(&mut self, resume: Resume) -> Vec<Value> {
        let mut before = std::mem::take(&mut self.client.subs);
        before.append(&mut self.asked);
        self.client.reconnect();
        self.gone.clear();
        let resume = match (self.kind, resume) {
            (Kind::Socket { .. }, Resume::LastId) => Resume::Own { is_newest: true },
            (_, resume) => resume,
        };
        let by_last_id = resume == Resume::LastId && self.last_id.is_some();
        if by_last_id {
            before.clone_from(&self.committed);
        } else {
            self.void();
        }
        let mut subs = Vec::new();
        for (id, watch) in &self.watches {
            let held = before.remove(id);
            let from = match resume {
                Resume::Own { is_newest } => {
                    held.as_ref().and_then(|held| held.resumable(TENANT, is_newest))
                }
                Resume::Afresh | Resume::LastId => None,
            };
            let held = held.filter(|_| by_last_id || from.is_some());
            self.asked.insert(id.clone(), held.unwrap_or_else(|| watch.held()));
            subs.push(watch.subscription(id, from.as_deref()));
        }
        subs
    }

    /// There is no last id any more.
    fn void(&mut self) {
        self.last_id = None;
        self.committed.clear();
    }

    /// Follows one connection. Answers how it comes again, or nothing when it has settled.
    async fn follow(&mut self, mut link: Link, promise: Promise) -> Option<Coming> {
        loop {
            tokio::select! {
                biased;
                act = self.acts.recv() => {
                    if let Some(coming) = self.perform(act?, &mut link).await {
                        return Some(coming);
                    }
                }
                heard = link.hear() => match heard {
                    Ok(heard) => {
                        if self.take(&heard) {
                            return None;
                        }
                    }
                    Err(ended) => {
                        let code = ended.0.map_or(String::new(), |code| format!(" {code}"));
                        self.note(&format!("end{code}"));
                        let is_read = self.paused < Duration::from_secs(STALL_S) / 2;
                        let is_promised = lock(&self.stage.cluster).holds(promise);
                        assert!(!(is_promised && is_read), "it ended, and nothing has happened");
                        return Some(Coming::BACK);
                    }
                }
            }
        }
    }

    /// Does what it is told. Answers how it comes again, if it leaves.
    async fn perform(&mut self, act: Act, link: &mut Link) -> Option<Coming> {
        match act {
            Act::Watch(watch) if self.watches.len() < WATCHES => {
                let id = self.next_name();
                link.say("subscribe", watch.subscription(&id, None));
                self.asked.insert(id.clone(), watch.held());
                self.watches.insert(id, watch);
                self.anew(true)
            }
            Act::Watch(_) => None,
            Act::Unwatch(place) => {
                // An event stream without any is none.
                if self.kind == Kind::Events && self.watches.len() < 2 {
                    return None;
                }
                let id = self.nth(place)?;
                self.watches.remove(&id);
                self.end(&id, link);
                self.anew(true)
            }
            Act::WatchAgain { place, is_newest } => {
                let id = self.nth(place)?;
                if self.kind != Kind::Events {
                    let watch = self.watches.remove(&id)?;
                    let held = self.end(&id, link);
                    self.go_on(watch, held, is_newest, link);
                }
                self.anew(is_newest)
            }
            Act::Pause(time) => {
                self.paused += time;
                sleep(time).await;
                None
            }
            Act::Drop(coming) => Some(coming),
            Act::Settle => {
                self.is_settling = true;
                None
            }
        }
    }

    /// An event stream that watches something else is another one.
    fn anew(&self, is_newest: bool) -> Option<Coming> {
        let resume = Resume::Own { is_newest };
        (self.kind == Kind::Events).then_some(Coming { resume, ..Coming::BACK })
    }

    /// Ends a subscription of a WebSocket; what was held of it.
    fn end(&mut self, id: &str, link: &Link) -> Option<Held> {
        link.say("unsubscribe", json!({ "id": id }));
        self.gone.insert(id.to_owned());
        let asked = self.asked.remove(id);
        asked.or_else(|| self.client.subs.remove(id))
    }

    /// Goes on with what was held, as another subscription of the same WebSocket.
    fn go_on(&mut self, watch: Watch, held: Option<Held>, is_newest: bool, link: &Link) {
        let id = self.next_name();
        let from = held.as_ref().and_then(|held| held.resumable(TENANT, is_newest));
        let held = held.filter(|_| from.is_some());
        link.say("subscribe", watch.subscription(&id, from.as_deref()));
        self.asked.insert(id.clone(), held.unwrap_or_else(|| watch.held()));
        self.watches.insert(id, watch);
    }

    /// Takes a message, and checks all that it claims. True if it has settled.
    fn take(&mut self, heard: &Heard) -> bool {
        let message = &heard.message;
        let kind = message["type"].as_str().unwrap();
        self.note(kind);
        if let Some(id) = message["id"].as_str() {
            assert_ne!(kind, "error", "{message}");
            if self.gone.contains(id) {
                return false;
            }
            if let Some(held) = self.asked.remove(id) {
                self.client.subs.insert(id.to_owned(), held);
            }
        }
        let reference = Arc::clone(&self.stage.reference);
        let reference = lock(&reference);
        self.client.receive(message, &reference);
        let complete = match heard.mark.as_deref() {
            Some("") => {
                self.void();
                None
            }
            Some(mark) => {
                let at = sequence(mark);
                self.client.complete_at(at, &reference);
                self.commit(at);
                self.last_id = Some(mark.to_owned());
                Some(at)
            }
            None => self.heartbeat(message),
        };
        let newest = self.stage.world.0.position(TENANT).sequence;
        self.is_settling && complete == Some(newest)
    }

    /// The position at which a heartbeat of a WebSocket says that everything is complete.
    fn heartbeat(&self, message: &Value) -> Option<u64> {
        let is_heartbeat = message["type"] == "heartbeat" && self.kind != Kind::Events;
        let position = message["position"].as_str().filter(|_| is_heartbeat)?;
        self.asked.is_empty().then(|| sequence(position))
    }

    /// What is held is what an event stream goes on from: nothing of it may be of a later position.
    fn commit(&mut self, at: u64) {
        let all = self.client.subs.iter().chain(&self.asked);
        self.committed = all
            .map(|(id, held)| {
                assert_eq!(held.state, State::Live, "an id, and {id} has not been heard of");
                assert!(held.told <= at, "an id of {at}, and {id} was told {}", held.told);
                (id.clone(), Held { at, told: at, ..held.clone() })
            })
            .collect();
    }

    fn nth(&self, place: usize) -> Option<String> {
        let place = place.checked_rem(self.watches.len())?;
        self.watches.keys().nth(place).cloned()
    }

    fn next_name(&mut self) -> String {
        self.next_id += 1;
        name(self.next_id)
    }

    fn note(&self, what: &str) {
        let who = if self.kind == Kind::Events { "events" } else { "socket" };
        *lock(&self.stage.tally).entry(format!("{who}: {what}")).or_default() += 1;
    }
}

fn name(number: u32) -> String {
    format!("s{number}")
}

fn sequence(position: &str) -> u64 {
    Position::parse(TENANT, position).unwrap().sequence
}
