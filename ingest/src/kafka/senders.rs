//! The tenants that the messages of one poll are of, found by their keys.

use std::collections::HashMap;
use std::sync::Arc;

use super::messages::{KnownTenants, Stop};
use crate::Sender;

/// The senders of the messages of one poll.
pub(super) struct Senders<'m> {
    by_key: HashMap<&'m [u8], Option<usize>>,
    pub(super) all: Vec<Sender>,
    tenants: Arc<dyn KnownTenants>,
    /// Whether tenants and types are known that came about before the messages were read, once that
    /// has been looked after.
    looked: Option<bool>,
}

impl<'m> Senders<'m> {
    pub(super) fn new(tenants: Arc<dyn KnownTenants>) -> Self {
        Self { by_key: HashMap::new(), all: Vec::new(), tenants, looked: None }
    }

    /// The place of the sender with that key, if it is a tenant's.
    pub(super) fn find(&mut self, key: &'m [u8]) -> Result<Option<usize>, Stop> {
        if let Some(found) = self.by_key.get(key) {
            return Ok(*found);
        }
        let sender = match std::str::from_utf8(key) {
            Err(_) => None,
            Ok(id) => self.find_id(id)?,
        };
        let place = sender.map(|sender| {
            self.all.push(sender);
            self.all.len() - 1
        });
        self.by_key.insert(key, place);
        Ok(place)
    }

    fn find_id(&mut self, id: &str) -> Result<Option<Sender>, Stop> {
        let known = |tenants: &dyn KnownTenants| match tenants.find(id) {
            None if tenants.is_deleted(id) => Err(Stop::Deleted),
            found => Ok(found),
        };
        match known(&*self.tenants)? {
            None if self.has_looked()? => known(&*self.tenants),
            found => Ok(found),
        }
    }

    /// Looks for what has come about elsewhere, once for all messages: they had been read before.
    /// Whether something may be known now that was not.
    pub(super) fn has_looked(&mut self) -> Result<bool, Stop> {
        let is_first = self.looked.is_none();
        let tenants = &self.tenants;
        let looked = *self.looked.get_or_insert_with(|| match tenants.look() {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error, "events of unknown tenants and types wait");
                false
            }
        });
        if looked { Ok(is_first) } else { Err(Stop::Wait) }
    }
}
