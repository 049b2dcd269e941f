#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::json;
use tokio::task::{JoinHandle, yield_now};

use super::super::places::Place;
use super::super::{Access, Engine, Scope, Store};
use super::*;
use crate::{NewTenant, StoreError, TenantRecord};

fn new_tenant(id: &str) -> NewTenant {
    serde_json::from_value(json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"}))
        .unwrap()
}

/// A store with one connection for readers.
async fn narrow(place: &Place) -> Store {
    Store::connect(&Access { connections: 1, ..place.access() }).await.unwrap()
}

fn writer(store: &Store) -> &Writer {
    let Engine::Sqlite(writer) = &store.engine else { panic!("it is a file") };
    writer
}

/// Begins to create a tenant, and returns when that waits, as one of so many.
async fn begin(
    store: &Store,
    id: String,
    waiting: usize,
) -> JoinHandle<Result<TenantRecord, StoreError>> {
    let own = store.clone();
    let task = tokio::spawn(async move { own.create_tenant(new_tenant(&id)).await });
    wait_for(store, waiting).await;
    task
}

/// Returns when so many wait.
async fn wait_for(store: &Store, waiting: usize) {
    while WAITING - writer(store).room.available_permits() != waiting {
        yield_now().await;
    }
}

#[tokio::test]
async fn who_waits_holds_no_connection_and_comes_in_its_turn() {
    let place = Place::file();
    let store = narrow(&place).await;
    let other = place.open().await;
    let held = other.write(Scope::Platform).await.unwrap();
    let mut tasks = Vec::new();
    for number in 1..=20 {
        tasks.push(begin(&store, format!("t{number}"), number).await);
    }
    // All of them wait for the other one, and readers are answered.
    assert!(store.tenants().await.unwrap().is_empty());
    held.rollback().await.unwrap();
    for (number, task) in (1..).zip(tasks) {
        let created = task.await.unwrap().unwrap();
        assert_eq!((created.number, created.id.as_str()), (number, format!("t{number}").as_str()));
    }
    assert_eq!(store.tenants().await.unwrap().len(), 20);
    wait_for(&store, 0).await;
}

#[tokio::test]
async fn who_goes_away_is_waited_for_by_nobody() {
    let place = Place::file();
    let store = narrow(&place).await;
    let other = place.open().await;
    let held = other.write(Scope::Platform).await.unwrap();
    let first = begin(&store, "first".to_owned(), 1).await;
    let second = begin(&store, "second".to_owned(), 2).await;
    let third = begin(&store, "third".to_owned(), 3).await;
    for gone in [first, second] {
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
    }
    wait_for(&store, 1).await;
    assert!(store.tenants().await.unwrap().is_empty());
    held.rollback().await.unwrap();
    let created = third.await.unwrap().unwrap();
    assert_eq!(store.tenants().await.unwrap(), [created]);
}

#[tokio::test]
async fn no_more_may_wait_than_there_is_room_for() {
    let place = Place::file();
    let store = narrow(&place).await;
    let all = writer(&store).room.try_acquire_many(WAITING as u32).unwrap();
    let error = store.create_tenant(new_tenant("acme")).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    drop(all);
    store.create_tenant(new_tenant("acme")).await.unwrap();
}

#[tokio::test]
async fn a_file_that_another_process_does_not_let_go_of_is_unavailable() {
    let place = Place::file();
    let store = narrow(&place).await;
    // As if the patience were over.
    let impatient = "PRAGMA busy_timeout = 0";
    sqlx::raw_sql(impatient).execute(&writer(&store).pool).await.unwrap();
    let other = place.open().await;
    let held = other.write(Scope::Platform).await.unwrap();
    let error = store.create_tenant(new_tenant("acme")).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    held.rollback().await.unwrap();
    store.create_tenant(new_tenant("acme")).await.unwrap();
}

#[tokio::test]
async fn what_sqlite_rolled_back_by_itself_keeps_nobody_from_writing() {
    let place = Place::file();
    let store = narrow(&place).await;
    store.create_tenant(new_tenant("a")).await.unwrap();
    let mut transaction = writer(&store).begin().await.unwrap();
    sqlx::query("ROLLBACK").execute(&mut *transaction).await.unwrap();
    assert!(transaction.commit().await.is_err());
    assert_eq!(store.create_tenant(new_tenant("b")).await.unwrap().id.as_str(), "b");
}
