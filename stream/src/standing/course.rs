//! By what the answer of a standing query is kept up to date: by asking again, or by a circuit.

use arrow::datatypes::Schema;
use projections::{TenantSnapshot, ViewSnapshot};

use super::table::{Table, difference, net};
use crate::meter;
use crate::questions::{Circuit, Rows};

/// By what an answer is kept up to date.
#[derive(Default)]
pub(super) enum Course {
    /// By asking again; a circuit may be had.
    #[default]
    Asking,
    /// By asking again, until this circuit is ready.
    Waiting(Box<dyn Circuit>),
    /// By a circuit.
    Kept(Keeper),
    /// By asking again, for good.
    AskingOnly,
}

/// A circuit, and its rows as the answer has them.
pub(super) struct Keeper {
    circuit: Box<dyn Circuit>,
    rows: ViewSnapshot,
    _counted: Counted,
}

/// What a circuit says of the answer over a later snapshot.
pub(super) enum Said {
    /// Nothing: it is to be asked for.
    Nothing,
    /// It is the same.
    Same,
    /// It has become another by these changes: each is a row of its own, with how many times it goes
    /// (negative) or comes, and those that go are before those that come.
    Changed(Vec<(i64, String)>),
}

impl Course {
    /// Whether a circuit keeps the answer.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }

    /// Whether a circuit may be had.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Asking)
    }

    /// Whether a circuit is ready over this snapshot, to be compared with an answer over it.
    pub(super) fn is_ready(&mut self, snapshot: &TenantSnapshot) -> bool {
        let Self::Waiting(circuit) = self else { return false };
        match circuit.over(snapshot) {
            Rows::At(_) => true,
            Rows::NotYet => false,
            Rows::Anew => {
                *self = Self::Asking;
                false
            }
            Rows::Never => {
                *self = Self::AskingOnly;
                false
            }
        }
    }

    /// Lets a circuit keep the answer from now on if it has the columns and the rows of this one, which
    /// was evaluated over the same snapshot; otherwise none will.
    pub(super) fn compare(
        &mut self,
        snapshot: &TenantSnapshot,
        schema: &Schema,
        answer: &Table,
        bound: usize,
    ) {
        let Self::Waiting(circuit) = self else { return };
        let Rows::At(rows) = circuit.over(snapshot) else { return };
        let is_same = is_same(&rows, schema, answer, bound);
        *self = match std::mem::take(self) {
            Self::Waiting(circuit) if is_same => {
                Self::Kept(Keeper { circuit, rows, _counted: Counted::new() })
            }
            _ => Self::AskingOnly,
        };
    }

    /// What the circuit that keeps the answer says of it over a later snapshot.
    pub(super) fn say(&mut self, snapshot: &TenantSnapshot) -> Said {
        let Self::Kept(keeper) = self else { return Said::Nothing };
        let rows = match keeper.circuit.over(snapshot) {
            Rows::At(rows) => rows,
            Rows::Anew => {
                *self = Self::Asking;
                return Said::Nothing;
            }
            Rows::NotYet | Rows::Never => {
                *self = Self::AskingOnly;
                return Said::Nothing;
            }
        };
        if rows.mark() == keeper.rows.mark() {
            return Said::Same;
        }
        match rows.difference(&keeper.rows) {
            Ok((changed, weights)) => {
                keeper.rows = rows;
                let changes = net(&changed, &weights);
                if changes.is_empty() { Said::Same } else { Said::Changed(changes) }
            }
            Err(error) => {
                tracing::warn!(%error, "what changed in SQL that is followed cannot be read");
                *self = Self::AskingOnly;
                Said::Nothing
            }
        }
    }
}

/// Whether these rows are the answer: columns of the same names and types, and the same rows.
fn is_same(rows: &ViewSnapshot, schema: &Schema, answer: &Table, bound: usize) -> bool {
    let kept = rows.view().schema();
    let is_alike =
        kept.fields().len() == schema.fields().len()
            && kept.fields().iter().zip(schema.fields()).all(|(one, other)| {
                one.name() == other.name() && one.data_type() == other.data_type()
            });
    if !is_alike {
        tracing::debug!("a circuit has other columns than the SQL it is for, which is evaluated");
        return false;
    }
    let table = rows.batches().ok().and_then(|rows| Table::of_batches(kept, &rows, bound).ok());
    let is_same = table.is_some_and(|table| difference(answer, &table).is_empty());
    if !is_same {
        tracing::warn!("a circuit has other rows than the SQL it is for, which is evaluated");
    }
    is_same
}

/// One of the standing queries that a circuit keeps.
struct Counted;

impl Counted {
    fn new() -> Self {
        meter::sql_circuits(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        meter::sql_circuits(-1.0);
    }
}

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;
