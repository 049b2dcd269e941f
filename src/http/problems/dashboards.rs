//! What can be wrong with dashboards.

use axum::http::StatusCode;
use serde_json::json;
use stream::Problem;
use tenancy::dashboards::DashboardError;

use super::{failed, store};
use crate::http::dashboards::Shown;

/// The field of a document, and its place as a whole.
const WHOLE: &str = "document";

pub(in crate::http) fn dashboard(error: &DashboardError) -> Problem {
    let detail = error.to_string();
    let wrong = |field: &str| {
        let title = "The dashboard is not right";
        Problem::new("invalid-dashboard", StatusCode::BAD_REQUEST, title, &detail)
            .with("field", field)
    };
    let limit = |title, limit: &str| {
        Problem::new("dashboards-limit", StatusCode::UNPROCESSABLE_ENTITY, title, &detail)
            .with("limit", limit)
    };
    match error {
        DashboardError::Invalid(invalid) => wrong(invalid.field),
        DashboardError::Document(there) if there.place == WHOLE => wrong(WHOLE),
        DashboardError::Document(there) => wrong(&format!("{WHOLE}.{}", there.place)),
        DashboardError::TooLarge { .. } => limit("The dashboard is too large", "bytes"),
        DashboardError::Full(_) => limit("There is no room for another", "count"),
        DashboardError::Unknown(_) => {
            let title = "There is no such dashboard";
            Problem::new("unknown-dashboard", StatusCode::NOT_FOUND, title, detail)
        }
        DashboardError::UnknownVersion(_) => {
            let title = "There is no such version";
            Problem::new("unknown-dashboard-version", StatusCode::NOT_FOUND, title, detail)
        }
        // Its editor is shown what it would overwrite.
        DashboardError::Changed { now } => {
            let title = "The dashboard was changed meanwhile";
            Problem::new("changed-meanwhile", StatusCode::PRECONDITION_FAILED, title, detail)
                .with("version", now.head.version)
                .with("current", json!(Shown::of(now)))
        }
        DashboardError::Store(error) => store(error),
        DashboardError::Unwritable(_) => failed("a dashboard", &detail),
    }
}
