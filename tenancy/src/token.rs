//! Bearer tokens: JWTs signed with a secret of the service (HS256), or by the issuer that it trusts
//! (RS256, ES256, EdDSA).
//!
//! A key belongs to one algorithm, and a token is only ever checked with keys of the algorithm that
//! it names: a public key is never a secret, and `none` has no keys. The signature is checked before
//! a claim is read, so that the messages about claims are only for holders of a genuine token.

mod claims;
mod header;
mod verifier;

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};

pub use self::claims::{ClaimNames, Claims, mint};
pub(crate) use self::header::Signature;
pub use self::verifier::Verifier;
use crate::{RoleSet, TenantId};

/// How far the clocks of issuer and service may differ, unless somebody says otherwise.
pub const LEEWAY: TimeDelta = TimeDelta::seconds(30);

/// Who a verified token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who calls: a person or a program.
    pub subject: String,
    /// For which tenant; `None` exactly for the platform.
    pub tenant: Option<TenantId>,
    /// In which roles; never empty, and [`crate::Role::Platform`] only alone.
    pub roles: RoleSet,
    /// When it was issued: the token's `iat`; that of 1970 where it does not say.
    pub issued_at: DateTime<Utc>,
    /// From when on it no longer holds: the token's `exp` and the leeway.
    pub expires_at: DateTime<Utc>,
}

/// Why a token is not accepted. No message quotes the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no JWT.
    #[error("the token is malformed; send a JWT as it was issued, after `Bearer `")]
    Malformed,
    /// It is a JWT of a kind that is not accepted.
    #[error(
        "the token is not signed in a way that is accepted here; ask for one that is signed with \
         the service's secret (HS256) or by its issuer (RS256, ES256 or EdDSA)"
    )]
    Algorithm,
    /// The signature is not that of a key in use.
    #[error("the token's signature does not hold; ask for a new token")]
    Signature,
    /// The issuer is not known to have the key that it names.
    #[error("the token is signed with a key that its issuer does not have; ask for a new token")]
    UnknownKey,
    /// The issuer's keys are not there, so nothing can be said of the token.
    #[error("the issuer of the token cannot be asked for its keys; try again in a few seconds")]
    IssuerUnreachable,
    /// It held once.
    #[error("the token expired at {at}; ask for a new one", at = .0.format("%Y-%m-%dT%H:%M:%SZ"))]
    Expired(DateTime<Utc>),
    /// It will hold.
    #[error("the token does not hold before {at}", at = .0.format("%Y-%m-%dT%H:%M:%SZ"))]
    NotYetValid(DateTime<Utc>),
    /// It is genuine, and one of its claims is missing or cannot be used.
    #[error("the token's claim `{claim}` {problem}")]
    Claim {
        /// The claim's name.
        claim: Cow<'static, str>,
        /// What is wrong with it, and what would be right.
        problem: &'static str,
    },
    /// A token could not be made.
    #[error("the token could not be signed: {0}")]
    Signing(String),
}

#[cfg(test)]
mod tests;
