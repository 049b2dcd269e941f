//! Rows as Arrow: what is decoded is what JSON says of the same changes.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::Duration;

use arrow::array::cast::AsArray;
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::StreamReader;
use projections::encode::RowEncoder;
use serde_json::{Value, json};

use super::Connection;
use super::bench::Bench;
use crate::limits::StreamLimits;
use crate::message::Message;

/// A row and its weight.
type Change = (i64, Value);
/// Type, position, whether it is the last part, and the changes of a message.
type Told = (String, String, Option<bool>, Vec<Change>);

fn decoded(rows: &[u8]) -> Vec<Change> {
    let mut changes = Vec::new();
    for batch in StreamReader::try_new(Cursor::new(rows), None).unwrap() {
        let batch = batch.unwrap();
        let width = batch.num_columns() - 1;
        assert_eq!(batch.schema().field(width).name(), "tidemark.weight");
        let weights = batch.column(width).as_primitive::<Int64Type>();
        let rows = batch.project(&(0..width).collect::<Vec<usize>>()).unwrap();
        let encoder = RowEncoder::new(&rows);
        for row in 0..rows.num_rows() {
            let mut json = Vec::new();
            encoder.write_row(&mut json, row);
            changes.push((weights.value(row), serde_json::from_slice(&json).unwrap()));
        }
    }
    changes
}

fn told(mut message: Message) -> (String, Told) {
    let rows = message.take_rows();
    let text: Value = serde_json::from_str(&message.into_json()).unwrap();
    let changes = match &rows {
        Some(rows) => {
            assert_eq!(text["format"], "arrow");
            assert_eq!(text["bytes"], rows.len());
            assert!(text.get("rows").is_none() && text.get("changes").is_none(), "{text}");
            decoded(rows)
        }
        None if text["type"] == "snapshot" => {
            let rows = text["rows"].as_array().unwrap().iter();
            rows.map(|row| (1, row.clone())).collect()
        }
        None => {
            let changes = text["changes"].as_array().into_iter().flatten();
            changes.map(|change| (change[0].as_i64().unwrap(), change[1].clone())).collect()
        }
    };
    let text_of = |name: &str| text[name].as_str().unwrap_or_default().to_owned();
    let told = (text_of("type"), text_of("position"), text["last"].as_bool(), changes);
    (text_of("id"), told)
}

/// What each subscription was told.
fn by_subscription(messages: Vec<Message>) -> BTreeMap<String, Vec<Told>> {
    let mut by_id: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    for (id, told) in messages.into_iter().map(told) {
        by_id.entry(id).or_default().push(told);
    }
    by_id
}

/// Subscribes in both formats, as `j` and `a`.
fn subscribe(bench: &Bench, connection: &mut Connection, with: &Value) {
    for (id, format) in [("j", "json"), ("a", "arrow")] {
        let mut wanted = json!({"id": id, "view": "items", "format": format});
        for (name, value) in with.as_object().unwrap() {
            wanted[name.as_str()] = value.clone();
        }
        bench.subscribe(connection, &wanted);
    }
}

/// Reads both; answers the kinds of the messages of one of them, which are those of the other.
fn read_equal(bench: &Bench, connection: &mut Connection) -> Vec<String> {
    let mut told = by_subscription(bench.read(connection));
    let (json, arrow) = (told.remove("j").unwrap(), told.remove("a").unwrap());
    assert_eq!(json, arrow);
    json.into_iter().map(|(kind, ..)| kind).collect()
}

#[test]
fn it_equals_json_whole_selected_and_merged() {
    for with in [json!({}), json!({"where": {"team": "red"}}), json!({"max_rate_ms": 250})] {
        let limits = StreamLimits { snapshot_part_rows: 3, ..StreamLimits::default() };
        let mut bench = Bench::new(limits);
        for (i, team) in ["red", "blue", "red", "red", "green", "red"].into_iter().enumerate() {
            let item = format!("item {i}");
            bench.edit(&[(0, item.as_str(), Some((Some(team), i as i128)))]);
        }
        let mut connection = bench.connect();
        subscribe(&bench, &mut connection, &with);
        assert_eq!(read_equal(&bench, &mut connection), ["snapshot", "snapshot"], "{with}");
        bench.now += Duration::from_millis(250);
        bench.edit(&[
            (0, "item 0", Some((Some("red"), 70))),
            (0, "item 1", None),
            (0, "item 2", Some((None, 7))),
            (0, "new", Some((Some("red"), -12_345))),
        ]);
        assert_eq!(read_equal(&bench, &mut connection), ["delta"], "{with}");
        for amount in 0..3 {
            bench.edit(&[(0, "item 0", Some((Some("red"), amount)))]);
        }
        bench.now += Duration::from_millis(250);
        let kinds = read_equal(&bench, &mut connection);
        let merged = usize::from(with.get("max_rate_ms").is_some());
        assert_eq!(kinds.len(), [3, 1][merged], "{with}: {kinds:?}");
    }
}

#[test]
fn it_equals_json_for_a_slow_client_and_after_a_reset() {
    let limits = StreamLimits { connection_bytes: 2_000, ..StreamLimits::default() };
    let bench = Bench::new(limits);
    bench.put(0, "a", 0);
    let mut connection = bench.connect();
    subscribe(&bench, &mut connection, &json!({}));
    assert_eq!(read_equal(&bench, &mut connection), ["snapshot"]);
    for amount in 1..=200 {
        bench.put(0, "a", amount);
        bench.put(0, "passing", amount);
        bench.edit(&[(0, "passing", None)]);
    }
    assert_eq!(read_equal(&bench, &mut connection), ["delta"]);
    for i in 0..200 {
        bench.put(0, &format!("item {i}"), i);
    }
    let mut told = by_subscription(bench.read(&mut connection));
    let mut rows = Vec::new();
    for id in ["j", "a"] {
        let told = told.remove(id).unwrap();
        assert_eq!((told[0].0.as_str(), told[1].0.as_str()), ("reset", "snapshot"));
        assert_eq!(told.last().unwrap().2, Some(true));
        // Their parts need not be cut at the same rows.
        rows.push(told.into_iter().flat_map(|(.., changes)| changes).collect::<Vec<Change>>());
    }
    assert_eq!(rows[0].len(), 201);
    assert_eq!(rows[0], rows[1]);
}

#[test]
fn a_view_without_rows_has_columns() {
    let bench = Bench::new(StreamLimits::default());
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "a", "view": "items", "format": "arrow"}));
    let mut messages = bench.read(&mut connection);
    let rows = messages[0].take_rows().unwrap();
    let reader = StreamReader::try_new(Cursor::new(&rows), None).unwrap();
    let schema = reader.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["item", "team", "amount", "tidemark.weight"]);
    assert!(decoded(&rows).is_empty());
    let text: Value = serde_json::from_str(&messages.remove(0).into_json()).unwrap();
    assert_eq!(text["columns"][2], json!({"name": "amount", "type": "decimal"}));
    assert_eq!((&text["key"], &text["last"]), (&json!(["item"]), &json!(true)));
}

#[test]
fn it_is_written_once_for_all_and_counted_in_the_ring() {
    let limits = StreamLimits { ring_bytes: 20_000, ..StreamLimits::default() };
    let bench = Bench::new(limits);
    let mut connections = [bench.connect(), bench.connect()];
    for connection in &mut connections {
        bench.subscribe(connection, &json!({"id": "a", "view": "items", "format": "arrow"}));
        bench.read(connection);
    }
    let held = |connection: &Connection| connection.seat.channel().ring().held_bytes();
    for amount in 0..100 {
        bench.put(0, "a", amount);
        let before = held(&connections[0]);
        assert!(before <= 20_000, "{before}");
        let [one, two] = &mut connections;
        let (mut one, mut two) = (bench.read(one), bench.read(two));
        let (one, two) = (one[0].take_rows().unwrap(), two[0].take_rows().unwrap());
        assert_eq!(one.as_ptr(), two.as_ptr());
        assert_eq!(held(&connections[0]), before + one.len());
    }
    let later = bench.now + bench.now.elapsed() + Duration::from_secs(301);
    bench.hub.shared.sweep(later);
    assert_eq!(held(&connections[0]), 0);
}
