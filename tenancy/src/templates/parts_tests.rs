#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn board(id: &str, title: &str, x: u32) -> Item {
    let document = json!({ "widgets": [{ "id": "low", "title": title, "at": { "x": x } }] });
    let value = json!({ "id": id, "title": "Stock", "document": document });
    Item { kind: PartKind::Dashboard, id: id.to_owned(), value }
}

fn rule(id: &str, sql: &str) -> Item {
    let value = json!({ "id": id, "title": id, "sql": sql });
    Item { kind: PartKind::AlertRule, id: id.to_owned(), value }
}

fn settled(of: &[(&str, Side)]) -> Settlements {
    of.iter().map(|(path, side)| (Path::new(*path), *side)).collect()
}

fn states(parts: &[Part]) -> Vec<(&str, PartState)> {
    parts.iter().map(|part| (part.path.as_str(), part.state)).collect()
}

const TITLE: &str = "/dashboards/stock/document/widgets/low/title";

#[test]
fn each_part_has_a_state_and_a_step() {
    let sides = Sides {
        base: vec![
            board("same", "Low", 0),
            board("theirs", "Low", 0),
            board("ours", "Low", 0),
            board("both", "Low", 0),
            rule("gone", "1"),
            rule("deleted", "1"),
            rule("on-neither", "1"),
        ],
        theirs: vec![
            board("same", "Low", 0),
            board("theirs", "Newer", 0),
            board("ours", "Low", 0),
            board("both", "Newer", 0),
            rule("deleted", "2"),
            rule("new", "1"),
            rule("there", "2"),
        ],
        ours: vec![
            board("same", "Low", 0),
            board("theirs", "Low", 0),
            board("ours", "Mine", 0),
            board("both", "Low", 6),
            rule("gone", "1"),
            rule("there", "mine"),
            rule("own", "1"),
        ],
    };
    let parts = compare(&sides, &Settlements::new()).unwrap();
    let expected = [
        ("/dashboards/same", PartState::Unchanged),
        ("/dashboards/theirs", PartState::ChangedByTemplate),
        ("/dashboards/ours", PartState::ChangedByTenant),
        ("/dashboards/both", PartState::ChangedByBoth),
        ("/alert_rules/deleted", PartState::DeletedByTenant),
        ("/alert_rules/new", PartState::New),
        ("/alert_rules/there", PartState::ChangedByTenant),
        ("/alert_rules/gone", PartState::RemovedByTemplate),
    ];
    assert_eq!(states(&parts), expected);
    assert!(parts.iter().all(|part| part.conflicts.is_empty()));
    let steps: Vec<&Step> = parts.iter().map(|part| &part.step).collect();
    let (newer, both) = (board("theirs", "Newer", 0).value, board("both", "Newer", 6).value);
    let expected = [
        &Step::Keep,
        &Step::Change(newer),
        &Step::Keep,
        &Step::Change(both),
        &Step::Keep,
        &Step::Give,
        &Step::Keep,
        &Step::Keep,
    ];
    assert_eq!(steps, expected);
}

#[test]
fn whether_a_tenant_has_a_part_is_its_word_unless_it_is_settled() {
    let sides = Sides {
        base: vec![rule("gone", "1"), rule("deleted", "1")],
        theirs: vec![rule("deleted", "1"), rule("new", "1")],
        ours: vec![rule("gone", "mine")],
    };
    let step = |settlements: &[(&str, Side)], id: &str| {
        let parts = compare(&sides, &settled(settlements)).unwrap();
        parts.into_iter().find(|part| part.id == id).unwrap().step
    };
    for (id, by_default, ours, theirs) in [
        ("gone", Step::Keep, Step::Keep, Step::Delete),
        ("deleted", Step::Keep, Step::Keep, Step::Give),
        ("new", Step::Give, Step::Keep, Step::Give),
    ] {
        let path = format!("/alert_rules/{id}");
        assert_eq!(step(&[], id), by_default, "{id}");
        assert_eq!(step(&[(path.as_str(), Side::Ours)], id), ours, "{id}");
        assert_eq!(step(&[(path.as_str(), Side::Theirs)], id), theirs, "{id}");
    }
}

#[test]
fn conflicts_are_settled_by_their_paths_or_by_that_of_the_part() {
    let sides = Sides {
        base: vec![board("stock", "Low", 0)],
        theirs: vec![board("stock", "Newer", 3)],
        ours: vec![board("stock", "Mine", 0)],
    };
    let part = |settlements: &[(&str, Side)]| {
        let parts = compare(&sides, &settled(settlements)).unwrap();
        let [part]: [Part; 1] = parts.try_into().unwrap();
        part
    };
    let open = part(&[]);
    let [conflict] = &open.conflicts[..] else { panic!("{open:?}") };
    assert_eq!(conflict.path.as_str(), TITLE);
    assert_eq!((&conflict.theirs, &conflict.ours), (&Some(json!("Newer")), &Some(json!("Mine"))));
    // What is not in conflict is merged all the same.
    for (settlement, expected) in [
        ((TITLE, Side::Ours), board("stock", "Mine", 3)),
        ((TITLE, Side::Theirs), board("stock", "Newer", 3)),
        (("/dashboards/stock", Side::Theirs), board("stock", "Newer", 3)),
    ] {
        let settled = part(&[settlement]);
        assert_eq!((settled.state, settled.conflicts), (PartState::ChangedByBoth, Vec::new()));
        assert_eq!(settled.step, Step::Change(expected.value), "{settlement:?}");
    }
    let kept = part(&[("/dashboards/stock", Side::Ours)]);
    assert_eq!((kept.step, kept.conflicts), (Step::Keep, Vec::new()));
}

#[test]
fn what_is_not_in_conflict_cannot_be_settled() {
    let sides = Sides {
        base: vec![board("stock", "Low", 0)],
        theirs: vec![board("stock", "Newer", 0)],
        ours: vec![board("stock", "Low", 0)],
    };
    for path in [TITLE, "/dashboards/stoc", "/dashboards", "", "/reports/stock"] {
        let refused = compare(&sides, &settled(&[(path, Side::Ours)])).unwrap_err();
        assert_eq!(refused, SettleError::NoConflict { path: Path::new(path) });
    }
    // Nor twice.
    let twice = [("/dashboards/stock", Side::Ours), (TITLE, Side::Ours)];
    compare(&sides, &settled(&twice)).unwrap_err();
}

#[test]
fn what_is_taken_over_is_not_taken_over_again() {
    let theirs = vec![board("stock", "Newer", 3), rule("new", "1")];
    let mut ours = vec![board("stock", "Mine", 3), rule("new", "1")];
    for _ in 0..2 {
        let sides = Sides { base: theirs.clone(), theirs: theirs.clone(), ours: ours.clone() };
        let parts = compare(&sides, &Settlements::new()).unwrap();
        assert!(parts.iter().all(|part| part.step == Step::Keep && part.conflicts.is_empty()));
        // Whatever the tenant does then.
        ours.pop();
    }
}
