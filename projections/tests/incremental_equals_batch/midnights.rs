//! What a midnight costs: it grows with the rows that change, not with all rows.

use chrono::{Days, NaiveDate};
use projections::events::EventTypes;
use projections::{Tenant, Tick, ViewDefinition, clock};

use crate::history::{Fact, Step, Value};
use crate::oracle::Oracle;
use crate::watched::{Watched, needed};

const TENANT: Tenant = Tenant(1);

fn new_year() -> NaiveDate {
    NaiveDate::from_ymd_opt(2025, 1, 1).unwrap()
}

/// An invoice of 1.00, due so many days after the first of January.
fn invoice(id: usize, due: i32) -> Step {
    let kind = EventTypes::builtin().get("invoicing.invoice_issued").unwrap().clone();
    let start = clock::epoch_days(new_year());
    let value = |name: &str| match name {
        "invoice_id" => Value::Text(id.to_string()),
        "customer_id" => Value::Text((id % 7).to_string()),
        "currency" => Value::Text("EUR".into()),
        "issue_date" => Value::Date(start + due - 30),
        "due_date" => Value::Date(start + due),
        "amount" => Value::Decimal(10_000),
        _ => Value::Null,
    };
    let values = kind.fields().iter().map(|field| value(&field.name)).collect();
    Step::Fact(Fact { tenant: TENANT, kind, id: id.to_string(), occurred_at: 0, values })
}

fn tick(day: u64) -> Step {
    Step::Tick(Tick { tenant: TENANT, today: new_year() + Days::new(day) })
}

/// The days after which an invoice is in another bucket, counted from the day it is due.
const TURNS: [i32; 4] = [1, 31, 61, 91];

/// Checks what every midnight of a year evaluates for invoices due on these days.
fn year(dues: &[i32]) -> Vec<u64> {
    let names = ["ar_aging".to_owned()];
    let views = needed(&ViewDefinition::builtin(), &names);
    let oracle = Oracle::new(views.clone());
    let mut watched = Watched::new(views);
    let invoices: Vec<Step> = dues.iter().enumerate().map(|(id, due)| invoice(id, *due)).collect();
    watched.apply(&[tick(0)]).unwrap();
    watched.apply(&invoices).unwrap();
    let mut before = watched.rows_reevaluated();
    (1..=365)
        .map(|day| {
            watched.apply(&[tick(day)]).unwrap();
            if day % 73 == 0 {
                watched.check(&oracle, TENANT, &names).unwrap();
            }
            let now = watched.rows_reevaluated();
            let cost = now - before;
            before = now;
            cost
        })
        .collect()
}

#[test]
fn a_midnight_costs_what_it_changes() {
    // Five invoices are due every day, so 20 change their bucket at a midnight.
    let dues: Vec<i32> = (-100..400).flat_map(|due| [due; 5]).collect();
    let costs = year(&dues);
    for (day, cost) in (1..).zip(&costs) {
        let turning = dues.iter().filter(|due| TURNS.contains(&(day - **due))).count();
        assert_eq!((turning, *cost), (20, 20), "day {day}");
    }
    // As many again that change nothing all year: long overdue, and due in years.
    let idle = (0..dues.len() as i32).map(|i| if i % 2 == 0 { -1_000 - i } else { 1_000 + i });
    let doubled: Vec<i32> = dues.iter().copied().chain(idle).collect();
    assert_eq!(year(&doubled), costs);
}

/// How many rows a hundred midnights evaluate for ten invoices with a column of `sql`.
fn cost(sql: &str) -> u64 {
    let text = format!("SELECT invoice_id, {sql} AS c FROM events.\"invoicing.invoice_issued\"");
    let mut watched = Watched::new(vec![ViewDefinition::parse("v", &text)]);
    watched.apply(&[tick(0)]).unwrap();
    let invoices: Vec<Step> = (0..10).map(|id| invoice(id, 20 + id as i32)).collect();
    watched.apply(&invoices).unwrap();
    for day in 1..=100 {
        watched.apply(&[tick(day)]).unwrap();
    }
    watched.rows_reevaluated()
}

#[test]
fn comparisons_with_the_date_turn_over_once() {
    for once in [
        "current_date > due_date",
        "current_date - due_date <= 30",
        "30 > current_date - due_date",
        "current_date - INTERVAL '7 days' >= due_date",
        "due_date < current_date - 7",
        "3 + current_date > due_date",
        "current_date - CAST(amount AS INT) > due_date",
        "current_date - (due_date - issue_date) >= issue_date",
        "now() >= CAST(due_date AS TIMESTAMP)",
        "CAST(current_date AS TIMESTAMP) > due_date + INTERVAL '36 hours'",
        "CASE WHEN customer_id IS NULL OR NOT current_date < due_date THEN 'a' ELSE 'b' END",
        "coalesce(CAST(due_date < current_date AS INT), 0)",
    ] {
        assert_eq!(cost(once), 10, "{once}");
    }
    for twice in [
        "current_date = due_date",
        "current_date BETWEEN due_date AND due_date + 9",
        "current_date IS NOT DISTINCT FROM due_date",
    ] {
        assert_eq!(cost(twice), 20, "{twice}");
    }
}

#[test]
fn what_is_of_the_date_alone_costs_when_it_changes() {
    // The firsts of February, March and April.
    let months = "date_trunc('month', due_date) = date_trunc('month', current_date)";
    assert_eq!(cost(months), 30);
    assert_eq!(cost("current_date - due_date"), 1_000);
    assert_eq!(cost("current_date"), 1_000);
}
