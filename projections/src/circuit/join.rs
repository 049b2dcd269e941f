//! Joins: inner, left, semi and anti, on equal keys with any further condition.
//!
//! Both sides are kept, by key. A change of one side meets the rows of the other:
//! Δ(L ⋈ R) = L ⋈ ΔR + ΔL ⋈ (R + ΔR). Where it matters whether a left row has a partner (all kinds
//! but the inner one) the row carries the number of its partners.

mod residual;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, UInt32Array, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

pub(crate) use self::residual::Residual;
use super::journal::Journal;
use super::side::JoinSide;
use super::state::{Capture, store};
use super::table::{KeyTable, Touched};
use super::{Operator, Step};
use crate::bytes::ByteRows;
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
    rows: ByteRows,
}

/// Pairs of a kept row (by slot) and an arriving row (by index).
#[derive(Default)]
struct Pairs {
    kept: Vec<u32>,
    arrived: Vec<u32>,
}

/// How many partners kept left rows gain.
#[derive(Default)]
struct Gained {
    touched: Touched,
    gains: Vec<i64>,
}

impl Gained {
    fn add(&mut self, slot: u32, gain: i64) {
        let (place, first) = self.touched.touch(slot);
        if first {
            self.gains.push(0);
        }
        self.gains[place] += gain;
    }

    /// The slots of the rows, and what each gains.
    fn iter(&self) -> impl Iterator<Item = (u32, i64)> {
        self.touched.slots.iter().copied().zip(self.gains.iter().copied())
    }

    fn clear(&mut self) {
        self.touched.clear();
        self.gains.clear();
    }
}

/// Which side the kept rows of pairs are on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Left,
    Right,
}

/// The part of a change of the left side, and how many partners each of its rows has.
type LeftPart = (Vec<Change>, Vec<i64>);

/// A join of two inputs, left and right.
pub(crate) struct Join {
    kind: JoinKind,
    left: JoinSide,
    right: JoinSide,
    residual: Option<Residual>,
    nulls_are_equal: bool,
    keys: KeyTable,
    gained: Gained,
    schema: SchemaRef,
    /// Of the keys; the sides have their own.
    journal: Journal,
}

/// The stores of a join.
const KEYS: u32 = 0;
const LEFT: u32 = 1;
const RIGHT: u32 = 2;

impl Join {
    /// A join whose output is `schema`.
    pub(crate) fn new(
        kind: JoinKind,
        left: JoinSide,
        right: JoinSide,
        residual: Option<Residual>,
        nulls_are_equal: bool,
        schema: SchemaRef,
    ) -> Self {
        let (keys, gained, journal) = Default::default();
        Self { kind, left, right, residual, nulls_are_equal, keys, gained, schema, journal }
    }

    fn arrive<'a>(&mut self, change: &'a Change, kept: Kept) -> Result<Arrived<'a>, RuntimeError> {
        let side = if kept == Kept::Left { &self.right } else { &self.left };
        let columns = side.key_columns(&change.rows)?;
        let packed = side.key_packer().pack(&change.tenants, &columns)?;
        let rows = side.pack(change)?;
        let nulls: Vec<NullBuffer> = columns
            .iter()
            .filter(|_| !self.nulls_are_equal)
            // A column of the type of nulls has them without saying where.
            .filter_map(Array::logical_nulls)
            .filter(|nulls| nulls.null_count() > 0)
            .collect();
        let located: Vec<Option<(u32, bool)>> = if nulls.is_empty() {
            self.keys.locate(&packed).into_iter().map(Some).collect()
        } else {
            (0..change.len())
                .map(|row| {
                    let null = nulls.iter().any(|nulls| nulls.is_null(row));
                    (!null).then(|| self.keys.find_or_add(packed.row(row)))
                })
                .collect()
        };
        for (slot, _) in located.iter().flatten().filter(|(_, added)| *added) {
            // Nothing stood there.
            self.journal.before(*slot, |_| {});
        }
        let keys = located.into_iter().map(|key| key.map(|(slot, _)| slot)).collect();
        Ok(Arrived { change, keys, rows })
    }

    /// Gives a key's slot back.
    fn remove_key(&mut self, key: u32) {
        let keys = &self.keys;
        self.journal.before(key, |out| out.extend_from_slice(keys.key_or_none(key)));
        self.keys.remove(key);
    }

    /// The rows that meet and satisfy the condition.
    fn meet(&self, arrived: &Arrived<'_>, kept: Kept) -> Result<Pairs, RuntimeError> {
        let side = self.side(kept);
        let mut pairs = Pairs::default();
        for (index, key) in arrived.keys.iter().enumerate() {
            let Some(key) = key else { continue };
            let slots = side.of_key(*key);
            pairs.kept.extend_from_slice(slots);
            pairs.arrived.resize(pairs.kept.len(), index as u32);
        }
        let Some(residual) = &self.residual else { return Ok(pairs) };
        if pairs.kept.is_empty() {
            return Ok(pairs);
        }
        let columns = self.columns(arrived, kept, &pairs, &residual.columns)?;
        let keep = residual.holds(columns, pairs.kept.len())?;
        let chosen = |of: Vec<u32>| -> Vec<u32> {
            keep.values().set_indices().map(|place| of[place]).collect()
        };
        Ok(Pairs { kept: chosen(pairs.kept), arrived: chosen(pairs.arrived) })
    }

    /// Columns of pairs, by their places among those of the left side and then the right one.
    fn columns(
        &self,
        arrived: &Arrived<'_>,
        kept: Kept,
        pairs: &Pairs,
        wanted: &[usize],
    ) -> Result<Vec<ArrayRef>, RuntimeError> {
        let side = self.side(kept);
        let rows: Vec<Option<&[u8]>> =
            pairs.kept.iter().map(|slot| Some(side.row(*slot))).collect();
        let indices = UInt32Array::from(pairs.arrived.clone());
        let width = self.left.schema().fields().len();
        let (of_left, of_right) = wanted.split_at(wanted.partition_point(|c| *c < width));
        let of_right: Vec<usize> = of_right.iter().map(|c| c - width).collect();
        let stand = |columns: &[usize]| side.packer().columns(&rows, columns);
        let arrive = |columns: &[usize]| -> Result<Vec<ArrayRef>, ArrowError> {
            let column = |c: &usize| take(arrived.change.rows.column(*c), &indices, None);
            columns.iter().map(column).collect()
        };
        let (mut left, right) = match kept {
            Kept::Left => (stand(of_left)?, arrive(&of_right)?),
            Kept::Right => (arrive(of_left)?, stand(&of_right)?),
        };
        left.extend(right);
        Ok(left)
    }

    fn side(&self, kept: Kept) -> &JoinSide {
        if kept == Kept::Left { &self.left } else { &self.right }
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

    /// What pairs put out.
    fn pairs_change(
        &self,
        arrived: &Arrived<'_>,
        kept: Kept,
        pairs: &Pairs,
    ) -> Result<Option<Change>, RuntimeError> {
        if pairs.kept.is_empty() || !self.keeps_pairs() {
            return Ok(None);
        }
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let columns = self.columns(arrived, kept, pairs, &all)?;
        let rows = batch(self.schema.clone(), columns, pairs.kept.len())?;
        let tenants = pairs.arrived.iter().map(|i| arrived.change.tenants.value(*i as usize));
        let side = self.side(kept);
        let weights = pairs.kept.iter().zip(&pairs.arrived).map(|(slot, index)| {
            side.state(*slot).weight * arrived.change.weights.value(*index as usize)
        });
        let weights = Int64Array::from_iter_values(weights);
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

    /// The part of a change of the right side; adds up how many partners each left row gains.
    fn right_part(
        &self,
        arrived: &Arrived<'_>,
        gained: &mut Gained,
    ) -> Result<Vec<Change>, RuntimeError> {
        let pairs = self.meet(arrived, Kept::Left)?;
        let mut parts = Vec::new();
        if self.kind != JoinKind::Inner {
            for (slot, index) in pairs.kept.iter().zip(&pairs.arrived) {
                gained.add(*slot, arrived.change.weights.value(*index as usize));
            }
            parts.extend(self.turned(gained)?);
        }
        parts.extend(self.pairs_change(arrived, Kept::Left, &pairs)?);
        Ok(parts)
    }

    /// Left rows that got their first partner or lost their last one.
    fn turned(&self, gained: &Gained) -> Result<Option<Change>, RuntimeError> {
        let (mut slots, mut weights) = (Vec::new(), Vec::new());
        for (slot, gain) in gained.iter() {
            let state = *self.left.state(slot);
            let (before, after) =
                (self.alone(state.partners != 0), self.alone(state.partners + gain != 0));
            if before != after {
                slots.push(slot);
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
    fn left_part(&self, arrived: &Arrived<'_>) -> Result<LeftPart, RuntimeError> {
        if let Some(part) = self.looked_up(arrived)? {
            return Ok(part);
        }
        let pairs = self.meet(arrived, Kept::Right)?;
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
        parts.extend(self.pairs_change(arrived, Kept::Right, &pairs)?);
        Ok((parts, partners))
    }

    /// The part of a change of the left side when no row of it has more than one partner, and
    /// none is refused by a further condition: then its columns go on as they are.
    fn looked_up(&self, arrived: &Arrived<'_>) -> Result<Option<LeftPart>, RuntimeError> {
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
        let mut gained = std::mem::take(&mut self.gained);
        let parts = self.meet_counting(left, right, &mut gained);
        gained.clear();
        self.gained = gained;
        parts
    }

    fn meet_counting(
        &mut self,
        left: &Arrived<'_>,
        right: &Arrived<'_>,
        gained: &mut Gained,
    ) -> Result<Vec<Change>, RuntimeError> {
        let mut parts = self.right_part(right, gained)?;
        self.keep_right(right, 1);
        let (more, partners) = match self.left_part(left) {
            Ok(part) => part,
            Err(error) => {
                self.keep_right(right, -1);
                return Err(error);
            }
        };
        parts.extend(more);
        for (slot, gain) in gained.iter() {
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
                self.remove_key(*key);
            }
        }
    }
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

    fn is_one_row(&self, inputs: &[bool]) -> bool {
        inputs[0] && (inputs[1] || !self.keeps_pairs())
    }

    /// Without a key each row meets all others.
    fn recomputes(&self, one_row: &[bool]) -> bool {
        self.left.is_without_key() && !one_row.iter().all(|input| *input)
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
            self.remove_key(key);
        }
        self.left.tidy();
        self.right.tidy();
    }

    fn cut(&mut self, whole: bool) {
        self.journal.cut(whole, self.keys.slots());
        self.left.cut(whole);
        self.right.cut(whole);
    }

    fn capture(&mut self, capture: &mut Capture) -> bool {
        let (keys, node) = (&self.keys, capture.node);
        let key = |slot, out: &mut Vec<u8>| out.extend_from_slice(keys.key_or_none(slot));
        self.journal.capture(capture, (store(node, KEYS), 0), key)
            && self.left.capture(capture, store(node, LEFT))
            && self.right.capture(capture, store(node, RIGHT))
    }

    fn restore(&mut self, store: u32, slot: u64, entry: &[u8]) -> Result<(), RuntimeError> {
        let slot = slot as u32;
        match store {
            KEYS => self.keys.restore(slot, entry),
            LEFT => self.left.restore(slot, entry)?,
            _ => self.right.restore(slot, entry)?,
        }
        Ok(())
    }

    fn restored(&mut self) {
        self.journal.keep();
        self.keys.restored();
        self.left.restored();
        self.right.restored();
    }
}
