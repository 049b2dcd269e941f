//! The first of each group in some order: `first_value`, `last_value`, `min`, `max`.
//!
//! The rows of a group are kept as bytes that sort as the order does; the answer is the last.

use arrow::compute::SortOptions;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::row::SortField;

use super::table::{KeyTable, Ordered, Touched, at};
use super::{Operator, Step};
use crate::change::{RowCodec, batch};
use crate::{Change, RuntimeError};

/// Values taken from the row that comes last in one order.
#[derive(Debug, Clone)]
pub(crate) struct Pick {
    /// The columns to sort by, the row wanted coming last.
    pub(crate) order: Vec<(usize, SortOptions)>,
    /// The columns whose values are taken, and the output column of each.
    pub(crate) values: Vec<(usize, usize)>,
}

/// `GROUP BY` with picks. The first columns of the input are the group's.
pub(crate) struct Latest {
    groups: usize,
    codec: RowCodec,
    picks: Vec<(Pick, RowCodec)>,
    schema: SchemaRef,
    keys: KeyTable,
    /// For each group and pick the rows in order.
    rows: Vec<Vec<Ordered>>,
    touched: Touched,
}

impl Latest {
    /// Picks over rows of `input` whose output is `schema`: `groups` columns of the group first.
    pub(crate) fn new(
        groups: usize,
        picks: Vec<Pick>,
        input: &Schema,
        schema: SchemaRef,
    ) -> Result<Self, RuntimeError> {
        let group_schema = schema.project(&(0..groups).collect::<Vec<_>>())?;
        let picks = picks
            .into_iter()
            .map(|pick| {
                let codec = row_codec(&pick, input)?;
                Ok((pick, codec))
            })
            .collect::<Result<_, RuntimeError>>()?;
        Ok(Self {
            groups,
            codec: RowCodec::new(&group_schema)?,
            picks,
            schema,
            keys: KeyTable::default(),
            rows: Vec::new(),
            touched: Touched::default(),
        })
    }

    /// The rows picked from the touched groups, as they are now.
    fn picked(&self) -> Vec<Option<Vec<Box<[u8]>>>> {
        let last = |slot: &u32| {
            let orders = self.rows.get(*slot as usize)?;
            orders.iter().map(|rows| rows.last().map(Into::into)).collect()
        };
        self.touched.slots.iter().map(last).collect()
    }

    fn output(
        &self,
        slots: &[u32],
        rows: &[&Vec<Box<[u8]>>],
        weights: Vec<i64>,
    ) -> Result<Change, RuntimeError> {
        if weights.is_empty() {
            return Ok(Change::empty(self.schema.clone()));
        }
        let groups = self.codec.decode_change(slots.iter().map(|s| self.keys.key(*s)), weights)?;
        let mut columns: Vec<_> = groups.rows.columns().iter().cloned().map(Some).collect();
        columns.resize(self.schema.fields().len(), None);
        for (i, (pick, codec)) in self.picks.iter().enumerate() {
            let (_, decoded) = codec.decode(rows.iter().map(|picked| picked[i].as_ref()))?;
            let values = &decoded[pick.order.len()..];
            for ((_, place), column) in pick.values.iter().zip(values) {
                columns[*place] = Some(column.clone());
            }
        }
        let columns = columns.into_iter().flatten().collect();
        let rows = batch(self.schema.clone(), columns, groups.len())?;
        Ok(groups.with_rows(rows))
    }
}

/// The bytes of a row: what it is sorted by, then what is taken of it.
fn row_codec(pick: &Pick, input: &Schema) -> Result<RowCodec, RuntimeError> {
    let mut columns: Vec<usize> = pick.order.iter().map(|(c, _)| *c).collect();
    columns.extend(pick.values.iter().map(|(c, _)| *c));
    let data_type = |c: usize| input.field(c).data_type().clone();
    let mut fields: Vec<SortField> = pick
        .order
        .iter()
        .map(|(c, options)| SortField::new_with_options(data_type(*c), *options))
        .collect();
    fields.extend(pick.values.iter().map(|(c, _)| SortField::new(data_type(*c))));
    Ok(RowCodec::with_fields(&input.project(&columns)?, fields)?)
}

impl Operator for Latest {
    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        let columns = change.rows.columns();
        let keys = self.codec.encode(&change.tenants, &columns[..self.groups])?;
        let encoded = self
            .picks
            .iter()
            .map(|(pick, codec)| {
                let order = pick.order.iter().map(|(c, _)| columns[*c].clone());
                let values = pick.values.iter().map(|(c, _)| columns[*c].clone());
                codec.encode(&change.tenants, &order.chain(values).collect::<Vec<_>>())
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut slots = Vec::with_capacity(change.len());
        for row in 0..change.len() {
            let (slot, added) = self.keys.find_or_add(keys.row(row).data());
            if added {
                *at(&mut self.rows, slot) = vec![Ordered::default(); self.picks.len()];
            }
            self.touched.touch(slot);
            slots.push(slot);
        }
        let before = self.picked();
        for (row, (slot, weight)) in slots.iter().zip(change.weights.values()).enumerate() {
            for (rows, encoded) in self.rows[*slot as usize].iter_mut().zip(&encoded) {
                rows.add(encoded.row(row).data(), *weight);
            }
        }
        let after = self.picked();
        let (mut out_slots, mut out_rows, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for ((slot, before), after) in self.touched.slots.iter().zip(&before).zip(&after) {
            if before == after {
                continue;
            }
            for (picked, weight) in [(before, -1), (after, 1)] {
                if let Some(picked) = picked {
                    out_slots.push(*slot);
                    out_rows.push(picked);
                    weights.push(weight);
                }
            }
        }
        let change = self.output(&out_slots, &out_rows, weights)?;
        for (slot, after) in self.touched.slots.iter().zip(&after) {
            if after.is_none() {
                self.rows[*slot as usize] = Vec::new();
                self.keys.remove(*slot);
            }
        }
        self.touched.clear();
        Ok(change)
    }
}
