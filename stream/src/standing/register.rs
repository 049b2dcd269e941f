//! The standing queries of one tenant, and who follows them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;

use super::evaluator::Evaluator;
use super::wording::wording;
use super::{Begin, News, Standing};
use crate::hub::{Channel, Hub};
use crate::problem::Problem;

/// The standing queries of one tenant by their wording.
#[derive(Debug)]
pub(crate) struct Register {
    queries: Mutex<HashMap<String, Entry>>,
    /// So many are evaluated at a time, in the order in which they ask.
    turns: Semaphore,
}

#[derive(Debug)]
struct Entry {
    standing: Arc<Standing>,
    task: AbortHandle,
}

/// A follower of a standing query, until it is dropped.
#[derive(Debug)]
pub(crate) struct Follow {
    register: Arc<Register>,
    standing: Arc<Standing>,
    number: u64,
}

impl Register {
    /// An empty one, of which so many are evaluated at a time.
    pub(crate) fn new(evaluations: usize) -> Self {
        let turns = Semaphore::new(evaluations.clamp(1, Semaphore::MAX_PERMITS));
        Self { queries: Mutex::default(), turns }
    }

    /// Follows SQL over the tenant of `channel`, whose register this is. `wake` is told of news. Must be
    /// called within a tokio runtime.
    pub(crate) fn follow(
        self: &Arc<Self>,
        hub: &Hub,
        channel: &Channel,
        sql: &str,
        interval: Option<Duration>,
        wake: &Arc<Notify>,
    ) -> Result<Follow, Problem> {
        let shared = &hub.shared;
        let Some(questions) = &shared.questions else { return Err(no_sql()) };
        let wording = wording(sql);
        let mut queries = self.queries();
        let standing = if let Some(entry) = queries.get(&wording) {
            Arc::clone(&entry.standing)
        } else {
            let bound = shared.limits.tenant_sql_queries;
            if queries.len() >= bound {
                return Err(too_many(&format!("This tenant follows {bound} queries already")));
            }
            let slot = shared.room.slot(shared.limits.sql_queries);
            let slot = slot.ok_or_else(|| too_many("As many queries are followed as can be"))?;
            let standing = Arc::new(Standing::new(sql.to_owned(), slot));
            let evaluator = Evaluator::new(
                hub.clone(),
                channel,
                Arc::clone(questions),
                Arc::clone(self),
                Arc::clone(&standing),
            );
            let task = tokio::spawn(evaluator.run()).abort_handle();
            queries.insert(wording, Entry { standing: Arc::clone(&standing), task });
            standing
        };
        // Before anybody else can take it for one that nobody follows.
        let number = standing.join(interval.unwrap_or_default(), Arc::clone(wake));
        drop(queries);
        Ok(Follow { register: Arc::clone(self), standing, number })
    }

    /// Waits for a turn to evaluate one of them; none only if there will be no turns any more.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// Ends a standing query for all who follow it; whoever comes later begins it anew.
    pub(super) fn end(&self, standing: &Arc<Standing>, problem: Problem) {
        let mut queries = self.queries();
        queries.retain(|_, entry| !Arc::ptr_eq(&entry.standing, standing));
        standing.end(problem);
    }

    /// Has nothing told of any answer until it was looked at whether the names in its SQL mean what
    /// they did. To be called after the snapshots show what they mean now.
    pub(crate) fn doubt(&self) {
        for entry in self.queries().values() {
            entry.standing.doubt();
        }
    }

    fn leave(&self, standing: &Arc<Standing>, number: u64) {
        let mut queries = self.queries();
        if !standing.leave(number) {
            return;
        }
        let gone = queries.extract_if(|_, entry| Arc::ptr_eq(&entry.standing, standing));
        let tasks: Vec<AbortHandle> = gone.map(|(_, entry)| entry.task).collect();
        drop(queries);
        // Not under the lock, which the task takes at its end.
        for task in tasks {
            task.abort();
        }
    }

    /// Nothing is left half done under the lock, so a poisoned one is as good as any.
    fn queries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.queries().len()
    }

    /// The sequence up to which all are known to hold; none if one was not evaluated yet.
    #[cfg(test)]
    pub(crate) fn hold_to(&self) -> Option<u64> {
        let queries = self.queries();
        let held = queries.values().map(|entry| entry.standing.holds_to());
        held.collect::<Option<Vec<u64>>>().map(|held| held.into_iter().min().unwrap_or(u64::MAX))
    }
}

impl Follow {
    /// Whether answers may be told now; or why there will be none.
    pub(crate) fn may_tell(&self) -> Result<bool, Problem> {
        self.standing.may_tell()
    }

    /// The newest answer, if there is one that may be told already; or why there will be none.
    pub(crate) fn begin(&self) -> Result<Option<Begin>, Problem> {
        self.standing.begin()
    }

    /// What is new to a client that holds the answer of a number, at most up to a sequence; or why
    /// there will be nothing new.
    pub(crate) fn news(&self, number: u64, up_to: Option<u64>) -> Result<News, Problem> {
        self.standing.news(number, up_to)
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.register.leave(&self.standing, self.number);
    }
}

fn too_many(what: &str) -> Problem {
    let detail = format!(
        "{what}: end the subscriptions to one of them, follow a view, or ask with POST /v1/query."
    );
    let status = StatusCode::TOO_MANY_REQUESTS;
    Problem::new("too-many-sql-subscriptions", status, "Too much SQL is followed", detail)
}

fn no_sql() -> Problem {
    let detail = "SQL is not answered here: subscribe to a view.";
    let status = StatusCode::NOT_IMPLEMENTED;
    Problem::new("sql-subscription", status, "SQL cannot be followed", detail)
}
