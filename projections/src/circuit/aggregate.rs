//! Aggregates that are linear: sums and counts, kept exactly and touched only where rows change.

mod accumulator;

use arrow::array::AsArray;
use arrow::datatypes::SchemaRef;

use self::accumulator::{Accumulator, Source, Values};
use super::evaluate::truths;
use super::journal::Journal;
use super::packed::Packer;
use super::slots::Slots;
use super::state::{Capture, Reader, put_bytes, put_i64, store};
use super::table::{KeyTable, Touched};
use super::{Operator, Step};
use crate::change::batch;
use crate::{Change, RuntimeError, Tenant};

/// An aggregate that follows from its old value and the change alone.
#[derive(Debug, Clone)]
pub(crate) struct LinearFunction {
    /// The summed or counted column; none for `count(*)`.
    pub(crate) argument: Option<usize>,
    /// The column of the `FILTER (WHERE …)` condition.
    pub(crate) filter: Option<usize>,
    /// What it makes of the values.
    pub(crate) measure: Measure,
}

/// What a linear function tells of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Their sum; null where there is none.
    Sum,
    /// How many there are.
    Count,
    /// Whether there is any.
    Presence,
}

/// `GROUP BY` with linear functions. The first columns of the input are the group's.
pub(crate) struct LinearAggregate {
    groups: usize,
    functions: Vec<(LinearFunction, Accumulator)>,
    packer: Packer,
    schema: SchemaRef,
    keys: KeyTable,
    /// How many rows each group has.
    rows: Slots<i64>,
    /// How many rows each touched group had before the step.
    rows_before: Vec<i64>,
    touched: Touched,
    journal: Journal,
}

impl LinearAggregate {
    /// An aggregate whose output is `schema`: `groups` columns of the group, then the functions.
    pub(crate) fn new(
        groups: usize,
        functions: Vec<LinearFunction>,
        schema: SchemaRef,
    ) -> Result<Self, RuntimeError> {
        let group_schema = schema.project(&(0..groups).collect::<Vec<_>>())?;
        let accumulator = |i: usize| Accumulator::of(schema.field(groups + i).data_type());
        let functions: Vec<_> =
            functions.into_iter().enumerate().map(|(i, f)| (f, accumulator(i))).collect();
        let beside = functions.iter().map(|(_, a)| a.cell()).sum::<usize>() + size_of::<i64>();
        Ok(Self {
            groups,
            functions,
            packer: Packer::new(&group_schema)?,
            schema,
            keys: KeyTable::new(beside),
            rows: Slots::default(),
            rows_before: Vec::new(),
            touched: Touched::default(),
            journal: Journal::default(),
        })
    }

    /// Finds each row's group and adds the row's presence to it.
    fn locate(&mut self, change: &Change) -> Result<Vec<u32>, RuntimeError> {
        let keys = self.packer.pack(&change.tenants, &change.rows.columns()[..self.groups])?;
        let mut slots = Vec::with_capacity(change.len());
        for ((slot, added), weight) in
            self.keys.locate(&keys).into_iter().zip(change.weights.values())
        {
            let first = self.touched.touch(slot).1;
            if first {
                let (keys, rows, functions) = (&self.keys, &self.rows, &self.functions);
                self.journal.before(slot, |out| {
                    if !added {
                        write_group(keys, rows, functions, slot, out);
                    }
                });
            }
            let rows = self.rows.at(slot);
            if added {
                *rows = 0;
            }
            if first {
                self.rows_before.push(*rows);
                for (_, accumulator) in &mut self.functions {
                    accumulator.remember(slot, added);
                }
            }
            *rows += weight;
            slots.push(slot);
        }
        Ok(slots)
    }

    /// The touched groups that differ: their old rows with −1, their new ones with +1.
    fn emit(&self) -> Result<Change, RuntimeError> {
        let mut out = Emitted::default();
        for (place, slot) in self.touched.slots.iter().enumerate() {
            let (before, after) = (self.rows_before[place], self.rows[*slot]);
            let differs = |(f, a): &(LinearFunction, Accumulator)| a.differs(f, place, *slot);
            if (before == 0) == (after == 0) && !self.functions.iter().any(differs) {
                continue;
            }
            if before != 0 {
                out.push(Source::Before(place), *slot, -1);
            }
            if after != 0 {
                out.push(Source::Now(*slot), *slot, 1);
            }
        }
        if out.slots.is_empty() {
            return Ok(Change::empty(self.schema.clone()));
        }
        let keys: Vec<&[u8]> = out.slots.iter().map(|slot| self.keys.key(*slot)).collect();
        let groups = self.packer.change(&keys, out.weights)?;
        let mut columns = groups.rows.columns().to_vec();
        for (i, (function, accumulator)) in self.functions.iter().enumerate() {
            let field = self.schema.field(self.groups + i);
            columns.push(accumulator.column(function, &out.sources, field.data_type())?);
        }
        let rows = batch(self.schema.clone(), columns, groups.len())?;
        Ok(groups.with_rows(rows))
    }

    fn settle(&mut self) {
        for slot in &self.touched.slots {
            if self.rows[*slot] == 0 {
                self.keys.remove(*slot);
            }
        }
        self.touched.clear();
        self.rows_before.clear();
        for (_, accumulator) in &mut self.functions {
            accumulator.forget();
        }
    }
}

/// What a checkpoint keeps of a group: its rows, what its functions have, and its key.
fn write_group(
    keys: &KeyTable,
    rows: &Slots<i64>,
    functions: &[(LinearFunction, Accumulator)],
    slot: u32,
    out: &mut Vec<u8>,
) {
    let key = keys.key_or_none(slot);
    if key.is_empty() {
        return;
    }
    put_i64(out, rows[slot]);
    for (_, accumulator) in functions {
        accumulator.write(slot, out);
    }
    put_bytes(out, key);
}

/// Rows to be put out.
#[derive(Default)]
struct Emitted {
    sources: Vec<Source>,
    slots: Vec<u32>,
    weights: Vec<i64>,
}

impl Emitted {
    fn push(&mut self, source: Source, slot: u32, weight: i64) {
        self.sources.push(source);
        self.slots.push(slot);
        self.weights.push(weight);
    }
}

impl Operator for LinearAggregate {
    fn is_one_row(&self, _: &[bool]) -> bool {
        self.groups == 0
    }

    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        let columns = change.rows.columns();
        let values = self
            .functions
            .iter()
            .map(|(function, _)| Values::new(function, columns))
            .collect::<Result<Vec<_>, _>>()?;
        let slots = self.locate(change)?;
        for ((function, accumulator), values) in self.functions.iter_mut().zip(&values) {
            let mask = function.filter.map(|c| truths(columns[c].as_boolean()));
            accumulator.add(values, mask.as_ref(), &slots, change.weights.values());
        }
        let output = self.emit();
        self.settle();
        output
    }

    fn append_only(&mut self, inputs: &[bool]) -> bool {
        // Distinct rows of what only comes only come.
        inputs[0] && self.functions.is_empty()
    }

    fn bytes(&self, tenant: Tenant) -> usize {
        self.keys.bytes(tenant)
    }

    fn forget(&mut self, tenant: Tenant) {
        for slot in self.keys.of_tenant(tenant) {
            let (keys, rows, functions) = (&self.keys, &self.rows, &self.functions);
            self.journal.before(slot, |out| write_group(keys, rows, functions, slot, out));
            self.rows[slot] = 0;
            self.keys.remove(slot);
        }
    }

    fn cut(&mut self, whole: bool) {
        self.journal.cut(whole, self.keys.slots());
    }

    fn capture(&mut self, capture: &mut Capture) -> bool {
        let (keys, rows, functions) = (&self.keys, &self.rows, &self.functions);
        let of = (store(capture.node, 0), 0);
        self.journal.capture(capture, of, |slot, out| write_group(keys, rows, functions, slot, out))
    }

    fn restore(&mut self, _store: u32, slot: u64, entry: &[u8]) -> Result<(), RuntimeError> {
        let slot = slot as u32;
        let mut entry = Reader(entry);
        if entry.0.is_empty() {
            self.keys.restore(slot, &[]);
            return Ok(());
        }
        *self.rows.at(slot) = entry.i64()?;
        for (_, accumulator) in &mut self.functions {
            accumulator.read(slot, &mut entry)?;
        }
        self.keys.restore(slot, entry.bytes()?);
        Ok(())
    }

    fn restored(&mut self) {
        self.journal.keep();
        self.keys.restored();
    }
}
