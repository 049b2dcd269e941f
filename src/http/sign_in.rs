//! Signing in for the page: with which issuer, and a token for the code that it gives.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use stream::Problem;
use tenancy::{Account, Issuer, SignIn, SignInError};
use utoipa::ToSchema;

use super::audit::Peer;
use super::strangers::origin;
use super::{App, body, problems};

/// Sign-ins that wait for the issuer at a time: anybody may ask for one.
const AT_ONCE: usize = 32;
/// Of these, those of one address.
const OF_ADDRESS: usize = 4;
/// Sign-ins of one address in a minute: each is a question to the issuer, under this service's name.
const IN_A_MINUTE: usize = 120;
/// Addresses that are remembered. Beyond that, those that wait for nothing are forgotten.
const REMEMBERED: usize = 4_096;

/// How the page signs in.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = SignInOptions)]
pub(super) struct Options {
    /// What a browser needs to ask the issuer for a code; null where it can only be given a token.
    oidc: Option<SignIn>,
    /// The same for the page of the platform's operators, where there is a client for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<SignIn>,
}

/// What a browser needs to ask the issuer for a code; `{"oidc":null}` where it can only be given a
/// token.
pub(super) async fn describe(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
) -> Result<Json<Options>, Problem> {
    let Some(issuer) = app.verifier.issuer() else { return Ok(Json(Options::default())) };
    // Most of the time it is answered from memory.
    let seat = (!issuer.is_known()).then(|| app.signing_in.enter(address(peer), Instant::now()));
    if seat.as_ref().is_some_and(Option::is_none) {
        return Err(problems::too_many_sign_ins());
    }
    let oidc = offered(issuer, Account::Tenant).await?;
    Ok(Json(Options { oidc, platform: offered(issuer, Account::Platform).await? }))
}

/// What a browser needs to sign in with such an account, if there is a client for it.
async fn offered(issuer: &Issuer, account: Account) -> Result<Option<SignIn>, Problem> {
    match issuer.sign_in(account).await {
        Ok(sign_in) => Ok(Some(sign_in)),
        Err(SignInError::NotSet) => Ok(None),
        Err(error) => Err(problems::sign_in(&error)),
    }
}

/// What the browser came back with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignInCode)]
#[expect(clippy::struct_field_names, reason = "OAuth calls them so")]
pub(super) struct Code {
    code: String,
    code_verifier: String,
    redirect_uri: String,
    /// Whose page it is; that of a tenant's people where it is left out.
    #[serde(default)]
    account: Account,
}

/// A token for a code.
pub(super) async fn exchange(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<tenancy::Exchanged>, Problem> {
    let issuer = app.verifier.issuer().ok_or_else(|| problems::sign_in(&SignInError::NotSet))?;
    let code: Code = body::json(&headers, body).await?;
    let seat = app.signing_in.enter(address(peer), Instant::now());
    let _seat = seat.ok_or_else(problems::too_many_sign_ins)?;
    let Code { code, code_verifier, redirect_uri, account } = code;
    let exchanged = issuer.exchange(account, &code, &code_verifier, &redirect_uri).await;
    let exchanged = exchanged.map_err(|error| {
        tracing::warn!(%error, "a sign-in failed");
        problems::sign_in(&error)
    })?;
    // What does not hold here would only lead back to the sign-in, without saying why.
    let identity = app.identify(&exchanged.token).await?;
    let whose = if identity.tenant.is_some() { Account::Tenant } else { Account::Platform };
    if whose != account {
        return Err(problems::sign_in(&SignInError::OtherAccount(account)));
    }
    Ok(Json(exchanged))
}

/// Where a call comes from; every connection says it.
fn address(peer: Option<Extension<Peer>>) -> IpAddr {
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(Peer(peer))| peer.ip())
}

/// The sign-ins that wait for the issuer.
#[derive(Clone, Debug, Default)]
pub(super) struct SigningIn(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    by: HashMap<IpAddr, Tries>,
}

/// Those of one address.
#[derive(Debug)]
struct Tries {
    waiting: usize,
    /// Of the minute that began then.
    begun: usize,
    since: Instant,
}

/// The seat of a sign-in; given back when it is dropped.
#[derive(Debug)]
struct Seat {
    all: SigningIn,
    origin: IpAddr,
}

impl SigningIn {
    /// A seat for one from an address, if there is one.
    fn enter(&self, address: IpAddr, now: Instant) -> Option<Seat> {
        let origin = origin(address);
        let mut waiting = self.waiting();
        if waiting.count >= AT_ONCE {
            return None;
        }
        if waiting.by.len() >= REMEMBERED {
            waiting.by.retain(|_, tries| tries.waiting > 0);
        }
        let none = Tries { waiting: 0, begun: 0, since: now };
        let tries = waiting.by.entry(origin).or_insert(none);
        if now.duration_since(tries.since) >= Duration::from_mins(1) {
            (tries.begun, tries.since) = (0, now);
        }
        if tries.waiting >= OF_ADDRESS || tries.begun >= IN_A_MINUTE {
            return None;
        }
        tries.waiting += 1;
        tries.begun += 1;
        waiting.count += 1;
        drop(waiting);
        Some(Seat { all: self.clone(), origin })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut waiting = self.all.waiting();
        waiting.count -= 1;
        if let Some(tries) = waiting.by.get_mut(&self.origin) {
            tries.waiting -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    #[test]
    fn one_address_takes_a_few_seats_and_leaves_the_others() {
        let (all, now) = (SigningIn::default(), Instant::now());
        let mut seats = Vec::new();
        for number in 0..8 {
            for _ in 0..OF_ADDRESS {
                seats.push(all.enter(address(number), now).unwrap());
            }
            assert!(all.enter(address(number), now).is_none());
        }
        assert!(all.enter(address(9), now).is_none(), "all seats are taken");
        seats.pop();
        assert!(all.enter(address(9), now).is_some());
    }

    #[test]
    fn tries_are_counted_by_the_minute() {
        let (all, now) = (SigningIn::default(), Instant::now());
        for _ in 0..IN_A_MINUTE {
            assert!(all.enter(address(1), now).is_some());
        }
        assert!(all.enter(address(1), now).is_none());
        assert!(all.enter(address(2), now).is_some());
        assert!(all.enter(address(1), now + Duration::from_mins(1)).is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (all, now) = (SigningIn::default(), Instant::now());
        let held = all.enter(address(0), now).unwrap();
        for number in 1..10_000 {
            assert!(all.enter(address(number), now).is_some());
        }
        assert!(all.waiting().by.len() <= REMEMBERED + 1);
        drop(held);
        assert_eq!(all.waiting().count, 0);
    }
}
