//! Messages as events of their types, or as dead letters.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::UInt32Array;
use chrono::{DateTime, Utc};
use projections::{EventRegistry, EventType, EventTypes, Tenant};
use rdkafka::message::{BorrowedMessage, Headers, Message as _, OwnedMessage};

use super::error::SourceError;
use super::first::{Decoded, first_of_each};
use super::murmur2::partition_of;
use super::senders::Senders;
use crate::avro::{AvroDecoder, Body, MAGIC, PREFIX, RegistryError, SchemaRegistry, schema_id};
use crate::dead_letters::{DeadLetter, KEPT_BYTES};
use crate::decode::{Only, decode_each, names_no_other, shown};
use crate::log::{Segment, key};
use crate::{Format, Limits, Sender};

/// Readers of schemas that are kept. Before there are more, what they are for is decoded.
const MOST_DECODERS: usize = 2_000;
/// How long a registry that does not answer is left alone.
const REGISTRY_PAUSE: Duration = Duration::from_millis(500);

/// Finds tenants by their ids: what messages have as keys.
pub trait KnownTenants: Send + Sync {
    /// The tenant of that id as a sender of events, from memory.
    fn find(&self, id: &str) -> Option<Sender>;

    /// Looks for tenants and event types that others have created since, and has them known; may
    /// block. Asked when a message names what is not known: it may have come about just before the
    /// message did.
    ///
    /// # Errors
    /// It cannot be told at this moment, for the reason given.
    fn look(&self) -> Result<(), String>;

    /// Whether the tenant of that id is deleted: its events are dropped.
    fn is_deleted(&self, id: &str) -> bool;
}

/// A message, wherever it stands in memory.
#[derive(Clone, Copy)]
pub(crate) struct Message<'m> {
    pub(crate) topic: &'m str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Kafka's own, in milliseconds: when it was made, or came; 0 if it has none.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'m [u8]>,
    pub(crate) value: Option<&'m [u8]>,
    /// Whether a header says that the value is a CloudEvent in JSON.
    pub(crate) is_json: bool,
}

impl<'m> Message<'m> {
    pub(crate) fn borrowed(message: &'m BorrowedMessage<'_>) -> Self {
        let value = message.payload();
        Self {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap_or_default(),
            key: message.key(),
            value,
            is_json: is_open(value) && message.headers().is_some_and(is_json),
        }
    }

    pub(crate) fn owned(message: &'m OwnedMessage) -> Self {
        Self {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap_or_default(),
            key: message.key(),
            value: message.payload(),
            is_json: is_open(message.payload()) && message.headers().is_some_and(is_json),
        }
    }

    /// Whether it is read as a CloudEvent in JSON.
    fn is_json(&self) -> bool {
        self.is_json || self.value.is_some_and(|value| value.first() == Some(&b'{'))
    }

    /// The moment by which it is told whether its event's time is too far ahead: when the message was
    /// written, so that it is told alike whenever it is read. A moment that has not come is not
    /// believed.
    fn moment(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let written = DateTime::from_timestamp_millis(self.timestamp);
        written.filter(|written| self.timestamp > 0 && *written < now).unwrap_or(now)
    }

    /// Whose it is while it is not decoded: the tenant's of its key if there is nothing in it, or if it
    /// is an event that names no other. Of all else nobody can tell.
    fn whose(&self, sender: &Sender, limits: &Limits) -> Option<Tenant> {
        let is_own = match self.value {
            None | Some([]) => true,
            Some(value) if self.is_json() => {
                value.len() <= limits.max_event && names_no_other(limits, &sender.tenant_id, value)
            }
            // No more than the id of a schema.
            Some(value) => value.first() == Some(&MAGIC) && value.len() <= PREFIX,
        };
        is_own.then_some(sender.tenant)
    }

    fn letter(&self, tenant: Option<Tenant>, reason: String) -> DeadLetter {
        let kept = |bytes: &[u8]| bytes[..bytes.len().min(KEPT_BYTES)].to_vec();
        DeadLetter {
            topic: self.topic.to_owned(),
            partition: self.partition,
            offset: self.offset,
            tenant,
            reason,
            key: self.key.map(kept),
            value: self.value.map(kept),
            size: self.value.map_or(0, <[u8]>::len),
            is_json: self.is_json,
        }
    }
}

/// Whether the first byte leaves open what a value is, so that its headers are looked at.
fn is_open(value: Option<&[u8]>) -> bool {
    !matches!(value, Some([0 | b'{', ..]) | None)
}

fn is_json<H: Headers>(headers: &H) -> bool {
    headers.iter().any(|header| {
        header.key.eq_ignore_ascii_case("content-type")
            && header
                .value
                .and_then(|value| std::str::from_utf8(value).ok())
                .is_some_and(|value| Format::from_content_type(value) == Some(Format::Event))
    })
}

/// What became of messages.
#[derive(Default)]
pub(crate) struct Translated {
    /// The events, in the columns that they are kept with; some types may stand in several.
    pub(crate) segments: Vec<Segment>,
    /// The time zones of tenants whose events move their date.
    pub(crate) clocks: HashMap<Tenant, chrono_tz::Tz>,
    /// What is no event.
    pub(crate) letters: Vec<DeadLetter>,
    /// How many messages are of tenants that are deleted.
    pub(crate) deleted: usize,
    /// The places of the messages that wait for their schema, or stand behind such in their topic.
    pub(crate) held: Vec<usize>,
}

/// Makes events of the messages of one partition number.
pub(crate) struct Translator {
    pub(crate) prefix: String,
    /// The partition number, and how many there are.
    pub(crate) partition: (i32, i32),
    pub(crate) types: EventRegistry,
    pub(crate) limits: Limits,
    pub(crate) tenants: Arc<dyn KnownTenants>,
    pub(crate) registry: Option<SchemaRegistry>,
    pub(crate) runtime: tokio::runtime::Handle,
    decoders: HashMap<(String, u32), Decoder>,
    /// Until when the registry is left alone.
    silent: Option<Instant>,
}

/// A reader of a schema, or why it cannot be read as the type.
struct Decoder {
    event_type: Arc<EventType>,
    reader: Result<AvroDecoder, String>,
}

/// Messages of one form that are decoded together: their places and senders.
#[derive(Default)]
struct Group {
    places: Vec<usize>,
    senders: Vec<usize>,
}

/// What a message is read as.
#[derive(PartialEq, Eq, Hash)]
enum Form {
    /// By the schema of that id, as the type of that key.
    Avro(String, u32),
    /// Of that topic, for the sender at that place.
    Json(String, usize),
}

/// Why a message is not decoded.
pub(super) enum Stop {
    /// Its key is no tenant's.
    Keyless(String),
    /// It never can be, though its key is that of the sender at that place.
    Unread(usize, String),
    /// Its schema is not known yet, or it cannot be told whether its tenant or type is.
    Wait,
    /// Its tenant is deleted.
    Deleted,
}

impl Translator {
    pub(crate) fn new(
        prefix: String,
        partition: (i32, i32),
        types: EventRegistry,
        limits: Limits,
        tenants: Arc<dyn KnownTenants>,
        registry: Option<SchemaRegistry>,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        Self {
            prefix,
            partition,
            types,
            limits,
            tenants,
            registry,
            runtime,
            decoders: HashMap::new(),
            silent: None,
        }
    }

    /// Makes events of messages; those of the topics in `held` wait, and so do those behind one
    /// whose schema is not known yet.
    pub(crate) fn translate(
        &mut self,
        messages: &[Message<'_>],
        held: &BTreeSet<String>,
        now: DateTime<Utc>,
    ) -> Result<Translated, SourceError> {
        let mut out = Translated::default();
        let mut waiting: BTreeSet<&str> = held.iter().map(String::as_str).collect();
        let mut senders = Senders::new(Arc::clone(&self.tenants));
        let mut groups: HashMap<Form, Group> = HashMap::new();
        let mut decoded = Vec::new();
        for (place, message) in messages.iter().enumerate() {
            if self.decoders.len() >= MOST_DECODERS {
                let groups = std::mem::take(&mut groups);
                self.decode(groups, messages, &senders, now, (&mut decoded, &mut out.letters))?;
                self.decoders.clear();
            }
            if waiting.contains(message.topic) {
                out.held.push(place);
                continue;
            }
            match self.sort(message, &mut senders) {
                Ok((form, sender)) => {
                    let group = groups.entry(form).or_default();
                    group.places.push(place);
                    group.senders.push(sender);
                }
                Err(Stop::Keyless(reason)) => out.letters.push(message.letter(None, reason)),
                Err(Stop::Unread(sender, reason)) => {
                    let tenant = message.whose(&senders.all[sender], &self.limits);
                    out.letters.push(message.letter(tenant, reason));
                }
                Err(Stop::Deleted) => out.deleted += 1,
                Err(Stop::Wait) => {
                    waiting.insert(message.topic);
                    out.held.push(place);
                }
            }
        }
        self.decode(groups, messages, &senders, now, (&mut decoded, &mut out.letters))?;
        out.segments = first_of_each(decoded)?;
        // Forms are decoded one after the other; letters are kept in the order of their topics.
        out.letters.sort_by(|a, b| (&a.topic, a.offset).cmp(&(&b.topic, b.offset)));
        for sender in &senders.all {
            if let Some(zone) = sender.events_clock {
                out.clocks.insert(sender.tenant, zone);
            }
        }
        Ok(out)
    }

    /// Decodes what has been sorted by its forms.
    fn decode(
        &mut self,
        groups: HashMap<Form, Group>,
        messages: &[Message<'_>],
        senders: &Senders<'_>,
        now: DateTime<Utc>,
        (decoded, letters): (&mut Vec<Decoded>, &mut Vec<DeadLetter>),
    ) -> Result<(), SourceError> {
        for (form, group) in groups {
            decoded.extend(match form {
                Form::Avro(type_key, id) => {
                    self.avro(&(type_key, id), &group, messages, senders, now, letters)?
                }
                Form::Json(topic, sender) => {
                    self.json(&topic, &senders.all[sender], &group, messages, now, letters)?
                }
            });
        }
        Ok(())
    }

    /// What a message is read as, and its sender.
    fn sort<'m>(
        &mut self,
        message: &Message<'m>,
        senders: &mut Senders<'m>,
    ) -> Result<(Form, usize), Stop> {
        let stop = Stop::Keyless;
        let id_of_tenant = message
            .key
            .ok_or_else(|| stop("the key is null: expected the id of the tenant".to_owned()))?;
        let sender = senders.find(id_of_tenant)?.ok_or_else(|| {
            let key = String::from_utf8_lossy(id_of_tenant);
            stop(format!("the key \"{}\" is no tenant's id", shown(&key)))
        })?;
        let tenant = senders.all[sender].tenant;
        let stop = |reason: String| Stop::Unread(sender, reason);
        let (number, count) = self.partition;
        let home = partition_of(id_of_tenant, count);
        if home != number {
            return Err(stop(format!(
                "the tenant \"{}\" belongs into partition {home} of {count}, and this is {number}: \
                 have the producer partition by the key with murmur2 (Java's default; in \
                 librdkafka partitioner=murmur2_random)",
                senders.all[sender].tenant_id
            )));
        }
        let value = message.value.ok_or_else(|| {
            stop("the value is null: an event is not taken back by its key".to_owned())
        })?;
        let most = self.limits.max_event;
        if value.len() > most {
            return Err(stop(format!(
                "the value has {} bytes, and at most {most} are taken (limits.intake.max_event)",
                value.len()
            )));
        }
        let name = message.topic.strip_prefix(&self.prefix).unwrap_or(message.topic);
        let event_type = match self.event_type(tenant, name) {
            Some(known) => Some(known),
            None if senders.has_looked()? => self.event_type(tenant, name),
            None => None,
        };
        let event_type = event_type.ok_or_else(|| {
            stop(format!("the topic is of \"{}\", which is no known event type", shown(name)))
        })?;
        if message.is_json() {
            return Ok((Form::Json(message.topic.to_owned(), sender), sender));
        }
        let id = schema_id(value).map_err(stop)?;
        let type_key = key(&event_type).into_owned();
        self.prepare(id, &type_key, &event_type).map_err(|wait| match wait {
            Some(reason) => stop(reason),
            None => Stop::Wait,
        })?;
        Ok((Form::Avro(type_key, id), sender))
    }

    /// The type of that name as a tenant has it.
    fn event_type(&self, tenant: Tenant, name: &str) -> Option<Arc<EventType>> {
        self.types.find(Some(tenant), name).or_else(|| self.types.find(None, name))
    }

    /// Has a reader of the schema for the type ready; an error is the reason why there can be none,
    /// or none while the registry does not answer.
    fn prepare(
        &mut self,
        id: u32,
        type_key: &str,
        event_type: &Arc<EventType>,
    ) -> Result<(), Option<String>> {
        let place = (type_key.to_owned(), id);
        if let Some(decoder) = self.decoders.get(&place)
            && Arc::ptr_eq(&decoder.event_type, event_type)
        {
            return decoder.reader.as_ref().map(drop).map_err(|reason| Some(reason.clone()));
        }
        let text = self.schema(id)?;
        let reader = AvroDecoder::new(id, &text, event_type);
        let outcome = reader.as_ref().map(drop).map_err(|reason| Some(reason.clone()));
        let event_type = Arc::clone(event_type);
        self.decoders.insert(place, Decoder { event_type, reader });
        outcome
    }

    fn schema(&mut self, id: u32) -> Result<Arc<str>, Option<String>> {
        let Some(registry) = &self.registry else {
            return Err(Some(
                "the value is Avro, and there is no schema registry to ask for its schema: set \
                 schema_registry_url"
                    .to_owned(),
            ));
        };
        let known = registry.known(id);
        let asked = match known {
            Some(known) => known,
            // One that has no schema here is no reason for those that have to wait.
            None if self.silent.is_some_and(|until| Instant::now() < until) => {
                return self.runtime.block_on(registry.recall(id)).ok_or(None);
            }
            None => self.runtime.block_on(registry.schema(id)),
        };
        match asked {
            Ok(text) => {
                self.silent = None;
                Ok(text)
            }
            Err(RegistryError::Unknown(reason)) => Err(Some(reason.to_string())),
            Err(error) => {
                tracing::warn!(%error, "events wait for their schema");
                self.silent = Some(Instant::now() + REGISTRY_PAUSE);
                Err(None)
            }
        }
    }

    fn avro(
        &mut self,
        form: &(String, u32),
        group: &Group,
        messages: &[Message<'_>],
        senders: &Senders<'_>,
        now: DateTime<Utc>,
        letters: &mut Vec<DeadLetter>,
    ) -> Result<Option<Decoded>, SourceError> {
        let Some(Decoder { reader: Ok(reader), .. }) = self.decoders.get_mut(form) else {
            return Err(SourceError::Columns(format!("the reader of {} is gone", form.0)));
        };
        let bodies: Vec<Body<'_>> = (group.places.iter().zip(&group.senders))
            .map(|(place, sender)| Body {
                bytes: messages[*place].value.unwrap_or_default(),
                sender: &senders.all[*sender],
                moment: messages[*place].moment(now),
            })
            .collect();
        let outcome = reader.read(&bodies, &self.limits)?;
        for (at, refusal) in outcome.refused {
            let tenant = (!refusal.may_be_foreign).then_some(bodies[at].sender.tenant);
            letters.push(messages[group.places[at]].letter(tenant, refusal.reason));
        }
        if outcome.taken.is_empty() {
            return Ok(None);
        }
        let tenants = outcome.taken.iter().map(|at| bodies[*at].sender.tenant.0);
        let segment = Segment {
            event_type: Arc::clone(reader.event_type()),
            tenants: UInt32Array::from_iter_values(tenants),
            rows: outcome.rows,
        };
        let places = outcome.taken.iter().map(|at| group.places[*at]).collect();
        Ok(Some(Decoded { segment, places }))
    }

    fn json(
        &self,
        topic: &str,
        sender: &Sender,
        group: &Group,
        messages: &[Message<'_>],
        now: DateTime<Utc>,
        letters: &mut Vec<DeadLetter>,
    ) -> Result<Option<Decoded>, SourceError> {
        let types: EventTypes = self.types.visible(sender.tenant);
        let name = topic.strip_prefix(&self.prefix).unwrap_or(topic);
        let bodies = group.places.iter().map(|place| {
            let message = &messages[*place];
            (message.value.unwrap_or_default(), message.moment(now))
        });
        let decoded = decode_each(&types, &self.limits, sender, Only(name), bodies)
            .map_err(|error| SourceError::Columns(error.to_string()))?;
        let mut places = group.places.clone();
        for rejected in decoded.rejected.into_iter().rev() {
            // From the last to the first, so that those before stay where they are.
            let message = &messages[places.remove(rejected.index)];
            let tenant = (!rejected.may_be_foreign).then_some(sender.tenant);
            letters.push(message.letter(tenant, rejected.reason));
        }
        // A topic is of one type.
        Ok(decoded.batches.into_iter().next().map(|batch| {
            let tenants = UInt32Array::from(vec![sender.tenant.0; batch.rows.num_rows()]);
            let segment = Segment { event_type: batch.event_type, tenants, rows: batch.rows };
            Decoded { segment, places }
        }))
    }
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
