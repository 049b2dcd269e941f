//! `GET /v1/views/{name}/explain`: the events behind a cell of a built-in view.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use projections::ViewSnapshot;
use query::{Cell, DEFAULT_PAGE, Format};
use serde_json::{Map, Value};
use stream::Problem;

use super::answers::Waiting;
use super::audit::Trace;
use super::caller::Caller;
use super::params::{Name, Params};
use super::{App, answers, problems, views};

/// Explains a cell: JSON by pages, other formats with all events.
pub(super) async fn explain(
    State(app): State<Arc<App>>,
    caller: Caller,
    Name(name): Name,
    trace: Trace,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = answers::format(&headers)?;
    let raw = answers::raw(&mut params)?;
    let (limit, after) = views::page(&mut params, format)?;
    let column = params.one("column")?;
    let waiting = Waiting::of(&caller, &mut params)?;
    waiting.applied(&app).await?;
    let snapshot = app.snapshot(&caller)?;
    let view = views::find(&snapshot, &name)?;
    let key = key(view, &mut params)?;
    params
        .finish("key or the columns of the key, column, limit, after, raw, wait_for and wait_ms")?;
    trace.note("key", key.clone());
    let cell = Cell { view: name, key, column };
    if format != Format::Json {
        if let Some(column) = &cell.column {
            trace.note("column", column.as_str());
        }
        let answer = app.queries.explain_whole(&snapshot, &cell).await;
        let answer = answer.map_err(|error| problems::explain(&error))?;
        return answers::completed(&app.shelf, answer, format, raw, &trace).await;
    }
    let limit = limit.unwrap_or(DEFAULT_PAGE);
    let explanation = app.queries.explain(&snapshot, cell, after.as_deref(), limit).await;
    let explanation = explanation.map_err(|error| problems::explain(&error))?;
    trace.note("column", explanation.column);
    trace.rows(explanation.lines.num_rows());
    let position = explanation.position.to_string();
    let body = app.shelf.whole(caller.number(), explanation.json())?;
    let response = ([(CONTENT_TYPE, Format::Json.content_type())], body).into_response();
    Ok(answers::at_position(response, &position))
}

/// The key of the row: the JSON object of `key`, or a parameter for each column of the view's key.
fn key(view: &ViewSnapshot, params: &mut Params) -> Result<Map<String, Value>, Problem> {
    if let Some(text) = params.one("key")? {
        return serde_json::from_str(&text).map_err(|error| {
            let expected = "write it as a JSON object with the columns of the key";
            problems::parameter("key", &format!("it cannot be read ({error}); {expected}"))
        });
    }
    let view = view.view();
    let mut key = Map::new();
    for place in view.key() {
        let name = view.schema().field(*place).name();
        if let Some(value) = params.one(name)? {
            key.insert(name.clone(), Value::String(value));
        }
    }
    Ok(key)
}
