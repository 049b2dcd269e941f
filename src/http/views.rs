//! `GET /v1/views`, `GET /v1/views/{name}`, `GET /v1/views/{name}/status`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use projections::encode::{ColumnType, column_types};
use projections::{TenantSnapshot, ViewSnapshot};
use query::{DEFAULT_PAGE, Format, MAX_PAGE, QueryError, read_view, view_answer};
use serde::Serialize;
use stream::Problem;
use utoipa::ToSchema;

use super::answers::Waiting;
use super::audit::Trace;
use super::caller::Caller;
use super::openapi::Column;
use super::own_views::Status;
use super::params::{Name, Params};
use super::{App, answers, own_views, problems};

/// Rows from which a page takes longer than an async thread should be kept.
const LARGE: usize = 2_000;

/// A view as lists have it.
#[derive(Serialize, ToSchema)]
#[schema(as = View)]
pub(super) struct Described {
    /// As `name`; only of a view of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) id: Option<String>,
    pub(super) name: String,
    #[schema(value_type = Vec<Column>)]
    pub(super) columns: Vec<ColumnType>,
    /// The names of the columns that tell its rows apart.
    pub(super) key: Vec<String>,
    pub(super) sql: String,
    pub(super) row_count: usize,
    /// What its rows and the state behind them take.
    pub(super) memory_bytes: usize,
    /// Whether the tenant has defined it.
    pub(super) own: bool,
    /// `filling`, `live` or `failed`.
    pub(super) state: &'static str,
    /// How much of it is filled, from 0 to 1; only of a view of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) filled: Option<f64>,
    /// Why it failed, or why its last replacement was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) error: Option<String>,
}

/// All views.
#[derive(Serialize, ToSchema)]
#[schema(as = Views)]
pub(super) struct Listed {
    views: Vec<Described>,
    position: String,
    /// The tenant's date; null while it has none.
    as_of: Option<NaiveDate>,
}

/// Lists the views with columns, key, SQL, number of rows and state.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    mut params: Params,
) -> Result<Response, Problem> {
    answers::wait(&app, &caller, &mut params).await?;
    params.finish("wait_for and wait_ms")?;
    // Before the snapshot, which asks whether the tenant is served here: later they are forgotten.
    let own = app.own_views.all(caller.number());
    let snapshot = app.snapshot(&caller)?;
    let position = snapshot.position().to_string();
    let is_builtin = |name: &str| app.readers.views().iter().any(|view| view.name() == name);
    let builtin = snapshot.views().iter().filter(|view| is_builtin(view.view().name()));
    let mut views: Vec<Described> = builtin.map(described).collect();
    let shown = own.iter().filter(|own| snapshot.hidden().view(&own.definition.name).is_none());
    views.extend(shown.map(|own| own_views::described(own, &snapshot)));
    let answer = Listed { views, position: position.clone(), as_of: snapshot.today() };
    Ok(answers::at_position(Json(answer).into_response(), &position))
}

fn described(snapshot: &ViewSnapshot) -> Described {
    let view = snapshot.view();
    let schema = view.schema();
    Described {
        id: None,
        name: view.name().to_owned(),
        columns: column_types(schema),
        key: view.key().iter().map(|c| schema.field(*c).name().clone()).collect(),
        sql: view.sql().to_owned(),
        row_count: snapshot.row_count(),
        memory_bytes: snapshot.bytes(),
        own: false,
        state: state(snapshot),
        filled: None,
        error: None,
    }
}

fn state(snapshot: &ViewSnapshot) -> &'static str {
    if snapshot.failure().is_some() { "failed" } else { "live" }
}

/// Whether a view can be read, and if not, why.
pub(super) async fn status(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(name): Name,
    mut params: Params,
) -> Result<Response, Problem> {
    answers::wait(&app, &caller, &mut params).await?;
    params.finish("wait_for and wait_ms")?;
    let own = app.own_views.get(caller.number(), &name);
    let snapshot = app.snapshot(&caller)?;
    let answer = if let Some(own) = own.filter(|_| snapshot.hidden().view(&name).is_none()) {
        own_views::status(&own)
    } else {
        let view = find(&snapshot, &name)?;
        let error = view.failure().map(ToString::to_string);
        Status { state: state(view), filled: 1.0, error }
    };
    let position = snapshot.position().to_string();
    Ok(answers::at_position(Json(answer).into_response(), &position))
}

/// Reads a view's rows: JSON by pages, other formats whole.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(name): Name,
    trace: Trace,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = answers::format(&headers)?;
    let raw = answers::raw(&mut params)?;
    let (limit, after) = page(&mut params, format)?;
    let waiting = Waiting::of(&caller, &mut params)?;
    params.finish("wait_for, wait_ms, limit, after and raw")?;
    waiting.applied(&app).await?;
    waiting.filled(&app, &caller, &name).await?;
    let snapshot = app.snapshot(&caller)?;
    let view = find(&snapshot, &name)?;
    if format != Format::Json {
        let read = move |snapshot: &TenantSnapshot| view_answer(snapshot, &name);
        let answer = off_thread(snapshot, read).await?;
        return Ok(answers::streamed(answer, format, raw, &trace));
    }
    let limit = limit.unwrap_or(DEFAULT_PAGE);
    let read = move |snapshot: &TenantSnapshot| {
        let page = read_view(snapshot, &name, after.as_deref(), limit)?;
        Ok((page.json(), page.position.to_string(), page.rows.num_rows()))
    };
    let (json, position, rows) = if view.row_count().min(limit) < LARGE {
        read(&snapshot).map_err(|error| problems::view(&error))?
    } else {
        // About what it comes to; how much it is is known when it is there.
        let _space = app.shelf.reserve(caller.number(), share(view, limit)).await?;
        off_thread(snapshot, read).await?
    };
    trace.rows(rows);
    let body = app.shelf.whole(caller.number(), json)?;
    let response = ([(CONTENT_TYPE, Format::Json.content_type())], body).into_response();
    Ok(answers::at_position(response, &position))
}

/// About the bytes that so many rows of a view have.
fn share(view: &ViewSnapshot, rows: usize) -> usize {
    let all = view.row_count().max(1);
    view.bytes() / all * rows.min(all)
}

/// What `limit` and `after` say, which only JSON has.
pub(super) fn page(
    params: &mut Params,
    format: Format,
) -> Result<(Option<usize>, Option<String>), Problem> {
    let limit = params.limit(MAX_PAGE)?;
    let after = params.one("after")?;
    if format != Format::Json && (limit.is_some() || after.is_some()) {
        return Err(problems::parameter(
            "limit",
            "only JSON comes by pages; leave out limit and after, this format comes whole",
        ));
    }
    Ok((limit, after))
}

/// Reads where a long reading keeps no other call waiting.
async fn off_thread<T: Send + 'static>(
    snapshot: Arc<TenantSnapshot>,
    read: impl FnOnce(&TenantSnapshot) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(move || read(&snapshot))
        .await
        .map_err(|_| problems::internal())?
        .map_err(|error| problems::view(&error))
}

/// The view of that name, or why it cannot be read.
pub(super) fn find<'a>(
    snapshot: &'a TenantSnapshot,
    name: &str,
) -> Result<&'a ViewSnapshot, Problem> {
    snapshot.view(name).ok_or_else(|| {
        if let Some(module) = snapshot.hidden().view(name) {
            return Problem::switched_off(&format!("the view '{name}'"), module);
        }
        if let Some(unready) = snapshot.unready(name) {
            return problems::unready_view(unready);
        }
        let known: Vec<&str> = snapshot.views().iter().map(|v| v.view().name()).collect();
        problems::unknown_view(name, &known)
    })
}
