#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn times(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let timetable = Timetable::new(cron, zone).unwrap();
    let mut at: DateTime<Utc> = from.parse().unwrap();
    let mut found = Vec::new();
    for _ in 0..count {
        at = timetable.after(at).unwrap();
        found.push(at.format("%m-%dT%H:%M").to_string());
    }
    found
}

#[test]
fn a_time_that_the_clock_leaves_out_is_due_at_the_first_instant_after() {
    // On 29 March 2026 Berlin's clock goes from 02:00 to 03:00, which is 01:00 in UTC.
    assert_eq!(
        times("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3),
        ["03-28T01:30", "03-29T01:00", "03-30T00:30"]
    );
    // Several of them are one.
    assert_eq!(
        times("0,20,40 2,4 * * *", "Europe/Berlin", "2026-03-28T23:00:00Z", 4),
        ["03-29T01:00", "03-29T02:00", "03-29T02:20", "03-29T02:40"]
    );
    // Apia had no 30 December 2011.
    assert_eq!(
        times("0 9 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1),
        ["12-30T10:00"],
        "at the first instant of the 31st"
    );
}

#[test]
fn a_time_that_the_clock_shows_twice_is_due_once() {
    // On 25 October 2026 Berlin's clock goes from 03:00 back to 02:00, which is 01:00 in UTC.
    assert_eq!(
        times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["10-25T00:30", "10-26T01:30"]
    );
    assert_eq!(
        times("0,30 2-3 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 5),
        ["10-25T00:00", "10-25T00:30", "10-25T02:00", "10-25T02:30", "10-26T01:00"]
    );
}

#[test]
fn every_hour_is_every_hour_that_passes() {
    assert_eq!(
        times("15 * * * *", "Europe/Berlin", "2026-03-28T23:30:00Z", 3),
        ["03-29T00:15", "03-29T01:15", "03-29T02:15"]
    );
    assert_eq!(
        times("15 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 4),
        ["10-25T00:15", "10-25T01:15", "10-25T02:15", "10-25T03:15"]
    );
}

#[test]
fn fields_mean_what_they_mean_elsewhere() {
    assert_eq!(
        times("0 7 * * MON", "UTC", "2026-11-20T00:00:00Z", 2),
        ["11-23T07:00", "11-30T07:00"]
    );
    assert_eq!(
        times("0 6 L * *", "America/New_York", "2026-01-31T12:00:00Z", 2),
        ["02-28T11:00", "03-31T10:00"]
    );
}

#[test]
fn what_is_no_schedule_is_said() {
    for (cron, zone, field) in [
        ("0 7 * *", "UTC", "schedule.cron"),
        ("0 0 7 * * MON", "UTC", "schedule.cron"),
        ("@daily", "UTC", "schedule.cron"),
        ("61 7 * * *", "UTC", "schedule.cron"),
        ("0 7 30 2 *", "UTC", "schedule.cron"),
        ("0 7 * * *", "Berlin", "schedule.timezone"),
        ("0 7 * * *", "", "schedule.timezone"),
    ] {
        assert_eq!(Timetable::new(cron, zone).unwrap_err().field, field, "{cron} {zone}");
    }
}

#[test]
fn what_was_missed_is_caught_up_as_it_says() {
    let timetable = Timetable::new("0 7 * * *", "UTC").unwrap();
    let from: DateTime<Utc> = "2026-11-20T07:00:00Z".parse().unwrap();
    let now: DateTime<Utc> = "2026-11-22T09:00:00Z".parse().unwrap();
    let met = |catch_up| {
        let (due, next) = timetable.due(from, now, catch_up);
        assert_eq!(next.unwrap().to_rfc3339(), "2026-11-23T07:00:00+00:00");
        due.iter().map(|due| due.missed.is_none()).collect::<Vec<bool>>()
    };
    assert_eq!(met(CatchUp::Last), [false, false, true]);
    assert_eq!(met(CatchUp::All), [true, true, true]);
    assert_eq!(met(CatchUp::None), [false, false, false]);
    // What has just passed was not missed.
    let (due, _) = timetable.due(from, from + TimeDelta::seconds(3), CatchUp::None);
    assert_eq!(due, [Due { at: from, missed: None }]);
    // Nor is anything due that has not come.
    assert_eq!(timetable.due(from, from - TimeDelta::seconds(1), CatchUp::All).0, []);
}

#[test]
fn of_very_many_that_were_missed_the_last_are_listed() {
    let timetable = Timetable::new("* * * * *", "UTC").unwrap();
    let from: DateTime<Utc> = "2026-11-20T07:00:00Z".parse().unwrap();
    let (due, _) = timetable.due(from, from + TimeDelta::minutes(1_000), CatchUp::Last);
    assert_eq!(due.len(), LISTED);
    assert!(due[0].missed.as_ref().unwrap().ends_with("nor 901 before it"), "{:?}", due[0]);
    assert_eq!(due.last().unwrap().missed, None);
}

/// A range of all hours means times of the day, each of which is found from the one before.
#[test]
fn a_month_of_minutes_is_looked_through() {
    let timetable = Timetable::new("* 0-23 * * *", "Europe/Berlin").unwrap();
    // With the night in which the clock is put back: of its 25 hours one is due once.
    let from: DateTime<Utc> = "2026-10-10T00:00:00Z".parse().unwrap();
    let (due, next) = timetable.due(from, from + TimeDelta::days(30), CatchUp::None);
    assert_eq!(due.len(), LISTED);
    let before = 30 * 24 * 60 + 1 - 60 - LISTED;
    let said = due[0].missed.clone().unwrap();
    assert!(said.ends_with(&format!("nor {before} before it")), "{said}");
    assert_eq!(next, Some(from + TimeDelta::days(30) + TimeDelta::minutes(1)));
}

#[test]
fn parts_of_a_second_lose_no_time() {
    let timetable = Timetable::new("0 7 * * *", "UTC").unwrap();
    let just_before: DateTime<Utc> = "2026-11-20T06:59:59.999Z".parse().unwrap();
    let due = timetable.after(just_before).unwrap();
    assert_eq!(due.to_rfc3339(), "2026-11-20T07:00:00+00:00");
    let just_after = timetable.after(due + TimeDelta::milliseconds(1)).unwrap();
    assert_eq!(just_after.to_rfc3339(), "2026-11-21T07:00:00+00:00");
}

proptest! {
    /// Times only go forward, none is left out or told twice, and each is what the clock shows, but
    /// where it leaves that out.
    #[test]
    fn times_follow_upon_each_other(
        hour in 0..24_u32, minute in 0..60_u32, start in 1_600_000_000..1_900_000_000_i64,
        zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
            "Asia/Kolkata", "America/Sao_Paulo", "Africa/Casablanca", "UTC"]),
    ) {
        let timetable = Timetable::new(&format!("{minute} {hour} * * *"), zone).unwrap();
        let mut at = DateTime::from_timestamp(start, 0).unwrap();
        let mut day = None;
        for _ in 0..40 {
            let next = timetable.after(at).unwrap();
            prop_assert!(next > at);
            let local = next.with_timezone(&zone.parse::<Tz>().unwrap()).naive_local();
            if let Some(day) = day {
                prop_assert_eq!(local.date().signed_duration_since(day), TimeDelta::days(1));
            }
            let named = local.date().and_hms_opt(hour, minute, 0).unwrap();
            let is_left_out = matches!(
                zone.parse::<Tz>().unwrap().from_local_datetime(&named), LocalResult::None);
            prop_assert!(local == named || is_left_out && local > named);
            (at, day) = (next, Some(local.date()));
        }
    }
}
