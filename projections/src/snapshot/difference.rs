//! What leads from one snapshot of a view to a later one.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::ViewSnapshot;
use super::section::{Chunk, Section};
use crate::RuntimeError;

impl ViewSnapshot {
    /// The rows in which it differs from `before`, a snapshot of the same view, each once, those that go
    /// first; and how many times each of them comes (+) or goes (−). It costs what the chunks cost that
    /// are not the same ones.
    pub fn difference(&self, before: &Self) -> Result<(RecordBatch, Vec<i64>), RuntimeError> {
        let mut net: BTreeMap<&[u8], i64> = BTreeMap::new();
        for (of, other, sign) in [(before, self, -1), (self, before, 1)] {
            for (row, times) in of.chunks_beside(other).into_iter().flat_map(Chunk::iter) {
                *net.entry(row).or_default() += sign * times as i64;
            }
        }
        let (gone, come): (Vec<_>, Vec<_>) =
            net.into_iter().filter(|(_, weight)| *weight != 0).partition(|(_, weight)| *weight < 0);
        let (rows, weights): (Vec<&[u8]>, Vec<i64>) = gone.into_iter().chain(come).unzip();
        Ok((self.layout.decode(&self.view, &rows)?, weights))
    }

    /// Its chunks that the other does not have.
    fn chunks_beside(&self, other: &Self) -> Vec<&Chunk> {
        let theirs: HashSet<*const Chunk> =
            other.sections_beside(self).flat_map(|s| &s.chunks).map(Arc::as_ptr).collect();
        let own = self.sections_beside(other).flat_map(|section| &section.chunks);
        own.filter(|chunk| !theirs.contains(&Arc::as_ptr(chunk))).map(AsRef::as_ref).collect()
    }

    /// Its sections that the other does not have.
    fn sections_beside(&self, other: &Self) -> impl Iterator<Item = &Section> {
        let theirs: HashSet<*const Section> = other.sections.iter().map(Arc::as_ptr).collect();
        let own = self.sections.iter();
        own.filter(move |section| !theirs.contains(&Arc::as_ptr(section))).map(AsRef::as_ref)
    }
}
