//! Bodies of requests: bounded in size, in time, and in what all of them hold together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use projections::Tenant;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use stream::Problem;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::problems;

/// Between two parts of a body.
const IDLE: Duration = Duration::from_secs(20);
/// For a whole body.
const WHOLE: Duration = Duration::from_mins(5);
/// After so long a body must have come at this speed, in bytes a second: room is held for it.
const GRACE: Duration = Duration::from_secs(20);
const LEAST_SPEED: u32 = 64 * 1024;
/// For room among the bodies that are held.
const ROOM: Duration = Duration::from_secs(10);
/// A body of JSON that is not events: an order, not data.
const ORDER: usize = 1024 * 1024;
/// The bodies of events held at a time, in KiB.
const HELD_KIB: u32 = 256 * 1024;
/// Of these, those of one tenant: whoever sends slowly keeps only itself waiting.
const TENANT_KIB: u32 = HELD_KIB / 4;

/// Room for the bodies of events: what is being read and decoded together is bounded.
#[derive(Debug)]
pub(super) struct Room {
    all: Arc<Semaphore>,
    /// Each tenant's part, made when it first sends.
    tenants: Mutex<HashMap<Tenant, Arc<Semaphore>>>,
}

/// A body and its part of the room.
pub(super) struct Held {
    /// The whole body.
    pub(super) bytes: Bytes,
    _room: [OwnedSemaphorePermit; 2],
}

impl Room {
    pub(super) fn new() -> Self {
        let all = Arc::new(Semaphore::new(HELD_KIB as usize));
        Self { all, tenants: Mutex::default() }
    }

    fn of(&self, tenant: Tenant) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let room = || Arc::new(Semaphore::new(TENANT_KIB as usize));
        Arc::clone(tenants.entry(tenant).or_insert_with(room))
    }

    /// Reads a body of at most `limit` bytes once there is room for it: as much as it says it
    /// has, or `limit` if it does not say.
    pub(super) async fn read(
        &self,
        tenant: Tenant,
        headers: &HeaderMap,
        body: Body,
        limit: usize,
    ) -> Result<Held, Problem> {
        let size = declared(headers).unwrap_or(limit).min(limit);
        let permits = u32::try_from(size.div_ceil(1024)).unwrap_or(TENANT_KIB).min(TENANT_KIB);
        // The tenant's part first, so that nobody waits for its share while holding of the whole.
        let room = async {
            let own = self.of(tenant).acquire_many_owned(permits).await?;
            let all = Arc::clone(&self.all).acquire_many_owned(permits).await?;
            Ok::<_, AcquireError>([own, all])
        };
        let Ok(Ok(room)) = timeout(ROOM, room).await else {
            return Err(problems::intake_busy());
        };
        let bytes = read(headers, body, limit).await?;
        Ok(Held { bytes, _room: room })
    }
}

/// Reads a body of at most `limit` bytes.
async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let declared = declared(headers);
    if declared.is_some_and(|size| size > limit) {
        return Err(problems::body_too_large(limit));
    }
    let mut parts = body.into_data_stream();
    let began = Instant::now();
    let mut bytes = BytesMut::with_capacity(declared.unwrap_or(0));
    while let Some(part) = next(&mut parts, began + allowed(bytes.len())).await? {
        if bytes.len() + part.len() > limit {
            return Err(problems::body_too_large(limit));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.freeze())
}

/// For how long a body may be read of which so much has come.
fn allowed(bytes: usize) -> Duration {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    WHOLE.min(GRACE + Duration::from_secs(1) * bytes / LEAST_SPEED)
}

async fn next(parts: &mut BodyDataStream, whole: Instant) -> Result<Option<Bytes>, Problem> {
    let deadline = whole.min(Instant::now() + IDLE);
    match timeout_at(deadline, parts.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(part))) => Ok(Some(part)),
        Ok(Some(Err(error))) => {
            Err(problems::bad_request(&format!("the body could not be read: {error}")))
        }
        Err(_) => Err(problems::body_too_slow()),
    }
}

fn declared(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a body of JSON as a `T`.
pub(super) async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let is_json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    if !is_json {
        return Err(problems::unsupported_media_type(kind, "application/json"));
    }
    let bytes = read(headers, body, ORDER).await?;
    serde_json::from_slice(&bytes).map_err(|error| problems::invalid_body(&error.to_string()))
}

/// Reads what a caller defines. An answer that was changed can be sent back: the members that it has
/// beside, `told`, are left out.
pub(super) async fn definition<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    told: &[&str],
) -> Result<T, Problem> {
    let mut sent: Map<String, Value> = json(headers, body).await?;
    for told in told {
        sent.remove(*told);
    }
    let read = serde_json::from_value(Value::Object(sent));
    read.map_err(|error| problems::invalid_body(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_a_least_speed_and_an_end() {
        assert_eq!(allowed(0), GRACE);
        assert_eq!(allowed(15), GRACE + Duration::from_secs(15) / LEAST_SPEED);
        // The largest there is comes in time at that speed.
        let largest = 16 << 20;
        assert!(allowed(largest) > Duration::from_secs(1) * (largest as u32) / LEAST_SPEED);
        assert_eq!(allowed(1 << 30), WHOLE);
        assert_eq!(allowed(usize::MAX), WHOLE);
    }
}
