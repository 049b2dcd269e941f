//! What a linear function keeps for each group, and the values that it adds.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal256Array, Int64Array,
    UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Int64Type, UInt64Type, i256,
};

use super::{LinearFunction, Measure};
use crate::RuntimeError;
use crate::circuit::slots::Slots;
use crate::circuit::state::{Reader, put_i64};

/// Where an output row's values stand.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// As the touched group of that place was.
    Before(usize),
    /// As the group of that slot is.
    Now(u32),
}

/// A sum and how many values are in it, for each group.
#[derive(Debug)]
pub(super) struct Cells<N> {
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
pub(super) enum Accumulator {
    Narrow(Cells<i128>),
    Wide(Cells<i256>),
}

impl Accumulator {
    /// The state of a function whose values are of this type. A sum of decimals may pass through
    /// values that its type cannot hold.
    pub(super) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Decimal128(..) | DataType::Decimal256(..) => Self::Wide(Cells::default()),
            _ => Self::Narrow(Cells::default()),
        }
    }

    /// Notes what the next touched group has before the step; nothing if it is `fresh`.
    pub(super) fn remember(&mut self, slot: u32, fresh: bool) {
        match self {
            Self::Narrow(cells) => cells.remember(slot, fresh),
            Self::Wide(cells) => cells.remember(slot, fresh),
        }
    }

    /// The bytes it keeps for each group.
    pub(super) fn cell(&self) -> usize {
        match self {
            Self::Narrow(_) => size_of::<(i128, i64)>(),
            Self::Wide(_) => size_of::<(i256, i64)>(),
        }
    }

    /// Lets go of what was noted for the step.
    pub(super) fn forget(&mut self) {
        match self {
            Self::Narrow(cells) => cells.before.clear(),
            Self::Wide(cells) => cells.before.clear(),
        }
    }

    /// Writes a group's cell.
    pub(super) fn write(&self, slot: u32, out: &mut Vec<u8>) {
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
    pub(super) fn read(&mut self, slot: u32, entry: &mut Reader<'_>) -> Result<(), RuntimeError> {
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
    pub(super) fn differs(&self, function: &LinearFunction, place: usize, slot: u32) -> bool {
        match self {
            Self::Narrow(cells) if function.measure == Measure::Presence => {
                (cells.before[place].1 == 0) != (cells.now[slot].1 == 0)
            }
            Self::Narrow(cells) => cells.before[place] != cells.now[slot],
            Self::Wide(cells) => cells.before[place] != cells.now[slot],
        }
    }

    /// Adds the rows' values, each to its group.
    pub(super) fn add(
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

    /// The function's column of output rows.
    pub(super) fn column(
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
pub(super) enum Values {
    Int(Int64Array),
    UInt(UInt64Array),
    Decimal(Decimal128Array),
    Wide(Decimal256Array),
    /// Only whether there is a value matters: where there is none, unless there is one everywhere.
    Present(Option<NullBuffer>),
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
    /// What a function reads of the input's columns.
    pub(super) fn new(
        function: &LinearFunction,
        columns: &[ArrayRef],
    ) -> Result<Self, RuntimeError> {
        let Some(argument) = function.argument else {
            return Ok(Self::All);
        };
        let array = &columns[argument];
        if function.measure != Measure::Sum {
            // A column of the type of nulls has them without saying where.
            return Ok(Self::Present(array.logical_nulls()));
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
            Self::Present(nulls) => {
                nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)).then_some(0)
            }
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
