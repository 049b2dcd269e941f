//! Answers that circuits keep.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use serde_json::{Value, json};

use super::super::Connection;
use super::super::bench::{TENANT, kinds};
use super::tests::{Bench, limits, slug};
use crate::limits::StreamLimits;
use crate::support::Edit;
use crate::support::questions::{Keeping, SQL};

impl Bench {
    /// Has circuits say so, and whoever waits for one told.
    fn keep(&self, keeping: Keeping) {
        self.asker.keep(keeping);
        self.hub.redefined(TENANT);
    }

    /// One who follows the query while a circuit keeps it; it was asked for twice.
    fn kept(&self) -> Connection {
        self.asker.keep(Keeping::NotYet);
        let mut connection = self.connect();
        self.follow(&mut connection, "x");
        self.read(&mut connection);
        assert_eq!((self.asker.asked(), self.asker.held()), (1, 1));
        self.keep(Keeping::Ready);
        self.until("it is compared", || self.asker.asked() == 2);
        connection
    }
}

#[test]
fn a_circuit_takes_over_unseen_and_from_then_on_nothing_is_evaluated() {
    let mut bench = Bench::new(limits());
    bench.put(0, "a", 1);
    let mut connection = bench.kept();
    assert_eq!(bench.json(&mut connection), Vec::<Value>::new());
    let position = bench.edit(&[(0, "a", None), (0, "b", Some((Some("red"), 2)))]);
    bench.evaluate();
    let due = json!({
        "type": "delta", "id": "x", "position": position.to_string(),
        "changes": [[-1, ["red", "0.0001"]], [1, ["red", "0.0002"]]],
    });
    assert_eq!(bench.json(&mut connection), [due]);
    // What it does not read moves it on, and a row that is put in anew is no change.
    bench.put(1, "a", 1);
    let position = bench.put(0, "b", 2);
    bench.now += Duration::from_secs(15);
    let due = json!({"type": "heartbeat", "position": position.to_string()});
    assert_eq!(bench.json(&mut connection), [due]);
    // Who comes later begins with what the circuit has, and resumes from it.
    let mut other = bench.connect();
    bench.follow(&mut other, "y");
    let heard = bench.json(&mut other);
    assert_eq!(kinds(&heard), ["snapshot"]);
    assert_eq!(heard[0]["rows"], json!([["red", "0.0002"]]));
    let mut third = bench.connect();
    let wanted = json!({"id": "z", "sql": SQL[0], "resume": position.to_string()});
    bench.subscribe(&mut third, &wanted);
    assert_eq!(kinds(&bench.json(&mut third)), ["resumed"]);
    assert_eq!(bench.asker.asked(), 2);
}

#[test]
fn a_circuit_that_has_another_answer_is_let_go_and_the_query_is_evaluated_on() {
    let bench = Bench::new(limits());
    bench.put(0, "a", 1);
    bench.asker.keep(Keeping::NotYet);
    let mut connection = bench.connect();
    bench.follow(&mut connection, "x");
    bench.read(&mut connection);
    bench.keep(Keeping::Wrong);
    bench.until("it is let go", || bench.asker.held() == 0);
    bench.asker.keep(Keeping::Ready);
    for asked in 3..6 {
        bench.put(0, "a", asked);
        assert_eq!(kinds(&bench.json(&mut connection)), ["delta"]);
        assert_eq!((bench.asker.asked() as i128, bench.asker.held()), (asked, 0));
    }
}

#[test]
fn where_a_circuit_is_lost_the_query_is_evaluated_and_nothing_is_missed() {
    for (lost, held) in [(Keeping::Anew, 1), (Keeping::Never, 0)] {
        let bench = Bench::new(limits());
        bench.put(0, "a", 1);
        let mut connection = bench.kept();
        bench.put(0, "a", 2);
        assert_eq!(kinds(&bench.json(&mut connection)), ["delta"]);
        bench.asker.keep(lost);
        bench.put(0, "b", 3);
        let heard = bench.json(&mut connection);
        assert_eq!(kinds(&heard), ["delta"]);
        assert_eq!(heard[0]["changes"], json!([[1, ["red", "0.0003"]]]));
        assert_eq!((bench.asker.asked(), bench.asker.held()), (3, held));
    }
}

#[test]
fn a_circuit_goes_with_its_last_follower() {
    let bench = Bench::new(limits());
    let mut connection = bench.kept();
    let mut other = bench.connect();
    bench.follow(&mut other, "y");
    connection.unsubscribe("x");
    assert_eq!(bench.asker.held(), 1);
    drop(other);
    bench.until("it is let go", || bench.asker.held() == 0);
}

#[test]
fn what_a_circuit_has_is_bounded_as_an_answer_is() {
    let bench = Bench::new(StreamLimits { sql_answer_bytes: 200, ..limits() });
    let mut connection = bench.kept();
    let items: Vec<String> = (0..20).map(|item| format!("item {item}")).collect();
    let edits: Vec<Edit<'_>> =
        items.iter().map(|item| (0, item.as_str(), Some((Some("red"), 7)))).collect();
    bench.edit(&edits);
    bench.until("it has ended", || bench.standing() == 0);
    let heard = bench.json(&mut connection);
    assert_eq!((kinds(&heard), slug(&heard[0])), (vec!["error"], "answer-too-large"));
    bench.until("it is let go", || bench.asker.held() == 0);
}
