//! Connections by which nobody was let in yet: how many of them one address may have.
//!
//! Whoever has no token could otherwise hold all that there are. A connection by which a good token
//! came is no stranger's any more: its calls and streams are bounded as those of their tenant.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::Extensions;

/// The strangers' connections, by where they come from.
#[derive(Debug)]
pub(crate) struct Strangers {
    bound: usize,
    /// Without those that have none.
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection as long as nobody was let in by it; all clones are of one.
#[derive(Clone, Debug)]
pub(crate) struct Stranger(Arc<Mutex<Option<Counted>>>);

/// One that counts for its address.
#[derive(Debug)]
struct Counted {
    among: Arc<Strangers>,
    origin: IpAddr,
}

impl Strangers {
    /// None yet; an address may have so many.
    pub(crate) fn new(bound: usize) -> Arc<Self> {
        Arc::new(Self { bound, counts: Mutex::default() })
    }

    /// One more from an address, if it may have one more.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Stranger> {
        let origin = origin(address);
        let mut counts = self.counts();
        let count = counts.entry(origin).or_default();
        if *count >= self.bound {
            return None;
        }
        *count += 1;
        drop(counts);
        let counted = Counted { among: Arc::clone(self), origin };
        Some(Stranger(Arc::new(Mutex::new(Some(counted)))))
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stranger {
    /// Somebody was let in by it.
    pub(super) fn let_in(&self) {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(counted);
    }
}

/// Somebody was let in by the connection that a request with these extensions came by.
pub(super) fn let_in(extensions: &Extensions) {
    if let Some(stranger) = extensions.get::<Stranger>() {
        stranger.let_in();
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.among.counts().entry(self.origin) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Whose an address is, as far as it tells: of IPv6 the network of 64 bits, all of whose addresses one
/// customer has.
pub(super) fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_until_one_ends_or_is_let_in() {
        let strangers = Strangers::new(2);
        let first = strangers.enter(address("10.0.0.1")).unwrap();
        let second = strangers.enter(address("::ffff:10.0.0.1")).unwrap();
        assert!(strangers.enter(address("10.0.0.1")).is_none());
        assert!(strangers.enter(address("10.0.0.2")).is_some());
        let same = first.clone();
        drop(first);
        assert!(strangers.enter(address("10.0.0.1")).is_none(), "the connection is still there");
        same.let_in();
        same.let_in();
        let third = strangers.enter(address("10.0.0.1")).unwrap();
        assert!(strangers.enter(address("10.0.0.1")).is_none());
        drop((same, second, third));
        assert!(strangers.counts().is_empty());
    }

    #[test]
    fn the_addresses_of_a_network_are_one() {
        let strangers = Strangers::new(1);
        let first = strangers.enter(address("2001:db8::1"));
        assert!(first.is_some());
        assert!(strangers.enter(address("2001:db8::ffff:0:0:2")).is_none());
        assert!(strangers.enter(address("2001:db8:0:1::1")).is_some());
    }
}
