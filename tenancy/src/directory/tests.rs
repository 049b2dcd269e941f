#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

fn new_tenant(id: &str) -> NewTenant {
    serde_json::from_value(json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"}))
        .unwrap()
}

fn change(body: Value) -> TenantChange {
    serde_json::from_value(body).unwrap()
}

fn id(text: &str) -> TenantId {
    text.parse().unwrap()
}

async fn fresh() -> (TempDir, Directory) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("control.db")).await.unwrap();
    (dir, Directory::open(store).await.unwrap())
}

/// The directory holds what the store holds, found by every way there is.
async fn assert_equal_to_the_store(directory: &Directory) {
    let stored = directory.shared.store.tenants().await.unwrap();
    let held = directory.all();
    assert!(held.iter().map(|r| &**r).eq(&stored), "{held:?}\n{stored:?}");
    for record in &stored {
        assert_eq!(directory.get(&record.id).as_deref(), Some(record));
        assert_eq!(directory.by_number(record.number).as_deref(), Some(record));
        assert_eq!(directory.id_of(record.number).as_ref(), Some(&record.id));
    }
    let stones = directory.shared.store.tombstones().await.unwrap();
    assert_eq!(directory.tombstones(), stones);
    for stone in &stones {
        assert_eq!(directory.tombstone(&stone.id).as_ref(), Some(stone));
        assert_eq!(directory.id_of(stone.number).as_ref(), Some(&stone.id));
        assert_eq!((directory.get(&stone.id), directory.by_number(stone.number)), (None, None));
    }
}

#[tokio::test]
async fn finds_what_it_created_and_nothing_else() {
    let (_dir, directory) = fresh().await;
    let record = directory.create(new_tenant("acme")).await.unwrap();
    assert_eq!(directory.get(&id("acme")), Some(Arc::clone(&record)));
    assert_eq!(directory.by_number(record.number), Some(record));
    assert_eq!(directory.get(&id("nobody")), None);
    assert_eq!(directory.by_number(0), None);
}

#[tokio::test]
async fn a_held_record_does_not_change_under_its_holder() {
    let (_dir, directory) = fresh().await;
    let before = directory.create(new_tenant("acme")).await.unwrap();
    let after = directory.update(&before.id, change(json!({"name": "New"}))).await.unwrap();
    assert_eq!((before.name.as_str(), after.name.as_str()), ("acme", "New"));
    assert_eq!(directory.get(&before.id), Some(after));
}

#[tokio::test]
async fn what_the_store_refuses_is_not_taken_over() {
    let (_dir, directory) = fresh().await;
    let first = directory.create(new_tenant("acme")).await.unwrap();
    let mut again = new_tenant("acme");
    again.name = "Impostor".into();
    let error = directory.create(again).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    let error = directory.update(&id("nobody"), TenantChange::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    assert_eq!(directory.all(), [first]);
    assert_equal_to_the_store(&directory).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_both_equal() {
    let (_dir, directory) = fresh().await;
    for n in 0..20 {
        let call = directory.create(new_tenant(&format!("t{n}")));
        // Polled once, so that it is under way, and then dropped.
        let mut call = Box::pin(call);
        let polled = poll_once(call.as_mut()).await;
        assert!(polled.is_none());
        drop(call);
    }
    // Takes its turn after the others.
    directory.create(new_tenant("last")).await.unwrap();
    assert_eq!(directory.all().len(), 21);
    assert_equal_to_the_store(&directory).await;
}

async fn poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        let polled = std::pin::Pin::new(&mut future).poll(context);
        std::task::Poll::Ready(match polled {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn stays_equal_while_many_change_it() {
    let (_dir, directory) = fresh().await;
    let workers: Vec<_> = (0..40)
        .map(|n| {
            let directory = directory.clone();
            tokio::spawn(async move {
                let name = format!("t{}", n % 8);
                match directory.create(new_tenant(&name)).await {
                    Ok(_) | Err(StoreError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
                let renamed = change(json!({"name": format!("renamed by {n}")}));
                directory.update(&id(&name), renamed).await.unwrap();
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(directory.all().len(), 8);
    assert_equal_to_the_store(&directory).await;
}

/// Two processes with one store: numbers are given once, and each sees the other's changes.
#[tokio::test(flavor = "multi_thread")]
async fn two_directories_of_one_store_come_to_hold_the_same() {
    let (dir, one) = fresh().await;
    let store = Store::open(&dir.path().join("control.db")).await.unwrap();
    let other = Directory::open(store).await.unwrap();
    let workers: Vec<_> = (0..40)
        .map(|n| {
            let directory = if n % 2 == 0 { one.clone() } else { other.clone() };
            tokio::spawn(async move {
                let name = format!("t{}", n % 15);
                match directory.create(new_tenant(&name)).await {
                    Ok(_) | Err(StoreError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
                let renamed = change(json!({"name": format!("renamed by {n}")}));
                directory.update(&id(&name), renamed).await.unwrap();
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    for directory in [one, other] {
        directory.refresh(0).await.unwrap();
        assert_eq!(directory.all().len(), 15);
        assert_equal_to_the_store(&directory).await;
    }
}

#[tokio::test]
async fn a_refresh_takes_over_what_came_after_a_change() {
    let (dir, directory) = fresh().await;
    let store = Store::open(&dir.path().join("control.db")).await.unwrap();
    store.create_tenant(new_tenant("a")).await.unwrap();
    let since = store.last_change().await.unwrap();
    store.create_tenant(new_tenant("b")).await.unwrap();
    assert_eq!(directory.refresh(since).await.unwrap(), 1);
    assert_eq!((directory.get(&id("a")), directory.all().len()), (None, 1));
    assert_eq!(directory.refresh(0).await.unwrap(), 2);
    store.update_tenant(&id("a"), change(json!({"clock": "fixed:2025-06-30"}))).await.unwrap();
    assert_eq!(directory.refresh(since).await.unwrap(), 2);
    assert_equal_to_the_store(&directory).await;
}

#[derive(Debug, Clone)]
enum Step {
    Create(u8),
    Update(u8, &'static str, Value),
    Delete(u8),
    Erase(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        "[a-zA-Z äöü]{0,12}".prop_map(|name| ("name", json!(name))),
        Just(("timezone", json!("Asia/Tokyo"))),
        Just(("clock", json!("fixed:2020-02-29"))),
        Just(("vertical", json!(null))),
        proptest::sample::select(&["retail", "property"][..]).prop_map(|v| ("vertical", json!(v))),
        "[a-zü]{1,9}"
            .prop_map(|name| ("branding", json!({"name": name, "colours": {"accent": "#123"}}))),
        Just(("modules", json!(["crm"]))),
        Just(("modules", json!(null))),
    ];
    prop_oneof![
        2 => (0..5u8).prop_map(Step::Create),
        6 => (0..5u8, value).prop_map(|(n, (field, value))| Step::Update(n, field, value)),
        1 => (0..5u8).prop_map(Step::Delete),
        1 => (0..5u8).prop_map(Step::Erase),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// After any changes, taken or refused, and after a restart, the directory is the store's.
    #[test]
    fn stays_equal_to_the_store(steps in prop::collection::vec(step(), 0..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (dir, mut directory) = fresh().await;
            for step in steps {
                match step {
                    Step::Create(n) => match directory.create(new_tenant(&format!("t{n}"))).await {
                        Ok(_) | Err(StoreError::Conflict { .. } | StoreError::Deleted { .. }) => {}
                        Err(error) => panic!("{error}"),
                    },
                    Step::Delete(n) => match directory.delete(&id(&format!("t{n}")), "x").await {
                        Ok(_) | Err(StoreError::NotFound { .. }) => {}
                        Err(error) => panic!("{error}"),
                    },
                    Step::Erase(n) => {
                        if let Some(stone) = directory.tombstone(&id(&format!("t{n}"))) {
                            directory.finish_erasure(&stone).await.unwrap();
                        }
                    }
                    Step::Update(n, field, value) => {
                        if let Ok(change) = serde_json::from_value(json!({ field: value })) {
                            match directory.update(&id(&format!("t{n}")), change).await {
                                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                                Err(error) => panic!("{error}"),
                            }
                        }
                    }
                    Step::Reopen => {
                        directory.shared.store.close().await;
                        let store = Store::open(&dir.path().join("control.db")).await.unwrap();
                        directory = Directory::open(store).await.unwrap();
                    }
                }
                assert_equal_to_the_store(&directory).await;
            }
            directory.shared.store.close().await;
        });
    }
}

#[tokio::test]
async fn switches_of_modules_are_told_once_whoever_makes_them() {
    let (dir, directory) = fresh().await;
    let acme = directory.create(new_tenant("acme")).await.unwrap();
    directory.create(new_tenant("other")).await.unwrap();
    directory.update(&acme.id, change(json!({"name": "A"}))).await.unwrap();
    directory.update(&acme.id, change(json!({"modules": ["crm"]}))).await.unwrap();
    assert_eq!(directory.switched().await, [acme.number].into());
    // Another process, which is read of later, switches them back.
    let store = Store::open(&dir.path().join("control.db")).await.unwrap();
    let since = store.last_change().await.unwrap();
    store.update_tenant(&acme.id, change(json!({"modules": null}))).await.unwrap();
    let waiting = directory.clone();
    let told = tokio::spawn(async move { waiting.switched().await });
    directory.refresh(since).await.unwrap();
    assert_eq!(told.await.unwrap(), [acme.number].into());
    // Nothing is left to be told, and a change of something else is none.
    directory.update(&acme.id, change(json!({"vertical": "retail"}))).await.unwrap();
    let records = directory.shared.read();
    assert!(records.switched.is_empty());
}

#[tokio::test]
async fn a_template_is_to_be_given_until_it_is_given() {
    let (dir, directory) = fresh().await;
    directory.create(new_tenant("plain")).await.unwrap();
    let mut new = new_tenant("shop");
    new.vertical = Some("retail".into());
    let shop = directory.create(new.clone()).await.unwrap();
    assert_eq!(shop.template.as_deref(), Some("retail"));
    assert_eq!(shop.modules, crate::templates::find("retail").unwrap().modules);
    assert!(new.describes(&shop));
    // Another process, or this one after a restart, sees it too.
    let store = Store::open(&dir.path().join("control.db")).await.unwrap();
    let other = Directory::open(store.clone()).await.unwrap();
    assert_eq!(other.unfinished(), [Arc::clone(&shop)]);
    let since = store.last_change().await.unwrap();
    let gift = TemplateGift {
        template: crate::templates::find("retail").unwrap().clone(),
        at: shop.created_at,
        dashboards: Vec::new(),
        reports: Vec::new(),
        rules: Vec::new(),
    };
    let done = directory.finish_template(&shop.id, gift).await.unwrap();
    assert_eq!(*done, TenantRecord { template: None, ..(*shop).clone() });
    assert!(directory.unfinished().is_empty());
    other.refresh(since).await.unwrap();
    assert!(other.unfinished().is_empty());
    // A change of the line of business gives nothing again.
    let changed =
        directory.update(&shop.id, change(json!({"vertical": "services"}))).await.unwrap();
    assert_eq!((changed.template.as_ref(), &changed.modules), (None, &shop.modules));
}
