#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};
use tempfile::TempDir;
use tenancy::NewTenant;

use super::*;

/// That of a service with Kafka.
async fn directory(folder: &TempDir, limits: TypeLimits) -> TypeDirectory {
    opened(folder, limits, true).await
}

async fn opened(folder: &TempDir, limits: TypeLimits, has_topics: bool) -> TypeDirectory {
    let store = Store::open(&folder.path().join("control.db")).await.unwrap();
    if store.tenants().await.unwrap().is_empty() {
        for id in ["a", "b"] {
            let id = id.parse().unwrap();
            let new = NewTenant::new(id, "x", chrono_tz::UTC, "EUR".parse().unwrap());
            store.create_tenant(new).await.unwrap();
        }
    }
    let stored = store.event_types().await.unwrap();
    let declared = store.custom_fields().await.unwrap();
    TypeDirectory::new(store, stored, declared, limits, has_topics).unwrap()
}

fn schema(fields: &[&str]) -> Box<RawValue> {
    let fields: Vec<Value> = fields
        .iter()
        .map(|name| match name.strip_suffix('?') {
            Some(name) => json!({"name": name, "type": ["null", "string"]}),
            None => json!({"name": name, "type": "string"}),
        })
        .collect();
    let record = json!({"type": "record", "name": "r", "fields": fields});
    RawValue::from_string(record.to_string()).unwrap()
}

const A: Option<Tenant> = Some(Tenant(1));
const B: Option<Tenant> = Some(Tenant(2));

async fn register(
    types: &TypeDirectory,
    owner: Option<Tenant>,
    name: &str,
    fields: &[&str],
) -> Result<bool, RegisterError> {
    types.register(owner, name.to_owned(), schema(fields)).await.map(|(_, new)| new)
}

/// The type of that name as one tenant sees it, or the platform.
fn described(types: &TypeDirectory, tenant: Option<Tenant>, name: &str) -> Option<Described> {
    let registry = types.registry();
    let visible = tenant.map_or_else(|| registry.shared(), |tenant| registry.visible(tenant));
    types.get(&visible, name)
}

fn fields(types: &TypeDirectory, tenant: u32, name: &str) -> usize {
    types.registry().visible(Tenant(tenant)).get(name).map_or(0, |t| t.fields().len())
}

#[tokio::test]
async fn what_is_registered_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let types = directory(&folder, TypeLimits::default()).await;
    assert!(register(&types, A, "acme.x", &["f"]).await.unwrap());
    assert!(!register(&types, A, "acme.x", &["f"]).await.unwrap());
    assert!(!register(&types, A, "acme.x", &["f", "g?"]).await.unwrap());
    assert!(register(&types, B, "acme.x", &["k", "l", "m"]).await.unwrap());
    assert!(register(&types, None, "acme.y", &["z"]).await.unwrap());
    // Limits that have become smaller forget nothing.
    let limits = TypeLimits { count: 1, fields: 1, schema_bytes: 1 };
    for types in [types, directory(&folder, limits).await] {
        assert_eq!((fields(&types, 1, "acme.x"), fields(&types, 2, "acme.x")), (2, 3));
        assert_eq!((fields(&types, 1, "acme.y"), fields(&types, 3, "acme.y")), (1, 1));
        assert_eq!(fields(&types, 3, "acme.x"), 0);
        let own = serde_json::to_value(described(&types, A, "acme.x")).unwrap();
        assert_eq!(own["owner"], "tenant");
        assert_eq!(own["schema"]["fields"][1]["name"], "g");
        assert!(described(&types, None, "acme.x").is_none());
        assert_eq!(
            serde_json::to_value(described(&types, B, "acme.y")).unwrap()["owner"],
            "platform"
        );
    }
}

#[tokio::test]
async fn names_of_all_tenants_are_taken_and_those_of_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let types = directory(&folder, TypeLimits::default()).await;
    for owner in [A, None] {
        let error = register(&types, owner, "crm.call_logged", &["f"]).await.unwrap_err();
        assert!(matches!(error, RegisterError::Taken(_)), "{error}");
    }
    register(&types, A, "acme.x", &["f"]).await.unwrap();
    // The platform learns nothing of A's type, and A keeps it and can go on with it.
    assert!(register(&types, None, "acme.x", &["p", "q"]).await.unwrap());
    assert_eq!((fields(&types, 1, "acme.x"), fields(&types, 2, "acme.x")), (1, 2));
    assert!(!register(&types, A, "acme.x", &["f", "g?"]).await.unwrap());
    let error = register(&types, B, "acme.x", &["p", "q"]).await.unwrap_err();
    assert!(matches!(error, RegisterError::Taken(_)), "{error}");
}

/// Kafka has no topics for two names that differ in `.` and `_` alone.
#[tokio::test]
async fn names_that_kafka_takes_for_the_same_are_refused_whoever_has_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let types = directory(&folder, TypeLimits::default()).await;
    let taken = |name: &str| RegisterError::Taken(name.to_owned()).to_string();
    // A built-in one is in the way of everybody.
    for owner in [A, None] {
        let error = register(&types, owner, "hr_time.logged", &["f"]).await.unwrap_err();
        assert_eq!(error.to_string(), taken("hr_time.logged"));
    }
    register(&types, A, "acme.x_y", &["f"]).await.unwrap();
    // Another process that has not heard of it yet is told the same.
    let elsewhere = directory(&folder, TypeLimits::default()).await;
    register(&elsewhere, B, "shop_a.b", &["f"]).await.unwrap();
    for (owner, name) in [(A, "acme_x.y"), (B, "acme_x.y"), (None, "acme_x.y"), (A, "shop.a_b")] {
        let error = register(&types, owner, name, &["f"]).await.unwrap_err();
        assert_eq!(error.to_string(), taken(name), "{owner:?}");
    }
    // What has the same name has the same topic, and what is there goes on.
    assert!(register(&types, B, "acme.x_y", &["k"]).await.unwrap());
    assert!(register(&types, B, "acme.x_z", &["k"]).await.unwrap());
    assert!(!register(&types, A, "acme.x_y", &["f", "g?"]).await.unwrap());
}

/// Without topics, names are in the way of those alone who see them.
#[tokio::test]
async fn without_kafka_no_refusal_tells_of_another_tenants_types() {
    let folder = tempfile::tempdir().unwrap();
    let types = opened(&folder, TypeLimits::default(), false).await;
    register(&types, A, "acme.x_y", &["f"]).await.unwrap();
    for (owner, name) in [(A, "acme_x.y"), (A, "hr_time.logged"), (None, "hr_time.logged")] {
        let error = register(&types, owner, name, &["f"]).await.unwrap_err();
        assert_eq!(error.to_string(), RegisterError::Taken(name.to_owned()).to_string());
    }
    for owner in [B, None] {
        assert!(register(&types, owner, "acme_x.y", &["f"]).await.unwrap(), "{owner:?}");
    }
    // What the platform has is seen by all.
    let error = register(&types, B, "acme.x_y", &["f"]).await.unwrap_err();
    assert!(matches!(error, RegisterError::Taken(_)), "{error}");
    assert!(!register(&types, A, "acme.x_y", &["f", "g?"]).await.unwrap());
}

#[tokio::test]
async fn other_schemas_and_too_many_types_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let types = directory(&folder, TypeLimits { count: 2, ..TypeLimits::default() }).await;
    register(&types, A, "acme.x", &["f"]).await.unwrap();
    let error = register(&types, A, "acme.x", &["g"]).await.unwrap_err().to_string();
    assert!(error.contains("`f` is missing") && error.contains("`g` is new"), "{error}");
    assert_eq!(fields(&types, 1, "acme.x"), 1);
    register(&types, A, "acme.y", &["f"]).await.unwrap();
    let error = register(&types, A, "acme.z", &["f"]).await.unwrap_err();
    assert!(matches!(error, RegisterError::Full { limit: 2 }), "{error}");
    assert!(!register(&types, A, "acme.y", &["f", "g?"]).await.unwrap());
    for owner in [B, None] {
        assert!(register(&types, owner, "acme.z", &["f"]).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_register_at_once_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let types = directory(&folder, TypeLimits::default()).await;
    let racers: Vec<_> = (0..20)
        .map(|n| {
            let types = types.clone();
            tokio::spawn(async move { register(&types, A, "acme.x", &[&format!("f{n}")]).await })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(new) => won += usize::from(new),
            Err(RegisterError::Incompatible { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(won, 1);
    let held = serde_json::to_value(described(&types, A, "acme.x")).unwrap();
    let again = directory(&folder, TypeLimits::default()).await;
    assert_eq!(serde_json::to_value(described(&again, A, "acme.x")).unwrap(), held);
}
