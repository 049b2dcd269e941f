//! Service tokens: what a producer of a tenant sends events with, for as long as nobody revokes it.
//!
//! A token is `tms_`, the tenant's id, `~` and 256 random bits in base64url. It is shown once; what is
//! kept is its hash. With so many random bits one round of SHA-256 is enough, and nobody can find
//! anything out by the time that a comparison takes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

use crate::{Identity, Role, Store, StoreError, StoredServiceToken, TenantId, TenantRecord, hex};

/// How a service token begins.
const PREFIX: &str = "tms_";
/// How the subject of one begins, and of nobody else.
pub(crate) const SUBJECT: &str = "service-token:";
/// The tokens that a tenant has at a time.
const MOST: usize = 100;
/// The longest name of one, in bytes.
const MAX_NAME: usize = 200;
/// The number of no tenant.
const NOBODY: u32 = 0;
/// For how long what the store holds is believed without asking it.
const BELIEVED: Duration = Duration::from_millis(250);

/// Why there is no service token.
#[derive(Debug, thiserror::Error)]
pub enum ServiceTokenError {
    /// It holds nothing here.
    #[error(
        "the service token is not known here: it was revoked, has expired, or never was; ask an \
         admin of the tenant for another"
    )]
    Unknown,
    /// There is none with this id.
    #[error("there is no service token of this id; GET /v1/service-tokens lists them")]
    NotFound,
    /// A tenant has no more.
    #[error("there are {MOST} service tokens already; revoke those that are not used")]
    Full,
    /// A field of a new one cannot be taken.
    #[error("{field}: {message}")]
    Invalid {
        /// The field as it is called in JSON.
        field: &'static str,
        /// What would be right.
        message: &'static str,
    },
    /// The system gives no random bytes.
    #[error("the system's source of random bytes does not answer; try again")]
    Random,
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A service token as it is shown, once. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewServiceToken {
    /// The token.
    pub token: String,
    /// What is kept of it.
    pub stored: StoredServiceToken,
}

impl std::fmt::Debug for NewServiceToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewServiceToken").field("id", &self.stored.id).finish_non_exhaustive()
    }
}

/// A text in the form of a service token.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownToken {
    /// The tenant that it names.
    pub tenant: TenantId,
    hash: String,
}

impl std::fmt::Debug for ShownToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShownToken").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl ShownToken {
    /// Whether a text is meant as a service token.
    pub fn is_one(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Reads a text in the form of one.
    pub fn read(text: &str) -> Option<Self> {
        let (tenant, random) = text.strip_prefix(PREFIX)?.split_once('~')?;
        let mut bytes = [0; 32];
        let is_whole = matches!(URL_SAFE_NO_PAD.decode_slice(random, &mut bytes), Ok(32));
        let tenant = tenant.parse().ok().filter(|_| is_whole)?;
        Some(Self { tenant, hash: hash(text) })
    }
}

fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// The service tokens of all tenants, read from the store a tenant at a time.
///
/// What another process stores or removes holds here after [`BELIEVED`] at the latest, and a new
/// token at once: one that is not known is looked for. However many are, each tenant's are read once
/// at a time.
#[derive(Clone, Debug)]
pub struct ServiceTokens {
    store: Store,
    tenants: Arc<Mutex<HashMap<u32, Arc<OfTenant>>>>,
}

/// Those of one tenant.
#[derive(Debug, Default)]
struct OfTenant {
    read: tokio::sync::Mutex<Reading>,
}

/// The latest reading.
#[derive(Debug, Default)]
struct Reading {
    began: Option<Instant>,
    by_hash: HashMap<String, StoredServiceToken>,
}

impl ServiceTokens {
    /// Those of a store.
    pub fn new(store: Store) -> Self {
        Self { store, tenants: Arc::default() }
    }

    fn of(&self, tenant: u32) -> Arc<OfTenant> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tenants.entry(tenant).or_default())
    }

    /// Who sends a token at `now`; `tenant` is the one that it names, if that is there. If it is not,
    /// the store is asked all the same, so that the time tells nobody which tenants there are.
    pub async fn identify(
        &self,
        shown: &ShownToken,
        tenant: Option<&TenantRecord>,
        now: DateTime<Utc>,
    ) -> Result<Identity, ServiceTokenError> {
        let token = self.find(shown, tenant.map_or(NOBODY, |tenant| tenant.number)).await?;
        let (Some(token), Some(tenant)) = (token, tenant) else {
            return Err(ServiceTokenError::Unknown);
        };
        let expires_at = token.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC);
        if now >= expires_at || tenant.id != shown.tenant {
            return Err(ServiceTokenError::Unknown);
        }
        Ok(Identity {
            subject: format!("{SUBJECT}{}", token.id),
            tenant: Some(tenant.id.clone()),
            roles: Role::Service.into(),
            issued_at: token.created_at,
            expires_at,
        })
    }

    /// What is stored of a token, among those of a tenant.
    async fn find(
        &self,
        shown: &ShownToken,
        tenant: u32,
    ) -> Result<Option<StoredServiceToken>, ServiceTokenError> {
        let asked = Instant::now();
        let of = self.of(tenant);
        let mut reading = of.read.lock().await;
        let is_fresh = reading.began.is_some_and(|began| {
            began >= asked
                || (began.elapsed() < BELIEVED && reading.by_hash.contains_key(&shown.hash))
        });
        if !is_fresh {
            let began = Instant::now();
            let stored = self.store.service_tokens(tenant).await?;
            let by_hash = stored.into_iter().map(|token| (token.hash.clone(), token)).collect();
            *reading = Reading { began: Some(began), by_hash };
        }
        Ok(reading.by_hash.get(&shown.hash).cloned())
    }

    /// A new token of a tenant.
    pub async fn create(
        &self,
        tenant: &TenantRecord,
        name: &str,
        expires_at: Option<DateTime<Utc>>,
        created_by: &str,
    ) -> Result<NewServiceToken, ServiceTokenError> {
        let now = Utc::now();
        check(name, expires_at, now)?;
        let (id, secret) = (random::<9>()?, random::<32>()?);
        let token = format!("{PREFIX}{}~{secret}", tenant.id);
        let kept = StoredServiceToken {
            id,
            name: name.to_owned(),
            hash: hash(&token),
            created_by: created_by.to_owned(),
            created_at: stored(now),
            expires_at: expires_at.map(stored),
        };
        if !self.store.put_service_token(tenant.number, &kept, MOST).await? {
            return Err(ServiceTokenError::Full);
        }
        Ok(NewServiceToken { token, stored: kept })
    }

    /// All of a tenant, the oldest first.
    pub async fn list(&self, tenant: u32) -> Result<Vec<StoredServiceToken>, ServiceTokenError> {
        Ok(self.store.service_tokens(tenant).await?)
    }

    /// The one of this id.
    pub async fn get(
        &self,
        tenant: u32,
        id: &str,
    ) -> Result<StoredServiceToken, ServiceTokenError> {
        let all = self.store.service_tokens(tenant).await?;
        all.into_iter().find(|token| token.id == id).ok_or(ServiceTokenError::NotFound)
    }

    /// Ends a token: here at once.
    pub async fn revoke(&self, tenant: u32, id: &str) -> Result<(), ServiceTokenError> {
        let was_there = self.store.delete_service_token(tenant, id).await?;
        self.of(tenant).read.lock().await.began = None;
        if was_there { Ok(()) } else { Err(ServiceTokenError::NotFound) }
    }
}

/// An instant as the store gives it back: in whole microseconds.
fn stored(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

fn check(
    name: &str,
    expires_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), ServiceTokenError> {
    let invalid = |field, message| Err(ServiceTokenError::Invalid { field, message });
    if name.trim().is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return invalid("name", "must have 1 to 200 bytes and no control characters");
    }
    if expires_at.is_some_and(|at| at <= now) {
        return invalid("expires_at", "must be to come; leave it out for a token without an end");
    }
    Ok(())
}

/// So many random bytes, in base64url.
fn random<const N: usize>() -> Result<String, ServiceTokenError> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(|_| ServiceTokenError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests;
