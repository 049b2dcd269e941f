//! Rows as bytes for state: equal rows have equal bytes, and the tenant is the first of them.
//!
//! The order of the bytes says nothing; where an order is needed, [`crate::change::RowCodec`] gives
//! one. Layout: tenant (4 bytes), a bit for each null, the columns of fixed width, the lengths of
//! the others (4 bytes each), then their bytes. Nulls are zeros.

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, BooleanArray, BooleanBufferBuilder,
    GenericByteArray, Int64Array, NullBufferBuilder, UInt32Array, make_array,
};
use arrow::buffer::{MutableBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    BinaryType, ByteArrayType, DataType, LargeUtf8Type, Schema, SchemaRef, Utf8Type,
};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use std::sync::{Arc, Mutex, PoisonError};

use crate::change::batch;
use crate::{Change, Tenant};

/// The bytes of the tenant.
const OWNER: usize = 4;

/// Packs rows of one schema, and unpacks them.
pub(crate) struct Packer {
    schema: SchemaRef,
    columns: Vec<Packing>,
    /// The bytes before those of the first column of variable length.
    head: usize,
}

/// Where and how one column stands in a row.
struct Packing {
    place: usize,
    form: Form,
}

enum Form {
    /// So many bytes.
    Fixed(usize),
    /// One byte.
    Bool,
    /// Text, as UTF-8.
    Text,
    /// As Arrow's row format has it.
    Other(Mutex<RowConverter>),
}

/// Packed rows of one batch.
pub(crate) struct Packed {
    data: Vec<u8>,
    /// The end of each row.
    ends: Vec<usize>,
}

impl Packed {
    /// The bytes of a row.
    pub(crate) fn row(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.data[start..self.ends[i]]
    }

    /// All rows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|i| self.row(i))
    }
}

/// The tenant of a packed row.
pub(crate) fn owner(row: &[u8]) -> Tenant {
    let mut bytes = [0; OWNER];
    bytes.copy_from_slice(&row[..OWNER]);
    Tenant(u32::from_le_bytes(bytes))
}

impl Packer {
    /// A packer of rows with the columns of `schema`.
    pub(crate) fn new(schema: &Schema) -> Result<Self, ArrowError> {
        let fields = schema.fields();
        let mut place = OWNER + fields.len().div_ceil(8);
        let mut columns = Vec::with_capacity(fields.len());
        for field in fields {
            let form = match field.data_type() {
                DataType::Boolean => Form::Bool,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Form::Text,
                fixed => match fixed.primitive_width() {
                    Some(width) => Form::Fixed(width),
                    None => {
                        let sort = SortField::new(fixed.clone());
                        Form::Other(Mutex::new(RowConverter::new(vec![sort])?))
                    }
                },
            };
            let width = match form {
                Form::Fixed(width) => width,
                Form::Bool => 1,
                Form::Text | Form::Other(_) => 4,
            };
            columns.push(Packing { place, form });
            place += width;
        }
        Ok(Self { schema: Arc::new(schema.clone()), columns, head: place })
    }

    /// The bytes of each row.
    pub(crate) fn pack(
        &self,
        tenants: &UInt32Array,
        columns: &[ArrayRef],
    ) -> Result<Packed, ArrowError> {
        let rows = tenants.len();
        let variable = self
            .columns
            .iter()
            .zip(columns)
            .map(|(packing, column)| packing.form.bytes(column))
            .collect::<Result<Vec<_>, _>>()?;
        let mut lengths = vec![self.head; rows];
        for bytes in variable.iter().flatten() {
            bytes.add_lengths(&mut lengths);
        }
        let mut total = 0;
        let ends: Vec<usize> = lengths
            .iter()
            .map(|length| {
                total += length;
                total
            })
            .collect();
        let starts: Vec<usize> =
            ends.iter().zip(&lengths).map(|(end, length)| end - length).collect();
        let mut data = vec![0; total];
        for (start, tenant) in starts.iter().zip(tenants.values()) {
            data[*start..start + OWNER].copy_from_slice(&tenant.to_le_bytes());
        }
        let mut cursors: Vec<usize> = starts.iter().map(|start| start + self.head).collect();
        for (i, ((packing, column), bytes)) in
            self.columns.iter().zip(columns).zip(&variable).enumerate()
        {
            if let Some(nulls) = column.logical_nulls() {
                for (row, start) in starts.iter().enumerate() {
                    if nulls.is_null(row) {
                        data[start + OWNER + i / 8] |= 1 << (i % 8);
                    }
                }
            }
            match (&packing.form, bytes) {
                (Form::Fixed(width), _) => {
                    write_fixed(&mut data, &starts, packing.place, *width, column);
                }
                (_, Some(bytes)) => bytes.write(&mut data, &starts, packing.place, &mut cursors),
                (_, None) => {
                    let values = column.as_boolean();
                    for (row, start) in starts.iter().enumerate() {
                        data[start + packing.place] =
                            u8::from(values.is_valid(row) && values.value(row));
                    }
                }
            }
        }
        Ok(Packed { data, ends })
    }

    /// The columns of packed rows; a row that is none is all null.
    pub(crate) fn unpack(&self, rows: &[Option<&[u8]>]) -> Result<Vec<ArrayRef>, ArrowError> {
        (0..self.columns.len()).map(|column| self.column(rows, column)).collect()
    }

    /// One column of packed rows.
    pub(crate) fn column(
        &self,
        rows: &[Option<&[u8]>],
        column: usize,
    ) -> Result<ArrayRef, ArrowError> {
        let packing = &self.columns[column];
        let data_type = self.schema.field(column).data_type();
        let (byte, bit) = (OWNER + column / 8, 1_u8 << (column % 8));
        let mut nulls = NullBufferBuilder::new(rows.len());
        for row in rows {
            nulls.append(row.is_some_and(|row| row[byte] & bit == 0));
        }
        let nulls = nulls.finish();
        Ok(match &packing.form {
            Form::Fixed(width) => {
                let values = fixed_values(rows, packing.place, *width);
                let data = ArrayData::builder(data_type.clone())
                    .len(rows.len())
                    .add_buffer(values.into())
                    .nulls(nulls)
                    .build()?;
                make_array(data)
            }
            Form::Bool => {
                let mut values = BooleanBufferBuilder::new(rows.len());
                for row in rows {
                    values.append(row.is_some_and(|row| row[packing.place] != 0));
                }
                Arc::new(BooleanArray::new(values.finish(), nulls))
            }
            Form::Text => {
                let (offsets, values) = self.variable(rows, column)?;
                let text = GenericByteArray::<Utf8Type>::try_new(offsets, values.into(), nulls)?;
                if *data_type == DataType::Utf8 { Arc::new(text) } else { cast(&text, data_type)? }
            }
            Form::Other(converter) => {
                let (offsets, values) = self.variable(rows, column)?;
                let bytes = GenericByteArray::<BinaryType>::try_new(offsets, values.into(), None)?;
                other_values(converter, &bytes, rows, data_type)?
            }
        })
    }

    /// The values of a column of variable length, one after the other.
    fn variable(
        &self,
        rows: &[Option<&[u8]>],
        column: usize,
    ) -> Result<(OffsetBuffer<i32>, Vec<u8>), ArrowError> {
        let place = self.columns[column].place;
        let is_variable = |c: &&Packing| matches!(c.form, Form::Text | Form::Other(_));
        let before: Vec<usize> =
            self.columns[..column].iter().filter(is_variable).map(|c| c.place).collect();
        let mut offsets = Vec::with_capacity(rows.len() + 1);
        let mut values = Vec::with_capacity(rows.len() * 12);
        offsets.push(0_i32);
        for row in rows {
            if let Some(row) = row {
                let skipped: usize = before.iter().map(|place| length(row, *place)).sum();
                let start = self.head + skipped;
                values.extend_from_slice(&row[start..start + length(row, place)]);
            }
            let end = i32::try_from(values.len()).map_err(|_| {
                ArrowError::ComputeError(
                    "a change holds more than 2 GiB of text in a column".into(),
                )
            })?;
            offsets.push(end);
        }
        Ok((OffsetBuffer::new(ScalarBuffer::from(offsets)), values))
    }

    /// Packed rows as a change with these weights.
    pub(crate) fn change(&self, rows: &[&[u8]], weights: Vec<i64>) -> Result<Change, ArrowError> {
        let tenants = rows.iter().map(|row| owner(row).0).collect::<Vec<_>>();
        let rows: Vec<Option<&[u8]>> = rows.iter().copied().map(Some).collect();
        let length = weights.len();
        let rows = batch(self.schema.clone(), self.unpack(&rows)?, length)?;
        Ok(Change::new(UInt32Array::from(tenants), rows, Int64Array::from(weights)))
    }
}

/// The values of a column of variable length.
enum Bytes {
    Text(GenericByteArray<Utf8Type>),
    LargeText(GenericByteArray<LargeUtf8Type>),
    Rows(BinaryArray),
}

impl Form {
    /// The values as bytes, if their length varies.
    fn bytes(&self, column: &ArrayRef) -> Result<Option<Bytes>, ArrowError> {
        Ok(match self {
            Self::Fixed(_) | Self::Bool => None,
            Self::Text => Some(match column.data_type() {
                DataType::Utf8 => Bytes::Text(column.as_string::<i32>().clone()),
                DataType::LargeUtf8 => Bytes::LargeText(column.as_string::<i64>().clone()),
                _ => {
                    Bytes::LargeText(cast(column, &DataType::LargeUtf8)?.as_string::<i64>().clone())
                }
            }),
            Self::Other(converter) => {
                let converter = converter.lock().unwrap_or_else(PoisonError::into_inner);
                let rows = converter.convert_columns(std::slice::from_ref(column))?;
                let bytes: BinaryArray = rows.iter().map(|row| Some(row.data().to_vec())).collect();
                Some(Bytes::Rows(bytes))
            }
        })
    }
}

impl Bytes {
    fn add_lengths(&self, lengths: &mut [usize]) {
        match self {
            Self::Text(array) => add_lengths(array, lengths),
            Self::LargeText(array) => add_lengths(array, lengths),
            Self::Rows(array) => add_lengths(array, lengths),
        }
    }

    fn write(&self, data: &mut [u8], starts: &[usize], place: usize, cursors: &mut [usize]) {
        match self {
            Self::Text(array) => write_bytes(array, data, starts, place, cursors),
            Self::LargeText(array) => write_bytes(array, data, starts, place, cursors),
            Self::Rows(array) => write_bytes(array, data, starts, place, cursors),
        }
    }
}

fn value<T: ByteArrayType>(array: &GenericByteArray<T>, row: usize) -> &[u8] {
    if array.is_null(row) { &[] } else { array.value(row).as_ref() }
}

fn add_lengths<T: ByteArrayType>(array: &GenericByteArray<T>, lengths: &mut [usize]) {
    for (row, length) in lengths.iter_mut().enumerate() {
        *length += value(array, row).len();
    }
}

fn write_bytes<T: ByteArrayType>(
    array: &GenericByteArray<T>,
    data: &mut [u8],
    starts: &[usize],
    place: usize,
    cursors: &mut [usize],
) {
    for (row, (start, cursor)) in starts.iter().zip(cursors).enumerate() {
        let bytes = value(array, row);
        let at = start + place;
        data[at..at + 4].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        data[*cursor..*cursor + bytes.len()].copy_from_slice(bytes);
        *cursor += bytes.len();
    }
}

fn write_fixed(data: &mut [u8], starts: &[usize], place: usize, width: usize, column: &ArrayRef) {
    match width {
        1 => write_width::<1>(data, starts, place, column),
        2 => write_width::<2>(data, starts, place, column),
        4 => write_width::<4>(data, starts, place, column),
        8 => write_width::<8>(data, starts, place, column),
        16 => write_width::<16>(data, starts, place, column),
        _ => write_width::<32>(data, starts, place, column),
    }
}

fn write_width<const W: usize>(data: &mut [u8], starts: &[usize], place: usize, column: &ArrayRef) {
    let array = column.to_data();
    let values = &array.buffers()[0].as_slice()[array.offset() * W..];
    let (values, _) = values.as_chunks::<W>();
    let nulls = column.nulls();
    for (row, (start, value)) in starts.iter().zip(values).enumerate() {
        if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
            data[start + place..start + place + W].copy_from_slice(value);
        }
    }
}

fn fixed_values(rows: &[Option<&[u8]>], place: usize, width: usize) -> MutableBuffer {
    let mut values = MutableBuffer::with_capacity(rows.len() * width);
    let zeros = [0_u8; 32];
    for row in rows {
        match row {
            Some(row) => values.extend_from_slice(&row[place..place + width]),
            None => values.extend_from_slice(&zeros[..width]),
        }
    }
    values
}

/// The length of the bytes of a column, which stands at `place`.
fn length(row: &[u8], place: usize) -> usize {
    let mut length = [0; 4];
    length.copy_from_slice(&row[place..place + 4]);
    u32::from_le_bytes(length) as usize
}

fn other_values(
    converter: &Mutex<RowConverter>,
    bytes: &BinaryArray,
    rows: &[Option<&[u8]>],
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let converter = converter.lock().unwrap_or_else(PoisonError::into_inner);
    let parser = converter.parser();
    let present = (0..bytes.len()).filter(|i| rows[*i].is_some());
    let values = converter
        .convert_rows(present.map(|i| parser.parse(bytes.value(i))))?
        .pop()
        .unwrap_or_else(|| arrow::array::new_empty_array(data_type));
    if values.len() == rows.len() {
        return Ok(values);
    }
    let mut next = 0;
    let indices: UInt32Array = rows
        .iter()
        .map(|row| {
            row.is_some().then(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    arrow::compute::take(&values, &indices, None)
}

#[cfg(test)]
mod tests;
