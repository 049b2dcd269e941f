//! An issuer's keys (RFC 7517): those that can be used, and which of them a token is checked with.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use crate::token::Signature;

/// The bytes of an RSA key: of 2048 bits, as fewer can be broken, to 4096, as more take long to check.
const RSA: std::ops::RangeInclusive<usize> = 256..=512;
/// The longest exponent of an RSA key, in bytes.
const RSA_EXPONENT: usize = 8;
/// The bytes of a coordinate on P-256, and of an Ed25519 key.
const COORDINATE: usize = 32;

/// A key for one algorithm; cheap to clone.
#[derive(Clone)]
pub(crate) struct Key {
    id: Option<Arc<str>>,
    signature: Signature,
    /// What it is, as the issuer writes it.
    public: Arc<[Option<String>; 4]>,
    decoding: Arc<DecodingKey>,
}

impl Key {
    fn is(&self, other: &Self) -> bool {
        let same = self.id == other.id && self.signature == other.signature;
        same && self.public == other.public
    }

    pub(crate) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

/// All keys of an issuer that can be used here.
#[derive(Clone)]
pub(super) struct KeySet(Vec<Key>);

/// A set of keys as it comes. One that cannot be read must not hide the others.
#[derive(Deserialize)]
pub(super) struct Wire {
    keys: Vec<Value>,
}

/// What is read of a key.
#[derive(Deserialize)]
struct WireKey {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Those that can be used, at most so many.
    pub(super) fn of(wire: Wire, most: usize) -> Self {
        let keys = wire.keys.into_iter();
        let read = keys.filter_map(|key| serde_json::from_value::<WireKey>(key).ok());
        Self(read.filter_map(WireKey::key).take(most).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether another set has all of these.
    pub(super) fn are_all_in(&self, other: &Self) -> bool {
        self.0.iter().all(|key| other.0.iter().any(|found| found.is(key)))
    }

    /// Those for the algorithm, of this name if one is given.
    pub(super) fn find(&self, signature: Signature, id: Option<&str>) -> Vec<Key> {
        let fits = |key: &&Key| {
            key.signature == signature && id.is_none_or(|id| key.id.as_deref() == Some(id))
        };
        self.0.iter().filter(fits).cloned().collect()
    }
}

impl WireKey {
    /// The key, unless it is for something else.
    fn key(self) -> Option<Key> {
        if self.r#use.as_deref().is_some_and(|used| used != "sig") {
            return None;
        }
        let (signature, name, decoding) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => (Signature::Rs256, "RS256", self.rsa()?),
            ("EC", Some("P-256")) => (Signature::Es256, "ES256", self.curve()?),
            ("OKP", Some("Ed25519")) => (Signature::EdDsa, "EdDSA", self.edwards()?),
            _ => return None,
        };
        if self.alg.as_deref().is_some_and(|alg| alg != name) {
            return None;
        }
        let Self { kid, n, e, x, y, .. } = self;
        let (id, public) = (kid.map(Arc::from), Arc::new([n, e, x, y]));
        Some(Key { id, signature, public, decoding: Arc::new(decoding) })
    }

    fn rsa(&self) -> Option<DecodingKey> {
        let (modulus, exponent) = (bytes(self.n.as_deref()?)?, bytes(self.e.as_deref()?)?);
        let leading = modulus.iter().take_while(|byte| **byte == 0).count();
        let modulus = modulus.get(leading..)?;
        let is_usable = RSA.contains(&modulus.len()) && exponent.len() <= RSA_EXPONENT;
        is_usable.then(|| DecodingKey::from_rsa_raw_components(modulus, &exponent))
    }

    fn curve(&self) -> Option<DecodingKey> {
        let (x, y) = (self.x.as_deref()?, self.y.as_deref()?);
        let is_point = bytes(x)?.len() == COORDINATE && bytes(y)?.len() == COORDINATE;
        is_point.then(|| DecodingKey::from_ec_components(x, y).ok()).flatten()
    }

    fn edwards(&self) -> Option<DecodingKey> {
        let x = self.x.as_deref()?;
        (bytes(x)?.len() == COORDINATE).then(|| DecodingKey::from_ed_components(x).ok()).flatten()
    }
}

/// Base64url, with the padding that some write.
fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}
