//! Statements as calls of the query service.
//!
//! A statement goes the way of `POST /v1/query`, through the same guard, limits, audit and, where
//! another node serves the tenant, to that node; nothing of a tenant is reached by another way.

use std::net::SocketAddr;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::StreamDecoder;
use axum::body::{Body, BodyDataStream, to_bytes};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Request};
use axum::response::Response;
use axum::{Error, Router};
use futures::StreamExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use query::QueryError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::failure::Failure;
use crate::http::{Peer, Stranger};

/// What is read of an answer that is no rows.
const SAID_BYTES: usize = 4 << 20;

/// The query service as one caller has it.
pub(super) struct Calls {
    service: TowerToHyperService<Router>,
    token: HeaderValue,
    peer: SocketAddr,
    stranger: Stranger,
}

/// What a statement takes and gives.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) schema: SchemaRef,
    /// The types of its parameters, as far as it says them.
    pub(super) params: Vec<Option<DataType>>,
}

/// A description as the service gives it: types by their Arrow names.
#[derive(Deserialize)]
struct Described {
    columns: Vec<DescribedColumn>,
    params: Vec<Option<DescribedType>>,
}

#[derive(Deserialize)]
struct DescribedColumn {
    name: String,
    arrow: String,
}

#[derive(Deserialize)]
struct DescribedType {
    arrow: String,
}

impl Calls {
    /// Those of who shows this token; none if it cannot be one.
    pub(super) fn new(
        router: Router,
        token: &str,
        peer: SocketAddr,
        stranger: Stranger,
    ) -> Option<Self> {
        let mut token = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        token.set_sensitive(true);
        Some(Self { service: TowerToHyperService::new(router), token, peer, stranger })
    }

    /// Begins a statement; its rows come as they are taken.
    pub(super) async fn run(&self, sql: &str, params: &[Value]) -> Result<Rows, Failure> {
        let body = json!({ "sql": sql, "params": params });
        let answer = self.ask(&body, "application/vnd.apache.arrow.stream").await;
        if !answer.status().is_success() {
            return Err(refused(answer, sql).await);
        }
        Rows::begin(answer).await
    }

    /// What a statement takes and gives, without running it.
    pub(super) async fn describe(&self, sql: &str) -> Result<Description, Failure> {
        let answer = self.ask(&json!({ "sql": sql, "describe": true }), "application/json").await;
        if !answer.status().is_success() {
            return Err(refused(answer, sql).await);
        }
        let said = to_bytes(answer.into_body(), SAID_BYTES).await;
        let said = said.map_err(|error| broken(&error))?;
        let said: Described = serde_json::from_slice(&said).map_err(|error| broken(&error))?;
        let fields = said
            .columns
            .iter()
            .map(|column| Ok(Field::new(&column.name, named(&column.arrow)?, true)))
            .collect::<Result<Vec<_>, Failure>>()?;
        let params = said
            .params
            .iter()
            .map(|known| known.as_ref().map(|DescribedType { arrow }| named(arrow)).transpose());
        let params = params.collect::<Result<Vec<_>, Failure>>()?;
        Ok(Description { schema: Arc::new(Schema::new(fields)), params })
    }

    async fn ask(&self, body: &Value, accept: &'static str) -> Response {
        let mut request = Request::new(Body::from(body.to_string()));
        *request.method_mut() = axum::http::Method::POST;
        *request.uri_mut() = axum::http::Uri::from_static("/v1/query");
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.token.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        request.extensions_mut().insert(Peer(self.peer));
        request.extensions_mut().insert(self.stranger.clone());
        match self.service.call(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}

fn named(arrow: &str) -> Result<DataType, Failure> {
    arrow.parse().map_err(|error: arrow::error::ArrowError| broken(&error))
}

/// Why the service did not answer.
async fn refused(answer: Response, sql: &str) -> Failure {
    let status = answer.status().as_u16();
    let problem = match to_bytes(answer.into_body(), SAID_BYTES).await {
        Ok(said) => serde_json::from_slice(&said).unwrap_or(Value::Null),
        Err(_) => Value::Null,
    };
    Failure::of_problem(status, &problem, sql)
}

fn broken(error: &dyn std::error::Error) -> Failure {
    tracing::warn!(%error, "an answer of the query service cannot be read");
    Failure::new("XX000", "the answer of the query service cannot be read")
}

/// The rows of a statement that runs. Dropped, they end it.
pub(super) struct Rows {
    body: BodyDataStream,
    decoder: StreamDecoder,
    /// What has come and is not decoded.
    rest: Buffer,
    /// A batch that came with the columns.
    first: Option<RecordBatch>,
    schema: SchemaRef,
    is_over: bool,
}

impl Rows {
    async fn begin(answer: Response) -> Result<Self, Failure> {
        let mut rows = Self {
            body: answer.into_body().into_data_stream(),
            decoder: StreamDecoder::new(),
            rest: Buffer::default(),
            first: None,
            schema: Arc::new(Schema::empty()),
            is_over: false,
        };
        rows.first = rows.decode().await?;
        rows.schema = rows.decoder.schema().unwrap_or(rows.schema);
        Ok(rows)
    }

    /// The columns.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next rows; none at the end of all.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        match self.first.take() {
            Some(batch) => Ok(Some(batch)),
            None => self.decode().await,
        }
    }

    async fn decode(&mut self) -> Result<Option<RecordBatch>, Failure> {
        loop {
            if !self.rest.is_empty() {
                let decoded = self.decoder.decode(&mut self.rest);
                match decoded.map_err(|error| broken(&error))? {
                    Some(batch) if batch.num_rows() > 0 => return Ok(Some(batch)),
                    Some(_) | None => continue,
                }
            }
            if self.is_over {
                return Ok(None);
            }
            match self.body.next().await {
                Some(Ok(part)) => self.rest = Buffer::from(part),
                Some(Err(error)) => return Err(cut(&error)),
                None => {
                    self.is_over = true;
                    self.decoder.finish().map_err(|error| broken(&error))?;
                }
            }
        }
    }
}

/// Why an answer broke off on its way.
fn cut(error: &Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<QueryError>() {
            return Failure::new(error.sqlstate(), error.to_string());
        }
        cause = error.source();
    }
    Failure::new("08006", "the answer broke off before its end; ask again")
}
