//! `open_invoices` and `ar_aging`.

use std::io::Result;

use dbsp::typed_batch::SpineSnapshot;
use dbsp::utils::{Tup2, Tup3, Tup4, Tup5, Tup6, Tup7, Tup10};
use dbsp::{IndexedZSetHandle, OrdZSet, OutputHandle, RootCircuit};

use super::{Key, Key3, Moment, Source, key, moment, statements};
use crate::circuit::{Changes, Feed, Sink, Stated, decimal, optional};

/// Customer, project, currency, issue date, due date, amount.
type Invoice = Tup6<String, Option<String>, String, i32, i32, i128>;

/// By tenant and invoice: the invoice, what was credited, and whether it is voided.
pub(super) type Standing = Stated<Key, Tup3<Invoice, i128, bool>>;

/// Invoice with tenant and id, and paid, credited, balance.
type Balance = Tup4<u32, String, Invoice, Tup3<i128, i128, i128>>;

/// Tenant, invoice, customer, project, currency, issue date, due date, amount, (paid, credited,
/// balance), (days overdue, bucket).
type Open = Tup10<
    u32,
    String,
    String,
    Option<String>,
    String,
    i32,
    i32,
    i128,
    Tup3<i128, i128, i128>,
    Tup2<i32, u8>,
>;

/// Tenant, customer, currency, the five buckets, total.
type Aging = Tup5<u32, String, String, Tup5<i128, i128, i128, i128, i128>, i128>;

const BUCKETS: [&str; 5] = ["current", "d1_30", "d31_60", "d61_90", "d90_plus"];

pub(super) struct Receivables {
    issued: IndexedZSetHandle<Key, Tup2<Moment, Invoice>>,
    credits: IndexedZSetHandle<Key3, i128>,
    payments: IndexedZSetHandle<Key3, i128>,
    voids: IndexedZSetHandle<Key, bool>,
    open: OutputHandle<SpineSnapshot<OrdZSet<Open>>>,
    aging: OutputHandle<SpineSnapshot<OrdZSet<Aging>>>,
}

pub(super) fn build(
    circuit: &mut RootCircuit,
    dates: &Stated<u32, i32>,
) -> (Standing, Receivables) {
    let (invoices, issued) = statements::<Key, Invoice>(circuit);
    let (credits, credits_handle) = circuit.add_input_indexed_zset::<Key3, i128>();
    let (payments, payments_handle) = circuit.add_input_indexed_zset::<Key3, i128>();
    let (voids, voids_handle) = circuit.add_input_indexed_zset::<Key, bool>();
    let credited = credits.aggregate_linear_postprocess(|amount| *amount, Some);
    let paid = payments.aggregate_linear_postprocess(|amount| *amount, Some);
    let voided = voids.distinct().map_index(|(key, _)| (key.clone(), Some(true)));

    let standing = invoices
        .map_index(|(Tup2(tenant, id), invoice)| {
            (Tup3(*tenant, id.clone(), invoice.2.clone()), invoice.clone())
        })
        .left_join_index(&credited, |Tup3(tenant, id, _), invoice, credited| {
            Some((Tup2(*tenant, id.clone()), Tup2(invoice.clone(), credited.unwrap_or(0))))
        })
        .left_join_index(&voided, |key, Tup2(invoice, credited), voided| {
            Some((key.clone(), Tup3(invoice.clone(), *credited, voided.is_some())))
        });

    let open = standing
        .flat_map_index(|(Tup2(tenant, id), Tup3(invoice, credited, voided))| {
            let key = Tup3(*tenant, id.clone(), invoice.2.clone());
            (!voided).then(|| (key, Tup2(invoice.clone(), *credited)))
        })
        .left_join_index(&paid, |Tup3(tenant, id, _), Tup2(invoice, credited), paid| {
            let paid = paid.unwrap_or(0);
            let balance = invoice.5 - paid - credited;
            let row = Tup4(*tenant, id.clone(), invoice.clone(), Tup3(paid, *credited, balance));
            (balance != 0).then_some((*tenant, row))
        })
        .join(dates, |_, balance, today| dated(balance, *today));

    let aging = open
        .map_index(|row| (Tup3(row.0, row.2.clone(), row.4.clone()), Tup2(row.9.1, row.8.2)))
        .aggregate_linear(|Tup2(bucket, balance)| {
            let of = |wanted: u8| if *bucket == wanted { *balance } else { 0 };
            Tup7(of(0), of(1), of(2), of(3), of(4), *balance, 1_i64)
        })
        .map(|(Tup3(tenant, customer, currency), Tup7(a, b, c, d, e, total, _))| {
            Tup5(*tenant, customer.clone(), currency.clone(), Tup5(*a, *b, *c, *d, *e), *total)
        });

    let receivables = Receivables {
        issued,
        credits: credits_handle,
        payments: payments_handle,
        voids: voids_handle,
        open: open.accumulate_output(),
        aging: aging.accumulate_output(),
    };
    (standing, receivables)
}

fn dated(balance: &Balance, today: i32) -> Open {
    let Tup4(tenant, id, Tup6(customer, project, currency, issued, due, amount), figures) =
        balance.clone();
    let days = today - due;
    let bucket = match days {
        ..=0 => 0,
        1..=30 => 1,
        31..=60 => 2,
        61..=90 => 3,
        _ => 4,
    };
    Tup10(tenant, id, customer, project, currency, issued, due, amount, figures, Tup2(days, bucket))
}

impl Receivables {
    pub(super) fn connect(
        self,
        source: &Source,
        feeds: &mut Vec<Box<dyn Feed>>,
        sinks: &mut Vec<(&'static str, Box<dyn Sink>)>,
    ) -> Result<()> {
        let issued = source.steps("invoicing.invoice_issued", |row| {
            let invoice = Tup6(
                row.text("customer_id"),
                row.optional("project_id"),
                row.text("currency"),
                row.number("issue_date"),
                row.number("due_date"),
                row.decimal("amount"),
            );
            Some((key(row, "invoice_id"), Tup2(moment(row), invoice)))
        })?;
        let amounts = |kind: &str| {
            source.steps(kind, |row| {
                let Tup2(tenant, invoice) = key(row, "invoice_id");
                Some((Tup3(tenant, invoice, row.text("currency")), row.decimal("amount")))
            })
        };
        let voids =
            source.steps("invoicing.invoice_voided", |row| Some((key(row, "invoice_id"), true)))?;
        feeds.push(Box::new((self.issued, issued)));
        feeds.push(Box::new((self.credits, amounts("invoicing.credit_issued")?)));
        feeds.push(Box::new((self.payments, amounts("invoicing.payment_received")?)));
        feeds.push(Box::new((self.voids, voids)));
        sinks.push(("open_invoices", Box::new(Changes::new(self.open, open_text))));
        sinks.push(("ar_aging", Box::new(Changes::new(self.aging, aging_text))));
        Ok(())
    }
}

fn open_text(row: &Open) -> String {
    let Tup10(tenant, id, customer, project, currency, issued, due, amount, figures, days) = row;
    let Tup3(paid, credited, balance) = figures;
    let texts = [
        tenant.to_string(),
        id.clone(),
        customer.clone(),
        optional(project.as_deref()).to_owned(),
        currency.clone(),
        issued.to_string(),
        due.to_string(),
        decimal(*amount),
        decimal(*paid),
        decimal(*credited),
        decimal(*balance),
        days.0.to_string(),
        BUCKETS[days.1 as usize].to_owned(),
    ];
    texts.join("\t")
}

fn aging_text(row: &Aging) -> String {
    let Tup5(tenant, customer, currency, Tup5(a, b, c, d, e), total) = row;
    let figures = [a, b, c, d, e, total].map(|figure| decimal(*figure)).join("\t");
    format!("{tenant}\t{customer}\t{currency}\t{figures}")
}
