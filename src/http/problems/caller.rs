//! Who calls, and with which right.

use axum::http::StatusCode;
use stream::Problem;
use tenancy::access::Credentials;
use tenancy::{RevocationError, RoleSet, ServiceTokenError, SignInError, TicketError, TokenError};

use super::{failed, invalid_body, store};

pub(in crate::http) fn no_token(credentials: Credentials) -> Problem {
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

pub(in crate::http) fn authorization() -> Problem {
    Problem::new(
        "unauthorized",
        StatusCode::UNAUTHORIZED,
        "A token is needed",
        "the Authorization header is not 'Bearer <token>'; send it so, once",
    )
}

pub(in crate::http) fn token(error: &TokenError) -> Problem {
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

/// Of a token that held until an admin ended the sign-ins of its subject.
pub(in crate::http) fn signed_out() -> Problem {
    Problem::new(
        "signed-out",
        StatusCode::UNAUTHORIZED,
        "The sign-in was ended",
        "an admin of the tenant has ended the sign-ins of this subject; sign in again for a new token",
    )
}

/// Of an end of sign-ins.
pub(in crate::http) fn revocation(error: &RevocationError) -> Problem {
    let detail = error.to_string();
    match error {
        RevocationError::Subject(_) => invalid_body(&detail),
        RevocationError::Full => Problem::new(
            "limit-exceeded",
            StatusCode::UNPROCESSABLE_ENTITY,
            "There are too many ended sign-ins",
            detail,
        )
        .with("limit", "revocations"),
        RevocationError::Store(error) => store(error),
    }
}

/// Of a service token that is sent, or of the calls about them.
pub(in crate::http) fn service_token(error: &ServiceTokenError) -> Problem {
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
pub(in crate::http) fn sign_in(error: &SignInError) -> Problem {
    match error {
        SignInError::NotSet => Problem::new(
            "no-sign-in",
            StatusCode::NOT_FOUND,
            "There is no issuer to sign in with",
            error.to_string(),
        ),
        SignInError::Field(_) => invalid_body(&error.to_string()),
        SignInError::Refused(_) | SignInError::OtherAccount(_) => Problem::new(
            "sign-in-refused",
            StatusCode::UNAUTHORIZED,
            "The sign-in is refused",
            error.to_string(),
        ),
        // What the issuer said is in the log; it is nobody else's affair.
        SignInError::Issuer(_) => issuer_unreachable(
            "the issuer with which you sign in does not answer; try again in a few seconds",
        ),
    }
}

pub(in crate::http) fn too_many_sign_ins() -> Problem {
    Problem::new(
        "busy",
        StatusCode::SERVICE_UNAVAILABLE,
        "Too many sign-ins are under way",
        "the issuer is being asked for many others; sign in again in a second",
    )
}

pub(in crate::http) fn ticket() -> Problem {
    Problem::new(
        "invalid-ticket",
        StatusCode::UNAUTHORIZED,
        "The ticket is not accepted",
        "a ticket is good once and for 30 seconds; get another from POST /v1/tickets",
    )
}

pub(in crate::http) fn no_ticket(error: TicketError) -> Problem {
    let (slug, status, title) = match error {
        TicketError::Full => ("busy", StatusCode::SERVICE_UNAVAILABLE, "Too many tickets are out"),
        TicketError::Expired => {
            ("invalid-token", StatusCode::UNAUTHORIZED, "The token is not accepted")
        }
        TicketError::Random => return failed("the source of tickets", &error.to_string()),
    };
    Problem::new(slug, status, title, error.to_string())
}

pub(in crate::http) fn forbidden(method: &str, path: &str, roles: RoleSet) -> Problem {
    Problem::new(
        "forbidden",
        StatusCode::FORBIDDEN,
        "The token's roles do not allow this",
        format!("{method} {path} is not for the roles of this token ({roles}); use another token"),
    )
}

/// The same whether the tenant is gone or never was.
pub(in crate::http) fn unknown_tenant() -> Problem {
    Problem::new(
        "unknown-tenant",
        StatusCode::FORBIDDEN,
        "The token's tenant is not known here",
        "the tenant in the token's claim has no data here; check the claim, or have it created",
    )
}
