//! The queries.

use std::cmp::Ordering;

use dbsp::operator::{CmpFunc, Max, Min};
use dbsp::utils::{Tup1, Tup2, Tup3, Tup4, Tup5, Tup6, Tup7, Tup8, Tup9};
use dbsp::{OrdZSet, RootCircuit, Stream};

use super::text::text;
use super::{Auction, Bid, Person, Run, Side, Tables, run};

/// Runs a query over so many events in steps of so many.
type Query = fn(usize, usize) -> Run;
type View<T> = Stream<RootCircuit, OrdZSet<T>>;

/// The queries by name. Left out: q6 and q11, whose windows over rows the crate has no ready
/// operator for, q10, which is q0 with two columns more, and q12, whose windows are of processing
/// time.
pub(crate) const QUERIES: &[(&str, Query)] = &[
    ("q0", |count, size| run(count, size, q0, text)),
    ("q1", |count, size| run(count, size, q1, q1_text)),
    ("q2", |count, size| run(count, size, q2, text)),
    ("q3", |count, size| run(count, size, q3, text)),
    ("q4", |count, size| run(count, size, q4, q4_text)),
    ("q5", |count, size| run(count, size, q5, text)),
    ("q7", |count, size| run(count, size, q7, text)),
    ("q8", |count, size| run(count, size, q8, text)),
    ("q9", |count, size| run(count, size, q9, text)),
    ("q13", |count, size| run(count, size, q13, text)),
    ("q14", |count, size| run(count, size, q14, q14_text)),
    ("q15", |count, size| run(count, size, q15, q15_text)),
    ("q16", |count, size| run(count, size, q16, q16_text)),
    ("q17", |count, size| run(count, size, q17, q17_text)),
    ("q18", |count, size| run(count, size, q18, text)),
    ("q19", |count, size| run(count, size, q19, text)),
    ("q20", |count, size| run(count, size, q20, text)),
    ("q21", |count, size| run(count, size, q21, text)),
    ("q22", |count, size| run(count, size, q22, text)),
];

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// 2026-01-01 in days since 1970: all events are of that day.
const FIRST_DAY: i64 = 20_454;

fn start(time: i64, window: i64) -> i64 {
    time - time.rem_euclid(window)
}

fn q0(tables: &Tables) -> View<Tup5<i64, i64, i64, i64, String>> {
    tables.bids.map(|Tup8(_, auction, bidder, price, _, _, time, extra): &Bid| {
        Tup5(*auction, *bidder, *price, *time, extra.clone())
    })
}

/// The price in thousandths.
fn q1(tables: &Tables) -> View<Tup5<i64, i64, i64, i64, String>> {
    tables.bids.map(|Tup8(_, auction, bidder, price, _, _, time, extra): &Bid| {
        Tup5(*auction, *bidder, *price * 908, *time, extra.clone())
    })
}

fn thousandths(value: i64) -> String {
    format!("{}.{:03}", value / 1_000, value % 1_000)
}

fn q1_text(Tup5(auction, bidder, price, time, extra): &Tup5<i64, i64, i64, i64, String>) -> String {
    format!("0\t{auction}\t{bidder}\t{}\t{time}\t{extra}", thousandths(*price))
}

fn q2(tables: &Tables) -> View<Tup2<i64, i64>> {
    tables.bids.flat_map(|bid: &Bid| (bid.1 % 123 == 0).then_some(Tup2(bid.1, bid.3)))
}

fn q3(tables: &Tables) -> View<Tup4<String, String, String, i64>> {
    let auctions = tables
        .auctions
        .flat_map_index(|auction: &Auction| (auction.8 == 10).then_some((auction.7, auction.1)));
    let people = tables.people.flat_map_index(|person: &Person| {
        let row = || Tup3(person.2.clone(), person.5.clone(), person.6.clone());
        matches!(person.6.as_str(), "or" | "id" | "ca").then(|| (person.1, row()))
    });
    auctions.join(&people, |_, id, Tup3(name, city, state)| {
        Tup4(name.clone(), city.clone(), state.clone(), *id)
    })
}

/// Category, and sum and number of the final prices.
fn q4(tables: &Tables) -> View<Tup3<i64, i64, i64>> {
    let auctions = tables.auctions.map_index(|a: &Auction| (a.1, Tup3(a.8, a.5, a.6)));
    let bids = tables.bids.map_index(|bid: &Bid| (bid.1, Tup2(bid.6, bid.3)));
    auctions
        .join_index(&bids, |id, Tup3(category, opens, expires), Tup2(time, price)| {
            (opens <= time && time <= expires).then_some((Tup2(*id, *category), *price))
        })
        .aggregate(Max)
        .map_index(|(Tup2(_, category), price)| (*category, *price))
        .aggregate_linear(|price| Tup2(*price, 1_i64))
        .map(|(category, Tup2(sum, count))| Tup3(*category, *sum, *count))
}

fn q4_text(Tup3(category, sum, count): &Tup3<i64, i64, i64>) -> String {
    format!("0\t{category}\t{:?}", *sum as f64 / *count as f64)
}

fn q5(tables: &Tables) -> View<Tup3<i64, i64, i64>> {
    let counts = tables
        .bids
        .flat_map_index(|bid: &Bid| {
            let slide = start(bid.6, 2 * SECOND);
            let auction = bid.1;
            (0..5).map(move |back| (Tup2(auction, slide - back * 2 * SECOND), ()))
        })
        .aggregate_linear(|()| 1_i64);
    let counts = counts.map_index(|(Tup2(auction, starts), bids)| (*starts, Tup2(*bids, *auction)));
    let most = counts.map_index(|(starts, Tup2(bids, _))| (*starts, *bids)).aggregate(Max);
    let most = most.map_index(|(starts, bids)| (Tup2(*starts, *bids), ()));
    counts
        .map_index(|(starts, Tup2(bids, auction))| (Tup2(*starts, *bids), *auction))
        .join(&most, |Tup2(starts, bids), auction, ()| Tup3(*auction, *starts, *bids))
}

fn q7(tables: &Tables) -> View<Tup5<i64, i64, i64, i64, String>> {
    let highest = tables
        .bids
        .map_index(|bid: &Bid| (start(bid.6, 10 * SECOND), bid.3))
        .aggregate(Max)
        .map_index(|(starts, price)| (Tup2(*starts, *price), ()));
    tables
        .bids
        .map_index(|bid: &Bid| {
            let key = Tup2(start(bid.6, 10 * SECOND), bid.3);
            (key, Tup4(bid.1, bid.2, bid.6, bid.7.clone()))
        })
        .join(&highest, |Tup2(_, price), Tup4(auction, bidder, time, extra), ()| {
            Tup5(*auction, *price, *bidder, *time, extra.clone())
        })
}

fn q8(tables: &Tables) -> View<Tup3<i64, String, i64>> {
    let people =
        tables.people.map_index(|p: &Person| (Tup2(p.1, start(p.7, 10 * SECOND)), p.2.clone()));
    let sellers = tables
        .auctions
        .map_index(|a: &Auction| (Tup2(a.7, start(a.5, 10 * SECOND)), ()))
        .distinct();
    people.join(&sellers, |Tup2(id, starts), name, ()| Tup3(*id, name.clone(), *starts))
}

/// The auction but for its extra, then that, bidder, price, time of the bid, its extra.
type Won = Tup2<
    Tup9<i64, String, String, i64, i64, i64, i64, i64, i64>,
    Tup5<String, i64, i64, i64, String>,
>;

fn q9(tables: &Tables) -> View<Won> {
    let times = tables.auctions.map_index(|a: &Auction| (a.1, Tup2(a.5, a.6)));
    let bids = tables.bids.map_index(|bid: &Bid| {
        // The greatest is the highest, and of equal ones the first.
        (bid.1, Tup5(bid.3, -bid.6, -bid.0, bid.2, bid.7.clone()))
    });
    let won = times
        .join_index(&bids, |id, Tup2(opens, expires), bid| {
            (*opens <= -bid.1 && -bid.1 <= *expires).then(|| (*id, bid.clone()))
        })
        .aggregate(Max);
    tables.auctions.map_index(|a: &Auction| (a.1, a.clone())).join(&won, |_, a, bid| {
        let Tup2(initial, reserve) = a.4;
        Tup2(
            Tup9(a.1, a.2.clone(), a.3.clone(), initial, reserve, a.5, a.6, a.7, a.8),
            Tup5(a.9.clone(), bid.3, bid.0, -bid.1, bid.4.clone()),
        )
    })
}

fn q13(tables: &Tables) -> View<Tup5<i64, i64, i64, i64, String>> {
    let side = tables.side.map_index(|Tup2(key, value): &Side| (*key, value.clone()));
    tables.bids.map_index(|bid: &Bid| (bid.1 % 10_000, Tup4(bid.1, bid.2, bid.3, bid.6))).join(
        &side,
        |_, Tup4(auction, bidder, price, time), value| {
            Tup5(*auction, *bidder, *price, *time, value.clone())
        },
    )
}

/// The price in thousandths.
fn q14(tables: &Tables) -> View<Tup7<i64, i64, i64, String, i64, String, i64>> {
    tables.bids.flat_map(|Tup8(_, auction, bidder, price, _, _, time, extra): &Bid| {
        let price = *price * 908;
        (price > 1_000_000_000 && price < 50_000_000_000).then(|| {
            let named = match (time % DAY) / HOUR {
                8..=18 => "dayTime",
                0..=6 | 20.. => "nightTime",
                _ => "otherTime",
            };
            let letters = extra.chars().filter(|letter| *letter == 'c').count() as i64;
            Tup7(*auction, *bidder, price, named.to_owned(), *time, extra.clone(), letters)
        })
    })
}

fn q14_text(row: &Tup7<i64, i64, i64, String, i64, String, i64>) -> String {
    let Tup7(auction, bidder, price, named, time, extra, letters) = row;
    let price = thousandths(*price);
    format!("0\t{auction}\t{bidder}\t{price}\t{named}\t{time}\t{extra}\t{letters}")
}

/// Of all and of the three ranks of price.
type Four = Tup4<i64, i64, i64, i64>;

fn rank(price: i64) -> u8 {
    match price {
        ..10_000 => 1,
        10_000..1_000_000 => 2,
        _ => 3,
    }
}

/// One of all, or of a rank, as counts.
fn four(rank: u8, times: i64) -> Four {
    let of = |wanted: u8| if rank == wanted { times } else { 0 };
    Tup4(of(0), of(1), of(2), of(3))
}

/// Bids, bidders and auctions.
type Statistics = Tup3<Four, Four, Four>;

fn add(one: &Four, other: &Four) -> Four {
    Tup4(one.0 + other.0, one.1 + other.1, one.2 + other.2, one.3 + other.3)
}

/// Counts bids, bidders and auctions by `group`.
macro_rules! statistics {
    ($bids:expr, $group:expr) => {{
        let bids = $bids.map_index(|bid: &Bid| {
            ($group(bid), Tup3(add(&four(0, 1), &four(rank(bid.3), 1)), four(9, 0), four(9, 0)))
        });
        // Whether it is a bidder, the rank or 0 for all, and which one: each once.
        let distinct = $bids
            .flat_map(|bid: &Bid| {
                let (group, rank) = ($group(bid), rank(bid.3));
                [
                    Tup4(group.clone(), true, 0, bid.2),
                    Tup4(group.clone(), true, rank, bid.2),
                    Tup4(group.clone(), false, 0, bid.1),
                    Tup4(group, false, rank, bid.1),
                ]
            })
            .distinct()
            .map_index(|Tup4(group, bidder, rank, _)| {
                let (none, one) = (four(9, 0), four(*rank, 1));
                let counts = if *bidder {
                    Tup3(none.clone(), one, none)
                } else {
                    Tup3(none.clone(), none, one)
                };
                (group.clone(), counts)
            });
        bids.plus(&distinct).aggregate_linear(|counts: &Statistics| counts.clone())
    }};
}

fn day_of(bid: &Bid) -> Tup1<i64> {
    Tup1(start(bid.6, DAY))
}

fn q15(tables: &Tables) -> View<Tup2<i64, Statistics>> {
    statistics!(tables.bids, day_of).map(|(Tup1(day), counts)| Tup2(*day, counts.clone()))
}

fn day(time: i64) -> &'static str {
    if time / DAY == FIRST_DAY { "2026-01-01" } else { "another day" }
}

fn q15_text(Tup2(time, counts): &Tup2<i64, Statistics>) -> String {
    format!("0\t{}{}", day(*time), &text(counts)[1..])
}

fn channel_of(bid: &Bid) -> Tup2<String, i64> {
    Tup2(bid.4.clone(), start(bid.6, DAY))
}

/// Channel, day, minute, counts.
fn q16(tables: &Tables) -> View<Tup4<String, i64, i64, Statistics>> {
    let counts = statistics!(tables.bids, channel_of);
    let minutes =
        tables.bids.map_index(|bid: &Bid| (channel_of(bid), bid.6 % DAY / MINUTE)).aggregate(Max);
    counts.join(&minutes, |Tup2(channel, day), counts, minute| {
        Tup4(channel.clone(), *day, *minute, counts.clone())
    })
}

fn q16_text(Tup4(channel, time, minute, counts): &Tup4<String, i64, i64, Statistics>) -> String {
    let (hour, minute) = (minute / 60, minute % 60);
    format!("0\t{channel}\t{}\t{hour:02}:{minute:02}{}", day(*time), &text(counts)[1..])
}

/// Auction, day, counts, least, greatest, sum.
type Prices = Tup6<i64, i64, Four, i64, i64, i64>;

fn q17(tables: &Tables) -> View<Prices> {
    let prices = tables.bids.map_index(|bid: &Bid| (Tup2(bid.1, start(bid.6, DAY)), bid.3));
    let counts =
        prices.aggregate_linear(|price| Tup2(add(&four(0, 1), &four(rank(*price), 1)), *price));
    let (least, greatest) = (prices.aggregate(Min), prices.aggregate(Max));
    counts
        .join_index(&least, |key, counts, least| Some((key.clone(), Tup2(counts.clone(), *least))))
        .join(&greatest, |Tup2(auction, day), Tup2(Tup2(counts, sum), least), greatest| {
            Tup6(*auction, *day, counts.clone(), *least, *greatest, *sum)
        })
}

fn q17_text(Tup6(auction, time, counts, least, greatest, sum): &Prices) -> String {
    let average = *sum as f64 / counts.0 as f64;
    let counts = &text(counts)[1..];
    format!("0\t{auction}\t{}{counts}\t{least}\t{greatest}\t{average:?}\t{sum}", day(*time))
}

/// A bid without its number.
type Plain = Tup7<i64, i64, i64, String, String, i64, String>;

fn plain(Tup8(_, auction, bidder, price, channel, url, time, extra): &Bid) -> Plain {
    Tup7(*auction, *bidder, *price, channel.clone(), url.clone(), *time, extra.clone())
}

fn q18(tables: &Tables) -> View<Plain> {
    tables
        .bids
        .map_index(|bid: &Bid| {
            let row = Tup5(bid.6, bid.0, bid.3, Tup2(bid.4.clone(), bid.5.clone()), bid.7.clone());
            (Tup2(bid.2, bid.1), row)
        })
        .aggregate(Max)
        .map(|(Tup2(bidder, auction), Tup5(time, _, price, Tup2(channel, url), extra))| {
            Tup7(*auction, *bidder, *price, channel.clone(), url.clone(), *time, extra.clone())
        })
}

/// Highest first, and of equal ones the earlier.
struct Highest;

impl CmpFunc<Bid> for Highest {
    fn cmp(left: &Bid, right: &Bid) -> Ordering {
        right.3.cmp(&left.3).then(left.0.cmp(&right.0)).then_with(|| left.cmp(right))
    }
}

fn q19(tables: &Tables) -> View<Tup2<Plain, i64>> {
    tables
        .bids
        .map_index(|bid: &Bid| (bid.1, bid.clone()))
        .topk_row_number_custom_order::<Highest, _, _>(10, |place, bid| Tup2(plain(bid), place))
        .map(|(_, row)| row.clone())
}

/// The bid, then the auction but for its id.
type Expanded = Tup2<Plain, Tup9<String, String, i64, i64, i64, i64, i64, i64, String>>;

fn q20(tables: &Tables) -> View<Expanded> {
    let auctions = tables.auctions.flat_map_index(|a: &Auction| {
        let Tup2(initial, reserve) = a.4;
        let row =
            || Tup9(a.2.clone(), a.3.clone(), initial, reserve, a.5, a.6, a.7, a.8, a.9.clone());
        (a.8 == 10).then(|| (a.1, row()))
    });
    tables
        .bids
        .map_index(|bid: &Bid| (bid.1, plain(bid)))
        .join(&auctions, |_, bid, auction| Tup2(bid.clone(), auction.clone()))
}

fn q21(tables: &Tables) -> View<Tup5<i64, i64, i64, String, String>> {
    tables.bids.flat_map(|bid: &Bid| {
        let id = match bid.4.to_lowercase().as_str() {
            "apple" => "0",
            "google" => "1",
            "facebook" => "2",
            "baidu" => "3",
            _ => bid.5.split("channel_id=").nth(1)?.split('&').next()?,
        };
        (!id.is_empty()).then(|| Tup5(bid.1, bid.2, bid.3, bid.4.clone(), id.to_owned()))
    })
}

fn q22(tables: &Tables) -> View<Tup7<i64, i64, i64, String, String, String, String>> {
    tables.bids.map(|bid: &Bid| {
        let mut parts = bid.5.split('/').skip(3).map(ToOwned::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Tup7(bid.1, bid.2, bid.3, bid.4.clone(), next(), next(), next())
    })
}
