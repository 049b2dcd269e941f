//! The built-in views, and what one of them needs of the others.

use std::collections::HashSet;

use projections::ViewDefinition;

/// The built-in views of these names with all that they are built on; all where none is named.
///
/// # Panics
/// If there is no view of a name.
pub fn builtin(names: &[String]) -> Vec<ViewDefinition> {
    let all = ViewDefinition::builtin();
    if names.is_empty() {
        return all;
    }
    let mut needed: HashSet<&str> = HashSet::new();
    for name in names {
        assert!(all.iter().any(|view| view.name == *name), "there is no built-in view {name}");
        needed.insert(name);
    }
    // A view reads only those before it.
    for view in all.iter().rev() {
        if needed.contains(view.name.as_str()) {
            needed.extend(all.iter().map(|v| v.name.as_str()).filter(|name| reads(view, name)));
        }
    }
    let keep = |view: &&ViewDefinition| needed.contains(view.name.as_str());
    all.iter().filter(keep).cloned().collect()
}

/// Whether the view's SQL, comments aside, has the word `name`.
fn reads(view: &ViewDefinition, name: &str) -> bool {
    let is_word = |c: char| !(c.is_alphanumeric() || c == '_');
    view.sql
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .any(|line| line.split(is_word).any(|word| word == name))
}
