//! The name by which a dashboard is asked for.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;

/// A dashboard's id, single among its tenant's: 1–64 characters of `a-z 0-9 - _`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DashboardId(String);

impl DashboardId {
    /// The longest id, in characters.
    pub const MAX_LEN: usize = 64;

    /// One that was not there before.
    pub(super) fn drawn() -> Self {
        let drawn: u64 = rand::random();
        Self(format!("d{drawn:016x}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DashboardId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_one = (1..=Self::MAX_LEN).contains(&text.len())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if is_one {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "id",
            "a dashboard's id has 1 to 64 characters of a-z, 0-9, `-` and `_`; GET /v1/dashboards \
             lists them",
        ))
    }
}

impl fmt::Display for DashboardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
