//! The service with the embedded log as its source: one partition, held to the end.

use std::sync::Arc;
use std::time::Instant;

use ingest::Log;
use ingest::history::Recent;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::checkpointer::Reading;
use super::held::{Host, Opened};
use super::{DRAIN_TIME, Intake, ServeError, clock, eraser};
use crate::http::App;
use crate::onboarding;

/// The one partition of the log.
const PARTITION: u32 = 0;

/// Replays what of the log no checkpoint has, opens the interface when all of it is in the views,
/// and keeps the dates and the checkpoints until `ending`; then writes what is queued and applies
/// it.
pub(super) async fn run(
    host: Host,
    app: Arc<App>,
    log: Log,
    ending: CancellationToken,
) -> Result<(), ServeError> {
    let begun = Instant::now();
    let (opened, log) = tokio::select! {
        () = ending.cancelled() => return Ok(()),
        begun = begin(&host, log) => begun?,
    };
    app.open(Intake::Log(log.clone()));
    tracing::info!(seconds = begun.elapsed().as_secs_f64(), "ready");
    serve(&host, &app, opened, &log, &ending).await
}

async fn begin(host: &Host, log: Log) -> Result<(Opened, ingest::Intake), ServeError> {
    let recent = Recent::Log(log.clone());
    let (opened, from) = host.open(PARTITION, None, recent).await?;
    let forward = opened.forward.clone();
    // Groups of events are put together where bodies are decoded, and take as long.
    let resumed = ingest::Intake::resume(log, from.known, from.offset, forward);
    let resumed = host.background.spawn(resumed).await;
    let log = resumed.map_err(|_| ServeError::Ended("the intake"))??;
    host.settle(PARTITION, &Intake::Log(log.clone())).await?;
    Ok((opened, log))
}

async fn serve(
    host: &Host,
    app: &App,
    opened: Opened,
    log: &ingest::Intake,
    ending: &CancellationToken,
) -> Result<(), ServeError> {
    let mut held = opened.keep(Reading::Log, host);
    let intake = Intake::Log(log.clone());
    let types = &host.types;
    let outcome = tokio::select! {
        () = ending.cancelled() => Ok(()),
        () = clock::keep(&host.directory, &intake, None, ending) => Ok(()),
        () = eraser::keep(host, &intake) => Ok(()),
        () = onboarding::keep(&host.directory, types, &intake, &host.hub, &app.alerts) => Ok(()),
        error = held.ended() => Err(error),
        () = log.ended() => Err(ServeError::Ended("the intake")),
    };
    let closed = timeout(DRAIN_TIME, log.close()).await;
    let ended = timeout(DRAIN_TIME, held.end()).await;
    outcome?;
    closed.map_err(|_| ServeError::Slow("the intake"))?;
    ended.map_err(|_| ServeError::Slow("the engine"))?
}
