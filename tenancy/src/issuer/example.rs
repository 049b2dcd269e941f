//! A real issuer for tests: discovery, keys, and tokens for codes over HTTP on a port of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, missing_docs)]
#![allow(dead_code)] // Not every crate that tests with it uses all of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use serde_json::{Value, json};

/// A key with which tokens are signed, and what is told of it.
#[derive(Clone)]
pub struct SigningKey {
    pub id: String,
    pub algorithm: Algorithm,
    private: EncodingKey,
    pub public: Value,
    /// The public key in the forms in which it could be taken for a secret.
    pub forms: Vec<Vec<u8>>,
}

impl SigningKey {
    /// A fresh key for `RS256`, `ES256` or `EdDSA`.
    pub fn fresh(id: &str, algorithm: Algorithm) -> Self {
        let (private, mut public, forms) = match algorithm {
            Algorithm::RS256 => rsa(2048),
            Algorithm::ES256 => curve(),
            Algorithm::EdDSA => edwards(),
            other => panic!("{other:?} has no keys here"),
        };
        public["kid"] = json!(id);
        public["use"] = json!("sig");
        Self { id: id.to_owned(), algorithm, private, public, forms }
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.clone());
        self.sign_as(&header, claims)
    }

    pub fn sign_as(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.private).unwrap()
    }
}

type Made = (EncodingKey, Value, Vec<Vec<u8>>);

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn rsa(bits: u32) -> Made {
    let key = Rsa::generate(bits).unwrap();
    let public = json!({"kty": "RSA", "n": text(&key.n().to_vec()), "e": text(&key.e().to_vec())});
    let forms = vec![
        key.public_key_to_der().unwrap(),
        key.public_key_to_der_pkcs1().unwrap(),
        key.public_key_to_pem().unwrap(),
        key.public_key_to_pem_pkcs1().unwrap(),
        key.n().to_vec(),
        public.to_string().into_bytes(),
    ];
    (EncodingKey::from_rsa_der(&key.private_key_to_der().unwrap()), public, forms)
}

fn curve() -> Made {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = EcKey::generate(&group).unwrap();
    let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
    let mut context = BigNumContext::new().unwrap();
    key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
    let (x, y) = (x.to_vec_padded(32).unwrap(), y.to_vec_padded(32).unwrap());
    let public = json!({"kty": "EC", "crv": "P-256", "x": text(&x), "y": text(&y)});
    let key = PKey::from_ec_key(key).unwrap();
    let forms = vec![key.public_key_to_der().unwrap(), key.public_key_to_pem().unwrap(), x];
    (EncodingKey::from_ec_der(&key.private_key_to_pkcs8().unwrap()), public, forms)
}

fn edwards() -> Made {
    let key = PKey::generate_ed25519().unwrap();
    let raw = key.raw_public_key().unwrap();
    let public = json!({"kty": "OKP", "crv": "Ed25519", "x": text(&raw)});
    let forms = vec![key.public_key_to_der().unwrap(), key.public_key_to_pem().unwrap(), raw];
    (EncodingKey::from_ed_der(&key.private_key_to_pkcs8().unwrap()), public, forms)
}

/// What it does at the moment.
#[derive(Default)]
pub struct Behaviour {
    /// What it gives as its keys.
    pub keys: Mutex<Vec<Value>>,
    /// What it says in the place of its own address.
    pub says: Mutex<Option<String>>,
    /// Whether it takes codes and never answers.
    pub hangs: AtomicBool,
    /// Whether it answers nothing but errors.
    pub is_down: AtomicBool,
    /// How often its keys were asked for.
    pub asked: AtomicUsize,
    /// The forms that were sent for tokens.
    pub forms: Mutex<Vec<HashMap<String, String>>>,
    /// What it answers to one.
    pub tokens: Mutex<Value>,
}

/// An issuer that runs for as long as this lives.
pub struct ExampleIssuer {
    pub address: String,
    pub behaviour: Arc<Behaviour>,
    serving: tokio::task::JoinHandle<()>,
}

impl ExampleIssuer {
    pub async fn start(keys: &[&SigningKey]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/realm", listener.local_addr().unwrap());
        let behaviour = Arc::new(Behaviour::default());
        let router = Router::new()
            .route("/realm/.well-known/openid-configuration", get(configuration))
            .route("/realm/keys", get(give_keys))
            .route("/realm/token", post(give_token))
            .with_state((address.clone(), Arc::clone(&behaviour)));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let issuer = Self { address, behaviour, serving };
        issuer.have(keys);
        issuer
    }

    /// Gives these keys from now on, and no others.
    pub fn have(&self, keys: &[&SigningKey]) {
        *self.behaviour.keys.lock().unwrap() = keys.iter().map(|key| key.public.clone()).collect();
    }

    pub fn asked(&self) -> usize {
        self.behaviour.asked.load(Ordering::SeqCst)
    }

    pub fn go_down(&self, is_down: bool) {
        self.behaviour.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Claims of an analyst of `acme` for the audience `figures`.
    pub fn claims(&self, expires_at: i64) -> Value {
        json!({
            "iss": self.address, "aud": ["figures", "other"], "sub": "jo", "exp": expires_at,
            "tenant": "acme", "roles": ["analyst", "offline_access"],
        })
    }
}

impl Drop for ExampleIssuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Shared = State<(String, Arc<Behaviour>)>;

fn json_of(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

async fn configuration(State((address, behaviour)): Shared) -> Response {
    if behaviour.is_down.load(Ordering::SeqCst) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let says = behaviour.says.lock().unwrap().clone().unwrap_or_else(|| address.clone());
    json_of(&json!({
        "issuer": says, "jwks_uri": format!("{address}/keys"),
        "authorization_endpoint": format!("{address}/authorize"),
        "token_endpoint": format!("{address}/token"),
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

async fn give_keys(State((_, behaviour)): Shared) -> Response {
    behaviour.asked.fetch_add(1, Ordering::SeqCst);
    json_of(&json!({"keys": *behaviour.keys.lock().unwrap()}))
}

async fn give_token(State((_, behaviour)): Shared, body: String) -> Response {
    let form = reqwest::Url::parse(&format!("form:?{body}")).unwrap();
    let pairs = form.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned()));
    behaviour.forms.lock().unwrap().push(pairs.collect());
    while behaviour.hangs.load(Ordering::SeqCst) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let tokens = behaviour.tokens.lock().unwrap().clone();
    let status =
        if tokens.get("error").is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    (status, json_of(&tokens)).into_response()
}
