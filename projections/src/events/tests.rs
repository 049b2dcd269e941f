#![allow(clippy::unwrap_used)]

use arrow::array::{Array, StringArray};

use super::*;
use crate::{Input, Partition, ViewDefinition};

fn field(name: &str, optional: bool) -> Field {
    Field { name: name.to_owned(), kind: FieldType::Text, optional }
}

fn names(types: &EventTypes) -> Vec<&str> {
    types.iter().map(|t| t.name()).filter(|name| name.starts_with("acme.")).collect()
}

#[test]
fn a_tenant_has_the_types_of_all_and_its_own() {
    let registry = EventRegistry::builtin();
    let before = registry.visible(Tenant(1));
    registry.put(EventType::owned(Some(Tenant(1)), "acme.b", vec![field("x", false)]));
    registry.put(EventType::owned(Some(Tenant(2)), "acme.b", vec![]));
    registry.put(EventType::new("acme.a", vec![]));
    assert_eq!(names(&before), [""; 0], "what was handed out stays as it was");
    assert_eq!(names(&registry.visible(Tenant(1))), ["acme.a", "acme.b"]);
    assert_eq!(names(&registry.visible(Tenant(3))), ["acme.a"]);
    assert_eq!(names(&registry.shared()), ["acme.a"]);
    let fields = |tenant| registry.visible(Tenant(tenant)).get("acme.b").unwrap().fields().len();
    assert_eq!((fields(1), fields(2)), (1, 0));
    assert!(registry.find(None, "acme.b").is_none());
    assert!(registry.find(Some(Tenant(1)), "acme.a").is_none());
    assert_eq!(registry.count(Some(Tenant(1))), 1);
    assert_eq!(registry.count(None), EventTypes::builtin().iter().count() + 1);
}

#[test]
fn a_tenants_own_type_stands_before_one_of_all() {
    let registry = EventRegistry::builtin();
    registry.put(EventType::owned(Some(Tenant(1)), "acme.a", vec![field("own", false)]));
    registry.put(EventType::new("acme.a", vec![]));
    let own = registry.visible(Tenant(1));
    assert_eq!(own.get("acme.a").unwrap().owner(), Some(Tenant(1)));
    assert_eq!(names(&own), ["acme.a"]);
    assert_eq!(registry.visible(Tenant(2)).get("acme.a").unwrap().owner(), None);
}

#[test]
fn rows_fit_an_earlier_and_a_later_form_of_their_type() {
    let earlier = EventType::new("acme.a", vec![field("x", false)]);
    let later = EventType::new("acme.a", vec![field("x", false), field("y", true)]);
    let text = |value: &str| Arc::new(StringArray::from(vec![value])) as arrow::array::ArrayRef;
    let at = new_null_array(&instant(), 0);
    let empty = RecordBatch::try_new(
        earlier.relation().clone(),
        vec![text("").slice(0, 0), at, text("").slice(0, 0), text("").slice(0, 0)],
    )
    .unwrap();
    assert_eq!(fit(&empty, later.relation()).unwrap().num_columns(), 5);
    let mut columns = empty.columns().to_vec();
    columns[1] =
        Arc::new(arrow::array::TimestampMicrosecondArray::from(vec![7]).with_data_type(instant()));
    for place in [0, 2, 3] {
        columns[place] = text("v");
    }
    let rows = RecordBatch::try_new(earlier.relation().clone(), columns).unwrap();
    let wide = fit(&rows, later.relation()).unwrap();
    assert!(wide.column(4).is_null(0));
    assert_eq!(fit(&wide, earlier.relation()).unwrap(), rows);
}

fn batch(event_type: EventType, tenant: u32, id: &str) -> EventBatch {
    let text: arrow::array::ArrayRef = Arc::new(StringArray::from(vec![id]));
    let at = arrow::array::TimestampMicrosecondArray::from(vec![7]).with_data_type(instant());
    let mut columns = vec![text; event_type.relation().fields().len()];
    columns[1] = Arc::new(at);
    let rows = RecordBatch::try_new(event_type.relation().clone(), columns).unwrap();
    EventBatch { event_type: Arc::new(event_type), tenants: vec![tenant].into(), rows, extra: None }
}

#[test]
fn a_view_reads_the_type_it_was_defined_over_in_all_its_forms() {
    let own = |owner, fields| EventType::owned(Some(Tenant(owner)), "acme.a", fields);
    let registry = EventRegistry::builtin();
    registry.put(own(1, vec![field("x", false)]));
    let view = ViewDefinition {
        name: "v".into(),
        sql: r#"SELECT event_id, x FROM events."acme.a""#.into(),
        key: vec!["event_id".into()],
        internal: false,
    };
    let mut partition = Partition::new(&registry.visible(Tenant(1)), vec![view]).unwrap();
    let events = vec![
        batch(own(1, vec![field("x", false)]), 1, "first"),
        batch(own(1, vec![field("x", false), field("y", true)]), 1, "later"),
        // Another tenant's type of the same name, and one of all.
        batch(own(2, vec![field("x", false)]), 2, "other"),
        batch(EventType::new("acme.a", vec![field("x", false)]), 3, "shared"),
    ];
    let deltas = partition.apply(Input { events, ticks: vec![], offset: 1 });
    assert_eq!(deltas.len(), 3, "whoever has events moves on, read or not");
    let readers = partition.readers();
    let rows = |tenant| readers.snapshot(Tenant(tenant)).view("v").unwrap().row_count();
    assert_eq!([rows(1), rows(2), rows(3)], [2, 0, 0]);
}

fn declaring(registry: &EventRegistry, tenant: u32, fields: &[(&str, &[&str])]) {
    let fields = fields.iter().map(|(name, fields)| {
        let fields = fields.iter().map(|name| field(name, false)).collect();
        ((*name).to_owned(), fields)
    });
    registry.declare(Tenant(tenant), fields.collect());
}

/// The columns of a type behind those of the envelope, as a tenant has it.
fn columns(registry: &EventRegistry, tenant: u32, name: &str) -> Vec<String> {
    let types = registry.visible(Tenant(tenant));
    let columns = types.get(name).unwrap().columns().fields().iter().skip(ENVELOPE.len());
    columns.map(|field| field.name().clone()).collect()
}

#[test]
fn what_a_tenant_declares_stands_behind_the_columns_of_a_type_for_it_alone() {
    let registry = EventRegistry::builtin();
    registry.put(EventType::new("acme.a", vec![field("x", false)]));
    let plain = registry.visible(Tenant(1)).get("acme.a").unwrap().clone();
    declaring(&registry, 1, &[("acme.a", &["lot", "Event_ID", "X", "Lot"]), ("acme.none", &["y"])]);
    declaring(&registry, 2, &[("acme.a", &["bill"])]);
    assert_eq!(columns(&registry, 1, "acme.a"), ["x", "lot"], "a column's name stays a column's");
    assert_eq!(columns(&registry, 2, "acme.a"), ["x", "bill"]);
    assert_eq!(columns(&registry, 3, "acme.a"), ["x"]);
    let wide = registry.visible(Tenant(1)).get("acme.a").unwrap().clone();
    assert_eq!((wide.relation(), wide.fields()), (plain.relation(), plain.fields()));
    assert_eq!(wide.columns().field(4).data_type(), &DataType::Utf8);
    assert!(wide.declared().iter().all(|field| field.optional));
    assert!(plain.declared().is_empty() && plain.columns() == plain.relation());
    assert!(registry.find(None, "acme.a").unwrap().declared().is_empty());
    let listed = registry.visible(Tenant(1));
    let listed = listed.iter().find(|known| known.name() == "acme.a").unwrap();
    assert!(Arc::ptr_eq(listed, &wide));

    // A type of its own that it declares something of, and one that comes later.
    registry.put(EventType::owned(Some(Tenant(1)), "acme.none", vec![field("z", false)]));
    assert_eq!(columns(&registry, 1, "acme.none"), ["z", "y"]);
    registry.forget(Tenant(1));
    assert_eq!(columns(&registry, 1, "acme.a"), ["x"]);
    assert_eq!(columns(&registry, 2, "acme.a"), ["x", "bill"]);
}

#[test]
fn a_type_is_the_same_object_until_its_columns_change() {
    let registry = EventRegistry::builtin();
    registry.put(EventType::new("acme.a", vec![field("x", false)]));
    registry.put(EventType::new("acme.b", vec![]));
    let held = |name: &str| registry.visible(Tenant(1)).get(name).unwrap().clone();
    declaring(&registry, 1, &[("acme.a", &["lot"]), ("acme.b", &["lot"])]);
    let (a, b) = (held("acme.a"), held("acme.b"));
    declaring(&registry, 1, &[("acme.a", &["lot"]), ("acme.b", &["lot", "bill"])]);
    assert!(Arc::ptr_eq(&a, &held("acme.a")) && !Arc::ptr_eq(&b, &held("acme.b")));
    // The type gains a field of the name of one that is declared.
    registry.put(EventType::new("acme.a", vec![field("x", false), field("lot", true)]));
    assert!(!Arc::ptr_eq(&a, &held("acme.a")));
    assert_eq!(columns(&registry, 1, "acme.a"), ["x", "lot"]);
    assert!(held("acme.a").declared().is_empty());
    let b = held("acme.b");
    declaring(&registry, 1, &[]);
    assert!(!Arc::ptr_eq(&b, &held("acme.b")) && held("acme.b").declared().is_empty());
}
