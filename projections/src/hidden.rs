//! What of a tenant is kept and not shown.

use std::collections::{BTreeMap, BTreeSet};

/// Event types, by their module, and views, by name, that are maintained and taken in as ever, and
/// that no reader is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    modules: BTreeSet<String>,
    views: BTreeMap<String, String>,
}

impl Hidden {
    /// Hides all event types of these modules.
    pub fn modules(modules: impl IntoIterator<Item = String>) -> Self {
        Self { modules: modules.into_iter().collect(), views: BTreeMap::new() }
    }

    /// Hides a view too, because of a module.
    pub fn add_view(&mut self, name: impl Into<String>, module: impl Into<String>) {
        self.views.insert(name.into(), module.into());
    }

    /// Whether all is shown.
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty() && self.views.is_empty()
    }

    /// The module that hides the event type of that name, whether or not there is one.
    pub fn event_type(&self, name: &str) -> Option<&str> {
        let module = name.split('.').next()?;
        self.modules.get(module).map(String::as_str)
    }

    /// The module that hides the view of that name.
    pub fn view(&self, name: &str) -> Option<&str> {
        self.views.get(name).map(String::as_str)
    }
}
