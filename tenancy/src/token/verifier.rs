//! Checking tokens.

use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::claims::{self, Expected};
use super::header::{Header, Signature};
use super::{Identity, LEEWAY, TokenError};
use crate::issuer::Key;
use crate::{Issuer, Secret};

/// Checks tokens. Cheap to share behind an `Arc`.
pub struct Verifier {
    secrets: RwLock<Secrets>,
    issuer: Option<Issuer>,
    leeway: TimeDelta,
    /// How many withdrawals of secrets and keys there were.
    withdrawals: Arc<watch::Sender<u64>>,
}

/// The secrets that hold.
struct Secrets {
    held: Vec<Secret>,
    keys: Arc<[DecodingKey]>,
}

impl Secrets {
    fn new(held: Vec<Secret>) -> Self {
        let keys = held.iter().map(|secret| DecodingKey::from_secret(secret.bytes())).collect();
        Self { held, keys }
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({} secrets, issuer: {})", self.secrets().len(), self.issuer.is_some())
    }
}

impl Verifier {
    /// Accepts tokens signed with HS256 and any of the secrets, so that a secret can be replaced by
    /// a new one while tokens of the old one are about. Without a secret no token is accepted.
    pub fn hs256(secrets: Vec<Secret>) -> Self {
        let secrets = RwLock::new(Secrets::new(secrets));
        Self { secrets, issuer: None, leeway: LEEWAY, withdrawals: Arc::default() }
    }

    /// Accepts those of an issuer too.
    #[must_use]
    pub fn with_issuer(self, issuer: Issuer) -> Self {
        let withdrawals = Arc::clone(issuer.withdrawals());
        Self { issuer: Some(issuer), withdrawals, ..self }
    }

    /// Lets the clocks of whoever signs differ by so much from that of the service.
    #[must_use]
    pub fn with_leeway(self, leeway: TimeDelta) -> Self {
        Self { leeway, ..self }
    }

    /// The issuer, if one is trusted.
    pub fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }

    /// Puts other secrets in the place of those that were in use; at once, for all callers.
    pub fn replace_secrets(&self, secrets: &[Secret]) {
        let mut current = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        let is_one_gone = current.held.iter().any(|held| !secrets.contains(held));
        *current = Secrets::new(secrets.to_vec());
        drop(current);
        // After it holds no more: whoever was let in by it has read a lower number.
        if is_one_gone {
            self.withdrawals.send_modify(|count| *count += 1);
        }
    }

    fn secrets(&self) -> Arc<[DecodingKey]> {
        Arc::clone(&self.secrets.read().unwrap_or_else(PoisonError::into_inner).keys)
    }

    /// How often a secret in use, or a key of the issuer that was known, was withdrawn. Whoever was
    /// let in by a token that was checked after this was another number may have been by that one.
    pub fn withdrawals(&self) -> u64 {
        *self.withdrawals.borrow()
    }

    /// Waits until [`Verifier::withdrawals`] is another number than `since`, and answers it.
    pub async fn withdrawn(&self, since: u64) -> u64 {
        let mut withdrawals = self.withdrawals.subscribe();
        // The sender lives as long as this.
        withdrawals.wait_for(|count| *count != since).await.map_or(since, |count| *count)
    }

    /// Who the token speaks for at `now`; asks the issuer for its keys if the token's is none that
    /// is known, or if they are old.
    pub async fn identify(&self, token: &str, now: DateTime<Utc>) -> Result<Identity, TokenError> {
        if let Some(issuer) = &self.issuer
            && Header::of(token)?.signature != Signature::Hs256
        {
            issuer.freshen().await;
        }
        match (self.verify(token, now), &self.issuer) {
            (Err(TokenError::UnknownKey), Some(issuer)) => {
                issuer.look().await?;
                self.verify(token, now)
            }
            // It may be of a new key, and not say of which, or by the name of another.
            (Err(TokenError::Signature), Some(issuer))
                if Header::of(token)?.signature != Signature::Hs256 =>
            {
                issuer.look().await?;
                self.verify(token, now)
            }
            (outcome, _) => outcome,
        }
    }

    /// Who the token speaks for at `now`, as far as the issuer's keys are known.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Identity, TokenError> {
        let header = Header::of(token)?;
        if header.signature == Signature::Hs256 {
            let secrets = self.secrets();
            if secrets.is_empty() && self.issuer.is_some() {
                return Err(TokenError::Algorithm);
            }
            let wire = checked(token, header.signature, secrets.iter())?;
            return claims::identity(&wire, Expected::OfSecret, now, self.leeway);
        }
        let issuer = self.issuer.as_ref().ok_or(TokenError::Algorithm)?;
        let keys = issuer.keys(header.signature, header.key_id.as_deref())?;
        let wire = checked(token, header.signature, keys.iter().map(Key::decoding))?;
        claims::identity(&wire, Expected::OfIssuer(issuer.settings()), now, self.leeway)
    }
}

/// The claims of a token that one of the keys has signed.
fn checked<'a>(
    token: &str,
    signature: Signature,
    keys: impl Iterator<Item = &'a DecodingKey>,
) -> Result<Map<String, Value>, TokenError> {
    let validation = signature_alone(signature);
    for key in keys {
        match jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation) {
            Ok(data) => return Ok(data.claims),
            Err(error) => match error.kind() {
                // A key that is none is the issuer's fault, not the token's; the next may do.
                ErrorKind::InvalidSignature
                | ErrorKind::InvalidEcdsaKey
                | ErrorKind::InvalidEddsaKey
                | ErrorKind::InvalidRsaKey(_)
                | ErrorKind::InvalidKeyFormat => {}
                ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => {
                    return Err(TokenError::Algorithm);
                }
                _ => return Err(TokenError::Malformed),
            },
        }
    }
    Err(TokenError::Signature)
}

/// Claims are judged in [`claims`], against the caller's clock.
fn signature_alone(signature: Signature) -> Validation {
    let mut validation = Validation::new(signature.algorithm());
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
}
