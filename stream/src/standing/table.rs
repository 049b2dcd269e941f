//! An answer as it is told: its columns, and its rows as JSON in the order in which they came.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use axum::http::StatusCode;
use futures::StreamExt;
use futures::stream::BoxStream;
use projections::Position;
use projections::encode::{RowEncoder, column_types};

use crate::delta::utf8;
use crate::problem::Problem;
use crate::questions::Unanswered;
use crate::snapshot::PartBounds;

/// What a row takes beside its JSON.
const ROW_BYTES: usize = 16;

/// A whole answer. Rows are compared as their JSON, which is what a client has of them.
#[derive(Debug)]
pub(crate) struct Table {
    /// `"columns":[…],"key":[],"rows":[`: an answer has no key, and may hold a row several times.
    head: String,
    /// The rows with commas between them.
    text: String,
    /// Where each row ends in the text.
    ends: Vec<usize>,
}

impl Table {
    /// Reads an answer to its end, which must not take more than `bound` bytes.
    pub(super) async fn collect(
        schema: &Schema,
        mut rows: BoxStream<'static, Result<RecordBatch, Unanswered>>,
        bound: usize,
    ) -> Result<Self, Unanswered> {
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        while let Some(batch) = rows.next().await {
            write_rows(&batch?, &mut text, &mut ends, bound)?;
        }
        text.shrink_to_fit();
        Ok(Self { head: head(schema), text: utf8(text), ends })
    }

    /// The answer that has these rows, which must not take more than `bound` bytes.
    pub(super) fn of_batches(
        schema: &Schema,
        batches: &[RecordBatch],
        bound: usize,
    ) -> Result<Self, Problem> {
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        for batch in batches {
            write_rows(batch, &mut text, &mut ends, bound)?;
        }
        Ok(Self { head: head(schema), text: utf8(text), ends })
    }

    /// The answer that this one becomes by `changes`, each of which is a row of its own with how many
    /// times it goes (negative) or comes. None if one goes that is not there. It must not take more than
    /// `bound` bytes.
    pub(super) fn after(
        &self,
        changes: &[(i64, &str)],
        bound: usize,
    ) -> Result<Option<Self>, Problem> {
        let gone = changes.iter().filter(|(weight, _)| *weight < 0);
        let mut going: HashMap<&str, i64> = gone.map(|(weight, row)| (*row, -weight)).collect();
        let text = String::with_capacity(self.text.len());
        let ends = Vec::with_capacity(self.ends.len());
        let mut after = Self { head: self.head.clone(), text, ends };
        for row in self.rows() {
            match going.get_mut(row) {
                Some(left) if *left > 0 => *left -= 1,
                _ => after.push(row),
            }
        }
        if going.values().any(|left| *left > 0) {
            return Ok(None);
        }
        for (weight, row) in changes.iter().filter(|(weight, _)| *weight > 0) {
            for _ in 0..*weight {
                after.push(row);
                if after.text.len() + after.ends.len() * ROW_BYTES > bound {
                    return Err(too_large(bound));
                }
            }
        }
        Ok(Some(after))
    }

    fn push(&mut self, row: &str) {
        if !self.ends.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(row);
        self.ends.push(self.text.len());
    }

    /// About as many bytes as it takes.
    pub(super) fn bytes(&self) -> usize {
        self.head.len() + self.text.len() + self.ends.len() * ROW_BYTES
    }

    /// Whether the columns have the same names and types.
    pub(super) fn has_columns_of(&self, other: &Self) -> bool {
        self.head == other.head
    }

    fn rows(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|row| &self.text[self.start(row)..self.ends[row]])
    }

    fn start(&self, row: usize) -> usize {
        // After the comma.
        if row == 0 { 0 } else { self.ends[row - 1] + 1 }
    }

    /// The end of a `snapshot` message with the rows from `first` on, as many as the bounds allow and
    /// at least one; and the row after them, if there is one.
    fn part(
        &self,
        position: Position,
        first: usize,
        bounds: PartBounds,
    ) -> (String, Option<usize>) {
        let most = self.ends.len().min(first + bounds.rows.max(1));
        let start = self.start(first);
        let mut next = first;
        while next < most && (next == first || self.ends[next - 1] - start < bounds.bytes) {
            next += 1;
        }
        let rows = if next == first { "" } else { &self.text[start..self.ends[next - 1]] };
        let is_last = next == self.ends.len();
        let head = &self.head;
        let body = format!("\"position\":\"{position}\",{head}{rows}],\"last\":{is_last}}}");
        (body, (!is_last).then_some(next))
    }
}

/// What stands before the rows.
fn head(schema: &Schema) -> String {
    let columns = serde_json::json!(column_types(schema));
    format!("\"columns\":{columns},\"key\":[],\"rows\":[")
}

/// The JSON of the rows of a batch, of which each comes (+) or goes (−) so many times: equal ones added
/// up, and those that go before those that come.
pub(super) fn net(rows: &RecordBatch, weights: &[i64]) -> Vec<(i64, String)> {
    let encoder = RowEncoder::new(rows);
    let mut net: BTreeMap<String, i64> = BTreeMap::new();
    for (row, weight) in weights.iter().enumerate() {
        let mut text = Vec::new();
        encoder.write_row(&mut text, row);
        *net.entry(utf8(text)).or_default() += weight;
    }
    let changes = net.into_iter().map(|(row, weight)| (weight, row));
    let changes = changes.filter(|(weight, _)| *weight != 0);
    let (mut gone, come): (Vec<_>, Vec<_>) = changes.partition(|(weight, _)| *weight < 0);
    gone.extend(come);
    gone
}

/// Adds the rows of a batch.
fn write_rows(
    batch: &RecordBatch,
    text: &mut Vec<u8>,
    ends: &mut Vec<usize>,
    bound: usize,
) -> Result<(), Problem> {
    let encoder = RowEncoder::new(batch);
    for row in 0..batch.num_rows() {
        if !ends.is_empty() {
            text.push(b',');
        }
        encoder.write_row(text, row);
        ends.push(text.len());
        if text.len() + ends.len() * ROW_BYTES > bound {
            return Err(too_large(bound));
        }
    }
    Ok(())
}

/// What leads from one answer to another: each row with how many times it goes (negative) or comes;
/// those that go before those that come.
pub(super) fn difference<'a>(before: &'a Table, after: &'a Table) -> Vec<(i64, &'a str)> {
    let mut weights: HashMap<&str, i64> = HashMap::with_capacity(before.ends.len());
    for row in before.rows() {
        *weights.entry(row).or_default() -= 1;
    }
    for row in after.rows() {
        *weights.entry(row).or_default() += 1;
    }
    let mut changes = Vec::new();
    let mut take = |row: &'a str, sign: i64| {
        if let Some(weight) = weights.get_mut(row)
            && weight.signum() == sign
        {
            changes.push((std::mem::take(weight), row));
        }
    };
    for row in before.rows() {
        take(row, -1);
    }
    for row in after.rows() {
        take(row, 1);
    }
    changes
}

/// Reads an answer in parts.
#[derive(Debug)]
pub(crate) struct TableReader {
    table: Arc<Table>,
    position: Position,
    next: usize,
}

impl TableReader {
    pub(super) fn new(table: Arc<Table>, position: Position) -> Self {
        Self { table, position, next: 0 }
    }

    /// Where the answer was evaluated.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The next part, the end of a `snapshot` message, and whether it is the last.
    pub(crate) fn next(&mut self, bounds: PartBounds) -> (String, bool) {
        let (body, next) = self.table.part(self.position, self.next, bounds);
        self.next = next.unwrap_or(self.next);
        (body, next.is_none())
    }
}

fn too_large(bound: usize) -> Problem {
    let detail = format!(
        "The answer has more than the {} KiB that can be followed: narrow it with WHERE, fewer \
         columns, GROUP BY or LIMIT, or ask with POST /v1/query.",
        bound >> 10
    );
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    Problem::new("answer-too-large", status, "The answer is too large to be followed", detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use arrow::array::{ArrayRef, Int64Array};
    use futures::executor::block_on;
    use futures::stream;
    use projections::Tenant;

    use super::*;

    fn collect(rows: &[i64], bound: usize) -> Result<Table, Unanswered> {
        let numbers: ArrayRef = Arc::new(Int64Array::from(rows.to_vec()));
        let all = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let schema = all.schema();
        let cut = rows.len() / 2;
        let batches = [all.slice(0, cut), all.slice(cut, rows.len() - cut)];
        let batches = stream::iter(batches.map(Ok)).boxed();
        block_on(Table::collect(&schema, batches, bound))
    }

    fn table(rows: &[i64]) -> Table {
        collect(rows, 1 << 20).unwrap()
    }

    #[test]
    fn the_difference_is_that_of_multisets_with_what_goes_first() {
        let (before, after) = (table(&[1, 2, 2, 3, 3]), table(&[4, 3, 2, 2, 2, 4]));
        let changes = difference(&before, &after);
        assert_eq!(changes, [(-1, "[1]"), (-1, "[3]"), (2, "[4]"), (1, "[2]")]);
        assert!(difference(&before, &table(&[3, 2, 1, 3, 2])).is_empty(), "order is nothing");
        assert_eq!(difference(&table(&[]), &table(&[7])), [(1, "[7]")]);
        assert_eq!(difference(&table(&[7, 7]), &table(&[])), [(-2, "[7]")]);
    }

    fn batch(rows: &[i64]) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from(rows.to_vec()));
        RecordBatch::try_from_iter([("n", numbers)]).unwrap()
    }

    #[test]
    fn changes_make_the_answer_that_they_lead_to() {
        let before = table(&[1, 2, 2, 3]);
        let changes = net(&batch(&[2, 3, 4, 3, 5, 5]), &[-1, -1, 2, 1, 1, -1]);
        let changes: Vec<(i64, &str)> = changes.iter().map(|(n, row)| (*n, row.as_str())).collect();
        assert_eq!(changes, [(-1, "[2]"), (2, "[4]")]);
        let after = before.after(&changes, 1 << 20).unwrap().unwrap();
        assert!(difference(&after, &table(&[1, 2, 3, 4, 4])).is_empty());
        let whole =
            Table::of_batches(&batch(&[]).schema(), &[batch(&[4, 1]), batch(&[2, 3, 4])], 1 << 20);
        assert!(difference(&after, &whole.unwrap()).is_empty());
        assert_eq!(after.rows().collect::<Vec<_>>().join(","), after.text);
        let emptied = after.after(&[(-1, "[1]"), (-1, "[2]"), (-1, "[3]"), (-2, "[4]")], 1 << 20);
        let emptied = emptied.unwrap().unwrap();
        assert_eq!((emptied.text.as_str(), emptied.ends.len()), ("", 0));
        let again = emptied.after(&[(1, "[9]")], 1 << 20).unwrap().unwrap();
        assert_eq!(again.rows().collect::<Vec<_>>(), ["[9]"]);
    }

    #[test]
    fn a_row_that_is_not_there_cannot_go_and_too_many_cannot_come() {
        let before = table(&[1, 2, 2]);
        for gone in [[(-1, "[3]")], [(-3, "[2]")]] {
            assert!(before.after(&gone, 1 << 20).unwrap().is_none());
        }
        let bound = before.bytes();
        assert!(before.after(&[(-2, "[2]"), (2, "[3]")], bound).unwrap().is_some());
        let problem = before.after(&[(i64::MAX, "[3]")], bound).unwrap_err();
        assert!(problem.detail.contains("WHERE"), "{problem}");
    }

    #[test]
    fn parts_have_all_rows_once_whatever_the_bounds() {
        let position = Position::new(Tenant(1), 3);
        for (rows, bytes) in [(1, 1 << 20), (2, 1 << 20), (0, 1 << 20), (100, 1), (100, 1 << 20)] {
            for count in [0_i64, 1, 2, 5] {
                let all: Vec<i64> = (0..count).collect();
                let mut reader = TableReader::new(Arc::new(table(&all)), position);
                let (mut told, mut is_last) = (Vec::new(), false);
                while !is_last {
                    let (body, last) = reader.next(PartBounds { rows, bytes });
                    let body: serde_json::Value =
                        serde_json::from_str(&format!("{{{body}")).unwrap();
                    assert_eq!(body["position"], position.to_string());
                    assert_eq!(body["columns"][0]["type"], "int");
                    assert_eq!(
                        (&body["key"], &body["last"]),
                        (&serde_json::json!([]), &last.into())
                    );
                    let part = body["rows"].as_array().unwrap();
                    assert!(!part.is_empty() || count == 0);
                    assert!(part.len() <= rows.max(1));
                    told.extend(part.iter().map(|row| row[0].as_i64().unwrap()));
                    is_last = last;
                }
                assert_eq!(told, all);
            }
        }
    }

    #[test]
    fn what_is_too_large_says_how_to_narrow_it() {
        let rows: Vec<i64> = (0..100).collect();
        let bytes = table(&rows).bytes();
        assert!(collect(&rows, bytes).is_ok());
        let Err(Unanswered::Refused(problem)) = collect(&rows, bytes / 2) else {
            panic!("it is taken")
        };
        assert!(problem.detail.contains("WHERE"), "{problem}");
    }

    #[test]
    fn other_names_or_types_are_other_columns() {
        let one = table(&[1]);
        let named = |name: &str, column: ArrayRef| {
            let schema = RecordBatch::try_from_iter([(name, column)]).unwrap().schema();
            block_on(Table::collect(&schema, stream::empty().boxed(), 1 << 20)).unwrap()
        };
        assert!(one.has_columns_of(&named("n", Arc::new(Int64Array::from(vec![2])))));
        assert!(!one.has_columns_of(&named("m", Arc::new(Int64Array::from(vec![2])))));
        let texts = arrow::array::StringArray::from(vec!["2"]);
        assert!(!one.has_columns_of(&named("n", Arc::new(texts))));
    }
}
