//! XLSX: a sheet with a header row that stays in sight, and cells of their own kinds; and behind it one
//! that says whose they are and as of when ([`TitleSheet`]).
//!
//! - Numbers, dates, instants (in UTC) and booleans are such cells. A decimal of more than 15 digits,
//!   more than a cell's number keeps, is text, so that no digit is lost; so is a date that the format
//!   does not reach, before 1900-03-01 or after 9999.
//! - Text is never taken for a formula, whatever it begins with.
//! - The same rows under the same title make the same bytes.

mod title;

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Schema, TimeUnit,
    TimestampMicrosecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

pub use self::title::TitleSheet;
use crate::QueryError;
use crate::error::LimitKind;
use crate::format::usual;

/// The rows of a sheet, without the header.
const MAX_ROWS: u32 = 1_048_575;
/// About what a cell takes in the file beside its text, before that is packed.
const CELL_BYTES: u64 = 32;
/// The digits that a number keeps.
const EXACT_DIGITS: usize = 15;
/// Days between the format's first day and 1970-01-01.
const EPOCH: f64 = 25_569.0;
/// The days since 1970 that a cell can show as a date: from 1900-03-01 to 9999-12-31.
const DATES: std::ops::RangeInclusive<i64> = -25_508..=2_932_896;
const DAY_MICROS: i64 = 86_400_000_000;

/// A sheet that is being written. Rows go to a file in `scratch` as they come, and are packed at the
/// end.
pub struct XlsxFile {
    workbook: Workbook,
    formats: Formats,
    rows: u32,
    /// About what the cells take before they are packed.
    bytes: u64,
    most: u64,
}

struct Formats {
    /// By the number of places, of up to [`Formats::PLACES`].
    decimals: Vec<Format>,
    date: Format,
    instant: Format,
}

impl Formats {
    const PLACES: usize = 8;

    fn new() -> Self {
        let decimal = |places: usize| {
            let format = match places {
                0 => "#,##0".to_owned(),
                1 => "#,##0.0".to_owned(),
                more => format!("#,##0.00{}", "#".repeat(more - 2)),
            };
            Format::new().set_num_format(format)
        };
        Self {
            decimals: (0..=Self::PLACES).map(decimal).collect(),
            date: Format::new().set_num_format("yyyy-mm-dd"),
            instant: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss"),
        }
    }

    fn decimal(&self, places: usize) -> Option<&Format> {
        self.decimals.get(places.min(Self::PLACES))
    }
}

impl XlsxFile {
    /// A sheet with the header of `schema`, whose cells may take `most` bytes before they are packed, and
    /// the one that says what it is.
    pub fn begin(
        schema: &Schema,
        scratch: &Path,
        title: &TitleSheet,
        most: u64,
    ) -> Result<Self, QueryError> {
        let mut workbook = Workbook::new();
        // When it was made stands with the run; here it would make equal files differ.
        let made = ExcelDateTime::from_ymd(2000, 1, 1).map_err(failed)?;
        workbook.set_properties(&DocProperties::new().set_creation_datetime(&made));
        workbook.set_tempdir(scratch).map_err(failed)?;
        let sheet = workbook.add_worksheet_with_constant_memory().map_err(failed)?;
        sheet.set_freeze_panes(1, 0).map_err(failed)?;
        let bold = Format::new().set_bold();
        for (place, field) in schema.fields().iter().enumerate() {
            let column = column(place)?;
            sheet.write_string_with_format(0, column, field.name(), &bold).map_err(failed)?;
        }
        title.add(&mut workbook)?;
        Ok(Self { workbook, formats: Formats::new(), rows: 0, bytes: 0, most })
    }

    /// Writes some rows.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let usual = usual(batch)?;
        let columns = usual.iter().map(Column::new).collect::<Result<Vec<_>, _>>()?;
        let sheet = self.workbook.worksheet_from_index(0).map_err(failed)?;
        for row in 0..batch.num_rows() {
            if self.rows == MAX_ROWS {
                let limit = format!("{MAX_ROWS} rows of an XLSX sheet; CSV and Parquet have none");
                return Err(QueryError::Limit { which: LimitKind::Rows, limit });
            }
            self.rows += 1;
            for (place, cells) in columns.iter().enumerate() {
                let at = (self.rows, column(place)?);
                self.bytes += cells.write(sheet, at, row, &self.formats)?;
                if self.bytes > self.most {
                    let limit = format!("{} bytes of an XLSX file before it is packed", self.most);
                    return Err(QueryError::Limit { which: LimitKind::Disk, limit });
                }
            }
        }
        Ok(())
    }

    /// Whether its cells took more than they may.
    pub fn is_full(&self) -> bool {
        self.bytes > self.most
    }

    /// Completes the file and puts it at `path`; answers its rows without the header.
    pub fn finish(mut self, path: &Path) -> Result<u64, QueryError> {
        self.workbook.save(path).map_err(failed)?;
        Ok(self.rows.into())
    }
}

/// A column whose type is known.
enum Column<'a> {
    Decimal(&'a arrow::array::Decimal128Array, usize),
    Date(&'a arrow::array::Date32Array),
    Instant(&'a arrow::array::TimestampMicrosecondArray),
    Int(&'a arrow::array::Int64Array),
    Int32(&'a arrow::array::Int32Array),
    Float(&'a arrow::array::Float64Array),
    Bool(&'a arrow::array::BooleanArray),
    /// Text, and types that only ad hoc SQL brings forth, as Arrow writes them.
    Other(&'a ArrayRef, ArrayFormatter<'a>),
}

const OPTIONS: FormatOptions<'static> = FormatOptions::new();

impl<'a> Column<'a> {
    fn new(array: &'a ArrayRef) -> Result<Self, QueryError> {
        Ok(match array.data_type() {
            DataType::Decimal128(_, scale) if *scale >= 0 => Self::Decimal(
                array.as_primitive::<Decimal128Type>(),
                usize::from(scale.unsigned_abs()),
            ),
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Instant(array.as_primitive::<TimestampMicrosecondType>())
            }
            DataType::Int64 => Self::Int(array.as_primitive::<Int64Type>()),
            DataType::Int32 => Self::Int32(array.as_primitive::<Int32Type>()),
            DataType::Float64 => Self::Float(array.as_primitive::<Float64Type>()),
            DataType::Boolean => Self::Bool(array.as_boolean()),
            _ => {
                let formatter = ArrayFormatter::try_new(array, &OPTIONS).map_err(|error| {
                    QueryError::invalid(format!("a column cannot be written as XLSX: {error}"))
                })?;
                Self::Other(array, formatter)
            }
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Decimal(a, _) => a.is_null(row),
            Self::Date(a) => a.is_null(row),
            Self::Instant(a) => a.is_null(row),
            Self::Int(a) => a.is_null(row),
            Self::Int32(a) => a.is_null(row),
            Self::Float(a) => a.is_null(row),
            Self::Bool(a) => a.is_null(row),
            Self::Other(a, _) => a.logical_nulls().is_some_and(|nulls| nulls.is_null(row)),
        }
    }

    /// Writes a cell; answers about how many bytes it takes.
    fn write(
        &self,
        sheet: &mut Worksheet,
        at: (u32, u16),
        row: usize,
        formats: &Formats,
    ) -> Result<u64, QueryError> {
        if self.is_null(row) {
            return Ok(0);
        }
        match self {
            Self::Decimal(a, places) => {
                number(sheet, at, &a.value_as_string(row), formats.decimal(*places))
            }
            Self::Int(a) => number(sheet, at, &a.value(row).to_string(), None),
            Self::Int32(a) => number(sheet, at, &a.value(row).to_string(), None),
            Self::Date(a) => {
                let days = i64::from(a.value(row));
                moment(sheet, at, days * DAY_MICROS, &formats.date, || {
                    a.value_as_date(row).map(|date| date.to_string())
                })
            }
            Self::Instant(a) => moment(sheet, at, a.value(row), &formats.instant, || {
                a.value_as_datetime(row).map(|at| at.and_utc().to_rfc3339())
            }),
            Self::Float(a) if a.value(row).is_finite() => {
                sheet.write_number(at.0, at.1, a.value(row)).map_err(failed)?;
                Ok(CELL_BYTES)
            }
            // Neither infinity nor what is no number has a cell.
            Self::Float(_) => Ok(0),
            Self::Bool(a) => {
                sheet.write_boolean(at.0, at.1, a.value(row)).map_err(failed)?;
                Ok(CELL_BYTES)
            }
            Self::Other(_, formatter) => text(sheet, at, formatter.value(row).to_string()),
        }
    }
}

fn text(sheet: &mut Worksheet, at: (u32, u16), text: String) -> Result<u64, QueryError> {
    let bytes = CELL_BYTES + escaped(&text);
    sheet.write_string(at.0, at.1, text).map_err(failed)?;
    Ok(bytes)
}

/// The bytes of a text as the file has it: some characters take more there.
fn escaped(text: &str) -> u64 {
    let bytes = |byte: u8| match byte {
        // As in `_x000D_`; a tab and the end of a line stand as they are.
        0..9 | 11..32 => 7,
        b'&' | b'<' | b'>' | b'"' => 5,
        _ => 1,
    };
    text.bytes().map(bytes).sum()
}

/// A number as such if all its digits are kept, otherwise as text.
fn number(
    sheet: &mut Worksheet,
    at: (u32, u16),
    digits: &str,
    format: Option<&Format>,
) -> Result<u64, QueryError> {
    let counted = digits.bytes().filter(u8::is_ascii_digit).collect::<Vec<u8>>();
    let leading = counted.iter().take_while(|digit| **digit == b'0').count();
    let exact = digits.parse::<f64>().ok().filter(|_| counted.len() - leading <= EXACT_DIGITS);
    let written = match (exact, format) {
        (None, _) => return text(sheet, at, digits.to_owned()),
        (Some(value), None) => sheet.write_number(at.0, at.1, value),
        (Some(value), Some(format)) => sheet.write_number_with_format(at.0, at.1, value, format),
    };
    written.map(|_| CELL_BYTES).map_err(failed)
}

/// A date or an instant as such if the format reaches it, otherwise as text.
fn moment(
    sheet: &mut Worksheet,
    at: (u32, u16),
    micros: i64,
    format: &Format,
    in_words: impl Fn() -> Option<String>,
) -> Result<u64, QueryError> {
    let (days, rest) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
    if !DATES.contains(&days) {
        return text(sheet, at, in_words().unwrap_or_default());
    }
    let serial = EPOCH + days as f64 + rest as f64 / DAY_MICROS as f64;
    let written = sheet.write_number_with_format(at.0, at.1, serial, format);
    written.map(|_| CELL_BYTES).map_err(failed)
}

fn column(place: usize) -> Result<u16, QueryError> {
    u16::try_from(place).ok().filter(|column| *column < 16_384).ok_or_else(|| {
        QueryError::invalid("an XLSX sheet has at most 16,384 columns; choose CSV or Parquet")
    })
}

fn failed(error: XlsxError) -> QueryError {
    match error {
        XlsxError::MaxStringLengthExceeded => QueryError::invalid(
            "a text is longer than the 32,767 characters of an XLSX cell; choose CSV or Parquet",
        ),
        other => QueryError::Internal { message: format!("an XLSX file: {other}") },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Read;
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
        TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
    };
    use arrow::datatypes::Field;

    use super::*;

    fn rows() -> RecordBatch {
        let decimals =
            Decimal128Array::from(vec![Some(-1_234_500), Some(12_345_678_901_234_567_890), None]);
        let decimals = decimals.with_precision_and_scale(38, 4).unwrap();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("text", Arc::new(StringArray::from(vec![Some("=1+1"), Some("a & <b>"), None]))),
            ("amount", Arc::new(decimals)),
            ("day", Arc::new(Date32Array::from(vec![Some(20_000), Some(-40_000), None]))),
            (
                "at",
                Arc::new(
                    TimestampMicrosecondArray::from(vec![Some(43_200_000_000), None, None])
                        .with_timezone("UTC"),
                ),
            ),
            ("whole", Arc::new(Int64Array::from(vec![Some(7), Some(i64::MAX), None]))),
            ("half", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN), None]))),
            ("flag", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, a)| Field::new(*name, a.data_type().clone(), true))
            .collect();
        let columns = columns.into_iter().map(|(_, array)| array).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    fn title() -> TitleSheet {
        TitleSheet {
            firm: "Harbour & Finch".to_owned(),
            colour: Some(0x0b_6b_75),
            title: "=Debts".to_owned(),
            facts: vec![("As of", "2026-03-31".to_owned()), ("Position", "p7".to_owned())],
        }
    }

    fn written(batches: &[RecordBatch]) -> (u64, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.xlsx");
        let schema = batches[0].schema_ref();
        let mut file = XlsxFile::begin(schema, folder.path(), &title(), u64::MAX).unwrap();
        for batch in batches {
            file.batch(batch).unwrap();
        }
        (file.finish(&path).unwrap(), std::fs::read(&path).unwrap())
    }

    fn part(file: &[u8], name: &str) -> String {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(file)).unwrap();
        let mut text = String::new();
        archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn cells_have_their_kinds_and_lose_nothing() {
        let (count, file) = written(&[rows(), rows()]);
        assert_eq!(count, 6);
        let sheet = part(&file, "xl/worksheets/sheet1.xml");
        for cell in [
            ">=1+1<",
            ">a &amp; &lt;b&gt;<",
            "<v>-123.45</v>",
            ">1234567890123456.7890<",
            "<v>45569</v>",
            ">1860-06-26<",
            "<v>25569.5</v>",
            "<v>7</v>",
            ">9223372036854775807<",
            "<v>0.5</v>",
            "<v>1</v>",
        ] {
            assert!(sheet.contains(cell), "{cell} in {sheet}");
        }
        assert!(!sheet.contains("<f>"), "nothing is a formula");
        assert!(!sheet.contains("NaN"), "{sheet}");
        // The last row of each batch is empty.
        assert!(sheet.contains("<row r=\"6\""), "a header and six rows: {sheet}");
    }

    /// Ranks and months, which only functions bring forth.
    #[test]
    fn whole_numbers_and_instants_of_other_types_are_such_cells() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("rank", Arc::new(UInt64Array::from(vec![12]))),
            ("month", Arc::new(TimestampNanosecondArray::from(vec![1_767_225_600_000_000_000]))),
        ];
        let (_, file) = written(&[RecordBatch::try_from_iter(columns).unwrap()]);
        let sheet = part(&file, "xl/worksheets/sheet1.xml");
        assert!(sheet.contains("<v>12</v>") && sheet.contains("<v>46023</v>"), "{sheet}");
    }

    #[test]
    fn it_says_whose_it_is_and_as_of_when_behind_the_rows() {
        let (_, file) = written(&[rows()]);
        let sheets = part(&file, "xl/workbook.xml");
        let names: Vec<&str> = sheets.split("<sheet name=\"").skip(1).collect();
        assert_eq!(names.len(), 2, "{sheets}");
        assert!(names[1].starts_with("About\""), "{sheets}");
        let texts = part(&file, "xl/sharedStrings.xml");
        for text in ["Harbour &amp; Finch", "=Debts", "As of", "2026-03-31", "Position", "p7"] {
            assert!(texts.contains(&format!(">{text}<")), "{text} in {texts}");
        }
        assert!(!part(&file, "xl/worksheets/sheet2.xml").contains("<f>"), "nothing is a formula");
        let styles = part(&file, "xl/styles.xml").to_lowercase();
        assert!(styles.contains("rgb=\"ff0b6b75\""), "{styles}");
    }

    #[test]
    fn equal_rows_make_equal_files() {
        assert_eq!(written(&[rows()]), written(&[rows()]));
    }

    #[test]
    fn what_no_cell_has_room_for_is_said() {
        let long: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(32_768)]));
        let batch = RecordBatch::try_from_iter([("long", long)]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut file =
            XlsxFile::begin(batch.schema_ref(), folder.path(), &title(), u64::MAX).unwrap();
        let error = file.batch(&batch).unwrap_err().to_string();
        assert!(error.contains("32,767"), "{error}");
    }

    /// Also where they are packed to next to nothing.
    #[test]
    fn cells_are_counted_while_they_are_written() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1_000); 100]));
        let batch = RecordBatch::try_from_iter([("text", text)]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut file =
            XlsxFile::begin(batch.schema_ref(), folder.path(), &title(), 250_000).unwrap();
        file.batch(&batch).unwrap();
        file.batch(&batch).unwrap();
        assert!(!file.is_full());
        let error = file.batch(&batch).unwrap_err().to_string();
        assert!(error.contains("250000 bytes"), "{error}");
        assert!(file.is_full());
        assert!(file.rows < 250, "it stops where it is full, in row {}", file.rows);
        // What takes more in the file than in memory is counted as it is there.
        assert_eq!((escaped("a&b"), escaped("\u{1}"), escaped("é\n")), (7, 7, 3));
    }
}
