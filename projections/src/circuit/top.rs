//! The first rows of each partition in an order: `row_number() … <= k`, `LIMIT k`.
//!
//! The rows of a partition stand in their order, so that a change costs what it takes to find its
//! place and to read off the first rows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use arrow::array::{ArrayRef, UInt64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::{Schema, SchemaRef};
use std::sync::Arc;

use super::groups::{Groups, Kept};
use super::packed::Packer;
use super::state::{Capture, Reader, put_bytes, put_i64};
use super::{Operator, Step};
use crate::change::{RowCodec, batch};
use crate::sorted::Sorter;
use crate::{Change, RuntimeError, Tenant};

/// How rows are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// 1, 2, 3, …
    RowNumber,
    /// One more than the rows before; rows that are equal in the order have the same number.
    Rank,
    /// One more than the distinct values before.
    DenseRank,
}

/// Which rows are taken.
#[derive(Debug, Clone)]
pub(crate) struct TopRows {
    /// The columns of the partition.
    pub(crate) partition: Vec<usize>,
    /// The columns to sort by.
    pub(crate) order: Vec<(usize, SortOptions)>,
    /// How many of the input's columns, from the first on, are put out.
    pub(crate) width: usize,
    /// What is counted.
    pub(crate) numbering: Numbering,
    /// Rows up to this number are left out.
    pub(crate) skip: u64,
    /// The highest number taken.
    pub(crate) up_to: u64,
    /// Whether the number is put out as a column behind the others.
    pub(crate) numbered: bool,
}

/// The rows of a partition: by what they are sorted by, then by all columns.
type Rows = BTreeMap<(Box<[u8]>, Box<[u8]>), i64>;

/// A row that is taken, and its number if that is put out.
type Taken = (Box<[u8]>, u64);

/// The first rows of each partition.
pub(crate) struct Top {
    what: TopRows,
    partition_packer: Packer,
    order_sorter: Sorter,
    row_codec: RowCodec,
    schema: SchemaRef,
    groups: Groups<Rows>,
    /// Whether no row ever goes: then one that is not taken never will be, and need not be kept.
    append_only: bool,
}

/// What a row costs beside its bytes.
const ROW_COST: usize = size_of::<(Box<[u8]>, Box<[u8]>, i64)>() + 16;

fn cost(order: &[u8], row: &[u8]) -> usize {
    order.len() + row.len() + ROW_COST
}

impl Kept for Rows {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn cost(&self) -> usize {
        self.keys().map(|(order, row)| cost(order, row)).sum()
    }

    fn write(&self, out: &mut Vec<u8>) {
        for ((order, row), weight) in self {
            put_i64(out, *weight);
            put_bytes(out, order);
            put_bytes(out, row);
        }
    }

    fn read(entry: &mut Reader<'_>) -> Result<Self, RuntimeError> {
        let mut rows = Self::new();
        while !entry.0.is_empty() {
            let (weight, order, row) = (entry.i64()?, entry.bytes()?, entry.bytes()?);
            rows.insert((order.into(), row.into()), weight);
        }
        Ok(rows)
    }
}

impl Top {
    /// The first rows of `input`; the output has the columns of `schema`.
    pub(crate) fn new(
        what: TopRows,
        input: &Schema,
        schema: SchemaRef,
    ) -> Result<Self, RuntimeError> {
        let order = what.order.iter().map(|(c, options)| (input.field(*c).data_type(), *options));
        let width: Vec<usize> = (0..what.width).collect();
        Ok(Self {
            partition_packer: Packer::new(&input.project(&what.partition)?)?,
            order_sorter: Sorter::new(order)?,
            row_codec: RowCodec::new(&input.project(&width)?)?,
            what,
            schema,
            groups: Groups::default(),
            append_only: false,
        })
    }

    /// The rows taken of a partition, each with how often.
    fn taken(&self, slot: u32) -> BTreeMap<Taken, i64> {
        let mut taken = BTreeMap::new();
        let (mut before, mut distinct) = (0_u64, 0_u64);
        let mut previous: Option<(&[u8], u64)> = None;
        for ((order, row), weight) in &self.groups.kept[slot] {
            let number = match previous {
                Some((same, number)) if same == order.as_ref() => number,
                _ => {
                    distinct += 1;
                    match self.what.numbering {
                        Numbering::DenseRank => distinct,
                        Numbering::Rank | Numbering::RowNumber => before + 1,
                    }
                }
            };
            previous = Some((order, number));
            let times = u64::try_from(*weight).unwrap_or(0);
            let beyond = match self.what.numbering {
                Numbering::RowNumber => self.count(row, before, times, &mut taken),
                _ => self.ranked(row, number, *weight, &mut taken),
            };
            if beyond {
                break;
            }
            before += times;
        }
        taken
    }

    /// Takes a row as often as its numbers are wanted; answers whether those after it are not.
    fn count(&self, row: &[u8], before: u64, times: u64, taken: &mut BTreeMap<Taken, i64>) -> bool {
        let (first, last) =
            (before.max(self.what.skip) + 1, before.saturating_add(times).min(self.what.up_to));
        if self.what.numbered {
            for number in first..=last {
                *taken.entry((row.into(), number)).or_default() += 1;
            }
        } else if first <= last {
            *taken.entry((row.into(), 0)).or_default() += (last - first + 1) as i64;
        }
        before.saturating_add(times) >= self.what.up_to
    }

    fn ranked(&self, row: &[u8], rank: u64, weight: i64, taken: &mut BTreeMap<Taken, i64>) -> bool {
        if rank > self.what.up_to {
            return true;
        }
        if rank > self.what.skip {
            *taken.entry((row.into(), rank)).or_default() += weight;
        }
        false
    }

    /// Adds to the number of times a row stands; at zero it goes.
    fn add(&mut self, slot: u32, order: &[u8], row: &[u8], weight: i64) {
        if weight == 0 {
            return;
        }
        let (tenant, cost) = (self.groups.owner(slot), cost(order, row));
        match self.groups.kept[slot].entry((order.into(), row.into())) {
            Entry::Vacant(place) => {
                place.insert(weight);
                self.groups.tally.add(tenant, cost);
            }
            Entry::Occupied(mut place) => {
                *place.get_mut() += weight;
                if *place.get() == 0 {
                    place.remove();
                    self.groups.tally.remove(tenant, cost);
                }
            }
        }
    }

    /// Lets the rows of a partition go that are not taken and never will be.
    fn prune(&mut self, slot: u32) {
        let (mut before, mut distinct) = (0_u64, 0_u64);
        let mut previous: Option<&[u8]> = None;
        let rows = &self.groups.kept[slot];
        let beyond = rows.iter().find(|((order, _), weight)| {
            let first = previous.is_none_or(|same| same != order.as_ref());
            previous = Some(order);
            distinct += u64::from(first);
            let beyond = match self.what.numbering {
                Numbering::RowNumber => before >= self.what.up_to,
                Numbering::Rank => first && before >= self.what.up_to,
                Numbering::DenseRank => distinct > self.what.up_to,
            };
            before = before.saturating_add(u64::try_from(**weight).unwrap_or(0));
            beyond
        });
        let Some(first) = beyond.map(|(row, _)| row.clone()) else { return };
        let gone = self.groups.kept[slot].split_off(&first);
        self.groups.tally.remove(self.groups.owner(slot), Kept::cost(&gone));
    }

    /// What differs between the rows taken before and after.
    fn difference(
        &self,
        before: Vec<BTreeMap<Taken, i64>>,
        after: Vec<BTreeMap<Taken, i64>>,
    ) -> Result<Change, RuntimeError> {
        let (mut rows, mut numbers, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (before, mut net) in before.into_iter().zip(after) {
            for (taken, weight) in before {
                *net.entry(taken).or_default() -= weight;
            }
            for ((row, number), weight) in net {
                if weight != 0 {
                    rows.push(row);
                    numbers.push(number);
                    weights.push(weight);
                }
            }
        }
        let change = self.row_codec.decode_change(rows.iter().map(AsRef::as_ref), weights)?;
        if change.is_empty() {
            return Ok(Change::empty(self.schema.clone()));
        }
        let mut columns = change.rows.columns().to_vec();
        if self.what.numbered {
            columns.push(Arc::new(UInt64Array::from(numbers)));
        }
        let rows = batch(self.schema.clone(), columns, change.len())?;
        Ok(change.with_rows(rows))
    }
}

impl Operator for Top {
    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        let columns = change.rows.columns();
        let chosen = |places: &mut dyn Iterator<Item = usize>| -> Vec<ArrayRef> {
            places.map(|place| columns[place].clone()).collect()
        };
        let partitions = chosen(&mut self.what.partition.iter().copied());
        let partitions = self.partition_packer.pack(&change.tenants, &partitions)?;
        let orders = chosen(&mut self.what.order.iter().map(|(c, _)| *c));
        let orders = self.order_sorter.encode(None, &orders, change.len())?;
        let rows = self.row_codec.encode(&change.tenants, &columns[..self.what.width])?;
        let mut slots = Vec::with_capacity(change.len());
        let mut before = Vec::new();
        for (slot, added) in self.groups.locate(&partitions) {
            if self.groups.touch(slot, added).1 {
                before.push(self.taken(slot));
            }
            slots.push(slot);
        }
        for (row, (slot, weight)) in slots.iter().zip(change.weights.values()).enumerate() {
            self.add(*slot, orders.row(row), rows.row(row), *weight);
        }
        if self.append_only {
            for slot in self.groups.touched.slots.clone() {
                self.prune(slot);
            }
        }
        let after = self.groups.touched.slots.iter().map(|slot| self.taken(*slot)).collect();
        let difference = self.difference(before, after);
        self.groups.release_empty();
        difference
    }

    fn append_only(&mut self, inputs: &[bool]) -> bool {
        self.append_only = inputs[0];
        false
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
