//! What all standing queries take together: their number, and the bytes of their answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::meter;

/// What is taken.
#[derive(Debug, Default)]
pub(crate) struct Room {
    queries: AtomicUsize,
    bytes: AtomicUsize,
}

/// One of the number of standing queries; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<Room>);

/// Some of the bytes; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Space {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    /// One more standing query, if there are fewer than `bound`.
    pub(super) fn slot(self: &Arc<Self>, bound: usize) -> Option<Slot> {
        take(&self.queries, 1, bound)?;
        meter::sql_queries(1.0);
        Some(Slot(Arc::clone(self)))
    }

    /// So many bytes more, if they are at most `bound` with them.
    pub(super) fn space(self: &Arc<Self>, bytes: usize, bound: usize) -> Option<Space> {
        take(&self.bytes, bytes, bound)?;
        meter::sql_bytes(bytes as f64);
        Some(Space { room: Arc::clone(self), bytes })
    }

    #[cfg(test)]
    pub(crate) fn taken(&self) -> (usize, usize) {
        (self.queries.load(Ordering::Acquire), self.bytes.load(Ordering::Acquire))
    }
}

fn take(counter: &AtomicUsize, more: usize, bound: usize) -> Option<()> {
    let taken = counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
        taken.checked_add(more).filter(|all| *all <= bound)
    });
    taken.is_ok().then_some(())
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.queries.fetch_sub(1, Ordering::AcqRel);
        meter::sql_queries(-1.0);
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.room.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        meter::sql_bytes(-(self.bytes as f64));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_taken_is_bounded_and_given_back() {
        let room = Arc::<Room>::default();
        let (one, two) = (room.slot(2).unwrap(), room.slot(2).unwrap());
        assert!(room.slot(2).is_none());
        let space = room.space(60, 100).unwrap();
        assert!(room.space(41, 100).is_none() && room.space(usize::MAX, 100).is_none());
        assert_eq!(room.taken(), (2, 60));
        drop((one, space));
        assert_eq!(room.taken(), (1, 0));
        drop(two);
        assert_eq!(room.taken(), (0, 0));
    }
}
