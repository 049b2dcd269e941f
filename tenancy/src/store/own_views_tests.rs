#![allow(clippy::unwrap_used)]

use sqlx::migrate::Migrator;
use tempfile::TempDir;

use super::*;
use crate::NewTenant;
use crate::store::MIGRATIONS;

fn tenant(id: &str) -> NewTenant {
    let body = serde_json::json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"});
    serde_json::from_value(body).unwrap()
}

fn view(name: &str, sql: &str, key: &[&str]) -> StoredView {
    let key = key.iter().map(|column| (*column).to_owned()).collect();
    StoredView { name: name.to_owned(), sql: sql.to_owned(), key }
}

/// A store with two tenants.
async fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("control.db")).await.unwrap();
    for id in ["one", "two"] {
        store.create_tenant(tenant(id)).await.unwrap();
    }
    (dir, store)
}

#[tokio::test]
async fn views_come_back_in_the_order_in_which_they_build_on_each_other() {
    let (dir, store) = store().await;
    let (a, b) = (view("a", "SELECT 1", &["x", "y"]), view("b", "SELECT * FROM a", &[]));
    store.put_own_views(1, &[a.clone(), b.clone()]).await.unwrap();
    store.put_own_views(2, std::slice::from_ref(&b)).await.unwrap();
    // `a` comes to read `b`.
    let anew = view("a", "SELECT * FROM b", &[]);
    store.put_own_views(1, std::slice::from_ref(&anew)).await.unwrap();
    store.close().await;
    let store = Store::open(&dir.path().join("control.db")).await.unwrap();
    let all = [(1, b.clone()), (1, anew), (2, b.clone())];
    assert_eq!(store.own_views().await.unwrap(), all);
    store.delete_own_view(1, "a").await.unwrap();
    store.delete_own_view(1, "nothing").await.unwrap();
    assert_eq!(store.own_views().await.unwrap(), [(1, b.clone()), (2, b)]);
}

#[tokio::test]
async fn several_are_stored_together_or_not_at_all() {
    let (_dir, store) = store().await;
    let nameless = [view("a", "SELECT 1", &[]), view("", "SELECT 2", &[])];
    store.put_own_views(1, &nameless).await.unwrap_err();
    store.put_own_views(3, &nameless[..1]).await.unwrap_err();
    assert!(store.own_views().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_store_from_before_own_views_gets_their_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.db");
    let url = format!("sqlite:{}?mode=rwc", path.display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let before: Vec<_> = MIGRATIONS.iter().filter(|m| m.version < 2).cloned().collect();
    Migrator::with_migrations(before).run(&pool).await.unwrap();
    sqlx::query(
        "INSERT INTO tenants (id, name, timezone, currency, clock, created_at) \
         VALUES ('one', 'One', 'UTC', 'EUR', 'wall', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    let store = Store::open(&path).await.unwrap();
    store.put_own_views(1, &[view("a", "SELECT 1", &[])]).await.unwrap();
    assert_eq!(store.own_views().await.unwrap().len(), 1);
}
