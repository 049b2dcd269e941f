#![allow(clippy::unwrap_used)]

use super::*;

fn view(name: &str, reads: &[&str], state: State) -> Definition {
    let stated = ViewDefinition {
        name: name.to_owned(),
        sql: format!("SELECT … FROM {}", reads.join(", ")),
        key: Vec::new(),
        internal: false,
    };
    let reads = reads.iter().map(|read| (*read).to_owned()).collect();
    let (events, declared) = (BTreeSet::new(), BTreeSet::new());
    Definition {
        stated,
        view: None,
        reads,
        events,
        declared,
        group: 0,
        state,
        former: None,
        refused: None,
    }
}

fn names<'a>(views: impl IntoIterator<Item = &'a Definition>) -> Vec<&'a str> {
    views.into_iter().map(Definition::name).collect()
}

/// `a` ← `b` ← `c`, and `d` apart, all live.
fn chain() -> Definitions {
    let live = |name, reads: &[&str]| view(name, reads, State::Live);
    let views =
        vec![live("a", &["pipeline"]), live("b", &["a"]), live("c", &["b"]), live("d", &[])];
    let mut definitions = Definitions::default();
    definitions.put(0, views);
    definitions
}

/// What replaces the view of that name.
fn successor(definitions: &Definitions, name: &str, reads: &[&str]) -> Definition {
    let former = definitions.get(name).cloned().map(Box::new);
    Definition { former, ..view(name, reads, State::Filling) }
}

#[test]
fn readers_dependants_and_ways() {
    let definitions = chain();
    assert_eq!(definitions.readers("a"), ["b"]);
    assert_eq!(names(definitions.dependants("a")), ["b", "c"]);
    assert_eq!(names(definitions.dependants("pipeline")), ["a", "b", "c"]);
    assert_eq!(definitions.path("c", "a"), ["c", "b", "a"]);
    assert_eq!(definitions.path("a", "a"), ["a"]);
}

#[test]
fn what_is_replaced_is_filled_with_what_reads_it() {
    let mut definitions = chain();
    let changed: Vec<Definition> =
        [("b", "a"), ("c", "b")].map(|(n, r)| successor(&definitions, n, &[r])).into();
    assert!(definitions.put(1, changed).is_empty());
    assert_eq!(names(&definitions.group(1)), ["b", "c"]);
    assert_eq!(names(definitions.all()), ["a", "d", "b", "c"]);
    assert!(definitions.all().iter().all(Definition::is_served));
    // `c` alone is defined anew meanwhile: `b` must still come together with it.
    let changed = vec![successor(&definitions, "c", &["b", "d"])];
    assert_eq!(definitions.put(2, changed), BTreeSet::from([1]));
    assert_eq!(names(&definitions.group(2)), ["b", "c"]);
    definitions.filled(2);
    assert!(definitions.group(2).is_empty());
    assert!(definitions.all().iter().all(|v| v.state == State::Live && v.former.is_none()));
}

#[test]
fn what_cannot_be_filled_is_as_it_was_before() {
    let mut definitions = chain();
    // `a` is to read `d`, and a new view reads it.
    let mut changed: Vec<Definition> = [("a", "d"), ("b", "a"), ("c", "b")]
        .map(|(name, read)| successor(&definitions, name, &[read]))
        .into();
    changed.push(view("new", &["c"], State::Filling));
    definitions.put(1, changed);
    let restored = definitions.give_up(1, "division by zero");
    assert_eq!(names(&restored), ["a", "b", "c"]);
    assert_eq!(names(definitions.all()), ["d", "a", "b", "c", "new"]);
    assert_eq!(definitions.get("a").unwrap().stated.sql, "SELECT … FROM pipeline");
    let failed = definitions.get("new").unwrap();
    assert_eq!(failed.state, State::Failed("division by zero".to_owned()));
    assert!(!failed.is_served());
    let kept = definitions.get("b").unwrap();
    assert_eq!((&kept.state, kept.refused.as_deref()), (&State::Live, Some("division by zero")));
}

#[test]
fn a_removed_view_leaves_the_rest_of_its_group() {
    let mut definitions = chain();
    let changed: Vec<Definition> =
        [("b", "a"), ("c", "b")].map(|(n, r)| successor(&definitions, n, &[r])).into();
    definitions.put(1, changed);
    assert_eq!(definitions.remove("c").unwrap().name(), "c");
    assert_eq!(names(&definitions.group(1)), ["b"]);
    assert!(definitions.remove("c").is_none());
}
