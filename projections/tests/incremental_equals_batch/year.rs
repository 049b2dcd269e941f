//! A year by the wall clock of four time zones: each tenant's date changes at its own midnight,
//! as `serve` derives it, and at every midnight the views that read the date equal batch. Events
//! go on all year, about a fact or two a day.

use std::sync::Arc;

use chrono::{DateTime, Days, Duration, NaiveDate, TimeZone, Utc};
use chrono_tz::Tz;
use projections::events::FieldType;
use projections::{EventType, Tenant, Tick, ViewDefinition, clock};

use crate::generated::kinds_of;
use crate::history::{Fact, Step, Value};
use crate::oracle::Oracle;
use crate::watched::{Watched, needed};

/// Clocks that are put forward at night, at midnight itself, by half an hour, and never.
const ZONES: [Tz; 4] =
    [Tz::Europe__Berlin, Tz::Asia__Beirut, Tz::Australia__Lord_Howe, Tz::Asia__Kolkata];

/// The views that read the date, or read one that does.
const VIEWS: [&str; 6] = [
    "open_invoices",
    "ar_aging",
    "completion_streaks",
    "headcount",
    "maintenance_backlog",
    "budget_variance",
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Something that happens now, with dates from a quarter ago to a quarter ahead.
fn event(
    random: &mut Random,
    kinds: &[Arc<EventType>],
    tenant: Tenant,
    i: usize,
    now: DateTime<Utc>,
) -> Fact {
    let kind = kinds[random.below(kinds.len() as u64) as usize].clone();
    let id = format!("{i:05}");
    let mut value = |name: &str, kind: FieldType, optional: bool| {
        if optional && name != "currency" && random.below(4) == 0 {
            return Value::Null;
        }
        let n = random.below(12);
        match kind {
            FieldType::Text => Value::Text(match name {
                "currency" => "EUR".into(),
                "cadence" => ["daily", "weekdays", "weekly"][n as usize % 3].into(),
                "task_id" | "user_id" | "completion_id" => format!("{}", n % 3),
                _ => format!("{n}"),
            }),
            FieldType::Decimal => Value::Decimal(i128::from(n) * 123_456 - 100_000),
            // A task is completed today, or was yesterday.
            FieldType::Date if name == "completed_on" => {
                Value::Date(clock::epoch_days(now.date_naive()) - (n % 2) as i32)
            }
            FieldType::Date => {
                Value::Date(clock::epoch_days(now.date_naive()) + random.below(181) as i32 - 90)
            }
            FieldType::Timestamp => {
                let back = Duration::minutes(random.below(50_000) as i64);
                Value::Instant((now - back).timestamp_micros())
            }
            FieldType::Int => Value::Int(n as i64),
            FieldType::Bool => Value::Bool(n.is_multiple_of(2)),
        }
    };
    let values = kind.fields().iter().map(|f| value(&f.name, f.kind, f.optional)).collect();
    Fact { tenant, kind, id, occurred_at: now.timestamp_micros(), values }
}

#[test]
fn every_midnight_of_a_year() {
    let views: Vec<ViewDefinition> = ViewDefinition::builtin();
    let names: Vec<String> = VIEWS.iter().map(|name| (*name).to_owned()).collect();
    let views = needed(&views, &names);
    let kinds = kinds_of(&views, &views);
    let oracle = Oracle::by_variable_date(views.clone());
    let mut watched = Watched::new(views);
    let mut random = Random(2025);
    let start = Utc.with_ymd_and_hms(2025, 1, 1, 12, 0, 0).unwrap();
    let mut dates: Vec<Vec<NaiveDate>> = vec![Vec::new(); ZONES.len()];
    // Half an hour at a time: no two midnights of a zone are nearer, and none is passed over.
    for half_hours in 0..2 * 24 * 366 {
        let now = start + Duration::minutes(30 * half_hours);
        for (zone, dates) in ZONES.iter().zip(&mut dates) {
            let tenant = Tenant(zone.name().len() as u32);
            let mut steps = Vec::new();
            if random.below(32) == 0 {
                let i = half_hours as usize;
                steps.push(Step::Fact(event(&mut random, &kinds, tenant, i, now)));
            }
            let today = now.with_timezone(zone).date_naive();
            let midnight = dates.last() != Some(&today);
            if midnight {
                dates.push(today);
                steps.push(Step::Tick(Tick { tenant, today }));
            }
            if !steps.is_empty() {
                watched.apply(&steps).unwrap();
            }
            if midnight {
                watched.check(&oracle, tenant, &names).unwrap();
            }
        }
    }
    for dates in dates {
        let each = std::iter::successors(Some(dates[0]), |date| Some(*date + Days::new(1)));
        assert!(dates.len() >= 366 && each.zip(&dates).all(|(one, other)| one == *other));
    }
    // It must have had something to do.
    for name in &VIEWS {
        let rows: usize = ZONES
            .iter()
            .map(|zone| watched.snapshot_view(Tenant(zone.name().len() as u32), name).row_count())
            .sum();
        assert!(rows > 0, "{name} is empty after a year");
    }
}
