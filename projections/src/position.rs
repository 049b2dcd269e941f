//! A tenant's position: how many of its own changes have been recorded or applied.

use std::fmt;
use std::hash::Hasher;
use std::sync::OnceLock;

use siphasher::sip::SipHasher13;

use crate::Tenant;

/// The key of the marks in what tenants are given; the first that a process sets.
static MARK_KEY: OnceLock<[u8; 16]> = OnceLock::new();

/// Sets the key of [`mark`], before anything is given out or read: that of the store, so that nodes
/// take what others gave, and all of them what they gave before they were started anew.
pub fn set_mark_key(key: [u8; 16]) {
    MARK_KEY.get_or_init(|| key);
}

/// Binds what a tenant is given to it, in 32 bits: it guards against mix-ups, not against forgery, as
/// what is forged reads nothing of anybody else. It has a key because tenants' numbers are nobody's
/// affair: whoever could compute it would find its own.
pub fn mark(tenant: Tenant, content: &[u8]) -> u32 {
    keyed(MARK_KEY.get().unwrap_or(&[0; 16]), tenant, content)
}

fn keyed(key: &[u8; 16], tenant: Tenant, content: &[u8]) -> u32 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write(b"tidemark mark");
    hasher.write(&tenant.0.to_le_bytes());
    hasher.write(content);
    (hasher.finish() >> 32) as u32
}

/// A place in one tenant's own sequence of changes; opaque text outside.
///
/// The text carries a mark of the tenant, so that a position of another tenant is refused
/// instead of being compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The tenant whose sequence it is.
    pub tenant: Tenant,
    /// The number of the tenant's changes (events and ticks) up to and with this one.
    pub sequence: u64,
}

/// The text is not a position of this tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a position of this tenant: use one that an answer gave, unchanged")]
pub struct PositionError(pub String);

impl Position {
    /// The position of `tenant` after `sequence` of its changes.
    pub fn new(tenant: Tenant, sequence: u64) -> Self {
        Self { tenant, sequence }
    }

    /// Reads the text of a position, which must be one of `tenant`.
    pub fn parse(tenant: Tenant, text: &str) -> Result<Self, PositionError> {
        let bad = || PositionError(text.chars().take(40).collect());
        let digits = text.strip_prefix('p').ok_or_else(bad)?;
        // Eight of the mark, and twelve of the sequence or as many more as it needs.
        if !(20..=24).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mark = u32::from_str_radix(&digits[..8], 16).map_err(|_| bad())?;
        let sequence = u64::from_str_radix(&digits[8..], 16).map_err(|_| bad())?;
        let position = Self { tenant, sequence };
        if position.mark() != mark {
            return Err(bad());
        }
        Ok(position)
    }

    fn mark(self) -> u32 {
        mark(self.tenant, &self.sequence.to_le_bytes())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:08x}{:012x}", self.mark(), self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn text_reads_back_for_its_tenant_only() {
        let position = Position::new(Tenant(7), 1 << 40);
        let text = position.to_string();
        assert_eq!(Position::parse(Tenant(7), &text), Ok(position));
        for sequence in [0, (1 << 48) - 1, 1 << 48, 1 << 63, u64::MAX] {
            let far = Position::new(Tenant(7), sequence);
            assert_eq!(Position::parse(Tenant(7), &far.to_string()), Ok(far));
        }
        assert!(Position::parse(Tenant(8), &text).is_err());
        assert!(Position::parse(Tenant(7), "p0").is_err());
        assert!(Position::parse(Tenant(7), "").is_err());
        assert!(Position::parse(Tenant(7), "pzzzzzzzzzzzzzzzzzzzz").is_err());
        assert!(Position::parse(Tenant(7), "p+000000000000000000é").is_err());
    }

    /// Nobody who has not the key finds the tenant by its mark.
    #[test]
    fn marks_have_a_key() {
        let keys = [[0; 16], [1; 16], [2; 16]];
        let marks = keys.iter().flat_map(|key| [7, 8].map(|of| keyed(key, Tenant(of), b"1")));
        assert_eq!(marks.collect::<HashSet<u32>>().len(), 6);
    }
}
