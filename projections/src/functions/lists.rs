//! Lists: `make_array`, `string_to_array` and `array_length`, as DataFusion has them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringBuilder, UInt32Array, UInt64Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::Arguments;

fn element(data_type: &DataType) -> FieldRef {
    Arc::new(Field::new_list_field(data_type.clone(), true))
}

macro_rules! function {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, PartialEq, Eq, Hash)]
        pub(super) struct $name {
            signature: Signature,
        }

        impl $name {
            pub(super) fn new() -> Self {
                Self { signature: Signature::user_defined(Volatility::Immutable) }
            }
        }
    };
}

function! {
    /// `make_array(a, b, …)`: the list of its arguments.
    MakeArray
}
function! {
    /// `string_to_array(text, delimiter)`: the parts of a text; of an empty text none.
    StringToArray
}
function! {
    /// `array_length(list)`: the number of elements; of an empty list 0.
    ArrayLength
}

impl ScalarUDFImpl for MakeArray {
    fn name(&self) -> &'static str {
        "make_array"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match type_union_resolution(types) {
            Some(one) if !types.is_empty() => Ok(vec![one; types.len()]),
            _ => plan_err!("make_array takes values of one type, at least one"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(element(types.first().unwrap_or(&DataType::Null))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let args = Arguments::new(args)?;
        let (width, rows) = (args.arrays.len(), args.rows);
        let columns: Vec<&dyn Array> = args.arrays.iter().map(AsRef::as_ref).collect();
        let by_column = concat(&columns)?;
        let places = (0..rows).flat_map(|row| (0..width).map(move |c| (c * rows + row) as u32));
        let values = take(&by_column, &UInt32Array::from_iter_values(places), None)?;
        let lengths = OffsetBuffer::from_lengths(std::iter::repeat_n(width, rows));
        let list = ListArray::try_new(element(values.data_type()), lengths, values, None)?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}

impl ScalarUDFImpl for StringToArray {
    fn name(&self) -> &'static str {
        "string_to_array"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [text, delimiter] if [text, delimiter].iter().all(|t| t.is_string() || t.is_null()) => {
                Ok(vec![DataType::Utf8; 2])
            }
            _ => plan_err!("string_to_array takes a text and a delimiter"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(element(&DataType::Utf8)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let args = Arguments::new(args)?;
        let (texts, delimiters) =
            (args.nth(0)?.as_string::<i32>(), args.nth(1)?.as_string::<i32>());
        let mut values = StringBuilder::new();
        let (mut lengths, mut valid) = (Vec::new(), Vec::new());
        for row in 0..args.rows {
            let known = texts.is_valid(row) && delimiters.is_valid(row);
            let mut length = 0;
            if known {
                for part in parts(texts.value(row), delimiters.value(row)) {
                    values.append_value(part);
                    length += 1;
                }
            }
            lengths.push(length);
            valid.push(known);
        }
        let values: ArrayRef = Arc::new(values.finish());
        let list = ListArray::try_new(
            element(&DataType::Utf8),
            OffsetBuffer::from_lengths(lengths),
            values,
            Some(NullBuffer::from(valid)),
        )?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}

/// The parts of a text between delimiters; without a delimiter the text itself.
pub(super) fn parts<'a>(text: &'a str, delimiter: &'a str) -> Vec<&'a str> {
    match (text.is_empty(), delimiter.is_empty()) {
        (true, _) => Vec::new(),
        (false, true) => vec![text],
        (false, false) => text.split(delimiter).collect(),
    }
}

impl ScalarUDFImpl for ArrayLength {
    fn name(&self) -> &'static str {
        "array_length"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::List(field) | DataType::LargeList(field)] => {
                Ok(vec![DataType::List(field.clone())])
            }
            [DataType::Null] => Ok(vec![DataType::List(element(&DataType::Null))]),
            _ => plan_err!("array_length takes a list"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let args = Arguments::new(args)?;
        let lists = args.lists(0)?;
        let length = |row: usize| lists.is_valid(row).then(|| lists.value_length(row) as u64);
        let lengths: UInt64Array = (0..args.rows).map(length).collect();
        Ok(ColumnarValue::Array(Arc::new(lengths)))
    }
}
