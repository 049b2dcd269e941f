//! Dates (`YYYY-MM-DD`) and instants (RFC 3339) from their text.

use chrono::{Datelike, NaiveDate};

/// Days from 0001-01-01 (day 1) to 1970-01-01.
const EPOCH_FROM_CE: i32 = 719_163;
const MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Days since 1970-01-01 of a date that exists, from year 0001 to 9999.
pub fn date(text: &str) -> Option<i32> {
    match text.as_bytes() {
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] => {
            let year = pair(*y1, *y2)? * 100 + pair(*y3, *y4)?;
            let date = NaiveDate::from_ymd_opt(year as i32, pair(*m1, *m2)?, pair(*d1, *d2)?)?;
            (year > 0).then(|| date.num_days_from_ce() - EPOCH_FROM_CE)
        }
        _ => None,
    }
}

/// Microseconds since the epoch of an RFC 3339 instant; what is finer is cut off, towards the past.
///
/// A leap second is the first second of the next day, as it is in POSIX time.
pub fn instant(text: &str) -> Option<i64> {
    let days = i64::from(date(text.get(..10)?)?);
    let rest = &text.as_bytes()[10..];
    let [b'T' | b't' | b' ', h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = rest else {
        return None;
    };
    let (hour, minute, second) = (pair(*h1, *h2)?, pair(*m1, *m2)?, pair(*s1, *s2)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (micros, zone) = fraction(rest)?;
    let local = days * DAY_SECONDS + i64::from(hour * 3600 + minute * 60 + second);
    let utc = local - offset_seconds(zone)?;
    if second == 60 && utc.rem_euclid(DAY_SECONDS) != 0 {
        return None;
    }
    Some(utc * MICROS + micros)
}

/// The microseconds of `.digits` at the front, and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.', digits @ ..] = text else {
        return Some((0, text));
    };
    let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let micros = (0..6).fold(0, |sum, at| {
        let digit = if at < count { i64::from(digits[at] - b'0') } else { 0 };
        sum * 10 + digit
    });
    Some((micros, &digits[count..]))
}

/// Seconds east of UTC of `Z` or `±hh:mm`.
fn offset_seconds(zone: &[u8]) -> Option<i64> {
    match zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (pair(*h1, *h2)?, pair(*m1, *m2)?);
            let seconds = i64::from(hours * 3600 + minutes * 60);
            let valid = hours <= 23 && minutes <= 59;
            valid.then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

/// The number of two digits.
fn pair(tens: u8, ones: u8) -> Option<u32> {
    let valid = tens.is_ascii_digit() && ones.is_ascii_digit();
    valid.then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    use super::{date, instant};

    fn reference(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc).timestamp_micros()
    }

    #[test]
    fn dates_exist_or_are_refused() {
        assert_eq!(date("1970-01-01"), Some(0));
        assert_eq!(date("2024-02-29"), Some(19_782));
        assert_eq!(date("0001-01-01"), Some(-719_162));
        for text in [
            "2023-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-04-31",
            "0000-01-01",
            "2024-1-1",
            "24-01-01",
            "2024/01/01",
            "2024-01-01T00:00:00Z",
            "20240101",
            "",
            "+024-01-01",
            "२०२४-०१-०१",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn instants_of_every_form() {
        for text in [
            "2024-05-01T10:20:30Z",
            "2024-05-01t10:20:30z",
            "2024-05-01T10:20:30.5+05:45",
            "2024-05-01T10:20:30.123456-11:30",
            "2024-05-01T00:00:00-00:00",
            "1899-12-31T23:59:59.999999Z",
        ] {
            assert_eq!(instant(text), Some(reference(text)), "{text}");
        }
        assert_eq!(instant("1970-01-01T00:00:00.1234569Z"), Some(123_456));
        assert_eq!(instant("1969-12-31T23:59:59.9999999Z"), Some(-1));
        assert_eq!(instant("2016-12-31T23:59:60Z"), instant("2017-01-01T00:00:00Z"));
        assert_eq!(instant("2017-01-01T00:59:60+01:00"), instant("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "2024-05-01",
            "2024-05-01T10:20",
            "2024-05-01T10:20:30",
            "2024-05-01T24:00:00Z",
            "2024-05-01T10:60:00Z",
            "2024-05-01T10:20:60Z",
            "2024-05-01T10:20:30.Z",
            "2024-05-01T10:20:30+0200",
            "2024-05-01T10:20:30+24:00",
            "2024-05-01T10:20:30+02:60",
            "2024-05-01T10:20:30Zx",
            "2024-02-30T00:00:00Z",
            "2024-05-0é",
            "now",
            "",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_chrono(micros in -2_208_988_800_000_000_i64..4_102_444_800_000_000, offset in -1_439..1_440_i32) {
            let zone = chrono::FixedOffset::east_opt(offset * 60).unwrap();
            let moment = DateTime::from_timestamp_micros(micros).unwrap().with_timezone(&zone);
            prop_assert_eq!(instant(&moment.to_rfc3339()), Some(micros));
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}|[0-9T:.Z+-]{0,40}") {
            let _ = (date(&text), instant(&text));
        }
    }
}
