//! Inputs and outputs of a circuit, as the driver sees them.

use std::collections::HashMap;

use dbsp::typed_batch::{IndexedZSetReader, SpineSnapshot};
use dbsp::utils::Tup2;
use dbsp::{
    DBData, IndexedZSetHandle, NumEntries, OrdZSet, OutputHandle, RootCircuit, Stream, ZWeight,
};

/// Rows for one input of the circuit, by number of step.
pub(crate) type Steps<K, V> = Vec<Vec<Tup2<K, Tup2<V, ZWeight>>>>;

/// An input of the circuit with its rows.
pub(crate) trait Feed {
    /// Hands in the rows of a step.
    fn step(&mut self, number: usize);
}

impl<K: DBData, V: DBData> Feed for (IndexedZSetHandle<K, V>, Steps<K, V>) {
    fn step(&mut self, number: usize) {
        if let Some(rows) = self.1.get_mut(number) {
            self.0.append(rows);
        }
    }
}

/// An output of the circuit with what came out of it so far.
pub(crate) trait Sink {
    /// Takes the changes of a step; how many rows they have.
    fn take(&mut self) -> usize;
    /// The rows that stand, as text, each with how often.
    fn rows(&self) -> HashMap<String, i64>;
}

/// A view's changes, and how a row of it is written.
pub(crate) struct Changes<T: DBData> {
    output: OutputHandle<SpineSnapshot<OrdZSet<T>>>,
    taken: Vec<OrdZSet<T>>,
    text: fn(&T) -> String,
}

impl<T: DBData> Changes<T> {
    pub(crate) fn new(
        output: OutputHandle<SpineSnapshot<OrdZSet<T>>>,
        text: fn(&T) -> String,
    ) -> Self {
        Self { output, taken: Vec::new(), text }
    }
}

impl<T: DBData> Sink for Changes<T> {
    fn take(&mut self) -> usize {
        let changes = self.output.concat().consolidate();
        let rows = changes.num_entries_deep();
        self.taken.push(changes);
        rows
    }

    fn rows(&self) -> HashMap<String, i64> {
        let mut rows: HashMap<String, i64> = HashMap::new();
        for changes in &self.taken {
            for (row, (), weight) in changes.iter() {
                *rows.entry((self.text)(&row)).or_default() += weight;
            }
        }
        rows.retain(|_, weight| *weight != 0);
        rows
    }
}

/// The latest statement of each key: the values are ordered by time and event.
pub(crate) type Stated<K, V> = Stream<RootCircuit, dbsp::OrdIndexedZSet<K, V>>;

/// A decimal of four places as text.
pub(crate) fn decimal(value: i128) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}.{:04}", value.unsigned_abs() / 10_000, value.unsigned_abs() % 10_000)
}

/// A field that may be null as text.
pub(crate) fn optional(value: Option<&str>) -> &str {
    value.unwrap_or("\\N")
}

/// `dividend ÷ divisor`, half away from zero.
pub(crate) fn rounded(dividend: i128, divisor: i128) -> i128 {
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    let away = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
    if rest.unsigned_abs() * 2 >= divisor.unsigned_abs() { quotient + away } else { quotient }
}
