//! Records as rows of their type: checked as those of HTTP bodies are.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, StringBuilder, new_null_array,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use chrono::{DateTime, Days, NaiveTime, Utc};
use projections::EventType;
use projections::events::{Field, FieldType};

use super::columns::{json, texts};
use super::decoder::{Body, Plan, Refusal};
use crate::decode::shown;
use crate::stored::stored_schema;
use crate::{Limits, Sender};

/// The days of 0001-01-01 and 9999-12-31, from 1970-01-01.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;
/// The microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// What became of records.
pub(super) struct Checked {
    /// The stored columns of the rows that can be taken.
    pub(super) rows: RecordBatch,
    /// The others, in ascending order.
    pub(super) refused: Vec<(usize, Refusal)>,
}

/// Makes rows of records; `bodies` are those that they were read from.
pub(super) fn check(
    plan: &Plan,
    event_type: &EventType,
    records: &RecordBatch,
    bodies: &[Body<'_>],
    limits: &Limits,
) -> Result<Checked, ArrowError> {
    let senders: Vec<&Sender> = bodies.iter().map(|body| body.sender).collect();
    let mut rows = Rows { limits, faults: vec![None; records.num_rows()] };
    rows.tenants(&texts(records.column(plan.tenant_id))?, &senders);
    let ids = texts(records.column(plan.event_id))?;
    rows.required(&ids, "event_id");
    rows.texts(&ids, "event_id", true);
    let times = rows.convert(records, plan.occurred_at, "occurred_at", FieldType::Timestamp)?;
    rows.required(&times, "occurred_at");
    rows.times(&times, bodies);
    let subjects = match plan.subject {
        Some(at) => texts(records.column(at))?,
        None => new_null_array(&arrow::datatypes::DataType::Utf8, records.num_rows()),
    };
    rows.texts(&subjects, "subject", false);
    let mut columns = vec![ids, times, subjects];
    for (field, place) in event_type.fields().iter().zip(&plan.fields) {
        columns.push(rows.field(records, field, *place, &senders)?);
    }
    columns.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
        format!("/{}", event_type.module()),
        records.num_rows(),
    ))));
    columns.push(Rows::extras(records, &plan.unknown)?);
    rows.finish(columns, event_type)
}

/// Rows under way, with the first thing that is wrong with each.
struct Rows<'a> {
    limits: &'a Limits,
    faults: Vec<Option<Refusal>>,
}

impl Rows<'_> {
    fn refuse(&mut self, row: usize, reason: impl FnOnce() -> String) {
        let fault = &mut self.faults[row];
        if fault.is_none() {
            // Those of other tenants are refused before all else.
            *fault = Some(Refusal { reason: reason(), may_be_foreign: false });
        }
    }

    fn tenants(&mut self, tenants: &ArrayRef, senders: &[&Sender]) {
        let tenants = tenants.as_string::<i32>();
        for (row, sender) in senders.iter().enumerate() {
            if tenants.is_null(row) || tenants.value(row) != sender.tenant_id {
                let found = if tenants.is_null(row) { "null" } else { tenants.value(row) };
                let reason = format!(
                    "tenant_id: \"{}\" is not the tenant of the key: expected \"{}\"",
                    shown(found),
                    shown(&sender.tenant_id)
                );
                self.faults[row] = Some(Refusal { reason, may_be_foreign: true });
            }
        }
    }

    /// A column of the type's own form, of a field or of one that is not there.
    fn field(
        &mut self,
        records: &RecordBatch,
        field: &Field,
        place: Option<(usize, super::columns::Conversion)>,
        senders: &[&Sender],
    ) -> Result<ArrayRef, ArrowError> {
        let name = &field.name;
        let column = match place {
            Some(place) => self.convert(records, place, name, field.kind)?,
            None => new_null_array(&field.kind.data_type(), records.num_rows()),
        };
        if !field.optional {
            self.required(&column, name);
        }
        match field.kind {
            FieldType::Text if name == "currency" => return Ok(self.currencies(&column, senders)),
            FieldType::Text => self.texts(&column, name, false),
            FieldType::Date => self.dates(&column, name),
            FieldType::Timestamp => self.years(&column, name),
            FieldType::Decimal | FieldType::Int | FieldType::Bool => {}
        }
        Ok(column)
    }

    fn convert(
        &mut self,
        records: &RecordBatch,
        (at, conversion): (usize, super::columns::Conversion),
        name: &str,
        kind: FieldType,
    ) -> Result<ArrayRef, ArrowError> {
        let (column, lost) = conversion.apply(records.column(at), kind)?;
        for row in lost.iter().flat_map(|lost| lost.values().set_indices()) {
            let value = arrow::util::display::array_value_to_string(records.column(at), row)?;
            self.refuse(row, || {
                let limit = match kind {
                    FieldType::Decimal => {
                        "a decimal with at most 34 digits before the point and 4 after it"
                    }
                    _ => "a value in the range of its type",
                };
                format!("{name}: expected {limit}, found {}", shown(&value))
            });
        }
        Ok(column)
    }

    fn required(&mut self, column: &ArrayRef, name: &str) {
        if column.logical_null_count() == 0 {
            return;
        }
        for row in 0..column.len() {
            if column.is_null(row) {
                self.refuse(row, || format!("{name} is null, and it is required"));
            }
        }
    }

    fn texts(&mut self, column: &ArrayRef, name: &str, is_filled: bool) {
        let column = column.as_string::<i32>();
        let most = self.limits.max_text;
        let has_nul = memchr::memchr(0, column.value_data()).is_some();
        for row in 0..column.len() {
            let length = column.value_length(row) as usize;
            if (length == 0 && !is_filled) || column.is_null(row) {
                continue;
            }
            if length == 0 {
                self.refuse(row, || format!("{name}: expected text, found none in it"));
            } else if length > most {
                self.refuse(row, || {
                    format!("{name}: the text has {length} bytes, and at most {most} are taken")
                });
            } else if has_nul && column.value(row).contains('\0') {
                self.refuse(row, || format!("{name}: text with NUL is not taken"));
            }
        }
    }

    /// Checks currencies, and puts the tenant's where none is given.
    fn currencies(&mut self, column: &ArrayRef, senders: &[&Sender]) -> ArrayRef {
        let column = column.as_string::<i32>();
        for (row, code) in column.iter().enumerate() {
            let is_code = |c: &str| c.len() == 3 && c.bytes().all(|b| b.is_ascii_uppercase());
            if let Some(code) = code.filter(|code| !is_code(code)) {
                self.refuse(row, || {
                    format!(
                        "currency: expected an ISO 4217 code of three capital letters, found \"{}\"",
                        shown(code)
                    )
                });
            }
        }
        let given = column.iter().zip(senders);
        let filled = given.map(|(code, sender)| code.unwrap_or(&sender.currency));
        Arc::new(StringArray::from_iter_values(filled))
    }

    fn dates(&mut self, column: &ArrayRef, name: &str) {
        for (row, day) in column.as_primitive::<Date32Type>().iter().enumerate() {
            if day.is_some_and(|day| !DAYS.contains(&day)) {
                self.refuse(row, || format!("{name}: expected a date from 0001 to 9999"));
            }
        }
    }

    fn years(&mut self, column: &ArrayRef, name: &str) {
        let span = i64::from(*DAYS.start()) * DAY..(i64::from(*DAYS.end()) + 1) * DAY;
        for (row, time) in column.as_primitive::<TimestampMicrosecondType>().iter().enumerate() {
            if time.is_some_and(|time| !span.contains(&time)) {
                self.refuse(row, || format!("{name}: expected a time from 0001 to 9999"));
            }
        }
    }

    fn times(&mut self, column: &ArrayRef, bodies: &[Body<'_>]) {
        let limits = self.limits;
        let earliest = limits.earliest.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
        let latest = |moment: DateTime<Utc>| {
            let ahead = moment.checked_add_days(Days::new(limits.future.into()));
            ahead.unwrap_or(DateTime::<Utc>::MAX_UTC)
        };
        let show = |time: i64| match DateTime::from_timestamp_micros(time) {
            Some(time) => time.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            None => format!("{time} microseconds from 1970"),
        };
        let times = column.as_primitive::<TimestampMicrosecondType>();
        for (row, (time, body)) in times.iter().zip(bodies).enumerate() {
            let Some(time) = time else { continue };
            let latest = latest(body.moment);
            if time < earliest {
                self.refuse(row, || {
                    let from = limits.earliest;
                    format!("occurred_at: {} is too early: expected {from} or later", show(time))
                });
            } else if time > latest.timestamp_micros() {
                self.refuse(row, || {
                    let until = latest.format("%Y-%m-%dT%H:%M:%SZ");
                    let found = show(time);
                    format!("occurred_at: {found} lies in the future: expected at most {until}")
                });
            }
        }
    }

    /// What only the writer knows, as `{"data":{…}}`; null where there is nothing.
    fn extras(records: &RecordBatch, unknown: &[usize]) -> Result<ArrayRef, ArrowError> {
        let mut extras = StringBuilder::new();
        let mut data = String::new();
        for row in 0..records.num_rows() {
            data.clear();
            for at in unknown {
                if let Some(value) = json(records.column(*at), row)? {
                    let comma = if data.is_empty() { "" } else { "," };
                    let name =
                        serde_json::Value::from(records.schema_ref().field(*at).name().as_str());
                    data.extend([comma, &name.to_string(), ":", &value]);
                }
            }
            if data.is_empty() {
                extras.append_null();
            } else {
                extras.append_value(format!("{{\"data\":{{{data}}}}}"));
            }
        }
        Ok(Arc::new(extras.finish()))
    }

    fn finish(self, columns: Vec<ArrayRef>, event_type: &EventType) -> Result<Checked, ArrowError> {
        let schema = stored_schema(event_type);
        let is_taken: Vec<bool> = self.faults.iter().map(Option::is_none).collect();
        let refused: Vec<(usize, Refusal)> = (self.faults.into_iter().enumerate())
            .filter_map(|(row, fault)| Some((row, fault?)))
            .collect();
        let rows = if refused.is_empty() {
            RecordBatch::try_new(schema, columns)?
        } else {
            // Rows that are refused may be null where the schema has no nulls.
            let loose = RecordBatch::try_from_iter_with_nullable(
                schema.fields().iter().zip(columns).map(|(f, column)| (f.name(), column, true)),
            )?;
            let kept = filter_record_batch(&loose, &BooleanArray::from(is_taken))?;
            RecordBatch::try_new(schema, kept.columns().to_vec())?
        };
        Ok(Checked { rows, refused })
    }
}
