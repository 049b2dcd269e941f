//! What becomes of subscriptions when views are defined, replaced or removed.

use std::sync::Arc;

use projections::{TenantSnapshot, View};

use super::refusals::{absent, view_failed};
use super::{Connection, State};
use crate::filter::Filter;
use crate::problem::Problem;

const REPLACED: &str = "the view was defined anew";

impl Connection {
    /// Looks the subscriptions through if views were redefined since the last time.
    pub(super) fn look_at_definitions(&mut self) {
        let definitions = self.seat.channel().ring().definitions();
        if definitions == self.definitions {
            return;
        }
        self.definitions = definitions;
        let snapshot = self.hub.shared.snapshot(self.seat.channel().tenant());
        let mut index = 0;
        while index < self.subs.len() {
            if self.renew(index, &snapshot) {
                index += 1;
            }
        }
    }

    /// Makes a subscription one to the view that now has the name of its own; one that was told
    /// something starts anew. False if there is no such view, or none that it can watch: it is
    /// told so and removed.
    pub(super) fn renew(&mut self, index: usize, snapshot: &TenantSnapshot) -> bool {
        let sub = &self.subs[index];
        let view = match current(sub.view.name(), snapshot) {
            Ok(view) if Arc::ptr_eq(view, &sub.view) => return true,
            Ok(view) => view.clone(),
            Err(problem) => return self.end(index, &problem),
        };
        let filter = match Filter::compile(view.schema(), &sub.wanted) {
            Ok(filter) => filter,
            Err(problem) => return self.end(index, &problem),
        };
        let was_told = match &sub.state {
            State::Wanting => false,
            State::Joining { since, .. } => since.is_some(),
            State::Live { .. } => true,
        };
        let sub = &mut self.subs[index];
        (sub.view, sub.filter) = (view, filter);
        if was_told {
            self.reset(index, REPLACED);
        } else {
            sub.state = State::Wanting;
        }
        true
    }

    /// Ends a subscription and tells it why; always false.
    pub(super) fn end(&mut self, index: usize, problem: &Problem) -> bool {
        let id = self.subs[index].id.clone();
        self.remove(index);
        self.refuse(&id, problem);
        false
    }
}

/// The view of that name, if it can be read.
fn current<'a>(name: &str, snapshot: &'a TenantSnapshot) -> Result<&'a Arc<View>, Problem> {
    match snapshot.view(name) {
        None => Err(absent(name, snapshot)),
        Some(view) => match view.failure() {
            Some(failure) => Err(view_failed(name, failure)),
            None => Ok(view.view()),
        },
    }
}

#[cfg(test)]
#[path = "redefine_tests.rs"]
mod tests;
