//! Aggregates that are linear: sums and counts, kept exactly and touched only where rows change.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal256Array, Int64Array,
    UInt64Array,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Int64Type, SchemaRef, UInt64Type,
    i256,
};

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
        // A sum of decimals may pass through values that its type cannot hold.
        let accumulator = |i: usize| match schema.field(groups + i).data_type() {
            DataType::Decimal128(..) | DataType::Decimal256(..) => {
                Accumulator::Wide(Cells::default())
            }
            _ => Accumulator::Narrow(Cells::default()),
        };
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

/// Where an output row's values stand.
#[derive(Clone, Copy)]
enum Source {
    /// As the touched group of that place was.
    Before(usize),
    /// As the group of that slot is.
    Now(u32),
}

impl Emitted {
    fn push(&mut self, source: Source, slot: u32, weight: i64) {
        self.sources.push(source);
        self.slots.push(slot);
        self.weights.push(weight);
    }
}

/// A sum and how many values are in it, for each group.
#[derive(Debug)]
struct Cells<N> {
    now: Slots<(N, i64)>,
    before: Vec<(N, i64)>,
}

impl<N> Default for Cells<N> {
    fn default() -> Self {
        Self { now: Slots::default(), before: Vec::new() }
    }
}

impl<N: Copy + Default + PartialEq> Cells<N> {
    fn remember(&mut self, slot: u32, fresh: bool) {
        let cell = self.now.at(slot);
        if fresh {
            *cell = (N::default(), 0);
        }
        self.before.push(*cell);
    }

    /// The sum of one output row; none where no value is in it.
    fn get(&self, source: Source) -> (N, i64) {
        match source {
            Source::Before(place) => self.before[place],
            Source::Now(slot) => self.now[slot],
        }
    }

    fn sums<'a>(&'a self, sources: &'a [Source]) -> impl Iterator<Item = Option<N>> + 'a {
        sources.iter().map(|source| {
            let (sum, values) = self.get(*source);
            (values != 0).then_some(sum)
        })
    }
}

/// One function's state. A sum that its type cannot hold is null until it comes back.
#[derive(Debug)]
enum Accumulator {
    Narrow(Cells<i128>),
    Wide(Cells<i256>),
}

impl Accumulator {
    fn remember(&mut self, slot: u32, fresh: bool) {
        match self {
            Self::Narrow(cells) => cells.remember(slot, fresh),
            Self::Wide(cells) => cells.remember(slot, fresh),
        }
    }

    /// The bytes it keeps for each group.
    fn cell(&self) -> usize {
        match self {
            Self::Narrow(_) => size_of::<(i128, i64)>(),
            Self::Wide(_) => size_of::<(i256, i64)>(),
        }
    }

    fn forget(&mut self) {
        match self {
            Self::Narrow(cells) => cells.before.clear(),
            Self::Wide(cells) => cells.before.clear(),
        }
    }

    /// Writes a group's cell.
    fn write(&self, slot: u32, out: &mut Vec<u8>) {
        let values = match self {
            Self::Narrow(cells) => {
                let (sum, values) = cells.now[slot];
                out.extend_from_slice(&sum.to_le_bytes());
                values
            }
            Self::Wide(cells) => {
                let (sum, values) = cells.now[slot];
                out.extend_from_slice(&sum.to_le_bytes());
                values
            }
        };
        put_i64(out, values);
    }

    /// Reads a group's cell back.
    fn read(&mut self, slot: u32, entry: &mut Reader<'_>) -> Result<(), RuntimeError> {
        match self {
            Self::Narrow(cells) => {
                *cells.now.at(slot) = (i128::from_le_bytes(entry.fixed()?), entry.i64()?);
            }
            Self::Wide(cells) => {
                *cells.now.at(slot) = (i256::from_le_bytes(entry.fixed()?), entry.i64()?);
            }
        }
        Ok(())
    }

    /// Whether the function shows another value than before.
    fn differs(&self, function: &LinearFunction, place: usize, slot: u32) -> bool {
        match self {
            Self::Narrow(cells) if function.measure == Measure::Presence => {
                (cells.before[place].1 == 0) != (cells.now[slot].1 == 0)
            }
            Self::Narrow(cells) => cells.before[place] != cells.now[slot],
            Self::Wide(cells) => cells.before[place] != cells.now[slot],
        }
    }

    /// Adds the rows' values, each to its group.
    fn add(
        &mut self,
        values: &Values,
        mask: Option<&BooleanArray>,
        slots: &[u32],
        weights: &[i64],
    ) {
        let rows = Rows { mask, slots, weights };
        match self {
            Self::Narrow(cells) => {
                let add = |sum: i128, value: i128, weight: i64| {
                    sum.wrapping_add(value.wrapping_mul(i128::from(weight)))
                };
                match values {
                    Values::Int(a) => rows.add(cells, |row| valid(a, row).map(i128::from), add),
                    Values::All => rows.add(cells, |_| Some(0), |sum, _, _| sum),
                    other => rows.add(cells, |row| other.narrow(row), add),
                }
            }
            Self::Wide(cells) => {
                let add = |sum: i256, value: i256, weight: i64| {
                    sum.wrapping_add(match weight {
                        1 => value,
                        -1 => value.wrapping_neg(),
                        many => value.wrapping_mul(i256::from_i128(i128::from(many))),
                    })
                };
                match values {
                    Values::Decimal(a) => {
                        rows.add(cells, |row| valid(a, row).map(i256::from_i128), add);
                    }
                    Values::Wide(a) => rows.add(cells, |row| valid(a, row), add),
                    other => rows.add(cells, |row| other.wide(row), add),
                }
            }
        }
    }

    fn column(
        &self,
        function: &LinearFunction,
        sources: &[Source],
        data_type: &DataType,
    ) -> Result<ArrayRef, RuntimeError> {
        let unkept = || RuntimeError { message: format!("a sum cannot be kept as {data_type}") };
        Ok(match (self, data_type) {
            (Self::Narrow(cells), _) if function.measure == Measure::Count => {
                Arc::new(Int64Array::from_iter_values(sources.iter().map(|s| cells.get(*s).1)))
            }
            (Self::Narrow(cells), _) if function.measure == Measure::Presence => {
                let present = sources.iter().map(|s| Some(cells.get(*s).1 != 0));
                Arc::new(present.collect::<BooleanArray>())
            }
            (Self::Narrow(cells), DataType::Int64) => {
                let sums = cells.sums(sources).map(|s| s.and_then(|s| i64::try_from(s).ok()));
                Arc::new(sums.collect::<Int64Array>())
            }
            (Self::Narrow(cells), DataType::UInt64) => {
                let sums = cells.sums(sources).map(|s| s.and_then(|s| u64::try_from(s).ok()));
                Arc::new(sums.collect::<UInt64Array>())
            }
            (Self::Wide(cells), DataType::Decimal128(precision, scale)) => {
                let most = 10_u128.pow(u32::from(*precision).min(38));
                let held = |sum: i256| sum.to_i128().filter(|sum| sum.unsigned_abs() < most);
                let sums = cells.sums(sources).map(|sum| sum.and_then(held));
                let sums = sums.collect::<Decimal128Array>();
                Arc::new(sums.with_precision_and_scale(*precision, *scale)?)
            }
            (Self::Wide(cells), DataType::Decimal256(precision, scale)) => {
                let sums = cells.sums(sources).collect::<Decimal256Array>();
                Arc::new(sums.with_precision_and_scale(*precision, *scale)?)
            }
            _ => return Err(unkept()),
        })
    }
}

/// The rows of one step: the group of each, how often it comes, and whether it counts.
struct Rows<'a> {
    mask: Option<&'a BooleanArray>,
    slots: &'a [u32],
    weights: &'a [i64],
}

impl Rows<'_> {
    /// Adds each row's value, if it has one, to its group's cell.
    fn add<N: Copy>(
        &self,
        cells: &mut Cells<N>,
        value: impl Fn(usize) -> Option<N>,
        add: impl Fn(N, N, i64) -> N,
    ) {
        for (row, (slot, weight)) in self.slots.iter().zip(self.weights).enumerate() {
            if self.mask.is_some_and(|mask| !mask.value(row)) {
                continue;
            }
            if let Some(value) = value(row) {
                let (sum, values) = &mut cells.now[*slot];
                *sum = add(*sum, value, *weight);
                *values += weight;
            }
        }
    }
}

/// The values of one column, widened.
enum Values {
    Int(Int64Array),
    UInt(UInt64Array),
    Decimal(Decimal128Array),
    Wide(Decimal256Array),
    /// Only whether there is a value matters.
    Present(ArrayRef),
    /// Every row counts.
    All,
}

fn valid<T: ArrowPrimitiveType>(
    array: &arrow::array::PrimitiveArray<T>,
    row: usize,
) -> Option<T::Native> {
    array.is_valid(row).then(|| array.value(row))
}

impl Values {
    fn new(function: &LinearFunction, columns: &[ArrayRef]) -> Result<Self, RuntimeError> {
        let Some(argument) = function.argument else {
            return Ok(Self::All);
        };
        let array = &columns[argument];
        if function.measure != Measure::Sum {
            return Ok(Self::Present(array.clone()));
        }
        Ok(match array.data_type() {
            DataType::Decimal128(..) => {
                Self::Decimal(array.as_primitive::<Decimal128Type>().clone())
            }
            DataType::Decimal256(..) => Self::Wide(array.as_primitive::<Decimal256Type>().clone()),
            unsigned if unsigned.is_unsigned_integer() => {
                let wide = arrow::compute::cast(array, &DataType::UInt64)?;
                Self::UInt(wide.as_primitive::<UInt64Type>().clone())
            }
            _ => {
                let wide = arrow::compute::cast(array, &DataType::Int64)?;
                Self::Int(wide.as_primitive::<Int64Type>().clone())
            }
        })
    }

    fn narrow(&self, row: usize) -> Option<i128> {
        match self {
            Self::Int(a) => valid(a, row).map(i128::from),
            Self::UInt(a) => valid(a, row).map(i128::from),
            Self::Decimal(a) => valid(a, row),
            Self::Wide(_) => None,
            Self::Present(a) => a.is_valid(row).then_some(0),
            Self::All => Some(0),
        }
    }

    fn wide(&self, row: usize) -> Option<i256> {
        match self {
            Self::Wide(a) => valid(a, row),
            narrow => narrow.narrow(row).map(i256::from_i128),
        }
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
