//! What can be wrong with alerts and their rules.

use axum::http::StatusCode;
use stream::Problem;

use super::{failed, query, store};
use crate::alerts::AlertError;

pub(in crate::http) fn alert(error: &AlertError) -> Problem {
    let detail = error.to_string();
    match error {
        AlertError::Wrong(wrong) => {
            let title = "The rule is not right";
            Problem::new("invalid-alert-rule", StatusCode::BAD_REQUEST, title, detail)
                .with("field", wrong.field.as_str())
        }
        AlertError::Query(error) => query(error),
        AlertError::UnknownRule(_) => {
            let title = "There is no such rule";
            Problem::new("unknown-alert-rule", StatusCode::NOT_FOUND, title, detail)
        }
        AlertError::Unknown(_) => {
            let title = "There is no such alert";
            Problem::new("unknown-alert", StatusCode::NOT_FOUND, title, detail)
        }
        AlertError::Changed => {
            let title = "The rule was changed meanwhile";
            Problem::new("changed-meanwhile", StatusCode::PRECONDITION_FAILED, title, detail)
        }
        AlertError::Builtin(_) => {
            let title = "The rule is built in";
            Problem::new("builtin-alert-rule", StatusCode::CONFLICT, title, detail)
        }
        AlertError::Over => {
            Problem::new("alert-cleared", StatusCode::CONFLICT, "The alert is cleared", detail)
        }
        AlertError::Full(_) => {
            let title = "There is no room for another";
            Problem::new("alerts-limit", StatusCode::UNPROCESSABLE_ENTITY, title, detail)
        }
        AlertError::Store(error) => store(error),
        AlertError::Damaged(_) => failed("a rule of alerts", &detail),
    }
}
