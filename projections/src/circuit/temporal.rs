//! Projections and filters that read the tenant's date.
//!
//! They keep the rows they were given, each with the day on which its outcome can change next. When
//! the date goes on, only the rows whose day has come are evaluated again, and only those whose
//! outcome differs are put out. All rows of a tenant are evaluated when its date goes back or is
//! its first, and when something changes that is computed from the date alone: the month, or the
//! date itself where it is shown.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashMap;

use super::calendar::Calendar;
use super::evaluate::{Expressions, matching};
use super::flips::Flips;
use super::journal::Journal;
use super::packed::Packer;
use super::state::{Capture, Reader, put_i64, store};
use super::{Operator, Step};
use crate::change::{RowCodec, batch};
use crate::clock::{TODAY, epoch_days};
use crate::{Change, RuntimeError, Tenant};

/// A projection or filter that reads the date.
pub(crate) struct Temporal {
    outcome: Outcome,
    flips: Flips,
    packer: Packer,
    /// The columns of the input and the date.
    dated: SchemaRef,
    tenants: HashMap<Tenant, Calendar>,
    evaluated: u64,
    /// Of the dates, by tenant; the calendars have their own of their rows.
    journal: Journal,
}

/// The stores: the dates by tenant, and the rows by tenant and slot.
const DATES: u32 = 0;
const ROWS: u32 = 1;

/// What a checkpoint keeps of a tenant's date.
fn write_date(tenants: &HashMap<Tenant, Calendar>, slot: u32, out: &mut Vec<u8>) {
    if let Some(today) = tenants.get(&Tenant(slot)).and_then(|calendar| calendar.today) {
        put_i64(out, i64::from(today));
    }
}

/// What is evaluated; the last column it reads is the date.
enum Outcome {
    /// New columns, and what tells whether they differ.
    Project(Expressions, RowCodec),
    /// A condition.
    Filter(Arc<dyn PhysicalExpr>),
}

/// The rows of a tenant to be evaluated again.
struct Due {
    tenant: Tenant,
    slots: Vec<u32>,
    old: Option<i32>,
    new: i32,
}

/// The schema of an input with the tenant's date as its last column.
pub(crate) fn with_today(input: &Schema) -> SchemaRef {
    let mut fields: Vec<_> = input.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(TODAY, DataType::Date32, true)));
    Arc::new(Schema::new(fields))
}

/// The rows with the date of each.
fn dated(
    schema: &SchemaRef,
    rows: &RecordBatch,
    dates: Date32Array,
) -> Result<RecordBatch, RuntimeError> {
    let mut columns = rows.columns().to_vec();
    let length = dates.len();
    columns.push(Arc::new(dates) as ArrayRef);
    Ok(batch(schema.clone(), columns, length)?)
}

impl Temporal {
    /// New columns of rows of `input`; `flips` says when they can change.
    pub(crate) fn project(
        expressions: Expressions,
        flips: Flips,
        input: &Schema,
    ) -> Result<Self, RuntimeError> {
        let codec = RowCodec::new(expressions.schema())?;
        Self::new(Outcome::Project(expressions, codec), flips, input)
    }

    /// A condition on rows of `input`; `flips` says when it can change.
    pub(crate) fn filter(
        predicate: Arc<dyn PhysicalExpr>,
        flips: Flips,
        input: &Schema,
    ) -> Result<Self, RuntimeError> {
        Self::new(Outcome::Filter(predicate), flips, input)
    }

    fn new(outcome: Outcome, flips: Flips, input: &Schema) -> Result<Self, RuntimeError> {
        let (packer, dated) = (Packer::new(input)?, with_today(input));
        let (tenants, journal) = Default::default();
        Ok(Self { outcome, flips, packer, dated, tenants, evaluated: 0, journal })
    }

    /// The rows that a tenant's new date makes due.
    fn due(&self, tenant: Tenant, new: i32) -> Option<Due> {
        let calendar = self.tenants.get(&tenant)?;
        let old = calendar.today;
        let slots = match old {
            Some(old) if old == new => return None,
            Some(old) if old < new && self.flips.same_periods(old, new) => calendar.due(new),
            _ => calendar.all(tenant),
        };
        Some(Due { tenant, slots, old, new })
    }

    /// The rows that are due, with their weights.
    fn rows(&self, due: &[Due]) -> Result<Change, RuntimeError> {
        let (mut rows, mut weights) = (Vec::new(), Vec::new());
        for due in due {
            let Some(calendar) = self.tenants.get(&due.tenant) else { continue };
            rows.extend(due.slots.iter().map(|slot| calendar.row(*slot)));
            weights.extend(due.slots.iter().map(|slot| calendar.weight(*slot)));
        }
        Ok(self.packer.change(&rows, weights)?)
    }

    /// The outcome for rows that come or go, each with its date.
    fn outcome(&self, change: &Change, dates: Date32Array) -> Result<Change, RuntimeError> {
        let dated = dated(&self.dated, &change.rows, dates)?;
        match &self.outcome {
            Outcome::Project(expressions, _) => Ok(change.with_rows(expressions.evaluate(&dated)?)),
            Outcome::Filter(predicate) => {
                Ok(change.filter(&matching(predicate.as_ref(), &dated)?)?)
            }
        }
    }

    /// What differs for rows that stay while the dates go from `old` to `new`.
    fn difference(
        &self,
        kept: &Change,
        old: Date32Array,
        new: Date32Array,
    ) -> Result<[Change; 2], RuntimeError> {
        let before = dated(&self.dated, &kept.rows, old)?;
        let after = dated(&self.dated, &kept.rows, new)?;
        let minus = |change: &Change| -> Change {
            let weights: Int64Array = change.weights.values().iter().map(|w| -w).collect();
            Change::new(change.tenants.clone(), change.rows.clone(), weights)
        };
        match &self.outcome {
            Outcome::Project(expressions, codec) => {
                let (before, after) =
                    (expressions.evaluate(&before)?, expressions.evaluate(&after)?);
                let old_rows = codec.encode(&kept.tenants, before.columns())?;
                let new_rows = codec.encode(&kept.tenants, after.columns())?;
                let differs: BooleanArray =
                    old_rows.iter().zip(new_rows.iter()).map(|(a, b)| Some(a != b)).collect();
                let gone = kept.with_rows(before).filter(&differs)?;
                Ok([minus(&gone), kept.with_rows(after).filter(&differs)?])
            }
            Outcome::Filter(predicate) => {
                let (before, after) =
                    (matching(predicate.as_ref(), &before)?, matching(predicate.as_ref(), &after)?);
                let gone = kept.filter(&arrow::compute::and_not(&before, &after)?)?;
                let come = kept.filter(&arrow::compute::and_not(&after, &before)?)?;
                Ok([minus(&gone), come])
            }
        }
    }

    /// To be called before a tenant's date changes.
    fn note_date(&mut self, tenant: Tenant) {
        let tenants = &self.tenants;
        self.journal.before(tenant.0, |out| write_date(tenants, tenant.0, out));
    }

    /// The tenant's calendar, which may be a new one.
    fn calendar(&mut self, tenant: Tenant) -> &mut Calendar {
        let is_journaled = self.journal.is_kept();
        self.tenants.entry(tenant).or_insert_with(|| Calendar::new(is_journaled))
    }

    /// The day of each row's next flip after its tenant's date.
    fn next(&self, rows: &RecordBatch, days: &[Option<i32>]) -> Result<Vec<i32>, RuntimeError> {
        let rows = dated(&self.dated, rows, Date32Array::from(vec![0; days.len()]))?;
        Ok(self.flips.next(&rows, days))
    }
}

impl Operator for Temporal {
    fn is_one_row(&self, inputs: &[bool]) -> bool {
        inputs[0]
    }

    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        let today: HashMap<Tenant, i32> =
            step.ticks.iter().map(|tick| (tick.tenant, epoch_days(tick.today))).collect();
        let due: Vec<Due> = today.iter().filter_map(|(t, day)| self.due(*t, *day)).collect();
        let kept = self.rows(&due)?;
        let mut parts = Vec::new();
        let mut due_next = Vec::new();
        if !kept.is_empty() {
            let each = |day: fn(&Due) -> Option<i32>| {
                due.iter().flat_map(move |d| std::iter::repeat_n(day(d), d.slots.len()))
            };
            let new: Vec<Option<i32>> = each(|due| Some(due.new)).collect();
            let old = each(|due| due.old).collect();
            parts.extend(self.difference(&kept, old, Date32Array::from(new.clone()))?);
            due_next = self.next(&kept.rows, &new)?;
        }
        let date = |tenant: &u32| {
            let tenant = Tenant(*tenant);
            let known = || self.tenants.get(&tenant).and_then(|calendar| calendar.today);
            today.get(&tenant).copied().or_else(known)
        };
        let dates: Vec<Option<i32>> = change.tenants.values().iter().map(date).collect();
        let next = self.next(&change.rows, &dates)?;
        parts.push(self.outcome(change, Date32Array::from(dates))?);
        let schema = match &self.outcome {
            Outcome::Project(expressions, _) => expressions.schema().clone(),
            Outcome::Filter(_) => change.rows.schema(),
        };
        let output = Change::concat(&schema, &parts)?;
        let packed = self.packer.pack(&change.tenants, change.rows.columns())?;

        // From here on nothing can fail.
        self.evaluated += kept.len() as u64;
        let mut due_next = due_next.into_iter();
        for Due { tenant, slots, .. } in due {
            let calendar = self.calendar(tenant);
            for (slot, next) in slots.into_iter().zip(&mut due_next) {
                calendar.schedule(slot, next);
            }
        }
        for (tenant, day) in today {
            self.note_date(tenant);
            self.calendar(tenant).today = Some(day);
        }
        for (i, row) in packed.iter().enumerate() {
            let tenant = Tenant(change.tenants.value(i));
            let calendar = self.calendar(tenant);
            calendar.keep(row, change.weights.value(i), next[i]);
        }
        Ok(output)
    }

    fn reads_clock(&self) -> bool {
        true
    }

    fn rows_reevaluated(&self) -> u64 {
        self.evaluated
    }

    fn bytes(&self, tenant: Tenant) -> usize {
        self.tenants.get(&tenant).map_or(0, |calendar| calendar.bytes(tenant))
    }

    fn forget(&mut self, tenant: Tenant) {
        self.note_date(tenant);
        if let Some(calendar) = self.tenants.get_mut(&tenant) {
            calendar.clear(tenant);
        }
    }

    fn cut(&mut self, whole: bool) {
        let last = self.tenants.keys().map(|tenant| tenant.0 as usize + 1).max();
        self.journal.cut(whole, last.unwrap_or(0));
        self.tenants.values_mut().for_each(|calendar| calendar.cut(whole));
    }

    fn capture(&mut self, capture: &mut Capture) -> bool {
        let tenants = &self.tenants;
        let (dates, rows) = (store(capture.node, DATES), store(capture.node, ROWS));
        let date = |slot, out: &mut Vec<u8>| write_date(tenants, slot, out);
        self.journal.capture(capture, (dates, 0), date)
            && self.tenants.iter_mut().all(|(tenant, of)| of.capture(capture, rows, *tenant))
    }

    fn restore(&mut self, store: u32, slot: u64, entry: &[u8]) -> Result<(), RuntimeError> {
        if store == ROWS {
            return self.calendar(Tenant((slot >> 32) as u32)).restore(slot as u32, entry);
        }
        let today = (!entry.is_empty()).then(|| Reader(entry).i64()).transpose()?;
        self.calendar(Tenant(slot as u32)).today = today.map(|day| day as i32);
        Ok(())
    }

    fn restored(&mut self) {
        self.journal.keep();
        self.tenants.values_mut().for_each(Calendar::restored);
    }
}
