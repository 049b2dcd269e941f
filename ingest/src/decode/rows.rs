//! Events, one at a time, checked and appended to the columns of their type.

use std::borrow::Cow;
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use chrono::{DateTime, NaiveTime, Utc};
use projections::events::{Field, FieldType, FieldValue};
use projections::{EventType, EventTypes};
use serde_json::value::RawValue;

use super::columns::{Columns, Head};
use super::envelope::{Envelope, Fault, Unknown, refuse_repeats, walk};
use super::value::{expectation, is_null, parse, shown};
use super::{BodyError, Decoded, DecodedBatch, Rejected, Sender, extra};
use crate::Limits;

/// Most unknown type names of a body for which the nearest known one is sought.
const MAX_SUGGESTIONS: usize = 32;

/// Bytes of an event, roughly, and the most rows for which room is made before they are there.
const EVENT_BYTES: usize = 256;
const MAX_EXPECTED: usize = 1024;

/// The events of a body as they are read.
pub(super) struct Rows<'a> {
    /// The only type whose events are taken, if there is one.
    pub(super) only: Option<&'a str>,
    /// The texts of the events with the places of their tables, where they are asked for.
    pub(super) note: Option<Vec<(usize, &'a str)>>,
    types: &'a EventTypes,
    limits: &'a Limits,
    sender: &'a Sender,
    earliest: i64,
    latest: DateTime<Utc>,
    /// Rows for which a type's columns have room from the start.
    expected: usize,
    index: usize,
    /// Whether the event under way is known to name no other tenant.
    is_own: bool,
    rejected: Vec<Rejected>,
    tables: Vec<Table>,
    by_name: HashMap<&'a str, usize>,
    /// The table of the event before: most bodies bring runs of one type.
    last: usize,
    suggestions: HashMap<String, Option<String>>,
    scratch: Scratch<'a>,
}

/// Space that every event uses anew.
#[derive(Default)]
struct Scratch<'a> {
    attributes: Vec<Unknown<'a>>,
    unknown: Vec<Unknown<'a>>,
    values: Vec<Option<FieldValue<'a>>>,
    extra: String,
}

/// The growing columns of one type.
struct Table {
    event_type: Arc<EventType>,
    columns: Columns,
    currency: Option<usize>,
}

/// The envelope's checked texts.
struct Checked<'a> {
    id: Cow<'a, str>,
    source: Cow<'a, str>,
    subject: Option<Cow<'a, str>>,
    time: i64,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        types: &'a EventTypes,
        limits: &'a Limits,
        sender: &'a Sender,
        now: DateTime<Utc>,
        body_bytes: usize,
    ) -> Self {
        let mut rows = Self {
            only: None,
            note: None,
            types,
            limits,
            sender,
            earliest: limits.earliest.and_time(NaiveTime::MIN).and_utc().timestamp_micros(),
            latest: now,
            expected: (body_bytes / EVENT_BYTES).clamp(1, MAX_EXPECTED),
            index: 0,
            is_own: false,
            rejected: Vec::new(),
            tables: Vec::new(),
            by_name: HashMap::new(),
            last: 0,
            suggestions: HashMap::new(),
            scratch: Scratch::default(),
        };
        rows.judge_at(now);
        rows
    }

    /// The moment by which it is told of the next events whether their time is too far ahead.
    pub(super) fn judge_at(&mut self, now: DateTime<Utc>) {
        let ahead = chrono::Days::new(self.limits.future.into());
        self.latest = now.checked_add_days(ahead).unwrap_or(DateTime::<Utc>::MAX_UTC);
    }

    /// Takes the next event; one that is not JSON or does not fit is rejected.
    pub(super) fn take(&mut self, event: &'a str) -> Result<(), BodyError> {
        match self.event(event) {
            Ok(()) => {
                self.index += 1;
                Ok(())
            }
            Err(Fault::Syntax(reason) | Fault::Event(reason)) => self.refuse(reason, !self.is_own),
        }
    }

    /// Takes the only event; one that is not JSON refuses the body.
    pub(super) fn take_only(&mut self, event: &'a str) -> Result<(), BodyError> {
        match self.event(event) {
            Ok(()) => Ok(()),
            Err(Fault::Syntax(reason)) => {
                Err(BodyError::Malformed(format!("the body is {reason}")))
            }
            Err(Fault::Event(reason)) => self.refuse(reason, !self.is_own),
        }
    }

    /// Notes the next event as rejected, of which nothing can be read.
    pub(super) fn reject(&mut self, reason: String) -> Result<(), BodyError> {
        self.refuse(reason, true)
    }

    fn refuse(&mut self, reason: String, may_be_foreign: bool) -> Result<(), BodyError> {
        if self.rejected.len() >= self.limits.max_rejected {
            let first = self.rejected.swap_remove(0);
            return Err(BodyError::TooManyRejected { limit: self.limits.max_rejected, first });
        }
        self.rejected.push(Rejected { index: self.index, reason, may_be_foreign });
        self.index += 1;
        Ok(())
    }

    /// What was decoded, and for each table the place of its batch, if it has one.
    pub(super) fn finish(self) -> Result<(Decoded, Vec<Option<usize>>), BodyError> {
        let (mut batches, mut places) = (Vec::new(), Vec::new());
        for Table { event_type, columns, .. } in self.tables {
            let rows = columns
                .finish(&event_type)
                .map_err(|error| BodyError::Malformed(format!("{}: {error}", event_type.name())))?;
            let has_rows = rows.num_rows() > 0;
            places.push(has_rows.then_some(batches.len()));
            if has_rows {
                batches.push(DecodedBatch { event_type, rows });
            }
        }
        let decoded = Decoded { tenant: self.sender.tenant, batches, rejected: self.rejected };
        Ok((decoded, places))
    }

    fn event(&mut self, event: &'a str) -> Result<(), Fault> {
        self.is_own = false;
        if event.len() > self.limits.max_event {
            return Err(Fault::Event(format!(
                "the event has {} bytes, and at most {} are taken",
                event.len(),
                self.limits.max_event
            )));
        }
        let envelope = Envelope::parse(event, &mut self.scratch.attributes)?;
        self.check_tenant(&envelope)?;
        self.is_own = true;
        let checked = self.check(&envelope)?;
        let name = required(envelope.event_type, "type", self.limits)?;
        if let Some(only) = self.only.filter(|only| *only != name) {
            let name = shown(&name);
            return Err(Fault::Event(format!("type: expected \"{only}\", found \"{name}\"")));
        }
        let table = self.table(&name)?;
        let data = envelope.data.filter(|data| !is_null(data)).ok_or_else(|| {
            if envelope.data_base64.is_some() {
                "data_base64: binary data is not taken; send the fields as a JSON object in data"
                    .to_owned()
            } else {
                "data is missing: expected a JSON object with the fields of the type".to_owned()
            }
        })?;
        self.fields(table, data)?;
        let Scratch { attributes, unknown, values, extra } = &mut self.scratch;
        extra.clear();
        if !attributes.is_empty() || !unknown.is_empty() {
            extra::write(attributes, unknown, self.limits.max_text, extra)?;
        }
        let head = Head {
            id: &checked.id,
            time: checked.time,
            subject: checked.subject.as_deref(),
            source: &checked.source,
            extra,
        };
        let values = values.iter_mut().map(|value| value.take().unwrap_or(FieldValue::Null));
        self.tables[table].columns.append(&head, values);
        if let Some(note) = &mut self.note {
            note.push((table, event));
        }
        Ok(())
    }

    /// Checks that the event is the sender's: before all else, since what is wrong beside is told to
    /// the tenant whose it is.
    fn check_tenant(&self, envelope: &Envelope<'a>) -> Result<(), String> {
        match named_tenant(envelope, self.limits)? {
            Some(tenant) if tenant != self.sender.tenant_id => Err(format!(
                "tenantid: \"{}\" is not the tenant that sends: expected \"{}\", or none",
                shown(&tenant),
                self.sender.tenant_id
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks the attributes that every event has.
    fn check(&self, envelope: &Envelope<'a>) -> Result<Checked<'a>, String> {
        let limits = self.limits;
        let version = required(envelope.specversion, "specversion", limits)?;
        if version != "1.0" {
            return Err(format!("specversion: expected \"1.0\", found \"{}\"", shown(&version)));
        }
        let id = required(envelope.id, "id", limits)?;
        let source = required(envelope.source, "source", limits)?;
        let subject = optional(envelope.subject, "subject", limits)?;
        Ok(Checked { id, source, subject, time: self.time(envelope.time)? })
    }

    fn time(&self, raw: Option<&'a RawValue>) -> Result<i64, String> {
        let missing = || format!("time is missing: expected {}", expectation(FieldType::Timestamp));
        let raw = raw.filter(|raw| !is_null(raw)).ok_or_else(missing)?;
        let value = parse(raw, FieldType::Timestamp, self.limits.max_text)
            .map_err(|reason| format!("time: {reason}"))?;
        let FieldValue::Timestamp(time) = value else {
            return Err(missing());
        };
        if time < self.earliest {
            return Err(format!(
                "time: {} is too early: expected {} or later",
                shown(raw.get()),
                self.limits.earliest
            ));
        }
        if time > self.latest.timestamp_micros() {
            return Err(format!(
                "time: {} lies in the future: expected at most {}",
                shown(raw.get()),
                self.latest.format("%Y-%m-%dT%H:%M:%SZ")
            ));
        }
        Ok(time)
    }

    /// The table of that type.
    fn table(&mut self, name: &str) -> Result<usize, String> {
        if self.tables.get(self.last).is_some_and(|table| table.event_type.name() == name) {
            return Ok(self.last);
        }
        if let Some(&table) = self.by_name.get(name) {
            self.last = table;
            return Ok(table);
        }
        let Some(event_type) = self.types.get(name) else {
            return Err(self.unknown_type(name));
        };
        self.last = self.tables.len();
        self.by_name.insert(event_type.name(), self.last);
        self.tables.push(Table {
            event_type: Arc::clone(event_type),
            columns: Columns::new(event_type, self.expected),
            currency: event_type
                .fields()
                .iter()
                .position(|f| f.name == "currency" && f.kind == FieldType::Text),
        });
        Ok(self.last)
    }

    fn unknown_type(&mut self, name: &str) -> String {
        if let Some(module) = self.types.hidden(name) {
            let name = shown(name);
            return format!(
                "type: \"{name}\" belongs to the module \"{module}\", which is switched off; an \
                 admin switches it on with PATCH /v1/tenant"
            );
        }
        let nearest = match self.suggestions.get(name) {
            Some(nearest) => nearest.clone(),
            None if self.suggestions.len() < MAX_SUGGESTIONS => {
                let nearest = nearest(name, self.types);
                self.suggestions.insert(name.to_owned(), nearest.clone());
                nearest
            }
            None => None,
        };
        let way_out = match nearest {
            Some(nearest) => format!("did you mean \"{nearest}\"?"),
            None => "GET /v1/event-types lists those there are".to_owned(),
        };
        format!("type: \"{}\" is not a known event type; {way_out}", shown(name))
    }

    /// Reads the fields of `data` into the scratch values, in the order of the schema.
    fn fields(&mut self, table: usize, data: &'a RawValue) -> Result<(), Fault> {
        let Table { event_type, currency, .. } = &self.tables[table];
        let fields = event_type.fields();
        let Scratch { unknown, values, .. } = &mut self.scratch;
        let max_text = self.limits.max_text;
        unknown.clear();
        values.clear();
        values.resize(fields.len(), None);
        let mut next = 0;
        walk(data.get(), |name, raw| {
            let Some(at) = position(fields, next, &name) else {
                unknown.push((name, raw));
                return Ok(());
            };
            next = at + 1;
            let value = parse(raw, fields[at].kind, max_text)
                .map_err(|reason| format!("data.{name}: {reason}"))?;
            match values[at].replace(value) {
                Some(_) => Err(format!("data.{name} is given twice")),
                None => Ok(()),
            }
        })
        .map_err(|fault| match fault {
            Fault::Event(reason) if !reason.starts_with("data.") => {
                Fault::Event(format!("data: {reason}"))
            }
            fault => fault,
        })?;
        refuse_repeats(unknown).map_err(|reason| format!("data.{reason}"))?;
        if let Some(currency) = *currency {
            check_currency(&mut values[currency], &self.sender.currency)?;
        }
        check_required(fields, values)?;
        Ok(())
    }
}

/// Puts the tenant's currency where none is given.
fn check_currency(value: &mut Option<FieldValue<'_>>, default: &str) -> Result<(), String> {
    match value {
        Some(FieldValue::Text(code)) => {
            if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
                return Err(format!(
                    "data.currency: expected an ISO 4217 code of three capital letters, found \"{}\"",
                    shown(code)
                ));
            }
        }
        absent => *absent = Some(FieldValue::Text(Cow::Owned(default.to_owned()))),
    }
    Ok(())
}

fn check_required(fields: &[Field], values: &[Option<FieldValue<'_>>]) -> Result<(), String> {
    for (field, value) in fields.iter().zip(values) {
        if field.optional {
            continue;
        }
        let name = &field.name;
        let expected = expectation(field.kind);
        match value {
            None => return Err(format!("data.{name} is missing: expected {expected}")),
            Some(FieldValue::Null) => {
                return Err(format!("data.{name}: expected {expected}, found null"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The place of the field of that name; `next` is where it stands if the sender keeps the schema's order.
fn position(fields: &[Field], next: usize, name: &str) -> Option<usize> {
    if fields.get(next).is_some_and(|field| field.name == name) {
        return Some(next);
    }
    fields.iter().position(|field| field.name == name)
}

/// The tenant that an event names, if it names one.
pub(super) fn named_tenant<'a>(
    envelope: &Envelope<'a>,
    limits: &Limits,
) -> Result<Option<Cow<'a, str>>, String> {
    optional(envelope.tenantid, "tenantid", limits)
}

/// The text of an attribute that may be absent or null.
fn optional<'a>(
    raw: Option<&'a RawValue>,
    name: &str,
    limits: &Limits,
) -> Result<Option<Cow<'a, str>>, String> {
    let Some(raw) = raw else {
        return Ok(None);
    };
    match parse(raw, FieldType::Text, limits.max_text) {
        Ok(FieldValue::Text(text)) => Ok(Some(text)),
        Ok(_) => Ok(None),
        Err(reason) => Err(format!("{name}: {reason}")),
    }
}

/// The text of an attribute that must be there.
fn required<'a>(
    raw: Option<&'a RawValue>,
    name: &str,
    limits: &Limits,
) -> Result<Cow<'a, str>, String> {
    match optional(raw, name, limits)? {
        Some(text) if text.is_empty() => Err(format!("{name}: expected text, found none in it")),
        Some(text) => Ok(text),
        None => Err(format!("{name} is missing: expected text")),
    }
}

/// The known type whose name is nearest, if it is near enough to be meant.
fn nearest(name: &str, types: &EventTypes) -> Option<String> {
    let name: Vec<char> = name.chars().take(100).collect();
    let most = (name.len() / 3).max(2);
    types
        .iter()
        .map(|known| (distance(&name, known.name()), known.name()))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known.to_owned())
}

/// How many characters must be put in, left out or replaced.
fn distance(from: &[char], to: &str) -> usize {
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (line, wanted) in to.chars().enumerate() {
        let mut diagonal = mem::replace(&mut row[0], line + 1);
        for (at, found) in from.iter().enumerate() {
            let replaced = diagonal + usize::from(*found != wanted);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[from.len()]
}
