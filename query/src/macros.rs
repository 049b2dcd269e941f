//! Dates in words: `{{today}}`, `{{last_month.start}}`, as defaults of parameters and in names.
//!
//! | in braces | is |
//! |---|---|
//! | `today`, `yesterday`, `tomorrow` | a date |
//! | `today - 7`, `today + 30` | so many days before or after |
//! | `last_month.start`, `.end`, `.next` | the first day, the last one, and the one after that |
//! | `last_month` | its name: `2026-10` |
//!
//! `last_`, `this_` and `next_` stand before `week` (ISO, `2026-W43`), `month`, `quarter`
//! (`2026-Q3`), `year` (`2026`), `fiscal_quarter` (`FY2026-Q3`) and `fiscal_year` (`FY2026`, the
//! calendar year in which it ends).

use chrono::{Datelike, Days, Months, NaiveDate};

/// The date that words are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    today: NaiveDate,
    fiscal_month: u32,
}

/// What stands in braces is no date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{{{{{0}}}}}' is no date: write {{{{today}}}}, {{{{today - 7}}}}, {{{{last_month.start}}}}, \
     {{{{last_month.end}}}} or the like with last_, this_ or next_ before week, month, quarter, year, \
     fiscal_quarter or fiscal_year"
)]
pub struct MacroError(pub String);

impl Calendar {
    /// That of a date, where fiscal years begin with this month of the calendar, 1 to 12.
    pub fn new(today: NaiveDate, fiscal_month: u32) -> Self {
        Self { today, fiscal_month: fiscal_month.clamp(1, 12) }
    }

    /// Puts dates in the place of all words in double braces.
    pub fn expand(self, text: &str) -> Result<String, MacroError> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            expanded.push_str(before);
            let unclosed = || MacroError(shown(after));
            let (word, behind) = after.split_once("}}").ok_or_else(unclosed)?;
            let meant = self.meant(word.trim()).ok_or_else(|| MacroError(shown(word)))?;
            expanded.push_str(&meant);
            rest = behind;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn meant(self, word: &str) -> Option<String> {
        if let Some(days) = word.strip_prefix("today") {
            return self.days_away(days.trim()).map(|date| date.to_string());
        }
        match word {
            "yesterday" => return self.days_away("-1").map(|date| date.to_string()),
            "tomorrow" => return self.days_away("+1").map(|date| date.to_string()),
            _ => {}
        }
        let (name, part) = match word.split_once('.') {
            Some((name, part)) => (name, Some(part)),
            None => (word, None),
        };
        let (which, unit) = name.split_once('_')?;
        let steps = match which {
            "last" => -1,
            "this" => 0,
            "next" => 1,
            _ => return None,
        };
        let period = self.period(unit, steps)?;
        match part {
            None => Some(period.name),
            Some("start") => Some(period.start.to_string()),
            Some("end") => period.next.pred_opt().map(|date| date.to_string()),
            Some("next") => Some(period.next.to_string()),
            Some(_) => None,
        }
    }

    /// The date so many days from today: nothing, or a sign and a number.
    fn days_away(self, text: &str) -> Option<NaiveDate> {
        if text.is_empty() {
            return Some(self.today);
        }
        let (sign, digits) = text.split_at_checked(1)?;
        let digits = digits.trim();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let days = Days::new(digits.parse::<u32>().ok()?.into());
        match sign {
            "+" => self.today.checked_add_days(days),
            "-" => self.today.checked_sub_days(days),
            _ => None,
        }
    }

    fn period(self, unit: &str, steps: i32) -> Option<Period> {
        let today = self.today;
        let month = today.with_day(1)?;
        let (start, months) = match unit {
            "week" => return self.week(steps),
            "month" => (month, 1),
            "quarter" => (back(month, today.month0() % 3)?, 3),
            "year" => (back(month, today.month0())?, 12),
            "fiscal_quarter" => (back(month, self.fiscal_month0() % 3)?, 3),
            "fiscal_year" => (back(month, self.fiscal_month0())?, 12),
            _ => return None,
        };
        let start = moved(start, steps * months)?;
        let next = moved(start, months)?;
        let name = match unit {
            "month" => start.format("%Y-%m").to_string(),
            "quarter" => format!("{}-Q{}", start.format("%Y"), start.month0() / 3 + 1),
            "year" => start.format("%Y").to_string(),
            _ => {
                // Of the fiscal year that it stands in, counted from its first month.
                let begun = Self { today: start, ..self }.fiscal_month0();
                let ends = moved(back(start, begun)?, 11)?.format("%Y").to_string();
                if months == 12 {
                    format!("FY{ends}")
                } else {
                    format!("FY{ends}-Q{}", begun / 3 + 1)
                }
            }
        };
        Some(Period { name, start, next })
    }

    fn week(self, steps: i32) -> Option<Period> {
        let monday = self.today.week(chrono::Weekday::Mon).checked_first_day()?;
        let start = monday.checked_add_signed(chrono::TimeDelta::weeks(steps.into()))?;
        let next = start.checked_add_days(Days::new(7))?;
        Some(Period { name: start.format("%G-W%V").to_string(), start, next })
    }

    /// The months of the fiscal year before today's.
    fn fiscal_month0(self) -> u32 {
        (self.today.month() + 12 - self.fiscal_month) % 12
    }
}

/// Days from `start` up to and without `next`.
struct Period {
    name: String,
    start: NaiveDate,
    next: NaiveDate,
}

fn back(date: NaiveDate, months: u32) -> Option<NaiveDate> {
    date.checked_sub_months(Months::new(months))
}

fn moved(date: NaiveDate, months: i32) -> Option<NaiveDate> {
    let by = Months::new(months.unsigned_abs());
    if months < 0 { date.checked_sub_months(by) } else { date.checked_add_months(by) }
}

fn shown(word: &str) -> String {
    word.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn on(date: &str, fiscal_month: u32) -> Calendar {
        Calendar::new(date.parse().unwrap(), fiscal_month)
    }

    #[test]
    fn words_are_dates() {
        let calendar = on("2026-03-31", 4);
        for (word, date) in [
            ("{{today}}", "2026-03-31"),
            ("{{ yesterday }}", "2026-03-30"),
            ("{{tomorrow}}", "2026-04-01"),
            ("{{today - 31}}", "2026-02-28"),
            ("{{today+1}}", "2026-04-01"),
            ("{{last_month.start}}", "2026-02-01"),
            ("{{last_month.end}}", "2026-02-28"),
            ("{{last_month.next}}", "2026-03-01"),
            ("{{this_month.end}}", "2026-03-31"),
            ("{{next_month.end}}", "2026-04-30"),
            ("{{last_week.start}}", "2026-03-23"),
            ("{{this_week.end}}", "2026-04-05"),
            ("{{last_quarter.start}}", "2025-10-01"),
            ("{{last_year.end}}", "2025-12-31"),
            ("{{this_fiscal_year.start}}", "2025-04-01"),
            ("{{this_fiscal_year.end}}", "2026-03-31"),
            ("{{last_fiscal_quarter.start}}", "2025-10-01"),
            ("{{last_month}}", "2026-02"),
            ("{{this_week}}", "2026-W14"),
            ("{{this_quarter}}", "2026-Q1"),
            ("{{last_year}}", "2025"),
            ("{{this_fiscal_year}}", "FY2026"),
            ("{{this_fiscal_quarter}}", "FY2026-Q4"),
            ("{{next_fiscal_year}}", "FY2027"),
            ("debts {{last_month}} of {{today}}.", "debts 2026-02 of 2026-03-31."),
            ("no words", "no words"),
        ] {
            assert_eq!(calendar.expand(word).unwrap(), date, "{word}");
        }
    }

    /// Those that a dashboard's filters may have, which the page reads too.
    #[test]
    fn words_of_filters_mean_the_same_here() {
        let words: serde_json::Value =
            serde_json::from_str(include_str!("../../dashboards/date_words.json")).unwrap();
        let calendar = on(words["today"].as_str().unwrap(), 1);
        for (word, day) in words["days"].as_object().unwrap() {
            assert_eq!(Some(calendar.expand(word).unwrap().as_str()), day.as_str(), "{word}");
        }
        for word in words["none"].as_array().unwrap() {
            let meant = calendar.expand(word.as_str().unwrap());
            assert!(meant.is_err() || meant.unwrap().parse::<NaiveDate>().is_err(), "{word}");
        }
    }

    #[test]
    fn what_is_no_date_is_said() {
        for word in [
            "{{}}",
            "{{last_moon}}",
            "{{last_month.middle}}",
            "{{today",
            "{{today -}}",
            "{{today - -1}}",
            "{{today - 99999999999}}",
            "{{month}}",
            "{{last_}}",
            "{{today ü}}",
        ] {
            let error = on("2026-03-31", 1).expand(word).unwrap_err();
            assert!(error.to_string().contains("last_month.start"), "{error}");
        }
    }

    proptest! {
        /// Periods of one kind follow upon each other, and the present one has today in it.
        #[test]
        fn periods_meet(days in -20_000..40_000_i32, fiscal_month in 1..=12_u32, unit in 0..6_usize) {
            let today = NaiveDate::from_epoch_days(days).unwrap();
            let calendar = Calendar::new(today, fiscal_month);
            let unit = ["week", "month", "quarter", "year", "fiscal_quarter", "fiscal_year"][unit];
            let [last, this, next] = [-1, 0, 1].map(|steps| calendar.period(unit, steps).unwrap());
            prop_assert_eq!(last.next, this.start);
            prop_assert_eq!(this.next, next.start);
            prop_assert!(this.start <= today && today < this.next);
            prop_assert_ne!(&last.name, &this.name);
            prop_assert_ne!(&this.name, &next.name);
        }
    }
}
