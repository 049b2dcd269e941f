//! Decoding: the JSON of a body becomes columns, each event checked against its type.
//!
//! Pure and CPU-bound. The text of an event is walked once for its envelope and once for its
//! fields; values stay borrowed from the body until they are appended to a column.

mod body;
mod columns;
mod envelope;
mod extra;
mod rows;
mod value;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use projections::{EventType, EventTypes, Tenant};

use crate::{Format, Limits};

pub(crate) use envelope::message;
pub(crate) use value::shown;

/// No body may be larger, whatever the limits say: a column of text holds less than 2 GiB.
const MAX_BODY: usize = 1 << 30;

/// Whose events a body brings, and how that tenant sees money and time.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The tenant's number.
    pub tenant: Tenant,
    /// The tenant's name, which `tenantid` must equal where it is given.
    pub tenant_id: String,
    /// The currency of events that name none.
    pub currency: String,
    /// The tenant's time zone if its clock is `events`.
    pub events_clock: Option<chrono_tz::Tz>,
}

/// What a body brought: the events that can be taken, and the others with the reason.
#[derive(Debug)]
pub struct Decoded {
    pub(crate) tenant: Tenant,
    /// At most one batch a type.
    pub batches: Vec<DecodedBatch>,
    /// In the order of the body.
    pub rejected: Vec<Rejected>,
}

impl Decoded {
    /// How many events the body has.
    pub fn events(&self) -> usize {
        let rows: usize = self.batches.iter().map(|batch| batch.rows.num_rows()).sum();
        rows + self.rejected.len()
    }
}

/// The events of one type, in the order of the body.
#[derive(Clone, Debug)]
pub struct DecodedBatch {
    /// The type of all rows.
    pub event_type: Arc<EventType>,
    /// The columns of [`EventType::relation`], then `source` (text) and `extra` (JSON text, or null):
    /// `{"attributes": {…}, "data": {…}}` with what the envelope and the data carried beyond the plain.
    pub rows: RecordBatch,
}

/// An event that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its place among the events of the body, from 0; blank lines do not count.
    pub index: usize,
    /// What is wrong, where, and what is expected.
    pub reason: String,
    /// Whether it may be of another tenant: it names one, or whom it names could not be read.
    pub may_be_foreign: bool,
}

/// Nothing of the body can be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The body is over the limit.
    #[error("the body has {size} bytes, and at most {limit} are taken: send it in parts")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The most that are taken.
        limit: usize,
    },
    /// The body is not of its format.
    #[error("{0}")]
    Malformed(String),
    /// There are too many rejections to tell them all.
    #[error(
        "more than {limit} events of the body cannot be taken, so none was; \
         the first is number {}: {}", first.index, first.reason
    )]
    TooManyRejected {
        /// The most rejections that are told.
        limit: usize,
        /// The first of them.
        first: Rejected,
    },
}

/// Decodes a body: events that fit become columns, the others are [`Rejected`].
///
/// `now` is the wall clock, by which a `time` too far ahead is told.
///
/// # Errors
/// The body is too large or not of its format. A syntax error within a batch refuses the whole
/// batch; one within NDJSON only its line.
pub fn decode(
    types: &EventTypes,
    limits: &Limits,
    sender: &Sender,
    format: Format,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<Decoded, BodyError> {
    let limit = limits.max_body.min(MAX_BODY);
    if body.len() > limit {
        return Err(BodyError::TooLarge { size: body.len(), limit });
    }
    let mut rows = rows::Rows::new(types, limits, sender, now, body.len());
    body::read(format, body, &mut rows)?;
    Ok(rows.finish()?.0)
}

/// Decodes a body as [`decode`] does, and answers the texts of the events beside their columns:
/// for each batch those of its rows.
pub(crate) fn decode_texts<'a>(
    types: &'a EventTypes,
    limits: &'a Limits,
    sender: &'a Sender,
    format: Format,
    body: &'a [u8],
    now: DateTime<Utc>,
) -> Result<(Decoded, Vec<Vec<&'a str>>), BodyError> {
    let limit = limits.max_body.min(MAX_BODY);
    if body.len() > limit {
        return Err(BodyError::TooLarge { size: body.len(), limit });
    }
    let mut rows = rows::Rows::new(types, limits, sender, now, body.len());
    rows.note = Some(Vec::new());
    body::read(format, body, &mut rows)?;
    let texts = rows.note.take().unwrap_or_default();
    let (decoded, tables) = rows.finish()?;
    let mut by_batch = vec![Vec::new(); decoded.batches.len()];
    for (table, text) in texts {
        if let Some(batch) = tables.get(table).copied().flatten() {
            by_batch[batch].push(text);
        }
    }
    Ok((decoded, by_batch))
}

/// The only type of which events are taken.
#[derive(Clone, Copy)]
pub(crate) struct Only<'a>(pub(crate) &'a str);

/// Decodes bodies of one event each, with the moments that their times are judged by. What is no such
/// event is rejected, with the place of its body.
pub(crate) fn decode_each<'a>(
    types: &EventTypes,
    limits: &Limits,
    sender: &Sender,
    only: Only<'_>,
    bodies: impl Iterator<Item = (&'a [u8], DateTime<Utc>)>,
) -> Result<Decoded, BodyError> {
    let limits = Limits { max_rejected: usize::MAX, ..limits.clone() };
    let mut rows = rows::Rows::new(types, &limits, sender, DateTime::<Utc>::MIN_UTC, 0);
    rows.only = Some(only.0);
    for (body, moment) in bodies {
        rows.judge_at(moment);
        match std::str::from_utf8(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)) {
            Ok(text) => rows.take(text)?,
            Err(error) => rows.reject(format!(
                "the event is not UTF-8: byte {} of it is wrong",
                error.valid_up_to() + 1
            ))?,
        }
    }
    Ok(rows.finish()?.0)
}

/// Whether a body is an event, as far as its attributes go, that names no tenant but this one.
pub(crate) fn names_no_other(limits: &Limits, tenant_id: &str, body: &[u8]) -> bool {
    let text = std::str::from_utf8(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body));
    let Ok(text) = text else { return false };
    let Ok(envelope) = envelope::Envelope::parse(text, &mut Vec::new()) else { return false };
    let named = rows::named_tenant(&envelope, limits);
    named.is_ok_and(|named| named.is_none_or(|named| named == tenant_id))
}
