#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use serde_json::json;

use super::*;

fn settlements(of: &[(&str, Side)]) -> Settlements {
    of.iter().map(|(path, side)| (Path::new(*path), *side)).collect()
}

fn paths(merged: &Merged) -> Vec<&str> {
    merged.conflicts.iter().map(|conflict| conflict.path.as_str()).collect()
}

#[test]
fn changes_of_different_things_are_all_there() {
    let base = json!({ "version": 1, "dashboards": [
        { "id": "stock", "document": { "widgets": [
            { "id": "value", "title": "Value", "at": { "x": 0, "y": 0 } },
            { "id": "low", "title": "Low", "at": { "x": 6, "y": 0 } },
        ] } },
        { "id": "cash", "document": { "widgets": [] } },
    ] });
    let mut theirs = base.clone();
    theirs["version"] = json!(2);
    theirs["dashboards"][0]["document"]["widgets"][1]["at"]["x"] = json!(4);
    theirs["dashboards"].as_array_mut().unwrap().insert(1, json!({ "id": "sales" }));
    let mut ours = base.clone();
    ours["dashboards"][0]["document"]["widgets"][1]["title"] = json!("To reorder");
    ours["dashboards"][0]["document"]["widgets"].as_array_mut().unwrap().remove(0);
    ours["dashboards"].as_array_mut().unwrap().push(json!({ "id": "mine" }));
    let merged = merge(&base, &theirs, &ours);
    assert!(merged.conflicts.is_empty(), "{merged:?}");
    let expected = json!({ "version": 2, "dashboards": [
        { "id": "stock", "document": { "widgets": [
            { "id": "low", "title": "To reorder", "at": { "x": 4, "y": 0 } },
        ] } },
        { "id": "sales" },
        { "id": "cash", "document": { "widgets": [] } },
        { "id": "mine" },
    ] });
    assert_eq!(merged.document, expected);
}

#[test]
fn a_removal_against_a_change_is_a_conflict_both_ways() {
    let base = json!([{ "id": "a", "title": "A" }, { "id": "b", "title": "B" }]);
    let theirs = json!([{ "id": "a", "title": "Newer" }]);
    let ours = json!([{ "id": "b", "title": "Mine" }]);
    let merged = merge(&base, &theirs, &ours);
    // What is ours stands: removed, and kept.
    assert_eq!(merged.document, ours);
    assert_eq!(paths(&merged), ["/b", "/a"]);
    let [b, a] = &merged.conflicts[..] else { panic!("{merged:?}") };
    assert_eq!((&b.theirs, &b.ours), (&None, &Some(ours[0].clone())));
    assert_eq!((&a.theirs, &a.ours), (&Some(theirs[0].clone()), &None));
    assert_eq!(a.base, Some(base[0].clone()));
    let shown = json!(a);
    assert_eq!((&shown["about"], shown.get("ours")), (&json!("value"), None));
    let settled = |a: Side, b: Side| {
        let settlements = settlements(&[("/a", a), ("/b", b)]);
        let merged = settle(&base, &theirs, &ours, &settlements).unwrap();
        assert!(merged.conflicts.is_empty(), "{merged:?}");
        merged.document
    };
    assert_eq!(settled(Side::Theirs, Side::Theirs), theirs);
    assert_eq!(settled(Side::Ours, Side::Ours), ours);
    assert_eq!(settled(Side::Theirs, Side::Ours), json!([theirs[0], ours[0]]));
    assert_eq!(settled(Side::Ours, Side::Theirs), json!([]));
}

#[test]
fn what_is_settled_is_no_conflict_and_the_rest_is() {
    let (base, theirs) = (json!({ "a": 1, "b": 1 }), json!({ "a": 2, "b": 2 }));
    let ours = json!({ "a": 3, "b": 3 });
    let merged = settle(&base, &theirs, &ours, &settlements(&[("/a", Side::Theirs)])).unwrap();
    assert_eq!(merged.document, json!({ "a": 2, "b": 3 }));
    assert_eq!(paths(&merged), ["/b"]);
    let unknown = settle(&base, &theirs, &ours, &settlements(&[("/c", Side::Ours)])).unwrap_err();
    assert_eq!(unknown, SettleError::NoConflict { path: Path::new("/c") });
    assert!(unknown.to_string().contains("`/c`"), "{unknown}");
}

#[test]
fn items_moved_by_one_side_are_moved_and_by_both_a_conflict() {
    let list = |ids: &str| -> Value { ids.chars().map(|id| json!({ "id": id })).collect() };
    let merged = |theirs: &str, ours: &str| merge(&list("abc"), &list(theirs), &list(ours));
    assert_eq!(merged("cab", "abc").document, list("cab"));
    assert_eq!(merged("abc", "bca").document, list("bca"));
    assert_eq!(merged("cab", "cab").document, list("cab"));
    // Moved there, added here, removed here.
    assert_eq!(merged("cab", "abxc").document, list("cabx"));
    assert_eq!(merged("cab", "ac").document, list("ca"));
    // Both added at one place: by id, whichever side is which.
    assert_eq!(merged("axbc", "aybc").document, list("axybc"));
    assert_eq!(merged("aybc", "axbc").document, list("axybc"));
    for (theirs, ours, conflicts) in [("cab", "abxc", 0), ("axbc", "aybc", 0), ("cab", "bca", 1)] {
        assert_eq!(merged(theirs, ours).conflicts.len(), conflicts, "{theirs} {ours}");
    }
    let both = merged("cab", "bca");
    assert_eq!(both.document, list("bca"));
    assert_eq!((both.conflicts[0].about, both.conflicts[0].path.as_str()), (Subject::Order, ""));
    assert_eq!(both.conflicts[0].theirs, Some(json!(["c", "a", "b"])));
    let settlements = settlements(&[("", Side::Theirs)]);
    let settled = settle(&list("abc"), &list("cab"), &list("bca"), &settlements).unwrap();
    assert_eq!(settled, Merged { document: list("cab"), conflicts: Vec::new() });
}

#[test]
fn what_is_no_list_of_items_is_a_whole() {
    for (base, theirs, ours) in [
        (json!([1]), json!([1, 2]), json!([0, 1])),
        (json!([{ "id": "a" }]), json!([{ "id": "a" }, { "id": "a" }]), json!([])),
        (json!([{ "id": 1 }]), json!([{ "id": 2 }]), json!([{ "id": 3 }])),
        (json!({ "a": 1 }), json!([]), json!({ "a": 2 })),
        (json!(null), json!({ "id": "a" }), json!({ "id": "a", "b": 1 })),
    ] {
        let merged = merge(&base, &theirs, &ours);
        assert_eq!((merged.document, merged.conflicts.len()), (ours, 1), "{base} {theirs}");
    }
    // What both added, and alike, is no conflict.
    let added = json!({ "a": { "b": [1] } });
    assert!(merge(&json!({}), &added, &added).conflicts.is_empty());
}

#[test]
fn a_path_leads_to_any_key() {
    let merged = merge(&json!({ "a/b~c": 1 }), &json!({ "a/b~c": 2 }), &json!({ "a/b~c": 3 }));
    assert_eq!(paths(&merged), ["/a~1b~0c"]);
}

/// A change to a document, at a place to which some steps lead.
#[derive(Clone, Debug)]
enum Edit {
    Set(Value),
    Add(String, Index, Value),
    Remove(Index),
    Move(Index, Index),
}

fn items(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let ids = subsequence(vec!["a", "b", "c", "d", "e"], 0..=5).prop_shuffle();
    (ids, vec(inner, 5)).prop_map(|(ids, values)| {
        ids.iter().zip(values).map(|(id, value)| json!({ "id": id, "p": value })).collect::<Value>()
    })
}

fn document() -> impl Strategy<Value = Value> {
    let whole = prop_oneof![
        Just(json!(null)),
        (1..4).prop_map(|number| json!(number)),
        vec("[xy]", 0..3).prop_map(|texts| json!(texts)),
    ];
    let any = whole.prop_recursive(3, 40, 5, |inner| {
        let object = btree_map("[p-s]", inner.clone(), 0..4).prop_map(|map| json!(map));
        prop_oneof![object, items(inner)]
    });
    prop_oneof![3 => items(any.clone()), 1 => any]
}

fn edits() -> impl Strategy<Value = Vec<(Vec<Index>, Edit)>> {
    let value = || prop_oneof![Just(json!(7)), Just(json!("z")), Just(json!({ "p": 8 }))];
    let edit = prop_oneof![
        value().prop_map(Edit::Set),
        ("[a-hp-s]", any::<Index>(), value()).prop_map(|(name, at, v)| Edit::Add(name, at, v)),
        any::<Index>().prop_map(Edit::Remove),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Edit::Move(from, to)),
    ];
    vec((vec(any::<Index>(), 0..5), edit), 0..5)
}

/// What may be changed within a value: members but for ids, or items.
fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => map.keys().filter(|key| *key != "id").cloned().collect(),
        list => {
            Items::of(list).map_or_else(Vec::new, |items| items.ids().map(str::to_owned).collect())
        }
    }
}

fn child<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(name),
        list => list.as_array()?.iter().find(|item| item["id"] == name),
    }
}

fn child_mut<'a>(value: &'a mut Value, name: &str) -> &'a mut Value {
    match value {
        Value::Array(list) => list.iter_mut().find(|item| item["id"] == name).unwrap(),
        map => &mut map[name],
    }
}

/// The place to which some steps lead, as far as they lead anywhere.
fn place<'a>(value: &'a mut Value, steps: &[Index]) -> &'a mut Value {
    let names = names(value);
    match steps.split_first() {
        Some((step, rest)) if !names.is_empty() => {
            place(child_mut(value, step.get::<String>(&names)), rest)
        }
        _ => value,
    }
}

fn edited(document: &Value, edits: &[(Vec<Index>, Edit)]) -> Value {
    let mut document = document.clone();
    for (steps, edit) in edits {
        apply(place(&mut document, steps), edit);
    }
    document
}

fn apply(value: &mut Value, edit: &Edit) {
    let names = names(value);
    let is_items = Items::of(value).is_some();
    match (value, edit) {
        (Value::Array(list), Edit::Add(id, at, new)) if is_items && !names.contains(id) => {
            list.insert(at.index(list.len() + 1), json!({ "id": id, "p": new }));
        }
        (Value::Array(list), Edit::Remove(which)) if !names.is_empty() => {
            list.remove(which.index(names.len()));
        }
        (Value::Array(list), Edit::Move(from, to)) if !names.is_empty() => {
            let item = list.remove(from.index(names.len()));
            list.insert(to.index(names.len()), item);
        }
        (Value::Object(map), Edit::Add(key, _, new)) => drop(map.insert(key.clone(), new.clone())),
        (Value::Object(map), Edit::Remove(which)) if !names.is_empty() => {
            map.remove(which.get(&names).as_str());
        }
        // An item stays one.
        (Value::Object(map), Edit::Set(new)) if map.contains_key("id") => {
            map.insert("p".to_owned(), new.clone());
        }
        (value, Edit::Set(new)) => *value = new.clone(),
        _ => {}
    }
}

/// Where one document differs from another, and what it has there.
fn changes(
    base: &Value,
    now: &Value,
    path: &[String],
    found: &mut Vec<(Vec<String>, Option<Value>)>,
) {
    if base == now {
        return;
    }
    let are_objects = base.is_object() && now.is_object();
    if !are_objects && (Items::of(base).is_none() || Items::of(now).is_none()) {
        found.push((path.to_vec(), Some(now.clone())));
        return;
    }
    let mut all = names(base);
    all.extend(names(now).into_iter().filter(|name| child(base, name).is_none()));
    for name in all {
        let mut path = path.to_vec();
        path.push(name.clone());
        match (child(base, &name), child(now, &name)) {
            (Some(base), Some(now)) => changes(base, now, &path, found),
            (_, now) => found.push((path, now.cloned())),
        }
    }
}

/// Fails unless every change that a side made is in what came of the merge, or in a conflict.
fn nothing_is_lost(base: &Value, side: &Value, merged: &Merged) -> Result<(), TestCaseError> {
    let mut found = Vec::new();
    changes(base, side, &[], &mut found);
    for (path, value) in found {
        let now = path.iter().try_fold(&merged.document, |value, name| child(value, name));
        let path = path.iter().fold(String::new(), |path, name| path + "/" + name) + "/";
        let is_told = merged.conflicts.iter().any(|conflict| {
            let conflict = format!("{}/", conflict.path);
            conflict.starts_with(&path) || path.starts_with(&conflict)
        });
        prop_assert!(now == value.as_ref() || is_told, "{path}: {value:?} in {merged:?}");
    }
    Ok(())
}

/// The ids of a list that are in all of the others too.
fn order(list: &Value, others: [&Value; 3]) -> Option<Vec<String>> {
    Items::of(list)?;
    let is_there = |id: &String| others.iter().all(|other| child(other, id).is_some());
    Some(names(list).into_iter().filter(is_there).collect())
}

/// Fails if a side has moved items of the outermost list, and they are neither where it has them nor
/// in a conflict.
fn nothing_moves_back(
    base: &Value,
    (side, other): (&Value, &Value),
    merged: &Merged,
) -> Result<(), TestCaseError> {
    let document = &merged.document;
    let orders = (
        order(base, [side, other, document]),
        order(side, [base, other, document]),
        order(document, [base, side, other]),
    );
    if let (Some(before), Some(moved), Some(now)) = orders {
        let is_told = merged.conflicts.iter().any(|conflict| conflict.path.as_str().is_empty());
        prop_assert!(before == moved || moved == now || is_told, "{before:?} {moved:?} {now:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_change_is_lost_in_silence(base in document(), theirs in edits(), ours in edits()) {
        let (theirs, ours) = (edited(&base, &theirs), edited(&base, &ours));
        let merged = merge(&base, &theirs, &ours);
        nothing_is_lost(&base, &ours, &merged)?;
        nothing_is_lost(&base, &theirs, &merged)?;
        nothing_moves_back(&base, (&ours, &theirs), &merged)?;
        nothing_moves_back(&base, (&theirs, &ours), &merged)?;
    }

    #[test]
    fn what_one_side_changed_is_as_it_has_it(base in document(), edits in edits()) {
        let changed = edited(&base, &edits);
        let whole = |document: &Value| Merged { document: document.clone(), conflicts: Vec::new() };
        prop_assert_eq!(merge(&base, &base, &changed), whole(&changed));
        prop_assert_eq!(merge(&base, &changed, &base), whole(&changed));
        prop_assert_eq!(merge(&base, &changed, &changed), whole(&changed));
    }

    #[test]
    fn twice_is_once(base in document(), theirs in edits(), ours in edits()) {
        let (theirs, ours) = (edited(&base, &theirs), edited(&base, &ours));
        let once = merge(&base, &theirs, &ours);
        let twice = merge(&base, &theirs, &once.document);
        prop_assert_eq!(&twice.document, &once.document);
        // No conflict that was not there.
        for path in paths(&twice) {
            prop_assert!(paths(&once).contains(&path), "{path}");
        }
        let next = merge(&theirs, &theirs, &once.document);
        prop_assert_eq!(next, Merged { document: once.document, conflicts: Vec::new() });
    }

    #[test]
    fn without_conflicts_it_does_not_matter_which_side_is_which(
        base in document(), one in edits(), other in edits(),
    ) {
        let (one, other) = (edited(&base, &one), edited(&base, &other));
        let (this, that) = (merge(&base, &one, &other), merge(&base, &other, &one));
        if this.conflicts.is_empty() && that.conflicts.is_empty() {
            prop_assert_eq!(this.document, that.document);
        }
    }

    #[test]
    fn every_conflict_can_be_settled(
        base in document(), theirs in edits(), ours in edits(), is_theirs in vec(any::<bool>(), 40),
    ) {
        let (theirs, ours) = (edited(&base, &theirs), edited(&base, &ours));
        let merged = merge(&base, &theirs, &ours);
        let sides = is_theirs.iter().map(|is| if *is { Side::Theirs } else { Side::Ours });
        let all: Settlements =
            merged.conflicts.iter().map(|conflict| conflict.path.clone()).zip(sides).collect();
        prop_assert_eq!(all.len(), merged.conflicts.len());
        let settled = settle(&base, &theirs, &ours, &all).unwrap();
        prop_assert!(settled.conflicts.is_empty());
        for conflict in merged.conflicts.iter().filter(|c| c.about == Subject::Value) {
            let expected = match all[&conflict.path] {
                Side::Theirs => &conflict.theirs,
                Side::Ours => &conflict.ours,
            };
            let mut names = conflict.path.as_str().split('/').skip(1);
            let now = names.try_fold(&settled.document, |value, name| child(value, name));
            prop_assert_eq!(now, expected.as_ref());
        }
        // What is settled for theirs stays so without being told again.
        prop_assert_eq!(merge(&base, &theirs, &settled.document).document, settled.document);
    }
}
