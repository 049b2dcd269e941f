//! A number for all rows of all views, by which runs that should agree are compared.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use arrow::row::{RowConverter, SortField};
use projections::{Partition, Tenant};

/// How many rows a view has, and the sum of their hashes, over all tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewDigest {
    /// The view's name.
    pub view: String,
    /// Its rows.
    pub rows: usize,
    /// The sum of the rows' hashes, wrapping.
    pub hash: u64,
}

/// The digest of each view over tenants numbered from 0.
///
/// # Panics
/// If a view has failed: then its figures mean nothing.
pub fn digest(partition: &Partition, tenants: u32) -> Vec<ViewDigest> {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let readers = partition.readers();
    let mut digests: Vec<ViewDigest> = readers
        .views()
        .iter()
        .map(|view| ViewDigest { view: view.name().to_owned(), rows: 0, hash: 0 })
        .collect();
    for tenant in 0..tenants {
        let snapshot = readers.snapshot(Tenant(tenant));
        for (view, digest) in snapshot.views().iter().zip(&mut digests) {
            assert!(view.failure().is_none(), "{} failed: {:?}", digest.view, view.failure());
            let fields =
                view.view().schema().fields().iter().map(|f| SortField::new(f.data_type().clone()));
            let converter = RowConverter::new(fields.collect()).expect("columns have an order");
            for batch in view.batches().expect("rows can be read") {
                let rows =
                    converter.convert_columns(batch.columns()).expect("of the view's schema");
                digest.rows += rows.num_rows();
                for row in &rows {
                    digest.hash = digest.hash.wrapping_add(hasher.hash_one((tenant, row.data())));
                }
            }
        }
    }
    digests
}
