//! Nexmark on dbsp: the queries that a user of the crate writes in a few lines, with the columns
//! and the order of rows of the SQL in `benches/nexmark/queries`.

mod queries;
mod text;

use std::time::{Duration, Instant};

use dbsp::utils::{Tup2, Tup8, Tup9, Tup10};
use dbsp::{DBData, OrdZSet, RootCircuit, Runtime, Stream, ZSetHandle, ZWeight};
use measure::clock::process_cpu;
use nexmark::event::Event;

use crate::circuit::{Changes, Sink};
pub(crate) use queries::QUERIES;
use text::Text;

/// Number of the event, id, name, address, card, city, state, time, extra; times in microseconds.
pub(crate) type Person = Tup9<i64, i64, String, String, String, String, String, i64, String>;
/// Number, id, item, description, (initial bid, reserve), time, expires, seller, category, extra.
pub(crate) type Auction =
    Tup10<i64, i64, String, String, Tup2<i64, i64>, i64, i64, i64, i64, String>;
/// Number, auction, bidder, price, channel, url, time, extra.
pub(crate) type Bid = Tup8<i64, i64, i64, i64, String, String, i64, String>;
/// Key and value of the side input.
pub(crate) type Side = Tup2<i64, String>;

/// The relations in the circuit.
pub(crate) struct Tables {
    pub(crate) people: Stream<RootCircuit, OrdZSet<Person>>,
    pub(crate) auctions: Stream<RootCircuit, OrdZSet<Auction>>,
    pub(crate) bids: Stream<RootCircuit, OrdZSet<Bid>>,
    pub(crate) side: Stream<RootCircuit, OrdZSet<Side>>,
}

type Handles = (ZSetHandle<Person>, ZSetHandle<Auction>, ZSetHandle<Bid>, ZSetHandle<Side>);

/// What a run took and gave.
pub(crate) struct Run {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) deltas: usize,
    pub(crate) sink: Box<dyn Sink>,
}

/// Runs a query over the first `count` events in steps of `size`.
pub(crate) fn run<T: DBData + Text>(
    count: usize,
    size: usize,
    query: fn(&Tables) -> Stream<RootCircuit, OrdZSet<T>>,
    text: fn(&T) -> String,
) -> Run {
    let (mut handle, (inputs, output)) = Runtime::init_circuit(1, move |circuit| {
        let (people, person) = circuit.add_input_zset();
        let (auctions, auction) = circuit.add_input_zset();
        let (bids, bid) = circuit.add_input_zset();
        let (side, side_row) = circuit.add_input_zset();
        let output = query(&Tables { people, auctions, bids, side }).accumulate_output();
        Ok(((person, auction, bid, side_row), output))
    })
    .expect("the circuit can be built");
    let inputs: Handles = inputs;
    let mut side: Vec<_> =
        (0..10_000_i64).map(|key| Tup2(Tup2(key, format!("value {key}")), 1)).collect();
    inputs.3.append(&mut side);
    handle.transaction().expect("the circuit runs");
    let mut sink = Changes::new(output, text);
    sink.take();

    let mut steps = steps(count, size);
    let (mut wall, mut cpu, mut deltas) = (Duration::ZERO, Duration::ZERO, 0);
    for step in &mut steps {
        let (began, used) = (Instant::now(), process_cpu());
        inputs.0.append(&mut step.people);
        inputs.1.append(&mut step.auctions);
        inputs.2.append(&mut step.bids);
        handle.transaction().expect("the circuit runs");
        deltas += sink.take();
        wall += began.elapsed();
        cpu += process_cpu() - used;
    }
    handle.kill().expect("the circuit ends");
    Run { wall, cpu, deltas, sink: Box::new(sink) }
}

/// The events of a step, as rows.
#[derive(Default)]
struct Step {
    people: Vec<Tup2<Person, ZWeight>>,
    auctions: Vec<Tup2<Auction, ZWeight>>,
    bids: Vec<Tup2<Bid, ZWeight>>,
}

fn steps(count: usize, size: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::with_capacity(count.div_ceil(size));
    for (number, event) in measure::auctions::events(count).enumerate() {
        if number % size == 0 {
            steps.push(Step::default());
        }
        if let Some(step) = steps.last_mut() {
            add(step, number as i64, event);
        }
    }
    steps
}

fn add(step: &mut Step, number: i64, event: Event) {
    match event {
        Event::Person(p) => step.people.push(Tup2(
            Tup9(
                number,
                p.id as i64,
                p.name,
                p.email_address,
                p.credit_card,
                p.city,
                p.state,
                p.date_time as i64 * 1_000,
                p.extra,
            ),
            1,
        )),
        Event::Auction(a) => step.auctions.push(Tup2(
            Tup10(
                number,
                a.id as i64,
                a.item_name,
                a.description,
                Tup2(a.initial_bid as i64, a.reserve as i64),
                a.date_time as i64 * 1_000,
                a.expires as i64 * 1_000,
                a.seller as i64,
                a.category as i64,
                a.extra,
            ),
            1,
        )),
        Event::Bid(b) => step.bids.push(Tup2(
            Tup8(
                number,
                b.auction as i64,
                b.bidder as i64,
                b.price as i64,
                b.channel,
                b.url,
                b.date_time as i64 * 1_000,
                b.extra,
            ),
            1,
        )),
    }
}
