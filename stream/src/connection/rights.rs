//! What the caller of a connection may follow. Which views it is shown is asked of the snapshots.

use axum::http::StatusCode;

use super::Connection;
use crate::problem::Problem;
use crate::subscription::Target;

impl Connection {
    /// Says whether its caller may ask in SQL from now on. If not, subscriptions to SQL end with an
    /// `error` and the others go on.
    pub(crate) fn allow(&mut self, may_ask: bool) {
        self.may_ask = may_ask;
        let mut index = 0;
        while index < self.subs.len() {
            match self.permitted(&self.subs[index].target) {
                Ok(()) => index += 1,
                Err(problem) => {
                    self.end(index, &problem);
                }
            }
        }
    }

    pub(super) fn permitted(&self, target: &Target) -> Result<(), Problem> {
        match target {
            Target::Sql if !self.may_ask => Err(may_not_ask()),
            Target::Sql | Target::View(_) => Ok(()),
        }
    }
}

fn may_not_ask() -> Problem {
    let detail = "A subscription to SQL is for callers with the role analyst or admin: subscribe to \
                  a view, or connect with a token that has one of them.";
    Problem::new("forbidden", StatusCode::FORBIDDEN, "Forbidden", detail)
}

#[cfg(test)]
#[path = "rights_tests.rs"]
mod tests;
