//! Whether all clients hold what the views have, once nothing changes any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::bench::{Bench, Tenant, VIEWS};
use crate::held::Digest;
use crate::http::{escaped, get};
use crate::{json, sender};

/// How long the last deltas may take.
const LAST: Duration = Duration::from_mins(1);
const EVERY: Duration = Duration::from_millis(100);

/// How many subscriptions do not hold what their view has, at last.
pub(crate) async fn astray(bench: &Arc<Bench>) -> Result<usize, Failure> {
    let mut views = Vec::new();
    for tenant in &bench.tenants {
        let position = sender::finish(bench, tenant).await?;
        let mut digests = [Digest::default(); 2];
        for (view, digest) in VIEWS.iter().zip(&mut digests) {
            *digest = read(bench, tenant, view, &position).await?;
        }
        views.push(digests);
    }
    let begun = Instant::now();
    loop {
        let astray = bench.astray(&views);
        if astray == 0 || begun.elapsed() > LAST {
            return Ok(astray);
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The rows of a view with everything up to a position.
async fn read(
    bench: &Bench,
    tenant: &Tenant,
    view: &str,
    position: &str,
) -> Result<Digest, Failure> {
    let wait_for = escaped(position);
    let path = format!("/v1/views/{view}?limit=100000&wait_ms=60000&wait_for={wait_for}");
    let (status, body) = get(bench.address, &path, Some(&tenant.token)).await?;
    let mut digest = None;
    for (name, value) in json::members(&body) {
        match name {
            b"rows" => digest.get_or_insert_with(Digest::default).add_rows(value),
            b"next" if value != b"null" => {
                return Err(format!("{view} of {} has too many rows", tenant.name).into());
            }
            _ => {}
        }
    }
    digest.ok_or_else(|| format!("{view}: {status} {}", String::from_utf8_lossy(&body)).into())
}
