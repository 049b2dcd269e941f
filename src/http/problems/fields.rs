//! What can be wrong with fields that are declared.

use axum::http::StatusCode;
use stream::Problem;

use super::{failed, invalid_body, shown, store, unknown_event_type};
use crate::custom_fields::FieldError;

pub(in crate::http) fn field(error: &FieldError) -> Problem {
    let detail = error.to_string();
    match error {
        FieldError::UnknownType(name) => unknown_event_type(name),
        FieldError::Name(_) => {
            let title = "It is no name of a field";
            Problem::new("invalid-field-name", StatusCode::BAD_REQUEST, title, detail)
        }
        FieldError::Invalid(_) => invalid_body(&detail),
        FieldError::Taken { .. } | FieldError::Alike { .. } => {
            Problem::new("conflict", StatusCode::CONFLICT, "The name is taken", detail)
        }
        FieldError::InUse { readers, .. } => {
            Problem::new("field-in-use", StatusCode::CONFLICT, "Views read the field", detail)
                .with("views", readers.clone())
        }
        FieldError::Full => {
            let title = "There are too many fields";
            Problem::new("limit-exceeded", StatusCode::UNPROCESSABLE_ENTITY, title, detail)
                .with("limit", "custom_fields")
        }
        FieldError::Unknown { on, name } => unknown_field(on, name),
        FieldError::Store(error) => store(error),
        FieldError::Interrupted(_) => failed("the control store", &detail),
    }
}

pub(in crate::http) fn unknown_field(on: &str, name: &str) -> Problem {
    Problem::new(
        "unknown-field",
        StatusCode::NOT_FOUND,
        "There is no such field",
        format!(
            "there is no field '{}' declared of '{}'; list the fields to see those there are",
            shown(name),
            shown(on)
        ),
    )
}
