//! Exact decimals from their text: no float, no rounding, text of any length.

/// Why a text is not a number of the wanted shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inexact {
    /// It is not a decimal number.
    NotANumber,
    /// A digit other than 0 stands beyond the last place that is kept.
    TooManyPlaces,
    /// A digit other than 0 stands before the first place that is kept.
    TooLarge,
}

/// Reads a field's decimal in units of 0.0001: at most 34 digits before the point, and 4 after it.
pub fn units(text: &str) -> Result<i128, Inexact> {
    parse(text, 34, 4)
}

/// Reads a whole number of 64 bits.
pub fn whole(text: &str) -> Option<i64> {
    parse(text, 19, 0).ok().and_then(|whole| i64::try_from(whole).ok())
}

/// Reads `[+-]digits[.digits][e[+-]digits]` as a whole number of `10^-scale`, exactly.
///
/// At least one digit must stand before the exponent. At most `digits` digits before the point
/// are taken; `digits + scale` must be at most 38.
pub fn parse(text: &str, digits: i64, scale: i64) -> Result<i128, Inexact> {
    let (negative, unsigned) = split_sign(text.as_bytes());
    let (mantissa, exponent) = split_exponent(unsigned)?;
    let point = mantissa.iter().position(|b| *b == b'.').unwrap_or(mantissa.len());
    if mantissa.len() - usize::from(point < mantissa.len()) == 0 {
        return Err(Inexact::NotANumber);
    }
    // The power of ten at which the first digit stands.
    let mut place = point as i64 - 1 + exponent;
    let mut value: i128 = 0;
    let mut fault = None;
    for (at, byte) in mantissa.iter().enumerate() {
        let digit = match byte {
            b'0'..=b'9' => i128::from(byte - b'0'),
            b'.' if at == point => continue,
            _ => return Err(Inexact::NotANumber),
        };
        if place >= -scale && place < digits {
            value = value * 10 + digit;
        } else if digit != 0 && fault.is_none() {
            fault = Some(if place < 0 { Inexact::TooManyPlaces } else { Inexact::TooLarge });
        }
        place -= 1;
    }
    if let Some(fault) = fault {
        return Err(fault);
    }
    // Zeros that the exponent stands for; the value is below 10^digits, so they fit.
    while value != 0 && place >= -scale {
        value *= 10;
        place -= 1;
    }
    Ok(if negative { -value } else { value })
}

/// Whether a minus stands in front, and what follows the sign.
fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [sign @ (b'-' | b'+'), rest @ ..] => (*sign == b'-', rest),
        unsigned => (false, unsigned),
    }
}

/// Cuts off the exponent; one beyond a billion is as good as a billion, since no text has as many digits.
fn split_exponent(text: &[u8]) -> Result<(&[u8], i64), Inexact> {
    let Some(at) = text.iter().position(|b| matches!(b, b'e' | b'E')) else {
        return Ok((text, 0));
    };
    let (negative, digits) = split_sign(&text[at + 1..]);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Inexact::NotANumber);
    }
    let magnitude =
        digits.iter().fold(0_i64, |sum, b| (sum * 10 + i64::from(b - b'0')).min(1_000_000_000));
    Ok((&text[..at], if negative { -magnitude } else { magnitude }))
}

#[cfg(test)]
#[path = "decimal_tests.rs"]
mod tests;
