//! Parameters: what stands in an address or a header, with its type, bounds and what it is otherwise.

use query::{DEFAULT_PAGE, MAX_PAGE};
use serde_json::{Value, json};

use crate::http::answers::{WAIT_MS, WAIT_MS_MOST};

/// A part of the path.
pub(super) fn path(name: &str) -> Value {
    let about = match name {
        "name" => "the name of a view, or of a field",
        "type" => "the name of an event type",
        "run" => "the `run_id` of a run or an export",
        "version" => "the `version` of a dashboard that is kept",
        _ => "an `id` that lists and answers have given",
    };
    json!({
        "name": name, "in": "path", "required": true, "description": about,
        "schema": { "type": "string", "minLength": 1 },
    })
}

fn query(name: &str, about: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": about, "schema": schema })
}

fn text(name: &str, about: &str) -> Value {
    query(name, about, &json!({ "type": "string" }))
}

fn flag(name: &str, about: &str) -> Value {
    query(name, about, &json!({ "type": "boolean", "default": false }))
}

/// How much a page has, and where it begins.
pub(super) fn page(default: u32, most: u32) -> [Value; 2] {
    let schema = json!({ "type": "integer", "minimum": 1, "maximum": most, "default": default });
    [
        query("limit", "how many there are on a page; only JSON comes by pages", &schema),
        text("after", "the `next` of the page before"),
    ]
}

/// The same of rows.
pub(super) fn rows() -> [Value; 2] {
    let at_most = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    page(at_most(DEFAULT_PAGE), at_most(MAX_PAGE))
}

/// What a read waits for, and how long.
pub(super) fn waiting() -> [Value; 2] {
    let ms = json!({
        "type": "integer", "minimum": 0, "maximum": WAIT_MS_MOST, "default": WAIT_MS,
    });
    [
        text(
            "wait_for",
            "a position that an answer has given: the read is answered once it is applied",
        ),
        query("wait_ms", "for how many milliseconds it waits", &ms),
    ]
}

/// Whether text in CSV is left as it is.
pub(super) fn raw() -> Value {
    flag("raw", "whether text in CSV is left without the guard against formulas")
}

/// Whether a file is packed.
pub(super) fn gzip() -> Value {
    flag("gzip", "whether the file is packed as it leaves; parts of it are not given then")
}

/// The cell that is explained.
pub(super) fn cell() -> [Value; 3] {
    let object = json!({ "type": "string", "contentMediaType": "application/json" });
    let columns = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let mut columns = query(
        "columns",
        "instead of `key`: each column of the view's key as a parameter of its own name",
        &columns,
    );
    columns["style"] = json!("form");
    columns["explode"] = json!(true);
    [
        query("key", "the row: a JSON object with the columns of the view's key", &object),
        text("column", "the column that is explained; the view's main figure unless it says"),
        columns,
    ]
}

/// Which alerts.
pub(super) fn alerts() -> [Value; 2] {
    let states = json!({ "type": "string", "enum": ["open", "cleared", "all"], "default": "open" });
    [query("state", "whether they are on", &states), text("rule", "the `id` of their rule")]
}

/// Which records of the audit.
pub(super) fn records(actions: &[&str]) -> [Value; 4] {
    let moment = json!({ "type": "string", "format": "date-time" });
    [
        query("from", "the earliest moment", &moment),
        query("to", "the moment before which they are", &moment),
        text("actor", "the subject of a token"),
        query("action", "what was done", &json!({ "type": "string", "enum": actions })),
    ]
}

/// What is followed.
pub(super) fn subscriptions() -> Value {
    let one = json!({ "type": "string", "contentMediaType": "application/json" });
    json!({
        "name": "sub", "in": "query", "required": true, "style": "form", "explode": true,
        "description": "a subscription, as {\"id\":\"a\",\"view\":\"ar_aging\"}; any number of them",
        "schema": { "type": "array", "items": one, "minItems": 1 },
    })
}

/// A header that may be there.
pub(super) fn header(name: &str, about: &str) -> Value {
    json!({
        "name": name, "in": "header", "required": false, "description": about,
        "schema": { "type": "string" },
    })
}

/// The version that is meant, where one must be.
pub(super) fn if_match(required: bool) -> Value {
    let mut header = header("If-Match", "the `ETag` of what is to be changed, or `*`");
    header["required"] = json!(required);
    header
}
