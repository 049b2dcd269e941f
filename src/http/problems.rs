//! Every refusal of the interface as a problem document (RFC 9457): one function each, so that
//! types, statuses and words are in one place.

use std::time::Duration;

use axum::http::header::{ALLOW, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;
use ingest::{BodyError, IntakeError, ReplayError, SchemaError};
use projections::Unready;
use query::QueryError;
use stream::{NotYet, Problem};
use tenancy::access::Credentials;
use tenancy::audit::TrailError;
use tenancy::limits::Exceeded;
use tenancy::{
    RoleSet, ServiceTokenError, SignInError, StoreError, TicketError, TokenError, Tombstone,
};

use crate::event_types::{RefreshError, RegisterError};
use crate::exports::{ExportError, Run, State};
use crate::forward::ForwardError;
use crate::onboarding::OnboardingError;
use crate::own_views::OwnViewError;
use crate::serve::NotCome;

/// What of a caller's own text is given back to it.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

// The request as such.

pub(super) fn not_found(path: &str) -> Problem {
    Problem::new(
        "not-found",
        StatusCode::NOT_FOUND,
        "There is nothing at this address",
        format!(
            "'{}' is no address of this service; see /v1/views for what can be read",
            shown(path)
        ),
    )
}

pub(super) fn method_not_allowed(method: &Method, path: &str, allow: &str) -> Response {
    let mut response = Problem::new(
        "method-not-allowed",
        StatusCode::METHOD_NOT_ALLOWED,
        "This address has no such method",
        format!("{} does not take {}; it takes {allow}", shown(path), shown(method.as_str())),
    )
    .into_response();
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

pub(super) fn bad_request(detail: &str) -> Problem {
    Problem::new("bad-request", StatusCode::BAD_REQUEST, "The request cannot be read", detail)
}

pub(super) fn parameter(name: &str, detail: &str) -> Problem {
    Problem::new(
        "invalid-parameter",
        StatusCode::BAD_REQUEST,
        "A parameter of the address is not right",
        format!("'{name}': {detail}"),
    )
}

pub(super) fn address_too_long(limit: usize) -> Problem {
    Problem::new(
        "address-too-long",
        StatusCode::URI_TOO_LONG,
        "The address is too long",
        format!("an address has at most {limit} bytes; use fewer or shorter parameters"),
    )
}

pub(super) fn invalid_body(detail: &str) -> Problem {
    Problem::new("invalid-body", StatusCode::BAD_REQUEST, "The body cannot be read", detail)
}

pub(super) fn body_too_large(limit: usize) -> Problem {
    Problem::new(
        "body-too-large",
        StatusCode::PAYLOAD_TOO_LARGE,
        "The body is too large",
        format!("a body of this call has at most {limit} bytes; send it in several"),
    )
}

/// Of a body of events.
pub(super) fn events_body(error: &BodyError) -> Problem {
    match error {
        BodyError::TooLarge { limit, .. } => body_too_large(*limit),
        BodyError::Malformed(_) | BodyError::TooManyRejected { .. } => {
            invalid_body(&error.to_string())
        }
    }
}

/// Of an allowance that is used up.
pub(super) fn exhausted(exceeded: &Exceeded) -> Problem {
    let Exceeded { quota, whose, retry_after } = exceeded;
    let seconds = wait_s(*retry_after);
    Problem::new(
        "too-many-requests",
        StatusCode::TOO_MANY_REQUESTS,
        "An allowance is used up",
        format!(
            "{exceeded}: nothing was done, try again in {seconds} s; what the service allows is in \
             its configuration, limits.{}",
            whose.as_str()
        ),
    )
    .with("limit", quota.as_str())
    .with("of", whose.as_str())
    .with("retry_after_s", seconds)
}

/// The same with the header that says when to try again.
pub(super) fn exceeded(exceeded: &Exceeded) -> Response {
    let mut response = exhausted(exceeded).into_response();
    let seconds = HeaderValue::from(wait_s(exceeded.retry_after));
    response.headers_mut().insert(RETRY_AFTER, seconds);
    response
}

/// Whole seconds, rounded up.
fn wait_s(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

pub(super) fn body_too_slow() -> Problem {
    Problem::new(
        "body-too-slow",
        StatusCode::REQUEST_TIMEOUT,
        "The body did not arrive in time",
        "the rest of the body did not come; nothing of it was taken, send it again",
    )
}

pub(super) fn unsupported_media_type(given: &str, expected: &str) -> Problem {
    let given = if given.is_empty() { "no Content-Type".to_owned() } else { shown(given) };
    Problem::new(
        "unsupported-media-type",
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "The body is of a type that this call does not take",
        format!("{given} was given; set Content-Type to {expected}"),
    )
}

pub(super) fn unsupported_content_encoding(given: &str) -> Problem {
    Problem::new(
        "unsupported-media-type",
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "The body is in a coding that this call does not take",
        format!("Content-Encoding is {}; send the body as it is, without one", shown(given)),
    )
}

pub(super) fn not_acceptable(detail: &str) -> Problem {
    Problem::new(
        "not-acceptable",
        StatusCode::NOT_ACCEPTABLE,
        "The answer has no such format",
        detail,
    )
}

/// An error of a part that knows no problems, as one.
pub(super) fn plain(status: StatusCode, text: &str) -> Problem {
    let title = status.canonical_reason().unwrap_or("The request failed");
    let detail = if text.is_empty() { title } else { text };
    if status.is_server_error() {
        return internal();
    }
    Problem::new("bad-request", status, title, detail)
}

// Who calls.

pub(super) fn no_token(credentials: Credentials) -> Problem {
    let way = match credentials {
        Credentials::BearerOrTicket | Credentials::BearerTicketOrMessage => {
            "send the header 'Authorization: Bearer <token>', or '?ticket=' from POST /v1/tickets"
        }
        Credentials::None | Credentials::Bearer => {
            "send the header 'Authorization: Bearer <token>'"
        }
    };
    Problem::new("unauthorized", StatusCode::UNAUTHORIZED, "A token is needed", way)
}

pub(super) fn authorization() -> Problem {
    Problem::new(
        "unauthorized",
        StatusCode::UNAUTHORIZED,
        "A token is needed",
        "the Authorization header is not 'Bearer <token>'; send it so, once",
    )
}

pub(super) fn token(error: &TokenError) -> Problem {
    if *error == TokenError::IssuerUnreachable {
        return issuer_unreachable(&error.to_string());
    }
    Problem::new(
        "invalid-token",
        StatusCode::UNAUTHORIZED,
        "The token is not accepted",
        error.to_string(),
    )
}

fn issuer_unreachable(detail: &str) -> Problem {
    Problem::new(
        "issuer-unreachable",
        StatusCode::SERVICE_UNAVAILABLE,
        "The issuer of tokens does not answer",
        detail,
    )
}

/// Of a service token that is sent, or of the calls about them.
pub(super) fn service_token(error: &ServiceTokenError) -> Problem {
    let detail = error.to_string();
    match error {
        ServiceTokenError::Unknown => Problem::new(
            "invalid-token",
            StatusCode::UNAUTHORIZED,
            "The token is not accepted",
            detail,
        ),
        ServiceTokenError::NotFound => Problem::new(
            "unknown-service-token",
            StatusCode::NOT_FOUND,
            "There is no such service token",
            detail,
        ),
        ServiceTokenError::Full => Problem::new(
            "limit-exceeded",
            StatusCode::UNPROCESSABLE_ENTITY,
            "There are too many service tokens",
            detail,
        )
        .with("limit", "service_tokens"),
        ServiceTokenError::Invalid { .. } => invalid_body(&detail),
        ServiceTokenError::Random => failed("the source of random bytes", &detail),
        ServiceTokenError::Store(error) => store(error),
    }
}

/// Of the page's sign-in by an issuer.
pub(super) fn sign_in(error: &SignInError) -> Problem {
    match error {
        SignInError::NotSet => Problem::new(
            "no-sign-in",
            StatusCode::NOT_FOUND,
            "There is no issuer to sign in with",
            error.to_string(),
        ),
        SignInError::Field(_) => invalid_body(&error.to_string()),
        SignInError::Refused(_) => Problem::new(
            "sign-in-refused",
            StatusCode::UNAUTHORIZED,
            "The issuer does not let you in",
            error.to_string(),
        ),
        // What the issuer said is in the log; it is nobody else's affair.
        SignInError::Issuer(_) => issuer_unreachable(
            "the issuer with which you sign in does not answer; try again in a few seconds",
        ),
    }
}

pub(super) fn too_many_sign_ins() -> Problem {
    Problem::new(
        "busy",
        StatusCode::SERVICE_UNAVAILABLE,
        "Too many sign-ins are under way",
        "the issuer is being asked for many others; sign in again in a second",
    )
}

pub(super) fn ticket() -> Problem {
    Problem::new(
        "invalid-ticket",
        StatusCode::UNAUTHORIZED,
        "The ticket is not accepted",
        "a ticket is good once and for 30 seconds; get another from POST /v1/tickets",
    )
}

pub(super) fn no_ticket(error: TicketError) -> Problem {
    let (slug, status, title) = match error {
        TicketError::Full => ("busy", StatusCode::SERVICE_UNAVAILABLE, "Too many tickets are out"),
        TicketError::Expired => {
            ("invalid-token", StatusCode::UNAUTHORIZED, "The token is not accepted")
        }
        TicketError::Random => return failed("the source of tickets", &error.to_string()),
    };
    Problem::new(slug, status, title, error.to_string())
}

pub(super) fn forbidden(method: &str, path: &str, roles: RoleSet) -> Problem {
    Problem::new(
        "forbidden",
        StatusCode::FORBIDDEN,
        "The token's roles do not allow this",
        format!("{method} {path} is not for the roles of this token ({roles}); use another token"),
    )
}

/// The same whether the tenant is gone or never was.
pub(super) fn unknown_tenant() -> Problem {
    Problem::new(
        "unknown-tenant",
        StatusCode::FORBIDDEN,
        "The token's tenant is not known here",
        "the tenant in the token's claim has no data here; check the claim, or have it created",
    )
}

// Reads.

pub(super) fn position(error: &projections::PositionError) -> Problem {
    parameter("wait_for", &error.to_string())
}

/// Of what a read waited for.
pub(super) fn not_come(error: &NotCome) -> Problem {
    match error {
        NotCome::NotYet(error) => not_yet(error),
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

pub(super) fn not_yet(error: &NotYet) -> Problem {
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

pub(super) fn unknown_view(name: &str, known: &[&str]) -> Problem {
    Problem::new(
        "unknown-view",
        StatusCode::NOT_FOUND,
        "There is no such view",
        format!("there is no view '{}'; there are {}", shown(name), known.join(", ")),
    )
}

/// Of a view that is defined and cannot be read.
pub(super) fn unready_view(unready: &Unready) -> Problem {
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

pub(super) fn view_not_filled(name: &str) -> Problem {
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
pub(super) fn own_view(error: &OwnViewError) -> Problem {
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
        OwnViewError::Interrupted(_) | OwnViewError::Thread(_) => failed("the own views", &detail),
    }
}

pub(super) fn query(error: &QueryError) -> Problem {
    let detail = error.to_string();
    match error {
        QueryError::Invalid { line, column, .. } => {
            let problem = Problem::new(
                "invalid-query",
                StatusCode::BAD_REQUEST,
                "The query is not right",
                detail,
            );
            placed(problem, *line, *column)
        }
        QueryError::Refused { statement } => {
            Problem::new("query-refused", StatusCode::BAD_REQUEST, "Queries only read", detail)
                .with("statement", statement.as_str())
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
        ),
        QueryError::ViewFailed { view, .. } => view_failed(view, detail),
        QueryError::ViewFilling { view } => view_filling(view),
        QueryError::SwitchedOff { relation, module } => Problem::switched_off(relation, module),
        QueryError::Internal { message } => failed("a query", message),
    }
}

/// Of reading a view: what is not right there is a parameter, the cursor.
pub(super) fn view(error: &QueryError) -> Problem {
    match error {
        QueryError::Invalid { message, .. } => parameter("after", message),
        _ => query(error),
    }
}

fn placed(problem: Problem, line: Option<u64>, column: Option<u64>) -> Problem {
    match (line, column) {
        (Some(line), Some(column)) => problem.with("line", line).with("column", column),
        _ => problem,
    }
}

// Writes.

pub(super) fn store(error: &StoreError) -> Problem {
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
        _ => failed("the control store", &detail),
    }
}

pub(super) fn event_type(error: &RegisterError) -> Problem {
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

pub(super) fn unknown_event_type(name: &str) -> Problem {
    Problem::new(
        "unknown-event-type",
        StatusCode::NOT_FOUND,
        "There is no such event type",
        format!("there is no event type '{}'; list them to see those there are", shown(name)),
    )
}

/// Of looking for what other nodes have changed.
pub(super) fn refresh(error: &RefreshError) -> Problem {
    failed("the control store", &error.to_string())
}

/// There is no such tenant: for the platform, which may know.
pub(super) fn no_tenant(id: &str) -> Problem {
    Problem::new(
        "unknown-tenant",
        StatusCode::NOT_FOUND,
        "There is no such tenant",
        format!("there is no tenant '{}'; see /v1/platform/tenants for those there are", shown(id)),
    )
}

pub(super) fn erased_tenant(stone: &Tombstone) -> Problem {
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

pub(super) fn intake(error: &IntakeError) -> Problem {
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
        IntakeError::Closed => closing(),
        IntakeError::Elsewhere => moving(),
        IntakeError::OtherSender => failed("the intake", &error.to_string()),
    }
}

/// Of a tenant that is created, and has not all that its template gives yet.
pub(super) fn onboarding(error: &OnboardingError) -> Problem {
    match error {
        OnboardingError::Intake(error) => intake(error),
        OnboardingError::Store(error) => store(error),
        OnboardingError::Unknown(_) | OnboardingError::Refused(_) => {
            failed("a template", &error.to_string())
        }
    }
}

/// Of making or reading an export.
pub(super) fn export(error: &ExportError) -> Problem {
    match error {
        ExportError::Moved => moving(),
        ExportError::Deleted => unknown_tenant(),
        ExportError::Disk(_) | ExportError::Objects(_) | ExportError::Read(_) => {
            failed("an export", &error.to_string())
        }
    }
}

pub(super) fn no_export(id: &str) -> Problem {
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

pub(super) fn export_not_done(run: &Run) -> Problem {
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

pub(super) fn not_begun() -> Problem {
    Problem::new(
        "onboarding",
        StatusCode::SERVICE_UNAVAILABLE,
        "The tenant is not ready yet",
        "the tenant is created, and what its template gives follows behind; send the same again to \
         see whether it is done",
    )
}

pub(super) fn no_dead_letter(id: &str) -> Problem {
    Problem::new(
        "unknown-dead-letter",
        StatusCode::NOT_FOUND,
        "There is no such dead letter",
        format!("there is no dead letter '{}' any more, or it is not yours", shown(id)),
    )
}

pub(super) fn replay(error: &ReplayError) -> Problem {
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

pub(super) fn intake_busy() -> Problem {
    Problem::new(
        "busy",
        StatusCode::SERVICE_UNAVAILABLE,
        "Too much is being taken in at the moment",
        "nothing of the body was taken; send it again in a moment",
    )
}

/// Of what could not be recorded, and is not answered therefore.
pub(super) fn audit(error: TrailError) -> Problem {
    tracing::error!(%error, "a call is not answered, as it cannot be recorded");
    Problem::new(
        "audit-unavailable",
        StatusCode::SERVICE_UNAVAILABLE,
        "The audit cannot be written",
        "what is not recorded is not answered; a change may have been made: look before you make it \
         again, and tell those who run the service if it stays so",
    )
}

// The service.

pub(super) fn starting() -> Problem {
    Problem::new(
        "starting",
        StatusCode::SERVICE_UNAVAILABLE,
        "The service is starting",
        "it is reading its log; try again in a moment, /readyz says when it is done",
    )
}

pub(super) fn stopped() -> Problem {
    Problem::new(
        "source-stopped",
        StatusCode::SERVICE_UNAVAILABLE,
        "The events of this tenant are read no more",
        "what they come by is not as it was, and stale figures are not shown; those who run the \
         service find the reason and the way out in its log",
    )
}

pub(super) fn moving() -> Problem {
    Problem::new(
        "moving",
        StatusCode::SERVICE_UNAVAILABLE,
        "The tenant is being handed over to another node",
        "this takes about a second; send it again, repeats have no effect",
    )
}

/// Of a tenant that another node serves.
pub(super) fn forward(error: ForwardError) -> Problem {
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

pub(super) fn closing() -> Problem {
    Problem::new(
        "closing",
        StatusCode::SERVICE_UNAVAILABLE,
        "The service is stopping",
        "nothing was taken; try again in a moment",
    )
}

pub(super) fn no_metrics() -> Problem {
    Problem::new(
        "no-metrics",
        StatusCode::NOT_FOUND,
        "There are no figures",
        "this process records its figures elsewhere",
    )
}

/// A part of the service failed; what and why is for the log, not for the caller.
fn failed(part: &str, why: &str) -> Problem {
    tracing::error!(part, why, "a request failed");
    internal()
}

pub(super) fn internal() -> Problem {
    Problem::new(
        "internal",
        StatusCode::INTERNAL_SERVER_ERROR,
        "The service failed",
        "it is no fault of the request; try again, and tell those who run the service if it stays",
    )
}
