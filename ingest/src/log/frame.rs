//! The bytes of a row of the log.
//!
//! ```text
//! "TML1"  crc32 of all that follows
//! ticks:     count, then (tenant u32, days since 1970-01-01 i32) each
//! segments:  count, then (length of the key u32, key, length of the stream u64) each
//! streams:   one Arrow IPC stream a segment: column `tenant`, then the stored columns of the type
//! ```
//! All numbers are little-endian; counts are u32. The key of a segment is its type's name, and for a
//! type that one tenant has alone the tenant's number before it: `17/acme.widget_made`.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use chrono::{Datelike, NaiveDate};
use projections::{EventRegistry, EventType, Tenant, Tick};

use crate::stored::{places, stored_schema};

const MAGIC: &[u8; 4] = b"TML1";
const HEADER: usize = 8;
const EPOCH_FROM_CE: i32 = 719_163;

/// What one commit recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    pub(crate) segments: Vec<Segment>,
    pub(crate) ticks: Vec<Tick>,
}

/// The events of one type in a commit.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) event_type: Arc<EventType>,
    pub(crate) tenants: UInt32Array,
    /// The stored columns: the relation, `source`, `extra`.
    pub(crate) rows: RecordBatch,
}

/// The key of a type in the log. No type's name has a slash in it.
pub(crate) fn key(event_type: &EventType) -> Cow<'_, str> {
    match event_type.owner() {
        Some(Tenant(number)) => Cow::Owned(format!("{number}/{}", event_type.name())),
        None => Cow::Borrowed(event_type.name()),
    }
}

/// The type of a key.
fn find(key: &str, types: &EventRegistry) -> Option<Arc<EventType>> {
    match key.split_once('/') {
        Some((number, name)) => types.find(Some(Tenant(number.parse().ok()?)), name),
        None => types.find(None, key),
    }
}

/// Why bytes are no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("its checksum does not match")]
    Checksum,
    #[error("it is cut short or of another format")]
    Format,
    #[error("it holds events of the type '{0}', which is not registered")]
    UnknownType(String),
    #[error("the columns of '{0}' are not those of its type")]
    Schema(String),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

impl Frame {
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.ticks.is_empty()
    }

    /// The bytes of the frame.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ArrowError> {
        let mut streams = Vec::new();
        let mut lengths = Vec::with_capacity(self.segments.len());
        for segment in &self.segments {
            let before = streams.len();
            segment.write(&mut streams)?;
            lengths.push((streams.len() - before) as u64);
        }
        let mut out = Vec::with_capacity(
            streams.len() + 64 * (self.segments.len() + 1) + 8 * self.ticks.len(),
        );
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.ticks.len() as u32).to_le_bytes());
        for tick in &self.ticks {
            out.extend_from_slice(&tick.tenant.0.to_le_bytes());
            let days = tick.today.num_days_from_ce() - EPOCH_FROM_CE;
            out.extend_from_slice(&days.to_le_bytes());
        }
        out.extend_from_slice(&(self.segments.len() as u32).to_le_bytes());
        for (segment, length) in self.segments.iter().zip(lengths) {
            let key = key(&segment.event_type);
            out.extend_from_slice(&(key.len() as u32).to_le_bytes());
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(&length.to_le_bytes());
        }
        out.append(&mut streams);
        let checksum = crc32fast::hash(&out[HEADER..]);
        out[4..HEADER].copy_from_slice(&checksum.to_le_bytes());
        Ok(out)
    }

    /// Reads a frame back.
    pub(super) fn decode(payload: &[u8], types: &EventRegistry) -> Result<Self, FrameError> {
        let (ticks, streams) = open(payload)?;
        let mut segments = Vec::with_capacity(streams.len());
        for (key, stream) in streams {
            let event_type =
                find(key, types).ok_or_else(|| FrameError::UnknownType(key.to_owned()))?;
            let all = read(stream, &event_type, None)?;
            let tenants = tenants(&all, key)?;
            let columns: Vec<usize> = (1..all.num_columns()).collect();
            let rows = all.project(&columns)?;
            segments.push(Segment { event_type, tenants, rows });
        }
        Ok(Self { segments, ticks })
    }

    /// Reads the tenants and those columns of the relation of one type; none if it is not there.
    pub(super) fn decode_columns(
        payload: &[u8],
        event_type: &EventType,
        columns: &[usize],
    ) -> Result<Option<(UInt32Array, RecordBatch)>, FrameError> {
        let (_, streams) = open(payload)?;
        let wanted = key(event_type);
        let Some((name, stream)) = streams.into_iter().find(|(name, _)| *name == wanted) else {
            return Ok(None);
        };
        let projection = std::iter::once(0).chain(columns.iter().map(|c| c + 1)).collect();
        let all = read(stream, event_type, Some(projection))?;
        let tenants = tenants(&all, name)?;
        let columns: Vec<usize> = (1..all.num_columns()).collect();
        Ok(Some((tenants, all.project(&columns)?)))
    }
}

impl Segment {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        let schema = framed_schema(&self.event_type);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        columns.push(Arc::new(self.tenants.clone()));
        columns.extend(self.rows.columns().iter().cloned());
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        let mut writer = StreamWriter::try_new(out, &schema)?;
        writer.write(&batch)?;
        writer.finish()
    }

    /// The tenants, each once.
    pub(crate) fn distinct_tenants(&self) -> Vec<Tenant> {
        let mut tenants: Vec<u32> = self.tenants.values().to_vec();
        // Rows of a submission stand together, so this leaves little to sort.
        tenants.dedup();
        tenants.sort_unstable();
        tenants.dedup();
        tenants.into_iter().map(Tenant).collect()
    }
}

fn framed_schema(event_type: &EventType) -> SchemaRef {
    let mut fields = vec![Arc::new(Field::new("tenant", DataType::UInt32, false))];
    fields.extend(stored_schema(event_type).fields().iter().cloned());
    Arc::new(Schema::new(fields))
}

fn tenants(batch: &RecordBatch, name: &str) -> Result<UInt32Array, FrameError> {
    let column = batch.columns().first().and_then(|c| c.as_any().downcast_ref::<UInt32Array>());
    column.cloned().ok_or_else(|| FrameError::Schema(name.to_owned()))
}

/// Reads a stream whose columns must be those of the type, or of an earlier or later form of it, as
/// one batch with the columns that `projection` names (all if there is none).
fn read(
    stream: &[u8],
    event_type: &EventType,
    projection: Option<Vec<usize>>,
) -> Result<RecordBatch, FrameError> {
    let misfit = || FrameError::Schema(event_type.name().to_owned());
    let framed = framed_schema(event_type);
    let reader = StreamReader::try_new(stream, None)?;
    let stored = reader.schema();
    let places = places(stored.fields(), framed.fields()).ok_or_else(misfit)?;
    let wanted = projection.unwrap_or_else(|| (0..places.len()).collect());
    let places: Vec<Option<usize>> = wanted.iter().map(|column| places[*column]).collect();
    let there: Vec<usize> = places.iter().copied().flatten().collect();
    let (schema, reader) = if there.iter().copied().eq(0..stored.fields().len()) {
        (stored, reader)
    } else {
        (Arc::new(stored.project(&there)?), StreamReader::try_new(stream, Some(there))?)
    };
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    let batch = match <[RecordBatch; 1]>::try_from(batches) {
        Ok([batch]) => batch,
        Err(batches) => concat_batches(&schema, &batches)?,
    };
    let expected = Arc::new(framed.project(&wanted)?);
    if batch.num_columns() == places.len() {
        return Ok(batch.with_schema(expected)?);
    }
    let mut read = batch.columns().iter().cloned();
    let columns = places.iter().zip(expected.fields()).map(|(place, field)| match place {
        Some(_) => read.next().ok_or_else(misfit),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
    Ok(RecordBatch::try_new(expected, columns)?)
}

type Streams<'a> = Vec<(&'a str, &'a [u8])>;

/// Checks the frame and finds its parts.
fn open(payload: &[u8]) -> Result<(Vec<Tick>, Streams<'_>), FrameError> {
    let mut rest = payload;
    if take(&mut rest, 4)? != MAGIC {
        return Err(FrameError::Format);
    }
    if u32_le(&mut rest)? != crc32fast::hash(rest) {
        return Err(FrameError::Checksum);
    }
    let mut ticks = Vec::new();
    for _ in 0..u32_le(&mut rest)? {
        let tenant = Tenant(u32_le(&mut rest)?);
        let days = u32_le(&mut rest)?.cast_signed();
        let today = days
            .checked_add(EPOCH_FROM_CE)
            .and_then(NaiveDate::from_num_days_from_ce_opt)
            .ok_or(FrameError::Format)?;
        ticks.push(Tick { tenant, today });
    }
    let mut heads = Vec::new();
    for _ in 0..u32_le(&mut rest)? {
        let length = u32_le(&mut rest)? as usize;
        let name = std::str::from_utf8(take(&mut rest, length)?).map_err(|_| FrameError::Format)?;
        let length = take(&mut rest, 8)?.try_into().map_err(|_| FrameError::Format)?;
        heads.push((name, u64::from_le_bytes(length)));
    }
    let mut streams = Vec::with_capacity(heads.len());
    for (name, length) in heads {
        let length = usize::try_from(length).map_err(|_| FrameError::Format)?;
        streams.push((name, take(&mut rest, length)?));
    }
    if !rest.is_empty() {
        return Err(FrameError::Format);
    }
    Ok((ticks, streams))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], FrameError> {
    let (front, behind) = rest.split_at_checked(length).ok_or(FrameError::Format)?;
    *rest = behind;
    Ok(front)
}

fn u32_le(rest: &mut &[u8]) -> Result<u32, FrameError> {
    let bytes = take(rest, 4)?.try_into().map_err(|_| FrameError::Format)?;
    Ok(u32::from_le_bytes(bytes))
}
