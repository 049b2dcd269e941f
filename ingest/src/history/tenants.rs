//! The tenants of a file, small enough to stand in a manifest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use projections::Tenant;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of tenants: runs of numbers without a gap.
///
/// Written as base64 of pairs of varints: how many numbers are left out, how many follow. Tenants
/// are numbered from 1 without a gap, so a file that has all of them takes three bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenants {
    /// First and last of each run, ascending.
    runs: Vec<(u32, u32)>,
}

impl Tenants {
    /// Whether the tenant is one of them.
    pub fn contains(&self, tenant: Tenant) -> bool {
        let behind = self.runs.partition_point(|(first, _)| *first <= tenant.0);
        behind.checked_sub(1).is_some_and(|at| tenant.0 <= self.runs[at].1)
    }

    /// Whether it is the only one.
    pub fn is_only(&self, tenant: Tenant) -> bool {
        self.runs == [(tenant.0, tenant.0)]
    }

    /// The smallest and the largest number.
    pub fn bounds(&self) -> Option<(Tenant, Tenant)> {
        Some((Tenant(self.runs.first()?.0), Tenant(self.runs.last()?.1)))
    }

    /// Adds numbers that ascend and are none below the last one that was added.
    pub(super) fn extend(&mut self, ascending: &[u32]) {
        for number in ascending {
            match self.runs.last_mut() {
                Some((_, last)) if *number <= *last => {}
                Some((_, last)) if *number == *last + 1 => *last = *number,
                _ => self.runs.push((*number, *number)),
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.runs.len() * 2);
        let mut next = 0_u64;
        for (first, last) in &self.runs {
            varint(&mut bytes, u64::from(*first) - next);
            varint(&mut bytes, u64::from(*last) - u64::from(*first));
            next = u64::from(*last) + 1;
        }
        bytes
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut runs = Vec::new();
        let mut next = 0_u64;
        while !bytes.is_empty() {
            let first = next.checked_add(take_varint(&mut bytes)?)?;
            let last = first.checked_add(take_varint(&mut bytes)?)?;
            runs.push((u32::try_from(first).ok()?, u32::try_from(last).ok()?));
            next = last + 1;
        }
        Some(Self { runs })
    }
}

fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..35).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

impl Serialize for Tenants {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD_NO_PAD.encode(self.encode()))
    }
}

impl<'de> Deserialize<'de> for Tenants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        Self::decode(&bytes).ok_or_else(|| serde::de::Error::custom("no list of tenants"))
    }
}
