//! What a query reads, so that it can be told whether it would read the same again.

use std::sync::{Arc, Weak};

use chrono::NaiveDate;
use datafusion::common::TableReference;
use projections::{EventType, TenantSnapshot, ViewMark};

use crate::catalog::{EVENTS, Relations, VIEWS};

/// The relations that a query names, as they were when it was asked, and the tenant's date.
#[derive(Clone, Debug)]
pub(crate) struct Reads {
    today: Option<NaiveDate>,
    relations: Vec<(Named, Mark)>,
}

/// A relation by its name.
#[derive(Clone, Debug)]
struct Named {
    schema: String,
    name: String,
}

/// Which relation that was.
#[derive(Clone, Debug)]
enum Mark {
    /// None: a table function, or what a query names itself.
    None,
    View(ViewMark),
    Events {
        event_type: Weak<EventType>,
        up_to: u64,
        history: u64,
    },
}

impl Reads {
    /// What these references name. None if that is more than views and events: what lists the
    /// relations changes with each of them.
    pub(crate) fn new(references: &[TableReference], relations: &Relations) -> Option<Self> {
        let mut named = Vec::with_capacity(references.len());
        for reference in references {
            let schema = reference.schema().unwrap_or(VIEWS);
            if schema != VIEWS && schema != EVENTS {
                return None;
            }
            let name = reference.table().to_owned();
            named.push(Named { schema: schema.to_owned(), name });
        }
        Some(Self::of(named, relations))
    }

    /// The same relations as they are now.
    pub(crate) fn renewed(&self, relations: &Relations) -> Self {
        Self::of(self.relations.iter().map(|(named, _)| named.clone()).collect(), relations)
    }

    fn of(named: Vec<Named>, relations: &Relations) -> Self {
        let marked = named.into_iter().map(|named| {
            let mark = Mark::of(&named, relations);
            (named, mark)
        });
        Self { today: relations.snapshot.today(), relations: marked.collect() }
    }

    /// The sequence of the tenant up to which a name may have meant another relation; none if all always
    /// meant these. Since when an event type is as it is, nobody knows.
    pub(crate) fn since(&self, snapshot: &TenantSnapshot) -> Option<u64> {
        let since = |(named, mark): &(Named, Mark)| match mark {
            Mark::None => None,
            Mark::View(_) => snapshot.view(&named.name)?.since(),
            Mark::Events { .. } => Some(snapshot.position().sequence),
        };
        self.relations.iter().filter_map(since).max()
    }

    /// Whether each name means a relation of the same definition, on the same date.
    pub(crate) fn is_defined_alike(&self, relations: &Relations) -> bool {
        self.today == relations.snapshot.today()
            && self.relations.iter().all(|(named, mark)| mark.is_defined_alike(named, relations))
    }

    /// Whether each name means the same relation with the same rows, on the same date.
    pub(crate) fn is_unchanged(&self, relations: &Relations) -> bool {
        self.today == relations.snapshot.today()
            && self.relations.iter().all(|(named, mark)| mark.is_unchanged(named, relations))
    }
}

impl Mark {
    fn of(named: &Named, relations: &Relations) -> Self {
        let snapshot = &relations.snapshot;
        if named.schema == EVENTS {
            return match relations.types.get(&named.name) {
                None => Self::None,
                Some(event_type) => Self::Events {
                    event_type: Arc::downgrade(event_type),
                    up_to: snapshot.offset(),
                    history: relations.history.version(),
                },
            };
        }
        snapshot.view(&named.name).map_or(Self::None, |view| Self::View(view.mark()))
    }

    fn is_defined_alike(&self, named: &Named, relations: &Relations) -> bool {
        match (self, Self::of(named, relations)) {
            (Self::None, Self::None) => true,
            (Self::View(then), Self::View(now)) => then.is_defined_alike(&now),
            (Self::Events { event_type: then, .. }, Self::Events { event_type: now, .. }) => {
                Weak::ptr_eq(then, &now)
            }
            _ => false,
        }
    }

    fn is_unchanged(&self, named: &Named, relations: &Relations) -> bool {
        match (self, Self::of(named, relations)) {
            (Self::None, Self::None) => true,
            (Self::View(then), Self::View(now)) => *then == now,
            (
                Self::Events { event_type: then, up_to, history },
                Self::Events { event_type: now, up_to: now_up_to, history: now_history },
            ) => Weak::ptr_eq(then, &now) && (*up_to, *history) == (now_up_to, now_history),
            _ => false,
        }
    }
}
