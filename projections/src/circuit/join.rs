//! Joins: inner, left, semi and anti, on equal keys with any further condition.
//!
//! Both sides are kept, by key. A change of one side meets the rows of the other:
//! Δ(L ⋈ R) = L ⋈ ΔR + ΔL ⋈ (R + ΔR). Where it matters whether a left row has a partner (all kinds
//! but the inner one) the row carries the number of its partners.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{filter, take};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashMap;

use super::evaluate::{Expressions, matching};
use super::table::{KeyTable, at};
use super::{Operator, Step};
use crate::change::{RowCodec, batch};
use crate::{Change, RuntimeError};

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

/// One side: its rows by key.
pub(crate) struct JoinSide {
    keys: Expressions,
    codec: RowCodec,
    schema: SchemaRef,
    rows: KeyTable,
    states: Vec<RowState>,
    /// For each key the slots of its rows.
    by_key: Vec<Vec<u32>>,
}

/// What is known of a kept row.
#[derive(Debug, Default, Clone, Copy)]
struct RowState {
    weight: i64,
    /// The weights of its partners added up; kept for left rows only.
    partners: i64,
    /// Its place among the rows of its key.
    place: u32,
}

impl JoinSide {
    /// A side with rows of `schema`, joined on `keys`.
    pub(crate) fn new(keys: Expressions, schema: SchemaRef) -> Result<Self, RuntimeError> {
        Ok(Self {
            keys,
            codec: RowCodec::new(&schema)?,
            schema,
            rows: KeyTable::default(),
            states: Vec::new(),
            by_key: Vec::new(),
        })
    }

    fn of_key(&self, key: u32) -> &[u32] {
        self.by_key.get(key as usize).map_or(&[], Vec::as_slice)
    }

    fn decode(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, RuntimeError> {
        if slots.is_empty() {
            return Ok(RecordBatch::new_empty(self.schema.clone()).columns().to_vec());
        }
        Ok(self.codec.decode(slots.iter().map(|slot| self.rows.key(*slot)))?.1)
    }

    /// Adds to a row's weight; at zero it goes. Answers its slot while it is there.
    fn add(&mut self, key: u32, row: &[u8], weight: i64) -> Option<u32> {
        let (slot, added) = self.rows.find_or_add(row);
        if added {
            let of_key = at(&mut self.by_key, key);
            let place = of_key.len() as u32;
            of_key.push(slot);
            *at(&mut self.states, slot) = RowState { weight: 0, partners: 0, place };
        }
        let state = &mut self.states[slot as usize];
        state.weight += weight;
        if state.weight != 0 {
            return Some(slot);
        }
        let place = state.place;
        let of_key = &mut self.by_key[key as usize];
        of_key.swap_remove(place as usize);
        if let Some(moved) = of_key.get(place as usize) {
            self.states[*moved as usize].place = place;
        }
        self.rows.remove(slot);
        None
    }
}

/// A change of one side with the keys and bytes of its rows.
struct Arrived<'a> {
    change: &'a Change,
    /// The key's slot of each row; none where a part of the key is null.
    keys: Vec<Option<u32>>,
    rows: Rows,
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
    key_converter: RowConverter,
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
        let mut fields = vec![SortField::new(DataType::UInt32)];
        fields.extend(
            left.keys.schema().fields().iter().map(|f| SortField::new(f.data_type().clone())),
        );
        let key_converter = RowConverter::new(fields)?;
        Ok(Self {
            kind,
            left,
            right,
            residual,
            nulls_are_equal,
            key_converter,
            keys: KeyTable::default(),
            schema,
        })
    }

    fn arrive<'a>(&mut self, change: &'a Change, kept: Kept) -> Result<Arrived<'a>, RuntimeError> {
        let side = if kept == Kept::Left { &self.right } else { &self.left };
        let mut columns: Vec<ArrayRef> = vec![Arc::new(change.tenants.clone())];
        columns.extend(side.keys.columns(&change.rows)?);
        let encoded = self.key_converter.convert_columns(&columns)?;
        let rows = side.codec.encode(&change.tenants, change.rows.columns())?;
        let has_null = |row: usize| !self.nulls_are_equal && columns.iter().any(|c| c.is_null(row));
        let keys = (0..change.len())
            .map(|row| (!has_null(row)).then(|| self.keys.find_or_add(encoded.row(row).data()).0))
            .collect();
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
                pairs.weights.push(side.states[*slot as usize].weight * weight);
            }
        }
        if pairs.kept.is_empty() || (self.residual.is_none() && !wanted) {
            return Ok((pairs, None));
        }
        let kept_columns = side.decode(&pairs.kept)?;
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
                batch(both(&self.left.schema, &self.right.schema), columns, pairs.kept.len())?;
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
                .schema
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
            let state = self.left.states[*slot as usize];
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
        let (tenants, columns) =
            self.left.codec.decode(slots.iter().map(|s| self.left.rows.key(*s)))?;
        self.alone_change(tenants, columns, weights)
    }

    /// The part of a change of the left side, and how many partners each of its rows has.
    fn left_part(&self, arrived: &Arrived<'_>) -> Result<(Vec<Change>, Vec<i64>), RuntimeError> {
        let (pairs, rows) = self.meet(arrived, Kept::Right, self.keeps_pairs())?;
        let mut partners = vec![0_i64; arrived.change.len()];
        for (slot, index) in pairs.kept.iter().zip(&pairs.arrived) {
            partners[*index as usize] += self.right.states[*slot as usize].weight;
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

    fn keep_right(&mut self, arrived: &Arrived<'_>, sign: i64) {
        for (row, key) in arrived.keys.iter().enumerate() {
            if let Some(key) = key {
                let weight = arrived.change.weights.value(row) * sign;
                self.right.add(*key, arrived.rows.row(row).data(), weight);
            }
        }
    }

    fn keep_left(&mut self, arrived: &Arrived<'_>, partners: &[i64]) {
        for (row, key) in arrived.keys.iter().enumerate() {
            if let Some(key) = key {
                let weight = arrived.change.weights.value(row);
                if let Some(slot) = self.left.add(*key, arrived.rows.row(row).data(), weight) {
                    self.left.states[slot as usize].partners = partners[row];
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
            self.left.states[slot as usize].partners += gain;
        }
        self.keep_left(left, &partners);
        Ok(parts)
    }

    /// Gives back the slots of keys that have no rows any more.
    fn release(&mut self, arrived: &Arrived<'_>) {
        for key in arrived.keys.iter().flatten() {
            let unused = self.left.of_key(*key).is_empty() && self.right.of_key(*key).is_empty();
            if unused && !self.keys.key(*key).is_empty() {
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
        Ok(Change::concat(&self.schema, &parts?)?)
    }
}
