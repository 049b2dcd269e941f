//! All event types of a process, which may become more while it runs.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::{EventType, EventTypes, Names};
use crate::Tenant;

/// The built-in types, those registered for all tenants, and those of single tenants. Cheap to
/// clone; all clones are one registry.
///
/// Who asks gets the types as they are at that moment, and keeps them as they were: a change is
/// seen by the next who asks. A type goes with its tenant only, and a later form of it has the
/// columns of the earlier ones in front.
#[derive(Clone, Debug)]
pub struct EventRegistry {
    /// Held for a look-up or an insertion only.
    types: Arc<RwLock<Types>>,
}

#[derive(Debug)]
struct Types {
    shared: Arc<Names>,
    own: HashMap<Tenant, Arc<Names>>,
}

impl EventRegistry {
    /// A registry of the built-in types.
    pub fn builtin() -> Self {
        EventTypes::builtin().into()
    }

    /// What a tenant has: the types of all tenants and its own.
    pub fn visible(&self, tenant: Tenant) -> EventTypes {
        let types = self.read();
        let own = types.own.get(&tenant).cloned().unwrap_or_default();
        EventTypes { shared: Arc::clone(&types.shared), own, ..EventTypes::default() }
    }

    /// The types of all tenants.
    pub fn shared(&self) -> EventTypes {
        EventTypes { shared: Arc::clone(&self.read().shared), ..EventTypes::default() }
    }

    /// The type of that name which `owner` has alone, or which all have if there is no owner.
    pub fn find(&self, owner: Option<Tenant>, name: &str) -> Option<Arc<EventType>> {
        let types = self.read();
        let names = match owner {
            Some(tenant) => types.own.get(&tenant)?,
            None => &types.shared,
        };
        names.get(name).cloned()
    }

    /// Whether anybody has a type of that name.
    pub fn has(&self, name: &str) -> bool {
        let types = self.read();
        types.shared.contains_key(name) || types.own.values().any(|names| names.contains_key(name))
    }

    /// How many types `owner` has alone; without an owner, how many all have.
    pub fn count(&self, owner: Option<Tenant>) -> usize {
        let types = self.read();
        match owner {
            Some(tenant) => types.own.get(&tenant).map_or(0, |names| names.len()),
            None => types.shared.len(),
        }
    }

    /// Adds a type, or puts it in the place of an earlier form of it.
    pub fn put(&self, event_type: EventType) {
        let mut types = self.types.write().unwrap_or_else(PoisonError::into_inner);
        let names = match event_type.owner() {
            Some(tenant) => types.own.entry(tenant).or_default(),
            None => &mut types.shared,
        };
        Arc::make_mut(names).insert(event_type.name().to_owned(), Arc::new(event_type));
    }

    /// Lets the types go that a tenant has alone. There must be no events of them any more.
    pub fn forget(&self, tenant: Tenant) {
        self.types.write().unwrap_or_else(PoisonError::into_inner).own.remove(&tenant);
    }

    fn read(&self) -> RwLockReadGuard<'_, Types> {
        // An insertion is all that happens under the lock; it leaves the maps whole.
        self.types.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registry of types that all tenants have.
impl From<EventTypes> for EventRegistry {
    fn from(EventTypes { shared, .. }: EventTypes) -> Self {
        Self { types: Arc::new(RwLock::new(Types { shared, own: HashMap::new() })) }
    }
}
