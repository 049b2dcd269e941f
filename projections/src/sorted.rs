//! Rows as bytes that compare as their values do, and back.
//!
//! Layout: the columns, one after the other. Each begins with a mark that says whether it is null
//! and puts nulls first or last; a value follows unless it is. Numbers, dates and instants stand
//! with their highest byte first and the sign turned; text with its zeros escaped and two zeros
//! behind it; anything else as Arrow's row format has it, kept as text is. In a descending column
//! all bits of the values are turned.

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, BooleanArray, BooleanBufferBuilder,
    GenericByteArray, NullBufferBuilder, UInt32Array, make_array,
};
use arrow::buffer::{MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{ArrowNativeType, BinaryType, ByteArrayType, DataType, TimeUnit, Utf8Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use std::sync::Arc;

use crate::bytes::ByteRows;

/// The bytes of a tenant, which stand before the columns if they stand there at all.
pub(crate) const OWNER: usize = 4;

/// The mark of a value; those of nulls lie on either side of it.
const VALUE: u8 = 1;
const NULL_FIRST: u8 = 0;
const NULL_LAST: u8 = 2;

/// Behind a zero of a text: it is one of the text's.
const ESCAPED: u8 = 0xff;

/// Writes the values of some columns so that their bytes compare as they do.
#[derive(Debug)]
pub(crate) struct Sorter {
    columns: Vec<SortColumn>,
}

#[derive(Debug)]
struct SortColumn {
    data_type: DataType,
    form: Form,
    null: u8,
    /// Turns the bits of a descending column.
    turn: u8,
}

#[derive(Debug)]
enum Form {
    Bool,
    /// So many bytes; whether the highest bit is a sign.
    Fixed(usize, bool),
    Text,
    Other(RowConverter),
}

impl Form {
    fn new(data_type: &DataType) -> Result<Self, ArrowError> {
        Ok(match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Utf8 => Self::Text,
            DataType::UInt8 => Self::Fixed(1, false),
            DataType::UInt16 => Self::Fixed(2, false),
            DataType::UInt32 => Self::Fixed(4, false),
            DataType::UInt64 => Self::Fixed(8, false),
            DataType::Int8 => Self::Fixed(1, true),
            DataType::Int16 => Self::Fixed(2, true),
            DataType::Int32 | DataType::Date32 => Self::Fixed(4, true),
            DataType::Int64
            | DataType::Date64
            | DataType::Timestamp(
                TimeUnit::Second
                | TimeUnit::Millisecond
                | TimeUnit::Microsecond
                | TimeUnit::Nanosecond,
                _,
            ) => Self::Fixed(8, true),
            DataType::Decimal128(..) => Self::Fixed(16, true),
            DataType::Decimal256(..) => Self::Fixed(32, true),
            other => Self::Other(RowConverter::new(vec![SortField::new(other.clone())])?),
        })
    }
}

/// The values of one column, ready to be written.
enum Values<'a> {
    Plain(&'a ArrayRef),
    Text(&'a GenericByteArray<Utf8Type>),
    Rows(BinaryArray),
}

impl Sorter {
    /// A sorter of columns of these types.
    pub(crate) fn new<'a>(
        columns: impl IntoIterator<Item = (&'a DataType, SortOptions)>,
    ) -> Result<Self, ArrowError> {
        let column = |(data_type, options): (&DataType, SortOptions)| {
            Ok(SortColumn {
                form: Form::new(data_type)?,
                data_type: data_type.clone(),
                null: if options.nulls_first { NULL_FIRST } else { NULL_LAST },
                turn: if options.descending { 0xff } else { 0 },
            })
        };
        Ok(Self { columns: columns.into_iter().map(column).collect::<Result<_, ArrowError>>()? })
    }

    /// The bytes of each of `rows` rows, with the tenant before the columns if there is one.
    pub(crate) fn encode(
        &self,
        tenants: Option<&UInt32Array>,
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<ByteRows, ArrowError> {
        let values = self
            .columns
            .iter()
            .zip(columns)
            .map(|(column, array)| column.values(array))
            .collect::<Result<Vec<_>, ArrowError>>()?;
        let mut lengths = vec![if tenants.is_some() { OWNER } else { 0 }; rows];
        for (column, values) in self.columns.iter().zip(&values) {
            column.add_lengths(values, &mut lengths);
        }
        // The second says where the next byte of each row goes.
        let (mut out, mut cursors) = ByteRows::zeros(lengths);
        let data = out.data_mut();
        if let Some(tenants) = tenants {
            for (cursor, tenant) in cursors.iter_mut().zip(tenants.values()) {
                data[*cursor..*cursor + OWNER].copy_from_slice(&tenant.to_be_bytes());
                *cursor += OWNER;
            }
        }
        for (column, values) in self.columns.iter().zip(&values) {
            column.write(values, data, &mut cursors);
        }
        Ok(out)
    }

    /// The columns of rows that stand without a tenant.
    pub(crate) fn decode(&self, rows: &[&[u8]]) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut cursors = vec![0; rows.len()];
        self.columns.iter().map(|column| column.decode(rows, &mut cursors)).collect()
    }
}

impl SortColumn {
    fn values<'a>(&self, array: &'a ArrayRef) -> Result<Values<'a>, ArrowError> {
        Ok(match &self.form {
            Form::Bool | Form::Fixed(..) => Values::Plain(array),
            Form::Text => Values::Text(array.as_string::<i32>()),
            Form::Other(converter) => {
                let rows = converter.convert_columns(std::slice::from_ref(array))?;
                let nulls = array.logical_nulls();
                let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
                let bytes = rows.iter().enumerate();
                let bytes = bytes.map(|(i, row)| valid(i).then(|| row.data().to_vec()));
                Values::Rows(bytes.collect())
            }
        })
    }

    fn add_lengths(&self, values: &Values<'_>, lengths: &mut [usize]) {
        match values {
            Values::Plain(array) => {
                let width = match self.form {
                    Form::Fixed(width, _) => width,
                    _ => 1,
                };
                match array.nulls() {
                    None => lengths.iter_mut().for_each(|length| *length += 1 + width),
                    Some(nulls) => {
                        for (length, valid) in lengths.iter_mut().zip(nulls.iter()) {
                            *length += 1 + if valid { width } else { 0 };
                        }
                    }
                }
            }
            Values::Text(array) => add_text_lengths(array, lengths),
            Values::Rows(array) => add_text_lengths(array, lengths),
        }
    }

    fn write(&self, values: &Values<'_>, data: &mut [u8], cursors: &mut [usize]) {
        match (values, &self.form) {
            (Values::Text(array), _) => self.write_text(array, data, cursors),
            (Values::Rows(array), _) => self.write_text(array, data, cursors),
            (Values::Plain(array), Form::Fixed(width, signed)) => match width {
                1 => self.write_fixed::<1>(array, *signed, data, cursors),
                2 => self.write_fixed::<2>(array, *signed, data, cursors),
                4 => self.write_fixed::<4>(array, *signed, data, cursors),
                8 => self.write_fixed::<8>(array, *signed, data, cursors),
                16 => self.write_fixed::<16>(array, *signed, data, cursors),
                _ => self.write_fixed::<32>(array, *signed, data, cursors),
            },
            (Values::Plain(array), _) => {
                let values = array.as_boolean();
                self.write_each(array.nulls(), data, cursors, |row, data| {
                    data[0] = u8::from(values.value(row)) ^ self.turn;
                    1
                });
            }
        }
    }

    /// Writes the mark of each row, and what `value` writes; it answers how many bytes that is.
    fn write_each(
        &self,
        nulls: Option<&NullBuffer>,
        data: &mut [u8],
        cursors: &mut [usize],
        value: impl Fn(usize, &mut [u8]) -> usize,
    ) {
        for (row, cursor) in cursors.iter_mut().enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                data[*cursor] = self.null;
                *cursor += 1;
            } else {
                data[*cursor] = VALUE;
                *cursor += 1 + value(row, &mut data[*cursor + 1..]);
            }
        }
    }

    fn write_fixed<const W: usize>(
        &self,
        column: &ArrayRef,
        signed: bool,
        data: &mut [u8],
        cursors: &mut [usize],
    ) {
        let array = column.to_data();
        let values = &array.buffers()[0].as_slice()[array.offset() * W..];
        let (values, _) = values.as_chunks::<W>();
        let sign = if signed { 0x80 } else { 0 };
        self.write_each(column.nulls(), data, cursors, |row, data| {
            data[..W].copy_from_slice(&turned(values[row], sign, self.turn));
            W
        });
    }

    fn write_text<T: ByteArrayType>(
        &self,
        array: &GenericByteArray<T>,
        data: &mut [u8],
        cursors: &mut [usize],
    ) {
        let plain = !has_zeros(array);
        self.write_each(array.nulls(), data, cursors, |row, data| {
            let text: &[u8] = array.value(row).as_ref();
            let mut length = text.len();
            if plain {
                data[..length].copy_from_slice(text);
            } else {
                length = 0;
                for byte in text {
                    data[length] = *byte;
                    length += 1;
                    if *byte == 0 {
                        data[length] = ESCAPED;
                        length += 1;
                    }
                }
            }
            // Two zeros stand behind already.
            if self.turn != 0 {
                data[..length + 2].iter_mut().for_each(|byte| *byte ^= self.turn);
            }
            length + 2
        });
    }

    fn decode(&self, rows: &[&[u8]], cursors: &mut [usize]) -> Result<ArrayRef, ArrowError> {
        let mut nulls = NullBufferBuilder::new(rows.len());
        for (row, cursor) in rows.iter().zip(cursors.iter_mut()) {
            nulls.append(row[*cursor] == VALUE);
            *cursor += 1;
        }
        let nulls = nulls.finish();
        Ok(match &self.form {
            Form::Bool => {
                let mut values = BooleanBufferBuilder::new(rows.len());
                for_each(rows, cursors, nulls.as_ref(), |value| {
                    values.append(value.is_some_and(|value| value[0] ^ self.turn != 0));
                    1
                });
                Arc::new(BooleanArray::new(values.finish(), nulls))
            }
            Form::Fixed(width, signed) => {
                let sign = if *signed { 0x80 } else { 0 };
                let values = match width {
                    1 => self.fixed::<1>(rows, cursors, nulls.as_ref(), sign),
                    2 => self.fixed::<2>(rows, cursors, nulls.as_ref(), sign),
                    4 => self.fixed::<4>(rows, cursors, nulls.as_ref(), sign),
                    8 => self.fixed::<8>(rows, cursors, nulls.as_ref(), sign),
                    16 => self.fixed::<16>(rows, cursors, nulls.as_ref(), sign),
                    _ => self.fixed::<32>(rows, cursors, nulls.as_ref(), sign),
                };
                let data = ArrayData::builder(self.data_type.clone())
                    .len(rows.len())
                    .add_buffer(values.into())
                    .nulls(nulls)
                    .build()?;
                make_array(data)
            }
            Form::Text => {
                let (offsets, values) = self.text(rows, cursors, nulls.as_ref())?;
                let text = GenericByteArray::<Utf8Type>::try_new(offsets, values.into(), nulls)?;
                Arc::new(text)
            }
            Form::Other(converter) => {
                let (offsets, values) = self.text(rows, cursors, nulls.as_ref())?;
                let bytes = GenericByteArray::<BinaryType>::try_new(offsets, values.into(), nulls)?;
                other(converter, &bytes, &self.data_type)?
            }
        })
    }

    fn fixed<const W: usize>(
        &self,
        rows: &[&[u8]],
        cursors: &mut [usize],
        nulls: Option<&NullBuffer>,
        sign: u8,
    ) -> MutableBuffer {
        let mut values = MutableBuffer::with_capacity(rows.len() * W);
        for_each(rows, cursors, nulls, |value| {
            let value = value.and_then(|value| value.first_chunk::<W>());
            values
                .extend_from_slice(&value.map_or([0; W], |value| native(*value, sign, self.turn)));
            W
        });
        values
    }

    fn text(
        &self,
        rows: &[&[u8]],
        cursors: &mut [usize],
        nulls: Option<&NullBuffer>,
    ) -> Result<(OffsetBuffer<i32>, Vec<u8>), ArrowError> {
        let mut offsets = vec![0_i32];
        offsets.reserve(rows.len());
        let mut values: Vec<u8> = Vec::with_capacity(rows.len() * 12);
        let mut too_long = false;
        for_each(rows, cursors, nulls, |value| {
            let read = value.map_or(0, |value| read_text(value, self.turn, &mut values));
            let end = i32::try_from(values.len());
            too_long |= end.is_err();
            offsets.push(end.unwrap_or(i32::MAX));
            read
        });
        if too_long {
            let message = "some rows hold more than 2 GiB of text in a column";
            return Err(ArrowError::ComputeError(message.into()));
        }
        Ok((OffsetBuffer::new(ScalarBuffer::from(offsets)), values))
    }
}

/// Gives the bytes of each row from its cursor on, or none where it is null, and moves the cursor by
/// what was read of them.
fn for_each(
    rows: &[&[u8]],
    cursors: &mut [usize],
    nulls: Option<&NullBuffer>,
    mut read: impl FnMut(Option<&[u8]>) -> usize,
) {
    for (i, (row, cursor)) in rows.iter().zip(cursors).enumerate() {
        if nulls.is_some_and(|nulls| nulls.is_null(i)) {
            read(None);
        } else {
            *cursor += read(Some(&row[*cursor..]));
        }
    }
}

/// Adds a text that ends with two zeros, its bits turned by `turn`, to `values`; answers how many
/// bytes it took.
fn read_text(bytes: &[u8], turn: u8, values: &mut Vec<u8>) -> usize {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let zero = memchr::memchr(turn, rest).unwrap_or(rest.len());
        if turn == 0 {
            values.extend_from_slice(&rest[..zero]);
        } else {
            values.extend(rest[..zero].iter().map(|byte| byte ^ turn));
        }
        at += zero + 2;
        match rest.get(zero + 1) {
            Some(next) if next ^ turn == ESCAPED => values.push(0),
            _ => return at,
        }
    }
}

fn add_text_lengths<T: ByteArrayType>(array: &GenericByteArray<T>, lengths: &mut [usize]) {
    let zeros = has_zeros(array);
    for (row, length) in lengths.iter_mut().enumerate() {
        *length += 1;
        if array.is_valid(row) {
            let text: &[u8] = array.value(row).as_ref();
            let escapes = if zeros { memchr::memchr_iter(0, text).count() } else { 0 };
            *length += text.len() + escapes + 2;
        }
    }
}

fn has_zeros<T: ByteArrayType>(array: &GenericByteArray<T>) -> bool {
    let offsets = array.value_offsets();
    let ends = offsets.first().zip(offsets.last());
    ends.is_some_and(|(first, last)| {
        memchr::memchr(0, &array.value_data()[first.as_usize()..last.as_usize()]).is_some()
    })
}

/// The bytes of a value as they sort.
fn turned<const W: usize>(mut native: [u8; W], sign: u8, turn: u8) -> [u8; W] {
    native.reverse();
    native[0] ^= sign;
    native.map(|byte| byte ^ turn)
}

/// The value of bytes that sort.
fn native<const W: usize>(sorted: [u8; W], sign: u8, turn: u8) -> [u8; W] {
    let mut native = sorted.map(|byte| byte ^ turn);
    native[0] ^= sign;
    native.reverse();
    native
}

/// The values of a column as Arrow's row format has them; nulls have none.
fn other(
    converter: &RowConverter,
    bytes: &BinaryArray,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let parser = converter.parser();
    let values = converter
        .convert_rows(bytes.iter().flatten().map(|row| parser.parse(row)))?
        .pop()
        .unwrap_or_else(|| arrow::array::new_empty_array(data_type));
    if bytes.null_count() == 0 {
        return Ok(values);
    }
    let mut next = 0;
    let indices = (0..bytes.len()).map(|row| {
        bytes.is_valid(row).then(|| {
            next += 1;
            next - 1
        })
    });
    take(&values, &indices.collect::<UInt32Array>(), None)
}

#[cfg(test)]
mod tests;
