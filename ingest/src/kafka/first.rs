//! Of messages with one id the first counts, in whatever form each is written.
//!
//! The messages of a poll are decoded by their forms, one form after the other, so that what the
//! ledger is given is not in the order of the topic. Which of several messages counts must not
//! depend on it: read again after a kill, with others in the same poll, it would be another one.

use std::collections::HashMap;

use arrow::array::{AsArray, BooleanArray, StringArray, UInt32Array};
use arrow::compute::{filter, filter_record_batch};
use arrow::error::ArrowError;

use crate::log::Segment;

/// The events of one form, with the places of their messages in the poll.
pub(super) struct Decoded {
    pub(super) segment: Segment,
    /// One for each row.
    pub(super) places: Vec<usize>,
}

impl Decoded {
    fn ids(&self) -> &StringArray {
        self.segment.rows.column(0).as_string()
    }

    /// The tenant and the id of each row, with its place.
    fn rows(&self) -> impl Iterator<Item = ((u32, &str), usize)> {
        let events = self.segment.tenants.values().iter().zip(self.ids().iter());
        let places = self.places.iter().copied();
        events.map(|(tenant, id)| (*tenant, id.unwrap_or_default())).zip(places)
    }
}

/// The events without those whose id another form of the same type has at an earlier place.
pub(super) fn first_of_each(decoded: Vec<Decoded>) -> Result<Vec<Segment>, ArrowError> {
    let mut forms: HashMap<&str, usize> = HashMap::new();
    for part in &decoded {
        *forms.entry(part.segment.event_type.name()).or_default() += 1;
    }
    // Within one form the ledger takes the first.
    let mixed = |part: &&Decoded| forms[part.segment.event_type.name()] > 1;
    let mut first: HashMap<(&str, u32, &str), usize> = HashMap::new();
    for part in decoded.iter().filter(mixed) {
        let name = part.segment.event_type.name();
        for ((tenant, id), place) in part.rows() {
            let known = first.entry((name, tenant, id)).or_insert(place);
            *known = place.min(*known);
        }
    }
    let kept = |part: &Decoded| -> Option<BooleanArray> {
        if !mixed(&part) {
            return None;
        }
        let name = part.segment.event_type.name();
        let is_first = |((tenant, id), place)| first[&(name, tenant, id)] == place;
        Some(part.rows().map(is_first).map(Some).collect())
    };
    let masks: Vec<Option<BooleanArray>> = decoded.iter().map(kept).collect();
    decoded.into_iter().zip(masks).map(|(part, mask)| only(part.segment, mask)).collect()
}

fn only(segment: Segment, mask: Option<BooleanArray>) -> Result<Segment, ArrowError> {
    let Some(mask) = mask.filter(|mask| mask.true_count() < mask.len()) else {
        return Ok(segment);
    };
    let tenants = UInt32Array::from(filter(&segment.tenants, &mask)?.to_data());
    let rows = filter_record_batch(&segment.rows, &mask)?;
    Ok(Segment { event_type: segment.event_type, tenants, rows })
}
