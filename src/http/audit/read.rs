//! `GET /v1/audit` and `GET /v1/platform/audit`: the records of a chain, the newest first.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::try_unfold;
use projections::{Position, Tenant};
use query::{Answer, Format};
use serde::Serialize;
use stream::Problem;
use tenancy::audit::{AuditFilter, AuditPage, AuditRecord, Chain, ShownRecord, UnknownAction};
use tenancy::{Store, hex};
use utoipa::ToSchema;

use super::Trace;
use crate::http::caller::Caller;
use crate::http::params::Params;
use crate::http::{App, answers, problems};

/// Records of one page unless asked otherwise, and at most.
pub(in crate::http) const PAGE: u32 = 100;
pub(in crate::http) const MOST: u32 = 1_000;

/// A page of records, the newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRecords)]
pub(in crate::http) struct Records {
    records: Vec<ShownRecord>,
    /// For `after`; null on the last page.
    next: Option<String>,
}

/// The caller's tenant's.
pub(in crate::http) async fn own(
    State(app): State<Arc<App>>,
    caller: Caller,
    trace: Trace,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    read(&app, Chain::Tenant(caller.number().0), &trace, params, &headers).await
}

/// The platform's own.
pub(in crate::http) async fn platform(
    State(app): State<Arc<App>>,
    trace: Trace,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    read(&app, Chain::Platform, &trace, params, &headers).await
}

async fn read(
    app: &App,
    chain: Chain,
    trace: &Trace,
    mut params: Params,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let format = answers::format(headers)?;
    let raw = answers::raw(&mut params)?;
    let filter = filter(&mut params)?;
    let limit = params.limit(MOST)?;
    let before: Option<u64> = params.parsed("after", "what an answer gave as next")?;
    params.finish("from, to, actor, action, limit, after and raw")?;
    if format != Format::Json {
        if limit.is_some() || before.is_some() {
            return Err(problems::parameter(
                "limit",
                "only JSON comes by pages; leave out limit and after, this format comes whole",
            ));
        }
        let answer = whole(app.store.clone(), chain, filter);
        return Ok(answers::without_position(answer, format, raw, trace));
    }
    let tenant = match chain {
        Chain::Platform => Tenant(0),
        Chain::Tenant(number) => Tenant(number),
    };
    // The page itself, and what is made of it.
    let space = app.shelf.reserve(tenant, 3 * AuditPage::BYTES).await?;
    let page = app.store.audit_records(chain, &filter, before, limit.unwrap_or(PAGE)).await;
    let AuditPage { records, is_last } = page.map_err(|error| problems::store(&error))?;
    trace.rows(records.len());
    let next = records.last().filter(|_| !is_last).map(|last| last.seq.to_string());
    let records = Records { records: records.into_iter().map(AuditRecord::shown).collect(), next };
    let answer = serde_json::to_string(&records).map_err(|_| problems::internal())?;
    drop((records, space));
    let body = app.shelf.whole(tenant, answer.into())?;
    Ok(([(CONTENT_TYPE, Format::Json.content_type())], body).into_response())
}

fn filter(params: &mut Params) -> Result<AuditFilter, Problem> {
    let moment = "a moment such as 2025-06-30T12:00:00Z";
    let action = params.one("action")?.filter(|name| !name.is_empty());
    let action = action.map(|name| name.parse()).transpose();
    Ok(AuditFilter {
        from: params.parsed::<DateTime<Utc>>("from", moment)?,
        to: params.parsed::<DateTime<Utc>>("to", moment)?,
        actor: params.one("actor")?.filter(|actor| !actor.is_empty()),
        action: action
            .map_err(|error: UnknownAction| problems::parameter("action", &error.to_string()))?,
    })
}

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![
        Field::new("seq", DataType::Int64, false),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        text("actor"),
        text("source"),
        text("action"),
        text("object"),
        Field::new("status", DataType::Int64, false),
        text("detail"),
        text("hash"),
    ]))
}

/// All records that the filter wants, a page at a time.
fn whole(store: Store, chain: Chain, filter: AuditFilter) -> Answer {
    let pages = try_unfold((None, false), move |(before, is_over): (Option<u64>, bool)| {
        let (store, filter) = (store.clone(), filter.clone());
        async move {
            if is_over {
                return Ok(None);
            }
            let page = store.audit_records(chain, &filter, before, MOST).await;
            let page = page.map_err(|error| DataFusionError::External(Box::new(error)))?;
            let next = (page.records.last().map(|last| last.seq), page.is_last);
            Ok(Some((batch(&page.records)?, next)))
        }
    });
    Answer {
        schema: schema(),
        position: Position::new(Tenant(0), 0),
        as_of: None,
        grounds: None,
        batches: Box::pin(RecordBatchStreamAdapter::new(schema(), pages)),
    }
}

fn batch(records: &[AuditRecord]) -> Result<RecordBatch, ArrowError> {
    fn texts(records: &[AuditRecord], of: impl Fn(&AuditRecord) -> String) -> ArrayRef {
        Arc::new(records.iter().map(|r| Some(of(r))).collect::<StringArray>())
    }
    let numbers = |of: fn(&AuditRecord) -> i64| -> ArrayRef {
        Arc::new(records.iter().map(of).collect::<Int64Array>())
    };
    let at = TimestampMicrosecondArray::from_iter_values(records.iter().map(|r| r.at));
    RecordBatch::try_new(
        schema(),
        vec![
            numbers(|r| r.seq.cast_signed()),
            Arc::new(at.with_timezone("UTC")),
            texts(records, |r| r.actor.clone()),
            texts(records, |r| r.source.clone()),
            texts(records, |r| r.action.clone()),
            texts(records, |r| r.object.clone()),
            numbers(|r| i64::from(r.status)),
            texts(records, |r| r.detail.clone()),
            texts(records, |r| hex(&r.hash)),
        ],
    )
}
