#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::{Inexact, parse};

fn money(text: &str) -> Result<i128, Inexact> {
    parse(text, 34, 4)
}

#[test]
fn exact_forms() {
    for (text, value) in [
        ("0", 0),
        ("-0", 0),
        ("12.50", 125_000),
        ("+7", 70_000),
        ("-0.0001", -1),
        (".5", 5_000),
        ("5.", 50_000),
        ("007.5", 75_000),
        ("1e3", 10_000_000),
        ("1.5E+2", 1_500_000),
        ("1234500000e-9", 12_345),
        ("1.23450000000000000000000", 12_345),
        ("0e999999999999999999999", 0),
        ("0.00000e-99999999999999", 0),
        (
            "9999999999999999999999999999999999.9999",
            99_999_999_999_999_999_999_999_999_999_999_999_999,
        ),
        ("0000000000000000000000000000000000000000000000000001", 10_000),
    ] {
        assert_eq!(money(text), Ok(value), "{text}");
    }
}

#[test]
fn refused_forms() {
    use Inexact::{NotANumber, TooLarge, TooManyPlaces};
    for (text, fault) in [
        ("", NotANumber),
        ("-", NotANumber),
        (".", NotANumber),
        ("e5", NotANumber),
        ("1e", NotANumber),
        ("1e+", NotANumber),
        ("1.2.3", NotANumber),
        ("1,000", NotANumber),
        ("1_000", NotANumber),
        (" 1", NotANumber),
        ("1 ", NotANumber),
        ("0x10", NotANumber),
        ("NaN", NotANumber),
        ("Infinity", NotANumber),
        ("١٢", NotANumber),
        ("--1", NotANumber),
        ("0.00001", TooManyPlaces),
        ("1e-5", TooManyPlaces),
        ("1.00005", TooManyPlaces),
        ("10000000000000000000000000000000000", TooLarge),
        ("1e34", TooLarge),
        ("1e999999999999999999", TooLarge),
        ("1e-999999999999999999", TooManyPlaces),
    ] {
        assert_eq!(money(text), Err(fault), "{text}");
    }
}

/// The same by decimal digits as text: the point is moved, then the digits are cut and compared.
fn reference(negative: bool, whole: &str, fraction: &str, exponent: i32) -> Option<i128> {
    let digits = format!("{whole}{fraction}");
    let shift = exponent - fraction.len() as i32 + 4;
    let scaled = if shift >= 0 {
        format!("{digits}{}", "0".repeat(shift as usize))
    } else {
        let keep = digits.len().saturating_sub(shift.unsigned_abs() as usize);
        if digits[keep..].bytes().any(|b| b != b'0') {
            return None;
        }
        digits[..keep].to_owned()
    };
    let scaled = scaled.trim_start_matches('0');
    if scaled.len() > 38 {
        return None;
    }
    let value = if scaled.is_empty() { 0 } else { scaled.parse::<i128>().unwrap() };
    Some(if negative { -value } else { value })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn agrees_with_digit_arithmetic(
        negative: bool,
        whole in "[0-9]{0,40}",
        fraction in "[0-9]{0,12}|[0-9]{0,4}0{0,60}",
        exponent in prop_oneof![Just(0), -45..45_i32],
    ) {
        prop_assume!(!whole.is_empty() || !fraction.is_empty());
        let sign = if negative { "-" } else { "" };
        let text = format!("{sign}{whole}.{fraction}e{exponent}");
        prop_assert_eq!(money(&text).ok(), reference(negative, &whole, &fraction, exponent), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}|[-+0-9.eE]{0,60}") {
        if let Ok(value) = money(&text) {
            prop_assert!(value.abs() < 10_i128.pow(38));
        }
    }

    #[test]
    fn whole_numbers_are_those_of_the_language(value: i64) {
        prop_assert_eq!(parse(&value.to_string(), 19, 0), Ok(i128::from(value)));
        prop_assert_eq!(parse(&format!("{value}.000"), 19, 0), Ok(i128::from(value)));
    }
}
