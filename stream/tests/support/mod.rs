//! A small world for tests: tenants with two views, whose snapshots and deltas are made by hand.

#![allow(dead_code, missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod client;
pub mod questions;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, RwLock};

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use projections::{Position, Tenant, TenantDelta, TenantSnapshot, View, ViewChange, ViewSnapshot};
use stream::Snapshots;

/// The rows of a view: its key, and the group and amount (in ten-thousandths) under it.
pub type Rows = BTreeMap<String, (Option<String>, i128)>;

/// A row put into a view under a key, or removed from it.
pub type Edit<'a> = (usize, &'a str, Option<(Option<&'a str>, i128)>);

pub const VIEWS: [&str; 2] = ["items", "others"];

/// The tenants' snapshots, as a partition would keep them.
#[derive(Default)]
pub struct World {
    views: Vec<Arc<View>>,
    tenants: RwLock<HashMap<Tenant, Kept>>,
}

#[derive(Clone, Default)]
struct Kept {
    rows: [Rows; 2],
    sequence: u64,
    snapshot: Option<Arc<TenantSnapshot>>,
}

/// Shared with the hub.
#[derive(Clone)]
pub struct Shared(pub Arc<World>);

impl Snapshots for Shared {
    fn snapshot(&self, tenant: Tenant) -> Arc<TenantSnapshot> {
        self.0.snapshot(tenant)
    }
}

impl World {
    pub fn shared() -> Shared {
        let schema = Arc::new(Schema::new(vec![
            Field::new("item", DataType::Utf8, false),
            Field::new("team", DataType::Utf8, true),
            Field::new("amount", DataType::Decimal128(38, 4), false),
        ]));
        let views = VIEWS
            .iter()
            .map(|name| Arc::new(View::new(*name, "SELECT 1", schema.clone(), vec![0])))
            .collect();
        Shared(Arc::new(Self { views, tenants: RwLock::default() }))
    }

    pub fn snapshot(&self, tenant: Tenant) -> Arc<TenantSnapshot> {
        let kept = self.tenants.read().unwrap().get(&tenant).cloned().unwrap_or_default();
        kept.snapshot.clone().unwrap_or_else(|| self.snapshot_of(tenant, &kept))
    }

    pub fn position(&self, tenant: Tenant) -> Position {
        self.snapshot(tenant).position()
    }

    /// Puts and removes rows of the views, `events` positions further on.
    pub fn apply(&self, tenant: Tenant, events: u64, edits: &[Edit<'_>]) -> TenantDelta {
        let mut kept = self.tenants.read().unwrap().get(&tenant).cloned().unwrap_or_default();
        let before = kept.clone();
        for (view, key, row) in edits {
            match row {
                Some((team, amount)) => {
                    kept.rows[*view].insert((*key).to_owned(), (team.map(str::to_owned), *amount))
                }
                None => kept.rows[*view].remove(*key),
            };
        }
        kept.sequence += events;
        let snapshot = self.snapshot_of(tenant, &kept);
        kept.snapshot = Some(snapshot.clone());
        let changes =
            (0..2).filter_map(|v| self.change(v, &before.rows[v], &kept.rows[v])).collect();
        self.tenants.write().unwrap().insert(tenant, kept);
        TenantDelta { from: before.sequence, snapshot, changes }
    }

    pub fn rows(&self, tenant: Tenant) -> [Rows; 2] {
        self.tenants.read().unwrap().get(&tenant).cloned().unwrap_or_default().rows
    }

    fn snapshot_of(&self, tenant: Tenant, kept: &Kept) -> Arc<TenantSnapshot> {
        let views = self.views.iter().zip(&kept.rows).map(|(view, rows)| {
            let rows = batch(view, rows.iter());
            ViewSnapshot::from_batch(view.clone(), &rows).unwrap()
        });
        Arc::new(TenantSnapshot::with_views(tenant, kept.sequence, None, views.collect()))
    }

    fn change(&self, view: usize, before: &Rows, after: &Rows) -> Option<ViewChange> {
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let changed: Vec<_> =
            keys.into_iter().filter(|k| before.get(*k) != after.get(*k)).collect();
        let gone: Vec<_> = changed.iter().filter_map(|k| before.get_key_value(*k)).collect();
        let come: Vec<_> = changed.iter().filter_map(|k| after.get_key_value(*k)).collect();
        if gone.is_empty() && come.is_empty() {
            return None;
        }
        let weights = gone.iter().map(|_| -1).chain(come.iter().map(|_| 1)).collect::<Vec<i64>>();
        let view = self.views[view].clone();
        let rows = batch(&view, gone.into_iter().chain(come));
        Some(ViewChange { view, rows, weights: Int64Array::from(weights) })
    }
}

fn batch<'a>(
    view: &View,
    rows: impl Iterator<Item = (&'a String, &'a (Option<String>, i128))>,
) -> RecordBatch {
    let (mut items, mut teams, mut amounts) = (Vec::new(), Vec::new(), Vec::new());
    for (item, (team, amount)) in rows {
        items.push(item.clone());
        teams.push(team.clone());
        amounts.push(*amount);
    }
    let amounts = Decimal128Array::from(amounts).with_precision_and_scale(38, 4).unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(items)),
        Arc::new(StringArray::from(teams)),
        Arc::new(amounts),
    ];
    RecordBatch::try_new(view.schema().clone(), columns).unwrap()
}

/// A row as the wire has it, written independently of the encoder.
pub fn row_json(item: &str, team: Option<&str>, amount: i128) -> String {
    let team = team.map_or("null".to_owned(), |t| format!("\"{t}\""));
    let (sign, size) = (if amount < 0 { "-" } else { "" }, amount.unsigned_abs());
    format!("[\"{item}\",{team},\"{sign}{}.{:04}\"]", size / 10_000, size % 10_000)
}

/// What a subscription must hold.
pub fn expected(rows: &Rows, team: Option<&str>) -> BTreeSet<String> {
    rows.iter()
        .filter(|(_, (t, _))| team.is_none_or(|wanted| t.as_deref() == Some(wanted)))
        .map(|(item, (t, amount))| row_json(item, t.as_deref(), *amount))
        .collect()
}
