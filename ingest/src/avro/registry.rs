//! The client of a schema registry with Confluent's interface.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

/// Schemas that are remembered. The ids of a registry are few; what sends more is broken.
const MOST_SCHEMAS: usize = 10_000;
/// The bytes of an answer that are read.
const MOST_BYTES: usize = 4 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it is believed that there is no such schema: it may be registered later.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);
/// How long a registry that does not answer is asked only for what is not kept.
const AWAY_FOR: Duration = Duration::from_secs(5);

/// Keeps the texts of schemas from one start to the next.
#[async_trait]
pub trait KeptSchemas: Send + Sync {
    /// The text of a schema that was kept, by the address of its registry and its id there.
    ///
    /// # Errors
    /// It cannot be told at this moment, for the reason given.
    async fn find(&self, registry: &str, id: u32) -> Result<Option<String>, String>;

    /// Keeps the text of a schema.
    ///
    /// # Errors
    /// It is not kept, for the reason given.
    async fn keep(&self, registry: &str, id: u32, schema: &str) -> Result<(), String>;
}

/// A schema registry; cheap to clone. What a schema's id means never changes, so it is asked for
/// each id once, and goes on giving those that are known while it is down: also those of an earlier
/// start, if they are [kept](Self::keeping).
#[derive(Clone)]
pub struct SchemaRegistry {
    inner: Arc<Inner>,
    kept: Option<Arc<dyn KeptSchemas>>,
}

struct Inner {
    /// Without what proves who asks.
    url: Url,
    /// What proves it: a name, and a password.
    user: RwLock<Option<(String, Option<String>)>>,
    client: Client,
    known: Mutex<HashMap<u32, Known>>,
    /// When it did not answer last, if it has not answered since.
    away: Mutex<Option<Instant>>,
}

/// What the registry has said about an id: its text, or why it has none that can be read.
type Known = Result<Arc<str>, (Arc<str>, Instant)>;

/// A registry cannot be asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RegistryError {
    /// Its address is none.
    #[error("schema_registry_url: {0}; expected one like http://127.0.0.1:8081")]
    Address(String),
    /// It does not answer, or not as one does; asking again may help.
    #[error("the schema registry {url} cannot be asked for the schema {id}: {reason}")]
    Unreachable {
        /// Its address, without a password.
        url: String,
        /// The schema.
        id: u32,
        /// What went wrong.
        reason: String,
    },
    /// It answers, and has no such schema.
    #[error("{0}")]
    Unknown(Arc<str>),
}

#[derive(Deserialize)]
struct Answer {
    schema: String,
    #[serde(rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Vec<serde_json::Value>,
}

impl SchemaRegistry {
    /// The registry at an address, which may hold a user and a password.
    ///
    /// # Errors
    /// It is no address of a registry.
    pub fn new(url: &str) -> Result<Self, RegistryError> {
        let address = |reason: String| RegistryError::Address(reason);
        // What is no address is not shown: it may hold a password all the same.
        let mut url = Url::parse(url).map_err(|error| address(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(address("it is no address of HTTP".to_owned()));
        }
        let user = (!url.username().is_empty())
            .then(|| (decoded(url.username()), url.password().map(decoded)));
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| address("it cannot have a user".to_owned()))?;
        let client = Client::builder()
            .timeout(PATIENCE)
            .build()
            .map_err(|error| address(error.to_string()))?;
        let (known, away) = (Mutex::default(), Mutex::default());
        let inner = Inner { url, user: RwLock::new(user), client, known, away };
        Ok(Self { inner: Arc::new(inner), kept: None })
    }

    /// The same with its schemas kept there.
    #[must_use]
    pub fn keeping(self, kept: Arc<dyn KeptSchemas>) -> Self {
        Self { kept: Some(kept), ..self }
    }

    /// Has all clones of this one ask as the user of another one from now on. Where that is at another
    /// address nothing is taken, as its password is nobody else's affair: the answer is false then.
    pub fn replace_user(&self, other: &Self) -> bool {
        if other.inner.url != self.inner.url {
            return false;
        }
        // Of itself it would wait for its own lock.
        let user = other.user();
        *self.inner.user.write().unwrap_or_else(PoisonError::into_inner) = user;
        true
    }

    fn user(&self) -> Option<(String, Option<String>)> {
        self.inner.user.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The text of a schema, if it has been asked for before.
    pub fn known(&self, id: u32) -> Option<Result<Arc<str>, RegistryError>> {
        let known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&id)? {
            Ok(text) => Some(Ok(Arc::clone(text))),
            Err((_, since)) if since.elapsed() > UNKNOWN_FOR => None,
            Err((reason, _)) => Some(Err(RegistryError::Unknown(Arc::clone(reason)))),
        }
    }

    /// The text of a schema, asked for if it is not known yet.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] where there is none; [`RegistryError::Unreachable`] where asking
    /// again may help.
    pub async fn schema(&self, id: u32) -> Result<Arc<str>, RegistryError> {
        if let Some(known) = self.known(id) {
            return known;
        }
        if self.is_away()
            && let Some(text) = self.recall(id).await
        {
            return Ok(text);
        }
        let asked = self.ask(id).await;
        let outcome = match &asked {
            Ok(_) => "found",
            Err(RegistryError::Unknown(_)) => "unknown",
            Err(_) => "unreachable",
        };
        metrics::counter!("tidemark_schema_requests_total", "outcome" => outcome).increment(1);
        let is_away = matches!(&asked, Err(RegistryError::Unreachable { .. }));
        *self.inner.away.lock().unwrap_or_else(PoisonError::into_inner) =
            is_away.then(Instant::now);
        match &asked {
            Ok(text) => {
                self.remember(id, Ok(Arc::clone(text)));
                self.keep(id, text).await;
            }
            Err(RegistryError::Unknown(reason)) => {
                self.remember(id, Err((Arc::clone(reason), Instant::now())));
            }
            Err(_) => return self.recall(id).await.map_or(asked, Ok),
        }
        asked
    }

    /// The text of a schema that was kept at an earlier start, without asking the registry.
    pub async fn recall(&self, id: u32) -> Option<Arc<str>> {
        let url = self.inner.url.as_str();
        match self.kept.as_ref()?.find(url, id).await {
            Ok(text) => {
                let text: Arc<str> = text?.into();
                self.remember(id, Ok(Arc::clone(&text)));
                Some(text)
            }
            Err(reason) => {
                tracing::warn!(id, reason, "it cannot be told whether a schema is kept");
                None
            }
        }
    }

    async fn keep(&self, id: u32, text: &str) {
        let Some(kept) = &self.kept else { return };
        if let Err(reason) = kept.keep(self.inner.url.as_str(), id, text).await {
            tracing::warn!(id, reason, "a schema is not kept for the next start");
        }
    }

    fn remember(&self, id: u32, schema: Known) {
        let mut known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_SCHEMAS {
            known.clear();
        }
        known.insert(id, schema);
    }

    /// Whether it did not answer a moment ago.
    fn is_away(&self) -> bool {
        let away = self.inner.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.is_some_and(|since| since.elapsed() < AWAY_FOR)
    }

    /// Has ids that were unknown asked for anew.
    pub fn forget_unknown(&self) {
        let mut known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, known| known.is_ok());
    }

    async fn ask(&self, id: u32) -> Result<Arc<str>, RegistryError> {
        let Inner { url, client, .. } = &*self.inner;
        let unreachable =
            |reason: String| RegistryError::Unreachable { url: url.to_string(), id, reason };
        let path = format!("{}/schemas/ids/{id}", url.as_str().trim_end_matches('/'));
        let mut request = client
            .get(path)
            .header("Accept", "application/vnd.schemaregistry.v1+json, application/json");
        if let Some((name, password)) = self.user() {
            request = request.basic_auth(name, password);
        }
        let mut response = request.send().await.map_err(|error| unreachable(said(&error)))?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Err(unknown(format!("the schema registry has no schema {id}")));
        }
        if !status.is_success() {
            return Err(unreachable(format!("it answers {status}")));
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| unreachable(said(&error)))? {
            body.extend_from_slice(&part);
            if body.len() > MOST_BYTES {
                return Err(unknown(format!("the schema {id} has more than {MOST_BYTES} bytes")));
            }
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|error| unreachable(format!("its answer is not a registry's: {error}")))?;
        if let Some(kind) = answer.kind.filter(|kind| kind != "AVRO") {
            return Err(unknown(format!(
                "the schema {id} is of the kind {kind}, and Avro is read"
            )));
        }
        if !answer.references.is_empty() {
            return Err(unknown(format!(
                "the schema {id} refers to others; an event is a flat record, so write its types \
                 out in it"
            )));
        }
        Ok(answer.schema.into())
    }
}

fn unknown(reason: String) -> RegistryError {
    RegistryError::Unknown(reason.into())
}

/// What an error of the client says, with its causes; the address is said already.
fn said(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    if text.is_empty() { "it does not answer".to_owned() } else { text }
}

/// A part of an address without its `%` escapes.
fn decoded(part: &str) -> String {
    let bytes = part.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| part.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl fmt::Debug for SchemaRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.inner.url.as_str();
        f.debug_struct("SchemaRegistry").field("url", &url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A registry that gives a schema to whoever shows this password, as the user `me`.
    async fn guarded(password: &Arc<Mutex<&'static str>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let password = Arc::clone(password);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    assert!(stream.read_buf(&mut head).await.unwrap() > 0);
                }
                let shown = match *password.lock().unwrap() {
                    "one" => "Basic bWU6b25l",
                    _ => "Basic bWU6dHdv",
                };
                let is_let_in = String::from_utf8(head).unwrap().contains(shown);
                let status = if is_let_in { "200 OK" } else { "401 Unauthorized" };
                let body = r#"{"schema": "\"string\""}"#;
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
                let answer = format!("{head}connection: close\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn a_password_is_replaced_in_all_clones() {
        let password = Arc::new(Mutex::new("one"));
        let address = guarded(&password).await;
        let of = |password: &str| {
            SchemaRegistry::new(&format!("http://me:{password}@{address}")).unwrap()
        };
        let registry = of("one");
        let clone = registry.clone();
        registry.schema(1).await.unwrap();
        *password.lock().unwrap() = "two";
        assert!(matches!(clone.schema(2).await, Err(RegistryError::Unreachable { .. })));
        assert!(registry.replace_user(&of("two")));
        clone.schema(2).await.unwrap();
        assert!(clone.known(1).is_some(), "what is known stays known");
        // What is meant for another registry is not sent to this one.
        assert!(!registry.replace_user(&SchemaRegistry::new("http://me:x@127.0.0.1:9").unwrap()));
        clone.schema(3).await.unwrap();
    }
}
