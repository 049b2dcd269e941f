//! Events at a steady pace, one a call, over all tenants.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Failure;
use crate::bench::{Bench, Tenant};
use crate::http::Calls;

/// Calls under way at most. An acknowledgement waits for a disk, which many wait for together.
const SENDERS: usize = 64;
/// What the ids of the invoices begin with that are measured; in JSON, with the quote before it.
pub(crate) const MARK: &[u8] = b"\"live-";
/// Customers of a tenant.
const CUSTOMERS: usize = 50;

/// What was sent.
pub(crate) struct Sent {
    pub(crate) events: usize,
    pub(crate) took: Duration,
}

/// Sends all events of the bench, `rate` a second, the tenants in turn.
pub(crate) async fn send(bench: &Arc<Bench>, rate: f64) -> Result<Sent, Failure> {
    let begin = Instant::now();
    let mut senders = JoinSet::new();
    for first in 0..SENDERS {
        let bench = Arc::clone(bench);
        senders.spawn(async move { send_every(&bench, first, begin, rate).await });
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    Ok(Sent { events: bench.events, took: begin.elapsed() })
}

async fn send_every(bench: &Bench, first: usize, begin: Instant, rate: f64) -> Result<(), Failure> {
    let mut calls = Calls::connect(bench.address).await?;
    for number in (first..bench.events).step_by(SENDERS) {
        let due = begin + Duration::from_secs_f64(number as f64 / rate);
        tokio::time::sleep_until(due.into()).await;
        let tenant = &bench.tenants[number % bench.tenants.len()];
        calls.post(&tenant.token, &invoice(&format!("live-{number}"), number)).await?;
        bench.moments.acknowledge(number);
    }
    Ok(())
}

/// A last event of a tenant; the position with which everything before it is applied.
pub(crate) async fn finish(bench: &Bench, tenant: &Tenant) -> Result<String, Failure> {
    let mut calls = Calls::connect(bench.address).await?;
    let answer = calls.post(&tenant.token, &invoice("last", 0)).await?;
    let (_, rest) = answer.split_once("\"position\":\"").ok_or("a receipt without a position")?;
    let (position, _) = rest.split_once('"').ok_or("a receipt without a position")?;
    Ok(position.to_owned())
}

/// An invoice, with its number for an amount.
fn invoice(id: &str, number: usize) -> String {
    let customer = number % CUSTOMERS;
    format!(
        "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"/bench\",\
         \"type\":\"invoicing.invoice_issued\",\"time\":\"2024-05-01T09:00:00Z\",\
         \"data\":{{\"invoice_id\":\"{id}\",\"customer_id\":\"c{customer}\",\
         \"issue_date\":\"2024-05-01\",\"due_date\":\"2024-05-31\",\
         \"amount\":\"{}.50\",\"currency\":\"EUR\"}}}}",
        number + 1
    )
}
