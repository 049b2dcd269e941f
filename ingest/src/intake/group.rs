//! A group of submissions on its way into one row of the log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::error::ArrowError;
use chrono::{DateTime, NaiveDate};
use projections::{EventBatch, EventType, Input, Position, Tenant, Tick};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::ledger::{Ledger, Marks};
use super::{IntakeError, Receipt};
use crate::log::{Frame, Segment, key};
use crate::stored::{stored_schema, widen};
use crate::{Decoded, LogError};

/// What is put to the writer.
pub(super) enum Work {
    Submission(Submission),
    Ticks { ticks: Vec<Tick>, reply: oneshot::Sender<Result<(), IntakeError>> },
    Close,
}

/// The events of one sender.
pub(super) struct Submission {
    pub(super) decoded: Decoded,
    /// The tenant's time zone if its events move its date.
    pub(super) zone: Option<chrono_tz::Tz>,
    pub(super) reply: oneshot::Sender<Result<Receipt, IntakeError>>,
    /// Its share of the bytes that may be under way.
    pub(super) permit: OwnedSemaphorePermit,
}

/// An answer that is ready and waits for the disk.
enum Reply {
    Receipt(oneshot::Sender<Result<Receipt, IntakeError>>, Receipt),
    Ticks(oneshot::Sender<Result<(), IntakeError>>),
}

/// What must be taken back if the group is not recorded.
pub(super) struct Entered {
    ids: Vec<u128>,
    tenants: Vec<Tenant>,
}

/// A group, deduplicated and encoded.
pub(super) struct Group {
    /// The bytes of the row; none if there is nothing new.
    pub(super) payload: Option<Vec<u8>>,
    /// The parts of the row, a JSON array of `[tenant, key of the type]`.
    pub(super) parts: String,
    /// What the views get; the offset is not known yet.
    pub(super) input: Input,
    /// The tenants' marks once it is recorded.
    pub(super) marks: Vec<(Tenant, Marks)>,
    pub(super) entered: Entered,
    replies: Vec<Reply>,
    _permits: Vec<OwnedSemaphorePermit>,
}

/// A group as it is put together.
struct Draft<'l> {
    ledger: &'l mut Ledger,
    ids: Vec<u128>,
    /// The marks of every tenant in the group, before it.
    before: BTreeMap<Tenant, Marks>,
    types: Vec<(Arc<EventType>, Vec<RecordBatch>, Vec<u32>)>,
    by_key: HashMap<String, usize>,
    replies: Vec<Reply>,
    permits: Vec<OwnedSemaphorePermit>,
}

impl Group {
    /// Enters the works' ids and dates into the ledger and encodes what is new.
    ///
    /// If it cannot be laid out, the ledger is as before and everybody has been told.
    pub(super) fn prepare(ledger: &mut Ledger, works: Vec<Work>) -> Option<Self> {
        let mut draft = Draft {
            ledger,
            ids: Vec::new(),
            before: BTreeMap::new(),
            types: Vec::new(),
            by_key: HashMap::new(),
            replies: Vec::new(),
            permits: Vec::new(),
        };
        let mut fault = None;
        for work in works {
            match work {
                Work::Submission(submission) => {
                    if let Err(error) = draft.submission(submission) {
                        fault = Some(error);
                    }
                }
                Work::Ticks { ticks, reply } => draft.ticks(&ticks, reply),
                Work::Close => {}
            }
        }
        let ticks = draft.changed_dates();
        draft.finish(ticks, fault)
    }

    /// Tells everybody what became of their submissions.
    pub(super) fn succeed(self) -> Input {
        for reply in self.replies {
            // Who has gone away in the meantime does not need an answer.
            match reply {
                Reply::Receipt(to, receipt) => {
                    count("accepted", receipt.accepted);
                    count("duplicate", receipt.duplicates);
                    count("rejected", receipt.rejected.len());
                    drop(to.send(Ok(receipt)));
                }
                Reply::Ticks(to) => drop(to.send(Ok(()))),
            }
        }
        self.input
    }

    /// Tells everybody that nothing was kept.
    pub(super) fn fail(self, error: &LogError) -> Entered {
        tell_all(self.replies, error);
        self.entered
    }
}

impl Entered {
    /// Takes back what the group entered; the tenants' marks are those on disk again.
    pub(super) fn withdraw(&self, ledger: &mut Ledger, on_disk: &HashMap<Tenant, Marks>) {
        ledger.withdraw(&self.ids);
        for tenant in &self.tenants {
            match on_disk.get(tenant) {
                Some(marks) => ledger.marks.insert(*tenant, *marks),
                None => ledger.marks.remove(tenant),
            };
        }
    }
}

impl Draft<'_> {
    fn submission(&mut self, submission: Submission) -> Result<(), ArrowError> {
        let Submission { decoded, zone, reply, permit } = submission;
        let tenant = decoded.tenant;
        let mut marks = self.enter(tenant);
        let (mut accepted, mut duplicates) = (0, 0);
        let mut newest = None;
        let mut fault = None;
        for batch in decoded.batches {
            let name = batch.event_type.name();
            let admitted = self.ledger.admit(tenant, name, &batch.rows, &mut self.ids);
            accepted += admitted.count;
            duplicates += batch.rows.num_rows() - admitted.count;
            newest = newest.max(admitted.newest);
            if admitted.count == 0 {
                continue;
            }
            let rows = match admitted.mask {
                Some(mask) => filter_record_batch(&batch.rows, &mask),
                None => Ok(batch.rows),
            };
            match rows {
                Ok(rows) => self.add(&batch.event_type, tenant, rows),
                Err(error) => fault = Some(error),
            }
        }
        marks.sequence += accepted as u64;
        if newest > marks.newest {
            marks.newest = newest;
            let date = zone.and_then(|zone| local_date(newest?, zone));
            if date > marks.date {
                marks.date = date;
            }
        }
        self.ledger.marks.insert(tenant, marks);
        self.permits.push(permit);
        let position = Position::new(tenant, marks.sequence);
        let receipt = Receipt { accepted, duplicates, rejected: decoded.rejected, position };
        self.replies.push(Reply::Receipt(reply, receipt));
        fault.map_or(Ok(()), Err)
    }

    fn ticks(&mut self, ticks: &[Tick], reply: oneshot::Sender<Result<(), IntakeError>>) {
        for tick in ticks {
            let mut marks = self.enter(tick.tenant);
            marks.date = Some(tick.today);
            self.ledger.marks.insert(tick.tenant, marks);
        }
        self.replies.push(Reply::Ticks(reply));
    }

    /// The tenant's marks; those before the group are noted.
    fn enter(&mut self, tenant: Tenant) -> Marks {
        let marks = self.ledger.marks.get(&tenant).copied().unwrap_or_default();
        self.before.entry(tenant).or_insert(marks);
        marks
    }

    fn add(&mut self, event_type: &Arc<EventType>, tenant: Tenant, rows: RecordBatch) {
        let next = self.types.len();
        let at = *self.by_key.entry(key(event_type).into_owned()).or_insert(next);
        if at == next {
            self.types.push((Arc::clone(event_type), Vec::new(), Vec::new()));
        }
        let (latest, batches, tenants) = &mut self.types[at];
        // The type may have gained fields between the decoding of two bodies.
        if latest.fields().len() < event_type.fields().len() {
            *latest = Arc::clone(event_type);
        }
        tenants.resize(tenants.len() + rows.num_rows(), tenant.0);
        batches.push(rows);
    }

    /// One tick for each tenant whose date is another than before the group; counts them.
    fn changed_dates(&mut self) -> Vec<Tick> {
        let mut ticks = Vec::new();
        for (tenant, before) in &self.before {
            if let Some(marks) = self.ledger.marks.get_mut(tenant)
                && marks.date != before.date
                && let Some(today) = marks.date
            {
                marks.sequence += 1;
                ticks.push(Tick { tenant: *tenant, today });
            }
        }
        ticks
    }

    /// Encodes the group, or takes it back and tells everybody why.
    fn finish(mut self, ticks: Vec<Tick>, fault: Option<ArrowError>) -> Option<Group> {
        let tenants: Vec<Tenant> = self.before.keys().copied().collect();
        let encoded = match fault {
            Some(error) => Err(error),
            None => encode(std::mem::take(&mut self.types), ticks),
        };
        match encoded {
            Ok((payload, parts, input)) => {
                let marks: Vec<(Tenant, Marks)> = tenants
                    .iter()
                    .filter_map(|tenant| Some((*tenant, *self.ledger.marks.get(tenant)?)))
                    .collect();
                self.settle_positions();
                Some(Group {
                    payload,
                    parts,
                    input,
                    marks,
                    entered: Entered { ids: self.ids, tenants },
                    replies: self.replies,
                    _permits: self.permits,
                })
            }
            Err(error) => {
                let before = self.before.into_iter().collect();
                Entered { ids: self.ids, tenants }.withdraw(self.ledger, &before);
                tell_all(self.replies, &LogError::from(error));
                None
            }
        }
    }

    /// Every receipt gets its tenant's position after the whole group, since a group is applied as one.
    fn settle_positions(&mut self) {
        for reply in &mut self.replies {
            if let Reply::Receipt(_, receipt) = reply
                && let Some(marks) = self.ledger.marks.get(&receipt.position.tenant)
            {
                receipt.position.sequence = marks.sequence;
            }
        }
    }
}

type Encoded = (Option<Vec<u8>>, String, Input);

fn encode(
    types: Vec<(Arc<EventType>, Vec<RecordBatch>, Vec<u32>)>,
    ticks: Vec<Tick>,
) -> Result<Encoded, ArrowError> {
    let mut frame = Frame { segments: Vec::with_capacity(types.len()), ticks };
    for (event_type, batches, tenants) in types {
        let schema = stored_schema(&event_type);
        let batches: Vec<RecordBatch> =
            batches.iter().map(|batch| widen(batch, &schema)).collect::<Result<_, _>>()?;
        let rows = match <[RecordBatch; 1]>::try_from(batches) {
            Ok([batch]) => batch,
            Err(batches) => concat_batches(&schema, &batches)?,
        };
        frame.segments.push(Segment { event_type, tenants: UInt32Array::from(tenants), rows });
    }
    let payload = if frame.is_empty() { None } else { Some(frame.encode()?) };
    let mut parts = String::from("[");
    for segment in &frame.segments {
        // The type's key as JSON text.
        let name = serde_json::Value::from(key(&segment.event_type)).to_string();
        for tenant in segment.distinct_tenants() {
            let comma = if parts.len() > 1 { "," } else { "" };
            parts.extend([comma, "[", &tenant.0.to_string(), ",", &name, "]"]);
        }
    }
    parts.push(']');
    Ok((payload, parts, input(frame, 0)?))
}

/// What the views get of a frame.
pub(super) fn input(frame: Frame, offset: u64) -> Result<Input, ArrowError> {
    let events = frame
        .segments
        .into_iter()
        .map(|Segment { event_type, tenants, rows }| {
            let relation: Vec<usize> = (0..event_type.relation().fields().len()).collect();
            let rows = rows.project(&relation)?.with_schema(Arc::clone(event_type.relation()))?;
            Ok(EventBatch { event_type, tenants, rows })
        })
        .collect::<Result<_, ArrowError>>()?;
    Ok(Input { events, ticks: frame.ticks, offset })
}

fn tell_all(replies: Vec<Reply>, error: &LogError) {
    for reply in replies {
        let error = IntakeError::Log(error.clone());
        match reply {
            Reply::Receipt(to, _) => drop(to.send(Err(error))),
            Reply::Ticks(to) => drop(to.send(Err(error))),
        }
    }
}

fn count(outcome: &'static str, events: usize) {
    metrics::counter!("tidemark_events_total", "outcome" => outcome).increment(events as u64);
}

/// The date of an instant in a time zone.
fn local_date(micros: i64, zone: chrono_tz::Tz) -> Option<NaiveDate> {
    Some(DateTime::from_timestamp_micros(micros)?.with_timezone(&zone).date_naive())
}
