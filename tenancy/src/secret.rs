//! The key that tokens are signed with.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde::{Deserialize, Deserializer};

/// A key of at least [`Secret::MIN_LEN`] bytes. Neither `Debug` nor an error ever shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// A key that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Too short to withstand guessing.
    #[error(
        "the secret has {0} bytes; HS256 needs at least 32: make one with `openssl rand -base64 48`"
    )]
    TooShort(usize),
    /// The system gives no random bytes.
    #[error("the system's source of random bytes does not answer")]
    Random,
}

impl Secret {
    /// The shortest key, in bytes: as long as the hash (RFC 7518, 3.2).
    pub const MIN_LEN: usize = 32;

    /// The bytes as a key, as they are: nothing is decoded or trimmed.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, SecretError> {
        let bytes = bytes.into();
        if bytes.len() < Self::MIN_LEN {
            return Err(SecretError::TooShort(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// A fresh key of 256 random bits, as 43 characters of base64url.
    pub fn random() -> Result<Self, SecretError> {
        let mut bits = [0; 32];
        OsRng.try_fill_bytes(&mut bits).map_err(|_| SecretError::Random)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bits).into_bytes()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        // serde's own message would quote the value.
        let text =
            String::deserialize(from).map_err(|_| D::Error::custom("a secret must be text"))?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
