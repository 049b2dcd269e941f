//! A client that holds every answer against the OpenAPI document of the service that gives it.

use std::fmt::Display;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Body, Client, IntoUrl, Method, RequestBuilder, Response};
use serde::Serialize;
use serde_json::Value;

/// A client whose answers are checked, once it knows the document.
#[derive(Clone)]
pub(crate) struct Checked {
    client: Client,
    document: Arc<OnceLock<Value>>,
}

impl Checked {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, document: Arc::default() }
    }

    /// Reads the document.
    pub(crate) async fn learn(&self, url: String) {
        let document = self.client.get(url).send().await.unwrap().json().await.unwrap();
        self.document.set(document).unwrap();
    }

    /// The document.
    pub(crate) fn document(&self) -> &Value {
        self.document.get().expect("the document is read when the service is ready")
    }

    pub(crate) fn request(&self, method: Method, url: impl IntoUrl) -> Asked {
        let request = self.client.request(method, url);
        Asked { request, document: Arc::clone(&self.document) }
    }

    pub(crate) fn get(&self, url: impl IntoUrl) -> Asked {
        self.request(Method::GET, url)
    }

    pub(crate) fn head(&self, url: impl IntoUrl) -> Asked {
        self.request(Method::HEAD, url)
    }

    pub(crate) fn post(&self, url: impl IntoUrl) -> Asked {
        self.request(Method::POST, url)
    }

    pub(crate) fn put(&self, url: impl IntoUrl) -> Asked {
        self.request(Method::PUT, url)
    }

    pub(crate) fn patch(&self, url: impl IntoUrl) -> Asked {
        self.request(Method::PATCH, url)
    }

    pub(crate) fn delete(&self, url: impl IntoUrl) -> Asked {
        self.request(Method::DELETE, url)
    }
}

/// The client itself, whose answers nobody checks.
impl Deref for Checked {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// A request whose answer is checked.
pub(crate) struct Asked {
    request: RequestBuilder,
    document: Arc<OnceLock<Value>>,
}

impl Asked {
    pub(crate) fn header<K, V>(self, name: K, value: V) -> Self
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<axum::http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<axum::http::Error>,
    {
        Self { request: self.request.header(name, value), ..self }
    }

    pub(crate) fn bearer_auth(self, token: impl Display) -> Self {
        Self { request: self.request.bearer_auth(token), ..self }
    }

    pub(crate) fn json<T: Serialize + ?Sized>(self, body: &T) -> Self {
        Self { request: self.request.json(body), ..self }
    }

    pub(crate) fn body(self, body: impl Into<Body>) -> Self {
        Self { request: self.request.body(body), ..self }
    }

    pub(crate) async fn send(self) -> Result<Response, reqwest::Error> {
        let (client, request) = self.request.build_split();
        let request = request?;
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let answer = client.execute(request).await?;
        if let Some(document) = self.document.get() {
            check(document, &method, &path, &answer);
        }
        Ok(answer)
    }
}

/// Fails unless the document has this answer: its status, its media type, and the headers that it
/// always has. What is no call of the document is not looked at.
fn check(document: &Value, method: &Method, path: &str, answer: &Response) {
    let asked = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let status = answer.status();
    let operation = operation(document, asked, path);
    let Some(operation) = operation else { return };
    let what = format!("{method} {path}: {status}");
    let known = operation["responses"].get(status.as_str());
    let known = known.unwrap_or_else(|| panic!("{what} is not in the document"));
    let known = resolved(document, known);
    let kind = answer.headers().get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap());
    let kind = kind.and_then(|kind| kind.split(';').next());
    match (known["content"].as_object(), kind) {
        (Some(content), Some(kind)) => assert!(content.contains_key(kind), "{what} as {kind}"),
        (None, None) => {}
        (content, kind) => panic!("{what} as {kind:?}, and the document has {content:?}"),
    }
    for (name, header) in known["headers"].as_object().into_iter().flatten() {
        let is_there = answer.headers().contains_key(name.as_str());
        let is_always = resolved(document, header)["required"] == true;
        assert!(is_there || !is_always, "{what} has no {name}");
    }
}

/// The operation of a path that is called, if there is one.
pub(crate) fn operation<'a>(document: &'a Value, method: &str, path: &str) -> Option<&'a Value> {
    let paths = document["paths"].as_object().unwrap();
    let fitting = paths.iter().filter(|(template, _)| fits(template, path));
    let (_, methods) = fitting.min_by_key(|(template, _)| template.matches('{').count())?;
    methods.get(method.to_ascii_lowercase())
}

fn fits(template: &str, path: &str) -> bool {
    let mut parts = template.split('/').zip(path.split('/'));
    let is_one = |(known, given): (&str, &str)| {
        known == given || (known.starts_with('{') && !given.is_empty())
    };
    template.split('/').count() == path.split('/').count() && parts.all(is_one)
}

/// What a reference leads to, or the value itself.
pub(crate) fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}
