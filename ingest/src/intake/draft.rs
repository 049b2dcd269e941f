//! What is new, put together: deduplicated by the ledger, with the dates that it moves. The same
//! for what comes by HTTP and what comes by Kafka.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat, concat_batches, filter, filter_record_batch};
use arrow::error::ArrowError;
use chrono::{DateTime, NaiveDate};
use projections::{EventType, Tenant, Tick};

use super::ledger::{Ledger, Marks};
use crate::log::{Frame, Segment, key};
use crate::stored::{stored_schema, widen};

/// What must be taken back if the draft is not recorded.
pub(crate) struct Entered {
    ids: Vec<u128>,
    tenants: Vec<Tenant>,
}

/// New events and dates, entered into the ledger.
pub(crate) struct Draft<'l> {
    ledger: &'l mut Ledger,
    ids: Vec<u128>,
    /// The marks of every tenant in the draft, before it.
    before: BTreeMap<Tenant, Marks>,
    types: Vec<Part>,
    by_key: HashMap<String, usize>,
}

/// The events of one type.
struct Part {
    event_type: Arc<EventType>,
    batches: Vec<RecordBatch>,
    tenants: Vec<UInt32Array>,
}

impl Entered {
    /// Takes back what was entered; the tenants' marks are those on disk again.
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

impl<'l> Draft<'l> {
    /// A draft with nothing in it.
    pub(crate) fn new(ledger: &'l mut Ledger) -> Self {
        Self {
            ledger,
            ids: Vec::new(),
            before: BTreeMap::new(),
            types: Vec::new(),
            by_key: HashMap::new(),
        }
    }

    /// Enters stored rows of one type, each of the tenant beside it; answers how many are new.
    /// `clock` is the time zone of a tenant whose events move its date.
    pub(crate) fn admit(
        &mut self,
        event_type: &Arc<EventType>,
        tenants: UInt32Array,
        rows: RecordBatch,
        clock: impl Fn(Tenant) -> Option<chrono_tz::Tz>,
    ) -> Result<usize, ArrowError> {
        for run in tenants.values().chunk_by(|a, b| a == b) {
            self.enter(Tenant(run[0]));
        }
        let admitted = self.ledger.admit(event_type.name(), &tenants, &rows, &mut self.ids);
        for (tenant, new) in &admitted.tenants {
            let marks = self.ledger.marks.entry(*tenant).or_default();
            marks.sequence += new.count;
            if new.newest > marks.newest {
                marks.newest = new.newest;
                let date = clock(*tenant).and_then(|zone| local_date(new.newest?, zone));
                if date > marks.date {
                    marks.date = date;
                }
            }
        }
        if admitted.count > 0 {
            let (tenants, rows) = match &admitted.mask {
                Some(mask) => {
                    let kept = filter(&tenants, mask)?;
                    let kept = UInt32Array::from(kept.to_data());
                    (kept, filter_record_batch(&rows, mask)?)
                }
                None => (tenants, rows),
            };
            self.add(event_type, tenants, rows);
        }
        Ok(admitted.count)
    }

    /// Forgets a tenant, and takes nothing of it from now on.
    pub(super) fn forget(&mut self, tenant: Tenant) {
        self.ledger.forget(tenant);
    }

    /// Whether nothing of the tenant is taken any more.
    pub(super) fn is_deleted(&self, tenant: Tenant) -> bool {
        self.ledger.is_deleted(tenant)
    }

    /// Enters dates; of several for one tenant the last counts.
    pub(crate) fn ticks(&mut self, ticks: &[Tick]) {
        for tick in ticks {
            if self.is_deleted(tick.tenant) {
                continue;
            }
            let mut marks = self.enter(tick.tenant);
            marks.date = Some(tick.today);
            self.ledger.marks.insert(tick.tenant, marks);
        }
    }

    /// The tenant's marks; those before the draft are noted.
    pub(super) fn enter(&mut self, tenant: Tenant) -> Marks {
        let marks = self.ledger.marks.get(&tenant).copied().unwrap_or_default();
        self.before.entry(tenant).or_insert(marks);
        marks
    }

    fn add(&mut self, event_type: &Arc<EventType>, tenants: UInt32Array, rows: RecordBatch) {
        let next = self.types.len();
        let at = *self.by_key.entry(key(event_type).into_owned()).or_insert(next);
        if at == next {
            let event_type = Arc::clone(event_type);
            self.types.push(Part { event_type, batches: Vec::new(), tenants: Vec::new() });
        }
        let part = &mut self.types[at];
        // The type may have gained fields between the decoding of two bodies.
        if part.event_type.fields().len() < event_type.fields().len() {
            part.event_type = Arc::clone(event_type);
        }
        part.tenants.push(tenants);
        part.batches.push(rows);
    }

    /// All that is new, and a tick for each tenant whose date is another than before, which it
    /// counts. To be called once.
    pub(crate) fn frame(&mut self) -> Result<Frame, ArrowError> {
        let ticks = self.changed_dates();
        let types = std::mem::take(&mut self.types);
        let mut frame = Frame { segments: Vec::with_capacity(types.len()), ticks };
        for Part { event_type, batches, tenants } in types {
            let schema = stored_schema(&event_type);
            let batches: Vec<RecordBatch> =
                batches.iter().map(|batch| widen(batch, &schema)).collect::<Result<_, _>>()?;
            let rows = match <[RecordBatch; 1]>::try_from(batches) {
                Ok([batch]) => batch,
                Err(batches) => concat_batches(&schema, &batches)?,
            };
            let tenants = match <[UInt32Array; 1]>::try_from(tenants) {
                Ok([tenants]) => tenants,
                Err(parts) => {
                    let parts: Vec<&dyn arrow::array::Array> =
                        parts.iter().map(|part| part as _).collect();
                    UInt32Array::from(concat(&parts)?.to_data())
                }
            };
            frame.segments.push(Segment { event_type, tenants, rows });
        }
        Ok(frame)
    }

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

    /// The marks of the draft's tenants, and what would have to be taken back.
    pub(crate) fn settle(self) -> (Vec<(Tenant, Marks)>, Entered) {
        let tenants: Vec<Tenant> = self.before.keys().copied().collect();
        let marks = tenants.iter();
        let marks = marks.filter_map(|tenant| Some((*tenant, *self.ledger.marks.get(tenant)?)));
        (marks.collect(), Entered { ids: self.ids, tenants })
    }

    /// Takes all of it back.
    pub(super) fn withdraw(self) {
        let tenants = self.before.keys().copied().collect();
        let before = self.before.into_iter().collect();
        Entered { ids: self.ids, tenants }.withdraw(self.ledger, &before);
    }
}

/// The date of an instant in a time zone.
fn local_date(micros: i64, zone: chrono_tz::Tz) -> Option<NaiveDate> {
    Some(DateTime::from_timestamp_micros(micros)?.with_timezone(&zone).date_naive())
}
