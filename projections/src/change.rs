//! A change: rows of many tenants with signed weights (a Z-set).

use arrow::array::{
    Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array,
};
use arrow::compute::{
    SortOptions, concat, concat_batches, filter, filter_record_batch, take, take_record_batch,
};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use std::sync::Arc;

use crate::bytes::ByteRows;
use crate::sorted::{OWNER, Sorter};
use crate::{EventBatch, Tenant};

/// Rows that come (+n) and go (−n), each of one tenant.
#[derive(Clone, Debug)]
pub struct Change {
    /// The tenant of each row.
    pub tenants: UInt32Array,
    /// The rows.
    pub rows: RecordBatch,
    /// How many times each row comes; negative: goes.
    pub weights: Int64Array,
}

impl Change {
    /// A change from its parts, which are of one length.
    pub fn new(tenants: UInt32Array, rows: RecordBatch, weights: Int64Array) -> Self {
        debug_assert!(tenants.len() == rows.num_rows() && weights.len() == rows.num_rows());
        Self { tenants, rows, weights }
    }

    /// No rows.
    pub fn empty(schema: SchemaRef) -> Self {
        Self {
            tenants: UInt32Array::from(Vec::<u32>::new()),
            rows: RecordBatch::new_empty(schema),
            weights: Int64Array::from(Vec::<i64>::new()),
        }
    }

    /// Every event comes once.
    pub fn from_events(batch: EventBatch) -> Self {
        let weights = Int64Array::from(vec![1; batch.rows.num_rows()]);
        Self { tenants: batch.tenants, rows: batch.rows, weights }
    }

    /// The number of rows, whatever their weights.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// All rows of `parts`, one after the other.
    pub fn concat(schema: &SchemaRef, parts: &[Self]) -> Result<Self, ArrowError> {
        match parts {
            [] => Ok(Self::empty(schema.clone())),
            [one] => Ok(one.clone()),
            many => Ok(Self {
                tenants: concatenated(many.iter().map(|c| &c.tenants))?,
                rows: concat_batches(&many[0].rows.schema(), many.iter().map(|c| &c.rows))?,
                weights: concatenated(many.iter().map(|c| &c.weights))?,
            }),
        }
    }

    /// The rows where `keep` is true.
    pub fn filter(&self, keep: &BooleanArray) -> Result<Self, ArrowError> {
        if keep.null_count() == 0 && keep.true_count() == keep.len() {
            return Ok(self.clone());
        }
        Ok(Self {
            tenants: downcast(&filter(&self.tenants, keep)?)?,
            rows: filter_record_batch(&self.rows, keep)?,
            weights: downcast(&filter(&self.weights, keep)?)?,
        })
    }

    /// The rows at `indices`.
    pub fn take(&self, indices: &UInt32Array) -> Result<Self, ArrowError> {
        Ok(Self {
            tenants: downcast(&take(&self.tenants, indices, None)?)?,
            rows: take_record_batch(&self.rows, indices)?,
            weights: downcast(&take(&self.weights, indices, None)?)?,
        })
    }

    /// The same tenants and weights with other columns.
    #[must_use]
    pub fn with_rows(&self, rows: RecordBatch) -> Self {
        Self { tenants: self.tenants.clone(), rows, weights: self.weights.clone() }
    }

    /// The rows of one tenant.
    pub fn of_tenant(&self, tenant: Tenant) -> Result<Self, ArrowError> {
        let keep = self.tenants.values().iter().map(|t| Some(*t == tenant.0)).collect();
        self.filter(&keep)
    }

    /// The distinct tenants, ascending.
    pub fn tenants(&self) -> Vec<Tenant> {
        let mut tenants: Vec<Tenant> = runs(&self.tenants).map(|(tenant, _)| tenant).collect();
        tenants.sort_unstable();
        tenants.dedup();
        tenants
    }
}

/// Each tenant with the number of rows that follow each other and are its. Rows of a tenant mostly
/// come together.
pub(crate) fn runs(tenants: &UInt32Array) -> impl Iterator<Item = (Tenant, usize)> {
    tenants.values().chunk_by(|a, b| a == b).map(|run| (Tenant(run[0]), run.len()))
}

fn concatenated<'a, A>(parts: impl Iterator<Item = &'a A>) -> Result<A, ArrowError>
where
    A: Array + Clone + 'static,
{
    let parts: Vec<&dyn Array> = parts.map(|p| p as _).collect();
    downcast(&concat(&parts)?)
}

fn downcast<A: Clone + 'static>(array: &ArrayRef) -> Result<A, ArrowError> {
    array
        .as_any()
        .downcast_ref::<A>()
        .cloned()
        .ok_or_else(|| ArrowError::CastError("an array changed its type on the way".into()))
}

/// A batch of `columns`, which may be none as long as the number of rows is said.
pub(crate) fn batch(
    schema: SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new_with_options(
        schema,
        columns,
        &RecordBatchOptions::new().with_row_count(Some(rows)),
    )
}

/// Turns `(tenant, columns)` into bytes that compare as the values do, and back.
///
/// It is the one place where keys of state are made: the tenant is always the first part.
#[derive(Debug)]
pub(crate) struct RowCodec {
    sorter: Sorter,
    schema: SchemaRef,
}

impl RowCodec {
    /// A codec of rows with the columns of `schema`, ascending.
    pub(crate) fn new(schema: &Schema) -> Result<Self, ArrowError> {
        let columns = schema.fields().iter().map(|f| (f.data_type(), SortOptions::default()));
        Ok(Self { sorter: Sorter::new(columns)?, schema: Arc::new(schema.clone()) })
    }

    /// The bytes of each row.
    pub(crate) fn encode(
        &self,
        tenants: &UInt32Array,
        columns: &[ArrayRef],
    ) -> Result<ByteRows, ArrowError> {
        self.sorter.encode(Some(tenants), columns, tenants.len())
    }

    /// The tenants and columns of encoded rows.
    pub(crate) fn decode<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(UInt32Array, Vec<ArrayRef>), ArrowError> {
        let (mut tenants, mut values) = (Vec::new(), Vec::new());
        for (tenant, row) in rows.into_iter().filter_map(<[u8]>::split_first_chunk::<OWNER>) {
            tenants.push(u32::from_be_bytes(*tenant));
            values.push(row);
        }
        Ok((UInt32Array::from(tenants), self.sorter.decode(&values)?))
    }

    /// The encoded rows as a change with these weights.
    pub(crate) fn decode_change<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a [u8]>,
        weights: Vec<i64>,
    ) -> Result<Change, ArrowError> {
        if weights.is_empty() {
            return Ok(Change::empty(self.schema.clone()));
        }
        let (tenants, columns) = self.decode(rows)?;
        let rows = batch(self.schema.clone(), columns, weights.len())?;
        Ok(Change::new(tenants, rows, Int64Array::from(weights)))
    }

    /// The change with equal rows added up, sorted by tenant and columns, without zeros.
    pub(crate) fn consolidate(&self, change: &Change) -> Result<Change, ArrowError> {
        let rows = self.encode(&change.tenants, change.rows.columns())?;
        let mut order: Vec<u32> = (0..change.len() as u32).collect();
        order.sort_unstable_by(|a, b| rows.row(*a as usize).cmp(rows.row(*b as usize)));
        let (mut kept, mut weights): (Vec<u32>, Vec<i64>) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < order.len() {
            let first = rows.row(order[at] as usize);
            let mut weight = 0_i64;
            let mut next = at;
            while next < order.len() && rows.row(order[next] as usize) == first {
                weight += change.weights.value(order[next] as usize);
                next += 1;
            }
            if weight != 0 {
                kept.push(order[at]);
                weights.push(weight);
            }
            at = next;
        }
        let mut taken = change.take(&UInt32Array::from(kept))?;
        taken.weights = Int64Array::from(weights);
        Ok(taken)
    }
}
