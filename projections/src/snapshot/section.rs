//! Rows in order: sections, which readers decode, made of chunks, which changes copy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;

use super::{CHUNK_ROWS, DeltaRows, Layout, SECTION_CHUNKS};
use crate::circuit::state::{Reader, damaged, put_bytes};
use crate::{RuntimeError, View};

/// The bytes at which a chunk is full, whatever its rows.
const CHUNK_BYTES: usize = 1 << 20;

/// Some rows of a view, in order.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) chunks: Vec<Arc<Chunk>>,
    /// How many rows it stands for.
    pub(super) rows: usize,
    /// The bytes of its packed rows.
    pub(super) bytes: usize,
    decoded: OnceLock<RecordBatch>,
}

impl Section {
    pub(super) fn new(chunks: Vec<Arc<Chunk>>) -> Self {
        let rows = chunks.iter().map(|chunk| chunk.rows).sum();
        let bytes = chunks.iter().map(|chunk| chunk.bytes()).sum();
        Self { chunks, rows, bytes, decoded: OnceLock::new() }
    }

    /// The bytes of its first row.
    pub(super) fn first(&self) -> &[u8] {
        self.chunks.first().map_or(&[], |chunk| chunk.row(0))
    }

    /// The bytes of its last row.
    pub(super) fn last(&self) -> &[u8] {
        self.chunks.last().map_or(&[], |chunk| chunk.last())
    }

    /// How many rows are at or before the cursor.
    pub(super) fn rows_up_to(&self, cursor: &[u8]) -> usize {
        let whole = self.chunks.partition_point(|chunk| chunk.last() <= cursor);
        let before: usize = self.chunks[..whole].iter().map(|chunk| chunk.rows).sum();
        let partly = self.chunks.get(whole).map_or(0, |chunk| chunk.rows_up_to(cursor));
        before + partly
    }

    /// How many of the rows from the one at `start` make `limit` rows, or all of them, and the
    /// bytes of the last. Equal rows stay together.
    pub(super) fn rows_within(&self, start: usize, limit: usize) -> (usize, Option<&[u8]>) {
        let (mut passed, mut taken, mut last) = (0, 0, None);
        for (row, times) in self.chunks.iter().flat_map(|chunk| chunk.iter()) {
            if passed < start {
                passed += times;
            } else if taken < limit {
                taken += times;
                last = Some(row);
            } else {
                break;
            }
        }
        (taken, last)
    }

    /// The section with `delta`, as one or more; answers how many rows they have.
    pub(super) fn merge(&self, delta: DeltaRows<'_>, into: &mut Vec<Arc<Self>>) -> usize {
        let mut chunks = Vec::with_capacity(self.chunks.len() + 1);
        let mut rest = delta;
        for (i, chunk) in self.chunks.iter().enumerate() {
            let (mine, others) = rest.split(self.chunks.get(i + 1).map(|next| next.row(0)));
            rest = others;
            if mine.len() == 0 {
                chunks.push(chunk.clone());
            } else {
                chunk.merge(mine, &mut chunks);
                Chunk::join_small(&mut chunks);
            }
        }
        if rest.len() > 0 {
            Chunk::default().merge(rest, &mut chunks);
        }
        // Half full when it is cut, so that the next rows do not cut it again.
        let most = if chunks.len() > 2 * SECTION_CHUNKS { SECTION_CHUNKS } else { usize::MAX };
        let mut rows = 0;
        while !chunks.is_empty() {
            let others = chunks.split_off(chunks.len().min(most));
            let section = Self::new(std::mem::replace(&mut chunks, others));
            rows += section.rows;
            into.push(Arc::new(section));
        }
        rows
    }

    /// Makes one of the last two sections when both are small, so that removals leave no crumbs.
    pub(super) fn join_small(sections: &mut Vec<Arc<Self>>) {
        if let [.., a, b] = sections.as_slice()
            && a.chunks.len() + b.chunks.len() <= SECTION_CHUNKS
        {
            let joined = Self::new(a.chunks.iter().chain(&b.chunks).cloned().collect());
            sections.truncate(sections.len() - 2);
            sections.push(Arc::new(joined));
        }
    }

    /// Its rows as Arrow; decoded once and shared.
    pub(super) fn decoded(
        &self,
        view: &View,
        layout: &Layout,
    ) -> Result<RecordBatch, RuntimeError> {
        if let Some(batch) = self.decoded.get() {
            return Ok(batch.clone());
        }
        let rows = self.chunks.iter().flat_map(|chunk| chunk.iter());
        let rows = rows.flat_map(|(row, times)| std::iter::repeat_n(row, times));
        let decoded = layout.decode(view, &rows.collect::<Vec<_>>())?;
        Ok(self.decoded.get_or_init(|| decoded).clone())
    }
}

/// A few rows: packed bytes with the number of times each row stands.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    data: Vec<u8>,
    ends: Vec<u32>,
    weights: Vec<i64>,
    /// How many rows it stands for.
    rows: usize,
    /// Its number in checkpoints; 0 as long as it is in none.
    number: AtomicU64,
}

fn times(weight: i64) -> usize {
    usize::try_from(weight).unwrap_or(0)
}

impl Chunk {
    fn with_room(rows: usize, bytes: usize) -> Self {
        Self {
            data: Vec::with_capacity(bytes + bytes / 8),
            ends: Vec::with_capacity(rows),
            weights: Vec::with_capacity(rows),
            rows: 0,
            number: AtomicU64::new(0),
        }
    }

    /// Its number in checkpoints; 0 if it is in none.
    pub(super) fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    pub(super) fn set_number(&self, number: u64) {
        self.number.store(number, Ordering::Relaxed);
    }

    /// What a checkpoint keeps of it.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + 12 * self.len() + 8);
        put_bytes(&mut out, &self.data);
        for (end, weight) in self.ends.iter().zip(&self.weights) {
            out.extend_from_slice(&end.to_le_bytes());
            out.extend_from_slice(&weight.to_le_bytes());
        }
        out
    }

    /// Reads what [`Chunk::write`] wrote.
    pub(super) fn read(saved: &mut Reader<'_>) -> Result<Self, RuntimeError> {
        let data = saved.bytes()?;
        let rows = saved.0.len() / (size_of::<u32>() + size_of::<i64>());
        let mut chunk = Self::with_room(rows, 0);
        chunk.data = data.to_vec();
        while !saved.0.is_empty() {
            chunk.ends.push(saved.u32()?);
            chunk.weights.push(saved.i64()?);
        }
        let fits = chunk.ends.is_sorted() && chunk.ends.last().copied() == Some(data.len() as u32);
        if !fits {
            return Err(damaged());
        }
        chunk.rows = chunk.weights.iter().map(|weight| times(*weight)).sum();
        Ok(chunk)
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    /// What it takes, with the room it does not use.
    fn bytes(&self) -> usize {
        let each =
            size_of::<u32>() * self.ends.capacity() + size_of::<i64>() * self.weights.capacity();
        size_of::<Self>() + self.data.capacity() + each
    }

    fn row(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.data[start..self.ends[i] as usize]
    }

    fn last(&self) -> &[u8] {
        self.len().checked_sub(1).map_or(&[], |i| self.row(i))
    }

    /// Its distinct rows, each with the number of times it stands.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], usize)> {
        (0..self.len()).map(|i| (self.row(i), times(self.weights[i])))
    }

    fn push(&mut self, row: &[u8], weight: i64) {
        self.data.extend_from_slice(row);
        self.ends.push(self.data.len() as u32);
        self.weights.push(weight);
        self.rows += times(weight);
    }

    /// How many rows are at or before the cursor.
    fn rows_up_to(&self, cursor: &[u8]) -> usize {
        self.iter().take_while(|(row, _)| *row <= cursor).map(|(_, times)| times).sum()
    }

    /// Makes one of the last two chunks when both are small.
    fn join_small(chunks: &mut Vec<Arc<Self>>) {
        if let [.., a, b] = chunks.as_slice()
            && a.len() + b.len() <= CHUNK_ROWS / 2
            && a.data.len() + b.data.len() <= CHUNK_BYTES
        {
            let mut joined = Self::default();
            for chunk in [a, b] {
                for i in 0..chunk.len() {
                    joined.push(chunk.row(i), chunk.weights[i]);
                }
            }
            chunks.truncate(chunks.len() - 2);
            chunks.push(Arc::new(joined));
        }
    }

    /// The rows of this chunk with `delta`, as one chunk or more.
    fn merge(&self, delta: DeltaRows<'_>, into: &mut Vec<Arc<Self>>) {
        let whole = self.len() + delta.len();
        let mut open = Self::with_room(whole.min(CHUNK_ROWS), self.data.len());
        // Half full when it is cut, so that the next rows do not cut it again.
        let most = if whole > CHUNK_ROWS { CHUNK_ROWS / 2 } else { CHUNK_ROWS };
        let mut push = |row: &[u8], weight: i64| {
            if weight == 0 {
                return;
            }
            if open.len() >= most || open.data.len() >= CHUNK_BYTES {
                into.push(Arc::new(std::mem::take(&mut open)));
            }
            open.push(row, weight);
        };
        let (mut i, mut j) = (0, 0);
        while i < self.len() || j < delta.len() {
            let ahead = match (i < self.len(), j < delta.len()) {
                (true, true) => self.row(i).cmp(delta.row(j)),
                (true, false) => std::cmp::Ordering::Less,
                (false, _) => std::cmp::Ordering::Greater,
            };
            match ahead {
                std::cmp::Ordering::Less => {
                    push(self.row(i), self.weights[i]);
                    i += 1;
                }
                std::cmp::Ordering::Greater => {
                    push(delta.row(j), delta.weight(j));
                    j += 1;
                }
                std::cmp::Ordering::Equal => {
                    push(self.row(i), self.weights[i] + delta.weight(j));
                    (i, j) = (i + 1, j + 1);
                }
            }
        }
        if open.len() > 0 {
            into.push(Arc::new(open));
        }
    }
}
