//! A newer version of a template, part by part, beside what a tenant has made of the one it was given.
//!
//! **In:** the modules, dashboards, reports and rules of the version that the tenant was given, of the
//! newer one, and those that the tenant has; what reference data the newer one has beside; and which
//! side stands where they were settled. **Out:** for each part what has become of it, what is not
//! settled, and what is to be done.
//!
//! Invariants:
//! - Whether a tenant has a part is the tenant's word: what it has deleted stays so, and what the
//!   newer version has no more stays the tenant's, unless they are settled otherwise.
//! - Within a part that all three have, [`merge`](super::merge) decides.
//! - Nothing is to be done about a part that already is what it would become.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::merge::{Conflict, Path, SettleError, Settlements, Side, settle};

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TemplatePartKind)]
pub enum PartKind {
    /// A module that is on.
    Module,
    /// A dashboard.
    Dashboard,
    /// A report.
    Report,
    /// A rule of alerts.
    AlertRule,
    /// An event of the reference data that is not seeded yet.
    Event,
}

impl PartKind {
    const ALL: [Self; 5] =
        [Self::Module, Self::Dashboard, Self::Report, Self::AlertRule, Self::Event];

    /// The list of a template that has those of the kind.
    const fn list(self) -> &'static str {
        match self {
            Self::Module => "modules",
            Self::Dashboard => "dashboards",
            Self::Report => "reports",
            Self::AlertRule => "alert_rules",
            Self::Event => "events",
        }
    }
}

/// What has become of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = TemplatePartState)]
pub enum PartState {
    /// Nobody has changed it.
    Unchanged,
    /// The tenant alone has.
    ChangedByTenant,
    /// The newer version alone has.
    ChangedByTemplate,
    /// Both have.
    ChangedByBoth,
    /// The newer version has it, and the tenant was not given it.
    New,
    /// The newer version has it no more.
    RemovedByTemplate,
    /// The tenant has it no more.
    DeletedByTenant,
}

/// A part as one side has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What it is.
    pub kind: PartKind,
    /// Its id within the template.
    pub id: String,
    /// A JSON object with that `id`.
    pub value: Value,
}

/// What each side has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sides {
    /// What the tenant was given.
    pub base: Vec<Item>,
    /// What the newer version has.
    pub theirs: Vec<Item>,
    /// What the tenant has.
    pub ours: Vec<Item>,
}

/// What is to be done about a part.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// The tenant is given that of the newer version.
    Give,
    /// What the tenant has becomes this.
    Change(Value),
    /// What the tenant has is deleted.
    Delete,
}

/// A part of either version.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// By which all of it is settled.
    pub path: Path,
    /// What it is.
    pub kind: PartKind,
    /// Its id within the template.
    pub id: String,
    /// What has become of it.
    pub state: PartState,
    /// What is not settled.
    pub conflicts: Vec<Conflict>,
    /// What is to be done about it, as far as it is settled.
    pub step: Step,
}

/// Compares what the sides have, with some of it settled: by kind in the order of [`PartKind`], those of
/// the newer version first.
pub fn compare(sides: &Sides, settlements: &Settlements) -> Result<Vec<Part>, SettleError> {
    let mut left = settlements.clone();
    let mut parts = Vec::new();
    for kind in PartKind::ALL {
        let of_kind = |items: &[Item]| -> Vec<String> {
            items.iter().filter(|item| item.kind == kind).map(|item| item.id.clone()).collect()
        };
        let mut ids = of_kind(&sides.theirs);
        let removed = of_kind(&sides.base).into_iter().filter(|id| !ids.contains(id));
        let removed: Vec<String> = removed.collect();
        ids.extend(removed);
        for id in ids {
            let find = |items: &[Item]| -> Option<Value> {
                let found = items.iter().find(|item| item.kind == kind && item.id == id);
                found.map(|item| item.value.clone())
            };
            let each = (find(&sides.base), find(&sides.theirs), find(&sides.ours));
            parts.extend(part(kind, &id, each, &mut left)?);
        }
    }
    match left.into_keys().next() {
        Some(path) => Err(SettleError::NoConflict { path }),
        None => Ok(parts),
    }
}

/// One part as base, theirs and ours have it; none, if there is nothing to be said of it. What is
/// settled in it is taken out of `left`.
fn part(
    kind: PartKind,
    id: &str,
    each: (Option<Value>, Option<Value>, Option<Value>),
    left: &mut Settlements,
) -> Result<Option<Part>, SettleError> {
    let path = Path::default().join(kind.list()).join(id);
    let mut conflicts = Vec::new();
    let (state, step) = match each {
        (base, Some(theirs), Some(ours)) => {
            // What a tenant has that was not given to it is its own.
            let base = base.unwrap_or_else(|| theirs.clone());
            let state = match (theirs == base, ours == base) {
                (true, true) => PartState::Unchanged,
                (true, false) => PartState::ChangedByTenant,
                (false, true) => PartState::ChangedByTemplate,
                (false, false) => PartState::ChangedByBoth,
            };
            let (merged, open) = merged(kind, &path, (base, theirs, &ours), left)?;
            conflicts = open;
            (state, if merged == ours { Step::Keep } else { Step::Change(merged) })
        }
        (None, Some(_), None) => match left.remove(&path) {
            Some(Side::Ours) => (PartState::New, Step::Keep),
            Some(Side::Theirs) | None => (PartState::New, Step::Give),
        },
        (Some(_), Some(_), None) => match left.remove(&path) {
            Some(Side::Theirs) => (PartState::DeletedByTenant, Step::Give),
            Some(Side::Ours) | None => (PartState::DeletedByTenant, Step::Keep),
        },
        (Some(_), None, Some(_)) => match left.remove(&path) {
            Some(Side::Theirs) => (PartState::RemovedByTemplate, Step::Delete),
            Some(Side::Ours) | None => (PartState::RemovedByTemplate, Step::Keep),
        },
        (_, None, _) => return Ok(None),
    };
    Ok(Some(Part { path, kind, id: id.to_owned(), state, conflicts, step }))
}

/// What comes of a part that all three have, and what is not settled in it.
fn merged(
    kind: PartKind,
    path: &Path,
    (base, theirs, ours): (Value, Value, &Value),
    left: &mut Settlements,
) -> Result<(Value, Vec<Conflict>), SettleError> {
    match left.remove(path) {
        Some(Side::Theirs) => return Ok((theirs, Vec::new())),
        Some(Side::Ours) => return Ok((ours.clone(), Vec::new())),
        None => {}
    }
    let within = format!("{path}/");
    let settled: Settlements = left
        .iter()
        .filter(|(path, _)| path.as_str().starts_with(&within))
        .map(|(path, side)| (path.clone(), *side))
        .collect();
    left.retain(|path, _| !settled.contains_key(path));
    // As they stand in a template, so that paths lead from there.
    let list = kind.list();
    let document = |part: &Value| json!({ list: [part] });
    let merged = settle(&document(&base), &document(&theirs), &document(ours), &settled)?;
    // All three have it, and so has what comes of them.
    let part = merged.document.get(list).and_then(|parts| parts.get(0)).cloned();
    Ok((part.unwrap_or_else(|| ours.clone()), merged.conflicts))
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
