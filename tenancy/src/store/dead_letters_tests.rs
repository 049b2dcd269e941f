#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::places::{Place, on_both};
use super::*;

fn letter(tenant: Option<u32>, offset: i64) -> NewDeadLetter {
    NewDeadLetter {
        tenant,
        topic: "tidemark.a.b".to_owned(),
        partition: 2,
        offset,
        reason: "it is broken".to_owned(),
        key: Some(b"acme".to_vec()),
        value: Some(vec![0, 1, 2]),
        size: 3,
    }
}

/// A store with a tenant.
async fn filled(place: &Place) -> (Store, u32) {
    let store = place.open().await;
    let new: Value = json!({"id": "acme", "name": "Acme", "timezone": "UTC", "currency": "EUR"});
    let tenant = store.create_tenant(serde_json::from_value(new).unwrap()).await.unwrap();
    (store, tenant.number)
}

on_both! {
async fn they_are_kept_once_and_apart(place: &Place) {
    let (store, acme) = filled(place).await;
    let letters = [letter(Some(acme), 1), letter(None, 1), letter(Some(acme), 2)];
    assert_eq!(store.put_dead_letters(&letters, 10).await.unwrap(), 3);
    assert_eq!(store.put_dead_letters(&letters, 10).await.unwrap(), 3, "they are there already");
    assert_eq!(store.count_dead_letters().await.unwrap(), 3);
    assert_eq!(store.dead_letters_by_tenant().await.unwrap(), [(acme, 2)].into());
    let own = store.dead_letters(Some(acme), None, 10).await.unwrap();
    let offsets: Vec<i64> = own.iter().map(|kept| kept.letter.offset).collect();
    assert_eq!((own[0].letter.clone(), offsets), (letters[0].clone(), vec![1, 2]));
    let next = store.dead_letters(Some(acme), Some(&own[0].id), 10).await.unwrap();
    assert_eq!(next, own[1..]);
    let platform = store.dead_letters(None, None, 10).await.unwrap();
    assert_eq!((platform.len(), platform[0].letter.tenant), (1, None));
    assert_eq!(store.dead_letter(Some(acme), &platform[0].id).await.unwrap(), None);
    assert!(!store.remove_dead_letter(Some(acme), &platform[0].id).await.unwrap());
    assert!(store.remove_dead_letter(None, &platform[0].id).await.unwrap());
    assert_eq!(store.dead_letters(None, None, 10).await.unwrap(), []);
}

async fn at_the_limit_no_more_are_taken(place: &Place) {
    let (store, acme) = filled(place).await;
    let letters: Vec<NewDeadLetter> = (0..4).map(|offset| letter(Some(acme), offset)).collect();
    assert_eq!(store.put_dead_letters(&letters, 3).await.unwrap(), 3);
    assert_eq!(store.put_dead_letters(&letters, 3).await.unwrap(), 3);
    assert_eq!(store.put_dead_letters(&[letter(None, 9)], 3).await.unwrap(), 0);
    let first = &store.dead_letters(Some(acme), None, 1).await.unwrap()[0];
    assert!(store.remove_dead_letter(Some(acme), &first.id).await.unwrap());
    assert_eq!(store.put_dead_letters(&letters[3..], 3).await.unwrap(), 1);
}

async fn the_key_of_ids_stays(place: &Place) {
    let (store, _) = filled(place).await;
    assert_eq!(store.id_key().await.unwrap(), store.id_key().await.unwrap());
}
}
