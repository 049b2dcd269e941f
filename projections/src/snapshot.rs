//! Immutable snapshots for readers: what a tenant's views hold at one position.
//!
//! A view's rows stand in chunks of packed, ordered bytes. Applying a change copies only the
//! chunks it touches, so that a snapshot costs the writer little and a reader nothing; a chunk is
//! decoded to Arrow when it is first read, and once.

use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Schema};
use arrow::row::{RowConverter, Rows, SortField};
use chrono::NaiveDate;

use crate::change::batch;
use crate::{Change, Position, RuntimeError, Tenant, View};

/// The number of rows at which a chunk is full.
const CHUNK_ROWS: usize = 1024;

/// All views of one tenant at one position.
#[derive(Debug, Clone)]
pub struct TenantSnapshot {
    tenant: Tenant,
    sequence: u64,
    offset: u64,
    today: Option<NaiveDate>,
    views: Vec<ViewSnapshot>,
}

impl TenantSnapshot {
    /// A snapshot of `views` as they are after `sequence` changes of the tenant.
    pub fn with_views(
        tenant: Tenant,
        sequence: u64,
        today: Option<NaiveDate>,
        views: Vec<ViewSnapshot>,
    ) -> Self {
        Self { tenant, sequence, offset: 0, today, views }
    }

    /// Whose snapshot it is.
    pub fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// The position it was taken at.
    pub fn position(&self) -> Position {
        Position::new(self.tenant, self.sequence)
    }

    /// The source's offset of the last input that touched the tenant.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The tenant's date; none before its first tick.
    pub fn today(&self) -> Option<NaiveDate> {
        self.today
    }

    /// The view of that name.
    pub fn view(&self, name: &str) -> Option<&ViewSnapshot> {
        self.views.iter().find(|v| v.view.name() == name)
    }

    /// All views, in the order of their definition.
    pub fn views(&self) -> &[ViewSnapshot] {
        &self.views
    }

    pub(crate) fn advance(&mut self, changes: u64, offset: u64, today: Option<NaiveDate>) {
        self.sequence += changes;
        self.offset = offset;
        self.today = today.or(self.today);
    }

    pub(crate) fn view_mut(&mut self, index: usize) -> Option<&mut ViewSnapshot> {
        self.views.get_mut(index)
    }
}

/// One view's rows, or why there are none.
#[derive(Debug, Clone)]
pub struct ViewSnapshot {
    view: Arc<View>,
    layout: Arc<Layout>,
    chunks: Arc<Vec<Arc<Chunk>>>,
    rows: usize,
    failure: Option<RuntimeError>,
}

/// Some rows of a view, in order.
#[derive(Debug, Clone)]
pub struct Page {
    /// The rows.
    pub rows: RecordBatch,
    /// Where the next page begins, if there is one: opaque bytes.
    pub next: Option<Vec<u8>>,
}

impl ViewSnapshot {
    /// A view without rows.
    pub fn empty(view: Arc<View>) -> Result<Self, RuntimeError> {
        let layout = Arc::new(Layout::new(view.schema(), view.key())?);
        Ok(Self { view, layout, chunks: Arc::default(), rows: 0, failure: None })
    }

    /// A view with these rows.
    pub fn from_batch(view: Arc<View>, rows: &RecordBatch) -> Result<Self, RuntimeError> {
        let mut snapshot = Self::empty(view)?;
        let length = rows.num_rows();
        let owners = UInt32Array::from(vec![0; length]);
        let change = Change::new(owners, rows.clone(), Int64Array::from(vec![1; length]));
        for part in snapshot.layout.part(&change)? {
            snapshot.apply(&part.delta);
        }
        Ok(snapshot)
    }

    /// The view.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Why the view cannot be read, if it cannot.
    pub fn failure(&self) -> Option<&RuntimeError> {
        self.failure.as_ref()
    }

    /// The number of rows.
    pub fn row_count(&self) -> usize {
        self.rows
    }

    /// All rows, ordered by key. Decoded once and shared by all who ask.
    pub fn batches(&self) -> Result<Vec<RecordBatch>, RuntimeError> {
        self.chunks.iter().map(|chunk| chunk.decoded(&self.view, &self.layout)).collect()
    }

    /// Up to `limit` rows after the cursor `after`. Equal rows are never torn apart.
    pub fn page(&self, after: Option<&[u8]>, limit: usize) -> Result<Page, RuntimeError> {
        let first = match after {
            Some(cursor) => self.chunks.partition_point(|c| c.last() <= cursor),
            None => 0,
        };
        let (mut parts, mut taken, mut next) = (Vec::new(), 0, None);
        for chunk in &self.chunks[first..] {
            let from = after.map_or(0, |cursor| chunk.rows_up_to(cursor));
            let to = chunk.rows_within(from, limit.saturating_sub(taken));
            let start = chunk.repeated(0, from);
            let length = chunk.repeated(from, to);
            parts.push(chunk.decoded(&self.view, &self.layout)?.slice(start, length));
            taken += length;
            let is_last = chunk.last() == self.chunks.last().map_or(&[][..], |c| c.last());
            if taken >= limit && !(is_last && to == chunk.len()) {
                next = to.checked_sub(1).map(|row| chunk.row(row).to_vec());
                break;
            }
        }
        let rows = concat_batches(self.view.schema(), &parts)?;
        Ok(Page { rows, next })
    }

    pub(crate) fn fail(&mut self, error: RuntimeError) {
        self.chunks = Arc::default();
        self.rows = 0;
        self.failure = Some(error);
    }

    /// Adds the weights of `delta` to the rows; copies only the chunks in which it falls.
    pub(crate) fn apply(&mut self, delta: &ViewDelta) {
        if delta.is_empty() {
            return;
        }
        let mut chunks = Vec::with_capacity(self.chunks.len() + 1);
        let mut rest = delta.rows();
        for (i, chunk) in self.chunks.iter().enumerate() {
            let here = match self.chunks.get(i + 1) {
                Some(next) => rest.partition_point(|row| row.bytes.as_ref() < next.row(0)),
                None => rest.len(),
            };
            let (mine, others) = rest.split_at(here);
            rest = others;
            if mine.is_empty() {
                chunks.push(chunk.clone());
            } else {
                chunk.merge(mine, &mut chunks);
            }
        }
        if !rest.is_empty() {
            Chunk::default().merge(rest, &mut chunks);
        }
        self.rows = chunks.iter().map(|c| c.repeated(0, c.len())).sum();
        self.chunks = Arc::new(chunks);
    }
}

/// Rows of one view to be added (+) or removed (−), ordered by their bytes.
#[derive(Debug, Default)]
pub(crate) struct ViewDelta(Vec<WeightedRow>);

#[derive(Debug)]
struct WeightedRow {
    bytes: Box<[u8]>,
    weight: i64,
}

impl ViewDelta {
    fn rows(&self) -> &[WeightedRow] {
        &self.0
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How a view's rows become bytes: the key's columns first, then the others.
#[derive(Debug)]
pub(crate) struct Layout {
    converter: RowConverter,
    /// The same with the tenant before the row.
    owned: RowConverter,
    /// The view's column at each place of the bytes.
    order: Vec<usize>,
}

/// The bytes of a tenant before a row's: a mark, and the number.
const OWNER_BYTES: usize = 5;

/// One tenant's part of a view's change: rows that go first, then rows that come.
#[derive(Debug)]
pub(crate) struct TenantPart {
    pub(crate) tenant: Tenant,
    pub(crate) rows: RecordBatch,
    pub(crate) weights: Vec<i64>,
    pub(crate) delta: ViewDelta,
}

impl Layout {
    /// The layout of a view's rows.
    pub(crate) fn new(schema: &Schema, key: &[usize]) -> Result<Self, RuntimeError> {
        let mut order = key.to_vec();
        order.extend((0..schema.fields().len()).filter(|c| !key.contains(c)));
        let field = |c: &usize| SortField::new(schema.field(*c).data_type().clone());
        let fields: Vec<SortField> = order.iter().map(field).collect();
        let mut owned = vec![SortField::new(DataType::UInt32)];
        owned.extend(fields.iter().cloned());
        Ok(Self { converter: RowConverter::new(fields)?, owned: RowConverter::new(owned)?, order })
    }

    /// The change of each tenant, ordered, with equal rows added up.
    pub(crate) fn part(&self, change: &Change) -> Result<Vec<TenantPart>, RuntimeError> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(change.tenants.clone())];
        columns.extend(self.order.iter().map(|c| change.rows.column(*c).clone()));
        let rows = self.owned.convert_columns(&columns)?;
        let mut order: Vec<u32> = (0..change.len() as u32).collect();
        order.sort_unstable_by(|a, b| rows.row(*a as usize).cmp(&rows.row(*b as usize)));
        let mut net: Vec<(u32, i64)> = Vec::with_capacity(order.len());
        for same in order.chunk_by(|a, b| rows.row(*a as usize) == rows.row(*b as usize)) {
            let weight = same.iter().map(|row| change.weights.value(*row as usize)).sum();
            if weight != 0 {
                net.push((same[0], weight));
            }
        }
        let tenant = |row: u32| change.tenants.value(row as usize);
        net.chunk_by(|a, b| tenant(a.0) == tenant(b.0))
            .map(|net| tenant_part(Tenant(tenant(net[0].0)), net, change, &rows))
            .collect()
    }
}

fn tenant_part(
    tenant: Tenant,
    net: &[(u32, i64)],
    change: &Change,
    rows: &Rows,
) -> Result<TenantPart, RuntimeError> {
    let weighted = |(row, weight): &(u32, i64)| WeightedRow {
        bytes: rows.row(*row as usize).data()[OWNER_BYTES..].into(),
        weight: *weight,
    };
    let delta = ViewDelta(net.iter().map(weighted).collect());
    let (gone, come): (Vec<_>, Vec<_>) = net.iter().partition(|(_, weight)| *weight < 0);
    let (indices, weights): (Vec<u32>, Vec<i64>) = gone.into_iter().chain(come).unzip();
    let rows = take_record_batch(&change.rows, &UInt32Array::from(indices))?;
    Ok(TenantPart { tenant, rows, weights, delta })
}

/// Up to a few thousand rows: packed bytes with the number of times each row stands.
#[derive(Debug, Default)]
struct Chunk {
    data: Vec<u8>,
    ends: Vec<u32>,
    weights: Vec<i64>,
    decoded: OnceLock<RecordBatch>,
}

impl Chunk {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn row(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.data[start..self.ends[i] as usize]
    }

    fn last(&self) -> &[u8] {
        self.len().checked_sub(1).map_or(&[], |i| self.row(i))
    }

    fn push(&mut self, row: &[u8], weight: i64) {
        self.data.extend_from_slice(row);
        self.ends.push(self.data.len() as u32);
        self.weights.push(weight);
    }

    /// How many rows are at or before the cursor.
    fn rows_up_to(&self, cursor: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.row(middle) <= cursor {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The end of the rows from `from` that stand for at least `limit` rows, or of all.
    fn rows_within(&self, from: usize, limit: usize) -> usize {
        let mut taken = 0;
        for i in from..self.len() {
            if taken >= limit {
                return i;
            }
            taken += usize::try_from(self.weights[i]).unwrap_or(0);
        }
        self.len()
    }

    /// How many rows the entries from `from` to `to` stand for.
    fn repeated(&self, from: usize, to: usize) -> usize {
        self.weights[from..to].iter().map(|w| usize::try_from(*w).unwrap_or(0)).sum()
    }

    /// The rows of this chunk with `delta`, as one chunk or more.
    fn merge(&self, delta: &[WeightedRow], into: &mut Vec<Arc<Self>>) {
        let mut open = Self::default();
        let mut push = |row: &[u8], weight: i64| {
            if weight == 0 {
                return;
            }
            if open.len() >= CHUNK_ROWS || open.data.len() >= (1 << 30) {
                into.push(Arc::new(std::mem::take(&mut open)));
            }
            open.push(row, weight);
        };
        let (mut i, mut j) = (0, 0);
        while i < self.len() || j < delta.len() {
            let ahead = match (i < self.len(), delta.get(j)) {
                (true, Some(new)) => self.row(i).cmp(&new.bytes),
                (true, None) => std::cmp::Ordering::Less,
                (false, _) => std::cmp::Ordering::Greater,
            };
            match ahead {
                std::cmp::Ordering::Less => {
                    push(self.row(i), self.weights[i]);
                    i += 1;
                }
                std::cmp::Ordering::Greater => {
                    push(&delta[j].bytes, delta[j].weight);
                    j += 1;
                }
                std::cmp::Ordering::Equal => {
                    push(self.row(i), self.weights[i] + delta[j].weight);
                    (i, j) = (i + 1, j + 1);
                }
            }
        }
        if open.len() > 0 {
            into.push(Arc::new(open));
        }
    }

    fn decoded(&self, view: &View, layout: &Layout) -> Result<RecordBatch, RuntimeError> {
        if let Some(batch) = self.decoded.get() {
            return Ok(batch.clone());
        }
        let parser = layout.converter.parser();
        let rows = (0..self.len()).flat_map(|i| {
            let times = usize::try_from(self.weights[i]).unwrap_or(0);
            std::iter::repeat_n(parser.parse(self.row(i)), times)
        });
        let columns = layout.converter.convert_rows(rows)?;
        let mut ordered = vec![None; columns.len()];
        for (column, place) in columns.into_iter().zip(&layout.order) {
            ordered[*place] = Some(column);
        }
        let ordered = ordered.into_iter().flatten().collect();
        let decoded = batch(view.schema().clone(), ordered, self.repeated(0, self.len()))?;
        Ok(self.decoded.get_or_init(|| decoded).clone())
    }
}

#[cfg(test)]
mod tests;
