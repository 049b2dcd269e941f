//! Compiling a definition, on a thread whose stack is deep enough for any SQL.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use projections::{EventTypes, OwnView, Reads, View, ViewDefinition};
use tokio::sync::oneshot;

use super::OwnViewError;
use super::definitions::{Definition, Definitions};

/// The stack of a thread that plans: expressions are trees as deep as their text is long, and are
/// walked by recursion. The pages that are not used are never taken.
pub(super) const STACK_BYTES: usize = 32 << 20;

/// The name under which a definition is compiled that may be read by itself.
const CANDIDATE: &str = "@candidate";

/// Why a view has failed in which DataFusion gave up.
const BROKEN: &str = "it cannot be planned or computed; write it in another way";

/// The views that a definition may read.
pub(super) struct Reading {
    builtin: Vec<Arc<View>>,
    own: BTreeMap<String, Arc<View>>,
}

impl Reading {
    /// The built-in views and what a tenant has defined.
    pub(super) fn new(builtin: &[Arc<View>], definitions: &Definitions) -> Self {
        let own = definitions.all().iter().filter_map(|definition| {
            let view = definition.view.clone()?;
            Some((definition.name().to_owned(), view))
        });
        Self { builtin: builtin.to_vec(), own: own.collect() }
    }

    /// Another view under the name of one, or a further one.
    pub(super) fn replace(&mut self, definition: &Definition) {
        if let Some(view) = &definition.view {
            self.own.insert(definition.name().to_owned(), view.clone());
        }
    }

    fn views(&self) -> Vec<Arc<View>> {
        self.builtin.iter().chain(self.own.values()).cloned().collect()
    }
}

/// What a definition comes to, and what it reads, its own name among the views if it is so.
pub(super) async fn compile(
    types: &EventTypes,
    reading: &Reading,
    definition: ViewDefinition,
) -> Result<(Arc<View>, Reads), OwnViewError> {
    let (types, readable) = (types.clone(), reading.views());
    on_large_stack(move || {
        let candidate = ViewDefinition { name: CANDIDATE.to_owned(), ..definition.clone() };
        let own = OwnView::compile(&types, &readable, &candidate)?;
        let view = own.view();
        let named =
            View::new(definition.name, view.sql(), view.schema().clone(), view.key().to_vec());
        Ok((Arc::new(named), own.reads().clone()))
    })
    .await?
}

/// Does work on one view, in which DataFusion may give up with a panic: then it is `broken`, and its thread
/// goes on with the next.
pub(super) fn unpanicked<T, E>(
    broken: impl FnOnce(String) -> E,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(broken(BROKEN.to_owned())))
}

/// Runs work that recurses deeply.
pub(super) async fn on_large_stack<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, OwnViewError> {
    let (reply, done) = oneshot::channel();
    thread::Builder::new()
        .name("planner".to_owned())
        .stack_size(STACK_BYTES)
        // Who has gone away in the meantime does not need an answer.
        .spawn(move || drop(reply.send(work())))
        .map_err(OwnViewError::Thread)?;
    done.await.map_err(|_| OwnViewError::Invalid(BROKEN.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    #[test]
    fn a_panic_is_the_failure_of_the_one_view() {
        let ended = unpanicked(OwnViewError::Invalid, || -> Result<(), OwnViewError> {
            panic!("in the midst of a plan")
        });
        assert!(matches!(ended, Err(OwnViewError::Invalid(why)) if why == BROKEN));
        let ended = unpanicked(OwnViewError::Invalid, || Ok(1));
        assert!(matches!(ended, Ok(1)));
    }
}
