//! What can be wrong with a read.

use axum::http::StatusCode;
use ingest::IntakeError;
use projections::Unready;
use query::{ExplainError, QueryError};
use stream::{NotYet, Problem};

use super::{closing, failed, forward, intake, parameter, shown, store};
use crate::forward::ForwardError;
use crate::own_views::OwnViewError;
use crate::serve::NotCome;

/// When a query that was not let in may be sent again: it has waited for its turn already.
const BUSY_S: u64 = 2;

pub(in crate::http) fn position(error: &projections::PositionError) -> Problem {
    parameter("wait_for", &error.to_string())
}

/// Of what a read waited for.
pub(in crate::http) fn not_come(error: &NotCome) -> Problem {
    match error {
        NotCome::NotYet(error) => not_yet(error),
        NotCome::Intake(IntakeError::Closed | IntakeError::Elsewhere) => {
            forward(ForwardError::Unserved)
        }
        NotCome::Intake(error) => intake(error),
        NotCome::Late(waited) => Problem::new(
            "position-not-reached",
            StatusCode::GATEWAY_TIMEOUT,
            "The position is not applied yet",
            format!(
                "the events of this position are not taken after {} ms: ask again, or wait longer \
                 with wait_ms",
                waited.as_millis()
            ),
        ),
    }
}

pub(in crate::http) fn not_yet(error: &NotYet) -> Problem {
    let detail = error.to_string();
    match error {
        NotYet::Timeout { .. } => Problem::new(
            "position-not-reached",
            StatusCode::GATEWAY_TIMEOUT,
            "The position is not applied yet",
            detail,
        ),
        NotYet::Busy { .. } => Problem::new(
            "busy",
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many calls are waiting",
            detail,
        ),
    }
}

pub(in crate::http) fn answers_busy() -> Problem {
    Problem::new(
        "busy",
        StatusCode::SERVICE_UNAVAILABLE,
        "Too much is being sent at the moment",
        "answers that your tenant's clients, or all together, have not read yet take all the room \
         there is for answers in one piece; read them, or ask for fewer rows, and try again in a \
         moment",
    )
}

pub(in crate::http) fn unknown_view(name: &str, known: &[&str]) -> Problem {
    Problem::new(
        "unknown-view",
        StatusCode::NOT_FOUND,
        "There is no such view",
        format!("there is no view '{}'; there are {}", shown(name), known.join(", ")),
    )
}

/// Of a view that is defined and cannot be read.
pub(in crate::http) fn unready_view(unready: &Unready) -> Problem {
    match &unready.failure {
        None => view_filling(&unready.name),
        Some(failure) => view_failed(
            &unready.name,
            format!("the view '{}' cannot be read: {failure}", unready.name),
        ),
    }
}

fn view_filling(name: &str) -> Problem {
    Problem::new(
        "view-filling",
        StatusCode::CONFLICT,
        "The view is being filled",
        format!(
            "the view '{name}' is being filled from history; wait with wait_ms, or until \
             /v1/views/{name}/status says that it is live"
        ),
    )
    .with("view", name)
}

fn view_failed(name: &str, detail: String) -> Problem {
    Problem::new("view-failed", StatusCode::CONFLICT, "The view cannot be read", detail)
        .with("view", name)
}

pub(in crate::http) fn view_not_filled(name: &str) -> Problem {
    Problem::new(
        "view-not-filled",
        StatusCode::GATEWAY_TIMEOUT,
        "The view is not filled yet",
        format!(
            "the view '{}' is still being filled; ask again, or wait longer with wait_ms",
            shown(name)
        ),
    )
}

/// Of defining or deleting a view.
pub(in crate::http) fn own_view(error: &OwnViewError) -> Problem {
    let detail = error.to_string();
    let conflict = |slug, title| Problem::new(slug, StatusCode::CONFLICT, title, &detail);
    match error {
        OwnViewError::Name(_) | OwnViewError::Invalid(_) => {
            let title = "The view is not right";
            Problem::new("invalid-view", StatusCode::BAD_REQUEST, title, detail)
        }
        OwnViewError::Unsupported { construct, way_out } => Problem::new(
            "unsupported-view",
            StatusCode::UNPROCESSABLE_ENTITY,
            "The view cannot be maintained",
            detail,
        )
        .with("construct", construct.as_str())
        .with("way_out", way_out.as_str()),
        OwnViewError::BuiltIn(_) => {
            conflict("built-in-view", "The name is that of a built-in view")
        }
        OwnViewError::SwitchedOff { module, .. } => {
            conflict("module-off", "The module is switched off").with("module", module.as_str())
        }
        OwnViewError::Cycle(path) => {
            conflict("view-cycle", "The view would read itself").with("path", path.clone())
        }
        OwnViewError::Breaks { reader, .. } => {
            conflict("view-in-use", "Other views read it").with("readers", vec![reader.clone()])
        }
        OwnViewError::InUse { readers, .. } => {
            conflict("view-in-use", "Other views read it").with("readers", readers.clone())
        }
        OwnViewError::Limit(_) => Problem::new(
            "views-limit",
            StatusCode::UNPROCESSABLE_ENTITY,
            "There is no room for another view",
            detail,
        ),
        OwnViewError::Unknown(_) => {
            Problem::new("unknown-view", StatusCode::NOT_FOUND, "There is no such view", detail)
        }
        OwnViewError::Ended(_) => closing(),
        OwnViewError::Store(error) => store(error),
        OwnViewError::Interrupted(_) | OwnViewError::Thread(_) | OwnViewError::History(_) => {
            failed("the own views", &detail)
        }
    }
}

/// Of SQL that has no answer.
pub(crate) fn query(error: &QueryError) -> Problem {
    let detail = error.to_string();
    match error {
        QueryError::Invalid { line, column, .. } => {
            let problem = Problem::new(
                "invalid-query",
                StatusCode::BAD_REQUEST,
                "The query is not right",
                detail,
            );
            placed(problem, *line, *column).with("sqlstate", error.sqlstate())
        }
        QueryError::Refused { statement } => {
            Problem::new("query-refused", StatusCode::BAD_REQUEST, "Queries only read", detail)
                .with("statement", statement.as_str())
                .with("sqlstate", error.sqlstate())
        }
        QueryError::UnknownView { .. } => {
            Problem::new("unknown-view", StatusCode::NOT_FOUND, "There is no such view", detail)
        }
        QueryError::Limit { which, .. } => Problem::new(
            "limit-exceeded",
            StatusCode::UNPROCESSABLE_ENTITY,
            "The query is over a limit",
            detail,
        )
        .with("limit", which.as_str()),
        QueryError::Busy => Problem::new(
            "too-many-queries",
            StatusCode::TOO_MANY_REQUESTS,
            "Too many queries at once",
            detail,
        )
        .with("retry_after_s", BUSY_S),
        QueryError::ViewFailed { view, .. } => view_failed(view, detail),
        QueryError::ViewFilling { view } => view_filling(view),
        QueryError::SwitchedOff { relation, module } => Problem::switched_off(relation, module),
        QueryError::NotServed => forward(ForwardError::Unserved),
        QueryError::GivenUp { .. } => Problem::new(
            "query-given-up",
            StatusCode::UNPROCESSABLE_ENTITY,
            "The query cannot be computed",
            detail,
        ),
        QueryError::Internal { message } => failed("a query", message),
    }
}

/// Of SQL that has an answer, of which nobody could say when it has changed.
pub(crate) fn unfollowed_query() -> Problem {
    Problem::new(
        "unfollowed-query",
        StatusCode::UNPROCESSABLE_ENTITY,
        "The query cannot be followed",
        "its answer does not follow from views and event types alone: leave out EXPLAIN, functions \
         that give another value each time, such as random() and uuid(), and lists of relations, or \
         ask with POST /v1/query",
    )
}

/// Of reading a view: what is not right there is a parameter, the cursor.
pub(in crate::http) fn view(error: &QueryError) -> Problem {
    match error {
        QueryError::Invalid { message, .. } => parameter("after", message),
        _ => query(error),
    }
}

/// Of asking what is behind a figure.
pub(in crate::http) fn explain(error: &ExplainError) -> Problem {
    let detail = error.to_string();
    match error {
        ExplainError::OwnView(view) => {
            Problem::new("unexplained-view", StatusCode::CONFLICT, "The view is your own", detail)
                .with("view", view.as_str())
        }
        ExplainError::UnknownColumn { .. } => parameter("column", &detail),
        ExplainError::Key(_) => parameter("key", &detail),
        ExplainError::Cursor => parameter("after", &detail),
        ExplainError::NoRow { .. } => {
            Problem::new("unknown-row", StatusCode::NOT_FOUND, "There is no such row", detail)
        }
        // The SQL is not the caller's.
        ExplainError::Query(QueryError::Invalid { message, .. }) => failed("a drill-down", message),
        ExplainError::Query(error) => query(error),
    }
}

fn placed(problem: Problem, line: Option<u64>, column: Option<u64>) -> Problem {
    match (line, column) {
        (Some(line), Some(column)) => problem.with("line", line).with("column", column),
        _ => problem,
    }
}
