//! What can be wrong with newer versions of templates.

use axum::http::StatusCode;
use serde_json::json;
use stream::Problem;

use super::{failed, not_begun, onboarding, store};
use crate::template_versions::VersionError;

pub(in crate::http) fn template(error: &VersionError) -> Problem {
    let detail = error.to_string();
    match error {
        VersionError::None => {
            let title = "The tenant has no template";
            Problem::new("no-template", StatusCode::NOT_FOUND, title, detail)
        }
        VersionError::Beginning => not_begun(),
        VersionError::Other { newest } => {
            let title = "Another version is there";
            Problem::new("template-version", StatusCode::CONFLICT, title, detail)
                .with("newest", *newest)
        }
        VersionError::Settle(error) => {
            let tenancy::templates::merge::SettleError::NoConflict { path } = error;
            let title = "There is nothing to settle";
            Problem::new("invalid-settlement", StatusCode::BAD_REQUEST, title, detail)
                .with("path", path.as_str())
        }
        VersionError::Conflicts(open) => {
            let title = "Not everything is settled";
            Problem::new("template-conflicts", StatusCode::CONFLICT, title, detail)
                .with("conflicts", json!(open))
        }
        VersionError::Changed => {
            let title = "It was changed meanwhile";
            Problem::new("changed-meanwhile", StatusCode::PRECONDITION_FAILED, title, detail)
        }
        VersionError::Unfit { path, .. } => {
            let title = "The changes do not go together";
            Problem::new("template-unfit", StatusCode::UNPROCESSABLE_ENTITY, title, detail)
                .with("path", path.as_str())
        }
        VersionError::Gift(error) => onboarding(error),
        VersionError::Damaged(_) => failed("a template", &detail),
        VersionError::Store(error) => store(error),
    }
}
