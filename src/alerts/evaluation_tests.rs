#![allow(clippy::unwrap_used, clippy::panic)]

use arrow::array::{ArrayRef, Decimal128Array, StringArray};
use arrow::datatypes::{DataType, Field};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use projections::{Position, Tenant};
use serde_json::{Value, json};

use super::*;

fn answer(names: &[&str], amounts: &[i128], exceeded: &[Option<bool>]) -> Answer {
    let amounts = Decimal128Array::from(amounts.to_vec()).with_precision_and_scale(38, 4).unwrap();
    let columns: [(&str, ArrayRef); 3] = [
        ("project", Arc::new(StringArray::from(names.to_vec()))),
        ("amount", Arc::new(amounts)),
        ("exceeded", Arc::new(BooleanArray::from(exceeded.to_vec()))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let schema = batch.schema();
    // In two batches.
    let batches: Vec<_> = (0..batch.num_rows()).map(|row| Ok(batch.slice(row, 1))).collect();
    let batches = RecordBatchStreamAdapter::new(Arc::clone(&schema), stream::iter(batches));
    let position = Position::new(Tenant(1), 1);
    Answer { schema, position, as_of: None, batches: Box::pin(batches), grounds: None }
}

fn failed(unevaluated: Unevaluated) -> String {
    let Unevaluated::Failed(why) = unevaluated else { panic!("it did not fail") };
    why
}

async fn subjects(answer: Answer, key: &[&str], only: Option<&str>, most: usize) -> Vec<Found> {
    let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
    let Ok(said) = collect(answer, &key, only, most).await else { panic!("it failed") };
    said.subjects
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn each_row_is_a_subject_by_its_key() {
    let three = || answer(&["a", "b", "a"], &[12_000, -5, 7], &[Some(true); 3]);
    let found = subjects(three(), &["project"], None, 9).await;
    let said: Vec<Value> = found.iter().map(|found| json_of(&found.subject)).collect();
    assert_eq!(said, [json!({ "project": "a" }), json!({ "project": "b" })]);
    assert_eq!(json_of(&found[0].details), json!({ "amount": "1.2000", "exceeded": true }));
    assert_ne!(found[0].key, found[1].key);
    // The same subject has the same key, whatever else its row says.
    let again = subjects(answer(&["b"], &[1], &[None]), &["project"], None, 9).await;
    assert_eq!(again[0].key, found[1].key);
    // Of another column it is another subject.
    let other = subjects(three(), &["amount"], None, 9).await;
    assert_eq!(other.len(), 3);
}

#[tokio::test]
async fn the_columns_are_told_with_their_types_those_of_the_key_first() {
    let key = ["amount".to_owned()];
    let Ok(said) = collect(answer(&[], &[], &[]), &key, None, 9).await else { panic!("it failed") };
    let column = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    let columns =
        [column("amount", "decimal"), column("project", "text"), column("exceeded", "bool")];
    assert_eq!(json_of(&said.columns), json!(columns));
    // Of too many those are told that may have values.
    let names: Vec<String> = (0..1_000).map(|n| format!("column_{n:03}")).collect();
    let field = |name: &String| Field::new(name, DataType::Utf8, true);
    let wide = Schema::new(names.iter().map(field).collect::<Vec<_>>());
    let told = described(&wide, 0..1_000).unwrap();
    let told = json_of(&told).as_array().unwrap().len();
    assert!((300..1_000).contains(&told), "{told}");
}

#[tokio::test]
async fn without_a_key_there_is_one_subject_or_none() {
    let found = subjects(answer(&["a", "b"], &[1, 2], &[None; 2]), &[], None, 9).await;
    assert_eq!((found.len(), found[0].subject.as_str()), (1, "{}"));
    assert_eq!(json_of(&found[0].details)["project"], "a");
    assert!(subjects(answer(&[], &[], &[]), &[], None, 9).await.is_empty());
}

#[tokio::test]
async fn of_a_view_the_rows_that_are_meant_count() {
    let rows = answer(&["a", "b", "c"], &[1, 2, 3], &[Some(false), Some(true), None]);
    let found = subjects(rows, &["project"], Some("exceeded"), 9).await;
    assert_eq!(found.len(), 1);
    assert_eq!(json_of(&found[0].subject), json!({ "project": "b" }));
}

#[tokio::test]
async fn what_cannot_be_said_fails_and_says_why() {
    let rows = || answer(&["a", "b"], &[1, 2], &[None; 2]);
    let key = ["projekt".to_owned()];
    let why = failed(collect(rows(), &key, None, 9).await.err().unwrap());
    assert!(why.contains("'projekt'") && why.contains("project, amount, exceeded"), "{why}");
    let key = ["project".to_owned()];
    let why = failed(collect(rows(), &key, None, 1).await.err().unwrap());
    assert!(why.contains("more than 1 subjects"), "{why}");
    let long = "x".repeat(MAX_SUBJECT);
    let rows = answer(&[long.as_str()], &[1], &[None]);
    let why = failed(collect(rows, &key, None, 9).await.err().unwrap());
    assert!(why.contains("2048 bytes"), "{why}");
    // Of the others what fits is kept.
    let rows = answer(&["y".repeat(MAX_DETAILS).as_str()], &[1], &[None]);
    let found = subjects(rows, &["amount"], None, 9).await;
    assert_eq!(json_of(&found[0].details), json!({ "exceeded": null }));
}
