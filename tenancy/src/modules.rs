//! Modules: what a tenant uses, and which event types and views go with it.
//!
//! What belongs to a module that is switched off is kept and maintained as ever, and not shown.

/// The modules there are: the first part of the built-in event types.
pub const MODULES: [&str; 9] = [
    "crm",
    "invoicing",
    "purchasing",
    "hr",
    "inventory",
    "projects",
    "tasks",
    "governance",
    "property",
];

/// The built-in views with the modules they belong to: shown as long as one of these is on. What a
/// view counts beside them is no reason to hide it, and stays counted.
pub const VIEWS: [(&str, &[&str]); 15] = [
    ("open_invoices", &["invoicing"]),
    ("ar_aging", &["invoicing"]),
    ("project_profitability", &["projects"]),
    ("unapplied_cash", &["invoicing"]),
    ("completion_streaks", &["tasks"]),
    ("pipeline", &["crm"]),
    ("cash_position", &["invoicing", "purchasing"]),
    ("inventory_levels", &["inventory"]),
    ("headcount", &["hr"]),
    ("utilization", &["hr"]),
    ("labour_hours", &["hr"]),
    ("budget_variance", &["governance"]),
    ("compliance_failures", &["governance"]),
    ("maintenance_backlog", &["property"]),
    ("call_activity", &["crm"]),
];

/// The modules that are switched off where those of `on` are on, in the order of [`MODULES`].
pub fn switched_off(on: &[String]) -> Vec<&'static str> {
    MODULES.into_iter().filter(|module| !on.iter().any(|name| name == module)).collect()
}

/// The built-in views that are not shown where only the modules of `on` are on, each with the module
/// that would show it.
pub fn hidden_views(on: &[String]) -> impl Iterator<Item = (&'static str, &'static str)> {
    let is_off = |module: &&str| !on.iter().any(|name| name == module);
    VIEWS.into_iter().filter_map(move |(view, modules)| {
        let first = modules.first()?;
        modules.iter().all(&is_off).then_some((view, *first))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    fn on(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn nothing_is_hidden_where_all_is_on() {
        assert!(switched_off(&on(&MODULES)).is_empty());
        assert_eq!(hidden_views(&on(&MODULES)).count(), 0);
    }

    #[test]
    fn a_view_of_two_modules_needs_one_of_them() {
        let hides =
            |names: &[&str]| hidden_views(&on(names)).any(|(view, _)| view == "cash_position");
        assert!(!hides(&["invoicing"]));
        assert!(!hides(&["purchasing"]));
        assert!(hides(&["crm", "hr"]));
    }

    #[test]
    fn every_module_shows_something_or_feeds_what_others_show() {
        let shown: BTreeSet<&str> =
            VIEWS.iter().flat_map(|(_, modules)| *modules).copied().collect();
        let known: BTreeSet<&str> = MODULES.into_iter().collect();
        assert_eq!(shown, known);
        for module in MODULES {
            let hidden: Vec<&str> = hidden_views(&on(&[module])).map(|(view, _)| view).collect();
            assert!(hidden.len() < VIEWS.len(), "{module} shows nothing");
            assert_eq!(switched_off(&on(&[module])).len(), MODULES.len() - 1);
        }
    }
}
