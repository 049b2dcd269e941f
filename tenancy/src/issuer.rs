//! An OIDC issuer that the service trusts: what it says of itself, its keys, and its tokens for the
//! page.
//!
//! **In:** the issuer's address. **Out:** the keys that its tokens are checked with, and what a
//! browser needs to sign in there.
//!
//! Invariants:
//! - Keys are asked for when a token names one that is not known, at most once in
//!   [`Pace::between`], however many tokens do; and in the background when they are older than
//!   [`Pace::fresh`], so that a key that the issuer withdraws ends. Where they are older than twice
//!   that, as after a night without a call, the answer is waited for a moment.
//! - While the issuer does not answer, the keys that are known go on holding.
//! - Only public keys for signatures are taken over, each for the one algorithm of its kind.
//! - It is reached by HTTPS, with all that it says of where to go on; by plain HTTP only on this
//!   machine, as whoever stands between could sign for everybody.
//! - What is read of an answer is bounded, in bytes and in time, and no redirect is followed.

mod answer;
mod keys;
mod sign_in;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

pub(crate) use self::keys::Key;
use self::keys::KeySet;
pub use self::sign_in::{Account, Exchanged, SignIn, SignInError};
use crate::token::Signature;
use crate::{ClaimNames, TokenError};

/// For an issuer to be reached, and to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a token waits for old keys to be asked for again.
const MOMENT: Duration = Duration::from_secs(1);
/// The most keys an issuer has.
const MOST_KEYS: usize = 64;

/// What is known of an issuer before it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSettings {
    /// Its address, as its tokens have it in `iss`.
    pub issuer: String,
    /// What its tokens for this service have in `aud`.
    pub audience: String,
    /// The names of the claims.
    pub claims: ClaimNames,
    /// As whom the page of a tenant's people signs in.
    pub client: PageClient,
    /// As whom that of the platform's operators does.
    pub platform_client: PageClient,
    /// What the page asks for.
    pub scope: String,
}

/// As whom a page signs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageClient {
    /// Its name at the issuer; without it the page takes pasted tokens.
    pub id: Option<String>,
    /// What proves that it is the one, if the issuer asks for it.
    pub secret: Option<ClientSecret>,
}

impl Default for IssuerSettings {
    /// Of no issuer: its address is empty.
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: String::new(),
            claims: ClaimNames::default(),
            client: PageClient::default(),
            platform_client: PageClient::default(),
            scope: String::from("openid"),
        }
    }
}

/// The password of a page's client. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecret(pub String);

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

/// How often an issuer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The least time between two questions for its keys.
    pub between: Duration,
    /// How old its keys may be before they are asked for again.
    pub fresh: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { between: Duration::from_secs(10), fresh: Duration::from_mins(5) }
    }
}

/// An issuer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// Its address is none. It may hold a password, so it is not repeated.
    #[error(
        "that is no address of an issuer; expected one like https://id.example.com/realm (http:// \
         only for one on this machine)"
    )]
    Address,
    /// Nothing can be asked over HTTP.
    #[error("the issuer cannot be asked: {0}")]
    Client(String),
    /// It does not answer, or not as an issuer does.
    #[error("the issuer {issuer} cannot be asked for {what}: {reason}")]
    Unreachable {
        /// Its address.
        issuer: String,
        /// What was asked for.
        what: &'static str,
        /// What went wrong.
        reason: String,
    },
}

/// An issuer; cheap to clone, all clones share what is known of it.
#[derive(Clone)]
pub struct Issuer {
    inner: Arc<Inner>,
}

struct Inner {
    settings: IssuerSettings,
    /// The clients' secrets, which may be others than in the settings by now.
    secrets: RwLock<Secrets>,
    pace: Pace,
    client: Client,
    known: RwLock<Option<Arc<Known>>>,
    /// Held by whoever asks; when it was asked last.
    asked: Mutex<Option<Instant>>,
    /// How often a key was gone that was known before.
    withdrawals: Arc<watch::Sender<u64>>,
}

/// What proves who the pages are.
struct Secrets {
    tenant: Option<ClientSecret>,
    platform: Option<ClientSecret>,
}

/// What it has said.
struct Known {
    metadata: Metadata,
    keys: KeySet,
    since: Instant,
}

/// What an issuer says of itself (OpenID Connect Discovery 1.0, 3).
#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    issuer: String,
    #[serde(deserialize_with = "address")]
    jwks_uri: Url,
    #[serde(default, deserialize_with = "address_if_any")]
    authorization_endpoint: Option<Url>,
    #[serde(default, deserialize_with = "address_if_any")]
    token_endpoint: Option<Url>,
    #[serde(default, deserialize_with = "address_if_any")]
    end_session_endpoint: Option<Url>,
}

impl Metadata {
    /// The name of an address by which others could read or write along; one on this machine is good
    /// enough for an issuer that is there too.
    fn unsafe_address(&self, is_local: bool) -> Option<&'static str> {
        let addresses = [
            ("jwks_uri", Some(&self.jwks_uri)),
            ("authorization_endpoint", self.authorization_endpoint.as_ref()),
            ("token_endpoint", self.token_endpoint.as_ref()),
            ("end_session_endpoint", self.end_session_endpoint.as_ref()),
        ];
        let is_safe = |url: &Url| url.scheme() == "https" || is_local && is_on_this_machine(url);
        let found = addresses.into_iter().find(|(_, url)| url.is_some_and(|url| !is_safe(url)));
        found.map(|(name, _)| name)
    }
}

/// Whether what is said to an address stays on this machine.
fn is_on_this_machine(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
            address.is_some_and(|address| address.is_loopback())
        }
        None => false,
    }
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Url, D::Error> {
    let url = Url::parse(&String::deserialize(from)?).map_err(D::Error::custom)?;
    let is_http = matches!(url.scheme(), "http" | "https");
    is_http.then_some(url).ok_or_else(|| D::Error::custom("an address is not one of HTTP"))
}

fn address_if_any<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    #[derive(Deserialize)]
    struct Given(#[serde(deserialize_with = "address")] Url);
    Ok(Option::<Given>::deserialize(from)?.map(|Given(url)| url))
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issuer({})", self.inner.settings.issuer)
    }
}

impl Issuer {
    /// An issuer that nothing was asked of yet.
    ///
    /// # Errors
    /// Its address is none.
    pub fn new(settings: IssuerSettings, pace: Pace) -> Result<Self, IssuerError> {
        discovery(&settings.issuer)?;
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(Policy::none())
            .user_agent("tidemark")
            .build()
            .map_err(|error| IssuerError::Client(error.to_string()))?;
        let (known, asked, withdrawals) = (RwLock::default(), Mutex::default(), Arc::default());
        let secrets = RwLock::new(Secrets {
            tenant: settings.client.secret.clone(),
            platform: settings.platform_client.secret.clone(),
        });
        let inner = Inner { settings, secrets, pace, client, known, asked, withdrawals };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether a text can be the address of an issuer.
    ///
    /// # Errors
    /// It cannot.
    pub fn check_address(text: &str) -> Result<(), IssuerError> {
        discovery(text).map(drop)
    }

    /// What was known before it was asked. The secrets may be others by now.
    pub fn settings(&self) -> &IssuerSettings {
        &self.inner.settings
    }

    /// Takes the secrets of the page's clients from these settings, and nothing else of them. Where
    /// they are of another issuer or of other clients, nothing is taken, as a secret is nobody else's
    /// affair: the answer is false then.
    pub fn replace_secrets(&self, settings: &IssuerSettings) -> bool {
        let names = |of: &IssuerSettings| {
            (of.issuer.clone(), of.client.id.clone(), of.platform_client.id.clone())
        };
        if names(settings) != names(self.settings()) {
            return false;
        }
        let mut secrets = self.inner.secrets.write().unwrap_or_else(PoisonError::into_inner);
        secrets.tenant.clone_from(&settings.client.secret);
        secrets.platform.clone_from(&settings.platform_client.secret);
        true
    }

    /// How often a key was gone that was known before.
    pub(crate) fn withdrawals(&self) -> &Arc<watch::Sender<u64>> {
        &self.inner.withdrawals
    }

    /// Whether it has answered before, so that what it says of itself is in memory.
    pub fn is_known(&self) -> bool {
        self.known().is_some()
    }

    fn known(&self) -> Option<Arc<Known>> {
        self.inner.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys that a token of this kind may be signed with: the one that it names, or all if it
    /// names none. [`TokenError::UnknownKey`] if there is none.
    pub(crate) fn keys(
        &self,
        signature: Signature,
        key_id: Option<&str>,
    ) -> Result<Vec<Key>, TokenError> {
        let known = self.known().ok_or(TokenError::UnknownKey)?;
        if known.since.elapsed() > self.inner.pace.fresh {
            drop(self.look_behind());
        }
        let keys = known.keys.find(signature, key_id);
        if keys.is_empty() { Err(TokenError::UnknownKey) } else { Ok(keys) }
    }

    /// Asks for the keys, unless that was done just before.
    pub(crate) async fn look(&self) -> Result<(), TokenError> {
        match self.metadata().await {
            Ok(_) => Ok(()),
            // The keys that are known go on holding; the token's is not one of them.
            Err(_) if self.known().is_some() => Ok(()),
            Err(_) => Err(TokenError::IssuerUnreachable),
        }
    }

    /// What it says of itself, asked for now, unless that was done just before.
    async fn metadata(&self) -> Result<Metadata, IssuerError> {
        let mut asked = self.inner.asked.lock().await;
        let is_early = asked.is_some_and(|at| at.elapsed() < self.inner.pace.between);
        if is_early {
            let known = self.known().map(|known| known.metadata.clone());
            return known.ok_or_else(|| self.unreachable("its keys", "it did not answer just now"));
        }
        *asked = Some(Instant::now());
        let read = self.read().await;
        match &read {
            Ok((metadata, keys)) => {
                let (metadata, keys) = (metadata.clone(), keys.clone());
                self.take(Known { metadata, keys, since: Instant::now() });
            }
            Err(error) => tracing::warn!(%error, "tokens with keys that are not known are refused"),
        }
        read.map(|(metadata, _)| metadata)
    }

    /// Takes what it has said in the place of what it said before.
    fn take(&self, known: Known) {
        let mut current = self.inner.known.write().unwrap_or_else(PoisonError::into_inner);
        let is_one_gone =
            current.as_ref().is_some_and(|before| !before.keys.are_all_in(&known.keys));
        *current = Some(Arc::new(known));
        drop(current);
        // After it holds no more: whoever was let in by it has read a lower number.
        if is_one_gone {
            self.inner.withdrawals.send_modify(|count| *count += 1);
        }
    }

    /// Sees to it that keys which are so old that nothing can be said of them are asked for before
    /// they are used; for a moment, as they go on holding while the issuer does not answer.
    pub(crate) async fn freshen(&self) {
        let limit = 2 * self.inner.pace.fresh;
        if self.known().is_none_or(|known| known.since.elapsed() <= limit) {
            return;
        }
        let asking = async {
            match self.look_behind() {
                Some(asking) => drop(asking.await),
                // Whoever asks already holds it until the answer is taken.
                None => drop(self.inner.asked.lock().await),
            }
        };
        if tokio::time::timeout(MOMENT, asking).await.is_err() {
            tracing::debug!("the issuer takes its time; the keys that are known are used");
        }
    }

    /// Asks in the background; whoever has begun to already does it for all.
    fn look_behind(&self) -> Option<JoinHandle<Result<(), TokenError>>> {
        let asked = self.inner.asked.try_lock().ok()?;
        if asked.is_some_and(|at| at.elapsed() < self.inner.pace.between) {
            return None;
        }
        let issuer = self.clone();
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        Some(runtime.spawn(async move { issuer.look().await }))
    }

    async fn read(&self) -> Result<(Metadata, KeySet), IssuerError> {
        let issuer = &self.inner.settings.issuer;
        let from = discovery(issuer)?;
        let is_local = from.scheme() == "http";
        let metadata: Metadata = self.get(from, "its configuration").await?;
        if metadata.issuer != *issuer {
            let reason = format!("it says that it is {}", shown(&metadata.issuer));
            return Err(self.unreachable("its configuration", &reason));
        }
        if let Some(name) = metadata.unsafe_address(is_local) {
            let reason = format!("the address `{name}` is not one of HTTPS");
            return Err(self.unreachable("its configuration", &reason));
        }
        let keys = self.get(metadata.jwks_uri.clone(), "its keys").await?;
        let keys = KeySet::of(keys, MOST_KEYS);
        if keys.is_empty() {
            return Err(self.unreachable("its keys", "none of them is for RS256, ES256 or EdDSA"));
        }
        Ok((metadata, keys))
    }

    fn unreachable(&self, what: &'static str, reason: &str) -> IssuerError {
        let (issuer, reason) = (self.inner.settings.issuer.clone(), reason.to_owned());
        IssuerError::Unreachable { issuer, what, reason }
    }
}

/// What of a foreign text goes into a log.
fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}

/// Where an issuer says what it is (OpenID Connect Discovery 1.0, 4).
fn discovery(issuer: &str) -> Result<Url, IssuerError> {
    let url = Url::parse(issuer).map_err(|_| IssuerError::Address)?;
    let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_on_this_machine(&url);
    if !is_safe || !is_bare || url.password().is_some() {
        return Err(IssuerError::Address);
    }
    let text = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    Url::parse(&text).map_err(|_| IssuerError::Address)
}

#[cfg(test)]
pub(crate) mod example;
#[cfg(test)]
mod tests;
