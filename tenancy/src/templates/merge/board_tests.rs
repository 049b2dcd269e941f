//! Boards that are merged and then arranged: where the tenant has put something, it stays.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use super::*;
use crate::dashboards::document::arrange;

/// The column, the row, how wide and how tall.
type Cells = (u16, u16, u16, u16);

/// A widget at some place, that says something.
fn widget(id: &str, (x, y, w, h): Cells) -> Value {
    json!({
        "id": id, "title": id, "at": { "x": x.min(12 - w), "y": y, "w": w, "h": h },
        "show": { "kind": "text", "text": "!" },
    })
}

/// A board on which no widget lies on another: later ones are moved down.
fn board(widgets: &[Value]) -> Value {
    let document = json!({ "schema": 1, "filters": [], "widgets": widgets });
    json!(arrange(document, &Value::Null).unwrap())
}

fn widgets(board: &Value) -> &[Value] {
    board["widgets"].as_array().unwrap()
}

fn place<'a>(board: &'a Value, id: &str) -> Option<&'a Value> {
    widgets(board).iter().find(|widget| widget["id"] == id).map(|widget| &widget["at"])
}

/// What comes of a board whose template and whose tenant have changed it.
fn merged(base: &Value, theirs: &Value, ours: &Value) -> (Value, Vec<Conflict>) {
    let Merged { document, conflicts } = merge(base, theirs, ours);
    (json!(arrange(document, ours).unwrap()), conflicts)
}

#[test]
fn what_a_template_adds_makes_room_for_what_the_tenant_has_placed() {
    let (wide, low) = ((0, 0, 6, 3), (0, 3, 6, 3));
    let base = board(&[widget("a", wide), widget("b", (6, 0, 6, 3))]);
    let ours = board(&[widget("a", wide), widget("b", low)]);
    let added = widget("n", low);
    let theirs = board(&[widget("a", wide), added, widget("b", (6, 0, 6, 3))]);
    let (arranged, conflicts) = merged(&base, &theirs, &ours);
    assert_eq!(conflicts, []);
    assert_eq!(place(&arranged, "b"), place(&ours, "b"));
    let below = json!({ "x": 0, "y": 6, "w": 6, "h": 3 });
    assert_eq!(place(&arranged, "n"), Some(&below));
}

#[test]
fn a_place_is_of_one_side_or_of_the_other() {
    let board = |at: Cells| board(&[widget("a", at)]);
    let (base, wider, moved) = (board((0, 0, 6, 3)), board((0, 0, 12, 3)), board((6, 0, 6, 3)));
    // Half of each would be a place outside the grid.
    let merged = merge(&base, &wider, &moved);
    let [conflict] = &merged.conflicts[..] else { panic!("{merged:?}") };
    assert_eq!(conflict.path.as_str(), "/widgets/a/at");
    assert_eq!(conflict.theirs.as_ref(), place(&wider, "a"));
    assert_eq!(merged.document, moved);
}

fn cells() -> impl Strategy<Value = Cells> {
    (0_u16..12, 0_u16..9, 1_u16..=12, 1_u16..=4)
}

/// What becomes of each widget, and what is added, where in the list.
type Edits = (Vec<Option<Option<Cells>>>, Vec<(Index, Cells)>);

fn edits() -> impl Strategy<Value = Edits> {
    let edit = prop_oneof![
        3 => Just(None::<Option<Cells>>),
        1 => Just(Some(None::<Cells>)),
        2 => cells().prop_map(|cells| Some(Some(cells))),
    ];
    (vec(edit, 6), vec((any::<Index>(), cells()), 0..3))
}

fn edited(base: &Value, (edits, added): &Edits, name: &str) -> Value {
    let mut list = Vec::new();
    for (before, edit) in widgets(base).iter().zip(edits) {
        match edit {
            None => list.push(before.clone()),
            Some(None) => {}
            Some(Some(cells)) => list.push(widget(before["id"].as_str().unwrap(), *cells)),
        }
    }
    for (number, (index, cells)) in added.iter().enumerate() {
        list.insert(index.index(list.len() + 1), widget(&format!("{name}{number}"), *cells));
    }
    board(&list)
}

proptest! {
    #[test]
    fn what_the_tenant_has_placed_stays_there(
        places in vec(cells(), 0..6), theirs in edits(), ours in edits(),
    ) {
        let base = places.iter().enumerate().map(|(n, cells)| widget(&format!("w{n}"), *cells));
        let base = board(&base.collect::<Vec<_>>());
        let (theirs, ours) = (edited(&base, &theirs, "t"), edited(&base, &ours, "o"));
        let (arranged, conflicts) = merged(&base, &theirs, &ours);
        for id in widgets(&ours).iter().map(|widget| widget["id"].as_str().unwrap()) {
            let [was, newer, mine, now] =
                [&base, &theirs, &ours, &arranged].map(|board| place(board, id));
            let Some(now) = now else {
                // The template has taken away what the tenant has not touched.
                prop_assert!(newer.is_none() && was == mine, "{id} is gone");
                continue;
            };
            // Only what the template alone has moved is elsewhere than the tenant has it.
            let is_moved_by_the_template = was == mine && newer != was;
            prop_assert!(Some(now) == mine || is_moved_by_the_template, "{id}: {mine:?} {now}");
            // Of what both have moved, somebody is asked.
            if was != mine && newer != was && newer != mine {
                let path = format!("/widgets/{id}");
                let is_of_it = |conflict: &Conflict| conflict.path.as_str().starts_with(&path);
                prop_assert!(conflicts.iter().any(is_of_it), "{id}");
            }
        }
        // Twice is once, before it is remembered what was taken over and after.
        prop_assert_eq!(&merged(&base, &theirs, &arranged).0, &arranged);
        prop_assert_eq!(merged(&theirs, &theirs, &arranged), (arranged, Vec::new()));
    }
}
