//! Names of own views: what one may be, and which are those of views that every tenant has.

use projections::ViewDefinition;

use super::OwnViewError;

/// Whether every tenant has a view of that name, also if only other views read it.
pub(super) fn is_builtin(name: &str) -> bool {
    ViewDefinition::builtin().iter().any(|view| view.name == name)
}

/// Whether a view may have that name.
pub(super) fn check(name: &str) -> Result<(), OwnViewError> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins || name.len() > 63 || !name.chars().all(is_word) {
        return Err(OwnViewError::Name(name.chars().take(80).collect()));
    }
    if is_builtin(name) {
        return Err(OwnViewError::BuiltIn(name.to_owned()));
    }
    Ok(())
}
