//! Which tokens have been shown.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

/// Tokens that are remembered. Beyond that, they are forgotten, and recorded once more.
const REMEMBERED: usize = 65_536;

/// The tokens that this process has seen, as hashes with a key of its own, until they end.
#[derive(Default)]
pub(super) struct SignIns {
    hasher: RandomState,
    seen: Mutex<HashMap<u64, DateTime<Utc>>>,
}

impl SignIns {
    /// The hash of a token, by which it is told from others.
    pub(super) fn hash(&self, token: &str) -> u64 {
        self.hasher.hash_one(token)
    }

    /// Whether a token is shown for the first time.
    pub(super) fn is_first(&self, hash: u64, ends: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains_key(&hash) {
            return false;
        }
        if seen.len() >= REMEMBERED {
            seen.retain(|_, ends| *ends > now);
            if seen.len() >= REMEMBERED {
                seen.clear();
            }
        }
        seen.insert(hash, ends);
        true
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_token_is_new_once() {
        let (known, now) = (SignIns::default(), Utc::now());
        let ends = now + TimeDelta::hours(1);
        assert!(known.is_first(known.hash("a"), ends, now));
        assert!(!known.is_first(known.hash("a"), ends, now));
        assert!(known.is_first(known.hash("b"), ends, now));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (known, now) = (SignIns::default(), Utc::now());
        for number in 0..=REMEMBERED {
            assert!(known.is_first(number as u64, now, now));
        }
        assert_eq!(known.seen.lock().map(|seen| seen.len()).ok(), Some(1));
    }
}
