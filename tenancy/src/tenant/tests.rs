#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use chrono::TimeZone;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn record(timezone: Tz, clock: Clock) -> TenantRecord {
    TenantRecord {
        number: 7,
        id: "acme".parse().unwrap(),
        name: "Acme".into(),
        timezone,
        currency: "EUR".parse().unwrap(),
        locale: Locale::default(),
        clock,
        vertical: None,
        modules: vec!["crm".into()],
        branding: None,
        template: None,
        created_at: Utc.with_ymd_and_hms(2024, 1, 2, 3, 4, 5).unwrap(),
    }
}

#[test]
fn serializes_everything_but_the_number() {
    let shown = serde_json::to_value(record(Tz::Europe__Berlin, Clock::Events)).unwrap();
    assert_eq!(
        shown,
        json!({
            "id": "acme", "name": "Acme", "timezone": "Europe/Berlin", "currency": "EUR",
            "locale": "en-GB", "clock": "events", "vertical": null, "modules": ["crm"], "branding": null,
            "created_at": "2024-01-02T03:04:05Z",
        })
    );
}

#[test]
fn a_firm_is_called_as_its_branding_says() {
    let mut tenant = record(Tz::UTC, Clock::Wall);
    assert_eq!((tenant.firm(), tenant.colour()), ("Acme", None));
    let branding = |value: Value| value.as_object().cloned();
    tenant.branding = branding(json!({ "colours": { "accent": "#0b6b75" } }));
    assert_eq!((tenant.firm(), tenant.colour()), ("Acme", Some(0x0b_6b_75)));
    tenant.branding = branding(json!({ "name": "Acme Works", "colours": { "accent": "teal" } }));
    assert_eq!((tenant.firm(), tenant.colour()), ("Acme Works", None));
    // As it may have been before branding was checked.
    tenant.branding = branding(json!({ "name": "", "colours": [] }));
    assert_eq!((tenant.firm(), tenant.colour()), ("Acme", None));
}

#[test]
fn the_wall_clock_follows_the_timezone() {
    let now = Utc.with_ymd_and_hms(2024, 3, 31, 22, 30, 0).unwrap();
    let day = |d, m| NaiveDate::from_ymd_opt(2024, m, d);
    assert_eq!(record(Tz::UTC, Clock::Wall).today(now), day(31, 3));
    // Summer time began that day: 22:30 UTC is 00:30 in Berlin.
    assert_eq!(record(Tz::Europe__Berlin, Clock::Wall).today(now), day(1, 4));
    assert_eq!(record(Tz::Pacific__Kiritimati, Clock::Wall).today(now), day(1, 4));
    assert_eq!(record(Tz::America__Los_Angeles, Clock::Wall).today(now), day(31, 3));
}

#[test]
fn other_clocks_do_not_ask_the_wall() {
    let now = Utc::now();
    let date = NaiveDate::from_ymd_opt(2014, 6, 30).unwrap();
    assert_eq!(record(Tz::UTC, Clock::Fixed(date)).today(now), Some(date));
    assert_eq!(record(Tz::UTC, Clock::Events).today(now), None);
}

#[test]
fn a_clock_has_one_spelling() {
    for text in ["wall", "events", "fixed:2024-02-29", "fixed:1900-01-01", "fixed:9999-12-31"] {
        assert_eq!(text.parse::<Clock>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "Wall",
        "wall ",
        "fixed",
        "fixed:",
        "fixed:2023-02-29",
        "fixed:2024-1-5",
        "fixed: 2024-01-05",
        "fixed:+2024-01-05",
        "fixed:1899-12-31",
        "fixed:10000-01-01",
        "fixed:2024-01-05T00:00:00Z",
    ] {
        assert_eq!(text.parse::<Clock>().unwrap_err().field, "clock", "{text:?}");
    }
}

#[test]
fn a_currency_is_three_capitals() {
    assert_eq!("EUR".parse::<Currency>().unwrap().as_str(), "EUR");
    for text in ["", "EU", "EURO", "eur", "E R", "€", "ÄÖ", "E1R"] {
        assert_eq!(text.parse::<Currency>().unwrap_err().field, "currency", "{text:?}");
    }
}

proptest! {
    #[test]
    fn every_fixed_date_survives(days in -25_567i32..2_932_896) {
        let date = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + chrono::TimeDelta::days(days.into());
        let clock = Clock::Fixed(date);
        prop_assert_eq!(clock.to_string().parse::<Clock>().unwrap(), clock);
        let json = serde_json::to_string(&clock).unwrap();
        prop_assert_eq!(serde_json::from_str::<Clock>(&json).unwrap(), clock);
    }
}
