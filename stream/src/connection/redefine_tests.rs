//! Subscriptions over a real partition whose views are defined while they are watched.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};
use projections::{
    EventBatch, EventTypes, Input, OwnView, Partition, Position, Unready, View, ViewDefinition,
};
use serde_json::{Value, json};

use super::super::bench::{self, TENANT};
use super::super::{Connection, Step};
use crate::hub::Hub;
use crate::limits::StreamLimits;
use crate::subscription::Subscription;

const VOIDED: &str = "SELECT invoice_id, reason FROM events.\"invoicing.invoice_voided\"";

struct Bench {
    partition: Partition,
    hub: Hub,
    now: Instant,
    runtime: tokio::runtime::Runtime,
    sequence: u64,
}

impl Bench {
    /// A partition with the built-in view `voided`.
    fn new(limits: StreamLimits) -> Self {
        let views = vec![ViewDefinition::parse("voided", VOIDED)];
        let partition = Partition::new(&EventTypes::builtin(), views).unwrap();
        let hub = Hub::new(partition.readers(), limits);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { partition, hub, now: Instant::now(), runtime, sequence: 0 }
    }

    fn connect(&self) -> Connection {
        let _guard = self.runtime.enter();
        bench::connect(&self.hub, TENANT, Ok(()), self.now)
    }

    /// Applies an event and gives back the position after it.
    fn void(&mut self, invoice: &str, reason: &str) -> Position {
        let event_type = EventTypes::builtin().get("invoicing.invoice_voided").unwrap().clone();
        let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
        let columns = vec![
            text(invoice),
            Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")) as ArrayRef,
            Arc::new(StringArray::new_null(1)) as ArrayRef,
            text(invoice),
            text(reason),
        ];
        let rows = RecordBatch::try_new(event_type.relation().clone(), columns).unwrap();
        let tenants = UInt32Array::from(vec![TENANT.0]);
        let events = vec![EventBatch { event_type, tenants, rows, extra: None }];
        let input = Input { events, ..Input::default() };
        self.hub.publish(&self.partition.apply(input));
        self.sequence += 1;
        Position::new(TENANT, self.sequence)
    }

    /// Fills a view from `voided` and puts it in.
    fn define(&mut self, name: &str, sql: &str) {
        let snapshot = self.partition.readers().snapshot(TENANT);
        let readable: Vec<Arc<View>> = snapshot
            .views()
            .iter()
            .map(|view| view.view().clone())
            .filter(|view| view.name() != name)
            .collect();
        let definition = ViewDefinition::parse(name, sql);
        let own = OwnView::compile(&EventTypes::builtin(), &readable, &definition).unwrap();
        let mut fill = self.partition.begin(TENANT, vec![own]).unwrap();
        fill.start().unwrap();
        self.partition.attach(fill).unwrap();
        self.hub.redefined(TENANT);
    }

    fn subscribe(&self, connection: &mut Connection, wanted: &Value) {
        connection.subscribe(Subscription::parse(&wanted.to_string()).unwrap(), self.now);
    }

    fn hear(&self, connection: &mut Connection) -> Vec<Value> {
        bench::json(connection, self.now)
    }
}

/// `type id` of each message.
fn told(messages: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    messages.iter().map(|m| format!("{} {}", text(&m["type"]), text(&m["id"]))).collect()
}

#[test]
fn subscribers_of_a_replaced_view_start_anew_and_the_others_go_on() {
    let mut bench = Bench::new(StreamLimits::default());
    bench.void("a", "x");
    bench.define("mine", "SELECT invoice_id FROM voided");
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "m", "view": "mine"}));
    bench.subscribe(&mut connection, &json!({"id": "v", "view": "voided"}));
    assert_eq!(told(&bench.hear(&mut connection)), ["snapshot m", "snapshot v"]);
    // Nothing of the old view's changes may follow what is said of the new one.
    bench.void("b", "x");
    bench.define("mine", "SELECT reason, count(*) AS n FROM voided GROUP BY reason");
    bench.void("c", "y");
    let messages = bench.hear(&mut connection);
    assert_eq!(told(&messages), ["reset m", "delta v", "delta v", "snapshot m"]);
    assert_eq!(messages[0]["reason"], "the view was defined anew");
    assert_eq!(messages[3]["columns"][1], json!({"name": "n", "type": "int"}));
    assert_eq!(messages[3]["rows"], json!([["x", 2], ["y", 1]]));
    assert_eq!(messages[3]["position"], messages[2]["position"]);
    bench.void("d", "y");
    let messages = bench.hear(&mut connection);
    assert_eq!(told(&messages), ["delta m", "delta v"]);
    assert_eq!(messages[0]["changes"], json!([[-1, ["y", 1]], [1, ["y", 2]]]));
}

#[test]
fn a_view_that_is_replaced_without_an_event_is_told_at_once() {
    let mut bench = Bench::new(StreamLimits::default());
    let here = bench.void("a", "x");
    bench.define("mine", "SELECT invoice_id FROM voided");
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "m", "view": "mine", "max_rate_ms": 1000}));
    bench.hear(&mut connection);
    bench.define("mine", "SELECT reason FROM voided");
    let messages = bench.hear(&mut connection);
    assert_eq!(told(&messages), ["reset m", "snapshot m"]);
    assert_eq!(messages[1]["position"], here.to_string());
    assert_eq!(messages[1]["rows"], json!([["x"]]));
}

#[test]
fn a_snapshot_that_is_being_sent_is_void_when_its_view_is_replaced() {
    let limits = StreamLimits { snapshot_part_rows: 1, ..StreamLimits::default() };
    let mut bench = Bench::new(limits);
    bench.void("a", "x");
    bench.void("b", "x");
    bench.define("mine", "SELECT invoice_id FROM voided");
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "m", "view": "mine"}));
    let Step::Message(first) = connection.step(bench.now) else { panic!("a part is due") };
    assert!(first.into_json().contains("\"last\":false"));
    bench.define("mine", "SELECT reason FROM voided");
    let messages = bench.hear(&mut connection);
    let kinds = told(&messages);
    let reset = kinds.iter().position(|kind| kind == "reset m").unwrap();
    assert!(kinds[reset + 1..].iter().all(|kind| kind == "snapshot m"), "{kinds:?}");
    assert!(messages[reset + 1..].iter().all(|m| m["columns"][0]["name"] == "reason"));
    let rows: usize =
        messages[reset + 1..].iter().map(|m| m["rows"].as_array().unwrap().len()).sum();
    assert_eq!(rows, 2);
}

#[test]
fn a_change_that_waits_is_not_sent_once_its_view_is_replaced() {
    let mut bench = Bench::new(StreamLimits::default());
    bench.void("a", "x");
    bench.define("mine", "SELECT invoice_id FROM voided");
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "v", "view": "voided"}));
    bench.subscribe(&mut connection, &json!({"id": "m", "view": "mine"}));
    bench.hear(&mut connection);
    bench.void("b", "y");
    // Both are due at one position; the client has taken the first.
    let Step::Message(first) = connection.step(bench.now) else { panic!("a delta is due") };
    assert!(first.into_json().contains("\"id\":\"v\""));
    bench.define("mine", "SELECT reason FROM voided");
    let messages = bench.hear(&mut connection);
    assert_eq!(told(&messages), ["reset m", "snapshot m"]);
    assert_eq!(messages[1]["rows"].as_array().unwrap().len(), 2);
}

#[test]
fn a_filter_that_does_not_fit_any_more_ends_its_subscription() {
    let mut bench = Bench::new(StreamLimits::default());
    bench.void("a", "x");
    bench.define("mine", VOIDED);
    let mut connection = bench.connect();
    let wanted = |id: &str, column: &str| json!({"id": id, "view": "mine", "where": {column: "x"}});
    bench.subscribe(&mut connection, &wanted("gone", "invoice_id"));
    bench.subscribe(&mut connection, &wanted("kept", "reason"));
    bench.hear(&mut connection);
    bench.define("mine", "SELECT reason, count(*) AS n FROM voided GROUP BY reason");
    let messages = bench.hear(&mut connection);
    let mut kinds = told(&messages);
    kinds.sort_unstable();
    assert_eq!(kinds, ["error gone", "reset kept", "snapshot kept"]);
    let error = messages.iter().find(|m| m["type"] == "error").unwrap();
    assert_eq!(error["problem"]["type"], "urn:tidemark:problem:invalid-subscription");
    bench.void("b", "x");
    assert_eq!(told(&bench.hear(&mut connection)), ["delta kept"]);
}

#[test]
fn subscribers_of_a_deleted_view_are_told_and_hear_no_more() {
    let mut bench = Bench::new(StreamLimits::default());
    bench.void("a", "x");
    bench.define("mine", VOIDED);
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "m", "view": "mine"}));
    bench.hear(&mut connection);
    bench.partition.remove(TENANT, &["mine"]);
    bench.hub.redefined(TENANT);
    let messages = bench.hear(&mut connection);
    assert_eq!(told(&messages), ["error m"]);
    assert_eq!(messages[0]["problem"]["type"], "urn:tidemark:problem:unknown-view");
    bench.void("b", "x");
    assert_eq!(bench.hear(&mut connection), Vec::<Value>::new());
}

#[test]
fn a_view_that_is_being_filled_cannot_be_watched_yet() {
    let mut bench = Bench::new(StreamLimits::default());
    let unready = Unready { name: "later".to_owned(), failure: None };
    bench.partition.announce(TENANT, vec![unready]);
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "l", "view": "later"}));
    let messages = bench.hear(&mut connection);
    assert_eq!(messages[0]["problem"]["type"], "urn:tidemark:problem:view-filling");
}

#[test]
fn a_resume_holds_only_within_the_life_of_the_view() {
    let mut bench = Bench::new(StreamLimits::default());
    let mut keeps_the_ring = bench.connect();
    bench.hear(&mut keeps_the_ring);
    bench.void("a", "x");
    bench.define("mine", VOIDED);
    let before = bench.void("b", "x");
    bench.define("mine", "SELECT reason FROM voided");
    let resume = |bench: &Bench, from: Position| {
        let mut connection = bench.connect();
        let wanted = json!({"id": "m", "view": "mine", "resume": from.to_string()});
        bench.subscribe(&mut connection, &wanted);
        told(&bench.hear(&mut connection))
    };
    assert_eq!(resume(&bench, before), ["reset m", "snapshot m"]);
    let after = bench.void("c", "y");
    bench.void("d", "y");
    assert_eq!(resume(&bench, before), ["reset m", "snapshot m"]);
    assert_eq!(resume(&bench, after), ["resumed m", "delta m"]);
    // A restart: what was told before it may have been of another definition.
    bench.partition.settle();
    let newest = Position::new(TENANT, bench.sequence);
    assert_eq!(resume(&bench, newest), ["reset m", "snapshot m"]);
}
