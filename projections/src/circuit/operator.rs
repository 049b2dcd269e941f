//! What every operator of a circuit can be asked.

use super::state::{Capture, damaged};
use crate::{Change, RuntimeError, Tenant, Tick};

/// What an operator is given in one step.
pub(crate) struct Step<'a> {
    /// The change of each input; an input without one is empty.
    pub(crate) inputs: &'a [Change],
    /// The new dates of tenants, applied after the inputs.
    pub(crate) ticks: &'a [Tick],
}

/// An operator: turns changes of its inputs into the change of its output.
///
/// It must not change its state when it returns an error: the step is then repeated for each
/// tenant alone, and the tenants that fail are shut out.
pub(crate) trait Operator: Send {
    /// One step.
    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError>;

    /// Whether ticks matter to it.
    fn reads_clock(&self) -> bool {
        false
    }

    /// How many rows it has evaluated again because a date changed.
    fn rows_reevaluated(&self) -> u64 {
        0
    }

    /// Whether its output has one row of a tenant at most, when it is said of which inputs that is so.
    fn is_one_row(&self, _inputs: &[bool]) -> bool {
        false
    }

    /// Whether a change may have it compute anew what is not changed: whole groups or partitions, or
    /// all rows of a tenant. It is said which inputs have one row of a tenant at most.
    fn recomputes(&self, _one_row: &[bool]) -> bool {
        false
    }

    /// Told before the first step of which inputs no row ever goes; answers whether that is so of
    /// its output.
    fn append_only(&mut self, _inputs: &[bool]) -> bool {
        false
    }

    /// The bytes of a tenant's state.
    fn bytes(&self, _tenant: Tenant) -> usize {
        0
    }

    /// Lets a tenant's state go.
    fn forget(&mut self, _tenant: Tenant) {}

    /// Makes a cut: the state as it stands now is what [`Operator::capture`] gives from here on, all
    /// of it or, if not `whole`, what changed since the last cut.
    fn cut(&mut self, _whole: bool) {}

    /// Gives entries of the cut as long as there is room; answers whether there is nothing more.
    fn capture(&mut self, _capture: &mut Capture) -> bool {
        true
    }

    /// Puts back what was given, before the first step. [`Operator::restored`] follows.
    fn restore(&mut self, _store: u32, _slot: u64, _entry: &[u8]) -> Result<(), RuntimeError> {
        Err(damaged())
    }

    /// Told when all entries are back.
    fn restored(&mut self) {}
}
