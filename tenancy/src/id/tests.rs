#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

#[test]
fn takes_what_the_form_allows() {
    let longest = "a".repeat(TenantId::MAX_LEN);
    for id in ["a", "7", "acme", "acme-2_b", "0-", longest.as_str()] {
        assert_eq!(id.parse::<TenantId>().unwrap().as_str(), id);
    }
}

#[test]
fn refuses_the_rest() {
    let too_long = "a".repeat(TenantId::MAX_LEN + 1);
    for id in ["", "-a", "_a", "Acme", "a b", "a/b", "a.b", "ä", "a\0", "a\n", too_long.as_str()] {
        let error = id.parse::<TenantId>().unwrap_err();
        assert_eq!(error.field, "id", "{id:?}");
        assert!(serde_json::from_value::<TenantId>(id.into()).is_err(), "{id:?}");
    }
}

proptest! {
    /// Whatever is taken comes back the same, through text and JSON, and is safe in a URL.
    #[test]
    fn survives_text_and_json(text in "\\PC{0,70}|[a-z0-9_-]{0,70}") {
        if let Ok(id) = text.parse::<TenantId>() {
            prop_assert_eq!(id.to_string(), &text[..]);
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<TenantId>(&json).unwrap(), id);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        }
    }
}
