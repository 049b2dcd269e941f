//! Merging: a newer version of what a template gave, with what a tenant has made of the older one.
//!
//! **In:** three JSON documents: the *base* that both began from, *theirs* (the newer template) and
//! *ours* (what the tenant has now). **Out:** one that has the changes of both, and the conflicts:
//! where both changed the same thing, and not to the same.
//!
//! Objects are merged by key. Lists whose items are all objects with a text `id`, each once, are
//! merged by id: items are added, changed, removed and moved. Everything else is a whole, as a list
//! of names is, and so is where something lies (`at`). It asks nothing else of what the documents
//! mean, so dashboards, reports, rules of alerts and custom fields are merged alike; whoever uses the
//! result checks it as any other document.
//!
//! Invariants:
//! - Every change that ours made is in the result or in a conflict, and so is every one of theirs. A
//!   removal against a change is a conflict too.
//! - In a conflict the result has ours, until it is settled otherwise.
//! - What only one side changed is as that side has it: with nothing changed in theirs the result is
//!   ours, with nothing changed in ours it is theirs, the order of lists included.
//! - Merging the result with the same base and theirs gives the result again.

mod items;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use self::items::Items;

/// An object of JSON.
type Object = Map<String, Value>;

/// The member that says where something lies: the column of one side with the width of the other is
/// a place that neither has chosen.
const WHERE: &str = "at";

/// A place in a document: keys and ids of items from the outermost in, each after a `/`, as a JSON
/// pointer (RFC 6901) with ids in the place of numbers. The document as a whole is the empty text.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
#[schema(as = MergePath, value_type = String)]
pub struct Path(String);

impl Path {
    /// The path of a text such as `/dashboards/stock/document/widgets/value/at`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// It as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn join(&self, name: &str) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{name}", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MergeSide)]
pub enum Side {
    /// That of the newer template.
    Theirs,
    /// The tenant's.
    Ours,
}

/// What two sides disagree about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MergeSubject)]
pub enum Subject {
    /// What stands there.
    Value,
    /// In which order the items of a list stand; the values are their ids.
    Order,
}

/// Something that both sides changed, and not to the same. A value that is absent is not there.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = MergeConflict)]
pub struct Conflict {
    /// Where.
    pub path: Path,
    /// About what.
    pub about: Subject,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Value>,
    /// What the newer template has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theirs: Option<Value>,
    /// What the tenant has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours: Option<Value>,
}

/// What comes of a merge.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Merged {
    /// The document with the changes of both; in a conflict, of ours.
    pub document: Value,
    /// What is not settled, in the order of the document.
    pub conflicts: Vec<Conflict>,
}

/// Which side each conflict is settled for.
pub type Settlements = BTreeMap<Path, Side>;

/// Why conflicts are not settled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The documents do not disagree there.
    #[error("there is no conflict at `{path}`; settle those that the merge lists")]
    NoConflict {
        /// The place.
        path: Path,
    },
}

/// Merges what two sides have made of a base.
pub fn merge(base: &Value, theirs: &Value, ours: &Value) -> Merged {
    merging(base, theirs, ours, &Settlements::new()).0
}

/// Merges, with conflicts settled. What is left is told as [`merge`] tells it.
pub fn settle(
    base: &Value,
    theirs: &Value,
    ours: &Value,
    settlements: &Settlements,
) -> Result<Merged, SettleError> {
    let (merged, settled) = merging(base, theirs, ours, settlements);
    match settlements.keys().find(|path| !settled.contains(path)) {
        Some(path) => Err(SettleError::NoConflict { path: path.clone() }),
        None => Ok(merged),
    }
}

/// Merges; what comes of it, and the conflicts that were settled.
fn merging(
    base: &Value,
    theirs: &Value,
    ours: &Value,
    settlements: &Settlements,
) -> (Merged, Vec<Path>) {
    let mut merge = Merge { settlements, settled: Vec::new(), conflicts: Vec::new() };
    let each = Three { base: Some(base), theirs: Some(theirs), ours: Some(ours) };
    // All three are there, and so is what comes of them.
    let document = merge.value(&Path::default(), each).unwrap_or_default();
    (Merged { document, conflicts: merge.conflicts }, merge.settled)
}

/// The same in three documents, as far as it is there.
#[derive(Clone, Copy)]
struct Three<T> {
    base: Option<T>,
    theirs: Option<T>,
    ours: Option<T>,
}

impl<T> Three<T> {
    /// Each as something else.
    fn map<U>(self, mut part: impl FnMut(T) -> Option<U>) -> Three<U> {
        Three {
            base: self.base.and_then(&mut part),
            theirs: self.theirs.and_then(&mut part),
            ours: self.ours.and_then(&mut part),
        }
    }

    /// All of them, if all are there.
    fn all(self) -> Option<(T, T, T)> {
        Some((self.base?, self.theirs?, self.ours?))
    }
}

/// A merge that is being made.
struct Merge<'a> {
    settlements: &'a Settlements,
    settled: Vec<Path>,
    conflicts: Vec<Conflict>,
}

impl Merge<'_> {
    /// What comes of one place; `None`: nothing is there.
    fn value(&mut self, path: &Path, each: Three<&Value>) -> Option<Value> {
        let Three { base, theirs, ours } = each;
        if theirs == ours || theirs == base || ours == base {
            return self.whole(path, each);
        }
        if let Some(objects) = each.map(Value::as_object).all() {
            return Some(Value::Object(self.members(path, objects)));
        }
        if let Some(lists) = each.map(Items::of).all() {
            return Some(Value::Array(self.items(path, lists)));
        }
        self.whole(path, each)
    }

    /// What comes of one place that is a whole.
    fn whole(&mut self, path: &Path, each: Three<&Value>) -> Option<Value> {
        let Three { base, theirs, ours } = each;
        if theirs == ours || theirs == base {
            return ours.cloned();
        }
        if ours == base {
            return theirs.cloned();
        }
        match self.side(path, Subject::Value, each.map(|value| Some(value.clone()))) {
            Side::Theirs => theirs.cloned(),
            Side::Ours => ours.cloned(),
        }
    }

    /// Merges objects by key.
    fn members(
        &mut self,
        path: &Path,
        (base, theirs, ours): (&Object, &Object, &Object),
    ) -> Object {
        // In the order of ours; what theirs has beside it follows.
        let added = theirs.keys().filter(|key| !ours.contains_key(*key));
        let mut merged = Object::new();
        for key in ours.keys().chain(added) {
            let each = Three { base: base.get(key), theirs: theirs.get(key), ours: ours.get(key) };
            let path = path.join(key);
            let value =
                if key == WHERE { self.whole(&path, each) } else { self.value(&path, each) };
            if let Some(value) = value {
                merged.insert(key.clone(), value);
            }
        }
        merged
    }

    /// Merges lists of items by id.
    fn items(
        &mut self,
        path: &Path,
        (base, theirs, ours): (Items<'_>, Items<'_>, Items<'_>),
    ) -> Vec<Value> {
        let mut merged = BTreeMap::new();
        for id in ours.ids().chain(theirs.ids().filter(|id| !ours.has(id))) {
            let each = Three { base: base.get(id), theirs: theirs.get(id), ours: ours.get(id) };
            if let Some(value) = self.value(&path.join(id), each) {
                merged.insert(id, value);
            }
        }
        let order = items::order(
            &base,
            &theirs,
            &ours,
            |id| merged.contains_key(id),
            |each| self.side(path, Subject::Order, each),
        );
        order.into_iter().filter_map(|id| merged.remove(id)).collect()
    }

    /// Notes a conflict, and says whose version stands: that for which it is settled, or ours.
    fn side(&mut self, path: &Path, about: Subject, each: Three<Value>) -> Side {
        if let Some(side) = self.settlements.get(path) {
            self.settled.push(path.clone());
            return *side;
        }
        let Three { base, theirs, ours } = each;
        self.conflicts.push(Conflict { path: path.clone(), about, base, theirs, ours });
        Side::Ours
    }
}

#[cfg(test)]
mod board_tests;
#[cfg(test)]
mod tests;
