//! A view's rows at one position, part by part.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use projections::encode::{RowEncoder, column_types};
use projections::{Position, RuntimeError, TenantSnapshot, View};

use crate::body::{Body, Format, announcement, arrow_rows};
use crate::delta::{slice_bytes, utf8};
use crate::filter::Filter;

/// Rows that are looked at together.
const PAGE_ROWS: usize = 512;

/// Pages that are looked at in one step, so that a rare value does not hold up others.
const PAGES: usize = 16;

/// Reads a view of one snapshot in bounded parts. It keeps the snapshot, not its decoded rows.
#[derive(Debug)]
pub(crate) struct SnapshotReader {
    snapshot: Arc<TenantSnapshot>,
    cursor: Option<Vec<u8>>,
    /// How many rows of the page at the cursor have been sent, of those that pass the filter.
    sent: usize,
}

/// What a step of reading brings.
pub(crate) enum Part {
    /// The end of a `snapshot` message, and whether it is the last.
    Rows(Body, bool),
    /// No row that was looked at passed the filter: read on.
    Again,
}

/// Bounds of one part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartBounds {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

impl SnapshotReader {
    pub(crate) fn new(snapshot: Arc<TenantSnapshot>) -> Self {
        Self { snapshot, cursor: None, sent: 0 }
    }

    pub(crate) fn position(&self) -> Position {
        self.snapshot.position()
    }

    /// The next part. After the last one it must not be called again.
    pub(crate) fn next(
        &mut self,
        view: &View,
        filter: Option<&Filter>,
        bounds: PartBounds,
        format: Format,
    ) -> Result<Part, RuntimeError> {
        let snapshot = self.snapshot.clone();
        let rows = snapshot.view(view.name()).ok_or_else(|| RuntimeError {
            message: format!("view '{}' is not in the snapshot", view.name()),
        })?;
        if let Some(failure) = rows.failure() {
            return Err(failure.clone());
        }
        let mut part = Gathered::new(view, self.position(), bounds, format);
        for _ in 0..PAGES {
            let page = rows.page(self.cursor.as_deref(), PAGE_ROWS)?;
            let selected = match filter {
                Some(filter) => filter.select(&page.rows)?,
                None => (0..page.rows.num_rows()).collect(),
            };
            let left = selected.get(self.sent..).unwrap_or_default();
            let taken = part.take(&page.rows, left)?;
            self.sent += taken;
            if taken < left.len() {
                return part.finish(view, false);
            }
            if page.next.is_none() {
                return part.finish(view, true);
            }
            (self.cursor, self.sent) = (page.next, 0);
        }
        if part.rows == 0 { Ok(Part::Again) } else { part.finish(view, false) }
    }
}

/// A part that is being put together.
struct Gathered {
    bounds: PartBounds,
    rows: usize,
    content: Content,
}

enum Content {
    /// The text so far.
    Json(Vec<u8>),
    /// The text before the rows, the rows, and about how many bytes they are.
    Arrow(String, Vec<RecordBatch>, usize),
}

impl Gathered {
    fn new(view: &View, position: Position, bounds: PartBounds, format: Format) -> Self {
        let head = head(view, position);
        let content = match format {
            Format::Json => Content::Json(format!("{head},\"rows\":[").into_bytes()),
            Format::Arrow => Content::Arrow(head, Vec::new(), 0),
        };
        Self { bounds, rows: 0, content }
    }

    /// Takes rows of a page up to the bounds, but always one; answers how many.
    fn take(&mut self, page: &RecordBatch, selected: &[usize]) -> Result<usize, RuntimeError> {
        let Self { bounds, rows, content } = self;
        let before = *rows;
        match content {
            Content::Json(out) => {
                let encoder = RowEncoder::new(page);
                for row in selected {
                    if *rows > 0 {
                        if *rows >= bounds.rows || out.len() >= bounds.bytes {
                            break;
                        }
                        out.push(b',');
                    }
                    encoder.write_row(out, *row);
                    *rows += 1;
                }
            }
            Content::Arrow(_, batches, bytes) => {
                let row_bytes = slice_bytes(page) / page.num_rows().max(1) + 1;
                let by_bytes = bounds.bytes.saturating_sub(*bytes) / row_bytes;
                let room = by_bytes.min(bounds.rows.saturating_sub(before));
                let count = room.max(usize::from(before == 0)).min(selected.len());
                if count > 0 {
                    let places = selected[..count].iter().map(|row| *row as u64);
                    let places = UInt64Array::from_iter_values(places);
                    batches.push(take_record_batch(page, &places)?);
                    *bytes += count * row_bytes;
                    *rows += count;
                }
            }
        }
        Ok(*rows - before)
    }

    fn finish(self, view: &View, last: bool) -> Result<Part, RuntimeError> {
        let body = match self.content {
            Content::Json(mut out) => {
                out.extend_from_slice(format!("],\"last\":{last}}}").as_bytes());
                Body::json(utf8(out))
            }
            Content::Arrow(head, batches, _) => {
                let rows = concat_batches(view.schema(), &batches)?;
                let weights = Int64Array::from_value(1, rows.num_rows());
                let rows = arrow_rows(&rows, &weights)?;
                let text = format!("{head},{},\"last\":{last}}}", announcement(&rows));
                Body { text, rows: Some(rows) }
            }
        };
        Ok(Part::Rows(body, last))
    }
}

/// `"position":"…","columns":[…],"key":[…]`.
fn head(view: &View, position: Position) -> String {
    let columns = serde_json::json!(column_types(view.schema()));
    let key: Vec<&str> =
        view.key().iter().map(|i| view.schema().field(*i).name().as_str()).collect();
    let key = serde_json::json!(key);
    format!("\"position\":\"{position}\",\"columns\":{columns},\"key\":{key}")
}
