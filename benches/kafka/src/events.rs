//! The events of a plan: read from the generator's lines, and as messages in memory.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::avro::Schema;
use crate::{Failure, Plan, generate};

/// One event as it is generated.
#[derive(Deserialize)]
pub(crate) struct Event<'a> {
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) r#type: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) time: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) tenantid: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) subject: Option<Cow<'a, str>>,
    pub(crate) data: Map<String, Value>,
}

/// The lines of a plan.
pub(crate) fn lines(plan: Plan) -> generate::Events {
    let Plan { tenants, events, seed } = plan;
    generate::Events::new(generate::Plan { tenants, events, seed })
}

/// The id of the plan's tenant of this number, counted from 0.
pub(crate) fn tenant(number: u32) -> String {
    format!("t{:05}", number + 1)
}

/// Tells the first event of an id from its repeats.
#[derive(Default)]
pub(crate) struct Seen(HashSet<(u32, u64)>);

impl Seen {
    /// Whether the line's id has not come before.
    pub(crate) fn is_new(&mut self, tenant: u32, line: &[u8]) -> bool {
        // An id is the tenant's, a dash, and a number.
        let id = line.splitn(9, |byte| *byte == b'"').nth(7).unwrap_or_default();
        let digits = id.rsplit(|byte| *byte == b'-').next().unwrap_or_default();
        let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        self.0.insert((tenant, number))
    }

    /// How many ids there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

/// Messages in the order in which they are produced.
pub(crate) struct Messages {
    bytes: Vec<u8>,
    list: Vec<(u16, u32, Range<usize>)>,
    /// How many of them have an id of their own.
    pub(crate) distinct: u64,
}

impl Messages {
    /// The plan's events by these schemas.
    pub(crate) fn new(plan: Plan, schemas: &[Schema]) -> Result<Self, Failure> {
        let places: HashMap<&str, u16> =
            schemas.iter().map(|schema| schema.name.as_str()).zip(0..).collect();
        let (mut bytes, mut list, mut seen) = (Vec::new(), Vec::new(), Seen::default());
        for generate::Generated { tenant, line } in lines(plan) {
            seen.is_new(tenant, &line);
            let event: Event<'_> = serde_json::from_slice(&line)?;
            let place = *places.get(event.r#type.as_ref()).ok_or("an unknown type")?;
            let from = bytes.len();
            schemas[usize::from(place)].encode(&event, &mut bytes)?;
            list.push((place, tenant, from..bytes.len()));
        }
        Ok(Self { bytes, list, distinct: seen.count() })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The message's type by its place among the schemas, its tenant's number, its value.
    pub(crate) fn get(&self, place: usize) -> (usize, u32, &[u8]) {
        let (schema, tenant, range) = &self.list[place];
        (usize::from(*schema), *tenant, &self.bytes[range.clone()])
    }
}
