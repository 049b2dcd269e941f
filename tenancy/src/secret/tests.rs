#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

const TEXT: &str = "correct horse battery staple, 4 times";

#[test]
fn is_long_enough_or_refused() {
    let longest_short = "x".repeat(Secret::MIN_LEN - 1);
    assert_eq!(Secret::new(longest_short.clone()), Err(SecretError::TooShort(31)));
    assert_eq!(Secret::new(""), Err(SecretError::TooShort(0)));
    assert!(Secret::new("x".repeat(Secret::MIN_LEN)).is_ok());
    let error = serde_json::from_value::<Secret>(longest_short.clone().into()).unwrap_err();
    assert!(!error.to_string().contains(&longest_short), "{error}");
}

#[test]
fn is_never_shown() {
    let secret = TEXT.parse::<Secret>().unwrap();
    assert!(!format!("{secret:?} {:#?}", Some(&secret)).contains("horse"));
    let error = serde_json::from_str::<Secret>("4711471147114711").unwrap_err();
    assert!(!error.to_string().contains("4711"), "{error}");
    let read: Secret = serde_json::from_value(TEXT.into()).unwrap();
    assert_eq!(read, secret);
}

#[test]
fn random_ones_differ() {
    let (a, b) = (Secret::random().unwrap(), Secret::random().unwrap());
    assert_ne!(a, b);
    assert_eq!(a.bytes().len(), 43);
}
