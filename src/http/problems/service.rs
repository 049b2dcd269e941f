//! The service as such: it is starting, handing over, or has failed.

use axum::http::StatusCode;
use stream::Problem;

use crate::forward::ForwardError;

pub(in crate::http) fn starting() -> Problem {
    Problem::new(
        "starting",
        StatusCode::SERVICE_UNAVAILABLE,
        "The service is starting",
        "it is reading its log; try again in a moment, /readyz says when it is done",
    )
}

pub(in crate::http) fn stopped() -> Problem {
    Problem::new(
        "source-stopped",
        StatusCode::SERVICE_UNAVAILABLE,
        "The events of this tenant are read no more",
        "what they come by is not as it was, and stale figures are not shown; those who run the \
         service find the reason and the way out in its log",
    )
}

pub(in crate::http) fn moving() -> Problem {
    Problem::new(
        "moving",
        StatusCode::SERVICE_UNAVAILABLE,
        "The tenant is being handed over to another node",
        "this takes about a second; send it again, repeats have no effect",
    )
}

/// Of a tenant that another node serves.
pub(in crate::http) fn forward(error: ForwardError) -> Problem {
    let (slug, title, detail) = match error {
        ForwardError::Unserved => (
            "not-served",
            "No node serves this tenant at the moment",
            "it is being handed over to another one; nothing was done, try again in a moment",
        ),
        ForwardError::Interrupted => (
            "interrupted",
            "The node that serves this tenant went away",
            "it had the request, and whether it was done is not known: look before you send it \
             again; events can be sent again in any case",
        ),
        ForwardError::Busy => (
            "busy",
            "Too many requests are on their way to other nodes",
            "nothing was done; try again in a moment",
        ),
    };
    Problem::new(slug, StatusCode::SERVICE_UNAVAILABLE, title, detail)
}

pub(in crate::http) fn closing() -> Problem {
    Problem::new(
        "closing",
        StatusCode::SERVICE_UNAVAILABLE,
        "The service is stopping",
        "nothing was taken; try again in a moment",
    )
}

pub(in crate::http) fn no_metrics() -> Problem {
    Problem::new(
        "no-metrics",
        StatusCode::NOT_FOUND,
        "There are no figures",
        "this process records its figures elsewhere",
    )
}

/// A part of the service failed; what and why is for the log, not for the caller.
pub(super) fn failed(part: &str, why: &str) -> Problem {
    tracing::error!(part, why, "a request failed");
    internal()
}

pub(in crate::http) fn internal() -> Problem {
    Problem::new(
        "internal",
        StatusCode::INTERNAL_SERVER_ERROR,
        "The service failed",
        "it is no fault of the request; try again, and tell those who run the service if it stays",
    )
}
