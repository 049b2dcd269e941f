//! A group of submissions on its way into one row of the log.

use std::collections::HashMap;

use arrow::array::UInt32Array;
use arrow::error::ArrowError;
use projections::{Input, Position, Tenant, Tick};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::draft::{Draft, Entered};
use super::ledger::{Ledger, Marks};
use super::{IntakeError, Receipt};
use crate::log::{Frame, Segment, key};
use crate::stored::event_batch;
use crate::{Decoded, LogError};

/// What is put to the writer.
pub(super) enum Work {
    Submission(Submission),
    Ticks {
        ticks: Vec<Tick>,
        reply: oneshot::Sender<Result<(), IntakeError>>,
    },
    /// Nothing of the tenant is taken any more; answers the offset up to which there may be some.
    Forget {
        tenant: Tenant,
        reply: oneshot::Sender<Result<u64, IntakeError>>,
    },
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
    Forgotten(oneshot::Sender<Result<u64, IntakeError>>),
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
    /// The tenants that are to be forgotten.
    pub(super) forgotten: Vec<Tenant>,
    replies: Vec<Reply>,
    _permits: Vec<OwnedSemaphorePermit>,
}

/// A group as it is put together.
struct Builder<'l> {
    draft: Draft<'l>,
    forgotten: Vec<Tenant>,
    replies: Vec<Reply>,
    permits: Vec<OwnedSemaphorePermit>,
}

impl Group {
    /// Enters the works' ids and dates into the ledger and encodes what is new.
    ///
    /// If it cannot be laid out, the ledger is as before and everybody has been told.
    pub(super) fn prepare(ledger: &mut Ledger, works: Vec<Work>) -> Option<Self> {
        let mut builder = Builder {
            draft: Draft::new(ledger),
            forgotten: Vec::new(),
            replies: Vec::new(),
            permits: Vec::new(),
        };
        let mut fault = None;
        for work in works {
            match work {
                Work::Submission(submission) => {
                    if let Err(error) = builder.submission(submission) {
                        fault = Some(error);
                    }
                }
                Work::Ticks { ticks, reply } => {
                    builder.draft.ticks(&ticks);
                    builder.replies.push(Reply::Ticks(reply));
                }
                Work::Forget { tenant, reply } => {
                    builder.draft.forget(tenant);
                    builder.forgotten.push(tenant);
                    builder.replies.push(Reply::Forgotten(reply));
                }
                Work::Close => {}
            }
        }
        builder.finish(fault)
    }

    /// Tells everybody what became of their submissions; the input has the offset of the log's last
    /// row by now.
    pub(super) fn succeed(self) -> Input {
        let offset = self.input.offset;
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
                Reply::Forgotten(to) => drop(to.send(Ok(offset))),
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

impl Builder<'_> {
    fn submission(&mut self, submission: Submission) -> Result<(), ArrowError> {
        let Submission { decoded, zone, reply, permit } = submission;
        let tenant = decoded.tenant;
        if self.draft.is_deleted(tenant) {
            // Who has gone away in the meantime does not need an answer.
            drop(reply.send(Err(IntakeError::Deleted)));
            return Ok(());
        }
        let (mut accepted, mut duplicates) = (0, 0);
        let mut fault = None;
        for batch in decoded.batches {
            let height = batch.rows.num_rows();
            let tenants = UInt32Array::from(vec![tenant.0; height]);
            match self.draft.admit(&batch.event_type, tenants, batch.rows, |_| zone) {
                Ok(new) => {
                    accepted += new;
                    duplicates += height - new;
                }
                Err(error) => fault = Some(error),
            }
        }
        self.permits.push(permit);
        // The sequence is settled at the end of the group.
        let position = Position::new(tenant, self.draft.enter(tenant).sequence);
        let receipt = Receipt { accepted, duplicates, rejected: decoded.rejected, position };
        self.replies.push(Reply::Receipt(reply, receipt));
        fault.map_or(Ok(()), Err)
    }

    /// Encodes the group, or takes it back and tells everybody why.
    fn finish(mut self, fault: Option<ArrowError>) -> Option<Group> {
        let drafted = match fault {
            Some(error) => Err(error),
            None => self.draft.frame().and_then(encode),
        };
        match drafted {
            Ok((payload, parts, input)) => {
                let (marks, entered) = self.draft.settle();
                settle_positions(&mut self.replies, &marks);
                Some(Group {
                    payload,
                    parts,
                    input,
                    marks,
                    entered,
                    forgotten: self.forgotten,
                    replies: self.replies,
                    _permits: self.permits,
                })
            }
            Err(error) => {
                self.draft.withdraw();
                tell_all(self.replies, &LogError::from(error));
                None
            }
        }
    }
}

/// Every receipt gets its tenant's position after the whole group, since a group is applied as one.
fn settle_positions(replies: &mut [Reply], marks: &[(Tenant, Marks)]) {
    let marks: HashMap<Tenant, &Marks> = marks.iter().map(|(t, marks)| (*t, marks)).collect();
    for reply in replies {
        if let Reply::Receipt(_, receipt) = reply
            && let Some(marks) = marks.get(&receipt.position.tenant)
        {
            receipt.position.sequence = marks.sequence;
        }
    }
}

type Encoded = (Option<Vec<u8>>, String, Input);

fn encode(frame: Frame) -> Result<Encoded, ArrowError> {
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
pub(crate) fn input(frame: Frame, offset: u64) -> Result<Input, ArrowError> {
    let events = frame
        .segments
        .into_iter()
        .map(|Segment { event_type, tenants, rows }| event_batch(event_type, tenants, &rows))
        .collect::<Result<_, ArrowError>>()?;
    Ok(Input { events, ticks: frame.ticks, offset })
}

fn tell_all(replies: Vec<Reply>, error: &LogError) {
    for reply in replies {
        let error = IntakeError::Log(error.clone());
        match reply {
            Reply::Receipt(to, _) => drop(to.send(Err(error))),
            Reply::Ticks(to) => drop(to.send(Err(error))),
            Reply::Forgotten(to) => drop(to.send(Err(error))),
        }
    }
}

pub(crate) fn count(outcome: &'static str, events: usize) {
    metrics::counter!("tidemark_events_total", "outcome" => outcome).increment(events as u64);
}
