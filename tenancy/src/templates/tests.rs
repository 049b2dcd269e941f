#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use super::*;
use crate::modules::{MODULES, VIEWS};

fn tenant(clock: &str) -> TenantRecord {
    TenantRecord {
        number: 1,
        id: "acme".parse().unwrap(),
        name: "Acme".into(),
        // Where it is tomorrow already.
        timezone: chrono_tz::Pacific::Auckland,
        currency: "NZD".parse().unwrap(),
        clock: clock.parse().unwrap(),
        vertical: None,
        modules: MODULES.map(str::to_owned).to_vec(),
        branding: None,
        created_at: "2025-03-04T20:00:00Z".parse().unwrap(),
        template: None,
    }
}

#[test]
fn every_file_is_read_and_keeps_its_promises() {
    let read: Result<Vec<Template>, _> = TEXTS.iter().map(|t| serde_json::from_str(t)).collect();
    assert_eq!(read.unwrap(), all());
    let names: BTreeSet<&str> = all().iter().map(|template| template.vertical.as_str()).collect();
    assert_eq!(names.len(), TEXTS.len());
    for template in all() {
        assert_eq!(find(&template.vertical), Some(template));
        let modules = &template.modules;
        let known = MODULES.into_iter().filter(|module| modules.iter().any(|m| m == module));
        assert!(known.eq(modules.iter()), "{}: {modules:?}", template.vertical);
        let is_on = |module: &str| modules.iter().any(|m| m == module);
        let ids: BTreeSet<&str> = template.events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids.len(), template.events.len());
        for event in &template.events {
            assert!(is_on(event.r#type.split('.').next().unwrap()), "{}", event.r#type);
        }
        let ids: BTreeSet<&str> = template.dashboards.iter().map(|d| d.id.as_str()).collect();
        assert_eq!(ids.len(), template.dashboards.len());
        let rules: BTreeSet<String> =
            template.alert_rules.iter().map(|rule| template.rule_id(rule)).collect();
        assert_eq!(rules.len(), template.alert_rules.len());
        assert!(!rules.is_empty(), "{}", template.vertical);
        for rule in &rules {
            // It stands in an address.
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(rule.chars().all(is_plain), "{rule}");
        }
        for tile in template.dashboards.iter().flat_map(|dashboard| &dashboard.tiles) {
            let (_, owners) = VIEWS.iter().find(|(view, _)| *view == tile.view).unwrap();
            assert!(owners.iter().any(|owner| is_on(owner)), "{}", tile.view);
            let is_table = tile.kind == TileKind::Table;
            assert_eq!((tile.columns.is_empty(), tile.value.is_some()), (!is_table, !is_table));
        }
    }
    assert_eq!(find("nowhere"), None);
}

#[test]
fn events_are_the_same_whenever_they_are_made() {
    for template in all() {
        let events = template.cloud_events(&tenant("wall"));
        assert_eq!(events, template.cloud_events(&tenant("wall")));
        assert_eq!(events.len(), template.events.len());
        for event in events {
            assert_eq!(event["time"], "2025-03-04T20:00:00.000000Z");
            assert!(!event.to_string().contains(TODAY));
        }
    }
}

#[test]
fn the_date_is_that_of_the_tenant() {
    let services = find("services").unwrap();
    let start = |clock: &str| {
        let events = services.cloud_events(&tenant(clock));
        (events[0]["time"].clone(), events[0]["data"]["start_date"].clone())
    };
    let created = json!("2025-03-04T20:00:00.000000Z");
    assert_eq!(start("wall"), (created.clone(), json!("2025-03-05")));
    assert_eq!(start("fixed:2024-02-29"), (created, json!("2024-02-29")));
    // A tenant whose events make its date is not moved by what it begins with.
    assert_eq!(start("events"), (json!("1970-01-01T00:00:00.000000Z"), json!("1970-01-01")));
}
