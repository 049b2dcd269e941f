//! A view's rows at one position, part by part.

use std::sync::Arc;

use arrow::array::RecordBatch;
use projections::encode::{RowEncoder, column_types};
use projections::{Position, RuntimeError, TenantSnapshot, View};

use crate::delta::utf8;
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
    Rows(String, bool),
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
    ) -> Result<Part, RuntimeError> {
        let snapshot = self.snapshot.clone();
        let rows = snapshot.view(view.name()).ok_or_else(|| RuntimeError {
            message: format!("view '{}' is not in the snapshot", view.name()),
        })?;
        if let Some(failure) = rows.failure() {
            return Err(failure.clone());
        }
        let mut out = begin(view, self.position());
        let mut written = 0;
        for _ in 0..PAGES {
            let page = rows.page(self.cursor.as_deref(), PAGE_ROWS)?;
            if !self.write_page(&page.rows, filter, bounds, &mut out, &mut written)? {
                return Ok(finish(out, false));
            }
            if page.next.is_none() {
                return Ok(finish(out, true));
            }
            (self.cursor, self.sent) = (page.next, 0);
        }
        Ok(if written == 0 { Part::Again } else { finish(out, false) })
    }

    /// Writes the rows of a page that have not been sent. False if the part is full before.
    fn write_page(
        &mut self,
        page: &RecordBatch,
        filter: Option<&Filter>,
        bounds: PartBounds,
        out: &mut Vec<u8>,
        written: &mut usize,
    ) -> Result<bool, RuntimeError> {
        let selected = match filter {
            Some(filter) => filter.select(page)?,
            None => (0..page.num_rows()).collect(),
        };
        let encoder = RowEncoder::new(page);
        for row in selected.into_iter().skip(self.sent) {
            if *written > 0 {
                if *written >= bounds.rows || out.len() >= bounds.bytes {
                    return Ok(false);
                }
                out.push(b',');
            }
            encoder.write_row(out, row);
            *written += 1;
            self.sent += 1;
        }
        Ok(true)
    }
}

fn finish(mut out: Vec<u8>, last: bool) -> Part {
    out.extend_from_slice(if last { b"],\"last\":true}" } else { b"],\"last\":false}" });
    Part::Rows(utf8(out), last)
}

/// Writes `"position":"…","columns":[…],"key":[…],"rows":[`.
fn begin(view: &View, position: Position) -> Vec<u8> {
    let columns = serde_json::json!(column_types(view.schema()));
    let key: Vec<&str> =
        view.key().iter().map(|i| view.schema().field(*i).name().as_str()).collect();
    let key = serde_json::json!(key);
    format!("\"position\":\"{position}\",\"columns\":{columns},\"key\":{key},\"rows\":[")
        .into_bytes()
}
