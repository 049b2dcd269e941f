//! What is not linear: aggregates and window functions, recomputed by DataFusion's own operators
//! for the groups that a change touches, on the rows they keep.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{SchemaRef, UInt32Type};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use futures::executor::block_on;

use super::evaluate::guarded;
use super::journal::Journal;
use super::memory::Tally;
use super::ordered::Ordered;
use super::packed::{Packer, owner};
use super::slots::Slots;
use super::state::{Capture, Reader, put_bytes, store};
use super::table::{KeyTable, Touched};
use super::{Operator, Step};
use crate::bytes::ByteRows;
use crate::change::{RowCodec, batch};
use crate::{Change, RuntimeError, Tenant};

/// The table a recomputing plan reads: the rows put in for one run.
pub(crate) struct Slot {
    schema: SchemaRef,
    rows: Mutex<Option<RecordBatch>>,
}

impl Slot {
    /// An empty slot for rows of `schema`.
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self { schema, rows: Mutex::new(None) }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}

impl PartitionStream for Slot {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stream = futures::stream::iter(rows.map(Ok));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream))
    }
}

/// A plan over a [`Slot`], run many times.
pub(crate) struct PlanRunner {
    plan: LogicalPlan,
    state: SessionState,
    slot: Arc<Slot>,
    ready: Option<(Arc<dyn ExecutionPlan>, u32)>,
}

/// Every run adds to the metrics that a physical plan keeps, so it is made anew now and then.
const RUNS_PER_PLAN: u32 = 512;

impl PlanRunner {
    /// A runner of `plan`, which reads `slot` and nothing else.
    pub(crate) fn new(plan: LogicalPlan, state: SessionState, slot: Arc<Slot>) -> Self {
        Self { plan, state, slot, ready: None }
    }

    /// The runner with its physical plan made, or why there is none: not every logical plan has
    /// one.
    pub(crate) fn planned(mut self) -> Result<Self, RuntimeError> {
        self.ready = Some((guarded(|| self.physical())?, 0));
        Ok(self)
    }

    fn physical(&self) -> Result<Arc<dyn ExecutionPlan>, RuntimeError> {
        let planner = DefaultPhysicalPlanner::default();
        Ok(block_on(planner.create_physical_plan(&self.plan, &self.state))?)
    }

    /// The columns the plan reads.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.slot.schema
    }

    /// The plan's answer over no rows.
    pub(crate) fn over_nothing(&mut self) -> Result<RecordBatch, RuntimeError> {
        self.run(RecordBatch::new_empty(self.slot.schema.clone()))
    }

    /// The plan's answer over `rows`.
    pub(crate) fn run(&mut self, rows: RecordBatch) -> Result<RecordBatch, RuntimeError> {
        let answer = guarded(|| self.answer(rows));
        if answer.is_err() {
            // What a run that failed left behind is not looked at.
            self.ready = None;
        }
        answer
    }

    fn answer(&mut self, rows: RecordBatch) -> Result<RecordBatch, RuntimeError> {
        let physical = match self.ready.take() {
            Some((physical, runs)) if runs < RUNS_PER_PLAN => {
                self.ready = Some((physical.clone(), runs + 1));
                physical
            }
            _ => {
                let physical = self.physical()?;
                self.ready = Some((physical.clone(), 1));
                physical
            }
        };
        *self.slot.rows.lock().unwrap_or_else(PoisonError::into_inner) = Some(rows);
        let schema = physical.schema();
        let batches = block_on(collect(physical, self.state.task_ctx()))?;
        Ok(concat_batches(&schema, &batches)?)
    }
}

/// Groups that are recomputed whole when a row of theirs changes.
///
/// The plan reads a column with the number of the group before the input's columns; its answer
/// begins with that number. Each touched group goes in twice, as it was and as it is.
pub(crate) struct Recompute {
    key: Vec<usize>,
    key_packer: Packer,
    row_codec: RowCodec,
    output_codec: RowCodec,
    runner: PlanRunner,
    /// The columns of the plan's answer that make the output.
    kept: Vec<usize>,
    schema: SchemaRef,
    keys: KeyTable,
    rows: Slots<Ordered>,
    touched: Touched,
    tally: Tally,
    journal: Journal,
}

/// What a checkpoint keeps of a group: its key and its rows.
fn write_group(keys: &KeyTable, rows: &Slots<Ordered>, slot: u32, out: &mut Vec<u8>) {
    let key = keys.key_or_none(slot);
    if !key.is_empty() {
        put_bytes(out, key);
        rows[slot].write(out);
    }
}

impl Recompute {
    /// Groups by the columns `key` of `input`; the output is the answer's columns `kept`.
    pub(crate) fn new(
        key: Vec<usize>,
        input: &SchemaRef,
        runner: PlanRunner,
        kept: Vec<usize>,
        schema: SchemaRef,
    ) -> Result<Self, RuntimeError> {
        Ok(Self {
            key_packer: Packer::new(&input.project(&key)?)?,
            row_codec: RowCodec::new(input)?,
            output_codec: RowCodec::new(&schema)?,
            key,
            runner,
            kept,
            schema,
            keys: KeyTable::default(),
            rows: Slots::default(),
            touched: Touched::default(),
            tally: Tally::default(),
            journal: Journal::default(),
        })
    }

    /// The touched groups' rows, each with its group's number: twice the place, plus `version`.
    fn gather(&self, version: u32) -> Result<RecordBatch, RuntimeError> {
        let (mut rows, mut numbers) = (Vec::new(), Vec::new());
        for (place, slot) in self.touched.slots.iter().enumerate() {
            let before = rows.len();
            rows.extend(self.rows[*slot].repeated());
            numbers.extend(std::iter::repeat_n(place as u32 * 2 + version, rows.len() - before));
        }
        let length = numbers.len();
        let (_, columns) = self.row_codec.decode(rows)?;
        let mut all: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(numbers))];
        all.extend(columns);
        Ok(batch(self.runner.slot.schema.clone(), all, length)?)
    }

    fn add(&mut self, slots: &[u32], rows: &ByteRows, weights: &[i64], sign: i64) {
        for (i, (slot, weight)) in slots.iter().zip(weights).enumerate() {
            let more = self.rows[*slot].add(rows.row(i), weight * sign);
            let tenant = owner(self.keys.key(*slot));
            if more >= 0 {
                self.tally.add(tenant, more.unsigned_abs());
            } else {
                self.tally.remove(tenant, more.unsigned_abs());
            }
        }
    }

    /// Runs the plan over the groups as they were and as they are.
    fn compare(
        &mut self,
        before: &RecordBatch,
        tenants: &[Tenant],
    ) -> Result<Change, RuntimeError> {
        let after = self.gather(1)?;
        let both = concat_batches(&self.runner.slot.schema, [before, &after])?;
        let answer = self.runner.run(both)?;
        let numbers = answer.column(0).as_primitive::<UInt32Type>();
        let tenant = |number: &u32| tenants[*number as usize / 2].0;
        let owners = UInt32Array::from_iter_values(numbers.values().iter().map(tenant));
        let weights = numbers.values().iter().map(|n| if n % 2 == 0 { -1 } else { 1 });
        let columns = self.kept.iter().map(|c| answer.column(*c).clone()).collect();
        let rows = batch(self.schema.clone(), columns, answer.num_rows())?;
        let change = Change::new(owners, rows, Int64Array::from_iter_values(weights));
        Ok(self.output_codec.consolidate(&change)?)
    }

    fn release_empty(&mut self) {
        for slot in &self.touched.slots {
            if self.rows[*slot].is_empty() {
                self.keys.remove(*slot);
            }
        }
        self.touched.clear();
    }
}

impl Operator for Recompute {
    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        let key: Vec<ArrayRef> = self.key.iter().map(|c| change.rows.column(*c).clone()).collect();
        let keys = self.key_packer.pack(&change.tenants, &key)?;
        let rows = self.row_codec.encode(&change.tenants, change.rows.columns())?;
        let (mut slots, mut tenants) = (Vec::with_capacity(change.len()), Vec::new());
        for ((slot, added), tenant) in
            self.keys.locate(&keys).into_iter().zip(change.tenants.values())
        {
            if added {
                *self.rows.at(slot) = Ordered::default();
            }
            if self.touched.touch(slot).1 {
                let (keys, rows) = (&self.keys, &self.rows);
                self.journal.before(slot, |out| {
                    if !added {
                        write_group(keys, rows, slot, out);
                    }
                });
                tenants.push(Tenant(*tenant));
            }
            slots.push(slot);
        }
        let weights = change.weights.values();
        let before = match self.gather(0) {
            Ok(before) => before,
            Err(error) => {
                self.release_empty();
                return Err(error);
            }
        };
        self.add(&slots, &rows, weights, 1);
        let compared = self.compare(&before, &tenants);
        if compared.is_err() {
            self.add(&slots, &rows, weights, -1);
        }
        self.release_empty();
        compared
    }

    fn bytes(&self, tenant: Tenant) -> usize {
        self.keys.bytes(tenant) + self.tally.bytes(tenant)
    }

    fn forget(&mut self, tenant: Tenant) {
        for slot in self.keys.of_tenant(tenant) {
            let (keys, rows) = (&self.keys, &self.rows);
            self.journal.before(slot, |out| write_group(keys, rows, slot, out));
            self.rows[slot] = Ordered::default();
            self.keys.remove(slot);
        }
        self.tally.forget(tenant);
    }

    fn cut(&mut self, whole: bool) {
        self.journal.cut(whole, self.keys.slots());
    }

    fn capture(&mut self, capture: &mut Capture) -> bool {
        let (keys, rows) = (&self.keys, &self.rows);
        let done = self.journal.take(&mut capture.room, |slot, out| {
            write_group(keys, rows, slot, out);
        });
        capture.parts.extend(self.journal.carry_off(store(capture.node, 0), 0));
        done
    }

    fn restore(&mut self, _store: u32, slot: u64, entry: &[u8]) -> Result<(), RuntimeError> {
        let slot = slot as u32;
        let mut entry = Reader(entry);
        let old = self.rows.at(slot).cost();
        if old > 0 {
            self.tally.remove(owner(self.keys.key(slot)), old);
        }
        if entry.0.is_empty() {
            self.rows[slot] = Ordered::default();
            self.keys.restore(slot, &[]);
            return Ok(());
        }
        let key = entry.bytes()?;
        let (rows, cost) = Ordered::read(&mut entry)?;
        self.rows[slot] = rows;
        self.tally.add(owner(key), cost);
        self.keys.restore(slot, key);
        Ok(())
    }

    fn restored(&mut self) {
        self.journal.keep();
        self.keys.restored();
    }
}
