//! A run: inputs applied one after the other, each timed.

use measure::{Measured, measure, memory};
use projections::{Input, Partition, TenantDelta};

use crate::events::{again, count};

/// What a run took and gave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    /// The events that were timed.
    pub events: usize,
    /// The rows of all changes of all views for them.
    pub deltas: usize,
    /// The time for them.
    pub time: Measured,
    /// By how many bytes the process grew, over these and what was applied before.
    pub grown: u64,
}

/// Applies `before`, and then `inputs` with the clock running.
pub fn run(partition: &mut Partition, before: &[Input], inputs: &[Input]) -> Run {
    let resident = memory::resident();
    for input in before {
        partition.apply(again(input));
    }
    let mut run = Run::default();
    for input in inputs {
        let input = again(input);
        run.events += count(&input);
        let (deltas, time) = measure(|| rows(&partition.apply(input)));
        run.deltas += deltas;
        run.time.add(time);
    }
    run.grown = memory::resident().saturating_sub(resident);
    run
}

/// The changed rows of all views.
pub fn rows(deltas: &[TenantDelta]) -> usize {
    deltas.iter().flat_map(|delta| &delta.changes).map(|change| change.rows.num_rows()).sum()
}
