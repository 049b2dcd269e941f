//! Events outside Arrow, as tests write and print them, and their way into it.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, TimeUnit};
use projections::{EventBatch, EventType, Tenant, Tick};

/// One value of an event's data.
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Text(String),
    /// Ten-thousandths.
    Decimal(i128),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01.
    Instant(i64),
    Int(i64),
    Bool(bool),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => write!(f, "null"),
            Self::Text(text) => write!(f, "{text}"),
            Self::Decimal(units) => {
                let sign = if *units < 0 { "-" } else { "" };
                let units = units.unsigned_abs();
                write!(f, "{sign}{}.{:04}", units / 10_000, units % 10_000)
            }
            Self::Date(days) => write!(f, "{}", chrono::NaiveDate::from_epoch_days(*days).unwrap()),
            Self::Instant(micros) => write!(f, "@{micros}"),
            Self::Int(n) => write!(f, "{n}"),
            Self::Bool(b) => write!(f, "{b}"),
        }
    }
}

/// An event of one tenant.
#[derive(Clone)]
pub(crate) struct Fact {
    pub(crate) tenant: Tenant,
    pub(crate) kind: Arc<EventType>,
    pub(crate) id: String,
    /// Microseconds since 1970-01-01.
    pub(crate) occurred_at: i64,
    /// One for each field of the type.
    pub(crate) values: Vec<Value>,
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = chrono::DateTime::from_timestamp_micros(self.occurred_at).unwrap();
        write!(f, "tenant {} {} #{} at {at:?}:", self.tenant.0, self.kind.name(), self.id)?;
        for (field, value) in self.kind.fields().iter().zip(&self.values) {
            write!(f, " {}={value:?}", field.name)?;
        }
        Ok(())
    }
}

/// What happens next.
#[derive(Clone)]
pub(crate) enum Step {
    Fact(Fact),
    Tick(Tick),
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact(fact) => fact.fmt(f),
            Self::Tick(tick) => write!(f, "tenant {} today is {}", tick.tenant.0, tick.today),
        }
    }
}

/// The facts of one type as rows of its relation, in the order given.
pub(crate) fn relation(kind: &EventType, facts: &[&Fact]) -> RecordBatch {
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(facts.iter().map(|f| Some(f.id.as_str())).collect::<StringArray>()),
        Arc::new(
            facts
                .iter()
                .map(|f| Some(f.occurred_at))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        Arc::new(facts.iter().map(|_| None::<&str>).collect::<StringArray>()),
    ];
    for (i, field) in kind.fields().iter().enumerate() {
        columns.push(column(&field.kind.data_type(), facts.iter().map(|f| &f.values[i])));
    }
    RecordBatch::try_new(kind.relation().clone(), columns).unwrap()
}

/// The facts by type, as a partition takes them.
pub(crate) fn event_batches(facts: &[&Fact]) -> Vec<EventBatch> {
    let mut kinds: Vec<&Arc<EventType>> = Vec::new();
    for fact in facts {
        if !kinds.iter().any(|kind| kind.name() == fact.kind.name()) {
            kinds.push(&fact.kind);
        }
    }
    let of_kind = |kind: &Arc<EventType>| {
        let facts: Vec<&Fact> =
            facts.iter().copied().filter(|f| f.kind.name() == kind.name()).collect();
        EventBatch {
            event_type: kind.clone(),
            tenants: facts.iter().map(|f| Some(f.tenant.0)).collect::<UInt32Array>(),
            rows: relation(kind, &facts),
            extra: None,
        }
    };
    kinds.into_iter().map(of_kind).collect()
}

fn column<'a>(data_type: &DataType, values: impl Iterator<Item = &'a Value>) -> ArrayRef {
    macro_rules! values {
        ($variant:ident) => {
            values.map(|value| match value {
                Value::Null => None,
                Value::$variant(inner) => Some(inner.clone()),
                other => panic!("{other:?} in a column of {data_type}"),
            })
        };
    }
    match data_type {
        DataType::Utf8 => Arc::new(values!(Text).collect::<StringArray>()),
        DataType::Date32 => Arc::new(values!(Date).collect::<Date32Array>()),
        DataType::Int64 => Arc::new(values!(Int).collect::<Int64Array>()),
        DataType::Boolean => Arc::new(values!(Bool).collect::<BooleanArray>()),
        DataType::Decimal128(precision, scale) => Arc::new(
            values!(Decimal)
                .collect::<Decimal128Array>()
                .with_precision_and_scale(*precision, *scale)
                .unwrap(),
        ),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => Arc::new(
            values!(Instant).collect::<TimestampMicrosecondArray>().with_timezone_opt(zone.clone()),
        ),
        other => panic!("no event field has the type {other}"),
    }
}
