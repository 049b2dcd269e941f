#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use projections::events::ENVELOPE;

use super::*;

fn read(schema: &Value) -> Result<Vec<Field>, SchemaError> {
    fields(&schema.to_string(), &TypeLimits::default())
}

fn record(fields: &Value) -> Value {
    json!({ "type": "record", "name": "widget_made", "namespace": "acme", "fields": fields })
}

/// The only field of a record whose field `x` has this type.
fn one(kind: &Value) -> Result<Field, SchemaError> {
    read(&record(&json!([{ "name": "x", "type": kind }]))).map(|mut fields| fields.remove(0))
}

#[test]
fn every_supported_type_has_its_kind() {
    let decimal =
        |p, s| json!({"type": "bytes", "logicalType": "decimal", "precision": p, "scale": s});
    for (kind, expected, optional) in [
        (json!("string"), FieldType::Text, false),
        (json!({"type": "string", "avro.java.string": "String"}), FieldType::Text, false),
        (json!({"type": {"type": "string"}}), FieldType::Text, false),
        (json!({"type": "string", "logicalType": "uuid"}), FieldType::Text, false),
        (json!({"type": "enum", "name": "E", "symbols": ["A", "B"]}), FieldType::Text, false),
        (json!("int"), FieldType::Int, false),
        (json!("long"), FieldType::Int, false),
        (json!("boolean"), FieldType::Bool, false),
        (json!({"type": "int", "logicalType": "date"}), FieldType::Date, false),
        (json!({"type": "long", "logicalType": "timestamp-millis"}), FieldType::Timestamp, false),
        (json!({"type": "long", "logicalType": "timestamp-micros"}), FieldType::Timestamp, false),
        (decimal(38, 4), FieldType::Decimal, false),
        (decimal(34, 0), FieldType::Decimal, false),
        (
            json!({"type": "bytes", "logicalType": "decimal", "precision": 9}),
            FieldType::Decimal,
            false,
        ),
        (
            json!({"type": "fixed", "name": "D", "size": 8, "logicalType": "decimal", "precision": 18, "scale": 2}),
            FieldType::Decimal,
            false,
        ),
        (json!(["null", "string"]), FieldType::Text, true),
        (json!(["long", "null"]), FieldType::Int, true),
        (json!(["boolean"]), FieldType::Bool, false),
        (json!(["null", decimal(10, 2)]), FieldType::Decimal, true),
    ] {
        let field = one(&kind).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!((field.kind, field.optional), (expected, optional), "{kind}");
    }
}

#[test]
fn what_is_refused_names_the_field_and_the_way_out() {
    let decimal = |p: i32, s: i32| json!({"type": "bytes", "logicalType": "decimal", "precision": p, "scale": s});
    for (kind, word) in [
        (json!("float"), "decimal"),
        (json!("double"), "decimal"),
        (json!("bytes"), "base64"),
        (json!({"type": "fixed", "name": "F", "size": 4}), "base64"),
        (json!({"type": "record", "name": "R", "fields": []}), "fields of this record"),
        (json!({"type": "array", "items": "string"}), "each element"),
        (json!({"type": "map", "values": "long"}), "field of its own"),
        (json!("null"), "leave it out"),
        (json!("enum"), "symbols"),
        (json!({"type": "enum", "name": "E"}), "symbols"),
        (json!({"type": "enum", "name": "E", "symbols": ["a b"]}), "symbols"),
        (json!({"type": "enum", "symbols": ["a"]}), "needs a name"),
        (json!("strnig"), "`strnig` is no type"),
        (json!(7), "no Avro type"),
        (json!({}), "has no type"),
        (json!(["null"]), "union"),
        (json!([]), "union"),
        (json!(["null", "string", "long"]), "one other type"),
        (json!(["string", "long"]), "one other type"),
        (json!(["null", ["null", "string"]]), "union"),
        (json!(["null", "double"]), "decimal"),
        (decimal(20, 5), "4 places"),
        (decimal(39, 4), "34 digits"),
        (decimal(35, 0), "34 digits"),
        (decimal(2, 3), "at least its scale"),
        (decimal(0, 0), "at least 1"),
        (decimal(-1, 0), "precision"),
        (json!({"type": "bytes", "logicalType": "decimal"}), "precision"),
        (
            json!({"type": "fixed", "name": "D", "size": 4, "logicalType": "decimal", "precision": 10}),
            "9 digits",
        ),
        (json!({"type": "int", "logicalType": "time-millis"}), "times of day"),
        (json!({"type": "long", "logicalType": "local-timestamp-micros"}), "zone"),
        (json!({"type": "long", "logicalType": "timestamp-nanos"}), "microsecond"),
        (json!({"type": "long", "logicalType": "date"}), "int"),
        (json!({"type": "string", "logicalType": "url"}), "leave it out"),
        (json!({"type": {"type": "int"}, "logicalType": "date"}), "inner object"),
    ] {
        let error = one(&kind).expect_err(&kind.to_string());
        assert_eq!(error.field.as_deref(), Some("x"), "{kind}: {error}");
        let text = error.to_string();
        assert!(text.contains("`x`") && text.contains(word), "{kind}: {text}");
    }
}

#[test]
fn names_that_cannot_be_columns_are_refused() {
    for bad in ["", "1a", "a-b", "a b", "ä", "event_id", "Occurred_At", "SUBJECT", &"x".repeat(65)]
    {
        let error = read(&record(&json!([{ "name": bad, "type": "string" }]))).expect_err(bad);
        assert!(error.to_string().contains("name"), "{bad}: {error}");
    }
    let field = |name: &str| json!({ "name": name, "type": "string" });
    let error = read(&record(&json!([field("a"), field("A")]))).unwrap_err();
    assert_eq!(error.field.as_deref(), Some("A"));
    // `source`, `extra` and `tenant` are columns of the log alone and no matter here.
    let fine = record(&json!([field("source"), field("extra"), field("tenant"), field("_x1")]));
    assert_eq!(read(&fine).unwrap().len(), 4);
}

#[test]
fn what_is_no_record_is_refused() {
    for (schema, word) in [
        (json!("string"), "record"),
        (json!([]), "record"),
        (json!({}), "record"),
        (json!({"type": "enum", "name": "E", "symbols": []}), "record"),
        (json!({"type": "record", "name": "R"}), "list of fields"),
        (json!({"type": "record", "name": "R", "fields": {}}), "list of fields"),
        (json!({"type": "record", "fields": []}), "name"),
        (json!({"type": "record", "name": "a b", "fields": []}), "name"),
        (json!({"type": "record", "name": "R", "namespace": "a..b", "fields": []}), "namespace"),
        (record(&json!([7])), "field 0"),
        (record(&json!([{"type": "string"}])), "no name"),
        (record(&json!([{"name": "x"}])), "no type"),
        (record(&json!([{"name": "x", "type": "string", "default": "y"}])), "coalesce"),
        (record(&json!([{"name": "x", "type": "string", "default": null}])), "union"),
    ] {
        let error = read(&schema).expect_err(&schema.to_string()).to_string();
        assert!(error.contains(word), "{schema}: {error}");
    }
    let twice = r#"{"type":"record","name":"R","fields":[],"fields":[]}"#;
    let error = fields(twice, &TypeLimits::default()).unwrap_err().to_string();
    assert!(error.contains("duplicate"), "{error}");
    assert_eq!(read(&record(&json!([]))), Ok(vec![]));
}

#[test]
fn a_type_may_be_used_again_by_its_name() {
    let grade = json!({"type": "enum", "name": "grade", "symbols": ["A"]});
    let price = json!({"type": "fixed", "name": "x.price", "size": 8, "logicalType": "decimal", "precision": 10, "scale": 2});
    let schema = record(&json!([
        {"name": "a", "type": grade}, {"name": "b", "type": "grade"},
        {"name": "c", "type": ["null", "acme.grade"], "default": null},
        {"name": "d", "type": price}, {"name": "e", "type": "x.price"},
    ]));
    let kinds: Vec<FieldType> = read(&schema).unwrap().into_iter().map(|f| f.kind).collect();
    let (text, decimal) = (FieldType::Text, FieldType::Decimal);
    assert_eq!(kinds, [text, text, text, decimal, decimal]);
    let early = record(&json!([{"name": "b", "type": "grade"}, {"name": "a", "type": grade}]));
    assert_eq!(read(&early).unwrap_err().field.as_deref(), Some("b"));
    let twice = record(&json!([{"name": "b", "type": grade}, {"name": "a", "type": grade}]));
    assert!(read(&twice).unwrap_err().to_string().contains("twice"));
}

#[test]
fn limits_hold() {
    let limits = TypeLimits { fields: 2, schema_bytes: 200, ..TypeLimits::default() };
    let of = |count: usize| {
        let list: Vec<Value> =
            (0..count).map(|n| json!({"name": format!("f{n}"), "type": "int"})).collect();
        fields(&record(&json!(list)).to_string(), &limits).map(|fields| fields.len())
    };
    assert_eq!(of(2), Ok(2));
    assert!(of(3).unwrap_err().to_string().contains("at most 2"));
    assert!(of(30).unwrap_err().to_string().contains("bytes"));
    let deep = format!("{}\"string\"{}", "{\"type\":".repeat(5_000), "}".repeat(5_000));
    let schema =
        format!(r#"{{"type":"record","name":"R","fields":[{{"name":"x","type":{deep}}}]}}"#);
    assert!(fields(&schema, &TypeLimits::default()).is_err());
}

#[test]
fn names_of_types_are_module_and_fact() {
    for good in ["acme.widget_made", "a.b", "x1.y_2"] {
        assert_eq!(check_name(good), Ok(()), "{good}");
    }
    let long = format!("a.{}", "b".repeat(65));
    for bad in ["", "acme", "acme.", ".x", "a.b.c", "Acme.x", "a.X", "1a.b", "a/b.c", "a. b", &long]
    {
        assert!(check_name(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_type_grows_by_optional_fields_at_its_end() {
    let field = |name: &str, kind, optional| Field { name: name.to_owned(), kind, optional };
    let a = || field("a", FieldType::Text, false);
    let b = || field("b", FieldType::Int, true);
    let differences = |before: &[Field], now: &[Field]| match compare(before, now) {
        Growth::Other(differences) => differences.join("; "),
        other => panic!("{other:?}"),
    };
    assert_eq!(compare(&[a(), b()], &[a(), b()]), Growth::Same);
    assert_eq!(compare(&[a()], &[a(), b()]), Growth::Longer);
    assert_eq!(compare(&[], &[b()]), Growth::Longer);
    assert!(differences(&[a(), b()], &[a()]).contains("`b` is missing"));
    assert!(differences(&[a()], &[b(), a()]).contains("moved"));
    assert!(differences(&[b()], &[b(), a()]).contains("`a` is new and must be optional"));
    let other = [field("a", FieldType::Date, true)];
    let text = differences(&[a()], &other);
    assert!(text.contains("cannot become a date") && text.contains("`a` is required"), "{text}");
}

fn kinds() -> impl Strategy<Value = (Value, FieldType)> {
    let simple = prop::sample::select(vec![
        (json!("string"), FieldType::Text),
        (json!({"type": "string", "logicalType": "uuid"}), FieldType::Text),
        (json!("int"), FieldType::Int),
        (json!({"type": "long"}), FieldType::Int),
        (json!("boolean"), FieldType::Bool),
        (json!({"type": "int", "logicalType": "date"}), FieldType::Date),
        (json!({"type": "long", "logicalType": "timestamp-millis"}), FieldType::Timestamp),
    ]);
    let decimal = (0..=4_u32, 0..=34_u32).prop_map(|(scale, digits)| {
        let precision = (scale + digits).max(1);
        (
            json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}),
            FieldType::Decimal,
        )
    });
    prop_oneof![4 => simple, 1 => decimal]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_written_is_read_back(
        parts in prop::collection::vec(("[A-Za-z_][A-Za-z0-9_]{0,12}", kinds(), 0..3_u8), 0..20)
    ) {
        let mut taken: HashSet<String> = ENVELOPE.map(str::to_owned).into();
        let parts: Vec<_> =
            parts.into_iter().filter(|(name, ..)| taken.insert(name.to_lowercase())).collect();
        let list: Vec<Value> = parts.iter().map(|(name, (kind, _), union)| match union {
            0 => json!({"name": name, "type": kind, "doc": "x"}),
            1 => json!({"name": name, "type": ["null", kind], "default": null}),
            _ => json!({"name": name, "type": [kind, "null"]}),
        }).collect();
        let fields = read(&record(&json!(list))).unwrap();
        let expected: Vec<Field> = parts.iter().map(|(name, (_, kind), union)| {
            Field { name: name.clone(), kind: *kind, optional: *union > 0 }
        }).collect();
        prop_assert_eq!(&fields, &expected);
        let again = read(&avro(&EventType::new("acme.x", fields))).unwrap();
        prop_assert_eq!(compare(&expected, &again), Growth::Same);
    }

    #[test]
    fn no_text_panics(text in r#"[\[\]{}",:a-z0-9 ]{0,60}"#) {
        let limits = TypeLimits::default();
        let schema = format!(r#"{{"type":"record","name":"R","fields":[{{"name":"x","type":{text}}}]}}"#);
        let _ = (fields(&text, &limits), fields(&schema, &limits));
    }
}
