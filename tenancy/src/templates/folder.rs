//! Templates of whoever runs the service: the files of a folder, beside the built-in ones.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

use chrono::DateTime;

use super::{Template, TemplateError};
use crate::dashboards::of_template;
use crate::modules::MODULES;

/// The largest file, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// The most files.
const MAX_FILES: usize = 200;
/// What their names end with.
const ENDING: &str = "json";

/// The texts of a folder's files `<name>.json` by their names.
pub(super) fn read(folder: &Path) -> Result<BTreeMap<String, String>, TemplateError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| TemplateError::Folder { path, source }
    };
    let mut texts = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let is_one = path.extension().is_some_and(|ending| ending == ENDING);
        let Some(name) = path.file_stem().and_then(OsStr::to_str).filter(|_| is_one) else {
            continue;
        };
        let wrong = |message: String| TemplateError::Wrong { name: name.to_owned(), message };
        if path.metadata().map_err(failed(&path))?.len() > MAX_BYTES {
            return Err(wrong(format!("the file has at most {MAX_BYTES} bytes")));
        }
        if texts.len() == MAX_FILES {
            return Err(wrong(format!("a folder has at most {MAX_FILES} templates")));
        }
        texts.insert(name.to_owned(), std::fs::read_to_string(&path).map_err(failed(&path))?);
    }
    Ok(texts)
}

/// All files: the built-in ones in their order, each as the folder has it where it has it, and then
/// those that the folder alone has.
pub(super) fn beside<'a>(
    builtin: &[(&'a str, &'a str)],
    own: &'a BTreeMap<String, String>,
) -> Vec<(&'a str, &'a str)> {
    let text = |name: &str| own.get(name).map(String::as_str);
    let replaced = builtin.iter().map(|&(name, given)| (name, text(name).unwrap_or(given)));
    let is_builtin = |name: &str| builtin.iter().any(|(known, _)| *known == name);
    let further = own.iter().filter(|(name, _)| !is_builtin(name));
    replaced.chain(further.map(|(name, text)| (name.as_str(), text.as_str()))).collect()
}

/// What holds of the built-in ones, by their tests, holds of all: names and ids can stand in ids and
/// addresses, each is there once, and the modules are known.
pub(super) fn check(files: &[(&str, &str)], templates: &[Template]) -> Result<(), TemplateError> {
    for ((name, _), template) in files.iter().zip(templates) {
        let wrong = |message: String| TemplateError::Wrong { name: (*name).to_owned(), message };
        if template.vertical != *name || !is_plain(name) {
            return Err(wrong(format!(
                "its `vertical` is the name of its file, of a-z, 0-9 and `-`, and not `{}`",
                template.vertical
            )));
        }
        if template.version == 0 {
            return Err(wrong("its `version` is 1 or more".to_owned()));
        }
        if let Some(other) = template.modules.iter().find(|m| !MODULES.contains(&m.as_str())) {
            return Err(wrong(format!("there is no module `{other}`")));
        }
        let lists: [(&str, Vec<&str>); 5] = [
            ("events", template.events.iter().map(|event| event.id.as_str()).collect()),
            ("dashboards", template.dashboards.iter().map(|board| board.id.as_str()).collect()),
            ("reports", template.reports.iter().map(|report| report.id.as_str()).collect()),
            ("custom_fields", template.custom_fields.iter().map(|f| f.id.as_str()).collect()),
            ("alert_rules", template.alert_rules.iter().map(|rule| rule.id.as_str()).collect()),
        ];
        for (list, ids) in lists {
            let mut known = BTreeSet::new();
            for id in ids {
                if !is_plain(id) || template.part_id(id).len() > 64 {
                    return Err(wrong(format!(
                        "`{id}` in `{list}`: an id has a-z, 0-9 and `-`, and with the template's \
                         name before it at most 64 characters"
                    )));
                }
                if !known.insert(id) {
                    return Err(wrong(format!("`{list}` has `{id}` twice")));
                }
            }
        }
        of_template(template, DateTime::UNIX_EPOCH)
            .map_err(|error| wrong(format!("its dashboards: {error}")))?;
    }
    Ok(())
}

/// Whether a text can stand in ids and addresses.
fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
