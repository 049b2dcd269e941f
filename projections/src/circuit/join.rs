//! Joins: inner, left, semi and anti, on equal keys with any further condition.
//!
//! Both sides are kept, by key. A change of one side meets the rows of the other:
//! Δ(L ⋈ R) = L ⋈ ΔR + ΔL ⋈ (R + ΔR). Where it matters whether a left row has a partner (all kinds
//! but the inner one) the row carries the number of its partners.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt32Array, new_null_array,
};
use arrow::compute::{filter, take};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashMap;

use super::evaluate::matching;
use super::packed::Packed;
use super::side::JoinSide;
use super::table::KeyTable;
use super::{Operator, Step};
use crate::change::batch;
use crate::{Change, RuntimeError, Tenant};

/// Which rows a join puts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinKind {
    /// Pairs.
    Inner,
    /// Pairs, and left rows without a partner beside nulls.
    Left,
    /// Left rows with a partner.
    Semi,
    /// Left rows without a partner.
    Anti,
}

/// A change of one side with the keys and bytes of its rows.
struct Arrived<'a> {
    change: &'a Change,
    /// The key's slot of each row; none where a part of the key is null.
    keys: Vec<Option<u32>>,
    rows: Packed,
}

/// Pairs of a kept row (by slot) and an arriving row (by index).
#[derive(Default)]
struct Pairs {
    kept: Vec<u32>,
    arrived: Vec<u32>,
    weights: Vec<i64>,
}

/// How many partners kept left rows gain, by slot.
type Gained = HashMap<u32, i64>;

/// Which side the kept rows of pairs are on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Left,
    Right,
}

/// A join of two inputs, left and right.
pub(crate) struct Join {
    kind: JoinKind,
    left: JoinSide,
    right: JoinSide,
    /// The further condition, over the columns of both sides.
    residual: Option<(Arc<dyn PhysicalExpr>, SchemaRef)>,
    nulls_are_equal: bool,
    keys: KeyTable,
    schema: SchemaRef,
}

impl Join {
    /// A join whose output is `schema`.
    pub(crate) fn new(
        kind: JoinKind,
        left: JoinSide,
        right: JoinSide,
        residual: Option<(Arc<dyn PhysicalExpr>, SchemaRef)>,
        nulls_are_equal: bool,
        schema: SchemaRef,
    ) -> Result<Self, RuntimeError> {
        let keys = KeyTable::default();
        Ok(Self { kind, left, right, residual, nulls_are_equal, keys, schema })
    }

    fn arrive<'a>(&mut self, change: &'a Change, kept: Kept) -> Result<Arrived<'a>, RuntimeError> {
        let side = if kept == Kept::Left { &self.right } else { &self.left };
        let columns = side.key_columns(&change.rows)?;
        let packed = side.key_packer().pack(&change.tenants, &columns)?;
        let rows = side.pack(change)?;
        let nulls: Vec<&ArrayRef> =
            columns.iter().filter(|c| !self.nulls_are_equal && c.null_count() > 0).collect();
        let keys = if nulls.is_empty() {
            self.keys.locate(&packed).into_iter().map(|(slot, _)| Some(slot)).collect()
        } else {
            (0..change.len())
                .map(|row| {
                    let null = nulls.iter().any(|column| column.is_null(row));
                    (!null).then(|| self.keys.find_or_add(packed.row(row)).0)
                })
                .collect()
        };
        Ok(Arrived { change, keys, rows })
    }

    /// The rows that meet, and satisfy the condition, with the columns of both when there is need.
    fn meet(
        &self,
        arrived: &Arrived<'_>,
        kept: Kept,
        wanted: bool,
    ) -> Result<(Pairs, Option<RecordBatch>), RuntimeError> {
        let side = if kept == Kept::Left { &self.left } else { &self.right };
        let mut pairs = Pairs::default();
        for (index, key) in arrived.keys.iter().enumerate() {
            let Some(key) = key else { continue };
            let weight = arrived.change.weights.value(index);
            for slot in side.of_key(*key) {
                pairs.kept.push(*slot);
                pairs.arrived.push(index as u32);
                pairs.weights.push(side.state(*slot).weight * weight);
            }
        }
        if pairs.kept.is_empty() || (self.residual.is_none() && !wanted) {
            return Ok((pairs, None));
        }
        let kept_slots: Vec<Option<u32>> = pairs.kept.iter().copied().map(Some).collect();
        let kept_columns = side.columns(&kept_slots)?;
        let indices = UInt32Array::from(pairs.arrived.clone());
        let arrived_columns = arrived
            .change
            .rows
            .columns()
            .iter()
            .map(|c| take(c, &indices, None))
            .collect::<Result<Vec<_>, _>>()?;
        let columns: Vec<ArrayRef> = match kept {
            Kept::Left => kept_columns.into_iter().chain(arrived_columns).collect(),
            Kept::Right => arrived_columns.into_iter().chain(kept_columns).collect(),
        };
        let Some((condition, schema)) = &self.residual else {
            let rows =
                batch(both(self.left.schema(), self.right.schema()), columns, pairs.kept.len())?;
            return Ok((pairs, Some(rows)));
        };
        let rows = batch(schema.clone(), columns, pairs.kept.len())?;
        let keep = matching(condition.as_ref(), &rows)?;
        let chosen: Vec<usize> = (0..keep.len()).filter(|i| keep.value(*i)).collect();
        let pairs = Pairs {
            kept: chosen.iter().map(|i| pairs.kept[*i]).collect(),
            arrived: chosen.iter().map(|i| pairs.arrived[*i]).collect(),
            weights: chosen.iter().map(|i| pairs.weights[*i]).collect(),
        };
        let columns =
            rows.columns().iter().map(|c| filter(c, &keep)).collect::<Result<Vec<_>, _>>()?;
        let rows = batch(schema.clone(), columns, pairs.kept.len())?;
        Ok((pairs, Some(rows)))
    }

    fn keeps_pairs(&self) -> bool {
        matches!(self.kind, JoinKind::Inner | JoinKind::Left)
    }

    /// What a left row adds to the output beside its pairs, when it has a partner or not.
    fn alone(&self, has_partner: bool) -> bool {
        match self.kind {
            JoinKind::Inner => false,
            JoinKind::Left | JoinKind::Anti => !has_partner,
            JoinKind::Semi => has_partner,
        }
    }

    fn pairs_change(
        &self,
        arrived: &Arrived<'_>,
        pairs: &Pairs,
        rows: Option<RecordBatch>,
    ) -> Result<Option<Change>, RuntimeError> {
        let Some(rows) = rows.filter(|rows| rows.num_rows() > 0 && self.keeps_pairs()) else {
            return Ok(None);
        };
        let tenants = pairs.arrived.iter().map(|i| arrived.change.tenants.value(*i as usize));
        let rows = batch(self.schema.clone(), rows.columns().to_vec(), pairs.kept.len())?;
        let weights = Int64Array::from(pairs.weights.clone());
        Ok(Some(Change::new(UInt32Array::from_iter_values(tenants), rows, weights)))
    }

    /// Left rows put out without a right row.
    fn alone_change(
        &self,
        tenants: UInt32Array,
        mut columns: Vec<ArrayRef>,
        weights: Vec<i64>,
    ) -> Result<Option<Change>, RuntimeError> {
        if weights.is_empty() {
            return Ok(None);
        }
        if self.kind == JoinKind::Left {
            let nulls = self
                .right
                .schema()
                .fields()
                .iter()
                .map(|f| new_null_array(f.data_type(), weights.len()));
            columns.extend(nulls);
        }
        let rows = batch(self.schema.clone(), columns, weights.len())?;
        Ok(Some(Change::new(tenants, rows, Int64Array::from(weights))))
    }

    /// The part of a change of the right side, and how many partners each left row gains.
    fn right_part(&self, arrived: &Arrived<'_>) -> Result<(Vec<Change>, Gained), RuntimeError> {
        let (pairs, rows) = self.meet(arrived, Kept::Left, self.keeps_pairs())?;
        let mut gained = Gained::new();
        let mut parts = Vec::new();
        if self.kind != JoinKind::Inner {
            for (slot, index) in pairs.kept.iter().zip(&pairs.arrived) {
                *gained.entry(*slot).or_default() += arrived.change.weights.value(*index as usize);
            }
            parts.extend(self.turned(&gained)?);
        }
        parts.extend(self.pairs_change(arrived, &pairs, rows)?);
        Ok((parts, gained))
    }

    /// Left rows that got their first partner or lost their last one.
    fn turned(&self, gained: &Gained) -> Result<Option<Change>, RuntimeError> {
        let (mut slots, mut weights) = (Vec::new(), Vec::new());
        for (slot, gain) in gained {
            let state = *self.left.state(*slot);
            let (before, after) =
                (self.alone(state.partners != 0), self.alone(state.partners + gain != 0));
            if before != after {
                slots.push(*slot);
                weights.push(if after { state.weight } else { -state.weight });
            }
        }
        if slots.is_empty() {
            return Ok(None);
        }
        let rows: Vec<&[u8]> = slots.iter().map(|slot| self.left.row(*slot)).collect();
        let change = self.left.packer().change(&rows, weights)?;
        let weights = change.weights.values().to_vec();
        self.alone_change(change.tenants, change.rows.columns().to_vec(), weights)
    }

    /// The part of a change of the left side, and how many partners each of its rows has.
    fn left_part(&self, arrived: &Arrived<'_>) -> Result<(Vec<Change>, Vec<i64>), RuntimeError> {
        if let Some(part) = self.looked_up(arrived)? {
            return Ok(part);
        }
        let (pairs, rows) = self.meet(arrived, Kept::Right, self.keeps_pairs())?;
        let mut partners = vec![0_i64; arrived.change.len()];
        for (slot, index) in pairs.kept.iter().zip(&pairs.arrived) {
            partners[*index as usize] += self.right.state(*slot).weight;
        }
        let mut parts = Vec::new();
        if self.kind != JoinKind::Inner {
            let alone = partners.iter().map(|p| Some(self.alone(*p != 0))).collect();
            let change = arrived.change.filter(&alone)?;
            let (columns, weights) =
                (change.rows.columns().to_vec(), change.weights.values().to_vec());
            parts.extend(self.alone_change(change.tenants, columns, weights)?);
        }
        parts.extend(self.pairs_change(arrived, &pairs, rows)?);
        Ok((parts, partners))
    }

    /// The part of a change of the left side when no row of it has more than one partner, and
    /// none is refused by a further condition: then its columns go on as they are.
    fn looked_up(
        &self,
        arrived: &Arrived<'_>,
    ) -> Result<Option<(Vec<Change>, Vec<i64>)>, RuntimeError> {
        if self.residual.is_some() || !self.keeps_pairs() {
            return Ok(None);
        }
        let mut found = Vec::with_capacity(arrived.keys.len());
        for key in &arrived.keys {
            match key.map_or(&[][..], |key| self.right.of_key(key)) {
                [] => found.push(None),
                [one] => found.push(Some(*one)),
                _ => return Ok(None),
            }
        }
        let weight = |slot: &Option<u32>| slot.map_or(0, |slot| self.right.state(slot).weight);
        let partners: Vec<i64> = found.iter().map(weight).collect();
        let mut change = arrived.change.clone();
        if self.kind == JoinKind::Inner && partners.contains(&0) {
            let paired: BooleanArray = found.iter().map(|slot| Some(slot.is_some())).collect();
            change = change.filter(&paired)?;
            found.retain(Option::is_some);
        }
        if change.is_empty() {
            return Ok(Some((Vec::new(), partners)));
        }
        let mut columns = change.rows.columns().to_vec();
        columns.extend(self.right.columns(&found)?);
        let rows = batch(self.schema.clone(), columns, found.len())?;
        let weights = change.weights.values().iter().zip(&found);
        let weights = weights.map(|(w, slot)| slot.map_or(*w, |_| w * weight(slot)));
        let weights = Int64Array::from_iter_values(weights);
        Ok(Some((vec![Change::new(change.tenants, rows, weights)], partners)))
    }

    fn keep_right(&mut self, arrived: &Arrived<'_>, sign: i64) {
        for (row, key) in arrived.keys.iter().enumerate() {
            if let Some(key) = key {
                let weight = arrived.change.weights.value(row) * sign;
                self.right.add(*key, arrived.rows.row(row), weight);
            }
        }
    }

    fn keep_left(&mut self, arrived: &Arrived<'_>, partners: &[i64]) {
        for (row, key) in arrived.keys.iter().enumerate() {
            if let Some(key) = key {
                let weight = arrived.change.weights.value(row);
                if let Some(slot) = self.left.add(*key, arrived.rows.row(row), weight) {
                    self.left.state_mut(slot).partners = partners[row];
                }
            }
        }
    }

    /// Meets and keeps both changes; keeps neither when one cannot be evaluated.
    fn meet_both(
        &mut self,
        left: &Arrived<'_>,
        right: &Arrived<'_>,
    ) -> Result<Vec<Change>, RuntimeError> {
        let (mut parts, gained) = self.right_part(right)?;
        self.keep_right(right, 1);
        let (more, partners) = match self.left_part(left) {
            Ok(part) => part,
            Err(error) => {
                self.keep_right(right, -1);
                return Err(error);
            }
        };
        parts.extend(more);
        for (slot, gain) in gained {
            self.left.state_mut(slot).partners += gain;
        }
        self.keep_left(left, &partners);
        Ok(parts)
    }

    /// Gives back the slots of keys that have no rows any more.
    fn release(&mut self, arrived: &Arrived<'_>) {
        for key in arrived.keys.iter().flatten() {
            let unused = self.left.of_key(*key).is_empty() && self.right.of_key(*key).is_empty();
            if unused {
                self.keys.remove(*key);
            }
        }
    }
}

/// The columns of both sides.
fn both(left: &Schema, right: &Schema) -> SchemaRef {
    let fields =
        left.fields().iter().chain(right.fields()).map(|f| f.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl Operator for Join {
    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let right = self.arrive(&step.inputs[1], Kept::Left)?;
        let left = self.arrive(&step.inputs[0], Kept::Right)?;
        let parts = self.meet_both(&left, &right);
        self.release(&right);
        self.release(&left);
        self.left.tidy();
        self.right.tidy();
        Ok(Change::concat(&self.schema, &parts?)?)
    }

    fn append_only(&mut self, inputs: &[bool]) -> bool {
        let (left, right) = (inputs[0], inputs[1]);
        self.left.set_append_only(left);
        self.right.set_append_only(right);
        matches!(self.kind, JoinKind::Inner | JoinKind::Semi) && left && right
    }

    fn bytes(&self, tenant: Tenant) -> usize {
        self.keys.bytes(tenant) + self.left.bytes(tenant) + self.right.bytes(tenant)
    }

    fn forget(&mut self, tenant: Tenant) {
        for key in self.keys.of_tenant(tenant) {
            self.left.clear(key);
            self.right.clear(key);
            self.keys.remove(key);
        }
        self.left.tidy();
        self.right.tidy();
    }
}
