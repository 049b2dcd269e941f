//! What a token says of how it is signed, before anything of it is believed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::Value;

use super::TokenError;

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;
/// The longest name of a key, in bytes.
const MAX_KEY_ID: usize = 255;

/// How a token is signed, as it says itself. Other algorithms have no name here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    /// With a secret that service and signer share.
    Hs256,
    /// With an RSA key of the issuer.
    Rs256,
    /// With a key of the issuer on the curve P-256.
    Es256,
    /// With an Ed25519 key of the issuer.
    EdDsa,
}

impl Signature {
    fn named(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }

    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// A token's header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) signature: Signature,
    /// The name of the key.
    pub(super) key_id: Option<String>,
}

impl Header {
    /// Reads it. Refuses other algorithms, and extensions that must be understood but are not
    /// (RFC 7515, 4.1.11).
    pub(super) fn of(token: &str) -> Result<Self, TokenError> {
        #[derive(Deserialize)]
        struct Wire {
            alg: String,
            kid: Option<String>,
            crit: Option<Value>,
        }
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Malformed);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(_), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Malformed);
        };
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenError::Malformed)?;
        let wire: Wire = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
        let signature = Signature::named(&wire.alg).filter(|_| wire.crit.is_none());
        let signature = signature.ok_or(TokenError::Algorithm)?;
        if wire.kid.as_ref().is_some_and(|id| id.len() > MAX_KEY_ID) {
            return Err(TokenError::Malformed);
        }
        Ok(Self { signature, key_id: wire.kid })
    }
}
