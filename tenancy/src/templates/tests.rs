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
        locale: "en-NZ".parse().unwrap(),
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
    assert_eq!(extension::resolve(FILES).unwrap(), all());
    let files = FILES.iter().map(|(name, _)| *name);
    assert!(files.eq(all().iter().map(|template| template.vertical.as_str())));
    assert_eq!(all().len(), 14);
    for template in all() {
        assert_eq!(find(&template.vertical), Some(template));
        let modules = &template.modules;
        let known = MODULES.into_iter().filter(|module| modules.iter().any(|m| m == module));
        assert!(known.eq(modules.iter()), "{}: {modules:?}", template.vertical);
        assert!(template.version > 0 && !template.title.is_empty() && !template.about.is_empty());
        assert!(!template.dashboards.is_empty() && !template.reports.is_empty());
        let is_on = |what: &str| modules.iter().any(|m| Some(m.as_str()) == what.split('.').next());
        for kind in template.events.iter().map(|event| &event.r#type) {
            assert!(is_on(kind), "{}: {kind}", template.vertical);
        }
        for field in &template.custom_fields {
            assert!(is_on(&field.on), "{}: {}", template.vertical, field.id);
            assert!(field.choices.is_empty() || field.r#type == CustomFieldType::Text);
        }
        assert!(!template.alert_rules.is_empty(), "{}", template.vertical);
        for rule in template.alert_rules.iter().map(|rule| template.rule_id(rule)) {
            // It stands in an address.
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(rule.chars().all(is_plain), "{rule}");
        }
    }
    assert_eq!(find("nowhere"), None);
}

#[test]
fn nothing_has_the_name_of_another() {
    for template in all() {
        let lists: [Vec<&str>; 5] = [
            template.events.iter().map(|event| event.id.as_str()).collect(),
            template.dashboards.iter().map(|dashboard| dashboard.id.as_str()).collect(),
            template.reports.iter().map(|report| report.id.as_str()).collect(),
            template.custom_fields.iter().map(|field| field.id.as_str()).collect(),
            template.alert_rules.iter().map(|rule| rule.id.as_str()).collect(),
        ];
        for list in lists {
            let single: BTreeSet<&str> = list.iter().copied().collect();
            assert_eq!(single.len(), list.len(), "{}: {list:?}", template.vertical);
        }
        let on = template.custom_fields.iter().map(|field| (&field.on, &field.name));
        assert_eq!(on.collect::<BTreeSet<_>>().len(), template.custom_fields.len());
    }
}

/// Executives read dashboards and may not ask in SQL, so what they begin with is over views.
#[test]
fn every_widget_is_over_a_view_that_is_shown() {
    for template in all() {
        let is_on = |module: &str| template.modules.iter().any(|m| m == module);
        for dashboard in &template.dashboards {
            let what = format!("{}/{}", template.vertical, dashboard.id);
            assert!(dashboard.document.widgets.iter().any(|w| w.show.reads()), "{what}");
            for source in dashboard.document.widgets.iter().filter_map(|w| w.source.as_ref()) {
                let view = source.view.as_ref().unwrap_or_else(|| panic!("{what}: {source:?}"));
                let (_, owners) = VIEWS.iter().find(|(name, _)| *name == view.as_str()).unwrap();
                assert!(owners.iter().any(|owner| is_on(owner)), "{what}: {view}");
            }
        }
    }
}

#[test]
fn what_is_given_is_read_as_the_same() {
    for template in all() {
        assert_eq!(&serde_json::from_value::<Template>(json!(template)).unwrap(), template);
    }
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
fn what_a_newer_version_has_beside_is_of_the_day_it_is_taken_over() {
    let household = find("household").unwrap();
    let (tenant, at) = (tenant("wall"), "2026-07-01T20:00:00Z".parse().unwrap());
    let later = |template: &Template, before: Option<&Template>| {
        template.dated_events(template.later_events(before), &tenant, at)
    };
    assert!(later(household, Some(household)).is_empty());
    let given = household.cloud_events(&tenant);
    let all = later(household, None);
    assert!(!all.is_empty() && all.len() == given.len());
    // Those that are there already are the same by their ids.
    assert!(all.iter().zip(&given).all(|(newer, given)| newer["id"] == given["id"]));
    assert!(
        household
            .events
            .iter()
            .map(|event| household.event_id(&event.id))
            .eq(given.iter().map(|event| event["id"].as_str().unwrap().to_owned()))
    );
    assert!(all.iter().all(|event| event["time"] == "2026-07-01T20:00:00.000000Z"));
    let before = Template { events: household.events[1..].to_vec(), ..household.clone() };
    assert_eq!(later(household, Some(&before)), all[..1]);
    let fewer = Template { events: household.events[..1].to_vec(), ..household.clone() };
    assert!(later(&fewer, Some(household)).is_empty());
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
