//! Immutable snapshots for readers: what a tenant's views hold at one position.
//!
//! A view's rows stand in order as packed bytes, in sections of small chunks. Applying a change
//! copies only the chunks it touches, so that a snapshot costs the writer little and a reader
//! nothing; a section is decoded to Arrow when it is first read, and once.

mod difference;
mod passing;
mod saving;
mod section;

use std::sync::{Arc, Weak};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, concat_batches, take_record_batch};
use arrow::datatypes::Schema;
use chrono::NaiveDate;

use crate::bytes::ByteRows;
use crate::change::batch;
use crate::sorted::{OWNER, Sorter};
use crate::{Change, Hidden, Position, RuntimeError, Tenant, View};
pub(crate) use passing::PassingRows;
pub use saving::{SavedChunk, SavedMarks, SavedViews, ViewSaver};
use section::Section;

/// The number of rows at which a chunk is full: what a change of one row copies.
const CHUNK_ROWS: usize = 64;
/// The number of chunks at which a section is full: what a reader decodes together.
const SECTION_CHUNKS: usize = 16;

/// All views of one tenant at one position.
#[derive(Debug, Clone)]
pub struct TenantSnapshot {
    tenant: Tenant,
    sequence: u64,
    offset: u64,
    today: Option<NaiveDate>,
    views: Vec<ViewSnapshot>,
    /// SQL that is followed: none of the views, and found by its number alone.
    passing: Vec<PassingRows>,
    unready: Arc<[Unready]>,
    hidden: Arc<Hidden>,
    /// The sequence at which the state of the built-in views was measured last.
    measured: u64,
}

/// Changes of a tenant after which the state of its views is measured again.
const CHANGES_PER_MEASURE: u64 = 64;

/// A view that is defined and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// Its name.
    pub name: String,
    /// Why it failed; none: it is being filled.
    pub failure: Option<RuntimeError>,
}

impl TenantSnapshot {
    /// A snapshot of `views` as they are after `sequence` changes of the tenant.
    pub fn with_views(
        tenant: Tenant,
        sequence: u64,
        today: Option<NaiveDate>,
        views: Vec<ViewSnapshot>,
    ) -> Self {
        let (passing, unready, hidden) = (Vec::new(), Arc::default(), Arc::default());
        Self { tenant, sequence, offset: 0, today, views, passing, unready, hidden, measured: 0 }
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

    /// The bytes that all views hold.
    pub fn bytes(&self) -> usize {
        self.views.iter().map(ViewSnapshot::bytes).sum()
    }

    /// The view of that name that is defined and cannot be read, being none of [`Self::views`].
    pub fn unready(&self, name: &str) -> Option<&Unready> {
        self.unready.iter().find(|unready| unready.name == name)
    }

    /// The same snapshot for readers who are not shown everything.
    #[must_use]
    pub fn hiding(&self, hidden: Arc<Hidden>) -> Self {
        let is_shown = |name: &str| hidden.view(name).is_none();
        let views = self.views.iter().filter(|view| is_shown(view.view.name()));
        let unready = self.unready.iter().filter(|unready| is_shown(&unready.name));
        let (views, unready) = (views.cloned().collect(), unready.cloned().collect());
        let passing = self.passing.iter().filter(|kept| !kept.reads_hidden(&hidden));
        let passing = passing.cloned().collect();
        let (tenant, sequence, offset) = (self.tenant, self.sequence, self.offset);
        let (today, measured) = (self.today, self.measured);
        Self { tenant, sequence, offset, today, views, passing, unready, hidden, measured }
    }

    /// What readers are not shown.
    pub fn hidden(&self) -> &Arc<Hidden> {
        &self.hidden
    }

    pub(crate) fn announce(&mut self, unready: Vec<Unready>) {
        self.unready = unready.into();
    }

    /// Puts other views in the place of those from `index` on.
    pub(crate) fn set_views_from(&mut self, index: usize, views: Vec<ViewSnapshot>) {
        self.views.truncate(index);
        self.views.extend(views);
    }

    /// Says how far the tenant had come when all this was seen before.
    pub(crate) fn resume(&mut self, marks: SavedMarks) {
        (self.sequence, self.offset) = (marks.sequence, marks.offset);
        self.today = marks.today.or(self.today);
    }

    pub(crate) fn advance(&mut self, changes: u64, offset: u64, today: Option<NaiveDate>) {
        self.sequence += changes;
        self.offset = offset;
        self.today = today.or(self.today);
    }

    /// Whether so much has changed that the state is to be measured; answers so once. At first
    /// that is whenever the changes have doubled.
    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.sequence - self.measured >= self.measured.min(CHANGES_PER_MEASURE);
        if due {
            self.measured = self.sequence;
        }
        due
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
    sections: Arc<Vec<Arc<Section>>>,
    rows: usize,
    failure: Option<RuntimeError>,
    since: Option<u64>,
    /// The bytes of the operators' state behind the rows.
    state: usize,
}

/// Which view, with which rows. Marks are equal only if the view is the very same and nothing of it
/// has changed; a mark keeps neither alive.
#[derive(Debug, Clone)]
pub struct ViewMark {
    view: Weak<View>,
    /// Never changed in place: other rows, or a failure, are other sections. As long as the mark is
    /// there their place in memory is taken, so others cannot come to stand there.
    sections: Weak<Vec<Arc<Section>>>,
}

impl ViewMark {
    /// Whether it is the same view, whatever its rows.
    pub fn is_defined_alike(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.view, &other.view)
    }
}

impl PartialEq for ViewMark {
    fn eq(&self, other: &Self) -> bool {
        self.is_defined_alike(other) && Weak::ptr_eq(&self.sections, &other.sections)
    }
}

impl Eq for ViewMark {}

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
        let sections = Arc::default();
        Ok(Self { view, layout, sections, rows: 0, failure: None, since: None, state: 0 })
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

    /// The tenant's sequence at which the view came to be as it is defined; none if it always
    /// was. What was read of a view of this name up to there may have been another.
    pub fn since(&self) -> Option<u64> {
        self.since
    }

    pub(crate) fn live_since(mut self, sequence: u64) -> Self {
        self.since = Some(sequence);
        self
    }

    /// A mark by which it can be told whether the view has changed since.
    pub fn mark(&self) -> ViewMark {
        let (view, sections) = (Arc::downgrade(&self.view), Arc::downgrade(&self.sections));
        ViewMark { view, sections }
    }

    /// Why the view cannot be read, if it cannot.
    pub fn failure(&self) -> Option<&RuntimeError> {
        self.failure.as_ref()
    }

    /// The bytes that the view holds: its rows, packed, and the state of its operators, which for
    /// a built-in view is that of up to 64 changes of the tenant ago. What readers have decoded is
    /// not in it.
    pub fn bytes(&self) -> usize {
        self.sections.iter().map(|section| section.bytes).sum::<usize>() + self.state
    }

    /// Notes the bytes of the operators' state.
    pub(crate) fn hold(&mut self, state: usize) {
        self.state = state;
    }

    /// The number of rows.
    pub fn row_count(&self) -> usize {
        self.rows
    }

    /// All rows, ordered by key. Decoded once and shared by all who ask.
    pub fn batches(&self) -> Result<Vec<RecordBatch>, RuntimeError> {
        self.sections.iter().map(|section| section.decoded(&self.view, &self.layout)).collect()
    }

    /// Up to `limit` rows after the cursor `after`. Equal rows are never torn apart.
    pub fn page(&self, after: Option<&[u8]>, limit: usize) -> Result<Page, RuntimeError> {
        let first = match after {
            Some(cursor) => self.sections.partition_point(|s| s.last() <= cursor),
            None => 0,
        };
        let (mut parts, mut taken, mut next) = (Vec::new(), 0, None);
        for (i, section) in self.sections.iter().enumerate().skip(first) {
            let start = after.map_or(0, |cursor| section.rows_up_to(cursor));
            let (length, last) = section.rows_within(start, limit.saturating_sub(taken));
            parts.push(section.decoded(&self.view, &self.layout)?.slice(start, length));
            taken += length;
            let at_end = i + 1 == self.sections.len() && start + length == section.rows;
            if taken >= limit && !at_end {
                next = last.map(<[u8]>::to_vec);
                break;
            }
        }
        let rows = concat_batches(self.view.schema(), &parts)?;
        Ok(Page { rows, next })
    }

    pub(crate) fn fail(&mut self, error: RuntimeError) {
        self.sections = Arc::default();
        self.rows = 0;
        self.state = 0;
        self.failure = Some(error);
    }

    /// Adds the weights of `delta` to the rows; copies only the chunks in which it falls.
    pub(crate) fn apply(&mut self, delta: &ViewDelta) {
        if delta.is_empty() {
            return;
        }
        let mut sections = Vec::with_capacity(self.sections.len() + 1);
        let mut rest = delta.rows();
        for (i, section) in self.sections.iter().enumerate() {
            let (mine, others) = rest.split(self.sections.get(i + 1).map(|next| next.first()));
            rest = others;
            if mine.len() == 0 {
                sections.push(section.clone());
            } else {
                self.rows -= section.rows;
                self.rows += section.merge(mine, &mut sections);
                Section::join_small(&mut sections);
            }
        }
        if rest.len() > 0 {
            self.rows += Section::default().merge(rest, &mut sections);
        }
        self.sections = Arc::new(sections);
    }
}

/// Rows of one view to be added (+) or removed (−), ordered by their bytes.
#[derive(Debug, Default)]
pub(crate) struct ViewDelta {
    data: Vec<u8>,
    ends: Vec<usize>,
    weights: Vec<i64>,
}

impl ViewDelta {
    fn push(&mut self, row: &[u8], weight: i64) {
        self.data.extend_from_slice(row);
        self.ends.push(self.data.len());
        self.weights.push(weight);
    }

    fn rows(&self) -> DeltaRows<'_> {
        DeltaRows { delta: self, start: 0, end: self.ends.len() }
    }

    fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// Some of the rows of a delta.
#[derive(Debug, Clone, Copy)]
struct DeltaRows<'a> {
    delta: &'a ViewDelta,
    start: usize,
    end: usize,
}

impl<'a> DeltaRows<'a> {
    fn len(self) -> usize {
        self.end - self.start
    }

    fn row(self, i: usize) -> &'a [u8] {
        let i = self.start + i;
        let from = if i == 0 { 0 } else { self.delta.ends[i - 1] };
        &self.delta.data[from..self.delta.ends[i]]
    }

    fn weight(self, i: usize) -> i64 {
        self.delta.weights[self.start + i]
    }

    /// The rows before `bound`, or all, and the others.
    fn split(self, bound: Option<&[u8]>) -> (Self, Self) {
        let Some(bound) = bound else { return (self, Self { start: self.end, ..self }) };
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.row(middle) < bound {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let at = self.start + low;
        (Self { end: at, ..self }, Self { start: at, ..self })
    }
}

/// How a view's rows become bytes: the key's columns first, then the others.
#[derive(Debug)]
pub(crate) struct Layout {
    sorter: Sorter,
    /// The view's column at each place of the bytes.
    order: Vec<usize>,
}

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
        let columns = order.iter().map(|c| (schema.field(*c).data_type(), SortOptions::default()));
        Ok(Self { sorter: Sorter::new(columns)?, order })
    }

    /// The rows of a view that have these bytes.
    fn decode(&self, view: &View, rows: &[&[u8]]) -> Result<RecordBatch, RuntimeError> {
        let columns = self.sorter.decode(rows)?;
        let mut ordered = vec![None; columns.len()];
        for (column, place) in columns.into_iter().zip(&self.order) {
            ordered[*place] = Some(column);
        }
        let ordered = ordered.into_iter().flatten().collect();
        Ok(batch(view.schema().clone(), ordered, rows.len())?)
    }

    /// The change of each tenant, ordered, with equal rows added up.
    pub(crate) fn part(&self, change: &Change) -> Result<Vec<TenantPart>, RuntimeError> {
        let columns: Vec<ArrayRef> =
            self.order.iter().map(|c| change.rows.column(*c).clone()).collect();
        let rows = self.sorter.encode(Some(&change.tenants), &columns, change.len())?;
        let order = sorted(&rows);
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

/// The rows' numbers in the order of their bytes. Most differ within the first bytes, which are
/// compared as a number.
fn sorted(rows: &ByteRows) -> Vec<u32> {
    const FIRST: usize = size_of::<u128>();
    let first = |row: &[u8]| {
        let mut bytes = [0; FIRST];
        let length = row.len().min(FIRST);
        bytes[..length].copy_from_slice(&row[..length]);
        u128::from_be_bytes(bytes)
    };
    let mut order: Vec<(u128, u32)> =
        rows.iter().enumerate().map(|(i, row)| (first(row), i as u32)).collect();
    let rest = |i: u32| rows.row(i as usize);
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| rest(a.1).cmp(rest(b.1))));
    order.into_iter().map(|(_, i)| i).collect()
}

fn tenant_part(
    tenant: Tenant,
    net: &[(u32, i64)],
    change: &Change,
    rows: &ByteRows,
) -> Result<TenantPart, RuntimeError> {
    let mut delta = ViewDelta::default();
    for (row, weight) in net {
        delta.push(&rows.row(*row as usize)[OWNER..], *weight);
    }
    let (gone, come): (Vec<_>, Vec<_>) = net.iter().partition(|(_, weight)| *weight < 0);
    let (indices, weights): (Vec<u32>, Vec<i64>) = gone.into_iter().chain(come).unzip();
    let rows = take_record_batch(&change.rows, &UInt32Array::from(indices))?;
    Ok(TenantPart { tenant, rows, weights, delta })
}

#[cfg(test)]
mod tests;
