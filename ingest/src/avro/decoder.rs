//! Bodies of one writer's schema as rows of one event type.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow_avro::codec::Tz;
use arrow_avro::reader::{Decoder, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};
use chrono::{DateTime, Utc};
use projections::EventType;

use super::columns::Conversion;
use super::rows;
use super::writer::WriterSchema;
use crate::{Limits, Sender};

/// Rows that one flush can have: more than a poll brings.
const MAX_ROWS: usize = 1 << 17;

/// A body and the tenant that its key names.
#[derive(Clone, Copy)]
pub(crate) struct Body<'a> {
    /// The whole value, its five bytes of prefix included.
    pub(crate) bytes: &'a [u8],
    /// Whose it is.
    pub(crate) sender: &'a Sender,
    /// The moment by which it is told whether its time is too far ahead.
    pub(crate) moment: DateTime<Utc>,
}

/// What became of bodies.
pub(crate) struct Outcome {
    /// The stored columns of those that fit, in their order.
    pub(crate) rows: RecordBatch,
    /// Which those are, by their place.
    pub(crate) taken: Vec<usize>,
    /// The others, by their place.
    pub(crate) refused: Vec<(usize, Refusal)>,
}

/// Why a body was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    /// Whether it may be of another tenant than its key: it says so, or whose it is could not be read.
    pub(crate) may_be_foreign: bool,
}

/// A reader of the bodies of one schema as rows of one event type.
pub(crate) struct AvroDecoder {
    id: u32,
    event_type: Arc<EventType>,
    writer: WriterSchema,
    decoder: Decoder,
    plan: Plan,
}

/// Where a writer has what an event type asks for.
pub(super) struct Plan {
    pub(super) event_id: usize,
    pub(super) tenant_id: usize,
    pub(super) occurred_at: (usize, Conversion),
    pub(super) subject: Option<usize>,
    /// For each field of the type; none where the writer does not have it.
    pub(super) fields: Vec<Option<(usize, Conversion)>>,
    /// What only the writer knows: kept beside the fields.
    pub(super) unknown: Vec<usize>,
}

impl AvroDecoder {
    /// A reader for the schema `id` with that text.
    ///
    /// # Errors
    /// No record of this schema is an event of the type: which field is wrong, and why.
    pub(crate) fn new(id: u32, text: &str, event_type: &Arc<EventType>) -> Result<Self, String> {
        let misfit = |reason: String| format!("the schema {id} cannot be read: {reason}");
        let writer = WriterSchema::parse(text).map_err(misfit)?;
        let decoder = build(id, &writer).map_err(|error| misfit(error.to_string()))?;
        let plan = Plan::new(&decoder.schema(), event_type).map_err(|reason| {
            format!("the schema {id} is not that of `{}`: {reason}", event_type.name())
        })?;
        Ok(Self { id, event_type: Arc::clone(event_type), writer, decoder, plan })
    }

    /// The type whose rows it makes.
    pub(crate) fn event_type(&self) -> &Arc<EventType> {
        &self.event_type
    }

    /// Reads bodies whose prefix names this schema.
    ///
    /// # Errors
    /// The rows could not be put into columns, which is no body's fault.
    pub(crate) fn read(
        &mut self,
        bodies: &[Body<'_>],
        limits: &Limits,
    ) -> Result<Outcome, ArrowError> {
        let (records, taken, refused) = self.records(bodies)?;
        let read: Vec<Body<'_>> = taken.iter().map(|at| bodies[*at]).collect();
        let checked = rows::check(&self.plan, &self.event_type, &records, &read, limits)?;
        // Columns that are taken over as they are can be made smaller by their only owner.
        drop(records);
        let mut outcome = Outcome { rows: tight(checked.rows)?, taken: Vec::new(), refused };
        let mut faults = checked.refused.into_iter().peekable();
        for (row, at) in taken.into_iter().enumerate() {
            match faults.next_if(|(of, _)| *of == row) {
                Some((_, refusal)) => outcome.refused.push((at, refusal)),
                None => outcome.taken.push(at),
            }
        }
        Ok(outcome)
    }

    /// The records, the places of those that could be read, and the others.
    fn records(&mut self, bodies: &[Body<'_>]) -> Result<Records, ArrowError> {
        if let Ok(records) = self.all(bodies) {
            return Ok((records, (0..bodies.len()).collect(), Vec::new()));
        }
        // One of them is broken and has left the columns uneven: each is read alone.
        let (mut batches, mut taken, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        self.decoder = build(self.id, &self.writer)?;
        let schema = self.decoder.schema();
        for (at, body) in bodies.iter().enumerate() {
            match self.all(std::slice::from_ref(body)) {
                Ok(record) => {
                    batches.push(record);
                    taken.push(at);
                }
                Err(reason) => {
                    let id = self.id;
                    let reason = format!("the value does not match its schema {id}: {reason}");
                    refused.push((at, Refusal { reason, may_be_foreign: true }));
                    self.decoder = build(id, &self.writer)?;
                }
            }
        }
        Ok((concat_batches(&schema, &batches)?, taken, refused))
    }

    /// The records of bodies none of which is broken.
    fn all(&mut self, bodies: &[Body<'_>]) -> Result<RecordBatch, String> {
        let decoder = &mut self.decoder;
        // Should the library give up on some bytes, that is an error of these bytes.
        let read = catch_unwind(AssertUnwindSafe(|| {
            for body in bodies {
                let room = decoder.capacity();
                let read = decoder.decode(body.bytes).map_err(|error| error.to_string())?;
                if decoder.capacity() == room {
                    return Err("it is cut short".to_owned());
                }
                if read < body.bytes.len() || decoder.capacity() + 1 < room {
                    return Err("there are bytes behind the record".to_owned());
                }
            }
            let records = decoder.flush().map_err(|error| error.to_string())?;
            records.ok_or_else(|| "there is no record in it".to_owned())
        }));
        let records = read.unwrap_or_else(|_| Err("its bytes are no record".to_owned()))?;
        if records.num_rows() == bodies.len() {
            Ok(records)
        } else {
            Err("it is not one record".to_owned())
        }
    }
}

/// The rows without the room that Avro's columns have for a thousand rows more: rows are kept until
/// they stand in files, and most often there are a few of them.
fn tight(rows: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let (schema, mut columns, _) = rows.into_parts();
    for column in &mut columns {
        Array::shrink_to_fit(column);
    }
    RecordBatch::try_new(schema, columns)
}

type Records = (RecordBatch, Vec<usize>, Vec<(usize, Refusal)>);

fn build(id: u32, writer: &WriterSchema) -> Result<Decoder, ArrowError> {
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(id), AvroSchema::new(writer.text.clone()))?;
    ReaderBuilder::new()
        .with_writer_schema_store(store)
        .with_reader_schema(AvroSchema::new(writer.reader.clone()))
        .with_tz(Tz::Utc)
        .with_batch_size(MAX_ROWS)
        .build_decoder()
}

impl Plan {
    fn new(written: &Schema, event_type: &EventType) -> Result<Self, String> {
        use projections::events::FieldType::{Text, Timestamp};
        let fields = event_type.fields();
        let find = |name: &str| written.fields().iter().position(|field| field.name() == name);
        let conversion = |at: usize, kind| {
            let field = written.field(at);
            Conversion::of(kind, field.data_type())
                .map(|conversion| (at, conversion))
                .map_err(|reason| format!("its field `{}`: {reason}", field.name()))
        };
        let required = |name: &str, kind| {
            let at = find(name).ok_or_else(|| format!("it has no field `{name}`"))?;
            conversion(at, kind)
        };
        let (event_id, _) = required("event_id", Text)?;
        let (tenant_id, _) = required("tenant_id", Text)?;
        let occurred_at = required("occurred_at", Timestamp)?;
        let subject = find("subject").map(|at| conversion(at, Text)).transpose()?;
        let of_fields = fields
            .iter()
            .map(|field| match find(&field.name) {
                Some(at) => conversion(at, field.kind).map(Some),
                None if field.optional => Ok(None),
                None => Err(format!("it has no field `{}`, which is required", field.name)),
            })
            .collect::<Result<Vec<_>, String>>()?;
        let mut known = vec![event_id, tenant_id, occurred_at.0];
        known.extend(subject.map(|(at, _)| at));
        known.extend(of_fields.iter().flatten().map(|(at, _)| *at));
        Ok(Self {
            event_id,
            tenant_id,
            occurred_at,
            subject: subject.map(|(at, _)| at),
            fields: of_fields,
            unknown: (0..written.fields().len()).filter(|at| !known.contains(at)).collect(),
        })
    }
}
