//! Window functions that number rows or look at neighbours: `row_number`, `rank`, `dense_rank`,
//! `lag`, `lead`.
//!
//! The rows of a partition are kept in order. A change touches the rows from the first place where
//! one comes or goes: before it every number and neighbour stays. Behind the last one neighbours
//! stay too, and row numbers do when as many came as went.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, UInt32Array, UInt64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;

use super::groups::{Groups, Kept};
use super::ordered::{split_sorted, write_sorted};
use super::packed::{Packer, owner};
use super::state::{Capture, Reader, put_bytes};
use super::{Operator, Step};
use crate::change::batch;
use crate::sorted::Sorter;
use crate::{Change, RuntimeError, Tenant};

/// What is put beside each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowValue {
    /// Its number in the partition, from 1.
    RowNumber,
    /// The number of the first row that sorts as it does.
    Rank,
    /// How many rows that sort differently come up to it.
    DenseRank,
    /// The value of a column so many rows before (negative) or behind it.
    Neighbour {
        /// The column.
        column: usize,
        /// How many rows behind it.
        distance: isize,
    },
}

/// Partitions whose rows are numbered or shown their neighbours.
pub(crate) struct Window {
    key: Vec<usize>,
    order: Vec<usize>,
    values: Vec<WindowValue>,
    /// How many columns of the input are put out.
    width: usize,
    key_packer: Packer,
    order_sorter: Sorter,
    packer: Packer,
    schema: SchemaRef,
    groups: Groups<Rows>,
}

/// The rows of a partition in order.
type Rows = Vec<Arc<[u8]>>;

/// What a row costs beside its bytes.
const ROW_COST: usize = size_of::<Arc<[u8]>>() + 2 * size_of::<usize>() + 8;

impl Kept for Rows {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn cost(&self) -> usize {
        self.iter().map(|row| row.len() + ROW_COST).sum()
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|row| put_bytes(out, row));
    }

    fn read(entry: &mut Reader<'_>) -> Result<Self, RuntimeError> {
        let mut rows = Self::new();
        while !entry.0.is_empty() {
            rows.push(entry.bytes()?.into());
        }
        Ok(rows)
    }
}

impl Window {
    /// Partitions by the columns `key` of `input`, each in the order of the columns `order`. The
    /// output is the first `width` columns of the input, then `values`.
    pub(crate) fn new(
        key: Vec<usize>,
        order: &[(usize, SortOptions)],
        values: Vec<WindowValue>,
        width: usize,
        input: &SchemaRef,
        schema: SchemaRef,
    ) -> Result<Self, RuntimeError> {
        let sorted = order.iter().map(|(c, options)| (input.field(*c).data_type(), *options));
        Ok(Self {
            key_packer: Packer::new(&input.project(&key)?)?,
            order_sorter: Sorter::new(sorted)?,
            packer: Packer::new(input)?,
            key,
            order: order.iter().map(|(column, _)| *column).collect(),
            values,
            width,
            schema,
            groups: Groups::default(),
        })
    }

    /// The rows of a change by touched partition, in order, with equal ones added up.
    fn arrive(&mut self, change: &Change) -> Result<Vec<Vec<Arrived>>, RuntimeError> {
        let of = |places: &[usize]| -> Vec<ArrayRef> {
            places.iter().map(|c| change.rows.column(*c).clone()).collect()
        };
        let keys = self.key_packer.pack(&change.tenants, &of(&self.key))?;
        let rows = self.packer.pack(&change.tenants, change.rows.columns())?;
        let order = self.order_sorter.encode(None, &of(&self.order), change.len())?;
        let mut arrived: Vec<Vec<Arrived>> = Vec::new();
        let mut bytes = Vec::new();
        for (i, (slot, added)) in self.groups.locate(&keys).into_iter().enumerate() {
            let (place, first) = self.groups.touch(slot, added);
            if first {
                arrived.push(Vec::new());
            }
            write_sorted(&mut bytes, order.row(i), rows.row(i));
            let weight = change.weights.value(i);
            arrived[place].push(Arrived { bytes: bytes.as_slice().into(), weight });
        }
        for rows in &mut arrived {
            rows.sort_unstable_by(|a, b| a.bytes.cmp(&b.bytes));
            rows.dedup_by(|next, kept| {
                let same = next.bytes == kept.bytes;
                if same {
                    kept.weight += next.weight;
                }
                same
            });
            rows.retain(|row| row.weight != 0);
        }
        Ok(arrived)
    }

    /// How far back and how far ahead a row looks.
    fn reach(&self) -> (usize, usize) {
        let distances = self.values.iter().filter_map(|value| match value {
            WindowValue::Neighbour { distance, .. } => Some(*distance),
            _ => None,
        });
        let (mut back, mut ahead) = (0, 0);
        for distance in distances {
            back = back.max(usize::try_from(-distance).unwrap_or(0));
            ahead = ahead.max(usize::try_from(distance).unwrap_or(0));
        }
        (back, ahead)
    }

    /// Brings one partition's rows up to date and puts out the rows that are others now.
    fn update(&mut self, slot: u32, arrived: Vec<Arrived>, out: &mut Output) {
        let (Some(first), Some(last)) = (arrived.first(), arrived.last()) else { return };
        let (back, ahead) = self.reach();
        let moves = |value: &WindowValue, net: i64| match value {
            WindowValue::Neighbour { .. } => false,
            WindowValue::RowNumber => net != 0,
            WindowValue::Rank | WindowValue::DenseRank => true,
        };
        let mut rows = std::mem::take(&mut self.groups.kept[slot]);
        // Most rows come in order: then there is nothing to look for.
        let end = rows.last();
        let from = match end {
            Some(end) if *end >= first.bytes => rows.partition_point(|row| *row < first.bytes),
            _ => rows.len(),
        };
        let behind = match end {
            Some(end) if *end > last.bytes => {
                rows.len() - rows.partition_point(|row| *row <= last.bytes)
            }
            _ => 0,
        };
        let net: i64 = arrived.iter().map(|row| row.weight).sum();
        let all_behind = self.values.iter().any(|value| moves(value, net));
        let range = |length: usize| {
            let to = if all_behind { length } else { (length - behind + back).min(length) };
            from.saturating_sub(ahead)..to
        };
        let before = self.shown(&rows, range(rows.len()));
        let tail = rows.split_off(from);
        self.merge(&mut rows, tail, arrived);
        let after = self.shown(&rows, range(rows.len()));
        out.difference(&before, &after, self.values.len());
        self.groups.kept[slot] = rows;
    }

    /// Puts a partition's rows from the first change on and the rows that came together.
    fn merge(&mut self, rows: &mut Rows, tail: Rows, arrived: Vec<Arrived>) {
        let mut tail = tail.into_iter().peekable();
        for Arrived { bytes, weight } in arrived {
            let tenant = owner(split_sorted(&bytes).1);
            let cost = bytes.len() + ROW_COST;
            while let Some(row) = tail.next_if(|row| *row < bytes) {
                rows.push(row);
            }
            for _ in weight..0 {
                if tail.next_if(|row| *row == bytes).is_some() {
                    self.groups.tally.remove(tenant, cost);
                }
            }
            for _ in 0..weight {
                rows.push(bytes.clone());
                self.groups.tally.add(tenant, cost);
            }
        }
        rows.extend(tail);
    }

    /// What the rows of a range show.
    fn shown(&self, rows: &[Arc<[u8]>], range: Range<usize>) -> Shown {
        let mut shown = Shown::default();
        if range.is_empty() {
            return shown;
        }
        let order = |i: usize| split_sorted(&rows[i]).0;
        let mut rank = rows.partition_point(|row| split_sorted(row).0 < order(range.start));
        let mut dense = 0_u64;
        if self.values.contains(&WindowValue::DenseRank) {
            let turns = (1..=rank).filter(|i| order(*i) != order(i - 1)).count();
            dense = turns as u64 + 1;
        }
        for i in range.clone() {
            if i > range.start && order(i) != order(i - 1) {
                rank = i;
                dense += 1;
            }
            shown.rows.push(rows[i].clone());
            shown.values.extend(self.values.iter().map(|value| match value {
                WindowValue::RowNumber => Value::Number(i as u64 + 1),
                WindowValue::Rank => Value::Number(rank as u64 + 1),
                WindowValue::DenseRank => Value::Number(dense),
                WindowValue::Neighbour { distance, .. } => {
                    let place = i.checked_add_signed(*distance);
                    Value::Row(place.and_then(|place| rows.get(place)).cloned())
                }
            }));
        }
        shown
    }

    fn change(&self, out: &Output) -> Result<Change, RuntimeError> {
        let Output { shown, weights } = out;
        if weights.is_empty() {
            return Ok(Change::empty(self.schema.clone()));
        }
        let rows: Vec<Option<&[u8]>> =
            shown.rows.iter().map(|row| Some(split_sorted(row).1)).collect();
        let tenants = rows.iter().flatten().map(|row| owner(row).0);
        let tenants = UInt32Array::from_iter_values(tenants);
        let width: Vec<usize> = (0..self.width).collect();
        let mut columns = self.packer.columns(&rows, &width)?;
        for (i, value) in self.values.iter().enumerate() {
            let values = shown.values.iter().skip(i).step_by(self.values.len());
            columns.push(match value {
                WindowValue::Neighbour { column, .. } => {
                    let rows: Vec<Option<&[u8]>> = values.map(Value::row).collect();
                    self.packer.column(&rows, *column)?
                }
                _ => Arc::new(values.map(Value::number).collect::<UInt64Array>()),
            });
        }
        let rows = batch(self.schema.clone(), columns, weights.len())?;
        Ok(Change::new(tenants, rows, Int64Array::from(weights.clone())))
    }
}

/// A row that comes or goes.
struct Arrived {
    bytes: Arc<[u8]>,
    weight: i64,
}

/// Rows with what stands beside each of them.
#[derive(Default)]
struct Shown {
    rows: Vec<Arc<[u8]>>,
    /// Those of the first row, then those of the second one.
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, Eq)]
enum Value {
    Number(u64),
    /// The neighbour, if there is one.
    Row(Option<Arc<[u8]>>),
}

impl Value {
    fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Row(_) => None,
        }
    }

    fn row(&self) -> Option<&[u8]> {
        match self {
            Self::Number(_) => None,
            Self::Row(row) => row.as_ref().map(|row| split_sorted(row).1),
        }
    }
}

/// Rows to be put out.
#[derive(Default)]
struct Output {
    shown: Shown,
    weights: Vec<i64>,
}

impl Output {
    /// The rows of two lists in order that are not in both, each with `width` values beside it.
    fn difference(&mut self, before: &Shown, after: &Shown, width: usize) {
        let (mut i, mut j) = (0, 0);
        loop {
            let ahead = match (before.rows.get(i), after.rows.get(j)) {
                (Some(old), Some(new)) => old.cmp(new),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return,
            };
            let same = ahead.is_eq() && before.values(i, width) == after.values(j, width);
            if ahead.is_le() {
                if !same {
                    self.push(before, i, width, -1);
                }
                i += 1;
            }
            if ahead.is_ge() {
                if !same {
                    self.push(after, j, width, 1);
                }
                j += 1;
            }
        }
    }

    fn push(&mut self, from: &Shown, i: usize, width: usize, weight: i64) {
        self.shown.rows.push(from.rows[i].clone());
        self.shown.values.extend_from_slice(from.values(i, width));
        self.weights.push(weight);
    }
}

impl Shown {
    /// What stands beside a row.
    fn values(&self, i: usize, width: usize) -> &[Value] {
        &self.values[i * width..(i + 1) * width]
    }
}

impl Operator for Window {
    /// A row that comes first gives all rows of its partition other numbers.
    fn recomputes(&self, _: &[bool]) -> bool {
        true
    }

    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let arrived = self.arrive(&step.inputs[0])?;
        let slots = self.groups.touched.slots.clone();
        let mut out = Output::default();
        for (slot, arrived) in slots.iter().zip(arrived) {
            self.update(*slot, arrived, &mut out);
        }
        self.groups.release_empty();
        self.change(&out)
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
