#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float64Array,
    Int16Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray, UInt32Array,
    UInt64Array,
};
use arrow::compute::SortOptions;
use arrow::datatypes::{Int32Type, i256};
use arrow::row::{RowConverter, SortField};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::Sorter;

fn text() -> impl Strategy<Value = String> {
    vec(prop_oneof![Just('\0'), Just('\u{1}'), Just('a'), Just('ÿ'), any::<char>()], 0..5)
        .prop_map(String::from_iter)
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![-2_i64..3, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

fn column(rows: usize) -> impl Strategy<Value = ArrayRef> {
    let numbers = vec(of(number()), rows);
    prop_oneof![
        vec(of(text()), rows).prop_map(|v| Arc::new(StringArray::from(v)) as ArrayRef),
        vec(of(any::<bool>()), rows).prop_map(|v| Arc::new(BooleanArray::from(v)) as ArrayRef),
        vec(of(any::<f64>()), rows).prop_map(|v| Arc::new(Float64Array::from(v)) as ArrayRef),
        (numbers, 0..8).prop_map(|(values, kind)| numeric(values, kind)),
    ]
}

fn numeric(values: Vec<Option<i64>>, kind: i32) -> ArrayRef {
    let values = values.into_iter();
    match kind {
        0 => Arc::new(values.collect::<Int64Array>()),
        1 => Arc::new(values.map(|v| v.map(|v| v as i16)).collect::<Int16Array>()),
        2 => Arc::new(values.map(|v| v.map(|v| v as u64)).collect::<UInt64Array>()),
        3 => Arc::new(values.map(|v| v.map(|v| v as i32)).collect::<Date32Array>()),
        4 => Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        5 => Arc::new(values.map(|v| v.map(i128::from)).collect::<Decimal128Array>()),
        6 => {
            let wide = |v: i64| i256::from_i128(i128::from(v) << 40);
            Arc::new(values.map(|v| v.map(wide)).collect::<Decimal256Array>())
        }
        _ => {
            let lists = values.map(|v| v.map(|v| vec![Some(v as i32), None, Some(0)]));
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))
        }
    }
}

fn options() -> impl Strategy<Value = SortOptions> {
    (any::<bool>(), any::<bool>())
        .prop_map(|(descending, nulls_first)| SortOptions { descending, nulls_first })
}

fn columns() -> impl Strategy<Value = (usize, Vec<(ArrayRef, SortOptions)>)> {
    (0_usize..8).prop_flat_map(|rows| (Just(rows), vec((column(rows), options()), 0..5)))
}

proptest! {
    /// The independent order is that of Arrow's row format.
    #[test]
    fn bytes_compare_as_values_and_come_back((rows, columns) in columns()) {
        let (arrays, options): (Vec<ArrayRef>, Vec<SortOptions>) = columns.into_iter().unzip();
        let types = arrays.iter().map(|array| array.data_type()).zip(options.iter().copied());
        let sorter = Sorter::new(types.clone()).unwrap();
        let encoded = sorter.encode(None, &arrays, rows).unwrap();
        if !arrays.is_empty() {
            let fields = types.map(|(t, o)| SortField::new_with_options(t.clone(), o)).collect();
            let expected = RowConverter::new(fields).unwrap().convert_columns(&arrays).unwrap();
            for a in 0..rows {
                for b in 0..rows {
                    prop_assert_eq!(
                        encoded.row(a).cmp(encoded.row(b)),
                        expected.row(a).cmp(&expected.row(b))
                    );
                }
            }
        }
        let decoded = sorter.decode(&encoded.iter().collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(decoded.len(), arrays.len());
        for (decoded, array) in decoded.iter().zip(&arrays) {
            prop_assert_eq!(decoded.to_data(), array.to_data());
        }
    }

    #[test]
    fn the_tenant_stands_first((rows, columns) in columns(), tenants in vec(any::<u32>(), 8)) {
        let (arrays, options): (Vec<ArrayRef>, Vec<SortOptions>) = columns.into_iter().unzip();
        let types = arrays.iter().map(|array| array.data_type()).zip(options);
        let sorter = Sorter::new(types).unwrap();
        let owners = UInt32Array::from(tenants[..rows].to_vec());
        let owned = sorter.encode(Some(&owners), &arrays, rows).unwrap();
        let alone = sorter.encode(None, &arrays, rows).unwrap();
        for (row, tenant) in tenants[..rows].iter().enumerate() {
            let (owner, rest) = owned.row(row).split_at(super::OWNER);
            prop_assert_eq!(owner, tenant.to_be_bytes());
            prop_assert_eq!(rest, alone.row(row));
        }
    }
}
