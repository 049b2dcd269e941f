#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};

use super::super::sse::{Message, Parser};
use super::state::{Event, View};

fn message(event: &str, id: &str, data: &Value) -> Message {
    Message { event: event.into(), id: Some(id.into()), data: data.to_string() }
}

fn snapshot() -> [Message; 2] {
    let columns = json!([{"name": "stage", "type": "text"}, {"name": "n", "type": "int"}]);
    [
        message(
            "snapshot",
            "",
            &json!({"id": "w", "position": "p1", "columns": columns,
            "key": ["stage"], "rows": [["won", 2]]}),
        ),
        message(
            "snapshot",
            "p1",
            &json!({"id": "w", "position": "p1", "rows": [["lost", 1]], "last": true}),
        ),
    ]
}

fn rows(view: &View) -> Vec<Vec<Value>> {
    view.rows().map(|(row, _)| row.clone()).collect()
}

#[test]
fn a_snapshot_in_parts_and_its_deltas_are_the_view() {
    let mut view = View::default();
    let [first, last] = snapshot();
    assert_eq!(view.take(first).unwrap(), None);
    assert!(!view.is_known());
    let whole = view.take(last).unwrap().unwrap();
    assert_eq!(whole.lines(), "# stage, n\n= [\"won\",2]\n= [\"lost\",1]\n");
    assert!(view.is_known());
    assert_eq!(rows(&view), [vec![json!("lost"), json!(1)], vec![json!("won"), json!(2)]]);

    // The insertion may stand before the removal.
    let changes = json!([[1, ["won", 3]], [-1, ["won", 2]], [-1, ["lost", 1]], [1, ["open", 9]]]);
    let delta = message("delta", "p2", &json!({"id": "w", "position": "p2", "changes": changes}));
    let event = view.take(delta).unwrap().unwrap();
    assert_eq!(event.lines().lines().count(), 4);
    assert!(event.lines().contains("- [\"lost\",1]\n"));
    assert_eq!(rows(&view), [vec![json!("open"), json!(9)], vec![json!("won"), json!(3)]]);
    assert_eq!(view.position(), Some("p2"));
}

/// A snapshot of which a connection has told a part comes again with the next one, of a view that may be
/// another by then.
#[test]
fn what_a_lost_connection_has_begun_to_tell_is_no_part_of_the_next_snapshot() {
    let mut view = View::default();
    view.connected();
    let [first, last] = snapshot();
    assert_eq!(view.take(first).unwrap(), None);
    view.connected();
    let columns = json!([{"name": "stage", "type": "text"}, {"name": "n", "type": "int"}]);
    let data =
        json!({"id": "w", "position": "p2", "columns": columns, "key": ["stage"], "rows": []});
    assert_eq!(view.take(message("snapshot", "", &data)).unwrap(), None);
    let whole = view.take(last).unwrap().unwrap();
    assert_eq!(whole.lines(), "# stage, n\n= [\"lost\",1]\n");
    assert_eq!(rows(&view), [vec![json!("lost"), json!(1)]]);
}

#[test]
fn after_a_reset_there_is_nothing_to_resume_from() {
    let mut view = View::default();
    for part in snapshot() {
        view.take(part).unwrap();
    }
    let reset = message("reset", "", &json!({"id": "w", "reason": "too slow"}));
    assert_eq!(view.take(reset).unwrap(), Some(Event::Reset("too slow".into())));
    assert_eq!(view.position(), None);
}

#[test]
fn an_error_is_said_in_the_words_of_its_problem() {
    let problem = json!({"title": "Unknown view", "detail": "there is no view `x`", "status": 404});
    let error = View::default()
        .take(message("error", "", &json!({"id": "w", "problem": problem})))
        .expect_err("an error")
        .to_string();
    assert_eq!(error, "Unknown view: there is no view `x`");
}

#[test]
fn messages_are_found_however_the_bytes_are_cut() {
    let text = "event: delta\r\nid: p1\r\ndata: {\"a\":1}\r\n\r\n: a comment\n\nevent: reset\nid:\ndata: x\ndata: ä\n\n";
    let expected = [
        Message { event: "delta".into(), id: Some("p1".into()), data: "{\"a\":1}".into() },
        Message { event: "reset".into(), id: Some(String::new()), data: "x\nä".into() },
    ];
    for size in 1..text.len() {
        let mut parser = Parser::default();
        let mut found = Vec::new();
        for bytes in text.as_bytes().chunks(size) {
            found.extend(parser.take(bytes).unwrap());
        }
        assert_eq!(found, expected, "cut into pieces of {size}");
    }
}
