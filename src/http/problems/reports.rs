//! What can be wrong with reports, their runs and their files.

use axum::http::StatusCode;
use stream::Problem;
use tenancy::RunState;

use super::{failed, query, store};
use crate::reports::{ReportError, Run};

pub(in crate::http) fn report(error: &ReportError) -> Problem {
    let detail = error.to_string();
    match error {
        ReportError::Wrong(wrong) => {
            let title = "The report is not right";
            Problem::new("invalid-report", StatusCode::BAD_REQUEST, title, detail)
                .with("field", wrong.field.as_str())
        }
        ReportError::Query(error) => query(error),
        ReportError::Unknown(_) => {
            let title = "There is no such report";
            Problem::new("unknown-report", StatusCode::NOT_FOUND, title, detail)
        }
        ReportError::UnknownRun(_) => {
            let title = "There is no such run";
            Problem::new("unknown-run", StatusCode::NOT_FOUND, title, detail)
        }
        ReportError::Gone => {
            Problem::new("run-expired", StatusCode::GONE, "There is no file", detail)
                .with("state", RunState::Expired.as_str())
        }
        ReportError::Changed => {
            let title = "The report was changed meanwhile";
            Problem::new("changed-meanwhile", StatusCode::PRECONDITION_FAILED, title, detail)
        }
        ReportError::Over(_) => {
            Problem::new("run-over", StatusCode::CONFLICT, "The run is over", detail)
        }
        ReportError::Full(_) => {
            let title = "There is no room for another";
            Problem::new("reports-limit", StatusCode::UNPROCESSABLE_ENTITY, title, detail)
        }
        ReportError::Store(error) => store(error),
        ReportError::Objects(_) | ReportError::Damaged(_) => failed("a report", &detail),
    }
}

/// Of replacing something without saying what is to be replaced.
pub(in crate::http) fn no_if_match() -> Problem {
    Problem::new(
        "if-match-missing",
        StatusCode::PRECONDITION_REQUIRED,
        "What is to be replaced is not said",
        "read it first, and give its ETag in the header If-Match",
    )
}

/// Of an If-Match that no answer gave.
pub(in crate::http) fn bad_if_match() -> Problem {
    Problem::new(
        "changed-meanwhile",
        StatusCode::PRECONDITION_FAILED,
        "It was changed meanwhile",
        "If-Match is no ETag of it; read it again and give that one",
    )
}

/// Of the file of a run that has none.
pub(in crate::http) fn no_file(run: &Run) -> Problem {
    let id = run.stored.id.as_str();
    let state = run.stored.state;
    let of = format!("/v1/reports/{}/runs/{id}", run.stored.report_id);
    let (slug, status, detail) = match state {
        RunState::Expired => {
            let detail = format!("the file of the run '{id}' was kept for its time; run it again");
            ("run-expired", StatusCode::GONE, detail)
        }
        RunState::Queued | RunState::Running => {
            let detail = format!("the run '{id}' is {}; GET {of} says how it does", state.as_str());
            ("run-not-done", StatusCode::CONFLICT, detail)
        }
        _ => {
            let why = run.stored.error.as_deref().or(run.unread.as_deref());
            let why = why.unwrap_or("it was called off");
            let detail = format!("the run '{id}' has no file: {why}");
            ("run-not-done", StatusCode::CONFLICT, detail)
        }
    };
    Problem::new(slug, status, "There is no file", detail).with("state", state.as_str())
}

/// Of bytes that a file does not have.
pub(in crate::http) fn range(bytes: u64) -> Problem {
    Problem::new(
        "range-not-satisfiable",
        StatusCode::RANGE_NOT_SATISFIABLE,
        "The file has no such bytes",
        format!("the file has {bytes} bytes; ask for some of them, as in Range: bytes=0-499"),
    )
}
