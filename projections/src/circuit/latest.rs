//! The first of each group in some order: `first_value`, `last_value`, `min`, `max`.
//!
//! Of an input whose rows only come, as events do, the row that is last so far is all that has to
//! be kept. Of one whose rows also go, all rows of a group are kept as bytes that sort as the order
//! does, and the answer is the last.

mod picked;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{Schema, SchemaRef};

use self::picked::{Outcome, Picked};
use super::journal::Journal;
use super::packed::{Packer, owner};
use super::state::{Capture, Reader, put_bytes, store};
use super::table::{KeyTable, Touched};
use super::{Operator, Step};
use crate::change::batch;
use crate::{Change, RuntimeError, Tenant};

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
    packer: Packer,
    picks: Vec<Picked>,
    schema: SchemaRef,
    keys: KeyTable,
    touched: Touched,
    journal: Journal,
}

/// What a checkpoint keeps of a group: its key and its rows in each pick.
fn write_group(keys: &KeyTable, picks: &[Picked], slot: u32, out: &mut Vec<u8>) {
    let key = keys.key_or_none(slot);
    if !key.is_empty() {
        put_bytes(out, key);
        picks.iter().for_each(|pick| pick.write(slot, out));
    }
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
            .map(|pick| Picked::new(pick, input))
            .collect::<Result<_, RuntimeError>>()?;
        Ok(Self {
            groups,
            packer: Packer::new(&group_schema)?,
            picks,
            schema,
            keys: KeyTable::default(),
            touched: Touched::default(),
            journal: Journal::default(),
        })
    }

    /// Lets go of what was given up, when that has become much.
    fn tidy(&mut self) {
        self.picks.iter_mut().for_each(Picked::tidy);
    }

    /// The touched groups whose picks have other values now.
    fn emit(
        &self,
        change: &Change,
        slots: &[u32],
        outcomes: &[Outcome],
    ) -> Result<Change, RuntimeError> {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for place in 0..slots.len() {
            if self.picks.iter().zip(outcomes).all(|(pick, o)| pick.stays(o, place)) {
                continue;
            }
            // All picks of a group have a row, or none has.
            if outcomes[0].before[place].is_some() {
                gone.push(place);
            }
            if outcomes[0].after[place].is_some() {
                come.push(place);
            }
        }
        if gone.is_empty() && come.is_empty() {
            return Ok(Change::empty(self.schema.clone()));
        }
        let old = (!gone.is_empty())
            .then(|| self.kept(slots, &gone, |pick, place| pick.before(outcomes, place), -1));
        let arrived: Option<Vec<_>> = outcomes.iter().map(|o| o.arrived(&come)).collect();
        let new = match arrived {
            Some(rows) => self.passed(change, &rows),
            None => self.kept(slots, &come, |pick, place| pick.after(outcomes, place), 1),
        }?;
        match old {
            Some(old) => Ok(Change::concat(&self.schema, &[old?, new])?),
            None => Ok(new),
        }
    }

    /// Rows of groups, put together from the rows that are kept.
    fn kept<'a>(
        &'a self,
        slots: &[u32],
        places: &[usize],
        row: impl Fn(Nth<'a>, usize) -> Option<&'a [u8]>,
        weight: i64,
    ) -> Result<Change, RuntimeError> {
        let keys: Vec<&[u8]> = places.iter().map(|p| self.keys.key(slots[*p])).collect();
        let groups = self.packer.change(&keys, vec![weight; places.len()])?;
        let mut columns: Vec<_> = groups.rows.columns().iter().cloned().map(Some).collect();
        columns.resize(self.schema.fields().len(), None);
        for (nth, picked) in self.picks.iter().enumerate() {
            let nth = Nth { picked, nth };
            let rows: Vec<Option<&[u8]>> = places.iter().map(|p| row(nth, *p)).collect();
            let values = picked.values.unpack(&rows)?;
            for ((_, place), column) in picked.pick.values.iter().zip(values) {
                columns[*place] = Some(column);
            }
        }
        let columns = columns.into_iter().flatten().collect();
        Ok(groups.with_rows(batch(self.schema.clone(), columns, places.len())?))
    }

    /// Groups whose values all came just now, `rows[i]` being the input's rows that pick `i` takes.
    fn passed(&self, change: &Change, rows: &[Vec<u32>]) -> Result<Change, RuntimeError> {
        let passed = rows.iter().map(|rows| Passed::new(change, rows)).collect::<Vec<_>>();
        let mut columns = (0..self.groups)
            .map(|column| passed[0].column(column).map(Some))
            .collect::<Result<Vec<_>, _>>()?;
        columns.resize(self.schema.fields().len(), None);
        for (picked, passed) in self.picks.iter().zip(&passed) {
            for (from, place) in &picked.pick.values {
                columns[*place] = Some(passed.column(*from)?);
            }
        }
        let columns = columns.into_iter().flatten().collect();
        let tenants = rows[0].iter().map(|row| change.tenants.value(*row as usize));
        let tenants = UInt32Array::from_iter_values(tenants);
        let rows = batch(self.schema.clone(), columns, tenants.len())?;
        let weights = vec![1; tenants.len()].into();
        Ok(Change::new(tenants, rows, weights))
    }
}

/// Some rows of the input; its columns go on as they are when these are all of them.
struct Passed<'a> {
    change: &'a Change,
    indices: UInt32Array,
    all: bool,
}

impl<'a> Passed<'a> {
    fn new(change: &'a Change, rows: &[u32]) -> Self {
        let in_order = rows.iter().enumerate().all(|(i, row)| i as u32 == *row);
        let indices = UInt32Array::from(rows.to_vec());
        Self { change, indices, all: in_order && rows.len() == change.len() }
    }

    fn column(&self, column: usize) -> Result<ArrayRef, RuntimeError> {
        let column = self.change.rows.column(column);
        Ok(if self.all { column.clone() } else { take(column, &self.indices, None)? })
    }
}

/// A pick among the others.
#[derive(Clone, Copy)]
struct Nth<'a> {
    picked: &'a Picked,
    nth: usize,
}

impl<'a> Nth<'a> {
    fn before(self, outcomes: &'a [Outcome], place: usize) -> Option<&'a [u8]> {
        outcomes[self.nth].before[place].as_ref().map(|row| self.picked.values_of(row))
    }

    fn after(self, outcomes: &'a [Outcome], place: usize) -> Option<&'a [u8]> {
        outcomes[self.nth].after[place].as_ref().map(|row| self.picked.values_of(row))
    }
}

impl Operator for Latest {
    fn is_one_row(&self, _: &[bool]) -> bool {
        self.groups == 0
    }

    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        let keys = self.packer.pack(&change.tenants, &change.rows.columns()[..self.groups])?;
        let encoded =
            self.picks.iter().map(|pick| pick.encode(change)).collect::<Result<Vec<_>, _>>()?;
        let mut places = Vec::with_capacity(change.len());
        for (slot, added) in self.keys.locate(&keys) {
            let (place, first) = self.touched.touch(slot);
            places.push(place as u32);
            if first {
                let (keys, picks) = (&self.keys, &self.picks);
                self.journal.before(slot, |out| {
                    if !added {
                        write_group(keys, picks, slot, out);
                    }
                });
            }
        }
        let slots = self.touched.slots.clone();
        let weights = change.weights.values();
        let outcomes: Vec<Outcome> = self
            .picks
            .iter_mut()
            .zip(&encoded)
            .map(|(pick, encoded)| pick.apply(encoded, weights, &places, &slots))
            .collect();
        let output = self.emit(change, &slots, &outcomes);
        for (slot, after) in slots.iter().zip(&outcomes[0].after) {
            if after.is_none() {
                self.keys.remove(*slot);
            }
        }
        self.touched.clear();
        self.tidy();
        output
    }

    fn append_only(&mut self, inputs: &[bool]) -> bool {
        if inputs[0] {
            for pick in &mut self.picks {
                pick.keep_last();
            }
        }
        false
    }

    fn bytes(&self, tenant: Tenant) -> usize {
        self.keys.bytes(tenant) + self.picks.iter().map(|pick| pick.bytes(tenant)).sum::<usize>()
    }

    fn forget(&mut self, tenant: Tenant) {
        for slot in self.keys.of_tenant(tenant) {
            let (keys, picks) = (&self.keys, &self.picks);
            self.journal.before(slot, |out| write_group(keys, picks, slot, out));
            for pick in &mut self.picks {
                pick.clear(slot, tenant);
            }
            self.keys.remove(slot);
        }
        self.tidy();
    }

    fn cut(&mut self, whole: bool) {
        self.journal.cut(whole, self.keys.slots());
    }

    fn capture(&mut self, capture: &mut Capture) -> bool {
        let (keys, picks) = (&self.keys, &self.picks);
        let of = (store(capture.node, 0), 0);
        self.journal.capture(capture, of, |slot, out| write_group(keys, picks, slot, out))
    }

    fn restore(&mut self, _store: u32, slot: u64, entry: &[u8]) -> Result<(), RuntimeError> {
        let slot = slot as u32;
        let mut entry = Reader(entry);
        let old = self.keys.key_or_none(slot);
        if !old.is_empty() {
            let tenant = owner(old);
            self.picks.iter_mut().for_each(|pick| pick.clear(slot, tenant));
        }
        if entry.0.is_empty() {
            self.keys.restore(slot, &[]);
            return Ok(());
        }
        let key = entry.bytes()?;
        for pick in &mut self.picks {
            pick.read(slot, owner(key), &mut entry)?;
        }
        self.keys.restore(slot, key);
        Ok(())
    }

    fn restored(&mut self) {
        self.journal.keep();
        self.keys.restored();
        self.tidy();
    }
}
