//! What a genuine token says: claims read, judged, and written.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Identity, TokenError};
use crate::{IssuerSettings, Role, RoleSet, Secret, TenantId, service_tokens};

/// The longest subject, in bytes.
const MAX_SUBJECT: usize = 255;
/// The audience that a token of the service's secret must name if it names any.
const AUDIENCE: &str = "tidemark";

/// The claims in which an issuer says who calls. A name is that of a claim, or a path of names with
/// dots between them, such as `realm_access.roles`; a claim of the whole name goes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// Of the caller.
    pub subject: Cow<'static, str>,
    /// Of its tenant.
    pub tenant: Cow<'static, str>,
    /// Of its roles.
    pub roles: Cow<'static, str>,
}

impl ClaimNames {
    /// `sub`, `tenant`, `roles`.
    pub const fn plain() -> Self {
        Self {
            subject: Cow::Borrowed("sub"),
            tenant: Cow::Borrowed("tenant"),
            roles: Cow::Borrowed("roles"),
        }
    }
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self::plain()
    }
}

/// Tokens of the service's own secret have the plain names.
static PLAIN: ClaimNames = ClaimNames::plain();

/// Whose token it is, and so what its claims must be.
#[derive(Clone, Copy)]
pub(super) enum Expected<'a> {
    /// Of somebody who has the service's secret.
    OfSecret,
    /// Of the issuer, which signs for other services too.
    OfIssuer(&'a IssuerSettings),
}

/// A claim that cannot be used.
fn claim(claim: impl Into<Cow<'static, str>>, problem: &'static str) -> TokenError {
    TokenError::Claim { claim: claim.into(), problem }
}

/// Who a token with these claims speaks for at `now`.
pub(super) fn identity(
    claims: &Map<String, Value>,
    expected: Expected<'_>,
    now: DateTime<Utc>,
    leeway: TimeDelta,
) -> Result<Identity, TokenError> {
    let expires_at = check_times(claims, now, leeway)?;
    check_service(claims, expected)?;
    let names = match expected {
        Expected::OfSecret => &PLAIN,
        Expected::OfIssuer(settings) => &settings.claims,
    };
    let subject = match find(claims, &names.subject) {
        Value::String(subject) => checked_subject(&names.subject, subject)?,
        _ => return Err(claim(names.subject.clone(), "is missing; it says who calls, as text")),
    };
    let tenant = match find(claims, &names.tenant) {
        Value::Null => None,
        Value::String(id) => {
            let form = || claim(names.tenant.clone(), "is no tenant's id in its form");
            Some(id.parse().map_err(|_| form())?)
        }
        _ => return Err(claim(names.tenant.clone(), "must be text")),
    };
    let roles = known_roles(&names.roles, find(claims, &names.roles), expected)?;
    check_scope(tenant.as_ref(), roles, names)?;
    let issued_at = instant("iat", find(claims, "iat"))?.unwrap_or(DateTime::UNIX_EPOCH);
    Ok(Identity { subject, tenant, roles, issued_at, expires_at })
}

/// The claim of a name or path; null if there is none.
fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> &'a Value {
    const NONE: &Value = &Value::Null;
    if let Some(value) = claims.get(name) {
        return value;
    }
    let mut path = name.split('.');
    let first = path.next().and_then(|name| claims.get(name));
    let found = path.try_fold(first, |at, name| at.map(|at| at.get(name)));
    found.flatten().unwrap_or(NONE)
}

/// The end of a token that holds at `now`.
fn check_times(
    claims: &Map<String, Value>,
    now: DateTime<Utc>,
    leeway: TimeDelta,
) -> Result<DateTime<Utc>, TokenError> {
    let exp = instant("exp", find(claims, "exp"))?;
    let exp = exp.ok_or_else(|| claim("exp", "is missing; a token must expire"))?;
    let expires_at = exp.checked_add_signed(leeway).unwrap_or(exp);
    if now >= expires_at {
        return Err(TokenError::Expired(exp));
    }
    match instant("nbf", find(claims, "nbf"))? {
        Some(nbf) if now < nbf.checked_sub_signed(leeway).unwrap_or(nbf) => {
            Err(TokenError::NotYetValid(nbf))
        }
        _ => Ok(expires_at),
    }
}

/// Whether the token is meant for this service, and comes from whom it should.
fn check_service(claims: &Map<String, Value>, expected: Expected<'_>) -> Result<(), TokenError> {
    let (audience, given) = (claims.get("aud"), "names other services");
    match expected {
        Expected::OfSecret => match audience {
            None | Some(Value::Null) => Ok(()),
            Some(audience) if names(audience, AUDIENCE) => Ok(()),
            Some(_) => {
                Err(claim("aud", "names other services; leave it out, or let it name `tidemark`"))
            }
        },
        Expected::OfIssuer(settings) => {
            if claims.get("iss").and_then(Value::as_str) != Some(settings.issuer.as_str()) {
                return Err(claim("iss", "is not the issuer that this service trusts"));
            }
            match audience {
                Some(audience) if names(audience, &settings.audience) => Ok(()),
                Some(_) => Err(claim("aud", given)),
                None => Err(claim("aud", "is missing; it says which service the token is for")),
            }
        }
    }
}

/// Whether `aud`, a text or a list of texts, has this one.
fn names(audience: &Value, service: &str) -> bool {
    match audience {
        Value::String(one) => one == service,
        Value::Array(all) => all.iter().any(|one| one == service),
        _ => false,
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

fn checked_subject(name: &str, subject: &str) -> Result<String, TokenError> {
    let is_long = subject.is_empty() || subject.len() > MAX_SUBJECT;
    if is_long || subject.chars().any(char::is_control) {
        return Err(claim(name.to_owned(), "must have 1 to 255 bytes and no control characters"));
    }
    // In the audit and in limits it would be one.
    if subject.starts_with(service_tokens::SUBJECT) {
        return Err(claim(name.to_owned(), "begins as that of a service token, which this is not"));
    }
    Ok(subject.to_owned())
}

/// The roles that are known here. Others may mean something elsewhere; here they grant nothing.
fn known_roles(name: &str, value: &Value, expected: Expected<'_>) -> Result<RoleSet, TokenError> {
    const FORM: &str = "must be a list of texts, such as [\"analyst\"]";
    let form = || claim(name.to_owned(), FORM);
    let given: Vec<&str> = match (value, expected) {
        (Value::Null, _) => {
            return Err(claim(name.to_owned(), "is missing; it lists what the caller may do"));
        }
        (Value::Array(given), _) => {
            given.iter().map(|one| one.as_str().ok_or_else(form)).collect::<Result<_, _>>()?
        }
        // As in `scope`: one text with spaces.
        (Value::String(given), Expected::OfIssuer(_)) => given.split(' ').collect(),
        _ => return Err(form()),
    };
    let roles: RoleSet = given.into_iter().filter_map(|role| role.parse::<Role>().ok()).collect();
    if roles.is_empty() {
        let none = "names none of executive, analyst, service, admin, platform";
        return Err(claim(name.to_owned(), none));
    }
    Ok(roles)
}

/// One tenant or the platform, never both and never neither.
fn check_scope(
    tenant: Option<&TenantId>,
    roles: RoleSet,
    names: &ClaimNames,
) -> Result<(), TokenError> {
    let (of_roles, of_tenant) = (names.roles.clone(), names.tenant.clone());
    if roles.contains(Role::Platform) {
        if roles != RoleSet::from(Role::Platform) {
            return Err(claim(of_roles, "mixes `platform` with roles in a tenant; use two tokens"));
        }
        if tenant.is_some() {
            return Err(claim(of_tenant, "must not be there in a token of the role `platform`"));
        }
    } else if tenant.is_none() {
        return Err(claim(of_tenant, "is missing; these roles hold in one tenant, so name it"));
    }
    Ok(())
}

/// The claims of a token to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claims {
    sub: String,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantId>,
    roles: RoleSet,
}

impl Claims {
    /// Claims, of now, that a [`super::Verifier`] accepts until `expires_at`: a tenant exactly when the roles
    /// are not `platform`, and at least one role.
    pub fn new(
        subject: impl Into<String>,
        tenant: Option<TenantId>,
        roles: RoleSet,
        expires_at: DateTime<Utc>,
    ) -> Result<Self, TokenError> {
        if roles.is_empty() {
            return Err(claim("roles", "is empty; name at least one role"));
        }
        check_scope(tenant.as_ref(), roles, &PLAIN)?;
        let sub = checked_subject(&PLAIN.subject, &subject.into())?;
        let (iat, exp) = (Utc::now().timestamp(), expires_at.timestamp());
        Ok(Self { sub, iat, exp, tenant, roles })
    }
}

/// A token with these claims, signed with HS256.
pub fn mint(secret: &Secret, claims: &Claims) -> Result<String, TokenError> {
    let key = EncodingKey::from_secret(secret.bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key)
        .map_err(|error| TokenError::Signing(error.to_string()))
}
