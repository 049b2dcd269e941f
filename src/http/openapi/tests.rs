#![allow(clippy::unwrap_used, clippy::panic)]

use arrow::datatypes::{DataType, Field, Schema};
use projections::encode::column_types;

use super::*;

/// Every operation with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods.iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    methods.collect()
}

/// Calls `look` with every value of the document.
fn each<'a>(value: &'a Value, look: &mut impl FnMut(&'a Value)) {
    look(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| each(item, look)),
        Value::Object(members) => members.values().for_each(|member| each(member, look)),
        _ => {}
    }
}

#[test]
fn every_route_says_what_it_gives() {
    for route in ROUTES {
        let call = calls::call(route);
        let call = call.unwrap_or_else(|| panic!("{} {}", route.method, route.path));
        assert!(call.answers.iter().any(|answer| answer.status < 300), "{}", route.path);
        assert!(call.answers.iter().all(|answer| answer.status < 400), "{}", route.path);
        assert!(refusals(route, &call).iter().all(|status| *status >= 400), "{}", route.path);
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = whole();
    let mut references = BTreeSet::new();
    each(&document, &mut |value| {
        if let Some(Value::String(reference)) = value.get("$ref") {
            references.insert(reference.as_str());
        }
    });
    assert!(references.len() > 60, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn what_is_given_has_a_media_type_and_json_a_schema() {
    let document = whole();
    for (what, operation) in operations(&document) {
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let is_bare = matches!(status.as_str(), "101" | "204" | "304");
            let is_refusal = answer.get("$ref").is_some();
            let content = answer["content"].as_object();
            assert_eq!(content.is_none(), is_bare || is_refusal, "{what} {status}");
            for (kind, media) in content.into_iter().flatten() {
                let is_json = kind == "application/json";
                assert!(!is_json || media["schema"].is_object(), "{what} {status} {kind}");
            }
        }
        for (kind, media) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            assert!(media["schema"].is_object(), "{what} {kind}");
        }
    }
}

#[test]
fn no_two_types_have_one_name() {
    let mut found = Found::new();
    for route in ROUTES {
        calls::call(route).unwrap().types().for_each(|collect| collect(&mut found));
    }
    let mut known: Map<String, Value> = Map::new();
    for (name, schema) in found {
        let schema = json!(schema);
        let before = known.entry(name.as_str()).or_insert_with(|| schema.clone());
        assert_eq!(*before, schema, "{name}");
    }
    let written = schemas::components(Found::new());
    assert!(written.keys().all(|name| !known.contains_key(name)), "{:?}", written.keys());
}

#[test]
fn what_a_body_must_have_and_may_not_have_is_said() {
    let document = whole();
    let question = &document["components"]["schemas"]["Question"];
    assert_eq!(question["additionalProperties"], false);
    assert_eq!(question["required"], json!(["sql"]));
    let tenant = &document["components"]["schemas"]["NewTenant"];
    assert_eq!(tenant["additionalProperties"], false);
    assert_eq!(tenant["required"], json!(["id", "name", "timezone", "currency"]));
    let change = &document["components"]["schemas"]["TenantSettings"]["properties"];
    assert_eq!(change["name"]["type"], "string");
    assert_eq!(change["vertical"]["type"], json!(["string", "null"]));
}

#[test]
fn a_column_is_described_as_it_is_written() {
    let columns = column_types(&Schema::new(vec![Field::new("a", DataType::Utf8, true)]));
    let written = json!(columns[0]);
    let described = &whole()["components"]["schemas"]["Column"];
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&written), names(&described["properties"]));
    assert_eq!(described["required"].as_array().unwrap().len(), names(&written).len());
}
