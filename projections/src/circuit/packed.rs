//! Rows as bytes for state: equal rows have equal bytes, and the tenant is the first of them.
//!
//! The order of the bytes says nothing; where an order is needed, [`crate::sorted::Sorter`] gives
//! one. Layout: tenant (4 bytes), a bit for each null, the columns of fixed width, the lengths of
//! the others (4 bytes each), then their bytes. Nulls are zeros.

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, BooleanArray, BooleanBufferBuilder,
    GenericByteArray, Int64Array, UInt32Array, make_array,
};
use arrow::buffer::{MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowNativeType, BinaryType, ByteArrayType, DataType, LargeUtf8Type, Schema, SchemaRef,
    Utf8Type,
};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use std::sync::{Arc, Mutex, PoisonError};

use crate::bytes::ByteRows;
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
                other => {
                    if let Some(width) = other.primitive_width() {
                        Form::Fixed(width)
                    } else {
                        let sort = SortField::new(other.clone());
                        Form::Other(Mutex::new(RowConverter::new(vec![sort])?))
                    }
                }
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
    ) -> Result<ByteRows, ArrowError> {
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
        let (mut packed, starts) = ByteRows::zeros(lengths);
        let data = packed.data_mut();
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
                    write_fixed(data, &starts, packing.place, *width, column);
                }
                (_, Some(bytes)) => bytes.write(data, &starts, packing.place, &mut cursors),
                (_, None) => {
                    let values = column.as_boolean();
                    for (row, start) in starts.iter().enumerate() {
                        data[start + packing.place] =
                            u8::from(values.is_valid(row) && values.value(row));
                    }
                }
            }
        }
        Ok(packed)
    }

    /// The columns of packed rows; a row that is none is all null.
    pub(crate) fn unpack(&self, rows: &[Option<&[u8]>]) -> Result<Vec<ArrayRef>, ArrowError> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        self.columns(rows, &all)
    }

    /// Some columns of packed rows, ascending.
    pub(crate) fn columns(
        &self,
        rows: &[Option<&[u8]>],
        wanted: &[usize],
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut cursors = Cursors::default();
        wanted.iter().map(|column| self.next_column(rows, *column, &mut cursors)).collect()
    }

    /// One column of packed rows.
    pub(crate) fn column(
        &self,
        rows: &[Option<&[u8]>],
        column: usize,
    ) -> Result<ArrayRef, ArrowError> {
        self.next_column(rows, column, &mut Cursors::default())
    }

    fn next_column(
        &self,
        rows: &[Option<&[u8]>],
        column: usize,
        cursors: &mut Cursors,
    ) -> Result<ArrayRef, ArrowError> {
        let packing = &self.columns[column];
        let data_type = self.schema.field(column).data_type();
        let nulls = nulls(rows, column);
        Ok(match &packing.form {
            Form::Fixed(width) => {
                let data = ArrayData::builder(data_type.clone())
                    .len(rows.len())
                    .add_buffer(fixed_values(rows, packing.place, *width).into())
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
                let (offsets, values) = self.variable(rows, column, cursors)?;
                let text = GenericByteArray::<Utf8Type>::try_new(offsets, values.into(), nulls)?;
                if *data_type == DataType::Utf8 { Arc::new(text) } else { cast(&text, data_type)? }
            }
            Form::Other(converter) => {
                let (offsets, values) = self.variable(rows, column, cursors)?;
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
        cursors: &mut Cursors,
    ) -> Result<(OffsetBuffer<i32>, Vec<u8>), ArrowError> {
        self.move_to(column, rows, cursors);
        let place = self.columns[column].place;
        let mut offsets = Vec::with_capacity(rows.len() + 1);
        let mut values = Vec::with_capacity(rows.len() * 12);
        offsets.push(0_i32);
        for (row, cursor) in rows.iter().zip(&mut cursors.places) {
            if let Some(row) = row {
                let length = length(row, place);
                values.extend_from_slice(&row[*cursor..*cursor + length]);
                *cursor += length;
            }
            let end = i32::try_from(values.len()).map_err(|_| {
                ArrowError::ComputeError(
                    "a change holds more than 2 GiB of text in a column".into(),
                )
            })?;
            offsets.push(end);
        }
        cursors.column = column + 1;
        Ok((OffsetBuffer::new(ScalarBuffer::from(offsets)), values))
    }

    /// Moves the cursors to the values of a column that comes at or after the one they stand at.
    fn move_to(&self, column: usize, rows: &[Option<&[u8]>], cursors: &mut Cursors) {
        if cursors.places.is_empty() {
            cursors.places.resize(rows.len(), self.head);
        }
        for packing in &self.columns[cursors.column..column] {
            if matches!(packing.form, Form::Text | Form::Other(_)) {
                for (row, cursor) in rows.iter().zip(&mut cursors.places) {
                    *cursor += row.map_or(0, |row| length(row, packing.place));
                }
            }
        }
        cursors.column = column;
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

/// Where in each row the values of a column of variable length begin: at this column, or the next
/// one of that kind.
#[derive(Default)]
struct Cursors {
    column: usize,
    places: Vec<usize>,
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

/// The bytes of each row; a null has none.
fn values<T: ByteArrayType>(array: &GenericByteArray<T>) -> impl Iterator<Item = &[u8]> {
    let data = array.value_data();
    let nulls = array.nulls();
    array.value_offsets().windows(2).enumerate().map(move |(row, ends)| {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return &[][..];
        }
        &data[ends[0].as_usize()..ends[1].as_usize()]
    })
}

fn add_lengths<T: ByteArrayType>(array: &GenericByteArray<T>, lengths: &mut [usize]) {
    for (bytes, length) in values(array).zip(lengths) {
        *length += bytes.len();
    }
}

fn write_bytes<T: ByteArrayType>(
    array: &GenericByteArray<T>,
    data: &mut [u8],
    starts: &[usize],
    place: usize,
    cursors: &mut [usize],
) {
    for (bytes, (start, cursor)) in values(array).zip(starts.iter().zip(cursors)) {
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
    match width {
        1 => read_width::<1>(rows, place),
        2 => read_width::<2>(rows, place),
        4 => read_width::<4>(rows, place),
        8 => read_width::<8>(rows, place),
        16 => read_width::<16>(rows, place),
        _ => read_width::<32>(rows, place),
    }
}

fn read_width<const W: usize>(rows: &[Option<&[u8]>], place: usize) -> MutableBuffer {
    let mut values = MutableBuffer::from_len_zeroed(rows.len() * W);
    let (places, _) = values.as_slice_mut().as_chunks_mut::<W>();
    for (row, value) in rows.iter().zip(places) {
        if let Some(row) = row {
            value.copy_from_slice(&row[place..place + W]);
        }
    }
    values
}

/// Which rows have a value in a column; none when all have.
fn nulls(rows: &[Option<&[u8]>], column: usize) -> Option<NullBuffer> {
    let (byte, bit) = (OWNER + column / 8, 1_u8 << (column % 8));
    let valid = |row: Option<&[u8]>| row.is_some_and(|row| row[byte] & bit == 0);
    if rows.iter().copied().all(valid) {
        return None;
    }
    Some(rows.iter().copied().map(valid).collect())
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
