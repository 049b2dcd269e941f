//! What can be wrong with what is sent, made, changed or taken away.

use axum::http::StatusCode;
use chrono::SecondsFormat;
use ingest::{IntakeError, ReplayError, SchemaError};
use stream::Problem;
use tenancy::audit::TrailError;
use tenancy::{StoreError, Tombstone};

use super::{closing, failed, invalid_body, moving, shown, unknown_tenant};
use crate::event_types::{RefreshError, RegisterError};
use crate::exports::{ExportError, Run, State};
use crate::onboarding::OnboardingError;

pub(in crate::http) fn store(error: &StoreError) -> Problem {
    let detail = error.to_string();
    match error {
        StoreError::Conflict { .. } => {
            Problem::new("conflict", StatusCode::CONFLICT, "It exists already", detail)
        }
        StoreError::NotFound { id } => no_tenant(id.as_ref()),
        StoreError::Deleted { .. } => {
            Problem::new("tenant-deleted", StatusCode::CONFLICT, "The tenant was deleted", detail)
        }
        StoreError::Invalid { .. } => invalid_body(&detail),
        _ if error.is_unavailable() => store_unavailable(&detail),
        _ => failed("the control store", &detail),
    }
}

/// The control store could not be had this time.
fn store_unavailable(why: &str) -> Problem {
    // No failure of the service: the same call may go well a moment later.
    tracing::warn!(why, "a call is refused, as the control store could not be had");
    Problem::new(
        "control-store-unavailable",
        StatusCode::SERVICE_UNAVAILABLE,
        "The control store cannot be had at the moment",
        "others hold it for longer than is waited for, or the connection to it was lost; a change \
         may have been made: look before you make it again, and tell those who run the service if \
         it stays so",
    )
}

pub(in crate::http) fn event_type(error: &RegisterError) -> Problem {
    let detail = error.to_string();
    match error {
        RegisterError::Name(_) => invalid_body(&detail),
        RegisterError::Schema(SchemaError { field, .. }) => {
            let title = "The schema cannot be taken";
            let problem = Problem::new("invalid-schema", StatusCode::BAD_REQUEST, title, detail);
            match field {
                Some(field) => problem.with("field", field.as_str()),
                None => problem,
            }
        }
        RegisterError::Taken(_) => {
            Problem::new("conflict", StatusCode::CONFLICT, "The name is taken", detail)
        }
        RegisterError::Incompatible { differences, .. } => {
            let title = "The type has another schema";
            Problem::new("incompatible-schema", StatusCode::CONFLICT, title, detail)
                .with("differences", differences.clone())
        }
        RegisterError::Full { .. } => Problem::new(
            "limit-exceeded",
            StatusCode::UNPROCESSABLE_ENTITY,
            "There are too many event types",
            detail,
        )
        .with("limit", "event_types"),
        RegisterError::Store(error) => store(error),
        RegisterError::Damaged(_) | RegisterError::Interrupted(_) => {
            failed("the control store", &detail)
        }
    }
}

pub(in crate::http) fn unknown_event_type(name: &str) -> Problem {
    Problem::new(
        "unknown-event-type",
        StatusCode::NOT_FOUND,
        "There is no such event type",
        format!("there is no event type '{}'; list them to see those there are", shown(name)),
    )
}

/// Of looking for what other nodes have changed.
pub(in crate::http) fn refresh(error: &RefreshError) -> Problem {
    match error {
        RefreshError::Store(error) => store(error),
        RefreshError::Damaged(_) => failed("the control store", &error.to_string()),
    }
}

/// There is no such tenant: for the platform, which may know.
pub(in crate::http) fn no_tenant(id: &str) -> Problem {
    Problem::new(
        "unknown-tenant",
        StatusCode::NOT_FOUND,
        "There is no such tenant",
        format!("there is no tenant '{}'; see /v1/platform/tenants for those there are", shown(id)),
    )
}

pub(in crate::http) fn erased_tenant(stone: &Tombstone) -> Problem {
    Problem::new(
        "tenant-deleted",
        StatusCode::GONE,
        "The tenant was deleted",
        format!(
            "the tenant '{}' was deleted at {}, and nothing of its data is left",
            stone.id,
            stone.deleted_at.to_rfc3339_opts(SecondsFormat::Secs, true)
        ),
    )
}

pub(in crate::http) fn intake(error: &IntakeError) -> Problem {
    match error {
        // As any later call is refused.
        IntakeError::Deleted => unknown_tenant(),
        IntakeError::Log(error) => {
            tracing::error!(%error, "the log could not be written");
            Problem::new(
                "log-unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "The log cannot be written",
                "nothing of this was taken; send it again, and tell those who run the service if \
                 it stays so",
            )
        }
        IntakeError::Undelivered(_) | IntakeError::Source(_) => {
            tracing::error!(%error, "events could not be given to Kafka");
            Problem::new(
                "kafka-unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "Kafka does not take events",
                "not all of this was acknowledged; send it again, repeats have no effect, and tell \
                 those who run the service if it stays so",
            )
        }
        IntakeError::NoTopic(event_type) => {
            tracing::warn!(%error, "events could not be given to Kafka");
            Problem::new(
                "no-topic",
                StatusCode::SERVICE_UNAVAILABLE,
                "The event type has no topic",
                format!(
                    "Kafka has no topic for events of the type '{}', and does not let the service \
                     make it: those who run the service must; then send all of this again, repeats \
                     have no effect",
                    shown(event_type)
                ),
            )
        }
        IntakeError::Closed => closing(),
        IntakeError::Elsewhere => moving(),
        IntakeError::OtherSender => failed("the intake", &error.to_string()),
    }
}

/// Of a tenant that is created, and has not all that its template gives yet.
pub(in crate::http) fn onboarding(error: &OnboardingError) -> Problem {
    match error {
        OnboardingError::Intake(error) => intake(error),
        OnboardingError::Store(error) => store(error),
        OnboardingError::Unknown(_)
        | OnboardingError::Refused(_)
        | OnboardingError::Rules(_)
        | OnboardingError::Reports(_)
        | OnboardingError::Dashboards(_) => failed("a template", &error.to_string()),
    }
}

/// Of making or reading an export.
pub(in crate::http) fn export(error: &ExportError) -> Problem {
    match error {
        ExportError::Moved => moving(),
        ExportError::Stopped => unknown_tenant(),
        ExportError::Disk(_) | ExportError::Objects(_) | ExportError::Read(_) => {
            failed("an export", &error.to_string())
        }
    }
}

pub(in crate::http) fn no_export(id: &str) -> Problem {
    Problem::new(
        "unknown-export",
        StatusCode::NOT_FOUND,
        "There is no such export",
        format!(
            "there is no export '{}'; POST /v1/tenant/export makes one, and the newest are kept",
            shown(id)
        ),
    )
}

pub(in crate::http) fn export_not_done(run: &Run) -> Problem {
    let state = if run.state == State::Failed { "has failed" } else { "is still being made" };
    Problem::new(
        "export-not-done",
        StatusCode::CONFLICT,
        "The export cannot be downloaded",
        format!(
            "the export '{}' {state}; GET /v1/tenant/export/{} says how it does",
            run.id, run.id
        ),
    )
}

pub(in crate::http) fn not_begun() -> Problem {
    Problem::new(
        "onboarding",
        StatusCode::SERVICE_UNAVAILABLE,
        "The tenant is not ready yet",
        "the tenant is created, and what its template gives follows behind; send the same again to \
         see whether it is done",
    )
}

pub(in crate::http) fn no_dead_letter(id: &str) -> Problem {
    Problem::new(
        "unknown-dead-letter",
        StatusCode::NOT_FOUND,
        "There is no such dead letter",
        format!("there is no dead letter '{}' any more, or it is not yours", shown(id)),
    )
}

/// Of one that stands for all that came beyond the limits.
pub(in crate::http) fn counted_letter() -> Problem {
    Problem::new(
        "not-replayable",
        StatusCode::UNPROCESSABLE_ENTITY,
        "The dead letter was not replayed",
        "it stands for messages that were only counted, as there were more than are kept: have them \
         read again from Kafka or send them again, and delete this one",
    )
}

pub(in crate::http) fn replay(error: &ReplayError) -> Problem {
    let detail = error.to_string();
    let (slug, status) = match error {
        ReplayError::Intake(error) => return intake(error),
        ReplayError::RegistryDown => ("registry-unavailable", StatusCode::SERVICE_UNAVAILABLE),
        ReplayError::Reason(_) | ReplayError::Cut { .. } => {
            ("not-replayable", StatusCode::UNPROCESSABLE_ENTITY)
        }
    };
    Problem::new(slug, status, "The dead letter was not replayed", detail)
}

pub(in crate::http) fn intake_busy() -> Problem {
    Problem::new(
        "busy",
        StatusCode::SERVICE_UNAVAILABLE,
        "Too much is being taken in at the moment",
        "nothing of the body was taken; send it again in a moment",
    )
}

/// Of what could not be recorded, and is not answered therefore.
pub(in crate::http) fn audit(error: TrailError) -> Problem {
    tracing::error!(%error, "a call is not answered, as it cannot be recorded");
    Problem::new(
        "audit-unavailable",
        StatusCode::SERVICE_UNAVAILABLE,
        "The audit cannot be written",
        "what is not recorded is not answered; a change may have been made: look before you make it \
         again, and tell those who run the service if it stays so",
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_control_store_that_may_be_had_later_is_no_failure() {
        let of = |source| store(&StoreError::Database { doing: "changing a tenant", source });
        let ended = io::Error::from(io::ErrorKind::UnexpectedEof);
        for source in [sqlx::Error::PoolTimedOut, sqlx::Error::Io(ended)] {
            let problem = of(source);
            assert_eq!(problem.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(problem.r#type, "urn:tidemark:problem:control-store-unavailable");
        }
        assert_eq!(of(sqlx::Error::RowNotFound).status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
