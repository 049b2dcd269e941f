#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;

use super::{Events, Generated, Plan, VERTICALS};

fn lines(tenants: u32, events: u64, seed: u64) -> Vec<Generated> {
    Events::new(Plan { tenants, events, seed }).collect()
}

fn parsed(generated: &[Generated]) -> Vec<Value> {
    generated.iter().map(|event| serde_json::from_slice(&event.line).unwrap()).collect()
}

fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    event[name].as_str().unwrap()
}

#[test]
fn all_types_come_with_the_fields_of_their_schema() {
    let types = projections::EventTypes::builtin();
    let events = parsed(&lines(1, 30_000, 1));
    let mut seen = BTreeSet::new();
    for event in &events {
        let kind = types.get(text(event, "type")).expect("a known type");
        seen.insert(kind.name().to_owned());
        let data = event["data"].as_object().unwrap();
        for field in kind.fields() {
            let given = data.get(&field.name);
            assert!(given.is_some() || field.optional, "{} lacks {}", kind.name(), field.name);
        }
        for name in data.keys() {
            assert!(kind.fields().iter().any(|field| field.name == *name), "{name} is unknown");
        }
        assert_eq!(text(event, "source"), format!("/{}", kind.module()));
    }
    assert_eq!(seen.len(), types.iter().count(), "{seen:?}");
}

#[test]
fn firms_of_a_kind_tell_of_their_modules_alone() {
    for (vertical, profile) in VERTICALS {
        let plan = Plan { tenants: 1, events: 6_000, seed: 4 };
        let generated: Vec<Generated> = Events::of(plan, &[*profile]).collect();
        assert_eq!(generated.len(), 6_000, "{vertical}");
        let mut told = BTreeSet::new();
        let mut newest = String::new();
        for event in parsed(&generated) {
            let module = text(&event, "type").split('.').next().unwrap();
            told.insert(module.to_owned());
            newest = newest.max(text(&event, "time").to_owned());
        }
        let modules: BTreeSet<String> = profile.modules.iter().map(|&m| m.to_owned()).collect();
        assert_eq!(told, modules, "{vertical}");
        // The story takes its time.
        assert!(newest.as_str() > "2023-07", "{vertical}: {newest}");
    }
}

#[test]
fn firms_are_of_the_kinds_in_turn() {
    let kinds: Vec<_> = VERTICALS.iter().map(|(_, profile)| *profile).collect();
    let plan = Plan { tenants: 28, events: 20_000, seed: 2 };
    for event in parsed(&Events::of(plan, &kinds).collect::<Vec<_>>()) {
        let tenant: usize = text(&event, "tenantid")[1..].parse().unwrap();
        let profile = kinds[(tenant - 1) % kinds.len()];
        assert!(profile.tells(text(&event, "type")), "{event}");
    }
}

#[test]
fn time_advances_with_some_late_and_some_twice() {
    let events = parsed(&lines(3, 20_000, 5));
    let mut ids = BTreeMap::new();
    let mut newest = String::new();
    let mut late = 0;
    for event in &events {
        *ids.entry((text(event, "tenantid").to_owned(), text(event, "id").to_owned()))
            .or_insert(0) += 1;
        let time = text(event, "time");
        if time < newest.as_str() {
            late += 1;
        } else {
            time.clone_into(&mut newest);
        }
    }
    let twice = ids.values().filter(|count| **count == 2).count();
    assert!(ids.values().all(|count| *count <= 2));
    assert!((100..400).contains(&twice), "{twice} of 20,000 came twice");
    assert!((200..1_200).contains(&late), "{late} of 20,000 came late");
    assert!(newest.as_str() < "2025-06", "{newest}");
}

#[test]
fn money_that_comes_in_was_invoiced() {
    let events = parsed(&lines(1, 20_000, 9));
    let numbers = |kind: &str| -> Vec<&str> {
        let of_kind = events.iter().filter(|event| text(event, "type") == kind);
        of_kind.map(|event| event["data"]["invoice_id"].as_str().unwrap()).collect()
    };
    let issued: BTreeSet<_> = numbers("invoicing.invoice_issued").into_iter().collect();
    let paid = numbers("invoicing.payment_received");
    let known = paid.iter().filter(|invoice| issued.contains(*invoice)).count();
    assert!(paid.len() > 500, "{} payments", paid.len());
    assert!(
        known * 100 > paid.len() * 98,
        "{known} of {} payments are of known invoices",
        paid.len()
    );
    assert!(issued.len() > paid.len() / 2);
}

#[test]
fn stock_is_never_below_nothing() {
    let events = parsed(&lines(1, 30_000, 3));
    let mut by_time: Vec<_> =
        events.iter().filter(|e| text(e, "type").starts_with("inventory.stock")).collect();
    // Numbers break ties: an id ends with the event's number.
    let number =
        |event: &Value| -> u64 { text(event, "id").rsplit('-').next().unwrap().parse().unwrap() };
    by_time.sort_by_key(|event| number(event));
    by_time.dedup_by_key(|event| number(event));
    let mut on_hand: BTreeMap<(String, String), i64> = BTreeMap::new();
    for event in by_time {
        let data = &event["data"];
        let shelf = (text(data, "product_id").to_owned(), text(data, "warehouse").to_owned());
        let quantity = data["quantity"].as_i64().unwrap();
        let signed = match text(event, "type") {
            "inventory.stock_issued" | "inventory.stock_shipped" => -quantity,
            _ => quantity,
        };
        let now = on_hand.entry(shelf.clone()).or_default();
        *now += signed;
        assert!(*now >= 0, "{shelf:?} has {now} after {event}");
    }
    assert!(on_hand.len() > 50);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn equal_plans_give_equal_bytes_and_the_asked_count(
        tenants in 1u32..20, events in 0u64..3_000, seed: u64,
    ) {
        let first = lines(tenants, events, seed);
        prop_assert_eq!(first.len() as u64, events);
        prop_assert_eq!(&first, &lines(tenants, events, seed));
        for event in &first {
            let value: Value = serde_json::from_slice(&event.line).unwrap();
            prop_assert_eq!(text(&value, "tenantid"), format!("t{:05}", event.tenant + 1));
        }
        if events > 100 {
            prop_assert_ne!(first, lines(tenants, events, seed ^ 1));
        }
    }
}
