//! Writers whose schemas differ from the type's, and those that cannot be read as it.

use arrow::datatypes::Int64Type;
use projections::events::{Field, FieldType};

use super::*;

fn field(name: &str, kind: FieldType, optional: bool) -> Field {
    Field { name: name.to_owned(), kind, optional }
}

fn widgets() -> Arc<EventType> {
    Arc::new(EventType::new(
        "acme.widget_made",
        vec![
            field("widget_id", FieldType::Text, false),
            field("weight", FieldType::Decimal, true),
            field("count", FieldType::Int, true),
            field("checked_at", FieldType::Timestamp, true),
            field("is_good", FieldType::Bool, true),
        ],
    ))
}

fn head(id: &str) -> Record {
    Record::new(3).text(id).text("acme").long(MOMENT)
}

#[test]
fn a_writer_may_have_fewer_fields_and_others() {
    let old = schema(&[("widget_id", json!("string"))]);
    let outcome = read(&old, &widgets(), &[head("a").text("W1").done()]);
    assert_eq!(outcome.taken, [0], "{:?}", reasons(&outcome));
    assert!(column(&outcome.rows, "weight").is_null(0));

    let new = json!({"type": "record", "name": "other", "doc": "of a later time", "fields": [
        {"name": "colour", "type": {"type": "enum", "name": "colour", "symbols": ["red", "blue"]},
         "default": "red"},
        {"name": "count", "type": "int", "default": 5},
        {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "tenant_id", "type": "string"},
        {"name": "subject", "type": ["null", "string"], "default": null},
        {"name": "widget_id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "mass", "type": ["null", "double"], "default": null},
        {"name": "event_id", "type": {"type": "string", "avro.java.string": "String"}},
        {"name": "is_good", "type": ["boolean", "null"]},
    ]});
    let body = Record::new(3)
        .long(1)
        .long(-3)
        .long(MOMENT / 1000)
        .text("acme")
        .long(1)
        .text("S1")
        .text("6f1e4b1c-0000-4000-8000-00000000000A")
        .long(1)
        .raw(&1.5_f64.to_le_bytes())
        .text("b")
        .long(0)
        .raw(&[1])
        .done();
    let outcome = read(&new.to_string(), &widgets(), &[body]);
    assert_eq!(outcome.taken, [0], "{:?}", reasons(&outcome));
    let rows = &outcome.rows;
    assert_eq!(text(rows, "event_id", 0).as_deref(), Some("b"));
    assert_eq!(
        column(rows, "occurred_at").as_primitive::<TimestampMicrosecondType>().value(0),
        MOMENT
    );
    assert_eq!(text(rows, "subject", 0).as_deref(), Some("S1"));
    let id = text(rows, "widget_id", 0);
    assert_eq!(id.as_deref(), Some("6f1e4b1c-0000-4000-8000-00000000000A"), "as it was sent");
    assert_eq!(column(rows, "count").as_primitive::<Int64Type>().value(0), -3);
    assert!(column(rows, "is_good").as_boolean().value(0));
    let extra: Value = serde_json::from_str(&text(rows, "extra", 0).unwrap()).unwrap();
    assert_eq!(extra, json!({"data": {"colour": "blue", "mass": "1.5"}}));
}

#[test]
fn a_grown_type_is_read_from_old_writers() {
    let mut fields = widgets().fields().to_vec();
    fields.push(field("batch", FieldType::Text, true));
    let grown = Arc::new(EventType::new("acme.widget_made", fields));
    let old = schema(&[("widget_id", json!("string"))]);
    let outcome = read(&old, &grown, &[head("a").text("W1").done()]);
    assert_eq!(text(&outcome.rows, "batch", 0), None);
    assert_eq!(outcome.rows.schema(), crate::stored::stored_schema(&grown));
}

#[test]
fn decimals_are_exact_or_refused() {
    let of = |precision: u32, scale: u32| {
        let kind = json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale});
        schema(&[("widget_id", json!("string")), ("weight", kind)])
    };
    let weights = |schema: &str, values: &[&[u8]]| {
        let bodies: Vec<_> =
            values.iter().map(|bytes| head("a").text("W").bytes(bytes).done()).collect();
        let outcome = read(schema, &widgets(), &bodies);
        let read =
            column(&outcome.rows, "weight").as_primitive::<Decimal128Type>().values().to_vec();
        let reasons: Vec<String> = reasons(&outcome).iter().map(|(_, r)| (*r).to_owned()).collect();
        (read, reasons)
    };
    // -1.5 and 2 with six places are exact; 0.000001 and 1.00005 are not.
    let six: Vec<Vec<u8>> = [-1_500_000_i64, 2_000_000, 1, 1_000_050]
        .map(|value| value.to_be_bytes().to_vec())
        .to_vec();
    let six: Vec<&[u8]> = six.iter().map(Vec::as_slice).collect();
    let (read, reasons) = weights(&of(20, 6), &six);
    assert_eq!(read, [-15_000, 20_000]);
    assert_eq!(
        reasons,
        [
            "weight: expected a decimal with at most 34 digits before the point and 4 after it, found 0.000001",
            "weight: expected a decimal with at most 34 digits before the point and 4 after it, found 1.000050",
        ]
    );
    // 10^37 has too many digits before the point.
    let large = 10_i128.pow(37).to_be_bytes();
    let small = 7_i128.to_be_bytes();
    let (read, reasons) = weights(&of(38, 0), &[&large, &small]);
    assert_eq!(read, [70_000]);
    assert_eq!(reasons.len(), 1);
    // A decimal of 50 digits that fits all the same.
    let (read, reasons) = weights(&of(50, 2), &[&[0xff]]);
    assert_eq!((read, reasons), (vec![-100], vec![]));
}

#[test]
fn schemas_that_are_not_the_types_are_refused() {
    let refused = |schema: &str, event_type: &Arc<EventType>| {
        AvroDecoder::new(3, schema, event_type).err().unwrap()
    };
    let widgets = widgets();
    let cases = [
        ("[1", "the schema 3 cannot be read: it is no JSON"),
        ("\"string\"", "the schema 3 cannot be read: it is no record"),
        (
            "{\"type\":\"record\",\"name\":\"a\"}",
            "the schema 3 cannot be read: it is a record without fields",
        ),
    ];
    for (schema, expected) in cases {
        let reason = refused(schema, &widgets);
        assert!(reason.starts_with(expected), "{reason}");
    }
    let fields = [
        (json!("long"), "its field `widget_id`: a string or an enum is expected, and it is a long"),
        (json!({"type": "array", "items": "int"}), "its field `widget_id` is of the type array"),
        (json!(["int", "string"]), "its field `widget_id` is a union of several types"),
    ];
    for (kind, expected) in fields {
        let reason = refused(&schema(&[("widget_id", kind)]), &widgets);
        assert!(reason.contains(expected), "{reason}");
    }
    let reason = refused(&schema(&[]), &widgets);
    assert!(reason.ends_with("it has no field `widget_id`, which is required"), "{reason}");
    let double = schema(&[("widget_id", json!("string")), ("weight", json!("double"))]);
    assert!(refused(&double, &widgets).contains("a double, which is not exact"));
    let bare =
        json!({"type": "record", "name": "a", "fields": [{"name": "event_id", "type": "string"}]});
    assert!(refused(&bare.to_string(), &widgets).contains("it has no field `tenant_id`"));
}

#[test]
fn a_required_field_that_is_null_is_refused() {
    let nullable = schema(&[("widget_id", json!(["null", "string"]))]);
    let bodies = [head("a").long(0).done(), head("b").long(1).text("W").done()];
    let outcome = read(&nullable, &widgets(), &bodies);
    assert_eq!(outcome.taken, [1]);
    assert_eq!(reasons(&outcome), [(0, "widget_id is null, and it is required")]);
}
