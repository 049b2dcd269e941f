//! A request's body on its way, which can be had back as long as nothing of it was read.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// A body that is given to a client, which may fail before it needs it.
pub(super) struct Lent {
    shelf: Shelf,
    /// Here once the first part of it was asked for.
    taken: Option<Body>,
}

/// Where a body waits.
#[derive(Clone)]
pub(super) struct Shelf(Arc<Mutex<Option<Body>>>);

impl Shelf {
    pub(super) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(Some(body))))
    }

    /// The body for one try.
    pub(super) fn lend(&self) -> Lent {
        Lent { shelf: self.clone(), taken: None }
    }

    /// Whether nothing of the body was read, so that it can be lent again.
    pub(super) fn is_whole(&self) -> bool {
        self.with(|body| body.is_some())
    }

    /// The body, if nothing of it was read.
    pub(super) fn take(&self) -> Option<Body> {
        self.with(Option::take)
    }

    fn with<T>(&self, of: impl FnOnce(&mut Option<Body>) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.taken.is_none() {
            self.taken = self.shelf.take();
        }
        match &mut self.taken {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.taken {
            Some(body) => body.is_end_stream(),
            None => self.shelf.with(|body| body.as_ref().is_none_or(HttpBody::is_end_stream)),
        }
    }

    fn size_hint(&self) -> SizeHint {
        if let Some(body) = &self.taken {
            body.size_hint()
        } else {
            let hint = self.shelf.with(|body| body.as_ref().map(HttpBody::size_hint));
            hint.unwrap_or_else(|| SizeHint::with_exact(0))
        }
    }
}
