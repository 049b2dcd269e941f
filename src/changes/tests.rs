#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use futures::FutureExt;
use projections::Tenant;
use serde_json::json;
use serde_json::value::RawValue;
use tempfile::TempDir;
use tenancy::templates::CustomFieldType;
use tenancy::{DeclaredField, NewTenant, TenantChange};

use super::*;
use crate::event_types::RegisterError;

/// A process with its own memory of the store in the folder.
struct Node {
    store: Store,
    directory: Directory,
    types: TypeDirectory,
    changes: Arc<Changes>,
}

async fn node(folder: &TempDir) -> Node {
    let store = Store::open(&folder.path().join("control.db")).await.unwrap();
    let since = store.last_change().await.unwrap();
    let directory = Directory::open(store.clone()).await.unwrap();
    let stored = store.event_types().await.unwrap();
    let declared = store.custom_fields().await.unwrap();
    let limits = ingest::TypeLimits::default();
    let types = TypeDirectory::new(store.clone(), stored, declared, limits, true).unwrap();
    let changes = Changes::new(store.clone(), directory.clone(), types.clone(), since);
    Node { store, directory, types, changes }
}

fn new_tenant(id: &str) -> NewTenant {
    serde_json::from_value(json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"}))
        .unwrap()
}

fn id(text: &str) -> TenantId {
    text.parse().unwrap()
}

async fn register(
    node: &Node,
    owner: Option<u32>,
    name: &str,
    fields: &[&str],
) -> Result<bool, RegisterError> {
    let fields: Vec<_> =
        fields.iter().map(|f| json!({"name": f, "type": ["null", "string"]})).collect();
    let schema = json!({"type": "record", "name": "r", "fields": fields}).to_string();
    let schema = RawValue::from_string(schema).unwrap();
    node.types.register(owner.map(Tenant), name.to_owned(), schema).await.map(|(_, new)| new)
}

fn width(node: &Node, owner: Option<u32>, name: &str) -> Option<usize> {
    node.types.registry().find(owner.map(Tenant), name).map(|known| known.fields().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_creates_the_other_finds_on_a_look() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (node(&folder).await, node(&folder).await);
    one.directory.create(new_tenant("acme")).await.unwrap();
    assert_eq!(other.directory.get(&id("acme")), None);
    assert_eq!(other.changes.tenant(&id("acme")).await.unwrap().unwrap().number, 1);
    assert_eq!(other.changes.tenant(&id("nobody")).await.unwrap(), None);

    assert!(register(&one, Some(1), "acme.x", &["a"]).await.unwrap());
    assert!(register(&one, None, "shop.y", &["a", "b"]).await.unwrap());
    assert_eq!((width(&other, Some(1), "acme.x"), width(&other, None, "shop.y")), (None, None));
    other.changes.look().await.unwrap();
    assert_eq!(
        (width(&other, Some(1), "acme.x"), width(&other, None, "shop.y")),
        (Some(1), Some(2))
    );
    // A type that has not changed stays the object that readers hold.
    let before = other.types.registry().find(None, "shop.y").unwrap();
    assert!(!register(&one, Some(1), "acme.x", &["a", "c"]).await.unwrap());
    other.changes.look().await.unwrap();
    assert_eq!(width(&other, Some(1), "acme.x"), Some(2));
    assert!(Arc::ptr_eq(&before, &other.types.registry().find(None, "shop.y").unwrap()));
}

/// Who follows SQL on one node hears of types that another one was given.
#[tokio::test(flavor = "multi_thread")]
async fn types_that_have_grown_are_told_of_on_every_node() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (node(&folder).await, node(&folder).await);
    one.directory.create(new_tenant("acme")).await.unwrap();
    register(&one, Some(1), "acme.x", &["a"]).await.unwrap();
    register(&one, None, "shop.y", &["a"]).await.unwrap();
    other.changes.look().await.unwrap();
    let both = BTreeSet::from([None, Some(Tenant(1))]);
    assert_eq!((one.types.grown().await, other.types.grown().await), (both.clone(), both));
    // What has not grown is told of no more, whatever else is taken over.
    one.directory.create(new_tenant("globex")).await.unwrap();
    register(&one, Some(1), "acme.x", &["a"]).await.unwrap();
    register(&one, None, "shop.y", &["a", "b"]).await.unwrap();
    other.changes.look().await.unwrap();
    for node in [&one, &other] {
        assert_eq!(node.types.grown().await, BTreeSet::from([None]));
        assert!(node.types.grown().now_or_never().is_none());
    }
}

/// What a tenant declares on one node is a column on the others, and goes there too.
#[tokio::test(flavor = "multi_thread")]
async fn fields_that_one_declares_the_other_has_after_a_look() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (node(&folder).await, node(&folder).await);
    one.directory.create(new_tenant("acme")).await.unwrap();
    let field = DeclaredField {
        on: "hr.time_logged".to_owned(),
        name: "lot".to_owned(),
        title: "Lot".to_owned(),
        r#type: CustomFieldType::Text,
        choices: Vec::new(),
    };
    let declared = |node: &Node| {
        let types = node.types.registry().visible(Tenant(1));
        types.get("hr.time_logged").unwrap().declared().len()
    };
    let none = one.types.stored_fields(Tenant(1)).await.unwrap();
    assert!(one.types.put_fields(Tenant(1), &none.clone().with(field)).await.unwrap());
    assert!(!one.types.put_fields(Tenant(1), &none).await.unwrap(), "it has changed since");
    assert_eq!((declared(&one), declared(&other)), (1, 0));
    other.changes.look().await.unwrap();
    assert_eq!((declared(&other), other.types.fields(Tenant(1)).len()), (1, 1));
    assert_eq!(other.types.fields(Tenant(2)).len(), 0);

    let before = other.types.stored_fields(Tenant(1)).await.unwrap();
    let after = before.without("hr.time_logged", "lot");
    assert!(other.types.put_fields(Tenant(1), &after).await.unwrap());
    one.changes.look().await.unwrap();
    assert_eq!((declared(&one), one.types.fields(Tenant(1)).is_empty()), (0, true));
}

/// Without a miss a change arrives by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_settings_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (node(&folder).await, node(&folder).await);
    one.directory.create(new_tenant("acme")).await.unwrap();
    let following = Arc::clone(&other.changes);
    let task = tokio::spawn(async move { following.follow().await });
    let mut taken = other.changes.taken();
    taken.wait_for(|number| *number == 1).await.unwrap();
    let change: TenantChange =
        serde_json::from_value(json!({"clock": "fixed:2025-06-30", "timezone": "Asia/Tokyo"}))
            .unwrap();
    let changed = one.directory.update(&id("acme"), change).await.unwrap();
    taken.wait_for(|number| *number == 2).await.unwrap();
    assert_eq!(other.directory.get(&id("acme")), Some(changed));
    task.abort();
}

/// Many who look at once share readings, and none misses what was there before it asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_look_at_once_all_find_it() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (node(&folder).await, node(&folder).await);
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let (directory, changes) = (one.directory.clone(), Arc::clone(&other.changes));
            tokio::spawn(async move {
                let name = format!("t{n}");
                directory.create(new_tenant(&name)).await.unwrap();
                changes.tenant(&id(&name)).await.unwrap().unwrap().number
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.push(task.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=100).collect::<Vec<u32>>());
}

/// Two processes register the same types at once: each name has one schema, the same for both.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_that_register_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (node(&folder).await, node(&folder).await);
    for round in 0..20 {
        let name = format!("acme.x{round}");
        let (left, right) = tokio::join!(
            register(&one, None, &name, &["l"]),
            register(&other, None, &name, &["r"])
        );
        let won = [left, right].into_iter().filter(|outcome| match outcome {
            Ok(new) => *new,
            Err(error) => {
                assert!(matches!(error, RegisterError::Incompatible { .. }), "{error}");
                false
            }
        });
        assert_eq!(won.count(), 1, "{name}");
        // Both can go on with it.
        for (node, more) in [(&one, "m"), (&other, "n")] {
            node.changes.look().await.unwrap();
            let known = node.types.registry().find(None, &name).unwrap();
            let mut fields: Vec<&str> = known.fields().iter().map(|f| f.name.as_str()).collect();
            fields.push(more);
            assert!(!register(node, None, &name, &fields).await.unwrap());
        }
        one.changes.look().await.unwrap();
        assert_eq!(width(&one, None, &name), Some(3));
        assert_eq!(width(&other, None, &name), Some(3));
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_an_error_and_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder).await;
    node.directory.create(new_tenant("acme")).await.unwrap();
    node.store.close().await;
    assert!(node.changes.tenant(&id("acme")).await.unwrap().is_some());
    assert!(node.changes.tenant(&id("other")).await.is_err());
}
