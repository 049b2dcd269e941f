//! All event types of a process, which may become more while it runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::{EventType, EventTypes, Field, Names};
use crate::Tenant;

/// The built-in types, those registered for all tenants, those of single tenants, and what tenants
/// have declared beside the fields of types. Cheap to clone; all clones are one registry.
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
    declared: HashMap<Tenant, Declared>,
}

/// What one tenant has declared.
#[derive(Debug, Default)]
struct Declared {
    /// The fields, by the names of their types.
    fields: BTreeMap<String, Vec<Field>>,
    /// The types with them, as far as there are such types.
    types: Arc<Names>,
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
        let declared = types.declared.get(&tenant).map(|declared| Arc::clone(&declared.types));
        let (shared, declared) = (Arc::clone(&types.shared), declared.unwrap_or_default());
        EventTypes { shared, own, declared, ..EventTypes::default() }
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
        let (owner, name) = (event_type.owner(), event_type.name().to_owned());
        let names = match owner {
            Some(tenant) => types.own.entry(tenant).or_default(),
            None => &mut types.shared,
        };
        Arc::make_mut(names).insert(name.clone(), Arc::new(event_type));
        let declaring = types.declared.iter().filter(|(tenant, declared)| {
            owner.is_none_or(|owner| owner == **tenant) && declared.fields.contains_key(&name)
        });
        let declaring: Vec<Tenant> = declaring.map(|(tenant, _)| *tenant).collect();
        for tenant in declaring {
            types.widen(tenant, &name);
        }
    }

    /// Has a tenant declare these fields, by the names of their types, and no others: columns of
    /// `events."<type>"` behind those of the type, for this tenant alone. A type whose fields stay the
    /// same stays the same object, since readers compare those.
    pub fn declare(&self, tenant: Tenant, fields: BTreeMap<String, Vec<Field>>) {
        let mut types = self.types.write().unwrap_or_else(PoisonError::into_inner);
        let declared = types.declared.entry(tenant).or_default();
        let before = std::mem::replace(&mut declared.fields, fields);
        let names: BTreeSet<&String> = before.keys().chain(declared.fields.keys()).collect();
        let changed =
            names.into_iter().filter(|name| before.get(*name) != declared.fields.get(*name));
        let changed: Vec<String> = changed.cloned().collect();
        for name in changed {
            types.widen(tenant, &name);
        }
        if types.declared.get(&tenant).is_some_and(|declared| declared.fields.is_empty()) {
            types.declared.remove(&tenant);
        }
    }

    /// Lets the types go that a tenant has alone, and what it has declared. There must be no events of
    /// them any more.
    pub fn forget(&self, tenant: Tenant) {
        let mut types = self.types.write().unwrap_or_else(PoisonError::into_inner);
        types.own.remove(&tenant);
        types.declared.remove(&tenant);
    }

    fn read(&self) -> RwLockReadGuard<'_, Types> {
        // An insertion is all that happens under the lock; it leaves the maps whole.
        self.types.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Types {
    /// Makes the type of that name anew as a tenant has it, with what the tenant has declared.
    fn widen(&mut self, tenant: Tenant, name: &str) {
        let own = self.own.get(&tenant).and_then(|own| own.get(name));
        let plain = own.or_else(|| self.shared.get(name)).cloned();
        let Some(declared) = self.declared.get_mut(&tenant) else { return };
        let fields = declared.fields.get(name);
        let wide = plain.zip(fields).map(|(plain, fields)| Arc::new(plain.declaring(fields)));
        let types = Arc::make_mut(&mut declared.types);
        match wide {
            Some(wide) => types.insert(name.to_owned(), wide),
            None => types.remove(name),
        };
    }
}

/// A registry of types that all tenants have.
impl From<EventTypes> for EventRegistry {
    fn from(EventTypes { shared, .. }: EventTypes) -> Self {
        let (own, declared) = (HashMap::new(), HashMap::new());
        Self { types: Arc::new(RwLock::new(Types { shared, own, declared })) }
    }
}
