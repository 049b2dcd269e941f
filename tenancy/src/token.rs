//! Bearer tokens: JWTs signed with HS256.
//!
//! The algorithm is fixed by the verifier, never by the token. The signature is checked before a
//! claim is read, so that the messages about claims are only for holders of a genuine token.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Role, RoleSet, Secret, TenantId};

/// How far the clocks of issuer and service may differ.
pub const LEEWAY: TimeDelta = TimeDelta::seconds(30);

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;
/// The longest subject, in bytes.
const MAX_SUBJECT: usize = 255;
/// The audience that a token which names any must name.
const AUDIENCE: &str = "tidemark";

/// Who a verified token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who calls: a person or a program.
    pub subject: String,
    /// For which tenant; `None` exactly for the platform.
    pub tenant: Option<TenantId>,
    /// In which roles; never empty, and [`Role::Platform`] only alone.
    pub roles: RoleSet,
    /// From when on it no longer holds: the token's `exp` and the [`LEEWAY`].
    pub expires_at: DateTime<Utc>,
}

/// Why a token is not accepted. No message quotes the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no JWT.
    #[error("the token is malformed; send a JWT as it was issued, after `Bearer `")]
    Malformed,
    /// It is a JWT of a kind that is not accepted.
    #[error("the token is not signed with HS256; ask for a token that is")]
    Algorithm,
    /// The signature is not that of a secret in use.
    #[error("the token's signature does not hold; ask for a new token")]
    Signature,
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
        claim: &'static str,
        /// What is wrong with it, and what would be right.
        problem: &'static str,
    },
    /// A token could not be made.
    #[error("the token could not be signed: {0}")]
    Signing(String),
}

fn claim(claim: &'static str, problem: &'static str) -> TokenError {
    TokenError::Claim { claim, problem }
}

/// Checks tokens. Cheap to share behind an `Arc`.
pub struct Verifier {
    keys: Vec<DecodingKey>,
    validation: Validation,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({} secrets)", self.keys.len())
    }
}

impl Verifier {
    /// Accepts tokens signed with HS256 and any of the secrets, so that a secret can be replaced by
    /// a new one while tokens of the old one are about. Without a secret no token is accepted.
    pub fn hs256(secrets: Vec<Secret>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are checked here, against the caller's clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims.clear();
        validation.set_audience(&[AUDIENCE]);
        let keys = secrets.into_iter().map(|s| DecodingKey::from_secret(s.bytes())).collect();
        Self { keys, validation }
    }

    /// Who the token speaks for at `now`.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Identity, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Malformed);
        }
        check_header(token)?;
        for key in &self.keys {
            match jsonwebtoken::decode::<Wire>(token, key, &self.validation) {
                Ok(data) => return data.claims.identity(now),
                Err(error) => match refusal(error.kind()) {
                    TokenError::Signature => {}
                    other => return Err(other),
                },
            }
        }
        Err(TokenError::Signature)
    }
}

/// Refuses other algorithms, and extensions that must be understood but are not (RFC 7515, 4.1.11).
fn check_header(token: &str) -> Result<(), TokenError> {
    #[derive(Deserialize)]
    struct Kind {
        alg: String,
        crit: Option<Value>,
    }
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Malformed);
    };
    let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenError::Malformed)?;
    let kind: Kind = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
    if kind.alg != "HS256" || kind.crit.is_some() {
        return Err(TokenError::Algorithm);
    }
    Ok(())
}

fn refusal(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => TokenError::Algorithm,
        ErrorKind::InvalidAudience => {
            claim("aud", "names other services; leave it out, or let it name `tidemark`")
        }
        _ => TokenError::Malformed,
    }
}

/// The claims as they come: anything may stand anywhere, and each is judged by itself.
#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    sub: Value,
    #[serde(default)]
    exp: Value,
    #[serde(default)]
    nbf: Value,
    #[serde(default)]
    tenant: Value,
    #[serde(default)]
    roles: Value,
}

impl Wire {
    fn identity(self, now: DateTime<Utc>) -> Result<Identity, TokenError> {
        let exp = instant("exp", &self.exp)?;
        let exp = exp.ok_or_else(|| claim("exp", "is missing; a token must expire"))?;
        let expires_at = exp.checked_add_signed(LEEWAY).unwrap_or(exp);
        if now >= expires_at {
            return Err(TokenError::Expired(exp));
        }
        if let Some(nbf) = instant("nbf", &self.nbf)?
            && now < nbf.checked_sub_signed(LEEWAY).unwrap_or(nbf)
        {
            return Err(TokenError::NotYetValid(nbf));
        }
        let subject = match self.sub {
            Value::String(sub) => checked_subject(sub)?,
            _ => return Err(claim("sub", "is missing; it says who calls, as text")),
        };
        let tenant = match self.tenant {
            Value::Null => None,
            Value::String(id) => {
                Some(id.parse().map_err(|_| claim("tenant", "is no tenant's id in its form"))?)
            }
            _ => return Err(claim("tenant", "must be text")),
        };
        let roles = known_roles(&self.roles)?;
        check_scope(tenant.as_ref(), roles)?;
        Ok(Identity { subject, tenant, roles, expires_at })
    }
}

/// A NumericDate: seconds since 1970, with a fraction or without.
fn instant(name: &'static str, value: &Value) -> Result<Option<DateTime<Utc>>, TokenError> {
    let seconds = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().filter(|s| s.abs() < 9e15).map(|s| s.floor() as i64)),
        _ => None,
    };
    seconds
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .map(Some)
        .ok_or_else(|| claim(name, "must be a number of seconds since 1970-01-01"))
}

fn checked_subject(sub: String) -> Result<String, TokenError> {
    if sub.is_empty() || sub.len() > MAX_SUBJECT || sub.chars().any(char::is_control) {
        return Err(claim("sub", "must have 1 to 255 bytes and no control characters"));
    }
    Ok(sub)
}

/// The roles that are known here. Others may mean something elsewhere; here they grant nothing.
fn known_roles(value: &Value) -> Result<RoleSet, TokenError> {
    const FORM: &str = "must be a list of texts, such as [\"analyst\"]";
    let names = match value {
        Value::Null => {
            return Err(claim("roles", "is missing; it lists what the caller may do"));
        }
        Value::Array(names) => names,
        _ => return Err(claim("roles", FORM)),
    };
    let mut roles = Vec::new();
    for name in names {
        let Value::String(name) = name else {
            return Err(claim("roles", FORM));
        };
        roles.extend(name.parse::<Role>().ok());
    }
    if roles.is_empty() {
        return Err(claim("roles", "names none of executive, analyst, service, admin, platform"));
    }
    Ok(roles.into_iter().collect())
}

/// One tenant or the platform, never both and never neither.
fn check_scope(tenant: Option<&TenantId>, roles: RoleSet) -> Result<(), TokenError> {
    if roles.contains(Role::Platform) {
        if roles != RoleSet::from(Role::Platform) {
            return Err(claim("roles", "mixes `platform` with roles in a tenant; use two tokens"));
        }
        if tenant.is_some() {
            return Err(claim("tenant", "must not be there in a token of the role `platform`"));
        }
    } else if tenant.is_none() {
        return Err(claim("tenant", "is missing; these roles hold in one tenant, so name it"));
    }
    Ok(())
}

/// The claims of a token to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claims {
    sub: String,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantId>,
    roles: RoleSet,
}

impl Claims {
    /// Claims that a [`Verifier`] accepts until `expires_at`: a tenant exactly when the roles are
    /// not `platform`, and at least one role.
    pub fn new(
        subject: impl Into<String>,
        tenant: Option<TenantId>,
        roles: RoleSet,
        expires_at: DateTime<Utc>,
    ) -> Result<Self, TokenError> {
        if roles.is_empty() {
            return Err(claim("roles", "is empty; name at least one role"));
        }
        check_scope(tenant.as_ref(), roles)?;
        Ok(Self {
            sub: checked_subject(subject.into())?,
            exp: expires_at.timestamp(),
            tenant,
            roles,
        })
    }
}

/// A token with these claims, signed with HS256.
pub fn mint(secret: &Secret, claims: &Claims) -> Result<String, TokenError> {
    let key = EncodingKey::from_secret(secret.bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key)
        .map_err(|error| TokenError::Signing(error.to_string()))
}

#[cfg(test)]
mod tests;
