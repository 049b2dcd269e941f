//! One pick with its rows, and what a step does to them.

use arrow::array::ArrayRef;
use arrow::datatypes::Schema;

use super::Pick;
use crate::bytes::ByteRows;
use crate::circuit::arena::{Arena, Piece};
use crate::circuit::memory::Tally;
use crate::circuit::ordered::{Ordered, split_sorted, write_sorted};
use crate::circuit::packed::{Packer, owner};
use crate::circuit::slots::Slots;
use crate::circuit::state::{Reader, put_bytes};
use crate::sorted::Sorter;
use crate::{Change, RuntimeError, Tenant};

/// One pick with its rows: the bytes that sort, then the packed values.
pub(super) struct Picked {
    pub(super) pick: Pick,
    order: Sorter,
    pub(super) values: Packer,
    rows: PickedRows,
    tally: Tally,
}

enum PickedRows {
    /// The last row of each group.
    Last(Slots<Piece>, Arena),
    /// All rows of each group.
    All(Slots<Ordered>),
}

/// What a step did to one pick, by the place of the touched group.
pub(super) struct Outcome {
    pub(super) before: Vec<Option<Row>>,
    pub(super) after: Vec<Option<Row>>,
    /// The row of the input that is the last of its group now.
    won: Vec<Option<u32>>,
}

/// A row of a group.
pub(super) enum Row {
    /// In the arena.
    Kept(Piece),
    /// A copy.
    Copied(Box<[u8]>),
}

impl Outcome {
    /// The input's rows that the groups at `places` now show, if they all came just now.
    pub(super) fn arrived(&self, places: &[usize]) -> Option<Vec<u32>> {
        places.iter().map(|place| self.won[*place]).collect()
    }
}

impl Picked {
    /// A pick over rows of `input`.
    pub(super) fn new(pick: Pick, input: &Schema) -> Result<Self, RuntimeError> {
        let order = pick.order.iter().map(|(c, options)| (input.field(*c).data_type(), *options));
        let values: Vec<usize> = pick.values.iter().map(|(c, _)| *c).collect();
        Ok(Self {
            order: Sorter::new(order)?,
            values: Packer::new(&input.project(&values)?)?,
            rows: PickedRows::All(Slots::default()),
            pick,
            tally: Tally::default(),
        })
    }

    /// Told before the first step that of its input no row ever goes.
    pub(super) fn keep_last(&mut self) {
        self.rows = PickedRows::Last(Slots::default(), Arena::default());
    }

    /// The bytes that a tenant's rows take.
    pub(super) fn bytes(&self, tenant: Tenant) -> usize {
        self.tally.bytes(tenant)
    }

    /// Lets go of what was given up, when that has become much.
    pub(super) fn tidy(&mut self) {
        if let PickedRows::Last(last, arena) = &mut self.rows
            && arena.is_wasteful()
        {
            arena.compact(last.iter_mut());
        }
    }

    /// The bytes of the input's rows: what sorts, and the values.
    pub(super) fn encode(&self, change: &Change) -> Result<(ByteRows, ByteRows), RuntimeError> {
        let columns = change.rows.columns();
        let order: Vec<ArrayRef> =
            self.pick.order.iter().map(|(c, _)| columns[*c].clone()).collect();
        let values: Vec<ArrayRef> =
            self.pick.values.iter().map(|(c, _)| columns[*c].clone()).collect();
        Ok((
            self.order.encode(None, &order, change.len())?,
            self.values.pack(&change.tenants, &values)?,
        ))
    }

    fn held<'a>(&'a self, row: &'a Row) -> &'a [u8] {
        match (row, &self.rows) {
            (Row::Kept(piece), PickedRows::Last(_, arena)) => arena.get(*piece),
            (Row::Kept(_), PickedRows::All(_)) => &[],
            (Row::Copied(bytes), _) => bytes,
        }
    }

    /// The packed values of a row.
    pub(super) fn values_of<'a>(&'a self, row: &'a Row) -> &'a [u8] {
        split_sorted(self.held(row)).1
    }

    /// Whether the group at `place` shows the same values as before.
    pub(super) fn stays(&self, outcome: &Outcome, place: usize) -> bool {
        match (&outcome.before[place], &outcome.after[place]) {
            (None, None) => true,
            (Some(Row::Kept(before)), Some(Row::Kept(after))) if before == after => true,
            (Some(before), Some(after)) => self.values_of(before) == self.values_of(after),
            _ => false,
        }
    }

    /// Adds the input's rows, `places[i]` being the touched group of row `i`.
    pub(super) fn apply(
        &mut self,
        encoded: &(ByteRows, ByteRows),
        weights: &[i64],
        places: &[u32],
        slots: &[u32],
    ) -> Outcome {
        match &mut self.rows {
            PickedRows::Last(last, arena) => {
                last_rows(last, arena, &mut self.tally, encoded, places, slots)
            }
            PickedRows::All(rows) => {
                all_rows(rows, &mut self.tally, encoded, weights, places, slots)
            }
        }
    }

    /// Writes a group's rows.
    pub(super) fn write(&self, slot: u32, out: &mut Vec<u8>) {
        match &self.rows {
            PickedRows::Last(last, arena) => {
                let row = last.get(slot).map_or(&[][..], |piece| arena.get(*piece));
                put_bytes(out, row);
            }
            PickedRows::All(rows) => rows.get(slot).unwrap_or(&Ordered::None).write(out),
        }
    }

    /// Reads a group's rows back; it has none.
    pub(super) fn read(
        &mut self,
        slot: u32,
        tenant: Tenant,
        entry: &mut Reader<'_>,
    ) -> Result<(), RuntimeError> {
        match &mut self.rows {
            PickedRows::Last(last, arena) => {
                let piece = arena.add(entry.bytes()?);
                *last.at(slot) = piece;
                self.tally.add(tenant, piece.len() + size_of::<Piece>());
            }
            PickedRows::All(all) => {
                let (rows, cost) = Ordered::read(entry)?;
                *all.at(slot) = rows;
                self.tally.add(tenant, cost);
            }
        }
        Ok(())
    }

    /// Gives up what a group kept.
    pub(super) fn clear(&mut self, slot: u32, tenant: Tenant) {
        match &mut self.rows {
            PickedRows::Last(last, arena) => {
                if let Some(piece) = last.get_mut(slot).filter(|piece| piece.len() > 0) {
                    self.tally.remove(tenant, piece.len() + size_of::<Piece>());
                    arena.remove(std::mem::take(piece));
                }
            }
            PickedRows::All(rows) => {
                if let Some(rows) = rows.get_mut(slot) {
                    for (row, weight) in std::mem::take(rows).iter() {
                        let freed = Ordered::One(row.into(), weight).add(row, -weight);
                        self.tally.remove(tenant, freed.unsigned_abs());
                    }
                }
            }
        }
    }
}

fn last_rows(
    last: &mut Slots<Piece>,
    arena: &mut Arena,
    tally: &mut Tally,
    (order, values): &(ByteRows, ByteRows),
    places: &[u32],
    slots: &[u32],
) -> Outcome {
    let mut won: Vec<Option<u32>> = vec![None; slots.len()];
    for (row, place) in places.iter().enumerate() {
        let best = &mut won[*place as usize];
        let beats = best.is_none_or(|best| {
            let best = best as usize;
            (order.row(row), values.row(row)) > (order.row(best), values.row(best))
        });
        if beats {
            *best = Some(row as u32);
        }
    }
    let mut bytes = Vec::new();
    let (mut before, mut after) =
        (Vec::with_capacity(slots.len()), Vec::with_capacity(slots.len()));
    for (won, slot) in won.iter_mut().zip(slots) {
        let kept = last.at(*slot);
        let held = (kept.len() > 0).then_some(*kept);
        before.push(held.map(Row::Kept));
        if let Some(row) = *won {
            let row = row as usize;
            let (order, values) = (order.row(row), values.row(row));
            let beaten = held.is_none_or(|held| (order, values) > split_sorted(arena.get(held)));
            if beaten {
                write_sorted(&mut bytes, order, values);
                // What it replaces stays readable until the next compaction.
                arena.remove(*kept);
                tally.remove(owner(values), held.map_or(0, |held| held.len() + size_of::<Piece>()));
                *kept = arena.add(&bytes);
                tally.add(owner(values), kept.len() + size_of::<Piece>());
            } else {
                *won = None;
            }
        }
        after.push((kept.len() > 0).then_some(Row::Kept(*kept)));
    }
    Outcome { before, after, won }
}

fn all_rows(
    rows: &mut Slots<Ordered>,
    tally: &mut Tally,
    (order, values): &(ByteRows, ByteRows),
    weights: &[i64],
    places: &[u32],
    slots: &[u32],
) -> Outcome {
    let last = |rows: &mut Slots<Ordered>| -> Vec<Option<Row>> {
        slots.iter().map(|slot| rows.at(*slot).last().map(|row| Row::Copied(row.into()))).collect()
    };
    let before = last(rows);
    let mut bytes = Vec::new();
    for (i, (place, weight)) in places.iter().zip(weights).enumerate() {
        write_sorted(&mut bytes, order.row(i), values.row(i));
        let more = rows[slots[*place as usize]].add(&bytes, *weight);
        if more >= 0 {
            tally.add(owner(values.row(i)), more.unsigned_abs());
        } else {
            tally.remove(owner(values.row(i)), more.unsigned_abs());
        }
    }
    let after = last(rows);
    Outcome { before, after, won: vec![None; slots.len()] }
}
