//! What is told of answers while it is open whether the names in their SQL still mean what they did.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use serde_json::{Value, json};

use super::super::bench::{TENANT, ids, kinds};
use super::super::{Connection, Step};
use super::tests::{Bench, slug};
use crate::limits::StreamLimits;
use crate::support::questions::{Mood, SQL};

/// Limits under which an evaluation by its pace is longer away than a test takes.
fn rare() -> StreamLimits {
    StreamLimits { sql_interval_ms: 60_000, ..StreamLimits::default() }
}

impl Bench {
    /// Has the names in all SQL mean something that is not answered.
    fn hide(&self) {
        self.asker.feel(Mood::Refuses);
        self.hub.redefined(TENANT);
    }

    /// All that comes until there is something.
    fn await_json(&self, connection: &mut Connection) -> Vec<Value> {
        let mut heard = Vec::new();
        self.until("something is told", || {
            heard.extend(self.json(connection));
            !heard.is_empty()
        });
        heard
    }
}

#[test]
fn what_is_not_shown_any_more_is_told_to_nobody_and_ends_before_its_pace() {
    for is_resting in [false, true] {
        let mut bench = Bench::new(rare());
        bench.put(0, "a", 1);
        let (mut one, mut two) = (bench.connect(), bench.connect());
        bench.follow(&mut one, "x");
        assert_eq!(kinds(&bench.json(&mut one)), ["snapshot"]);
        if is_resting {
            bench.edit(&[(0, "a", None)]);
            bench.until("its evaluator has had its turns", || true);
        }
        bench.hide();
        // Nothing was looked at yet.
        assert!(bench.subscribe(&mut two, &json!({"id": "y", "sql": SQL[0]})));
        assert_eq!(bench.json(&mut two), Vec::<Value>::new());
        assert_eq!(bench.json(&mut one), Vec::<Value>::new());
        bench.until("it has ended", || bench.standing() == 0);
        let heard = bench.json(&mut two);
        assert_eq!((kinds(&heard), slug(&heard[0])), (vec!["error"], "refused"));
        assert_eq!(ids(&bench.read(&mut one)), [Some(String::new())]);
        bench.now += Duration::from_secs(15);
        assert_eq!(ids(&bench.read(&mut one)), [None], "a heartbeat");
        assert_eq!(bench.asker.asked(), 2);
    }
}

#[test]
fn what_is_defined_elsewhere_is_no_reason_to_evaluate_and_holds_nothing_back() {
    let bench = Bench::new(rare());
    bench.put(0, "a", 1);
    let (mut one, mut two) = (bench.connect(), bench.connect());
    bench.follow(&mut one, "x");
    bench.read(&mut one);
    bench.edit(&[(0, "a", Some((Some("red"), 2)))]);
    bench.hub.redefined(TENANT);
    assert!(bench.subscribe(&mut two, &json!({"id": "y", "sql": SQL[0]})));
    assert_eq!(bench.json(&mut two), Vec::<Value>::new());
    let heard = bench.await_json(&mut two);
    assert_eq!((kinds(&heard), &heard[0]["rows"]), (vec!["snapshot"], &json!([["red", "0.0001"]])));
    assert_eq!((bench.json(&mut one), bench.asker.asked()), (Vec::new(), 1));
}

#[test]
fn an_answer_that_is_being_sent_goes_on_if_it_stands_and_ends_if_it_does_not() {
    for stands in [false, true] {
        let bench = Bench::new(StreamLimits { snapshot_part_rows: 1, ..rare() });
        for (item, amount) in [("a", 1), ("b", 2), ("c", 3)] {
            bench.put(0, item, amount);
        }
        let mut connection = bench.connect();
        bench.follow(&mut connection, "x");
        let Step::Message(part) = connection.step(bench.now) else { panic!("a part is due") };
        assert!(part.into_json().contains("\"last\":false"));
        if stands {
            bench.hub.redefined(TENANT);
        } else {
            bench.hide();
        }
        assert_eq!(bench.json(&mut connection), Vec::<Value>::new());
        let heard = bench.await_json(&mut connection);
        if stands {
            assert_eq!(kinds(&heard), ["snapshot", "snapshot"]);
            assert_eq!(heard[1]["last"], true);
        } else {
            assert_eq!((kinds(&heard), slug(&heard[0])), (vec!["error"], "refused"));
        }
    }
}
