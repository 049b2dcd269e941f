#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::super::places::{Place, on_both};
use super::*;
use crate::templates::CustomFieldType;
use crate::{FieldOrigin, NewTenant};

fn new_tenant(id: &str) -> NewTenant {
    serde_json::from_value(json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"}))
        .unwrap()
}

fn field(name: &str) -> DeclaredField {
    DeclaredField {
        on: "hr.time_logged".to_owned(),
        name: name.to_owned(),
        title: format!("The {name}"),
        r#type: CustomFieldType::Decimal,
        choices: Vec::new(),
    }
}

fn names(fields: &CustomFields) -> Vec<(FieldOrigin, &str)> {
    fields.all().map(|(origin, field)| (origin, field.name.as_str())).collect()
}

on_both! {
async fn each_tenant_has_its_own_and_others_see_what_changed(place: &Place) {
    let store = place.open().await;
    for id in ["a", "b"] {
        store.create_tenant(new_tenant(id)).await.unwrap();
    }
    assert_eq!(store.custom_fields_of(1).await.unwrap(), CustomFields::default());
    let before = store.last_change().await.unwrap();
    let none = CustomFields::default();
    assert!(store.put_custom_fields(1, &none.clone().with(field("x"))).await.unwrap());
    assert!(store.put_custom_fields(2, &none.clone().with(field("y"))).await.unwrap());
    assert!(!store.put_custom_fields(1, &none).await.unwrap(), "there is something already");
    let first = store.custom_fields_of(1).await.unwrap();
    assert_eq!(names(&first), [(FieldOrigin::Tenant, "x")]);
    assert_eq!(store.custom_fields_since(Some(before)).await.unwrap().len(), 2);

    let since = store.last_change().await.unwrap();
    let changed = first.clone().with(field("z"));
    assert!(store.put_custom_fields(1, &changed).await.unwrap());
    assert!(!store.put_custom_fields(1, &first.without("hr.time_logged", "x")).await.unwrap());
    assert!(store.last_change().await.unwrap() > since);
    let seen = store.custom_fields_since(Some(since)).await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].0, seen[0].1.len()), (1, 2));
    store.close().await;
    let store = place.open().await;
    let all = store.custom_fields().await.unwrap();
    assert_eq!(all[0], (1, store.custom_fields_of(1).await.unwrap()));
    assert_eq!((all[1].0, names(&all[1].1)), (2, vec![(FieldOrigin::Tenant, "y")]));
    let nobody = store.put_custom_fields(9, &none).await;
    assert!(matches!(nobody, Err(StoreError::Database { .. })), "{nobody:?}");
}

async fn who_was_given_a_template_before_has_declared_its_fields(place: &Place) {
    place.migrate_to(19).await;
    let tenants = "INSERT INTO tenants (id, name, timezone, currency, clock, created_at) VALUES \
                   ('one', 'One', 'UTC', 'EUR', 'wall', 0), ('two', 'Two', 'UTC', 'EUR', 'wall', 0)";
    place.execute(tenants).await.unwrap();
    let given = "INSERT INTO given_templates (tenant_id, revision, given_at, template) VALUES \
                 (1, 1, 0, '{\"version\":1,\"custom_fields\":[{\"id\":\"a-lot\",\
                 \"on\":\"hr.time_logged\",\"name\":\"lot\",\"title\":\"The lot\",\
                 \"type\":\"decimal\"}]}'), \
                 (2, 1, 0, '{\"version\":1,\"custom_fields\":[]}')";
    place.execute(given).await.unwrap();
    let store = place.open().await;
    let all = store.custom_fields().await.unwrap();
    assert_eq!(all.len(), 1, "who was given none has no row");
    assert_eq!((all[0].0, names(&all[0].1)), (1, vec![(FieldOrigin::Template, "lot")]));
    assert_eq!(all[0].1.get("hr.time_logged", "lot"), Some(&field("lot")));
    assert!(store.put_custom_fields(1, &all[0].1.clone().with(field("x"))).await.unwrap());
    assert!(store.put_custom_fields(2, &CustomFields::default()).await.unwrap());
}
}
