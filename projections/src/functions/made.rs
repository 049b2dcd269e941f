//! What is made in one step, and for how long it computes.
//!
//! The state of operators is counted; what an expression is just making is not. So whoever evaluates
//! expressions begins an account here, of which the functions that make text ask before they make it
//! ([`ask`]), and who waits for a step says how long it may keep a processor ([`step`]). Both are kept by
//! thread, for a step is computed on one.
//!
//! There is no clock here: who drives the engine gives one, and what it says decides only whether a view
//! fails, never what a view holds.

use std::cell::Cell;
use std::time::Duration;

use arrow::array::ArrayRef;
use datafusion::error::DataFusionError;

use super::growth::array_bytes;
use crate::RuntimeError;

/// Bytes that the expressions of one operator may make in a step; of an own view those of all its operators.
pub(crate) const STEP_BYTES: usize = 128 << 20;

/// Bytes that one call may make where nobody keeps an account.
pub(crate) const CALL_BYTES: usize = 64 << 20;

/// What would be too much for one step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// The text that a function would make.
    #[error(
        "{by} would make more text in one step than the {} MiB it may: make less, or of fewer rows",
        .most >> 20
    )]
    Text {
        /// The function, or what else makes it.
        by: String,
        /// Bytes that may be made.
        most: usize,
    },
    /// The comparisons of characters that a function would need.
    #[error(
        "{by} would compare more characters in one step than the {most} it may: compare shorter texts"
    )]
    Comparisons {
        /// The function.
        by: String,
        /// Comparisons that may be made.
        most: usize,
    },
    /// The time that a step has taken.
    #[error(
        "a step of it takes more than the {} ms of a processor it may: define it by less costly \
         functions, over fewer rows, or read it with a query",
        .0.as_millis()
    )]
    Time(Duration),
}

impl From<TooMuch> for DataFusionError {
    fn from(error: TooMuch) -> Self {
        Self::External(Box::new(error))
    }
}

/// For how long a step may keep a processor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// How long the calling thread has had one.
    pub(crate) clock: fn() -> Duration,
    pub(crate) most: Duration,
}

/// The time of a step that is under way.
#[derive(Clone, Copy)]
struct Time {
    limit: Limit,
    end: Duration,
    is_over: bool,
}

thread_local! {
    /// What may still be made; none where nobody keeps an account.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    static TIME: Cell<Option<Time>> = const { Cell::new(None) };
}

/// Puts back what stood before, also when a step ends in a panic.
struct Before {
    left: Option<usize>,
    time: Option<Time>,
}

impl Drop for Before {
    fn drop(&mut self) {
        LEFT.set(self.left);
        TIME.set(self.time);
    }
}

/// Does one step of a view within one account and `limit`; an error beside what it came to when it took
/// too long.
pub(crate) fn step<T>(limit: Option<Limit>, work: impl FnOnce() -> T) -> (T, Result<(), TooMuch>) {
    let _before = Before { left: LEFT.get(), time: TIME.get() };
    LEFT.set(Some(STEP_BYTES));
    TIME.set(limit.map(|limit| {
        let end = (limit.clock)().saturating_add(limit.most);
        Time { limit, end, is_over: false }
    }));
    let outcome = work();
    (outcome, check())
}

/// Evaluates the expressions of one operator: within the account of the step, or one of their own. What
/// fails has made nothing.
pub(crate) fn within<T>(work: impl FnOnce() -> Result<T, RuntimeError>) -> Result<T, RuntimeError> {
    let before = LEFT.get();
    LEFT.set(Some(before.unwrap_or(STEP_BYTES)));
    let outcome = work();
    if before.is_none() || outcome.is_err() {
        LEFT.set(before);
    }
    outcome
}

/// Does something of which nothing is kept.
pub(crate) fn tried<T>(work: impl FnOnce() -> T) -> T {
    let before = LEFT.get();
    let outcome = work();
    LEFT.set(before);
    outcome
}

/// Evaluates a column: what it holds is kept, and whatever else was made for it is not.
pub(crate) fn kept(
    work: impl FnOnce() -> Result<ArrayRef, RuntimeError>,
) -> Result<ArrayRef, RuntimeError> {
    check()?;
    let before = LEFT.get();
    let column = work()?;
    if let Some(left) = before {
        let bytes = array_bytes(&column);
        if bytes > left {
            return Err(too_much_text("an expression").into());
        }
        LEFT.set(Some(left - bytes));
    }
    Ok(column)
}

/// Whether `by` may make so many bytes more now.
pub(super) fn ask(by: &str, bytes: usize) -> Result<(), TooMuch> {
    check()?;
    if bytes > LEFT.get().unwrap_or(CALL_BYTES) { Err(too_much_text(by)) } else { Ok(()) }
}

/// Notes what was made.
pub(super) fn made(bytes: usize) {
    LEFT.set(LEFT.get().map(|left| left.saturating_sub(bytes)));
}

/// Whether somebody keeps an account: what is evaluated elsewhere is evaluated once, to be planned.
pub(super) fn is_counted() -> bool {
    LEFT.get().is_some()
}

/// An error once the step has taken too long.
pub(crate) fn check() -> Result<(), TooMuch> {
    let Some(time) = TIME.get() else { return Ok(()) };
    if !time.is_over && (time.limit.clock)() <= time.end {
        return Ok(());
    }
    TIME.set(Some(Time { is_over: true, ..time }));
    Err(TooMuch::Time(time.limit.most))
}

/// Whether the step has been told that it takes too long.
pub(crate) fn is_over() -> bool {
    TIME.get().is_some_and(|time| time.is_over)
}

fn too_much_text(by: &str) -> TooMuch {
    let most = if is_counted() { STEP_BYTES } else { CALL_BYTES };
    TooMuch::Text { by: by.to_owned(), most }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::StringArray;

    use super::*;

    fn column(bytes: usize) -> ArrayRef {
        Arc::new(StringArray::from(vec!["x".repeat(bytes)]))
    }

    #[test]
    fn a_step_has_one_account_and_what_is_not_kept_is_given_back() {
        let ((), in_time) = step(None, || {
            let kept = within(|| {
                kept(|| {
                    made(STEP_BYTES - 10);
                    Ok(column(100))
                })
            });
            kept.unwrap();
            assert_eq!(LEFT.get(), Some(STEP_BYTES - 100));
            assert!(within(|| Ok(ask("repeat", STEP_BYTES - 99)?)).is_err());
            within(|| Ok(ask("repeat", STEP_BYTES - 100)?)).unwrap();
            tried(|| within(|| kept_of(50)).unwrap());
            assert!(within(|| kept_of(50).and_then(|_| Ok(check_failed()?))).is_err());
            assert_eq!(LEFT.get(), Some(STEP_BYTES - 100));
        });
        in_time.unwrap();
        assert!(!is_counted());
    }

    fn kept_of(bytes: usize) -> Result<ArrayRef, RuntimeError> {
        kept(|| Ok(column(bytes)))
    }

    fn check_failed() -> Result<(), TooMuch> {
        Err(TooMuch::Time(Duration::ZERO))
    }

    #[test]
    fn operators_outside_of_a_step_have_an_account_each() {
        for _ in 0..2 {
            within(|| Ok(ask("repeat", STEP_BYTES)?)).unwrap();
            within(|| kept_of(10)).unwrap();
        }
        assert!(ask("repeat", CALL_BYTES).is_ok() && ask("repeat", CALL_BYTES + 1).is_err());
    }

    #[test]
    fn a_step_that_takes_too_long_ends_at_the_next_look() {
        thread_local! {
            static NOW: Cell<u64> = const { Cell::new(0) };
        }
        fn later() -> Duration {
            NOW.set(NOW.get() + 1);
            Duration::from_secs(NOW.get())
        }
        let limit = |seconds| Some(Limit { clock: later, most: Duration::from_secs(seconds) });
        let (seen, in_time) = step(limit(1), || (check(), check(), is_over()));
        assert!(seen.0.is_ok() && seen.1.is_err() && seen.2);
        assert_eq!(in_time, Err(TooMuch::Time(Duration::from_secs(1))));
        assert_eq!(step(limit(60), || ()).1, Ok(()));
        assert!(check().is_ok() && !is_over());
    }
}
