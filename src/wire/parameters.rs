//! Values of parameters, from what a driver sends to what the query service takes.
//!
//! The service takes JSON: numbers where they are exact in it, everything else as text, which it
//! reads as the type that the statement wants.

use bytes::Buf;
use chrono::{DateTime, Days, NaiveDate};
use serde_json::{Number, Value};

use super::failure::Failure;
use super::types;

/// The digits that a JSON number keeps for certain.
const EXACT_DIGITS: usize = 15;
/// The digits of the widest decimal, before and behind the point; a number of more is none that
/// could be compared with anything.
const MOST_DIGITS: usize = 80;

/// The values of a `Bind`: `oids` says the type of each, 0 or nothing where it is not known, and
/// `formats` whether it is binary.
pub(super) fn values<B: AsRef<[u8]>>(
    sent: &[Option<B>],
    formats: &[i16],
    oids: &[u32],
) -> Result<Vec<Value>, Failure> {
    let value = |(place, sent): (usize, &Option<B>)| {
        let Some(sent) = sent else { return Ok(Value::Null) };
        let format = match formats {
            [] => 0,
            [one] => *one,
            each => each.get(place).copied().unwrap_or(0),
        };
        let oid = oids.get(place).copied().unwrap_or(0);
        let read = match format {
            0 => text(sent.as_ref(), oid),
            1 => binary(sent.as_ref(), oid),
            _ => Err(format!("there is no format {format}")),
        };
        let number = place + 1;
        read.map_err(|why| Failure::new("22P02", format!("parameter ${number}: {why}")))
    };
    sent.iter().enumerate().map(value).collect()
}

fn text(sent: &[u8], oid: u32) -> Result<Value, String> {
    let text = std::str::from_utf8(sent).map_err(|_| "a text that is not UTF-8".to_owned())?;
    match oid {
        types::BOOL => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Ok(Value::Bool(true)),
            "f" | "false" | "n" | "no" | "off" | "0" => Ok(Value::Bool(false)),
            _ => Err(format!("'{}' is neither true nor false", short(text))),
        },
        types::INT2 | types::INT4 | types::INT8 | types::OID => text
            .trim()
            .parse::<i64>()
            .map(Value::from)
            .map_err(|_| format!("'{}' is no whole number", short(text))),
        types::FLOAT4 | types::FLOAT8 => {
            let number = text.trim().parse::<f64>();
            float(number.map_err(|_| format!("'{}' is no number", short(text)))?)
        }
        types::NUMERIC => Ok(exact(text.trim())),
        _ => Ok(Value::from(text)),
    }
}

fn binary(sent: &[u8], oid: u32) -> Result<Value, String> {
    match oid {
        types::BOOL => match sent {
            [byte] => Ok(Value::Bool(*byte != 0)),
            _ => Err(length("bool", sent)),
        },
        types::INT2 => whole::<2>(sent, |mut bytes| bytes.get_i16().into()),
        types::INT4 => whole::<4>(sent, |mut bytes| bytes.get_i32().into()),
        types::INT8 => whole::<8>(sent, |mut bytes| bytes.get_i64()),
        types::OID => whole::<4>(sent, |mut bytes| bytes.get_u32().into()),
        types::FLOAT4 => match <[u8; 4]>::try_from(sent) {
            // Through its digits: 0.1 is meant, and not what is nearest to it.
            Ok(bytes) => text(f32::from_be_bytes(bytes).to_string().as_bytes(), types::FLOAT8),
            Err(_) => Err(length("float4", sent)),
        },
        types::FLOAT8 => match <[u8; 8]>::try_from(sent) {
            Ok(bytes) => float(f64::from_be_bytes(bytes)),
            Err(_) => Err(length("float8", sent)),
        },
        types::NUMERIC => numeric(sent).map(|digits| exact(&digits)),
        types::DATE => {
            let days = <[u8; 4]>::try_from(sent).map_err(|_| length("date", sent))?;
            let days = i32::from_be_bytes(days);
            let epoch = NaiveDate::from_ymd_opt(2000, 1, 1);
            let distance = Days::new(days.unsigned_abs().into());
            let date = epoch.and_then(|epoch| match days {
                0.. => epoch.checked_add_days(distance),
                _ => epoch.checked_sub_days(distance),
            });
            let date = date.ok_or("a date that is out of range")?;
            Ok(Value::from(date.to_string()))
        }
        types::TIMESTAMP | types::TIMESTAMPTZ => {
            let micros = <[u8; 8]>::try_from(sent).map_err(|_| length("timestamp", sent))?;
            let micros = i64::from_be_bytes(micros).checked_add(946_684_800_000_000);
            let moment = micros.and_then(DateTime::from_timestamp_micros);
            let moment = moment.ok_or("a timestamp that is out of range")?;
            let zone = if oid == types::TIMESTAMPTZ { "Z" } else { "" };
            Ok(Value::from(format!("{}{zone}", moment.format("%Y-%m-%dT%H:%M:%S%.6f"))))
        }
        types::UUID => match <[u8; 16]>::try_from(sent) {
            Ok(bytes) => {
                let hex = format!("{:032x}", u128::from_be_bytes(bytes));
                let part = |range| hex.get(range).unwrap_or_default();
                let parts = [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)];
                Ok(Value::from(parts.join("-")))
            }
            Err(_) => Err(length("uuid", sent)),
        },
        0
        | types::TEXT
        | types::VARCHAR
        | types::BPCHAR
        | types::NAME
        | types::CHAR
        | types::JSON
        | types::UNKNOWN => text(sent, types::TEXT),
        other => Err(format!(
            "a value of the type with the number {other}, which is not taken; send it as text"
        )),
    }
}

fn whole<const BYTES: usize>(sent: &[u8], read: impl Fn(&[u8]) -> i64) -> Result<Value, String> {
    if sent.len() == BYTES { Ok(Value::from(read(sent))) } else { Err(length("number", sent)) }
}

fn length(kind: &str, sent: &[u8]) -> String {
    format!("{} bytes are no {kind}", sent.len())
}

fn float(number: f64) -> Result<Value, String> {
    Number::from_f64(number).map(Value::Number).ok_or_else(|| format!("{number} is no number here"))
}

/// A number of few digits as such, any other as its text.
fn exact(text: &str) -> Value {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
    if digits <= EXACT_DIGITS && is_plain {
        if let Ok(whole) = text.parse::<i64>() {
            return Value::from(whole);
        }
        if let Some(number) = text.parse().ok().and_then(Number::from_f64) {
            return Value::Number(number);
        }
    }
    Value::from(text)
}

/// The digits of a `numeric` as it is sent in binary.
pub(super) fn numeric(mut sent: &[u8]) -> Result<String, String> {
    if sent.len() < 8 {
        return Err(length("numeric", sent));
    }
    let all = sent.len();
    let (count, weight) = (usize::from(sent.get_u16()), sent.get_i16());
    let (sign, scale) = (sent.get_u16(), usize::from(sent.get_u16()));
    if sent.len() != 2 * count {
        return Err(format!("{all} bytes are no numeric"));
    }
    let sign = match sign {
        0 => "",
        0x4000 => "-",
        _ => return Err("a number that is none, or infinite".into()),
    };
    let groups: Vec<u16> = sent.chunks_exact(2).map(|mut group| group.get_u16()).collect();
    if groups.iter().any(|group| *group > 9_999) {
        return Err("a group of digits is over 9999".into());
    }
    // In groups of four digits: those before the point, and as many as the scale needs behind it.
    let whole = usize::try_from(i32::from(weight) + 1).unwrap_or(0);
    let behind = scale.div_ceil(4);
    if 4 * whole > MOST_DIGITS || scale > MOST_DIGITS {
        return Err("a number of more digits than any that is here".into());
    }
    let group = |place: i32| {
        // The first has the place of the weight, the next is one below it.
        let index = i32::from(weight) - place;
        usize::try_from(index).ok().and_then(|index| groups.get(index)).copied().unwrap_or(0)
    };
    let digits = |place: i32| format!("{:04}", group(place));
    let before: Vec<String> = (0..whole as i32).rev().map(digits).collect();
    let before = before.concat();
    let mut number = match before.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    };
    if scale > 0 {
        let mut places = (1..=behind as i32).map(|place| digits(-place)).collect::<String>();
        places.truncate(scale);
        number = format!("{number}.{places}");
    }
    Ok(format!("{sign}{number}"))
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn one(sent: &[u8], format: i16, oid: u32) -> Result<Value, Failure> {
        values(&[Some(sent)], &[format], &[oid]).map(|values| values.into_iter().collect())
    }

    fn same(sent: &[u8], format: i16, oid: u32, value: Value) {
        assert_eq!(one(sent, format, oid).unwrap(), Value::Array(vec![value]), "{sent:?}");
    }

    #[test]
    fn values_are_read_by_their_types() {
        same(b"7", 0, types::INT4, json!(7));
        same(b"7", 0, 0, json!("7"));
        same(b"t", 0, types::BOOL, json!(true));
        same(b"123.45", 0, types::NUMERIC, json!(123.45));
        same(b"1234567890123456.5", 0, types::NUMERIC, json!("1234567890123456.5"));
        same(&7_i64.to_be_bytes(), 1, types::INT8, json!(7));
        same(&0.1_f32.to_be_bytes(), 1, types::FLOAT4, json!(0.1));
        same(&[1], 1, types::BOOL, json!(true));
        same("ä".as_bytes(), 1, types::VARCHAR, json!("ä"));
        same(&9_312_i32.to_be_bytes(), 1, types::DATE, json!("2025-06-30"));
        same(&1_i64.to_be_bytes(), 1, types::TIMESTAMPTZ, json!("2000-01-01T00:00:00.000001Z"));
        same(&[0, 2, 0, 0, 0x40, 0, 0, 4, 0, 123, 0x11, 0x94], 1, types::NUMERIC, json!(-123.45));
        assert_eq!(values::<&[u8]>(&[None], &[], &[]).unwrap(), [Value::Null]);
    }

    #[test]
    fn what_is_no_value_of_its_type_is_refused() {
        for (sent, format, oid) in [
            (&b"x"[..], 0, types::INT4),
            (b"maybe", 0, types::BOOL),
            (b"\xff", 0, types::TEXT),
            (b"\0\0", 1, types::INT4),
            (b"\0", 1, types::NUMERIC),
            (b"\0\x01\0\0\0\0\0\0\xff\xff", 1, types::NUMERIC),
            (b"\0\0\x7f\xff\0\0\0\0", 1, types::NUMERIC),
            (b"\x7f\xff\xff\xff\xff\xff\xff\xff", 1, types::TIMESTAMP),
            (b"1", 2, types::TEXT),
            (b"{1}", 1, 1007),
        ] {
            assert_eq!(one(sent, format, oid).unwrap_err().code, "22P02", "{sent:?}");
        }
    }
}
