//! The store behind `PgBouncer`, which gives every transaction whatever connection is free.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;

use super::places::Place;
use super::*;

fn new_tenant(id: &str) -> NewTenant {
    serde_json::from_value(json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"}))
        .unwrap()
}

fn view(name: &str) -> StoredView {
    StoredView { name: name.to_owned(), sql: "SELECT 1".to_owned(), key: Vec::new() }
}

/// More connections than the pooler has, all at once, for several tenants: each sees its own rows.
#[tokio::test(flavor = "multi_thread")]
async fn each_transaction_has_its_own_tenant() {
    let place = Place::pooled().await;
    let access = Access { connections: 8, ..place.access() };
    let store = Store::connect(&access).await.unwrap();
    let mut tenants = Vec::new();
    for id in ["a", "b", "c", "d", "e", "f"] {
        tenants.push(store.create_tenant(new_tenant(id)).await.unwrap().number);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for tenant in tenants.clone() {
        for worker in 0..4 {
            let store = store.clone();
            tasks.spawn(async move {
                for round in 0..10 {
                    let name = format!("v{worker}_{round}");
                    store.put_own_views(tenant, &[view(&name)]).await.unwrap();
                    let mut transaction = store.read(Scope::Tenant(tenant)).await.unwrap();
                    let seen: Vec<i64> =
                        sql::query_scalar("SELECT DISTINCT tenant_id FROM own_views")
                            .fetch_all(&mut *transaction)
                            .await
                            .unwrap();
                    // The tenant is still that of the transaction, after others had their turn.
                    tokio::task::yield_now().await;
                    let own: i64 = sql::query_scalar(
                        "SELECT current_setting('app.current_tenant', true)::BIGINT",
                    )
                    .fetch_one(&mut *transaction)
                    .await
                    .unwrap();
                    transaction.commit().await.unwrap();
                    assert_eq!((seen, own), (vec![i64::from(tenant)], i64::from(tenant)));
                }
            });
        }
    }
    tasks.join_all().await;
    let all = store.own_views().await.unwrap();
    assert_eq!(all.len(), tenants.len() * 40);

    // Nothing of it stays on the connections: who says nothing sees nothing.
    for _ in 0..20 {
        let mut transaction = store.pool.begin().await.unwrap();
        let seen: i64 = sql::query_scalar("SELECT count(*) FROM own_views")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(seen, 0);
    }
    store.close().await;
}

/// Ownership and commits take turns there too.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_want_a_partition_one_gets_it() {
    let place = Place::pooled().await;
    let access = Access { connections: 8, ..place.access() };
    let store = Store::connect(&access).await.unwrap();
    for epoch in 0..5 {
        let mut tasks = tokio::task::JoinSet::new();
        for node in 0..12 {
            let store = store.clone();
            tasks.spawn(async move {
                store.acquire_partition(0, &format!("n{node}"), Some(epoch)).await.unwrap()
            });
        }
        let answers = tasks.join_all().await;
        let won: Vec<_> = answers.iter().filter(|(_, is_done)| *is_done).collect();
        assert_eq!(won, [&(epoch + 1, true)], "{answers:?}");
        assert!(answers.iter().all(|(now, _)| *now == epoch + 1), "{answers:?}");
    }
    store.close().await;
}
