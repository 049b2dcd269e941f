//! `/livez`, `/readyz`, `/metrics`: for those who run the service, without a token and without
//! any tenant's name.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use stream::Problem;

use super::App;

/// Seconds, from a tenth of a millisecond to the longest a call may take.
const SECONDS: [f64; 16] = [
    0.0001, 0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0,
];

/// The process answers.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// The log is replayed and calls are answered.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    app.intake().map(|_| "ready\n")
}

/// The figures of the process in Prometheus' text format.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let Some(recorder) = &app.recorder else {
        return super::problems::no_metrics().into_response();
    };
    app.queries.record_figures();
    metrics::gauge!("tidemark_view_memory_bytes").set(app.readers.bytes() as f64);
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, recorder.render()).into_response()
}

/// The process' one recorder of figures; none if another library of the process has set its own.
pub(super) fn recorder() -> Option<PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
                .ok()?;
            let recorder = builder.build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder).ok()?;
            Some(handle)
        })
        .clone()
}

/// Keeps what the histograms hold between two scrapes bounded, and records what was counted.
pub(crate) async fn upkeep(app: &App) {
    let mut period = tokio::time::interval(Duration::from_secs(5));
    loop {
        period.tick().await;
        if let Some(recorder) = &app.recorder {
            recorder.run_upkeep();
        }
        app.audit.settle(false);
    }
}
