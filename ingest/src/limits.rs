//! What one body, one event and one text may measure, and which times are believed.

use chrono::NaiveDate;
use serde::Deserialize;

/// Bounds of intake; all configurable.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one body.
    pub max_body: usize,
    /// Bytes of one event's JSON.
    pub max_event: usize,
    /// UTF-8 bytes of one text, unescaped.
    pub max_text: usize,
    /// Rejections that one body may have; with more, the whole body is refused.
    pub max_rejected: usize,
    /// The earliest date (UTC) of an event's `time`.
    pub earliest: NaiveDate,
    /// Days that an event's `time` may be ahead of the wall clock.
    pub future: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: 16 << 20,
            max_event: 256 << 10,
            max_text: 64 << 10,
            max_rejected: 1 << 16,
            earliest: NaiveDate::from_ymd_opt(1900, 1, 1).unwrap_or(NaiveDate::MIN),
            future: 1,
        }
    }
}
