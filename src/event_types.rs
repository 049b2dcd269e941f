//! The event types of the running service: built in, registered by the platform for all tenants,
//! and registered by tenants for themselves; and the fields that tenants declare beside them
//! ([`fields`]).
//!
//! **In:** a name and an Avro schema, or what another process registered in the same control store.
//! **Out:** the type, in the control store and in the [`EventRegistry`] that intake, log, queries
//! and views read.
//!
//! Invariants:
//! - What the registry holds is on disk: an event of a type is never recorded before the type is.
//! - A type is removed with its tenant only, and changes only by optional fields at its end, so
//!   whatever is in the log can always be read. This holds also where several processes register at
//!   once: the store takes a schema only over the one that it was compared with.
//! - What one tenant registers is seen by that tenant alone, and stands before whatever the
//!   platform registers under the same name.
//! - No name is taken that differs in `.` and `_` alone from one that its owner sees; where events come
//!   by Kafka, from one of whomever: it would not have topics for both.
//! - Whoever reads types for long is told of those that have grown, after they have.

mod fields;
mod growths;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use ingest::{Growth, SchemaError, TypeLimits};
use projections::{EventRegistry, EventType, EventTypes, Tenant};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tenancy::{CustomFields, Store, StoreError, StoredEventType};
use tokio::sync::Mutex;
use utoipa::ToSchema;

use self::growths::Growths;

/// A type as the outside sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EventType)]
pub(crate) struct Described {
    /// Its name.
    id: String,
    /// Its name.
    r#type: String,
    /// `built-in`, `platform` or `tenant`.
    owner: &'static str,
    /// The Avro record of its data fields.
    #[schema(value_type = Object)]
    schema: Arc<RawValue>,
}

/// Why a type cannot be registered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    /// The name is no name of a type.
    #[error("{0}")]
    Name(SchemaError),
    /// The schema cannot be taken.
    #[error("{0}")]
    Schema(SchemaError),
    /// The name is that of a type which all tenants have, or differs in `.` and `_` alone from one that
    /// it may not stand beside.
    #[error(
        "`{0}` cannot be registered here: the name, or one that differs from it in `.` and `_` alone, is \
         taken; choose another name"
    )]
    Taken(String),
    /// The type is there with other fields.
    #[error(
        "`{name}` is registered with another schema: {}; only optional fields can be added, at the \
         end, so register the rest under another name", .differences.join("; ")
    )]
    Incompatible {
        /// The type.
        name: String,
        /// A sentence for each difference.
        differences: Vec<String>,
    },
    /// There are as many types as may be.
    #[error("{limit} event types are registered, and no more may be; raise limits.types.count")]
    Full {
        /// How many may be.
        limit: usize,
    },
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is registered already cannot be read.
    #[error(transparent)]
    Damaged(#[from] DamagedType),
    /// The task ended before it could answer.
    #[error("the registration was interrupted: {0}; list the types to see whether it was made")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// A stored type that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the event type `{name}` cannot be read: {reason}; restore the file from a backup")]
pub(crate) struct DamagedType {
    name: String,
    reason: String,
}

/// What is registered in the store cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefreshError {
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A type cannot be read.
    #[error(transparent)]
    Damaged(#[from] DamagedType),
}

/// All event types. Cheap to clone; all clones are one directory.
#[derive(Clone, Debug)]
pub(crate) struct TypeDirectory {
    shared: Arc<Shared>,
}

/// Texts by owner and name.
type Schemas = HashMap<(Option<Tenant>, String), Arc<RawValue>>;

#[derive(Debug)]
struct Shared {
    store: Store,
    limits: TypeLimits,
    /// Whether events come by Kafka, with a topic for each name.
    has_topics: bool,
    builtin: EventTypes,
    registry: EventRegistry,
    growths: Growths,
    /// The schemas as they were sent.
    schemas: RwLock<Schemas>,
    /// What tenants have declared.
    fields: RwLock<HashMap<Tenant, Arc<CustomFields>>>,
    /// Registrations take turns, so that what one has looked at is so when it stores.
    turn: Mutex<()>,
}

impl TypeDirectory {
    /// Loads what is registered and declared: `stored` and `declared` are what the store holds.
    /// `has_topics` says whether events come by Kafka, whose topics all tenants share.
    pub(crate) fn new(
        store: Store,
        stored: Vec<StoredEventType>,
        declared: Vec<(u32, CustomFields)>,
        limits: TypeLimits,
        has_topics: bool,
    ) -> Result<Self, DamagedType> {
        let builtin = EventTypes::builtin();
        let registry = EventRegistry::from(builtin.clone());
        let shared = Shared {
            store,
            limits,
            has_topics,
            builtin,
            registry,
            growths: Growths::default(),
            schemas: RwLock::default(),
            fields: RwLock::default(),
            turn: Mutex::default(),
        };
        shared.adopt(stored)?;
        for (tenant, fields) in declared {
            shared.adopt_fields(Tenant(tenant), fields);
        }
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Takes over what was registered and declared in the store after its change `since`, by
    /// whomever; answers how many types that are.
    pub(crate) async fn refresh(&self, since: u64) -> Result<usize, RefreshError> {
        let _turn = self.shared.turn.lock().await;
        let changed = self.shared.store.event_types_since(since).await?;
        let count = changed.len();
        self.shared.adopt(changed)?;
        for (tenant, fields) in self.shared.store.custom_fields_since(Some(since)).await? {
            self.shared.adopt_fields(Tenant(tenant), fields);
        }
        Ok(count)
    }

    /// Waits until there are types that are new or have gained fields, by way of this process or of
    /// another, and answers whose they are: a tenant's, or the platform's (none), which all tenants
    /// have. Each is answered once: one task asks.
    pub(crate) async fn grown(&self) -> BTreeSet<Option<Tenant>> {
        self.shared.growths.take().await
    }

    /// Lets the types of a deleted tenant go, of which there are no events any more, and what it has
    /// declared.
    pub(crate) fn forget(&self, tenant: Tenant) {
        self.shared.registry.forget(tenant);
        let mut schemas = self.shared.schemas.write().unwrap_or_else(PoisonError::into_inner);
        schemas.retain(|(owner, _), _| *owner != Some(tenant));
        drop(schemas);
        let mut fields = self.shared.fields.write().unwrap_or_else(PoisonError::into_inner);
        fields.remove(&tenant);
    }

    /// The types as the service reads them.
    pub(crate) fn registry(&self) -> &EventRegistry {
        &self.shared.registry
    }

    /// Describes types of the registry.
    pub(crate) fn list(&self, types: &EventTypes) -> Vec<Described> {
        types.iter().map(|event_type| self.describe(event_type)).collect()
    }

    /// Describes one of them.
    pub(crate) fn get(&self, types: &EventTypes, name: &str) -> Option<Described> {
        types.get(name).map(|event_type| self.describe(event_type))
    }

    /// Registers a type for `owner` alone, or for all tenants; it is on disk and events of it are
    /// taken when this returns. The second value says whether the name is new.
    ///
    /// On a task of its own: a caller that goes away must not leave the store changed and the
    /// registry not.
    pub(crate) async fn register(
        &self,
        owner: Option<Tenant>,
        name: String,
        schema: Box<RawValue>,
    ) -> Result<(Described, bool), RegisterError> {
        let this = self.clone();
        tokio::spawn(async move {
            let _turn = this.shared.turn.lock().await;
            loop {
                if let Some(registered) = this.take(owner, &name, &schema).await? {
                    return Ok(registered);
                }
                // Another process has registered this type meanwhile, and so it is what this has to
                // be compared with. Each turn of the loop is one that got through.
                this.shared.adopt(this.shared.store.event_types().await?)?;
            }
        })
        .await?
    }

    /// Registers a type over what is known of it; none if the store has another form of it.
    async fn take(
        &self,
        owner: Option<Tenant>,
        name: &str,
        schema: &RawValue,
    ) -> Result<Option<(Described, bool)>, RegisterError> {
        let Shared { store, limits, registry, schemas, .. } = &*self.shared;
        ingest::check_name(name).map_err(RegisterError::Name)?;
        let fields = ingest::fields(schema.get(), limits).map_err(RegisterError::Schema)?;
        let before = self.before(owner, name)?;
        if before.is_none() && self.collides(owner, name).await? {
            return Err(RegisterError::Taken(name.to_owned()));
        }
        let grown = match before.as_ref().map(|old| ingest::compare(old.fields(), &fields)) {
            Some(Growth::Other(differences)) => {
                return Err(RegisterError::Incompatible { name: name.to_owned(), differences });
            }
            Some(Growth::Same) => false,
            Some(Growth::Longer) | None => true,
        };
        let key = (owner, name.to_owned());
        let text = {
            let schemas = schemas.read().unwrap_or_else(PoisonError::into_inner);
            schemas.get(&key).cloned()
        };
        let text = text.as_ref().map(|text| text.get());
        if text != Some(schema.get()) {
            let tenant = owner.map(|tenant| tenant.0);
            let (name, schema) = (name.to_owned(), schema.get().to_owned());
            let stored = StoredEventType { tenant, name, schema };
            if !store.put_event_type(&stored, text).await? {
                return Ok(None);
            }
        }
        let text = Arc::from(schema.to_owned());
        schemas.write().unwrap_or_else(PoisonError::into_inner).insert(key, text);
        if grown {
            self.shared.put(owner, EventType::owned(owner, name, fields));
        }
        let now = registry.find(owner, name);
        let now = now.ok_or_else(|| RegisterError::Taken(name.to_owned()))?;
        Ok(Some((self.describe(&now), before.is_none())))
    }

    /// The earlier form of a type, if there is one; an error if the name cannot be given.
    fn before(
        &self,
        owner: Option<Tenant>,
        name: &str,
    ) -> Result<Option<Arc<EventType>>, RegisterError> {
        let Shared { registry, builtin, limits, .. } = &*self.shared;
        let before = registry.find(owner, name);
        let builtin_count = builtin.iter().count();
        let taken = if before.is_some() {
            builtin.get(name).is_some()
        } else {
            owner.is_some() && registry.find(None, name).is_some()
        };
        if taken {
            return Err(RegisterError::Taken(name.to_owned()));
        }
        let registered = registry.count(owner) - if owner.is_none() { builtin_count } else { 0 };
        if before.is_none() && registered >= limits.count {
            return Err(RegisterError::Full { limit: limits.count });
        }
        Ok(before)
    }

    /// Whether this name differs in `.` and `_` alone from that of a type which `owner` sees, or, where
    /// there are topics, which anybody has: Kafka takes the two for the same and would not have topics
    /// for both. Tenants may share a name, and with it the topic.
    async fn collides(&self, owner: Option<Tenant>, name: &str) -> Result<bool, StoreError> {
        let registry = &self.shared.registry;
        let folded = |name: &str| name.replace('.', "_");
        let of_name = folded(name);
        let is_alike = |other: &str| other != name && folded(other) == of_name;
        let seen = owner.map_or_else(|| registry.shared(), |tenant| registry.visible(tenant));
        if seen.iter().any(|event_type| is_alike(event_type.name())) {
            return Ok(true);
        }
        // What others have is in nobody's way, and so is not told of.
        if !self.shared.has_topics {
            return Ok(false);
        }
        // In the store, where those stand too that other processes have registered.
        let alike = self.shared.store.event_types_alike(name).await?;
        Ok(alike.iter().any(|other| other != name))
    }

    /// A type as the outside sees it.
    pub(crate) fn describe(&self, event_type: &EventType) -> Described {
        let name = event_type.name();
        let key = (event_type.owner(), name.to_owned());
        let schemas = self.shared.schemas.read().unwrap_or_else(PoisonError::into_inner);
        let sent = schemas.get(&key).cloned();
        let owner = match (&sent, event_type.owner()) {
            (_, Some(_)) => "tenant",
            (Some(_), None) => "platform",
            (None, None) => "built-in",
        };
        // JSON that was just made is JSON.
        let made = || to_raw_value(&ingest::avro(event_type)).unwrap_or_default();
        let schema = sent.unwrap_or_else(|| Arc::from(made()));
        Described { id: name.to_owned(), r#type: name.to_owned(), owner, schema }
    }
}

impl Shared {
    /// Has a type read as it is now, and tells whose it is.
    fn put(&self, owner: Option<Tenant>, event_type: EventType) {
        self.registry.put(event_type);
        self.growths.note(owner);
    }

    /// Takes over what the store holds. A type that is known as it is stays the same object, since
    /// readers compare those.
    fn adopt(&self, stored: Vec<StoredEventType>) -> Result<(), DamagedType> {
        // What was taken once is taken again, whatever the limits have become.
        let all = TypeLimits { count: usize::MAX, fields: usize::MAX, schema_bytes: usize::MAX };
        for StoredEventType { tenant, name, schema } in stored {
            let damaged = |reason: String| DamagedType { name: name.clone(), reason };
            let owner = tenant.map(Tenant);
            let fields = ingest::fields(&schema, &all).map_err(|e| damaged(e.to_string()))?;
            let text = RawValue::from_string(schema).map_err(|e| damaged(e.to_string()))?;
            let known = self.registry.find(owner, &name);
            if known.is_none_or(|known| known.fields() != fields) {
                self.put(owner, EventType::owned(owner, name.clone(), fields));
            }
            let mut schemas = self.schemas.write().unwrap_or_else(PoisonError::into_inner);
            schemas.insert((owner, name), Arc::from(text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
