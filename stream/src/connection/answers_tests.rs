#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use projections::{Position, Tenant};
use serde_json::{Value, json};

use super::super::Connection;
use super::super::bench::{self, TENANT, kinds};
use crate::hub::Hub;
use crate::limits::StreamLimits;
use crate::message::Message;
use crate::problem::Problem;
use crate::subscription::Subscription;
use crate::support::questions::{Asker, Mood, SQL};
use crate::support::{Edit, Shared, World};

pub(super) struct Bench {
    world: Shared,
    pub(super) asker: Arc<Asker>,
    pub(super) hub: Hub,
    pub(super) now: Instant,
    runtime: tokio::runtime::Runtime,
}

/// Limits under which evaluations wait for nothing but changes.
pub(super) fn limits() -> StreamLimits {
    StreamLimits { sql_interval_ms: 0, ..StreamLimits::default() }
}

fn no() -> Problem {
    Problem::new("forbidden", StatusCode::FORBIDDEN, "Forbidden", "Ask with another token.")
}

impl Bench {
    pub(super) fn new(limits: StreamLimits) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (world, asker) = (World::shared(), Arc::<Asker>::default());
        let hub = Hub::answering(world.clone(), asker.clone(), limits);
        Self { world, asker, hub, now: Instant::now(), runtime }
    }

    pub(super) fn connect(&self) -> Connection {
        self.connect_as(Ok(()))
    }

    fn connect_as(&self, asking: Result<(), Problem>) -> Connection {
        let _guard = self.runtime.enter();
        bench::connect(&self.hub, TENANT, asking, self.now)
    }

    pub(super) fn edit(&self, edits: &[Edit<'_>]) -> Position {
        let delta = self.world.0.apply(TENANT, 1, edits);
        self.hub.shared.publish(std::slice::from_ref(&delta), self.now);
        delta.snapshot.position()
    }

    /// Puts an item of the red team, and has it evaluated.
    pub(super) fn put(&self, view: usize, item: &str, amount: i128) -> Position {
        let position = self.edit(&[(view, item, Some((Some("red"), amount)))]);
        self.evaluate();
        position
    }

    pub(super) fn subscribe(&self, connection: &mut Connection, wanted: &Value) -> bool {
        let _guard = self.runtime.enter();
        connection.subscribe(Subscription::parse(&wanted.to_string()).unwrap(), self.now)
    }

    pub(super) fn follow(&self, connection: &mut Connection, id: &str) {
        assert!(self.subscribe(connection, &json!({"id": id, "sql": SQL[0]})));
        self.evaluate();
    }

    /// Waits until what is followed is evaluated, or nothing is.
    pub(super) fn evaluate(&self) {
        let newest = self.world.0.position(TENANT).sequence;
        self.until("everything is evaluated", || {
            let channel = self.hub.shared.channel_of(TENANT);
            channel
                .is_none_or(|channel| channel.register().hold_to().is_some_and(|to| to >= newest))
        });
    }

    pub(super) fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        self.runtime.block_on(async {
            for _ in 0..10_000 {
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                if is_so() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            panic!("never so: {what}");
        });
    }

    pub(super) fn standing(&self) -> usize {
        self.hub.shared.channel_of(TENANT).unwrap().register().count()
    }

    pub(super) fn read(&self, connection: &mut Connection) -> Vec<Message> {
        let messages = bench::read(connection, self.now);
        assert!(connection.deadline() > self.now, "a busy loop");
        messages
    }

    pub(super) fn json(&self, connection: &mut Connection) -> Vec<Value> {
        let messages = self.read(connection).into_iter();
        messages.map(|m| serde_json::from_str(&m.into_json()).unwrap()).collect()
    }
}

pub(super) fn slug(message: &Value) -> &str {
    let kind = message["problem"]["type"].as_str().unwrap();
    kind.strip_prefix("urn:tidemark:problem:").unwrap()
}

#[test]
fn an_answer_then_what_changes_in_it() {
    let bench = Bench::new(limits());
    let mut connection = bench.connect();
    bench.put(0, "a", 120_000);
    let first = bench.put(0, "b", 120_000);
    bench.follow(&mut connection, "x");
    assert_eq!(
        bench.json(&mut connection),
        [json!({
            "type": "snapshot", "id": "x", "position": first.to_string(),
            "columns": [{"name": "team", "type": "text"}, {"name": "amount", "type": "decimal"}],
            "key": [], "rows": [["red", "12.0000"], ["red", "12.0000"]], "last": true,
        })]
    );
    let second = bench.edit(&[(0, "a", None), (0, "b", Some((None, 5)))]);
    bench.evaluate();
    assert_eq!(
        bench.json(&mut connection),
        [json!({
            "type": "delta", "id": "x", "position": second.to_string(),
            "changes": [[-2, ["red", "12.0000"]], [1, [null, "0.0005"]]],
        })]
    );
    connection.unsubscribe("x");
    assert_eq!(bench.json(&mut connection), Vec::<Value>::new());
}

#[test]
fn equal_sql_is_evaluated_once_and_its_delta_is_encoded_once() {
    let bench = Bench::new(limits());
    let (mut one, mut two) = (bench.connect(), bench.connect());
    bench.follow(&mut one, "x");
    bench.follow(&mut two, "y");
    bench.subscribe(&mut two, &json!({"id": "z", "sql": format!(" {} ;\n", SQL[0])}));
    bench.evaluate();
    bench.read(&mut one);
    assert_eq!(bench.read(&mut two).len(), 2);
    assert_eq!((bench.asker.asked(), bench.standing()), (1, 1));
    bench.put(0, "a", 1);
    let (one, two) = (bench.read(&mut one), bench.read(&mut two));
    assert_eq!((one.len(), two.len(), bench.asker.asked()), (1, 2, 2));
    let shared = |message: &Message| message.shared_end().unwrap().clone();
    assert!(two.iter().all(|message| Arc::ptr_eq(&shared(message), &shared(&one[0]))));
}

#[test]
fn what_it_does_not_read_is_no_reason_to_evaluate_it_but_moves_its_position() {
    let mut bench = Bench::new(limits());
    let mut connection = bench.connect();
    bench.follow(&mut connection, "x");
    bench.read(&mut connection);
    let position = bench.put(1, "a", 1);
    assert_eq!(bench.json(&mut connection), Vec::<Value>::new());
    assert_eq!(bench.asker.asked(), 1);
    bench.now += Duration::from_secs(15);
    let heard = bench.json(&mut connection);
    assert_eq!(heard, [json!({"type": "heartbeat", "position": position.to_string()})]);
}

#[test]
fn what_belongs_to_one_position_comes_before_anything_of_the_next() {
    let bench = Bench::new(limits());
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "v", "view": "items"}));
    bench.follow(&mut connection, "x");
    bench.read(&mut connection);
    let positions: Vec<String> =
        (0..3).map(|amount| bench.put(0, "a", amount).to_string()).collect();
    let heard = bench.json(&mut connection);
    let told: Vec<(&str, &str)> = heard
        .iter()
        .map(|m| (m["id"].as_str().unwrap(), m["position"].as_str().unwrap()))
        .collect();
    let mut due = Vec::new();
    for position in &positions {
        due.extend([("v", position.as_str()), ("x", position.as_str())]);
    }
    assert_eq!(told, due);
}

#[test]
fn a_slow_client_gets_what_it_missed_as_one_or_begins_anew() {
    let bench = Bench::new(limits());
    let mut connection = bench.connect();
    bench.follow(&mut connection, "x");
    bench.read(&mut connection);
    for amount in 1..4 {
        bench.put(0, "a", amount);
    }
    let heard = bench.json(&mut connection);
    assert_eq!(kinds(&heard), ["delta"]);
    assert_eq!(heard[0]["changes"], json!([[1, ["red", "0.0003"]]]));
    // Back to where it was: there is nothing to say.
    bench.put(0, "a", 4);
    bench.put(0, "a", 3);
    assert_eq!(bench.json(&mut connection), Vec::<Value>::new());
    // More steps than are held.
    for amount in 0..300 {
        bench.put(0, "a", amount);
    }
    let heard = bench.json(&mut connection);
    assert_eq!(kinds(&heard), ["reset", "snapshot"]);
    assert_eq!(heard[1]["rows"], json!([["red", "0.0299"]]));
}

#[test]
fn what_exceeds_what_may_wait_is_replaced_by_the_answer_in_parts() {
    let bench = Bench::new(StreamLimits { connection_bytes: 80, ..limits() });
    let mut connection = bench.connect();
    bench.follow(&mut connection, "x");
    bench.read(&mut connection);
    let items: Vec<String> = (0..20).map(|item| format!("item {item}")).collect();
    let edits: Vec<Edit<'_>> =
        items.iter().map(|item| (0, item.as_str(), Some((Some("red"), 7)))).collect();
    bench.edit(&edits);
    bench.evaluate();
    let heard = bench.json(&mut connection);
    // One row that comes twenty times is a short message.
    assert_eq!(kinds(&heard), ["delta"]);
    let edits: Vec<Edit<'_>> = items
        .iter()
        .zip(0..)
        .map(|(item, amount)| (0, item.as_str(), Some((Some("red"), amount))))
        .collect();
    bench.edit(&edits);
    bench.evaluate();
    let heard = bench.json(&mut connection);
    assert_eq!(heard[0]["type"], "reset");
    assert!(heard.len() > 3 && heard[1..].iter().all(|m| m["type"] == "snapshot"), "{heard:?}");
    let rows: usize = heard[1..].iter().map(|m| m["rows"].as_array().unwrap().len()).sum();
    assert_eq!(rows, 20);
}

#[test]
fn one_with_a_rate_gets_what_came_meanwhile_when_it_is_due() {
    let mut bench = Bench::new(limits());
    let (mut quick, mut slow) = (bench.connect(), bench.connect());
    bench.follow(&mut quick, "q");
    let wanted = json!({"id": "s", "sql": SQL[0], "max_rate_ms": 60_000});
    bench.subscribe(&mut slow, &wanted);
    bench.evaluate();
    assert_eq!(kinds(&bench.json(&mut slow)), ["snapshot"]);
    bench.put(0, "a", 1);
    bench.put(0, "a", 2);
    assert_eq!(bench.json(&mut slow), Vec::<Value>::new());
    assert_eq!(slow.deadline(), bench.now + Duration::from_secs(15), "the heartbeat");
    bench.now += Duration::from_mins(1);
    let heard = bench.json(&mut slow);
    let deltas: Vec<&Value> = heard.iter().filter(|m| m["type"] == "delta").collect();
    assert_eq!(deltas.len(), 1);
    assert_eq!(deltas[0]["changes"], json!([[1, ["red", "0.0002"]]]));
}

#[test]
fn who_may_not_ask_is_told_why_and_follows_views() {
    let bench = Bench::new(limits());
    let mut connection = bench.connect_as(Err(no()));
    let wanted = json!({"id": "x", "sql": SQL[0]});
    assert!(!bench.subscribe(&mut connection, &wanted));
    bench.subscribe(&mut connection, &json!({"id": "v", "view": "items"}));
    let heard = bench.json(&mut connection);
    assert_eq!((slug(&heard[0]), &heard[0]["id"]), ("forbidden", &json!("x")));
    assert_eq!(kinds(&heard), ["error", "snapshot"]);
    // With another token it may, and with the first one not any more.
    connection.may_ask(Ok(()));
    bench.follow(&mut connection, "x");
    assert_eq!(kinds(&bench.json(&mut connection)), ["snapshot"]);
    connection.may_ask(Err(no()));
    let heard = bench.json(&mut connection);
    assert_eq!((slug(&heard[0]), heard.len()), ("forbidden", 1));
    bench.put(0, "a", 1);
    assert_eq!(kinds(&bench.json(&mut connection)), ["delta"]);
    assert_eq!((bench.standing(), bench.asker.asked()), (0, 1));
}

#[test]
fn what_has_no_answer_any_more_ends_and_the_others_go_on() {
    let bench = Bench::new(limits());
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "v", "view": "items"}));
    bench.follow(&mut connection, "x");
    bench.read(&mut connection);
    bench.asker.feel(Mood::Refuses);
    bench.edit(&[(0, "a", Some((None, 1)))]);
    bench.until("it has ended", || bench.standing() == 0);
    let heard = bench.json(&mut connection);
    let error = heard.iter().find(|m| m["type"] == "error").unwrap();
    assert_eq!((slug(error), &error["id"]), ("refused", &json!("x")));
    assert!(heard.iter().any(|m| m["type"] == "delta" && m["id"] == "v"));
    // Whoever asks again begins anew.
    bench.asker.feel(Mood::Answers);
    bench.follow(&mut connection, "x");
    let heard = bench.json(&mut connection);
    assert_eq!((kinds(&heard), &heard[0]["rows"]), (vec!["snapshot"], &json!([[null, "0.0001"]])));
}

#[test]
fn what_cannot_be_answered_now_is_asked_again_and_heartbeats_go_on_meanwhile() {
    let mut bench = Bench::new(limits());
    let mut connection = bench.connect();
    bench.asker.feel(Mood::Waits);
    bench.subscribe(&mut connection, &json!({"id": "x", "sql": SQL[0]}));
    bench.until("it was asked", || bench.asker.asked() > 0);
    bench.now += Duration::from_secs(15);
    let messages = bench.read(&mut connection);
    assert_eq!(messages.len(), 1);
    let mut event = Vec::new();
    messages[0].write_event(&mut event);
    let event = String::from_utf8(event).unwrap();
    assert!(event.starts_with("event: heartbeat\ndata:"), "nothing to resume from: {event}");
    bench.asker.feel(Mood::Answers);
    bench.evaluate();
    assert_eq!(kinds(&bench.json(&mut connection)), ["snapshot"]);
}

#[test]
fn what_is_too_large_is_told_so() {
    let bench = Bench::new(StreamLimits { sql_answer_bytes: 200, ..limits() });
    let mut connection = bench.connect();
    let items: Vec<String> = (0..20).map(|item| format!("item {item}")).collect();
    let edits: Vec<Edit<'_>> =
        items.iter().map(|item| (0, item.as_str(), Some((Some("red"), 7)))).collect();
    bench.edit(&edits);
    bench.subscribe(&mut connection, &json!({"id": "x", "sql": SQL[0]}));
    bench.until("it has ended", || bench.standing() == 0);
    let heard = bench.json(&mut connection);
    assert_eq!((kinds(&heard), slug(&heard[0])), (vec!["error"], "answer-too-large"));
    let bench = Bench::new(StreamLimits { sql_bytes: 1_000, ..limits() });
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "x", "sql": SQL[0]}));
    bench.until("it has ended", || bench.standing() == 0);
    assert_eq!(slug(&bench.json(&mut connection)[0]), "no-room");
}

#[test]
fn other_columns_are_another_answer() {
    let bench = Bench::new(limits());
    let mut connection = bench.connect();
    bench.follow(&mut connection, "x");
    bench.read(&mut connection);
    bench.asker.feel(Mood::Renames);
    bench.put(0, "a", 1);
    let heard = bench.json(&mut connection);
    assert_eq!(kinds(&heard), ["reset", "snapshot"]);
    assert_eq!(heard[0]["reason"], "what the query reads was defined anew");
    assert_eq!(heard[1]["columns"][0]["name"], "group");
}

#[test]
fn it_ends_with_its_last_follower() {
    let bench = Bench::new(limits());
    let (mut one, mut two) = (bench.connect(), bench.connect());
    bench.follow(&mut one, "x");
    bench.follow(&mut two, "x");
    assert_eq!(bench.hub.shared.room.taken().0, 1);
    drop(one);
    bench.put(0, "a", 1);
    assert_eq!((bench.standing(), bench.asker.asked()), (1, 2));
    two.unsubscribe("x");
    assert_eq!(bench.standing(), 0);
    bench.until("nothing of it is left", || bench.hub.shared.room.taken() == (0, 0));
    bench.put(0, "a", 2);
    assert_eq!(bench.asker.asked(), 2);
}

#[test]
fn the_number_of_queries_is_bounded_and_that_of_their_followers_is_not() {
    let limits = StreamLimits { tenant_sql_queries: 1, subscriptions: 3, ..limits() };
    let bench = Bench::new(limits);
    let mut connection = bench.connect();
    bench.follow(&mut connection, "x");
    bench.follow(&mut connection, "y");
    for (wanted, slug_of) in [
        (json!({"id": "z", "sql": SQL[1]}), "too-many-sql-subscriptions"),
        (json!({"id": "x", "sql": SQL[0]}), "duplicate-subscription"),
        (json!({"id": "x", "view": "items"}), "duplicate-subscription"),
    ] {
        assert!(!bench.subscribe(&mut connection, &wanted));
        assert_eq!(slug(&bench.json(&mut connection)[0]), slug_of);
        bench.read(&mut connection);
    }
    bench.subscribe(&mut connection, &json!({"id": "v", "view": "items"}));
    assert!(!bench.subscribe(&mut connection, &json!({"id": "w", "sql": SQL[0]})));
    assert_eq!(slug(&bench.json(&mut connection)[0]), "too-many-subscriptions");
    let bench = Bench::new(StreamLimits { sql_queries: 1, ..StreamLimits::default() });
    let mut connection = bench.connect();
    assert!(bench.subscribe(&mut connection, &json!({"id": "x", "sql": SQL[0]})));
    assert!(!bench.subscribe(&mut connection, &json!({"id": "y", "sql": SQL[1]})));
}

#[test]
fn it_resumes_where_the_answer_at_hand_is_the_one_that_its_client_holds() {
    let mut bench = Bench::new(limits());
    let first = bench.put(0, "a", 1);
    let resumed = |bench: &Bench, from: &str| {
        let mut connection = bench.connect();
        let wanted = json!({"id": "x", "sql": SQL[0], "resume": from});
        bench.subscribe(&mut connection, &wanted);
        bench.evaluate();
        let heard = bench.json(&mut connection);
        (connection, heard)
    };
    let (mut connection, heard) = resumed(&bench, &first.to_string());
    let said = json!({"type": "resumed", "id": "x", "position": first.to_string()});
    assert_eq!(heard, [said]);
    bench.put(0, "a", 2);
    assert_eq!(kinds(&bench.json(&mut connection)), ["delta"]);
    // From a position that a heartbeat told, at which nothing that it reads had changed.
    let third = bench.put(1, "a", 1);
    bench.now += Duration::from_secs(15);
    assert_eq!(bench.json(&mut connection)[0]["position"], third.to_string());
    let (other, heard) = resumed(&bench, &third.to_string());
    assert_eq!(kinds(&heard), ["resumed"]);
    drop(other);
    let elsewhere = Position::new(Tenant(9), 1).to_string();
    let ahead = Position::new(TENANT, 99).to_string();
    for from in [first.to_string(), ahead, elsewhere, "nonsense".to_owned()] {
        let (_, heard) = resumed(&bench, &from);
        assert_eq!(kinds(&heard), ["reset", "snapshot"], "{from}");
    }
}
