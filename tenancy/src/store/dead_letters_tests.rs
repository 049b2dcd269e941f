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
        is_json: false,
    }
}

fn limits(all: usize, share: usize) -> DeadLetterLimits {
    DeadLetterLimits { all, share }
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
    assert_eq!(store.put_dead_letters(&letters, limits(10, 10)).await.unwrap(), 3);
    assert_eq!(store.put_dead_letters(&letters, limits(10, 10)).await.unwrap(), 3, "they are there already");
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

async fn who_has_its_share_keeps_nobody_else_from_being_heard(place: &Place) {
    let (store, acme) = filled(place).await;
    let letters: Vec<NewDeadLetter> = (0..6).map(|offset| letter(Some(acme), offset)).collect();
    let limits = limits(4, 2);
    assert_eq!(store.put_dead_letters(&letters, limits).await.unwrap(), 6);
    let kept = store.dead_letters(Some(acme), None, 9).await.unwrap();
    let ends: Vec<_> = kept.iter().map(|kept| (kept.letter.offset, kept.beyond)).collect();
    let four = Beyond { missed: 4, last: 5 };
    assert_eq!(ends, [(0, None), (1, None), (2, Some(four))]);
    let counted = &kept[2].letter;
    assert!(counted.reason.ends_with("of the first: it is broken"), "{}", counted.reason);
    assert_eq!((counted.value.as_ref(), counted.size), (None, 0));
    assert_eq!(store.dead_letters_by_tenant().await.unwrap(), [(acme, 6)].into());

    // Read again, they are counted already; in another topic they are counted apart.
    assert_eq!(store.put_dead_letters(&letters[1..], limits).await.unwrap(), 5);
    let other = NewDeadLetter { topic: "tidemark.a.c".to_owned(), ..letter(Some(acme), 3) };
    assert_eq!(store.put_dead_letters(&[letter(Some(acme), 9), other], limits).await.unwrap(), 2);
    let found = store.dead_letter_overflows(9).await.unwrap();
    let place = |of: &Overflow| (of.tenant, of.topic.clone(), of.partition, of.first, of.beyond);
    let found: Vec<_> = found.iter().map(place).collect();
    let five = Beyond { missed: 5, last: 9 };
    let one = Beyond { missed: 1, last: 3 };
    let [b, c] = ["tidemark.a.b", "tidemark.a.c"].map(str::to_owned);
    assert_eq!(found, [(acme, b, 2, 2, five), (acme, c, 2, 3, one)]);

    // The platform has its own share, and a letter that is removed makes room.
    assert_eq!(store.put_dead_letters(&[letter(None, 1)], limits).await.unwrap(), 1);
    assert_eq!(store.dead_letters(None, None, 9).await.unwrap()[0].beyond, None);
    assert!(store.remove_dead_letter(Some(acme), &kept[0].id).await.unwrap());
    assert_eq!(store.put_dead_letters(&[letter(Some(acme), 12)], limits).await.unwrap(), 1);
    let newest = store.dead_letters(Some(acme), None, 9).await.unwrap().pop().unwrap();
    assert_eq!((newest.letter.offset, newest.beyond), (12, None));
}

async fn beyond_all_limits_the_next_is_too_many(place: &Place) {
    let (store, acme) = filled(place).await;
    let limits = limits(1, 1);
    assert_eq!(store.put_dead_letters(&[letter(Some(acme), 0)], limits).await.unwrap(), 1);
    // All that are kept one by one are there; one more letter stands for what comes of the platform.
    let shared = [letter(None, 1), letter(None, 2)];
    assert_eq!(store.put_dead_letters(&shared, limits).await.unwrap(), 2);
    assert_eq!(store.put_dead_letters(&[letter(Some(acme), 3)], limits).await.unwrap(), 0);
    let counted = &store.dead_letters(None, None, 1).await.unwrap()[0];
    assert!(store.remove_dead_letter(None, &counted.id).await.unwrap());
    assert_eq!(store.put_dead_letters(&[letter(Some(acme), 3)], limits).await.unwrap(), 1);
}

async fn what_only_a_header_said_is_kept(place: &Place) {
    let (store, acme) = filled(place).await;
    for tenant in [Some(acme), None] {
        let letters = [NewDeadLetter { is_json: true, ..letter(tenant, 1) }, letter(tenant, 2)];
        assert_eq!(store.put_dead_letters(&letters, limits(9, 9)).await.unwrap(), 2);
        let kept = store.dead_letters(tenant, None, 9).await.unwrap();
        assert_eq!(kept.into_iter().map(|kept| kept.letter).collect::<Vec<_>>(), letters);
    }
}

async fn the_key_of_ids_stays(place: &Place) {
    let (store, _) = filled(place).await;
    assert_eq!(store.id_key().await.unwrap(), store.id_key().await.unwrap());
}
}
