#![allow(clippy::unwrap_used)]
use arrow::array::{Decimal128Array, Float64Array, ListArray, StringArray, StringViewArray};
use arrow::datatypes::{Field, Int32Type};
use proptest::prelude::*;

use super::*;

/// A tenant, and a value for columns of several types.
type Row = (u32, Option<String>, Option<i128>, Option<bool>, Option<f64>);

/// Columns of many types over the same rows.
fn columns(rows: &[Row]) -> Vec<ArrayRef> {
    let texts = || rows.iter().map(|r| r.1.as_deref());
    let lists = rows.iter().map(|r| r.2.map(|n| vec![Some(n as i32), None]));
    vec![
        Arc::new(texts().collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.2).collect::<Decimal128Array>()),
        Arc::new(rows.iter().map(|r| r.3).collect::<BooleanArray>()),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists)),
        Arc::new(texts().collect::<StringViewArray>()),
        Arc::new(rows.iter().map(|r| r.4).collect::<Float64Array>()),
    ]
}

fn packer(columns: &[ArrayRef]) -> Packer {
    let field =
        |(i, c): (usize, &ArrayRef)| Field::new(format!("c{i}"), c.data_type().clone(), true);
    let fields: Vec<Field> = columns.iter().enumerate().map(field).collect();
    Packer::new(&Schema::new(fields)).unwrap()
}

proptest! {
    #[test]
    fn what_is_packed_comes_back(
        rows in prop::collection::vec(
            (0..3_u32, any::<Option<String>>(), any::<Option<i32>>(), any::<Option<bool>>(), any::<Option<f64>>()),
            1..20,
        ),
        absent in prop::collection::vec(any::<bool>(), 20),
    ) {
        let rows: Vec<_> =
            rows.into_iter().map(|(t, s, n, b, f)| (t, s, n.map(i128::from), b, f)).collect();
        let columns = columns(&rows);
        let packer = packer(&columns);
        let tenants: UInt32Array = rows.iter().map(|r| Some(r.0)).collect();
        let packed = packer.pack(&tenants, &columns).unwrap();
        let bytes: Vec<Option<&[u8]>> = packed.iter().map(Some).collect();
        let back = packer.unpack(&bytes).unwrap();
        for (there, here) in columns.iter().zip(&back) {
            prop_assert_eq!(there, here);
        }
        for (i, row) in packed.iter().enumerate() {
            prop_assert_eq!(owner(row).0, rows[i].0);
            for (j, other) in packed.iter().enumerate() {
                let same = (0..columns.len()).all(|c| {
                    columns[c].slice(i, 1).to_data() == columns[c].slice(j, 1).to_data()
                });
                if row == other {
                    prop_assert!(same && rows[i].0 == rows[j].0);
                } else {
                    prop_assert!(!same || rows[i].0 != rows[j].0);
                }
            }
        }
        let some: Vec<Option<&[u8]>> =
            bytes.iter().zip(&absent).map(|(row, gone)| row.filter(|_| !gone)).collect();
        for (there, here) in columns.iter().zip(packer.unpack(&some).unwrap()) {
            for (i, absent) in absent.iter().enumerate().take(rows.len()) {
                if *absent {
                    prop_assert!(here.is_null(i));
                } else {
                    prop_assert!(there.slice(i, 1) == here.slice(i, 1), "{:?} {:?}", there.slice(i, 1), here.slice(i, 1));
                }
            }
        }
    }
}
