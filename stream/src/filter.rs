//! `where`: equality on columns of a view.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, Scalar, StringArray};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{CastOptions, and_kleene, cast_with_options, is_null};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use axum::http::StatusCode;
use serde_json::value::RawValue;

use crate::problem::Problem;

/// The rows in which all the named columns have the given values.
#[derive(Debug)]
pub(crate) struct Filter {
    terms: Vec<Term>,
}

#[derive(Debug)]
struct Term {
    column: usize,
    /// The value, of the column's type; none: the column is null.
    value: Option<Scalar<ArrayRef>>,
}

impl Filter {
    /// Checks the wanted values against the columns of a view. No values: no filter.
    pub(crate) fn compile(
        schema: &SchemaRef,
        wanted: &BTreeMap<String, Box<RawValue>>,
    ) -> Result<Option<Self>, Problem> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let term = |(name, raw): (&String, &RawValue)| {
            let column = schema.index_of(name).map_err(|_| unknown_column(schema, name))?;
            let data_type = schema.field(column).data_type();
            let value = parse(data_type, raw.get())
                .map_err(|reason| invalid(format!("where: column '{name}': {reason}")))?;
            Ok(Term { column, value })
        };
        let named = wanted.iter().map(|(name, raw)| (name, raw.as_ref()));
        let terms = named.map(term).collect::<Result<_, Problem>>()?;
        Ok(Some(Self { terms }))
    }

    /// The rows that pass, ascending.
    pub(crate) fn select(&self, rows: &RecordBatch) -> Result<Vec<usize>, ArrowError> {
        let mut passed: Option<BooleanArray> = None;
        for term in &self.terms {
            let column = rows.column(term.column);
            let here = match &term.value {
                Some(value) => eq(column, value)?,
                None => is_null(column)?,
            };
            passed = Some(match passed {
                Some(before) => and_kleene(&before, &here)?,
                None => here,
            });
        }
        let Some(passed) = passed else { return Ok((0..rows.num_rows()).collect()) };
        Ok((0..passed.len()).filter(|row| passed.is_valid(*row) && passed.value(*row)).collect())
    }
}

/// A JSON value as a value of the column's type. A value that no row can have is refused rather
/// than rounded.
fn parse(data_type: &DataType, json: &str) -> Result<Option<Scalar<ArrayRef>>, String> {
    let is_text = json.starts_with('"');
    let text: String = match json.as_bytes().first() {
        Some(b'n') => return Ok(None),
        Some(b'"') => serde_json::from_str(json).map_err(|e| e.to_string())?,
        Some(b'{' | b'[') | None => {
            return Err("expected one value, found an object or a list".into());
        }
        Some(_) => json.to_owned(),
    };
    let (fits, wanted) = match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => (is_text, "a string"),
        DataType::Date32 | DataType::Date64 => (is_text, "a date as \"YYYY-MM-DD\""),
        DataType::Timestamp(..) => (is_text, "an instant in RFC 3339"),
        DataType::Boolean => (matches!(json, "true" | "false"), "true or false"),
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            (is_exact_decimal(&text, *scale), "a plain decimal of the column's scale")
        }
        number if number.is_numeric() => (true, "a number"),
        _ => return Err("a column of this type cannot be compared with a value".into()),
    };
    if !fits {
        return Err(format!("expected {wanted}, found {}", shortened(json)));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let value = cast_with_options(&StringArray::from(vec![text]), data_type, &strict)
        .map_err(|_| format!("{} is no value of this column", shortened(json)))?;
    Ok(Some(Scalar::new(value)))
}

/// Whether the text is digits with at most `scale` of them after the point.
fn is_exact_decimal(text: &str, scale: i8) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let places = fraction.trim_end_matches('0').len();
    !whole.is_empty()
        && all_digits(whole)
        && all_digits(fraction)
        && places <= usize::try_from(scale).unwrap_or(0)
}

fn shortened(json: &str) -> String {
    const SHOWN: usize = 40;
    if json.chars().count() <= SHOWN {
        return json.to_owned();
    }
    json.chars().take(SHOWN).chain(['…']).collect()
}

fn unknown_column(schema: &SchemaRef, name: &str) -> Problem {
    let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let known = columns.join(", ");
    invalid(format!("where: the view has no column '{}'; it has {known}", shortened(name)))
}

fn invalid(detail: String) -> Problem {
    Problem::new("invalid-subscription", StatusCode::BAD_REQUEST, "Invalid subscription", detail)
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
