#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;

use super::*;

fn new_tenant(body: Value) -> Result<NewTenant, String> {
    serde_json::from_value(body).map_err(|error| error.to_string())
}

fn change(body: Value) -> Result<TenantChange, String> {
    serde_json::from_value(body).map_err(|error| error.to_string())
}

fn least() -> Value {
    json!({"id": "acme", "name": "Acme", "timezone": "Europe/Berlin", "currency": "EUR"})
}

fn with(field: &str, value: Value) -> Value {
    let mut body = least();
    body[field] = value;
    body
}

#[test]
fn the_least_body_gets_the_defaults() {
    let id = "acme".parse().unwrap();
    let expected = NewTenant::new(id, "Acme", Tz::Europe__Berlin, "EUR".parse().unwrap());
    assert_eq!(new_tenant(least()).unwrap(), expected);
    assert_eq!(expected.clock, Clock::Wall);
    assert_eq!(expected.modules, None);
    assert_eq!(expected.locale.as_str(), "en-GB");
}

#[test]
fn the_full_body_is_taken_and_put_in_order() {
    let mut body = least();
    body["name"] = "  Ünïted & Söhne ".into();
    body["clock"] = "fixed:2014-06-30".into();
    body["locale"] = "DE-at".into();
    body["vertical"] = "construction".into();
    body["modules"] = json!(["hr", "crm", "hr"]);
    body["branding"] = json!({"colours": {"accent": "#05A"}});
    let new = new_tenant(body).unwrap();
    assert_eq!(new.name, "Ünïted & Söhne");
    assert_eq!(new.clock.to_string(), "fixed:2014-06-30");
    assert_eq!(new.locale.as_str(), "de-AT");
    assert_eq!(new.vertical.as_deref(), Some("construction"));
    assert_eq!(new.modules, Some(vec!["crm".to_owned(), "hr".to_owned()]));
    assert_eq!(new.branding.unwrap()["colours"]["accent"], "#0055aa");
}

#[test]
fn each_field_must_be_there() {
    for field in ["id", "name", "timezone", "currency"] {
        let mut body = least();
        body.as_object_mut().unwrap().remove(field);
        let message = new_tenant(body).unwrap_err();
        assert!(message.contains(field), "{message}");
    }
}

#[test]
fn a_bad_value_is_reported_with_its_field() {
    for (field, value) in [
        ("id", json!("Acme Ltd")),
        ("name", json!("   ")),
        ("name", json!("a\u{0}b")),
        ("name", json!("x".repeat(MAX_TEXT + 1))),
        ("timezone", json!("Europe/Berln")),
        ("timezone", json!("+02:00")),
        ("currency", json!("euro")),
        ("locale", json!("de_DE")),
        ("clock", json!("fixed:2023-02-29")),
        ("vertical", json!("")),
        ("vertical", json!("piracy")),
        ("modules", json!([])),
        ("modules", json!(["crm", "sales"])),
        ("branding", json!({"logo": "x"})),
    ] {
        let message = new_tenant(with(field, value.clone())).unwrap_err();
        assert!(message.starts_with(&format!("{field}: ")), "{field}: {message}");
        if field != "id" {
            let message = change(json!({ field: value })).unwrap_err();
            assert!(message.starts_with(&format!("{field}: ")), "{field}: {message}");
        }
    }
}

#[test]
fn a_bad_module_is_pointed_at() {
    let message = new_tenant(with("modules", json!(["crm", "sales"]))).unwrap_err();
    assert!(message.contains("entry 1") && message.contains("invoicing"), "{message}");
}

#[test]
fn unknown_fields_and_wrong_types_are_refused() {
    for (field, value) in [
        ("plan", json!("gold")),
        ("number", json!(1)),
        ("name", json!(5)),
        ("modules", json!("crm")),
    ] {
        new_tenant(with(field, value.clone())).unwrap_err();
        change(json!({ field: value })).unwrap_err();
    }
    let message = new_tenant(with("plan", json!("gold"))).unwrap_err();
    assert!(message.contains("unknown field `plan`"), "{message}");
    let message = change(json!({"id": "other"})).unwrap_err();
    assert!(message.contains("unknown field `id`"), "{message}");
    let listed = json!(["acme", "Acme", "UTC", "EUR", null, null, null, null]);
    for body in [json!(null), json!([]), listed, json!("acme"), json!(1)] {
        new_tenant(body.clone()).unwrap_err();
        change(body).unwrap_err();
    }
}

#[test]
fn a_field_given_twice_is_refused_with_its_place() {
    let error = serde_json::from_str::<TenantChange>(r#"{"name": "A", "name": "B"}"#).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("duplicate field `name` at line 1 column"), "{message}");
}

#[test]
fn null_clears_only_what_may_be_missing() {
    assert_eq!(change(json!({})).unwrap(), TenantChange::default());
    let cleared = change(json!({"vertical": null, "modules": null, "branding": null})).unwrap();
    assert_eq!(
        cleared,
        TenantChange {
            vertical: Some(None),
            modules: Some(None),
            branding: Some(None),
            ..TenantChange::default()
        }
    );
    for field in ["name", "timezone", "currency", "locale", "clock"] {
        change(json!({ field: null })).unwrap_err();
    }
}

#[test]
fn an_admin_changes_all_but_the_clock() {
    let body = json!({
        "name": "New", "timezone": "UTC", "currency": "CHF", "locale": "de-CH", "vertical": "retail",
        "modules": ["tasks"], "branding": {"colours": {"accent": "#123456"}},
    });
    let settings: TenantSettings = serde_json::from_value(body.clone()).unwrap();
    assert_eq!(TenantChange::from(settings), change(body).unwrap());
    for field in ["clock", "id"] {
        let error = serde_json::from_value::<TenantSettings>(json!({ field: "EUR" })).unwrap_err();
        assert!(error.to_string().contains(&format!("unknown field `{field}`")), "{error}");
    }
    serde_json::from_value::<TenantSettings>(json!({"name": null})).unwrap_err();
    let error = serde_json::from_value::<TenantSettings>(json!({"timezone": "x"})).unwrap_err();
    assert!(error.to_string().starts_with("timezone: "), "{error}");
}

#[test]
fn what_was_created_is_told_from_what_was_changed() {
    let mut body = with("vertical", json!("property"));
    let new = new_tenant(body.clone()).unwrap();
    let modules = &templates::find("property").unwrap().modules;
    let record = TenantRecord {
        number: 1,
        id: new.id.clone(),
        name: new.name.clone(),
        timezone: new.timezone,
        currency: new.currency,
        locale: new.locale.clone(),
        clock: new.clock,
        vertical: new.vertical.clone(),
        modules: modules.clone(),
        branding: None,
        created_at: chrono::Utc::now(),
        template: None,
    };
    assert!(new.describes(&record));
    body["modules"] = json!(modules);
    assert!(new_tenant(body.clone()).unwrap().describes(&record));
    for (field, value) in [
        ("id", json!("other")),
        ("name", json!("Other")),
        ("timezone", json!("UTC")),
        ("currency", json!("CHF")),
        ("locale", json!("de-CH")),
        ("clock", json!("events")),
        ("vertical", json!("retail")),
        ("modules", json!(["crm"])),
        ("branding", json!({"name": "B"})),
    ] {
        let mut other = body.clone();
        other[field] = value;
        assert!(!new_tenant(other).unwrap().describes(&record), "{field}");
    }
    let all =
        TenantRecord { modules: MODULES.map(str::to_owned).to_vec(), vertical: None, ..record };
    assert!(new_tenant(least()).unwrap().describes(&all));
}
