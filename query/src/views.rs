//! Reading a view as it stands: page by page, or whole.

use arrow::array::RecordBatch;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::NaiveDate;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use projections::{Position, TenantSnapshot, ViewSnapshot};

use crate::catalog::check_readable;
use crate::error::nearest;
use crate::{Answer, QueryError, json};

/// Rows of a page when the reader does not say.
pub const DEFAULT_PAGE: usize = 10_000;

/// Rows of a page at most.
pub const MAX_PAGE: usize = 100_000;

/// Some rows of a view, in the order of its key.
#[derive(Clone, Debug)]
pub struct ViewPage {
    /// The rows.
    pub rows: RecordBatch,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
    /// The position of the snapshot.
    pub position: Position,
    /// The tenant's date at that position.
    pub as_of: Option<NaiveDate>,
}

impl ViewPage {
    /// `{"columns":[…],"rows":[[…]],"position":"…","as_of":"…","next":"…"}`; `next` is null on
    /// the last page.
    pub fn json(&self) -> Bytes {
        let mut out = Vec::new();
        json::head(&mut out, self.rows.schema_ref());
        json::rows(&mut out, &self.rows, true);
        json::tail(&mut out, self.position, self.as_of);
        out.pop();
        out.extend_from_slice(b",\"next\":");
        match &self.next {
            Some(cursor) => projections::encode::write_text(&mut out, cursor),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
        out.into()
    }
}

/// Up to `limit` rows (1 to [`MAX_PAGE`]) of the view `name` after the cursor `after`. A few more
/// come when rows are equal, for equal rows are not torn apart.
pub fn read_view(
    snapshot: &TenantSnapshot,
    name: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<ViewPage, QueryError> {
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(QueryError::invalid(format!(
            "limit is {limit}: ask for 1 to {MAX_PAGE} rows a page"
        )));
    }
    let view = find(snapshot, name)?;
    let after = after.map(|cursor| open(name, cursor)).transpose()?;
    let page = view.page(after.as_deref(), limit).map_err(|error| failed(name, error.message))?;
    Ok(ViewPage {
        rows: page.rows,
        next: page.next.map(|bytes| seal(name, &bytes)),
        position: snapshot.position(),
        as_of: snapshot.today(),
    })
}

/// All rows of the view `name`.
pub fn view_answer(snapshot: &TenantSnapshot, name: &str) -> Result<Answer, QueryError> {
    let view = find(snapshot, name)?;
    let schema = view.view().schema().clone();
    let batches = view.batches().map_err(|error| failed(name, error.message))?;
    let batches = stream::iter(batches.into_iter().map(Ok));
    Ok(Answer {
        schema: schema.clone(),
        position: snapshot.position(),
        as_of: snapshot.today(),
        batches: Box::pin(RecordBatchStreamAdapter::new(schema, batches)),
        grounds: None,
    })
}

pub(crate) fn find<'a>(
    snapshot: &'a TenantSnapshot,
    name: &str,
) -> Result<&'a ViewSnapshot, QueryError> {
    if let Some(module) = snapshot.hidden().view(name) {
        let (relation, module) = (name.to_owned(), module.to_owned());
        return Err(QueryError::SwitchedOff { relation, module });
    }
    let Some(view) = snapshot.view(name) else {
        let names = snapshot.views().iter().map(|v| v.view().name());
        let view = name.chars().take(100).collect();
        return Err(QueryError::UnknownView { view, nearest: nearest(name, names) });
    };
    check_readable(view)?;
    Ok(view)
}

fn failed(view: &str, message: String) -> QueryError {
    QueryError::ViewFailed { view: view.to_owned(), message }
}

/// A cursor's text: a mark of the view, so that it is not taken for one of another, then the
/// bytes of the last row that was read.
pub(crate) fn seal(view: &str, bytes: &[u8]) -> String {
    let mut sealed = mark(view).to_vec();
    sealed.extend_from_slice(bytes);
    URL_SAFE_NO_PAD.encode(sealed)
}

pub(crate) fn open(view: &str, cursor: &str) -> Result<Vec<u8>, QueryError> {
    URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|sealed| sealed.strip_prefix(&mark(view)).map(<[u8]>::to_vec))
        .ok_or_else(|| {
            QueryError::invalid(format!(
                "`after` is no cursor of '{view}': use the `next` of its last page, unchanged"
            ))
        })
}

/// FNV-1a of the name, in 32 bits.
fn mark(view: &str) -> [u8; 4] {
    let hash = view
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.to_be_bytes()
}
