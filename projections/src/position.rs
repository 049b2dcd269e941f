//! A tenant's position: how many of its own changes have been recorded or applied.

use std::fmt;

use crate::Tenant;

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

    /// A check of tenant and sequence in 32 bits: the finalizer of MurmurHash3, twice. It guards
    /// against mix-ups, not against forgery: a forged position reads nothing of anybody else.
    fn mark(self) -> u32 {
        let mut h = (u64::from(self.tenant.0) << 32) ^ self.sequence ^ 0x7469_6465_6d61_726b;
        for _ in 0..2 {
            h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
            h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
            h ^= h >> 33;
        }
        (h >> 32) as u32
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:08x}{:012x}", self.mark(), self.sequence)
    }
}

#[cfg(test)]
mod tests {
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
}
