//! Sends bodies until they are acknowledged, and waits until the views show them.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Deserialize;

use super::super::Failure;
use super::super::connection::{Connection, accepted, encoded, refusal, worth_retrying};
use super::reader::Chunk;

/// For one attempt.
const ATTEMPT: Duration = Duration::from_mins(2);
/// For which a service that does not answer is tried again; a restart with its replay fits in.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between attempts, growing.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// For the views to show what was acknowledged.
const APPLY_PATIENCE: Duration = Duration::from_mins(10);
/// A small view that every tenant has.
const CHEAP_VIEW: &str = "pipeline";

/// What the service says about a body.
#[derive(Debug, Deserialize)]
pub(super) struct Receipt {
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    pub(super) rejected: Vec<Rejected>,
    pub(super) position: String,
}

/// An event that was not taken.
#[derive(Debug, Deserialize)]
pub(super) struct Rejected {
    pub(super) index: usize,
    pub(super) reason: String,
}

/// A body and what became of it.
pub(super) struct Answer {
    pub(super) receipt: Receipt,
    pub(super) chunk: Chunk,
}

/// Sends a body, again and again while the service is away or busy.
pub(super) async fn send(
    connection: &Connection,
    chunk: Chunk,
    bar: &ProgressBar,
) -> Result<Answer, Failure> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let sent = connection
            .post("/v1/events")
            .header(CONTENT_TYPE, "application/x-ndjson")
            .timeout(ATTEMPT)
            .body(chunk.body.clone())
            .send()
            .await;
        let (failure, asked) = match sent {
            Ok(response) if worth_retrying(response.status()) => {
                let asked = response.headers().get(RETRY_AFTER);
                let asked = asked.and_then(|value| value.to_str().ok()?.parse().ok());
                (refusal(response).await, asked.map(Duration::from_secs))
            }
            Ok(response) => match accepted(response).await?.json().await {
                Ok(receipt) => return Ok(Answer { receipt, chunk }),
                // The connection broke within the answer.
                Err(error) if !error.is_decode() => (connection.unreachable(&error), None),
                Err(error) => return Err(Failure::failed(error)),
            },
            Err(error) if error.is_builder() => return Err(Failure::failed(error)),
            Err(error) => (connection.unreachable(&error), None),
        };
        if begun.elapsed() > PATIENCE {
            return Err(failure);
        }
        bar.set_message(format!("trying again: {failure}"));
        tokio::time::sleep(asked.unwrap_or(pause).min(LONGEST_PAUSE)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Waits until all positions are in the views. False when the token may not read views.
pub(super) async fn wait_until_applied(
    connection: &Connection,
    positions: impl IntoIterator<Item = &String>,
) -> Result<bool, Failure> {
    let begun = Instant::now();
    for position in positions {
        let path =
            format!("/v1/views/{CHEAP_VIEW}?limit=1&wait_for={}&wait_ms=30000", encoded(position));
        loop {
            let patient = begun.elapsed() < APPLY_PATIENCE;
            match connection.get(&path).timeout(ATTEMPT).send().await {
                Ok(response) if response.status() == StatusCode::FORBIDDEN => return Ok(false),
                // Not yet.
                Ok(response) if response.status() == StatusCode::GATEWAY_TIMEOUT && patient => {}
                Ok(response) if worth_retrying(response.status()) && patient => {
                    tokio::time::sleep(FIRST_PAUSE).await;
                }
                Ok(response) => {
                    accepted(response).await?;
                    break;
                }
                Err(_) if begun.elapsed() < PATIENCE => tokio::time::sleep(LONGEST_PAUSE).await,
                Err(error) => return Err(connection.unreachable(&error)),
            }
        }
    }
    Ok(true)
}
