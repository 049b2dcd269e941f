//! What a query makes of text for one batch of rows.
//!
//! Each call that makes text has an account of its own, which holds what the call made last: that may be
//! there still when it is called again. All of them together are bounded before any of them makes more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::Result;
use projections::functions::Account;

use crate::QueryError;
use crate::error::LimitKind;
use crate::turn::Turn;

/// Bytes of text that a query may make for one batch of rows.
const BATCH_TEXT: usize = 64 << 20;

/// The texts of one query.
#[derive(Debug)]
pub(super) struct Texts {
    turn: Arc<Turn>,
    made: AtomicUsize,
}

/// What one call made last.
#[derive(Debug)]
struct Call {
    texts: Arc<Texts>,
    last: AtomicUsize,
}

impl Texts {
    /// None yet.
    pub(super) fn new(turn: Arc<Turn>) -> Arc<Self> {
        Arc::new(Self { turn, made: AtomicUsize::new(0) })
    }

    /// The account of one call.
    pub(super) fn open(self: &Arc<Self>) -> Arc<dyn Account> {
        Arc::new(Call { texts: Arc::clone(self), last: AtomicUsize::new(0) })
    }
}

impl Account for Call {
    /// A call that goes on also waits for the query's turn, and ends with its time.
    fn ask(&self, by: &str, bytes: usize) -> Result<()> {
        self.texts.turn.look().map_err(QueryError::into_datafusion)?;
        let all = self.texts.made.load(Ordering::Relaxed);
        let others = all.saturating_sub(self.last.load(Ordering::Relaxed));
        if others.saturating_add(bytes) > BATCH_TEXT {
            return Err(too_much(by).into_datafusion());
        }
        Ok(())
    }

    fn made(&self, bytes: usize) {
        self.texts.made.fetch_add(bytes, Ordering::Relaxed);
        self.texts.made.fetch_sub(self.last.swap(bytes, Ordering::Relaxed), Ordering::Relaxed);
    }
}

fn too_much(by: &str) -> QueryError {
    QueryError::Limit {
        which: LimitKind::Memory,
        limit: format!(
            "{} MiB of text made for one batch, the last of it by {by}",
            BATCH_TEXT >> 20
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::lanes::Lanes;

    #[tokio::test]
    async fn calls_have_what_the_others_left_and_their_own_anew() {
        let texts = Texts::new(Turn::of(1, &Lanes::of(1), Duration::ZERO));
        let (one, other) = (texts.open(), texts.open());
        for _ in 0..3 {
            one.ask("repeat", BATCH_TEXT / 2).unwrap();
            one.made(BATCH_TEXT / 2);
        }
        other.ask("repeat", BATCH_TEXT / 2).unwrap();
        assert!(other.ask("repeat", BATCH_TEXT / 2 + 1).is_err());
        one.made(0);
        other.ask("repeat", BATCH_TEXT).unwrap();
        assert!(other.ask("repeat", usize::MAX).is_err());
    }

    #[tokio::test]
    async fn a_call_ends_with_its_query() {
        let turn = Turn::of(1, &Lanes::of(1), Duration::ZERO);
        let call = Texts::new(turn.clone()).open();
        call.ask("levenshtein", 0).unwrap();
        turn.watch().abandon();
        assert!(call.ask("levenshtein", 0).is_err());
    }
}
