//! Refusals that come again and again: the first is recorded at once, those like it are counted and
//! recorded as one a minute later. Otherwise whoever has no token could fill the store.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenancy::audit::{AuditEntry, Chain};

/// For how long refusals are counted together.
const TOGETHER: Duration = Duration::from_mins(1);
/// Kinds of refusals that are counted apart. Beyond that, those of different callers are counted
/// together.
const APART: usize = 4_096;

/// What refusals have in common that are counted together.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Likeness {
    chain: Chain,
    actor: String,
    from: Option<IpAddr>,
    route: String,
    status: u16,
    problem: String,
}

/// Those after the first.
struct Repeats {
    since: Instant,
    last: AuditEntry,
    count: u64,
}

#[derive(Default)]
pub(super) struct Refusals {
    recent: Mutex<HashMap<Likeness, Repeats>>,
}

impl Refusals {
    /// Whether a refusal is the first of its kind; if not, it is counted.
    pub(super) fn is_first(&self, entry: &AuditEntry, route: &str) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut like = Likeness {
            chain: entry.chain,
            actor: entry.actor.clone(),
            from: entry.source.parse().ok().map(|address: SocketAddr| host(address.ip())),
            route: route.to_owned(),
            status: entry.status,
            problem: entry.detail.get("problem").and_then(Value::as_str).unwrap_or("").to_owned(),
        };
        let mut entry = entry.clone();
        if recent.len() >= APART && !recent.contains_key(&like) {
            like.actor.clear();
            like.from = None;
            entry.actor.clear();
            entry.source.clear();
            entry.detail.insert("callers".to_owned(), json!("several"));
        }
        if let Some(repeats) = recent.get_mut(&like) {
            repeats.count += 1;
            repeats.last = entry;
            return false;
        }
        recent.insert(like, Repeats { since: Instant::now(), last: entry, count: 0 });
        true
    }

    /// What was counted long enough, or at the end all, as one record each.
    pub(super) fn due(&self, is_end: bool) -> Vec<AuditEntry> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let due = recent.extract_if(|_, repeats| is_end || repeats.since.elapsed() >= TOGETHER);
        let entries = due.filter(|(_, repeats)| repeats.count > 0).map(|(_, repeats)| {
            let mut entry = repeats.last;
            entry.detail.insert("times".to_owned(), json!(repeats.count));
            entry
        });
        entries.collect()
    }
}

/// Whose address it is: of IPv6 one has at least a network of 2⁶⁴ addresses, which are one caller's.
fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::Utc;
    use serde_json::Map;
    use tenancy::audit::Action;

    use super::*;

    fn refusal(actor: &str, source: &str) -> AuditEntry {
        AuditEntry {
            chain: Chain::Platform,
            at: Utc::now(),
            actor: actor.to_owned(),
            source: source.to_owned(),
            action: Action::Refusal,
            object: "GET /v1/views".to_owned(),
            status: 401,
            detail: Map::new(),
        }
    }

    #[test]
    fn repeats_are_one_record_with_their_number() {
        let refusals = Refusals::default();
        let first = refusal("", "10.0.0.1:1000");
        assert!(refusals.is_first(&first, "/v1/views"));
        assert!(refusals.due(true).is_empty());
        assert!(refusals.is_first(&first, "/v1/views"));
        // Another connection of the same machine is no other caller, another address is.
        for _ in 0..3 {
            assert!(!refusals.is_first(&refusal("", "10.0.0.1:2000"), "/v1/views"));
        }
        assert!(refusals.is_first(&refusal("", "10.0.0.2:1000"), "/v1/views"));
        assert!(refusals.is_first(&first, "/v1/query"));
        assert!(refusals.due(false).is_empty(), "a minute is not over");
        let due = refusals.due(true);
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].detail["times"], 3);
    }

    #[test]
    fn the_addresses_of_one_network_of_ipv6_are_one_caller() {
        let refusals = Refusals::default();
        assert!(refusals.is_first(&refusal("", "[2001:db8:1:2::1]:1000"), "/v1/views"));
        for host in ["2001:db8:1:2::2", "2001:db8:1:2:ffff:ffff:ffff:ffff"] {
            let again = refusal("", &format!("[{host}]:1000"));
            assert!(!refusals.is_first(&again, "/v1/views"), "{host}");
        }
        assert!(refusals.is_first(&refusal("", "[2001:db8:1:3::1]:1000"), "/v1/views"));
        // An address of IPv4 is what it is, however it is written.
        assert!(refusals.is_first(&refusal("", "10.0.0.1:1000"), "/v1/views"));
        assert!(!refusals.is_first(&refusal("", "[::ffff:10.0.0.1]:1000"), "/v1/views"));
        assert!(refusals.is_first(&refusal("", "[::ffff:10.0.0.2]:1000"), "/v1/views"));
    }

    #[test]
    fn however_many_callers_there_are_what_is_remembered_is_bounded() {
        let refusals = Refusals::default();
        let mut recorded = 0;
        for number in 0..3 * APART {
            let actor = number.to_string();
            recorded += usize::from(refusals.is_first(&refusal(&actor, "10.0.0.1:1"), "/v1/views"));
        }
        assert_eq!(recorded, APART + 1);
        let due = refusals.due(true);
        assert_eq!(due[0].detail["times"], 2 * APART - 1);
    }
}
