//! How the latest answers of a standing query came from one another.

use std::collections::VecDeque;
use std::sync::Arc;

use projections::Position;

use super::table::{Table, difference};
use crate::delta::Encoded;

/// What a step takes beside its rows, and for each of them.
const STEP_BYTES: usize = 256;
const ROW_BYTES: usize = 24;

/// What leads from one answer to the next; encoded once for all.
#[derive(Debug)]
pub(crate) struct Step {
    to: u64,
    position: Position,
    encoded: Arc<Encoded>,
    weights: Vec<i64>,
}

impl Step {
    /// What leads to the answer of the number `to`, at its position; none if its rows are the same.
    pub(super) fn between(
        before: &Table,
        after: &Table,
        to: u64,
        position: Position,
    ) -> Option<Self> {
        Self::of(&difference(before, after), to, position)
    }

    /// The step of these changes to the answer of the number `to`; none if there are none.
    pub(super) fn of(changes: &[(i64, &str)], to: u64, position: Position) -> Option<Self> {
        if changes.is_empty() {
            return None;
        }
        let encoded = Arc::new(Encoded::of_rows(position, changes));
        let weights = changes.iter().map(|(weight, _)| *weight).collect();
        Some(Self { to, position, encoded, weights })
    }

    /// The number of the answer it leads to.
    pub(crate) fn to(&self) -> u64 {
        self.to
    }

    /// Where that answer was evaluated.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The end of its `delta` message.
    pub(crate) fn encoded(&self) -> &Arc<Encoded> {
        &self.encoded
    }

    /// The JSON of each row, with how many times it comes or goes.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[u8], i64)> {
        self.weights.iter().enumerate().map(|(row, weight)| (self.encoded.row(row), *weight))
    }

    /// The bytes of its message.
    pub(crate) fn wire_bytes(&self) -> usize {
        self.encoded.text().len()
    }

    fn bytes(&self) -> usize {
        STEP_BYTES + self.wire_bytes() + self.weights.len() * ROW_BYTES
    }
}

/// The latest steps, without a gap; bounded by bytes.
#[derive(Debug, Default)]
pub(super) struct Steps {
    steps: VecDeque<Arc<Step>>,
    bytes: usize,
}

impl Steps {
    /// Adds a step and drops what no longer fits.
    pub(super) fn push(&mut self, step: Step, bound: usize) {
        self.bytes += step.bytes();
        self.steps.push_back(Arc::new(step));
        while self.bytes > bound
            && let Some(oldest) = self.steps.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The steps from the answer of a number on, as far as they are not beyond a sequence; none if
    /// the first of them is no longer held.
    pub(super) fn from(&self, number: u64, up_to: Option<u64>) -> Option<Vec<Arc<Step>>> {
        let first = self.steps.front()?;
        if number + 1 < first.to {
            return None;
        }
        let later = self.steps.iter().skip_while(|step| step.to <= number);
        let reached = later.take_while(|step| up_to.is_none_or(|to| step.position.sequence <= to));
        Some(reached.cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use futures::executor::block_on;
    use futures::{StreamExt, stream};
    use projections::Tenant;

    use super::*;

    fn table(row: u64) -> Table {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![row as i64]));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let schema = batch.schema();
        block_on(Table::collect(&schema, stream::iter([Ok(batch)]).boxed(), 1 << 20)).unwrap()
    }

    fn step(to: u64) -> Step {
        let position = Position::new(Tenant(1), 10 * to);
        Step::between(&table(to - 1), &table(to), to, position).unwrap()
    }

    fn numbers(steps: &Steps, from: u64, up_to: Option<u64>) -> Option<Vec<u64>> {
        Some(steps.from(from, up_to)?.iter().map(|step| step.to()).collect())
    }

    #[test]
    fn they_lead_on_from_what_is_held_and_no_further_than_a_position() {
        let mut steps = Steps::default();
        assert_eq!(numbers(&steps, 1, None), None);
        let bound = 3 * step(2).bytes();
        for to in 2..=7 {
            steps.push(step(to), bound);
        }
        assert_eq!(numbers(&steps, 3, None), None);
        assert_eq!(numbers(&steps, 4, None), Some(vec![5, 6, 7]));
        assert_eq!(numbers(&steps, 5, None), Some(vec![6, 7]));
        assert_eq!(numbers(&steps, 4, Some(69)), Some(vec![5, 6]));
        assert_eq!(numbers(&steps, 4, Some(49)), Some(vec![]));
        steps.push(step(8), 0);
        assert_eq!((steps.bytes, numbers(&steps, 7, None)), (0, None));
    }

    #[test]
    fn the_same_rows_are_no_step() {
        let position = Position::new(Tenant(1), 1);
        assert!(Step::between(&table(1), &table(1), 2, position).is_none());
    }
}
