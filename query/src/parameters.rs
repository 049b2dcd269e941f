//! Parameters `$1`, `$2`, … as values of the plan. They never become SQL text.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use chrono::NaiveDate;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, Result as PlanResult, ScalarValue};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan};
use serde_json::Value;

use crate::QueryError;
use crate::statement::TEXT_BYTES;

/// The digits that a JSON number keeps for certain on its way here.
const EXACT_DIGITS: usize = 15;

/// The digits of the widest decimal.
const DECIMAL_DIGITS: usize = 38;

/// Puts `params` in the place of the plan's placeholders. Each must be used, and each that is
/// used must be given.
pub(crate) fn bind(plan: LogicalPlan, params: &[Value]) -> Result<LogicalPlan, QueryError> {
    let wanted = placeholders(&plan)?;
    let given = params.len();
    if let Some(missing) = wanted.keys().find(|n| **n > given) {
        return Err(QueryError::invalid(format!(
            "the SQL uses ${missing}, but {given} parameters are given"
        )));
    }
    if let Some(unused) = (1..=given).find(|n| !wanted.contains_key(n)) {
        return Err(QueryError::invalid(format!(
            "{given} parameters are given, but the SQL does not use ${unused}"
        )));
    }
    if params.is_empty() {
        return Ok(plan);
    }
    let values = params
        .iter()
        .enumerate()
        .map(|(i, value)| {
            let number = i + 1;
            let data_type = wanted.get(&number).and_then(Option::as_ref);
            scalar(value, data_type)
                .map_err(|why| QueryError::invalid(format!("parameter ${number}: {why}")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let values = ParamValues::List(values.into_iter().map(Into::into).collect());
    Ok(plan.with_param_values(values)?)
}

/// The types that the values of `$1`, `$2`, … must have, as far as the plan says them.
pub(crate) fn types(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>, QueryError> {
    let wanted = placeholders(plan)?;
    let most = wanted.keys().last().copied().unwrap_or(0);
    if let Some(unused) = (1..=most).find(|n| !wanted.contains_key(n)) {
        return Err(QueryError::invalid(format!(
            "the SQL uses ${most}, but not ${unused}: number the parameters without a gap"
        )));
    }
    Ok(wanted.into_values().collect())
}

/// Puts nulls of these types in the place of the placeholders; of an unknown type, as texts.
pub(crate) fn bind_nulls(
    plan: LogicalPlan,
    types: &[Option<DataType>],
) -> Result<LogicalPlan, QueryError> {
    if types.is_empty() {
        return Ok(plan);
    }
    let nulls = types
        .iter()
        .map(|known| ScalarValue::try_new_null(known.as_ref().unwrap_or(&DataType::Utf8)))
        .collect::<PlanResult<Vec<_>>>()?;
    let values = ParamValues::List(nulls.into_iter().map(Into::into).collect());
    Ok(plan.with_param_values(values)?)
}

/// The numbers of the placeholders, with the type that the first use of each suggests.
fn placeholders(plan: &LogicalPlan) -> Result<BTreeMap<usize, Option<DataType>>, QueryError> {
    let mut found: BTreeMap<usize, Option<DataType>> = BTreeMap::new();
    let mut foreign = None;
    let walked: PlanResult<_> = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                if let Expr::Placeholder(Placeholder { id, field }) = e {
                    match id.strip_prefix('$').and_then(|n| n.parse().ok()) {
                        Some(0) | None => foreign = Some(id.clone()),
                        Some(number) => {
                            let known = found.entry(number).or_default();
                            if known.is_none() {
                                *known = field.as_ref().map(|f| f.data_type().clone());
                            }
                        }
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked?;
    match foreign {
        Some(id) => Err(QueryError::invalid(format!(
            "'{id}' is no parameter: write $1, $2 and so on, in the order of `params`"
        ))),
        None => Ok(found),
    }
}

/// A JSON value as the plan wants it. Text is read as the wanted type; numbers stay exact.
fn scalar(value: &Value, wanted: Option<&DataType>) -> Result<ScalarValue, String> {
    match value {
        Value::Null => ScalarValue::try_new_null(wanted.unwrap_or(&DataType::Null))
            .map_err(|error| error.strip_backtrace()),
        Value::Bool(flag) => Ok(ScalarValue::Boolean(Some(*flag))),
        Value::Number(number) => match wanted {
            Some(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
                Ok(ScalarValue::Utf8(Some(number.to_string())))
            }
            _ => exact_number(&number.to_string()),
        },
        Value::String(text) if text.len() > TEXT_BYTES => {
            Err(format!("a text of {} bytes, more than the {TEXT_BYTES} allowed", text.len()))
        }
        Value::String(text) => from_text(text, wanted),
        Value::Array(_) => Err("a list; give each of its values a parameter of its own".into()),
        Value::Object(_) => Err("an object; give text, a number, true, false or null".into()),
    }
}

/// A number that JSON carried. Long ones may have lost digits on the way, so they are refused.
fn exact_number(text: &str) -> Result<ScalarValue, String> {
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(ScalarValue::Int64(Some(whole)));
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Ok(ScalarValue::UInt64(Some(whole)));
    }
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    if digits > EXACT_DIGITS {
        return Err(format!(
            "a number with more than {EXACT_DIGITS} digits is not exact in JSON; send it as text"
        ));
    }
    decimal(text)
}

fn from_text(text: &str, wanted: Option<&DataType>) -> Result<ScalarValue, String> {
    let own = || ScalarValue::Utf8(Some(text.to_owned()));
    match wanted {
        None | Some(DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
            Ok(own())
        }
        // With its own number of places, so that nothing is rounded.
        Some(DataType::Decimal128(..)) => decimal(text),
        Some(DataType::Date32) => match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            Ok(date) => Ok(ScalarValue::Date32(Some(projections::clock::epoch_days(date)))),
            Err(_) => Err(format!("'{}' is no date; write YYYY-MM-DD", short(text))),
        },
        Some(other) => {
            own().cast_to(other).map_err(|_| format!("'{}' cannot be read as {other}", short(text)))
        }
    }
}

/// Reads `[-]digits[.digits][e[-]digits]` without rounding.
fn decimal(text: &str) -> Result<ScalarValue, String> {
    let bad = || format!("'{}' is no decimal of at most {DECIMAL_DIGITS} digits", short(text));
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| bad())?),
        None => (text, 0),
    };
    let (sign, unsigned) = match mantissa.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, mantissa),
    };
    let (whole, places) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{places}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let mut scale = i32::try_from(places.len()).map_err(|_| bad())?.saturating_sub(exponent);
    let mut value: i128 = digits.parse().map_err(|_| bad())?;
    while scale < 0 {
        value = value.checked_mul(10).ok_or_else(bad)?;
        scale += 1;
    }
    // 128 bits hold a little more than 38 digits.
    let fits = value < 10_i128.pow(38) && scale <= 38;
    match i8::try_from(scale) {
        Ok(scale) if fits => Ok(ScalarValue::Decimal128(Some(sign * value), 38, scale)),
        _ => Err(bad()),
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
