//! What one tenant has defined: names, texts, and how far each view has come.

use std::collections::BTreeSet;
use std::sync::Arc;

use projections::{Hidden, View, ViewDefinition};

/// A view that a tenant has defined.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    /// Its name, text and key.
    pub(super) stated: ViewDefinition,
    /// Its columns; none if it does not compile.
    pub(super) view: Option<Arc<View>>,
    /// The views it reads.
    pub(super) reads: BTreeSet<String>,
    /// The event types it reads.
    pub(super) events: BTreeSet<String>,
    /// The declared fields it reads, each with its event type before it.
    pub(super) declared: BTreeSet<(String, String)>,
    /// Views of one group are filled together and put in at one position.
    pub(super) group: u64,
    pub(super) state: State,
    /// What is served under this name until the view is filled.
    pub(super) former: Option<Box<Self>>,
    /// Why the last replacement of it was not taken.
    pub(super) refused: Option<String>,
}

/// How far a view has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is being filled, or waits for that.
    Filling,
    /// It is maintained, unless its snapshot says that it has failed since.
    Live,
    /// It could not be compiled or filled.
    Failed(String),
}

/// A tenant's views, each of which reads only those before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Definitions {
    views: Vec<Definition>,
}

impl Definition {
    pub(super) fn name(&self) -> &str {
        &self.stated.name
    }

    /// The module that hides what it reads, or what is served under its name meanwhile.
    pub(super) fn hidden_by<'a>(&self, hidden: &'a Hidden) -> Option<&'a str> {
        let by_view = self.reads.iter().find_map(|view| hidden.view(view));
        by_view
            .or_else(|| self.events.iter().find_map(|event_type| hidden.event_type(event_type)))
            .or_else(|| self.former.as_ref()?.hidden_by(hidden))
    }

    /// Whether it reads a declared field, or what is served under its name meanwhile does.
    pub(super) fn reads_declared(&self, event_type: &str, field: &str) -> bool {
        self.declared.iter().any(|(on, name)| on == event_type && name == field)
            || self.former.as_ref().is_some_and(|former| former.reads_declared(event_type, field))
    }

    /// Whether a view of this name can be read meanwhile, unless it has failed.
    pub(super) fn is_served(&self) -> bool {
        self.state == State::Live || self.former.is_some()
    }
}

impl Definitions {
    pub(super) fn all(&self) -> &[Definition] {
        &self.views
    }

    pub(super) fn get(&self, name: &str) -> Option<&Definition> {
        self.views.iter().find(|view| view.name() == name)
    }

    /// The views that read `name` themselves.
    pub(super) fn readers(&self, name: &str) -> Vec<&str> {
        let reads = |view: &&Definition| view.reads.contains(name);
        self.views.iter().filter(reads).map(Definition::name).collect()
    }

    /// The views that read `name`, themselves or through others.
    pub(super) fn dependants(&self, name: &str) -> Vec<&Definition> {
        let mut names = BTreeSet::from([name]);
        let mut found = Vec::new();
        for view in &self.views {
            if view.reads.iter().any(|read| names.contains(read.as_str())) {
                names.insert(view.name());
                found.push(view);
            }
        }
        found
    }

    /// How `from` comes to read `to`, with both at the ends.
    pub(super) fn path(&self, from: &str, to: &str) -> Vec<String> {
        let mut path = vec![from.to_owned()];
        let mut at = from;
        while at != to {
            let next = self.get(at).into_iter().flat_map(|view| &view.reads).find(|read| {
                let leads = self.dependants(to);
                *read == to || leads.iter().any(|view| view.name() == read.as_str())
            });
            let Some(next) = next else { break };
            path.push(next.clone());
            at = next;
        }
        path
    }

    /// Puts `changed`, which read each other in this order, in the place of those of their names
    /// and into the group `group`, with all that was being filled together with one of them.
    /// The groups they were in are no more.
    pub(super) fn put(&mut self, group: u64, changed: Vec<Definition>) -> BTreeSet<u64> {
        let is_changed = |view: &Definition| changed.iter().any(|c| c.name() == view.name());
        let filling = self.views.iter().filter(|view| view.state == State::Filling);
        let ended: BTreeSet<u64> = filling.filter(|v| is_changed(v)).map(|v| v.group).collect();
        self.views.retain(|view| !is_changed(view));
        for view in &mut self.views {
            if view.state == State::Filling && ended.contains(&view.group) {
                view.group = group;
            }
        }
        self.views.extend(changed.into_iter().map(|view| Definition { group, ..view }));
        ended
    }

    /// Removes a view, which none may read.
    pub(super) fn remove(&mut self, name: &str) -> Option<Definition> {
        let index = self.views.iter().position(|view| view.name() == name)?;
        Some(self.views.remove(index))
    }

    /// The views that are filled together as `group`.
    pub(super) fn group(&self, group: u64) -> Vec<Definition> {
        let filling = |view: &&Definition| view.state == State::Filling && view.group == group;
        self.views.iter().filter(filling).cloned().collect()
    }

    /// The views of a group are filled.
    pub(super) fn filled(&mut self, group: u64) {
        for view in &mut self.views {
            if view.state == State::Filling && view.group == group {
                (view.state, view.former, view.refused) = (State::Live, None, None);
            }
        }
    }

    /// The views of a group cannot be filled: what was served before is what is defined again, and
    /// what is new has failed. Those that are defined as before again, in order.
    pub(super) fn give_up(&mut self, group: u64, reason: &str) -> Vec<Definition> {
        let mut restored = Vec::new();
        for view in self.group(group) {
            let name = view.name().to_owned();
            let Some(place) = self.views.iter_mut().find(|v| v.name() == name) else { continue };
            match view.former {
                Some(former) => {
                    let refused = Some(reason.to_owned());
                    restored.push(Definition { refused, ..*former });
                }
                None => place.state = State::Failed(reason.to_owned()),
            }
        }
        let is_restored = |view: &Definition| restored.iter().any(|r| r.name() == view.name());
        self.views.retain(|view| !is_restored(view));
        let restored = in_order(restored);
        // What is new and has failed may read them, and is read by nothing that is live.
        let at = self.views.iter().position(|v| {
            v.reads.iter().any(|read| restored.iter().any(|r| r.name() == read.as_str()))
        });
        let at = at.unwrap_or(self.views.len());
        self.views.splice(at..at, restored.iter().cloned());
        restored
    }
}

/// Views that do not read each other in a circle, each behind those it reads.
fn in_order(mut views: Vec<Definition>) -> Vec<Definition> {
    let mut ordered: Vec<Definition> = Vec::with_capacity(views.len());
    while !views.is_empty() {
        let is_next = |view: &Definition| {
            !views.iter().any(|v| v.name() != view.name() && view.reads.contains(v.name()))
        };
        let next = views.iter().position(is_next).unwrap_or(0);
        ordered.push(views.remove(next));
    }
    ordered
}

#[cfg(test)]
#[path = "definitions_tests.rs"]
mod tests;
