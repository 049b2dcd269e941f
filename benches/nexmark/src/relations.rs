//! Nexmark's people, auctions and bids as event types, and their events as inputs of the engine.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder, UInt32Array,
};
use nexmark::event::Event;
use projections::events::{Field, FieldType, instant};
use projections::{EventBatch, EventType, EventTypes, Input};

const PERSON: &str = "nexmark.person";
const AUCTION: &str = "nexmark.auction";
const BID: &str = "nexmark.bid";
const SIDE_INPUT: &str = "nexmark.side_input";

/// Rows of the side input, with the keys from 0.
const SIDE_ROWS: i64 = 10_000;

/// The event types that the queries read.
pub(crate) fn types() -> EventTypes {
    let person = "id:int name email_address credit_card city state date_time:time extra";
    let auction = "id:int item_name description initial_bid:int reserve:int date_time:time \
                   expires:time seller:int category:int extra";
    let bid = "auction:int bidder:int price:int channel url date_time:time extra";
    [(PERSON, person), (AUCTION, auction), (BID, bid), (SIDE_INPUT, "key:int value")]
        .into_iter()
        .fold(EventTypes::default(), |types, (name, fields)| {
            types.with(EventType::new(name, fields.split_whitespace().map(field).collect()))
        })
}

fn field(spec: &str) -> Field {
    let (name, kind) = spec.split_once(':').unwrap_or((spec, ""));
    let kind = match kind {
        "int" => FieldType::Int,
        "time" => FieldType::Timestamp,
        _ => FieldType::Text,
    };
    Field { name: name.to_owned(), kind, optional: false }
}

/// The rows of the side input.
pub(crate) fn side_input(types: &EventTypes) -> Input {
    let mut side = Table::new(types, SIDE_INPUT);
    for key in 0..SIDE_ROWS {
        side.row(key as usize, 0, &[Value::Int(key), Value::Text(&format!("value {key}"))]);
    }
    Input { events: side.batch().into_iter().collect(), ..Input::default() }
}

/// The first `count` events in inputs of `size`.
pub(crate) fn inputs(types: &EventTypes, count: usize, size: usize) -> Vec<Input> {
    let mut inputs = Vec::with_capacity(count.div_ceil(size));
    let mut events = measure::auctions::events(count).enumerate().peekable();
    while events.peek().is_some() {
        let mut tables = [PERSON, AUCTION, BID].map(|name| Table::new(types, name));
        for (number, event) in events.by_ref().take(size) {
            append(&mut tables, number, &event);
        }
        let events = tables.into_iter().filter_map(Table::batch).collect();
        inputs.push(Input { events, ..Input::default() });
    }
    inputs
}

fn append([people, auctions, bids]: &mut [Table; 3], number: usize, event: &Event) {
    use Value::{Int, Text, Time};
    match event {
        Event::Person(p) => people.row(
            number,
            p.date_time,
            &[
                Int(p.id as i64),
                Text(&p.name),
                Text(&p.email_address),
                Text(&p.credit_card),
                Text(&p.city),
                Text(&p.state),
                Time(p.date_time),
                Text(&p.extra),
            ],
        ),
        Event::Auction(a) => auctions.row(
            number,
            a.date_time,
            &[
                Int(a.id as i64),
                Text(&a.item_name),
                Text(&a.description),
                Int(a.initial_bid as i64),
                Int(a.reserve as i64),
                Time(a.date_time),
                Time(a.expires),
                Int(a.seller as i64),
                Int(a.category as i64),
                Text(&a.extra),
            ],
        ),
        Event::Bid(b) => bids.row(
            number,
            b.date_time,
            &[
                Int(b.auction as i64),
                Int(b.bidder as i64),
                Int(b.price as i64),
                Text(&b.channel),
                Text(&b.url),
                Time(b.date_time),
                Text(&b.extra),
            ],
        ),
    }
}

/// A field's value; times are milliseconds since 1970.
enum Value<'a> {
    Int(i64),
    Text(&'a str),
    Time(u64),
}

/// The growing columns of one type.
struct Table {
    event_type: Arc<EventType>,
    ids: StringBuilder,
    times: TimestampMicrosecondBuilder,
    subjects: StringBuilder,
    fields: Vec<Column>,
    rows: usize,
}

enum Column {
    Int(Int64Builder),
    Text(StringBuilder),
    Time(TimestampMicrosecondBuilder),
}

impl Table {
    fn new(types: &EventTypes, name: &str) -> Self {
        let event_type = types.get(name).expect("a type of the suite").clone();
        let column = |field: &Field| match field.kind {
            FieldType::Int => Column::Int(Int64Builder::new()),
            FieldType::Timestamp => Column::Time(times()),
            _ => Column::Text(StringBuilder::new()),
        };
        let fields = event_type.fields().iter().map(column).collect();
        let (ids, subjects) = (StringBuilder::new(), StringBuilder::new());
        Self { event_type, ids, times: times(), subjects, fields, rows: 0 }
    }

    fn row(&mut self, number: usize, time: u64, values: &[Value<'_>]) {
        self.ids.append_value(format!("{number:010}"));
        self.times.append_value(time as i64 * 1_000);
        self.subjects.append_null();
        for (column, value) in self.fields.iter_mut().zip(values) {
            match (column, value) {
                (Column::Int(column), Value::Int(value)) => column.append_value(*value),
                (Column::Text(column), Value::Text(value)) => column.append_value(value),
                (Column::Time(column), Value::Time(value)) => {
                    column.append_value(*value as i64 * 1_000);
                }
                _ => unreachable!("values are given in the order of the fields"),
            }
        }
        self.rows += 1;
    }

    fn batch(mut self) -> Option<EventBatch> {
        if self.rows == 0 {
            return None;
        }
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.ids.finish()),
            Arc::new(self.times.finish()),
            Arc::new(self.subjects.finish()),
        ];
        columns.extend(self.fields.iter_mut().map(|column| match column {
            Column::Int(column) => Arc::new(column.finish()) as ArrayRef,
            Column::Text(column) => Arc::new(column.finish()),
            Column::Time(column) => Arc::new(column.finish()),
        }));
        let rows = RecordBatch::try_new(self.event_type.relation().clone(), columns)
            .expect("columns of the relation");
        let tenants = UInt32Array::from(vec![0; self.rows]);
        Some(EventBatch { event_type: self.event_type, tenants, rows, extra: None })
    }
}

fn times() -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::new().with_data_type(instant())
}
