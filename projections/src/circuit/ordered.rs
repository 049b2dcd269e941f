//! Rows of one group in their order.
//!
//! A row is two parts: the bytes that sort, then its packed values. How long the first part is
//! stands behind both, so that rows compare by order, then by values.

use super::state::{Reader, put_bytes, put_i64};
use crate::RuntimeError;

/// Rows as bytes, in their order, each with the number of times it stands.
#[derive(Debug, Clone, Default)]
pub(crate) enum Ordered {
    /// No row.
    #[default]
    None,
    /// One row: most groups have no more.
    One(Box<[u8]>, i64),
    /// Rows in order.
    Many(Vec<(Box<[u8]>, i64)>),
}

/// What a row costs beside its bytes.
const ROW_COST: usize = size_of::<(Box<[u8]>, i64)>() + 8;

impl Ordered {
    /// Adds to the number of times a row stands; at zero it goes. Answers how many bytes more, or
    /// less, are kept.
    pub(crate) fn add(&mut self, row: &[u8], weight: i64) -> isize {
        let cost = (row.len() + ROW_COST) as isize;
        if weight == 0 {
            return 0;
        }
        match self {
            Self::None => {
                *self = Self::One(row.into(), weight);
                cost
            }
            Self::One(other, sum) if other.as_ref() == row => {
                *sum += weight;
                if *sum == 0 {
                    *self = Self::None;
                    return -cost;
                }
                0
            }
            Self::One(other, sum) => {
                let mut rows = vec![(std::mem::take(other), *sum)];
                let place = usize::from(rows[0].0.as_ref() < row);
                rows.insert(place, (row.into(), weight));
                *self = Self::Many(rows);
                cost
            }
            // Most rows come in order.
            Self::Many(rows) if rows.last().is_some_and(|(last, _)| last.as_ref() < row) => {
                rows.push((row.into(), weight));
                cost
            }
            Self::Many(rows) => match rows.binary_search_by(|(other, _)| other.as_ref().cmp(row)) {
                Ok(i) => {
                    rows[i].1 += weight;
                    if rows[i].1 != 0 {
                        return 0;
                    }
                    rows.remove(i);
                    if rows.is_empty() {
                        *self = Self::None;
                    }
                    -cost
                }
                Err(i) => {
                    rows.insert(i, (row.into(), weight));
                    cost
                }
            },
        }
    }

    /// The row that comes last.
    pub(crate) fn last(&self) -> Option<&[u8]> {
        match self {
            Self::None => None,
            Self::One(row, _) => Some(row),
            Self::Many(rows) => rows.last().map(|(row, _)| row.as_ref()),
        }
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    /// All rows in order, with the number of times each stands.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], i64)> {
        let none: &[(Box<[u8]>, i64)] = &[];
        let (one, many) = match self {
            Self::None => (None, none),
            Self::One(row, weight) => (Some((row.as_ref(), *weight)), none),
            Self::Many(rows) => (None, rows.as_slice()),
        };
        one.into_iter().chain(many.iter().map(|(row, weight)| (row.as_ref(), *weight)))
    }

    /// Writes all rows.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let count = match self {
            Self::None => 0,
            Self::One(..) => 1,
            Self::Many(rows) => rows.len(),
        };
        out.extend_from_slice(&(count as u32).to_le_bytes());
        for (row, weight) in self.iter() {
            put_i64(out, weight);
            put_bytes(out, row);
        }
    }

    /// Reads what [`Ordered::write`] wrote; answers how many bytes are kept, too.
    pub(crate) fn read(entry: &mut Reader<'_>) -> Result<(Self, usize), RuntimeError> {
        let count = entry.u32()?;
        let mut rows = Vec::new();
        let mut cost = 0;
        for _ in 0..count {
            let weight = entry.i64()?;
            let row = entry.bytes()?;
            cost += row.len() + ROW_COST;
            rows.push((row.into(), weight));
        }
        let one = rows.len() == 1;
        Ok(match rows.pop() {
            None => (Self::None, 0),
            Some((row, weight)) if one => (Self::One(row, weight), cost),
            Some(last) => {
                rows.push(last);
                (Self::Many(rows), cost)
            }
        })
    }

    /// The bytes that are kept.
    pub(crate) fn cost(&self) -> usize {
        self.iter().map(|(row, _)| row.len() + ROW_COST).sum()
    }

    /// All rows, each as many times as it stands.
    pub(crate) fn repeated(&self) -> impl Iterator<Item = &[u8]> {
        self.iter().flat_map(|(row, weight)| {
            std::iter::repeat_n(row, usize::try_from(weight).unwrap_or(0))
        })
    }
}

/// Writes a row of the bytes that sort and the packed values.
pub(crate) fn write_sorted(row: &mut Vec<u8>, order: &[u8], values: &[u8]) {
    row.clear();
    row.extend_from_slice(order);
    row.extend_from_slice(values);
    row.extend_from_slice(&(order.len() as u32).to_le_bytes());
}

/// The bytes of a row that sort, and its packed values.
pub(crate) fn split_sorted(row: &[u8]) -> (&[u8], &[u8]) {
    let Some((rest, length)) = row.split_last_chunk::<4>() else { return (&[], &[]) };
    rest.split_at(u32::from_le_bytes(*length) as usize)
}
