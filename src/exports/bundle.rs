//! What is in an archive.
//!
//! | file | |
//! |---|---|
//! | `tenant.json` | the settings |
//! | `event_types.json` | the types that the tenant has registered, with their schemas |
//! | `custom_fields.json` | what it has declared beside the fields of event types |
//! | `own_views.json` | the views that it has defined |
//! | `events/<module>/<fact>.ndjson` | its events as CloudEvents, one a line: they can be sent again |
//! | `views/<name>.csv` | the rows of each view |
//! | `alert_rules.json` | the rules of its alerts, without secrets |
//! | `alerts.ndjson` | the alerts, and what became of them, the newest first |
//! | `dashboards.ndjson` | its dashboards: of each the versions that are kept, the newest first |
//! | `given_template.json` | what it was given of a template, as that was then |
//! | `reports.json` | its reports, without secrets |
//! | `report_runs.ndjson` | their runs that are kept, of each report the newest first, without secrets |
//! | `report_files/<run>/<name>` | the files of the runs that are kept |
//! | `service_tokens.json` | what is known of the tokens of its producers, but not by what they are known |
//! | `dead_letters.ndjson` | what came by Kafka and is no event |
//! | `audit.ndjson` | its chain of the audit, the oldest record first |
//! | `manifest.json` | the position, and of each file before it rows, bytes and SHA-256 |
//!
//! What is hidden, as its module is off, is in it too: it is the tenant's.

use std::pin::pin;
use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{Array, RecordBatch, StringArray};
use chrono::Utc;
use futures::TryStreamExt;
use object_store::ObjectStore;
use projections::encode::{RowEncoder, write_text};
use projections::{EventType, Readers, Tenant, TenantSnapshot};
use query::{csv_body, view_answer};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tenancy::audit::Chain;
use tenancy::{AlertFilter, DeclaredField, FieldOrigin, Store, TenantRecord, hex};
use tokio::io::AsyncReadExt;

use super::tar::Archive;
use super::{ExportError, PART, report_files};
use crate::alerts::Told;
use crate::alerts::told::WholeAlert;
use crate::dead_letters::Described;
use crate::event_types::TypeDirectory;
use crate::own_views::OwnViews;
use crate::serve::EventHistory;

/// The columns of a relation that are not fields of the data.
const ENVELOPE: usize = projections::events::ENVELOPE.len();
/// Bytes of lines that are gathered before they are written.
const LINES: usize = 1 << 20;
/// Dead letters that are read at a time: each may have some hundred kilobytes.
const LETTERS: u32 = 50;
/// Alerts that are read at a time.
const ALERTS: u32 = 200;
/// Records of the audit that are read at a time: each may have the text of a query.
const RECORDS: u32 = 50;

/// Where all that a tenant has is read.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) store: Store,
    pub(crate) types: TypeDirectory,
    pub(crate) history: EventHistory,
    pub(crate) readers: Readers,
    pub(crate) own_views: OwnViews,
}

/// Writes the archive of a tenant to a new file; answers its bytes and its SHA-256.
pub(super) async fn write(
    sources: &Sources,
    objects: &Arc<dyn ObjectStore>,
    tenant: &TenantRecord,
    path: &std::path::Path,
) -> Result<(u64, String), ExportError> {
    let number = Tenant(tenant.number);
    let snapshot = sources.readers.snapshot(number);
    let mut archive = Archive::create(path).await?;
    file(&mut archive, "tenant.json", json!(tenant)).await?;
    let own = sources.types.registry().visible(number);
    let own: Vec<&Arc<EventType>> = own.iter().filter(|t| t.owner() == Some(number)).collect();
    let own: Vec<_> = own.into_iter().map(|t| sources.types.describe(t)).collect();
    file(&mut archive, "event_types.json", json!(own)).await?;
    file(&mut archive, "custom_fields.json", custom_fields(sources, number)).await?;
    let own = sources.own_views.all(number);
    let own = own.iter().map(|view| {
        let of = &view.definition;
        json!({ "name": of.name, "sql": of.sql, "key": of.key })
    });
    file(&mut archive, "own_views.json", own.collect()).await?;
    for event_type in sources.types.registry().visible(number).iter() {
        events(&mut archive, sources, number, event_type, snapshot.offset()).await?;
    }
    let mut unread = Vec::new();
    for view in snapshot.views() {
        match view.failure() {
            Some(failure) => {
                unread.push(json!({ "view": view.view().name(), "error": failure.to_string() }));
            }
            None => rows(&mut archive, &snapshot, view.view().name(), view.row_count()).await?,
        }
    }
    let rules = sources.store.alert_rules(tenant.number).await;
    let rules = rules.map_err(|error| ExportError::Read(error.to_string()))?;
    let rules = crate::alerts::rules_told(tenant, rules);
    let rules = rules.map_err(|error| ExportError::Read(error.to_string()))?;
    file(&mut archive, "alert_rules.json", json!(rules)).await?;
    alerts(&mut archive, &sources.store, number).await?;
    dashboards(&mut archive, &sources.store, number).await?;
    given_template(&mut archive, &sources.store, number).await?;
    report_files::write(&mut archive, &sources.store, objects, number).await?;
    service_tokens(&mut archive, &sources.store, number).await?;
    dead_letters(&mut archive, sources, number).await?;
    audit(&mut archive, &sources.store, number).await?;
    let manifest = json!({
        "format": "tidemark-export-1",
        "tenant": tenant.id,
        "made_at": Utc::now(),
        "position": snapshot.position().to_string(),
        "as_of": snapshot.today(),
        "files": archive.written(),
        "failed_views": unread,
    });
    file(&mut archive, "manifest.json", manifest).await?;
    let bytes = archive.finish().await?;
    Ok((bytes, digest(path).await?))
}

/// The fields that the tenant has declared, each with who has declared it.
fn custom_fields(sources: &Sources, tenant: Tenant) -> Value {
    let told = |(origin, field): (FieldOrigin, &DeclaredField)| {
        let mut told = json!(field);
        told["origin"] = json!(origin);
        told
    };
    sources.types.fields(tenant).all().map(told).collect()
}

/// A file of one JSON value.
pub(super) async fn file(
    archive: &mut Archive,
    name: &str,
    value: Value,
) -> Result<(), ExportError> {
    let rows = value.as_array().map_or(1, Vec::len) as u64;
    let text = format!("{value:#}\n");
    archive.begin(name).await?;
    archive.write(text.as_bytes(), rows).await?;
    Ok(archive.end().await?)
}

/// A tenant's events of one type, if there are any.
async fn events(
    archive: &mut Archive,
    sources: &Sources,
    tenant: Tenant,
    event_type: &Arc<EventType>,
    up_to: u64,
) -> Result<(), ExportError> {
    let unread = |error: &dyn std::fmt::Display| {
        ExportError::Read(format!("the events of {}: {error}", event_type.name()))
    };
    let accepted = sources.history.of(tenant).ok_or(ExportError::Moved)?;
    let mut batches = pin!(accepted.scan_stored(tenant, event_type, up_to));
    let (mut lines, mut held, mut has_begun) = (Vec::new(), 0, false);
    while let Some(batch) = batches.try_next().await.map_err(|error| unread(&error))? {
        let encoder = RowEncoder::new(&batch);
        let beyond = Beyond::of(&batch).ok_or_else(|| unread(&"its columns are others"))?;
        for row in 0..batch.num_rows() {
            event(&mut lines, event_type, &encoder, &beyond, row).map_err(|e| unread(&e))?;
            held += 1;
            if lines.len() < LINES {
                continue;
            }
            if !std::mem::replace(&mut has_begun, true) {
                archive.begin(path(event_type)).await?;
            }
            archive.write(&lines, std::mem::take(&mut held)).await?;
            lines.clear();
        }
    }
    if held > 0 && !std::mem::replace(&mut has_begun, true) {
        archive.begin(path(event_type)).await?;
    }
    if has_begun {
        archive.write(&lines, held).await?;
        archive.end().await?;
    }
    Ok(())
}

fn path(event_type: &EventType) -> String {
    format!("events/{}.ndjson", event_type.name().replacen('.', "/", 1))
}

/// What stands behind the relation's columns.
struct Beyond<'a> {
    source: &'a StringArray,
    extra: &'a StringArray,
}

/// Members that no column has, as they came.
#[derive(Default, Deserialize)]
struct Extra<'a> {
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl<'a> Beyond<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let text = |back: usize| {
            let place = batch.num_columns().checked_sub(back)?;
            batch.column(place).as_string_opt::<i32>()
        };
        Some(Self { source: text(2)?, extra: text(1)? })
    }
}

/// Writes an event as it could be sent again.
fn event(
    out: &mut Vec<u8>,
    event_type: &EventType,
    encoder: &RowEncoder<'_>,
    beyond: &Beyond<'_>,
    row: usize,
) -> Result<(), serde_json::Error> {
    let extra = if beyond.extra.is_valid(row) {
        serde_json::from_str::<Extra<'_>>(beyond.extra.value(row))?
    } else {
        Extra::default()
    };
    out.extend_from_slice(b"{\"specversion\":\"1.0\",\"id\":");
    encoder.write_value(out, 0, row);
    out.extend_from_slice(b",\"source\":");
    write_text(out, beyond.source.value(row));
    out.extend_from_slice(b",\"type\":");
    write_text(out, event_type.name());
    out.extend_from_slice(b",\"time\":");
    encoder.write_value(out, 1, row);
    member(out, b",\"subject\":", encoder, 2, row);
    more(out, extra.attributes, false);
    out.extend_from_slice(b",\"data\":{");
    let begins = out.len();
    for (place, field) in event_type.fields().iter().enumerate() {
        let mut name = Vec::new();
        if out.len() > begins {
            name.push(b',');
        }
        write_text(&mut name, &field.name);
        name.push(b':');
        member(out, &name, encoder, ENVELOPE + place, row);
    }
    more(out, extra.data, out.len() == begins);
    out.extend_from_slice(b"}}\n");
    Ok(())
}

/// Writes a member unless it is null.
fn member(out: &mut Vec<u8>, name: &[u8], encoder: &RowEncoder<'_>, column: usize, row: usize) {
    let before = out.len();
    out.extend_from_slice(name);
    let value = out.len();
    encoder.write_value(out, column, row);
    if out[value..] == *b"null" {
        out.truncate(before);
    }
}

/// Writes the members of an object into another one.
fn more(out: &mut Vec<u8>, object: Option<&RawValue>, is_first: bool) {
    let Some(object) = object else { return };
    let members = object.get().trim().trim_start_matches('{').trim_end();
    let members = members.strip_suffix('}').unwrap_or(members);
    if members.trim().is_empty() {
        return;
    }
    if !is_first {
        out.push(b',');
    }
    out.extend_from_slice(members.as_bytes());
}

/// The rows of a view.
async fn rows(
    archive: &mut Archive,
    snapshot: &TenantSnapshot,
    view: &str,
    count: usize,
) -> Result<(), ExportError> {
    let unread = |error: query::QueryError| ExportError::Read(error.to_string());
    let answer = view_answer(snapshot, view).map_err(unread)?;
    archive.begin(format!("views/{view}.csv")).await?;
    archive.write(&[], count as u64).await?;
    let mut parts = pin!(csv_body(answer, false));
    while let Some(part) = parts.try_next().await.map_err(unread)? {
        archive.write(&part, 0).await?;
    }
    Ok(archive.end().await?)
}

/// The tenant's alerts that are kept, if there are any.
async fn alerts(archive: &mut Archive, store: &Store, tenant: Tenant) -> Result<(), ExportError> {
    let unread = |error: tenancy::StoreError| ExportError::Read(error.to_string());
    let (mut before, mut has_begun) = (None::<String>, false);
    loop {
        // Whoever they are for.
        let audience = u8::MAX;
        let before_that = before.as_deref();
        let filter =
            AlertFilter { audience, state: None, rule: None, before: before_that, most: ALERTS };
        let page = store.alerts(tenant.0, filter).await.map_err(unread)?;
        let Some(last) = page.last() else { break };
        let mut lines = String::new();
        for alert in &page {
            // It may have gone meanwhile.
            let found = store.alert(tenant.0, &alert.id, audience).await.map_err(unread)?;
            let Some((alert, history)) = found else { continue };
            let deliveries = store.alert_deliveries(tenant.0, &alert.id).await.map_err(unread)?;
            let whole = WholeAlert::of(tenant, &Told { alert, history, deliveries });
            lines.push_str(&format!("{}\n", json!(whole)));
        }
        if !std::mem::replace(&mut has_begun, true) {
            archive.begin("alerts.ndjson").await?;
        }
        archive.write(lines.as_bytes(), lines.lines().count() as u64).await?;
        before = Some(last.id.clone());
    }
    if has_begun {
        archive.end().await?;
    }
    Ok(())
}

/// The tenant's dashboards, if there are any, one version at a time.
async fn dashboards(
    archive: &mut Archive,
    store: &Store,
    tenant: Tenant,
) -> Result<(), ExportError> {
    let unread = |error: tenancy::StoreError| ExportError::Read(error.to_string());
    let heads = store.dashboards(tenant.0).await.map_err(unread)?;
    if heads.is_empty() {
        return Ok(());
    }
    archive.begin("dashboards.ndjson").await?;
    for head in heads {
        let versions = store.dashboard_versions(tenant.0, &head.id).await.map_err(unread)?;
        for version in versions {
            let found = store.dashboard_version(tenant.0, &head.id, version.number).await;
            // It may have gone meanwhile.
            let Some((version, document)) = found.map_err(unread)? else { continue };
            let line = json!({
                "id": head.id.as_str(),
                "version": version.number,
                "name": version.name,
                "changed_by": version.changed_by,
                "changed_at": version.changed_at,
                "restored_from": version.restored_from,
                "document": document,
            });
            archive.write(format!("{line}\n").as_bytes(), 1).await?;
        }
    }
    Ok(archive.end().await?)
}

/// What the tenant was given of a template, if it was.
async fn given_template(
    archive: &mut Archive,
    store: &Store,
    tenant: Tenant,
) -> Result<(), ExportError> {
    let given = store.given_template(tenant.0).await;
    let given = given.map_err(|error| ExportError::Read(error.to_string()))?;
    let Some(given) = given else { return Ok(()) };
    let told = json!({
        "revision": given.revision,
        "given_at": given.given_at,
        "template": given.template,
    });
    file(archive, "given_template.json", told).await
}

/// What is known of the tokens of the tenant's producers.
async fn service_tokens(
    archive: &mut Archive,
    store: &Store,
    tenant: Tenant,
) -> Result<(), ExportError> {
    let tokens = store.service_tokens(tenant.0).await;
    let tokens = tokens.map_err(|error| ExportError::Read(error.to_string()))?;
    // Not the hashes either: whoever has the archive learns nothing of the tokens themselves.
    let told = tokens.iter().map(|token| {
        json!({
            "id": token.id,
            "name": token.name,
            "created_by": token.created_by,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        })
    });
    file(archive, "service_tokens.json", told.collect()).await
}

async fn dead_letters(
    archive: &mut Archive,
    sources: &Sources,
    tenant: Tenant,
) -> Result<(), ExportError> {
    let (mut after, mut has_begun) = (None::<String>, false);
    loop {
        let page = sources.store.dead_letters(Some(tenant.0), after.as_deref(), LETTERS).await;
        let page = page.map_err(|error| ExportError::Read(error.to_string()))?;
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        if !std::mem::replace(&mut has_begun, true) {
            archive.begin("dead_letters.ndjson").await?;
        }
        for letter in &page {
            let line = format!("{}\n", json!(Described::of(letter)));
            archive.write(line.as_bytes(), 1).await?;
        }
    }
    if has_begun {
        archive.end().await?;
    }
    Ok(())
}

/// The tenant's chain of the audit, as it is now.
async fn audit(archive: &mut Archive, store: &Store, tenant: Tenant) -> Result<(), ExportError> {
    let unread = |error: tenancy::StoreError| ExportError::Read(error.to_string());
    let chain = Chain::Tenant(tenant.0);
    let end = store.audit_last(chain).await.map_err(unread)?;
    archive.begin("audit.ndjson").await?;
    let mut after = 0;
    while after < end {
        let page = store.audit_after(chain, after, end, RECORDS).await.map_err(unread)?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        let mut lines = String::new();
        for record in &page {
            lines.push_str(&record.to_json().to_string());
            lines.push('\n');
        }
        archive.write(lines.as_bytes(), page.len() as u64).await?;
    }
    Ok(archive.end().await?)
}

/// The SHA-256 of a file.
async fn digest(path: &std::path::Path) -> Result<String, ExportError> {
    let mut file = tokio::fs::File::open(path).await?;
    let (mut hash, mut part) = (Sha256::new(), vec![0; PART]);
    loop {
        let read = file.read(&mut part).await?;
        if read == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&part[..read]);
    }
}
