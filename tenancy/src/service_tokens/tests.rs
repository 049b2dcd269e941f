#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::NewTenant;
use crate::store::places::{Place, on_both};

fn tenant(id: &str) -> NewTenant {
    let body = serde_json::json!({"id": id, "name": id, "timezone": "UTC", "currency": "EUR"});
    serde_json::from_value(body).unwrap()
}

fn read(token: &str) -> ShownToken {
    ShownToken::read(token).unwrap()
}

on_both! {
async fn a_token_is_good_on_all_nodes_until_it_is_revoked(place: &Place) {
    let store = place.open().await;
    let one = store.create_tenant(tenant("one")).await.unwrap();
    let (here, there) = (ServiceTokens::new(store.clone()), ServiceTokens::new(store.clone()));
    let now = Utc::now();
    // The other node has just read the tenant's tokens when another one comes.
    let first = here.create(&one, "first", None, "jo").await.unwrap();
    there.identify(&read(&first.token), Some(&one), now).await.unwrap();
    let till = here.create(&one, "the till", None, "jo").await.unwrap();
    for node in [&here, &there] {
        let identity = node.identify(&read(&till.token), Some(&one), now).await.unwrap();
        assert_eq!(identity.subject, format!("service-token:{}", till.stored.id));
        assert_eq!(identity.tenant.as_ref(), Some(&one.id));
        assert_eq!(identity.roles, Role::Service.into());
    }
    here.revoke(one.number, &till.stored.id).await.unwrap();
    let refused = here.identify(&read(&till.token), Some(&one), now).await;
    assert!(matches!(refused, Err(ServiceTokenError::Unknown)));
    tokio::time::sleep(BELIEVED).await;
    let refused = there.identify(&read(&till.token), Some(&one), now).await;
    assert!(matches!(refused, Err(ServiceTokenError::Unknown)));
    there.identify(&read(&first.token), Some(&one), now).await.unwrap();
    let again = here.revoke(one.number, &till.stored.id).await;
    assert!(matches!(again, Err(ServiceTokenError::NotFound)));
}

async fn a_token_is_of_one_tenant_and_ends(place: &Place) {
    let store = place.open().await;
    let one = store.create_tenant(tenant("one")).await.unwrap();
    let two = store.create_tenant(tenant("two")).await.unwrap();
    let tokens = ServiceTokens::new(store);
    let now = stored(Utc::now());
    let end = now + TimeDelta::hours(1);
    let till = tokens.create(&one, "the till", Some(end), "jo").await.unwrap();
    let foreign = till.token.replace("tms_one~", "tms_two~");
    for (token, tenant, at) in [
        (&till.token, &one, end),
        (&till.token, &two, now),
        (&foreign, &two, now),
        (&foreign, &one, now),
    ] {
        let refused = tokens.identify(&read(token), Some(tenant), at).await;
        assert!(matches!(refused, Err(ServiceTokenError::Unknown)), "{token}");
    }
    let last = end - TimeDelta::milliseconds(1);
    let identity = tokens.identify(&read(&till.token), Some(&one), last).await.unwrap();
    assert_eq!(identity.expires_at, end);
    assert!(tokens.list(two.number).await.unwrap().is_empty());
    let other = tokens.revoke(two.number, &till.stored.id).await;
    assert!(matches!(other, Err(ServiceTokenError::NotFound)));
}

async fn a_token_of_a_tenant_that_is_not_there_is_looked_for_like_any_other(place: &Place) {
    let store = place.open().await;
    let one = store.create_tenant(tenant("one")).await.unwrap();
    let (tokens, now) = (ServiceTokens::new(store), Utc::now());
    let made_up = |id: &str| read(&format!("tms_{id}~{}", URL_SAFE_NO_PAD.encode([7; 32])));
    for (shown, named) in [(made_up("one"), Some(&one)), (made_up("two"), None)] {
        let of = tokens.of(named.map_or(NOBODY, |tenant| tenant.number));
        let mut before = None;
        for _ in 0..3 {
            let refused = tokens.identify(&shown, named, now).await;
            assert!(matches!(refused, Err(ServiceTokenError::Unknown)));
            // The store was read for it.
            let began = of.read.lock().await.began;
            assert!(began > before, "{shown:?}");
            before = began;
        }
    }
}

async fn what_is_kept_is_not_the_token(place: &Place) {
    let store = place.open().await;
    let one = store.create_tenant(tenant("one")).await.unwrap();
    let tokens = ServiceTokens::new(store.clone());
    let made = tokens.create(&one, "the till", None, "jo").await.unwrap();
    let secret = made.token.split_once('~').unwrap().1;
    let kept = format!("{:?}", store.service_tokens(one.number).await.unwrap());
    assert!(kept.contains("the till") && !kept.contains(secret));
    for text in [format!("{made:?}"), format!("{:?}", read(&made.token)), format!("{tokens:?}")] {
        assert!(!text.contains(secret), "{text}");
    }
    for (name, expires_at) in [
        ("", None),
        (" ", None),
        ("a\nb", None),
        (&*"x".repeat(201), None),
        ("fine", Some(Utc::now())),
    ] {
        let refused = tokens.create(&one, name, expires_at, "jo").await;
        assert!(matches!(refused, Err(ServiceTokenError::Invalid { .. })), "{name}");
    }
}
}

#[test]
fn what_is_no_service_token_is_not_looked_up() {
    let good = format!("tms_acme~{}", URL_SAFE_NO_PAD.encode([7; 32]));
    assert_eq!(read(&good).tenant.as_str(), "acme");
    for text in [
        "tms_",
        "tms_acme",
        "tms_acme~",
        "tms_~AAAA",
        &good[..good.len() - 1],
        &format!("{good}A"),
        &good.replace("acme", "No Such"),
        &good.replace("tms_", "TMS_"),
        "ey.ey.ey",
    ] {
        assert_eq!(ShownToken::read(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn reading_never_panics_and_keeps_tokens_apart(text in "\\PC*", a in any::<[u8; 32]>(), b in any::<[u8; 32]>()) {
        prop_assert!(ShownToken::read(&text).is_none_or(|_| ShownToken::is_one(&text)));
        let token = |bytes: [u8; 32]| read(&format!("tms_acme~{}", URL_SAFE_NO_PAD.encode(bytes)));
        prop_assert_eq!(token(a) == token(b), a == b);
    }
}
