//! What the fuzz targets call that is not called from outside otherwise.

use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use projections::EventType;

use crate::avro::{AvroDecoder, Body, MAGIC};
use crate::{Limits, Sender};

/// One record under a writer's schema as the stored columns of an event type.
///
/// # Errors
/// The schema is none of the type, or the record is none of the schema, or no event that is taken.
pub fn read_avro(
    schema: &str,
    event_type: &Arc<EventType>,
    sender: &Sender,
    record: &[u8],
    now: DateTime<Utc>,
) -> Result<RecordBatch, String> {
    const ID: u32 = 3;
    let mut decoder = AvroDecoder::new(ID, schema, event_type)?;
    let bytes = [&[MAGIC], &ID.to_be_bytes()[..], record].concat();
    let body = Body { bytes: &bytes, sender, moment: now };
    let outcome = decoder.read(&[body], &Limits::default());
    let mut outcome = outcome.map_err(|error| error.to_string())?;
    match outcome.refused.pop() {
        Some((_, refusal)) => Err(refusal.reason),
        None => Ok(outcome.rows),
    }
}
