//! The producer: transactions, some aborted, some left open by a producer that dies, with repeats
//! within and across them. In the end every fact was committed, by the first message of its id.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use crate::broker::addresses;
use crate::firms::Firm;
use crate::history::{Fact, Value};
use crate::run::Progress;
use crate::wire::{Form, Wire};

/// For everything that the broker is asked for.
const PATIENCE: Duration = Duration::from_mins(2);
/// Facts of one transaction, at most.
const FACTS: usize = 300;

/// What was sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    committed: usize,
    aborted: usize,
    /// Left open by a producer that died.
    left_open: usize,
    messages: usize,
    repeats: usize,
}

/// One transactional producer after another, all of the same transactional id.
pub(crate) struct Producer<'a> {
    firms: &'a [Firm],
    wire: Wire,
    prefix: String,
    random: StdRng,
    client: ThreadedProducer<DefaultProducerContext>,
    /// What facts of each type may hold, to say something else under the same id.
    contents: HashMap<String, Vec<Vec<Value>>>,
    committed: Vec<Fact>,
    sent: Sent,
}

impl<'a> Producer<'a> {
    pub(crate) fn new(firms: &'a [Firm], wire: Wire, prefix: &str, random: StdRng) -> Self {
        let mut contents: HashMap<String, Vec<Vec<Value>>> = HashMap::new();
        for fact in firms.iter().flat_map(|firm| &firm.facts) {
            let known = contents.entry(fact.kind.name().to_owned()).or_default();
            known.push(fact.values.clone());
        }
        Self {
            firms,
            wire,
            prefix: prefix.to_owned(),
            random,
            client: client(prefix),
            contents,
            committed: Vec::new(),
            sent: Sent::default(),
        }
    }

    /// Writes all facts of the firms that do not post theirs, in an order that has nothing to do with theirs; some are left
    /// for after each kill. Blocks.
    pub(crate) fn produce(mut self, progress: &Progress) -> Sent {
        let firms = self.firms.iter().filter(|firm| !firm.posts);
        let mut facts: Vec<Fact> = firms.flat_map(|firm| firm.facts.iter().cloned()).collect();
        facts.shuffle(&mut self.random);
        let mut rest = &facts[..];
        while !rest.is_empty() {
            let allowed = progress.allowed(facts.len()) - (facts.len() - rest.len());
            // Between two kills what is there already is sent again and again.
            let count = self.random.random_range(1..=FACTS).min(allowed).min(rest.len());
            let (now, later) = rest.split_at(count);
            if self.random.random_ratio(1, 4) {
                self.give_up(now);
            }
            self.commit(now);
            rest = later;
            let pause = if allowed == 0 { 300 } else { 120 };
            sleep(Duration::from_millis(self.random.random_range(0..=pause)));
        }
        self.sent
    }

    /// A transaction with these facts, repeats of them, and repeats of what was committed before.
    fn commit(&mut self, facts: &[Fact]) {
        self.sent.committed += 1;
        self.client.begin_transaction().unwrap();
        self.send_all(facts);
        let within = facts.choose_multiple(&mut self.random, facts.len() / 10 + 1).cloned();
        let count = self.random.random_range(0..40);
        let across = self.committed.choose_multiple(&mut self.random, count).cloned();
        let mut repeats: Vec<Fact> = within.chain(across).collect();
        repeats.shuffle(&mut self.random);
        self.sent.repeats += repeats.len();
        let repeats: Vec<Fact> = repeats.into_iter().map(|fact| self.altered(fact)).collect();
        self.send_all(&repeats);
        again(|| self.client.commit_transaction(PATIENCE));
        self.committed.extend_from_slice(facts);
    }

    /// A transaction that never counts: these facts with other contents, and facts that never are.
    fn give_up(&mut self, facts: &[Fact]) {
        self.client.begin_transaction().unwrap();
        for fact in facts {
            let mut ghost = self.altered(fact.clone());
            if self.random.random_bool(0.5) {
                ghost.id = format!("ghost-{}", ghost.id);
            }
            self.send(&ghost);
        }
        // The log must have it.
        self.client.flush(PATIENCE).unwrap();
        if self.random.random_ratio(1, 3) {
            self.sent.left_open += 1;
            self.client = client(&self.prefix);
        } else {
            self.sent.aborted += 1;
            again(|| self.client.abort_transaction(PATIENCE));
        }
    }

    /// The same event, half of the time with what another one of its type holds.
    fn altered(&mut self, mut fact: Fact) -> Fact {
        if self.random.random_bool(0.5) {
            let others = &self.contents[fact.kind.name()];
            fact.values.clone_from(others.choose(&mut self.random).unwrap());
        }
        fact
    }

    fn send_all(&mut self, facts: &[Fact]) {
        for fact in facts {
            self.send(fact);
        }
    }

    fn send(&mut self, fact: &Fact) {
        self.sent.messages += 1;
        let form = *[Form::Json, Form::New, Form::Old].choose(&mut self.random).unwrap();
        let tenant = &self.firms[fact.tenant.0 as usize].id;
        let value = self.wire.value(tenant, fact, form);
        let topic = format!("{}{}", self.prefix, fact.kind.name());
        let record = BaseRecord::to(&topic).key(tenant.as_str()).payload(&value);
        self.client.send(record).map_err(|(error, _)| error).unwrap();
    }
}

/// A producer that ends what an earlier one of this prefix has left open.
fn client(prefix: &str) -> ThreadedProducer<DefaultProducerContext> {
    let client: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", &addresses().0)
        .set("transactional.id", format!("{prefix}producer"))
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "5")
        .create()
        .unwrap();
    again(|| client.init_transactions(PATIENCE));
    client
}

/// Asks the broker until it is done.
fn again(ask: impl Fn() -> Result<(), KafkaError>) {
    loop {
        match ask() {
            Ok(()) => return,
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {}
            Err(error) => panic!("{error}"),
        }
    }
}
