//! A number for all rows of a view, by which answers that should agree are compared.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use arrow::array::RecordBatch;
use arrow::row::{RowConverter, SortField};
use projections::{Partition, Tenant};

/// How many rows there are, and the sum of their hashes: the same in whatever order they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// The rows.
    pub rows: usize,
    /// The sum of the rows' hashes, wrapping.
    pub hash: u64,
}

impl Digest {
    /// Adds the rows of `batch`, which are of `tenant`.
    ///
    /// # Panics
    /// If a column's type has no order.
    pub fn add(&mut self, tenant: u32, batch: &RecordBatch) {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let fields = batch.schema();
        let fields = fields.fields().iter().map(|f| SortField::new(f.data_type().clone()));
        let converter = RowConverter::new(fields.collect()).expect("columns have an order");
        let rows = converter.convert_columns(batch.columns()).expect("columns of the schema");
        self.rows += rows.num_rows();
        for row in &rows {
            self.hash = self.hash.wrapping_add(hasher.hash_one((tenant, row.data())));
        }
    }
}

/// A view's name, and the digest of its rows over tenants numbered from 0.
pub type ViewDigest = (String, Digest);

/// The digest of every view.
///
/// # Panics
/// If a view has failed: then its figures mean nothing.
pub fn digest(partition: &Partition, tenants: u32) -> Vec<ViewDigest> {
    let readers = partition.readers();
    let mut digests: Vec<ViewDigest> =
        readers.views().iter().map(|view| (view.name().to_owned(), Digest::default())).collect();
    for tenant in 0..tenants {
        let snapshot = readers.snapshot(Tenant(tenant));
        for (view, (name, digest)) in snapshot.views().iter().zip(&mut digests) {
            assert!(view.failure().is_none(), "{name} failed: {:?}", view.failure());
            for batch in view.batches().expect("rows can be read") {
                digest.add(tenant, &batch);
            }
        }
    }
    digests
}
