//! Lists of objects with ids: what is in them, and the order of what two sides have made of one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Side, Three};

/// The items of a list by id, in its order.
pub(super) struct Items<'a> {
    order: Vec<&'a str>,
    by_id: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Items<'a> {
    /// The items of a list, if all of them are objects with a text `id`, and no two have the same.
    pub(super) fn of(list: &'a Value) -> Option<Self> {
        let list = list.as_array()?;
        let mut items = Self { order: Vec::with_capacity(list.len()), by_id: BTreeMap::new() };
        for item in list {
            let id = item.as_object()?.get("id")?.as_str()?;
            if items.by_id.insert(id, item).is_some() {
                return None;
            }
            items.order.push(id);
        }
        Some(items)
    }

    pub(super) fn get(&self, id: &str) -> Option<&'a Value> {
        self.by_id.get(id).copied()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// The ids, in order.
    pub(super) fn ids(&self) -> impl Iterator<Item = &'a str> {
        self.order.iter().copied()
    }

    /// The ids of those items that are `kept`, in order.
    fn kept(&self, kept: impl Fn(&str) -> bool) -> Vec<&'a str> {
        self.ids().filter(|id| kept(id)).collect()
    }
}

/// The order of the items that stay, which are all in theirs or ours. `decide` says whose order
/// stands where both have moved the same items.
pub(super) fn order<'a>(
    base: &Items<'a>,
    theirs: &Items<'a>,
    ours: &Items<'a>,
    stays: impl Fn(&str) -> bool,
    decide: impl FnOnce(Three<Value>) -> Side,
) -> Vec<&'a str> {
    let in_theirs = theirs.kept(|id| stays(id) && ours.has(id));
    let in_ours = ours.kept(|id| stays(id) && theirs.has(id));
    let side = if in_theirs == in_ours {
        Side::Ours
    } else {
        // What was there before tells who has moved it.
        let before = base.kept(|id| stays(id) && theirs.has(id) && ours.has(id));
        let moved = |ids: &[&str]| ids.iter().filter(|id| base.has(id)).ne(&before);
        let both_added = in_ours.len() > before.len();
        match (moved(&in_theirs), moved(&in_ours)) {
            (false, true) => Side::Ours,
            (true, false) if !both_added => Side::Theirs,
            _ => decide(Three {
                base: Some(Value::from(before)),
                theirs: Some(Value::from(in_theirs.clone())),
                ours: Some(Value::from(in_ours.clone())),
            }),
        }
    };
    let shared = match side {
        Side::Theirs => in_theirs,
        Side::Ours => in_ours,
    };
    let mut theirs = runs(theirs, &shared, &stays);
    let mut ours = runs(ours, &shared, &stays);
    let mut order = Vec::new();
    for anchor in std::iter::once(None).chain(shared.into_iter().map(Some)) {
        order.extend(anchor);
        let theirs = theirs.remove(&anchor).unwrap_or_default();
        let ours = ours.remove(&anchor).unwrap_or_default();
        // By id, so that it does not matter which side is which.
        let (first, second) =
            if theirs.first() < ours.first() { (theirs, ours) } else { (ours, theirs) };
        order.extend(first);
        order.extend(second);
    }
    order
}

/// What one side alone has, by the shared item that it follows there; `None`: at the beginning.
fn runs<'a>(
    items: &Items<'a>,
    shared: &[&'a str],
    stays: impl Fn(&str) -> bool,
) -> BTreeMap<Option<&'a str>, Vec<&'a str>> {
    let shared: BTreeSet<&str> = shared.iter().copied().collect();
    let mut runs: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
    let mut anchor = None;
    for id in items.kept(stays) {
        if shared.contains(id) {
            anchor = Some(id);
        } else {
            runs.entry(anchor).or_default().push(id);
        }
    }
    runs
}
