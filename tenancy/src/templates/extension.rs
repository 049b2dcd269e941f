//! Templates that build on others: each file as it is written, with what it takes over.
//!
//! A file that `extends` another has all of that one: its modules are on beside its own, and of every
//! list of things with ids the other's come first. A thing with the same id takes the place of the
//! other's, whole. Whatever else the file says itself holds; what it leaves out is the other's.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Template;
use crate::modules::MODULES;

/// Why the templates are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file is no template.
    #[error("the template `{name}` cannot be read: {source}")]
    Unreadable {
        /// The file, without its ending.
        name: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file extends one that is not there.
    #[error("the template `{name}` extends `{extends}`, and there is none of that name")]
    Unknown {
        /// The file, without its ending.
        name: String,
        /// What it extends.
        extends: String,
    },
    /// The folder, or a file in it, cannot be read.
    #[error("templates: {path}: {source}")]
    Folder {
        /// It.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the folder is not as templates are.
    #[error("the template `{name}`: {message}")]
    Wrong {
        /// The file, without its ending.
        name: String,
        /// What would be right.
        message: String,
    },
    /// Templates were asked for before they were loaded.
    #[error("other templates are in use already; load those of the folder at the start")]
    Late,
    /// Files extend each other.
    #[error("templates extend each other, so that none is the first: {}", .0.join(" extends "))]
    Cycle(Vec<String>),
}

/// The templates of files, given by their names without ending and their texts, in that order.
pub(super) fn resolve(files: &[(&str, &str)]) -> Result<Vec<Template>, TemplateError> {
    let mut written = BTreeMap::new();
    for (name, text) in files {
        let fields: Map<String, Value> = serde_json::from_str(text)
            .map_err(|source| TemplateError::Unreadable { name: (*name).to_owned(), source })?;
        written.insert(*name, fields);
    }
    let each = files.iter().map(|(name, _)| {
        let fields = whole(&written, name, &mut Vec::new())?;
        Template::deserialize(Value::Object(fields))
            .map_err(|source| TemplateError::Unreadable { name: (*name).to_owned(), source })
    });
    each.collect()
}

/// What a file says, with what it takes over. `above` are the files that build on it.
fn whole<'a>(
    written: &'a BTreeMap<&str, Map<String, Value>>,
    name: &'a str,
    above: &mut Vec<&'a str>,
) -> Result<Map<String, Value>, TemplateError> {
    let is_above = above.contains(&name);
    above.push(name);
    if is_above {
        return Err(TemplateError::Cycle(above.iter().map(|name| (*name).to_owned()).collect()));
    }
    let Some(fields) = written.get(name) else {
        let by = above.iter().rev().nth(1).copied().unwrap_or(name);
        return Err(TemplateError::Unknown { name: by.to_owned(), extends: name.to_owned() });
    };
    match fields.get("extends").and_then(Value::as_str) {
        Some(extends) => Ok(extended(whole(written, extends, above)?, fields)),
        None => Ok(fields.clone()),
    }
}

/// A template with what a file that extends it says.
fn extended(mut whole: Map<String, Value>, fields: &Map<String, Value>) -> Map<String, Value> {
    for (field, own) in fields {
        let taken = match (whole.remove(field), own) {
            (Some(Value::Array(modules)), Value::Array(own)) if field == "modules" => {
                Value::Array(both(&modules, own))
            }
            (Some(Value::Array(list)), Value::Array(own)) => Value::Array(replaced(list, own)),
            (_, own) => own.clone(),
        };
        whole.insert(field.clone(), taken);
    }
    whole
}

/// The modules of two lists, in the order of [`MODULES`]; what is none of them is left for whoever
/// reads the template to refuse.
fn both(modules: &[Value], own: &[Value]) -> Vec<Value> {
    let all = || modules.iter().chain(own);
    let known = MODULES.into_iter().map(Value::from).filter(|module| all().any(|m| m == module));
    let is_known = |module: &&Value| MODULES.iter().any(|known| *module == known);
    known.chain(own.iter().filter(|module| !is_known(module)).cloned()).collect()
}

/// A list with those of another, which take the places of those with their ids.
fn replaced(mut list: Vec<Value>, own: &[Value]) -> Vec<Value> {
    for item in own {
        let id = item.get("id").filter(|id| id.is_string());
        match list.iter_mut().find(|other| id.is_some() && other.get("id") == id) {
            Some(other) => *other = item.clone(),
            None => list.push(item.clone()),
        }
    }
    list
}

#[cfg(test)]
mod tests;
