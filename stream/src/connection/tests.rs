#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use projections::{Position, Tenant};
use serde_json::{Value, json};

use super::bench::{Bench, TENANT, ids, kinds};
use super::{PART_BYTES, Step};
use crate::hub::Hub;
use crate::limits::StreamLimits;

#[test]
fn a_snapshot_then_deltas_in_the_words_of_the_contract() {
    let bench = Bench::new(StreamLimits::default());
    let first = bench.put(0, "a", 120_000);
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items"}));
    let second = {
        let messages = bench.json(&mut connection);
        assert_eq!(
            messages,
            [json!({
                "type": "snapshot", "id": "x", "position": first.to_string(),
                "columns": [
                    {"name": "item", "type": "text"},
                    {"name": "team", "type": "text"},
                    {"name": "amount", "type": "decimal"},
                ],
                "key": ["item"], "rows": [["a", "red", "12.0000"]], "last": true,
            })]
        );
        bench.put(0, "a", -5)
    };
    assert_eq!(
        bench.json(&mut connection),
        [json!({
            "type": "delta", "id": "x", "position": second.to_string(),
            "changes": [[-1, ["a", "red", "12.0000"]], [1, ["a", "red", "-0.0005"]]],
        })]
    );
    bench.put(1, "elsewhere", 1);
    assert_eq!(bench.json(&mut connection), Vec::<Value>::new());
}

#[test]
fn a_large_snapshot_comes_in_parts_bounded_by_rows_and_by_bytes() {
    for (rows, bytes, parts) in [(2, 1 << 20, 3), (5_000, 1, 5), (5_000, 1 << 20, 1)] {
        let limits = StreamLimits {
            snapshot_part_rows: rows,
            connection_bytes: bytes,
            ..StreamLimits::default()
        };
        let bench = Bench::new(limits);
        for item in ["a", "b", "c", "d", "e"] {
            bench.put(0, item, 1);
        }
        let mut connection = bench.connect();
        bench.subscribe(&mut connection, &json!({"id": "x", "view": "items"}));
        let messages = bench.json(&mut connection);
        assert_eq!(messages.len(), parts, "{rows} rows, {bytes} bytes");
        let last: Vec<bool> = messages.iter().map(|m| m["last"].as_bool().unwrap()).collect();
        assert!(last[parts - 1] && last[..parts - 1].iter().all(|l| !l));
        let items: Vec<_> = messages.iter().flat_map(|m| m["rows"].as_array().unwrap()).collect();
        assert_eq!(items.len(), 5);
    }
}

#[test]
fn an_unfiltered_delta_is_encoded_once_for_all() {
    let bench = Bench::new(StreamLimits::default());
    let (mut one, mut two) = (bench.connect(), bench.connect());
    bench.subscribe(&mut one, &json!({"id": "x", "view": "items"}));
    bench.subscribe(&mut two, &json!({"id": "y", "view": "items"}));
    bench.read(&mut one);
    bench.read(&mut two);
    bench.put(0, "a", 1);
    let (one, two) = (bench.read(&mut one), bench.read(&mut two));
    let (one, two) = (one[0].shared_end().unwrap(), two[0].shared_end().unwrap());
    assert!(std::sync::Arc::ptr_eq(one, two));
}

#[test]
fn all_of_one_position_comes_before_the_next_and_only_its_end_is_resumable() {
    let bench = Bench::new(StreamLimits::default());
    let start = bench.put(0, "a", 1);
    let mut connection = bench.connect();
    for (id, view) in [("x", "items"), ("y", "others"), ("z", "items")] {
        bench.subscribe(&mut connection, &json!({"id": id, "view": view}));
    }
    let messages = bench.read(&mut connection);
    assert_eq!(ids(&messages), [None, None, Some(start.to_string())]);
    let first = bench.edit(&[(0, "a", Some((None, 2))), (1, "b", Some((None, 2)))]);
    let second = bench.put(1, "b", 3);
    let messages = bench.read(&mut connection);
    assert_eq!(ids(&messages), [None, None, Some(first.to_string()), Some(second.to_string())]);
    let told: Vec<Value> =
        messages.into_iter().map(|m| serde_json::from_str(&m.into_json()).unwrap()).collect();
    let order: Vec<_> = told.iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(order, ["x", "y", "z", "y"]);
}

#[test]
fn a_filter_applies_to_the_snapshot_and_to_each_row_of_a_change() {
    let bench = Bench::new(StreamLimits::default());
    bench.edit(&[(0, "a", Some((Some("red"), 1))), (0, "b", Some((Some("blue"), 1)))]);
    let mut connection = bench.connect();
    bench
        .subscribe(&mut connection, &json!({"id": "x", "view": "items", "where": {"team": "red"}}));
    let messages = bench.json(&mut connection);
    assert_eq!(messages[0]["rows"], json!([["a", "red", "0.0001"]]));
    // It leaves the filter's rows, another enters, a third never was among them.
    bench.edit(&[
        (0, "a", Some((Some("blue"), 1))),
        (0, "b", Some((Some("red"), 1))),
        (0, "c", Some((Some("blue"), 1))),
    ]);
    let messages = bench.json(&mut connection);
    assert_eq!(
        messages[0]["changes"],
        json!([[-1, ["a", "red", "0.0001"]], [1, ["b", "red", "0.0001"]]])
    );
    bench.edit(&[(0, "c", None)]);
    assert_eq!(bench.json(&mut connection), Vec::<Value>::new());
}

#[test]
fn a_slow_client_gets_one_change_instead_of_many() {
    let limits = StreamLimits { connection_bytes: 2_000, ..StreamLimits::default() };
    let bench = Bench::new(limits);
    bench.put(0, "a", 0);
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items"}));
    bench.read(&mut connection);
    let mut last = bench.put(0, "passing", 0);
    bench.edit(&[(0, "passing", None)]);
    for amount in 1..=500 {
        last = bench.put(0, "a", amount);
    }
    let messages = bench.json(&mut connection);
    assert_eq!(kinds(&messages), ["delta"]);
    assert_eq!(messages[0]["position"], last.to_string());
    assert_eq!(
        messages[0]["changes"],
        json!([[-1, ["a", "red", "0.0000"]], [1, ["a", "red", "0.0500"]]])
    );
}

#[test]
fn what_cannot_be_merged_within_the_bound_is_reset() {
    let limits = StreamLimits { connection_bytes: 2_000, ..StreamLimits::default() };
    let bench = Bench::new(limits);
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items"}));
    bench.subscribe(&mut connection, &json!({"id": "y", "view": "others"}));
    bench.read(&mut connection);
    bench.put(1, "small", 1);
    for i in 0..200 {
        bench.put(0, &format!("item {i}"), i);
    }
    let messages = bench.json(&mut connection);
    // The other view's change fits, and comes before the snapshot of the same position.
    assert_eq!(kinds(&messages)[..3], ["reset", "delta", "snapshot"]);
    assert_eq!(messages[1]["id"], "y");
    assert_eq!(messages[1]["position"], messages[2]["position"]);
    let rows: usize = messages[2..].iter().map(|m| m["rows"].as_array().unwrap().len()).sum();
    assert_eq!(rows, 200);
}

#[test]
fn a_client_that_never_reads_costs_no_more_than_the_ring() {
    let limits = StreamLimits { ring_bytes: 10_000, ..StreamLimits::default() };
    let bench = Bench::new(limits);
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items"}));
    bench.read(&mut connection);
    for i in 0..2_000 {
        bench.put(0, &format!("item {}", i % 10), i);
        assert!(connection.seat.channel().ring().held_bytes() <= 10_000);
    }
    assert!(connection.outbox.is_empty());
    let messages = bench.read(&mut connection);
    assert_eq!(ids(&messages)[0].as_deref(), Some(""), "a reset voids what was held");
    let messages: Vec<Value> =
        messages.into_iter().map(|m| serde_json::from_str(&m.into_json()).unwrap()).collect();
    assert_eq!(kinds(&messages), ["reset", "snapshot"]);
    assert_eq!(messages[1]["rows"].as_array().unwrap().len(), 10);
}

#[test]
fn a_rate_merges_what_comes_within_the_interval() {
    let mut bench = Bench::new(StreamLimits::default());
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items", "max_rate_ms": 250}));
    bench.subscribe(&mut connection, &json!({"id": "y", "view": "items"}));
    bench.read(&mut connection);
    bench.now += Duration::from_millis(250);
    bench.put(0, "a", 1);
    let messages = bench.json(&mut connection);
    assert_eq!(messages.len(), 2, "after a pause the first change comes at once");
    bench.put(0, "a", 2);
    let last = bench.put(0, "a", 3);
    let early = bench.read(&mut connection);
    // The other one is told at once, but the stream cannot be resumed from there.
    assert_eq!(ids(&early), [None, None]);
    assert_eq!(connection.deadline(), bench.now + Duration::from_millis(250));
    bench.now += Duration::from_millis(250);
    let late = bench.read(&mut connection);
    assert_eq!(ids(&late), [Some(last.to_string())]);
    let late: Value = serde_json::from_str(&late[0].clone().into_json()).unwrap();
    assert_eq!(late["id"], "x");
    assert_eq!(late["changes"], json!([[-1, ["a", "red", "0.0001"]], [1, ["a", "red", "0.0003"]]]));
}

#[test]
fn a_resume_holds_while_the_ring_covers_it() {
    let bench = Bench::new(StreamLimits::default());
    let _keeps_the_ring = bench.connect();
    let left = bench.put(0, "a", 1);
    bench.put(0, "a", 2);
    let newest = bench.put(0, "a", 3);
    let resume = |from: &str| {
        let mut connection = bench.connect();
        bench.subscribe(&mut connection, &json!({"id": "x", "view": "items", "resume": from}));
        bench.json(&mut connection)
    };
    let messages = resume(&left.to_string());
    assert_eq!(kinds(&messages), ["resumed", "delta", "delta"]);
    assert_eq!(messages[0]["position"], left.to_string());
    assert_eq!(kinds(&resume(&newest.to_string())), ["resumed"]);
    let ahead = Position::new(TENANT, newest.sequence + 1).to_string();
    let foreign = Position::new(Tenant(2), newest.sequence).to_string();
    for void in [ahead.as_str(), foreign.as_str(), "nonsense", ""] {
        let messages = resume(void);
        assert_eq!(kinds(&messages), ["reset", "snapshot"], "{void}");
    }
}

#[test]
fn a_position_inside_a_batch_cannot_be_resumed_from() {
    let bench = Bench::new(StreamLimits::default());
    let mut connection = bench.connect();
    let delta = bench.world.0.apply(TENANT, 10, &[(0, "a", Some((None, 1)))]);
    bench.hub.publish(&[delta]);
    let inside = Position::new(TENANT, 5).to_string();
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items", "resume": inside}));
    assert_eq!(kinds(&bench.json(&mut connection)), ["reset", "snapshot"]);
}

#[test]
fn a_resume_outlives_a_restart_if_nothing_changed_meanwhile() {
    let bench = Bench::new(StreamLimits::default());
    let left = bench.put(0, "a", 1);
    let again = Bench {
        hub: Hub::new(bench.world.clone(), StreamLimits::default()),
        ..Bench::new(StreamLimits::default())
    };
    let mut connection = again.connect();
    let wanted = json!({"id": "x", "view": "items", "resume": left.to_string()});
    again.subscribe(&mut connection, &wanted);
    assert_eq!(kinds(&again.json(&mut connection)), ["resumed"]);
    let delta = bench.world.0.apply(TENANT, 1, &[(0, "a", Some((None, 7)))]);
    again.hub.publish(&[delta]);
    assert_eq!(kinds(&again.json(&mut connection)), ["delta"]);
    drop(connection);
    again.hub.shared.sweep(again.now + Duration::from_secs(301) + again.now.elapsed());
    let mut connection = again.connect();
    again.subscribe(&mut connection, &wanted);
    assert_eq!(kinds(&again.json(&mut connection)), ["reset", "snapshot"]);
}

#[test]
fn one_that_resumes_beside_others_catches_up_before_they_go_on() {
    let bench = Bench::new(StreamLimits::default());
    let mut connection = bench.connect();
    let left = bench.put(0, "a", 1);
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items"}));
    bench.put(0, "a", 2);
    bench.put(0, "a", 3);
    bench.read(&mut connection);
    let wanted = json!({"id": "y", "view": "items", "resume": left.to_string()});
    bench.subscribe(&mut connection, &wanted);
    bench.put(0, "a", 4);
    let messages = bench.json(&mut connection);
    assert_eq!(kinds(&messages), ["resumed", "delta", "delta", "delta"]);
    assert_eq!(messages[1]["id"], "y");
    assert_eq!(
        messages[1]["changes"],
        json!([[-1, ["a", "red", "0.0001"]], [1, ["a", "red", "0.0003"]]])
    );
    assert_eq!(messages[2]["position"], messages[3]["position"]);
}

#[test]
fn heartbeats_tell_the_position_that_is_complete() {
    let mut bench = Bench::new(StreamLimits::default());
    let mut connection = bench.connect();
    let here = bench.put(0, "a", 1);
    bench.now += Duration::from_secs(15);
    let messages = bench.json(&mut connection);
    assert_eq!(messages, [json!({"type": "heartbeat", "position": here.to_string()})]);
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "others"}));
    bench.read(&mut connection);
    let there = bench.put(0, "a", 2);
    assert_eq!(bench.json(&mut connection), Vec::<Value>::new());
    bench.now += Duration::from_secs(15);
    let messages = bench.read(&mut connection);
    assert_eq!(ids(&messages), [Some(there.to_string())]);
    assert_eq!(connection.deadline(), bench.now + Duration::from_secs(15));
}

#[test]
fn what_cannot_be_watched_is_told_by_an_error_and_the_others_go_on() {
    let limits = StreamLimits { subscriptions: 2, ..StreamLimits::default() };
    let bench = Bench::new(limits);
    let mut connection = bench.connect();
    for (wanted, slug) in [
        (json!({"id": "n", "view": "nothing"}), "unknown-view"),
        (json!({"id": "s", "sql": "SELECT 1"}), "sql-subscription"),
        (json!({"id": "w", "view": "items", "where": {"colour": "red"}}), "invalid-subscription"),
        (json!({"id": "w", "view": "items", "where": {"team": 7}}), "invalid-subscription"),
    ] {
        bench.subscribe(&mut connection, &wanted);
        let messages = bench.json(&mut connection);
        assert_eq!(kinds(&messages), ["error"]);
        assert_eq!(messages[0]["id"], wanted["id"]);
        assert_eq!(messages[0]["problem"]["type"], format!("urn:tidemark:problem:{slug}"));
    }
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items"}));
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "others"}));
    bench.subscribe(&mut connection, &json!({"id": "y", "view": "others"}));
    bench.subscribe(&mut connection, &json!({"id": "z", "view": "others"}));
    let messages = bench.json(&mut connection);
    assert_eq!(kinds(&messages), ["error", "error", "snapshot", "snapshot"]);
    assert_eq!(messages[0]["problem"]["type"], "urn:tidemark:problem:duplicate-subscription");
    assert_eq!(messages[1]["problem"]["type"], "urn:tidemark:problem:too-many-subscriptions");
    connection.unsubscribe("x");
    connection.unsubscribe("x");
    bench.edit(&[(0, "a", Some((None, 1))), (1, "a", Some((None, 1)))]);
    let messages = bench.json(&mut connection);
    assert_eq!(kinds(&messages), ["error", "delta"]);
    assert_eq!(messages[1]["id"], "y");
}

#[test]
fn where_something_is_not_followed_nothing_is_resumable() {
    let bench = Bench::new(StreamLimits::default());
    let start = bench.put(0, "a", 1);
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items"}));
    assert_eq!(ids(&bench.read(&mut connection)), [Some(start.to_string())]);
    bench.subscribe(&mut connection, &json!({"id": "n", "view": "nothing"}));
    assert_eq!(ids(&bench.read(&mut connection)), [Some(String::new())]);
    bench.put(0, "a", 2);
    assert_eq!(ids(&bench.read(&mut connection)), [None]);
    let later = bench.now + StreamLimits::default().heartbeat();
    assert_eq!(ids(&super::bench::read(&mut connection, later)), [None]);
}

#[test]
fn changes_of_one_tenant_never_reach_another() {
    let bench = Bench::new(StreamLimits::default());
    let mut other = bench.connect_as(Tenant(2));
    bench.subscribe(&mut other, &json!({"id": "x", "view": "items"}));
    bench.read(&mut other);
    bench.put(0, "a", 1);
    assert!(bench.read(&mut other).is_empty());
    assert_eq!(other.complete(), Some(Position::new(Tenant(2), 0)));
}

#[test]
fn a_snapshot_that_is_not_read_is_given_up() {
    let limits = StreamLimits { snapshot_part_rows: 1, ..StreamLimits::default() };
    let mut bench = Bench::new(limits);
    for item in ["a", "b", "c"] {
        bench.put(0, item, 1);
    }
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items"}));
    assert!(matches!(connection.step(bench.now), Step::Message(_)));
    bench.now += Duration::from_mins(5);
    assert!(matches!(connection.step(bench.now), Step::Message(_)));
    bench.now += Duration::from_millis(1);
    assert!(matches!(connection.step(bench.now), Step::Stalled));
}

#[test]
fn a_rare_value_in_a_long_view_is_found_step_by_step() {
    let bench = Bench::new(StreamLimits::default());
    let names: Vec<String> = (0..20_000).map(|i| format!("item {i:05}")).collect();
    let edits: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            (0, name.as_str(), Some((Some(if i % 9_999 == 9_998 { "rare" } else { "red" }), 1)))
        })
        .collect();
    bench.edit(&edits);
    let mut connection = bench.connect();
    let wanted = json!({"id": "x", "view": "items", "where": {"team": "rare"}});
    bench.subscribe(&mut connection, &wanted);
    assert!(matches!(connection.step(bench.now), Step::Again));
    let messages = bench.json(&mut connection);
    let rows: Vec<_> = messages.iter().flat_map(|m| m["rows"].as_array().unwrap()).collect();
    assert_eq!(rows.len(), 2);
    let last: Vec<bool> = messages.iter().map(|m| m["last"].as_bool().unwrap()).collect();
    assert_eq!(last, [false, true]);
    bench.subscribe(&mut connection, &json!({"id": "y", "view": "items"}));
    let messages = bench.json(&mut connection);
    let rows: usize = messages.iter().map(|m| m["rows"].as_array().unwrap().len()).sum();
    assert_eq!(rows, 20_000);
    // The room of a row, and of what every part says of its columns.
    assert!(messages.iter().all(|m| m.to_string().len() < PART_BYTES + 1_000));
}

/// An id stands for all subscriptions, so it never lies before what one of them has been told.
#[test]
fn an_id_stands_only_where_all_subscriptions_stand() {
    let mut bench = Bench::new(StreamLimits::default());
    let older = bench.put(0, "a", 1);
    let mut connection = bench.connect();
    bench.subscribe(&mut connection, &json!({"id": "x", "view": "items", "max_rate_ms": 60_000}));
    bench.subscribe(&mut connection, &json!({"id": "y", "view": "items"}));
    bench.read(&mut connection);
    for amount in 2..4 {
        bench.now += Duration::from_secs(1);
        bench.put(0, "a", amount);
        bench.read(&mut connection);
    }
    bench.now += Duration::from_secs(15);
    let messages = bench.read(&mut connection);
    assert_eq!(ids(&messages), [None]);
    let heartbeat: Value = serde_json::from_str(&messages[0].clone().into_json()).unwrap();
    assert_eq!(heartbeat["type"], "heartbeat");
    // One of them is further.
    assert_eq!(heartbeat["position"], older.to_string());
}

#[test]
fn those_that_resume_from_different_places_get_nothing_twice() {
    let bench = Bench::new(StreamLimits::default());
    let _keeps_the_ring = bench.connect();
    let older = bench.put(0, "a", 1);
    bench.put(0, "a", 2);
    let newer = bench.put(0, "a", 3);
    for [first, second] in [[older, newer], [newer, older]] {
        let mut connection = bench.connect();
        for (id, from) in [("x", first), ("y", second)] {
            let from = from.to_string();
            let wanted = json!({"id": id, "view": "items", "resume": from});
            bench.subscribe(&mut connection, &wanted);
        }
        let messages = bench.json(&mut connection);
        let behind = if first == older { "x" } else { "y" };
        assert!(messages.iter().all(|m| m["type"] != "delta" || m["id"] == behind));
        assert!(messages.iter().any(|m| m["type"] == "delta"));
        let next = bench.put(0, "a", 3);
        assert_eq!(bench.json(&mut connection), Vec::<Value>::new());
        assert_eq!(connection.complete(), Some(next));
    }
}
