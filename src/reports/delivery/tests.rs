#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use super::webhook::{is_public, signature};
use super::*;

#[test]
fn only_public_addresses_are_called() {
    for address in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2001:db8::1",
        "2002:7f00:1::",
    ] {
        assert!(!is_public(address.parse::<IpAddr>().unwrap()), "{address}");
    }
    for address in
        ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
    {
        assert!(is_public(address.parse::<IpAddr>().unwrap()), "{address}");
    }
}

#[test]
fn a_signature_is_that_of_the_standard() {
    // By `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'a secret of sixteen'`.
    let signed = signature("a secret of sixteen", 1_700_000_000, "{\"a\":1}").unwrap();
    assert_eq!(
        signed,
        "t=1700000000,v1=fbd8ce753f0c0643c2d4fef4959c30b175367059e6f5453bddeb7b24a3d1ae24"
    );
}

#[test]
fn a_secret_is_never_shown() {
    let target = Target::Webhook {
        url: "https://example.com/hook".into(),
        secret: Some("a secret of sixteen".into()),
    };
    let words = format!("{target:?} {}", target.shown());
    assert!(words.contains("example.com") && !words.contains("sixteen"), "{words}");
    let mut again = Target::Webhook { url: "https://example.com/hook".into(), secret: None };
    again.keep_secret(std::slice::from_ref(&target));
    assert_eq!(again, target);
    let mut other = Target::Webhook { url: "https://example.org/hook".into(), secret: None };
    other.keep_secret(&[target]);
    assert!(matches!(other, Target::Webhook { secret: None, .. }));
}
