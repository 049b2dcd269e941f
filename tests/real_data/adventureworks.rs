//! The AdventureWorks firm, whose events are in the project: its figures added up from the file,
//! by other means than the views.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use chrono::NaiveDate;
use serde_json::Value;

use crate::figures::whole;
use crate::firms::lines;
use crate::process::Process;

pub(crate) const TENANT: &str = "adventureworks";
pub(crate) const TODAY: &str = "2014-06-30";

pub(crate) fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/data/adventureworks.ndjson.gz")
}

/// Rows of some columns, in order.
type Rows = BTreeSet<Vec<String>>;

struct Sums {
    aging: Rows,
    on_hand: Rows,
    people: usize,
    invoices: usize,
}

/// Added up once: nobody has paid, left or had anything voided in this file.
fn sums() -> &'static Sums {
    static SUMS: OnceLock<Sums> = OnceLock::new();
    SUMS.get_or_init(|| {
        let today: NaiveDate = TODAY.parse().unwrap();
        // By customer: five buckets and the total.
        let mut aging: BTreeMap<String, [i128; 6]> = BTreeMap::new();
        let mut on_hand: BTreeMap<(String, String), i128> = BTreeMap::new();
        let (mut people, mut invoices) = (0, 0);
        for line in lines(&file()) {
            let event: Value = serde_json::from_str(&line).unwrap();
            let data = &event["data"];
            let text = |field: &str| data[field].as_str().unwrap().to_owned();
            match event["type"].as_str().unwrap() {
                "invoicing.invoice_issued" => {
                    let due: NaiveDate = text("due_date").parse().unwrap();
                    let bucket = match (today - due).num_days() {
                        ..=0 => 0,
                        1..=30 => 1,
                        31..=60 => 2,
                        61..=90 => 3,
                        _ => 4,
                    };
                    let amount = ten_thousandths(&text("amount"));
                    let customer = aging.entry(text("customer_id")).or_default();
                    customer[bucket] += amount;
                    customer[5] += amount;
                    invoices += 1;
                }
                "inventory.stock_received" => {
                    *on_hand.entry((text("product_id"), text("warehouse"))).or_default() +=
                        ten_thousandths(&text("quantity"));
                }
                "inventory.stock_shipped" => {
                    *on_hand.entry((text("product_id"), text("warehouse"))).or_default() -=
                        ten_thousandths(&text("quantity"));
                }
                "hr.employee_onboarded" => {
                    people +=
                        usize::from(text("start_date").parse::<NaiveDate>().unwrap() <= today);
                }
                _ => {}
            }
        }
        let aging = aging.into_iter().map(|(customer, sums)| {
            let mut row = vec![customer, "USD".to_owned()];
            row.extend(sums.map(decimal));
            row
        });
        let on_hand = on_hand
            .into_iter()
            .map(|((product, warehouse), quantity)| vec![product, warehouse, decimal(quantity)]);
        Sums { aging: aging.collect(), on_hand: on_hand.collect(), people, invoices }
    })
}

fn ten_thousandths(text: &str) -> i128 {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    assert!(places.len() <= 4, "{text}");
    format!("{whole}{places:0<4}").parse().unwrap()
}

fn decimal(units: i128) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let units = units.unsigned_abs();
    format!("{sign}{}.{:04}", units / 10_000, units % 10_000)
}

/// Compares the views with what the file adds up to.
pub(crate) async fn compare(process: &Process) {
    let sums = sums();
    let aging = whole(process, TENANT, "ar_aging").await;
    assert_eq!(aging.columns.len(), 8);
    let held: Rows = aging.rows.into_iter().collect();
    assert!(
        held == sums.aging,
        "ar_aging: {:?}",
        held.symmetric_difference(&sums.aging).take(4).collect::<Vec<_>>()
    );

    let levels = whole(process, TENANT, "inventory_levels").await;
    let columns = ["product_id", "warehouse", "on_hand"].map(|name| levels.column(name));
    let held: Rows = (0..levels.rows.len())
        .map(|row| columns.iter().map(|column| column[row].to_owned()).collect())
        .collect();
    assert!(
        held == sums.on_hand,
        "inventory_levels: {:?}",
        held.symmetric_difference(&sums.on_hand).take(4).collect::<Vec<_>>()
    );

    let headcount = whole(process, TENANT, "headcount").await;
    let active: usize =
        headcount.column("active").iter().map(|n| n.parse::<usize>().unwrap()).sum();
    assert_eq!(active, sums.people);
    assert_eq!(whole(process, TENANT, "open_invoices").await.rows.len(), sums.invoices);
}
