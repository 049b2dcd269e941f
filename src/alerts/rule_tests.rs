#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

fn definition(more: Value) -> Definition {
    let mut all = json!({ "title": "Overdue", "sql": "SELECT 1" });
    let more: serde_json::Map<String, Value> = serde_json::from_value(more).unwrap();
    all.as_object_mut().unwrap().extend(more);
    serde_json::from_value(all).unwrap()
}

#[test]
fn what_is_not_said_is_what_most_want() {
    let rule = definition(json!({})).checked().unwrap();
    assert_eq!((rule.severity, rule.enabled), (Severity::Warning, true));
    assert_eq!((rule.roles.as_slice(), rule.audience()), ([Role::Executive].as_slice(), 1));
    assert!(rule.key.is_empty() && rule.deliver.is_empty());
}

#[test]
fn what_is_wrong_is_named() {
    let webhook = json!({ "kind": "webhook", "url": "https://a.example/", "secret": "x" });
    let mail = json!({ "kind": "email", "to": ["a@b.example"], "role": "executive" });
    for (more, field) in [
        (json!({ "title": " " }), "title"),
        (json!({ "title": "a\nb" }), "title"),
        (json!({ "sql": "" }), "sql"),
        (json!({ "key": ["a", "b", "a"] }), "key[2]"),
        (json!({ "roles": [] }), "roles"),
        (json!({ "roles": ["service"] }), "roles"),
        (json!({ "deliver": [{ "kind": "s3", "path": "a" }] }), "deliver[0].kind"),
        (json!({ "deliver": [webhook] }), "deliver[0].secret"),
        (json!({ "roles": ["admin"], "deliver": [mail] }), "deliver[0].role"),
    ] {
        let wrong = definition(more).checked().unwrap_err();
        assert_eq!(wrong.field, field, "{wrong}");
    }
    let mail = json!({ "kind": "email", "to": ["a@b.example"], "role": "admin" });
    definition(json!({ "roles": ["analyst"], "deliver": [mail] })).checked().unwrap();
}

#[test]
fn each_role_sees_what_those_below_see() {
    let of = |roles: Value| definition(json!({ "roles": roles })).audience();
    assert_eq!([of(json!(["executive", "admin"])), of(json!(["analyst"]))], [1, 2]);
    let ranks = [Role::Executive, Role::Analyst, Role::Admin, Role::Service, Role::Platform];
    assert_eq!(ranks.map(|role| rank_of(role.into())), [1, 2, 3, 0, 0]);
    assert_eq!(rank_of(RoleSet::of(&[Role::Service, Role::Analyst])), 2);
}

#[test]
fn a_built_in_rule_asks_what_this_version_asks() {
    let builtin = &BUILTIN[0];
    assert_eq!(builtin.sql(), "SELECT * FROM budget_variance WHERE exceeded");
    let mut stored = definition(json!({ "sql": "SELECT 'of a former version'" }));
    builtin.ask(&mut stored);
    assert_eq!((stored.title.as_str(), &stored.key), ("Overdue", &builtin.key()));
    assert_eq!(stored.sql, builtin.sql());
    for builtin in &BUILTIN {
        assert!(builtin.definition().checked().is_ok());
    }
}
