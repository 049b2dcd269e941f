//! The end of a query, and a function that gives its argument back until then.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::QueryError;
use crate::error::LimitKind;
use crate::turn::Turn;

/// The end of a query: when its time is over, or when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Watch {
    deadline: Instant,
    seconds: u64,
    abandoned: AtomicBool,
}

impl Watch {
    pub(crate) fn new(seconds: u64) -> Self {
        // Far ahead when the configured time is beyond what the clock can count.
        let far = Duration::from_hours(365 * 24);
        let now = Instant::now();
        let deadline = now.checked_add(Duration::from_secs(seconds)).unwrap_or(now + far);
        Self { deadline, seconds, abandoned: AtomicBool::new(false) }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// From now on the query fails at its next look at the watch.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// An error once the query should end.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if self.abandoned.load(Ordering::Relaxed) || Instant::now() >= self.deadline {
            return Err(self.over());
        }
        Ok(())
    }

    /// The error of a query whose time is over.
    pub(crate) fn over(&self) -> QueryError {
        QueryError::Limit { which: LimitKind::Time, limit: format!("{} s", self.seconds) }
    }
}

/// Gives its argument back while the query may run: not after its end, and in its turn.
#[derive(Debug)]
pub(super) struct Watched {
    turn: Arc<Turn>,
    signature: Signature,
}

impl Watched {
    pub(super) fn new(turn: Arc<Turn>) -> Self {
        Self { turn, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.turn, &other.turn)
    }
}

impl Eq for Watched {}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.turn).hash(state);
    }
}

impl ScalarUDFImpl for Watched {
    fn name(&self) -> &'static str {
        "watched"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(first_type(arguments))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        first_field(&arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.turn.look().map_err(QueryError::into_datafusion)?;
        first(arguments)
    }
}

fn first_type(arguments: &[DataType]) -> DataType {
    arguments.first().cloned().unwrap_or(DataType::Null)
}

fn first_field(arguments: &ReturnFieldArgs) -> Result<FieldRef> {
    match arguments.arg_fields.first() {
        Some(field) => Ok(field.clone()),
        None => no_argument(),
    }
}

fn first(arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
    match arguments.args.into_iter().next() {
        Some(argument) => Ok(argument),
        None => no_argument(),
    }
}

fn no_argument<T>() -> Result<T> {
    datafusion::common::internal_err!("a guard takes one argument")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::datatypes::Field;
    use datafusion::common::ScalarValue;
    use datafusion::common::config::ConfigOptions;

    use super::*;
    use crate::lanes::Lanes;
    use crate::turn::FREE;

    /// A join's condition that holds for a row.
    fn evaluate(condition: &Watched) -> Result<()> {
        let field = Arc::new(Field::new("condition", DataType::Boolean, true));
        let arguments = ScalarFunctionArgs {
            args: vec![ColumnarValue::Scalar(ScalarValue::Boolean(Some(true)))],
            arg_fields: vec![Arc::clone(&field)],
            number_rows: 1,
            return_field: field,
            config_options: Arc::new(ConfigOptions::default()),
        };
        condition.invoke_with_args(arguments).map(drop)
    }

    #[tokio::test]
    async fn joins_without_a_match_take_turns() {
        let lanes = Lanes::of(1);
        let first = Watched::new(Turn::of(1, &lanes, FREE));
        let second = Watched::new(Turn::of(2, &lanes, FREE));
        evaluate(&first).unwrap();
        let waiting = std::thread::spawn(move || evaluate(&second));
        while !lanes.is_wanted() {
            assert!(!waiting.is_finished(), "it did not wait");
            std::thread::yield_now();
        }
        while !waiting.is_finished() {
            evaluate(&first).unwrap();
        }
        waiting.join().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_join_that_waits_for_its_turn_ends_with_its_query() {
        let lanes = Lanes::of(1);
        let running = Turn::of(1, &lanes, FREE);
        running.look().unwrap();
        let turn = Turn::of(2, &lanes, FREE);
        let condition = Watched::new(turn.clone());
        let waiting = std::thread::spawn(move || evaluate(&condition));
        while !lanes.is_wanted() {
            assert!(!waiting.is_finished(), "it did not wait");
            std::thread::yield_now();
        }
        turn.watch().abandon();
        assert!(waiting.join().unwrap().is_err());
        assert!(!lanes.is_wanted());
    }
}
