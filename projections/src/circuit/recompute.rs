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
use super::groups::{Groups, Kept};
use super::ordered::Ordered;
use super::packed::Packer;
use super::state::{Capture, Reader};
use super::{Operator, Step};
use crate::bytes::ByteRows;
use crate::change::{RowCodec, batch};
use crate::functions::made;
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
        let answer = made::within(|| guarded(|| self.answer(rows)));
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
    groups: Groups<Ordered>,
}

impl Kept for Ordered {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn cost(&self) -> usize {
        self.cost()
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.write(out);
    }

    fn read(entry: &mut Reader<'_>) -> Result<Self, RuntimeError> {
        Self::read(entry).map(|(rows, _)| rows)
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
            groups: Groups::default(),
        })
    }

    /// The touched groups' rows, each with its group's number: twice the place, plus `version`.
    fn gather(&self, version: u32) -> Result<RecordBatch, RuntimeError> {
        let (mut rows, mut numbers) = (Vec::new(), Vec::new());
        for (place, slot) in self.groups.touched.slots.iter().enumerate() {
            let before = rows.len();
            rows.extend(self.groups.kept[*slot].repeated());
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
            let more = self.groups.kept[*slot].add(rows.row(i), weight * sign);
            let tenant = self.groups.owner(*slot);
            if more >= 0 {
                self.groups.tally.add(tenant, more.unsigned_abs());
            } else {
                self.groups.tally.remove(tenant, more.unsigned_abs());
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
}

impl Operator for Recompute {
    fn recomputes(&self, _: &[bool]) -> bool {
        true
    }

    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        let key: Vec<ArrayRef> = self.key.iter().map(|c| change.rows.column(*c).clone()).collect();
        let keys = self.key_packer.pack(&change.tenants, &key)?;
        let rows = self.row_codec.encode(&change.tenants, change.rows.columns())?;
        let (mut slots, mut tenants) = (Vec::with_capacity(change.len()), Vec::new());
        for ((slot, added), tenant) in
            self.groups.locate(&keys).into_iter().zip(change.tenants.values())
        {
            if self.groups.touch(slot, added).1 {
                tenants.push(Tenant(*tenant));
            }
            slots.push(slot);
        }
        let weights = change.weights.values();
        let before = match self.gather(0) {
            Ok(before) => before,
            Err(error) => {
                self.groups.release_empty();
                return Err(error);
            }
        };
        self.add(&slots, &rows, weights, 1);
        let compared = self.compare(&before, &tenants);
        if compared.is_err() {
            self.add(&slots, &rows, weights, -1);
        }
        self.groups.release_empty();
        compared
    }

    fn bytes(&self, tenant: Tenant) -> usize {
        self.groups.bytes(tenant)
    }

    fn forget(&mut self, tenant: Tenant) {
        self.groups.forget(tenant);
    }

    fn cut(&mut self, whole: bool) {
        self.groups.cut(whole);
    }

    fn capture(&mut self, capture: &mut Capture) -> bool {
        self.groups.capture(capture)
    }

    fn restore(&mut self, _store: u32, slot: u64, entry: &[u8]) -> Result<(), RuntimeError> {
        self.groups.restore(slot, entry)
    }

    fn restored(&mut self) {
        self.groups.restored();
    }
}
