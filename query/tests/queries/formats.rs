//! One answer in each format: the same rows.

use std::io::Cursor;
use std::pin::pin;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::reader::StreamReader;
use bytes::Bytes;
use futures::StreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use query::{QueryError, QueryLimits};
use serde_json::json;

use crate::support::{self, collect, world_of};

#[tokio::test]
async fn json_is_whole_over_many_batches() {
    let world = world_of(QueryLimits::default(), 5_000);
    let sql = "SELECT customer_id, amount, due, visits, visits > 1 AS more, NULL AS nothing FROM balances";
    let body = support::json(world.answer(sql).await.unwrap()).await.unwrap();
    let rows = body["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 5_000);
    assert_eq!(rows[0], json!(["A00000", "1.0000", "2024-10-04", 0, false, null]));
    assert_eq!(rows[4_999][0], "A04999");
    let types: Vec<_> = body["columns"].as_array().unwrap().iter().map(|c| &c["type"]).collect();
    assert_eq!(types[..5], ["text", "decimal", "date", "int", "bool"]);
}

#[tokio::test]
async fn no_rows_are_well_formed_in_every_format() {
    let world = world_of(QueryLimits::default(), 1);
    let sql = "SELECT visits FROM balances WHERE visits < 0";
    let body = support::json(world.answer(sql).await.unwrap()).await.unwrap();
    assert_eq!(body["rows"], json!([]));
    let csv = collect(query::csv_body(world.answer(sql).await.unwrap(), false)).await.unwrap();
    assert_eq!(csv, b"visits\r\n");
    let arrow = collect(query::arrow_body(world.answer(sql).await.unwrap())).await.unwrap();
    assert_eq!(StreamReader::try_new(Cursor::new(arrow), None).unwrap().count(), 0);
    let parquet = collect(query::parquet_body(world.answer(sql).await.unwrap())).await.unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(parquet)).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
}

#[tokio::test]
async fn arrow_reads_back() {
    let world = world_of(QueryLimits::default(), 5_000);
    let answer = world.answer("SELECT * FROM balances").await.unwrap();
    let bytes = collect(query::arrow_body(answer)).await.unwrap();
    let reader = StreamReader::try_new(Cursor::new(bytes), None).unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(concat_batches(&schema, &batches).unwrap(), support::balances("A", 5_000));
}

#[tokio::test]
async fn a_type_that_parquet_has_no_place_for_is_refused() {
    let world = world_of(QueryLimits::default(), 1);
    let answer = world.answer("SELECT INTERVAL '1 day' AS day").await.unwrap();
    let error = collect(query::parquet_body(answer)).await.unwrap_err();
    assert!(matches!(error, QueryError::Invalid { .. }), "{error:?}");
}

#[tokio::test]
async fn parquet_reads_back_in_bounded_groups() {
    let world = world_of(QueryLimits::default(), 5_000);
    let answer = world.answer("SELECT * FROM balances").await.unwrap();
    let bytes = collect(query::parquet_body(answer)).await.unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    assert_eq!(concat_batches(&schema, &batches).unwrap(), support::balances("A", 5_000));

    let sql = "SELECT value * 2654435761 % 1000000007 AS x FROM generate_series(1, 300000)";
    let mut body = pin!(query::parquet_body(world.answer(sql).await.unwrap()));
    let (mut bytes, mut largest) = (Vec::new(), 0);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.unwrap();
        largest = largest.max(chunk.len());
        bytes.extend_from_slice(&chunk);
    }
    assert!(largest < bytes.len() * 3 / 5, "{largest} of {} bytes left at once", bytes.len());
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
    let groups: Vec<i64> = reader
        .metadata()
        .row_groups()
        .iter()
        .map(parquet::file::metadata::RowGroupMetaData::num_rows)
        .collect();
    assert!(groups.iter().all(|rows| *rows <= 131_072), "{groups:?}");
    assert_eq!(groups.iter().sum::<i64>(), 300_000);
}

#[tokio::test]
async fn csv_of_a_view_and_of_a_query_agree() {
    let world = world_of(QueryLimits::default(), 3_000);
    let view = query::view_answer(&world.acme, "balances").unwrap();
    let view = collect(query::csv_body(view, false)).await.unwrap();
    let answer = world.answer("SELECT * FROM balances ORDER BY customer_id").await.unwrap();
    assert_eq!(collect(query::csv_body(answer, false)).await.unwrap(), view);
    let text = String::from_utf8(view).unwrap();
    assert!(text.starts_with("customer_id,amount,due,visits\r\nA00000,1.0000,2024-10-04,0\r\n"));
    assert_eq!(text.matches("\r\n").count(), 3_001);
}

#[tokio::test]
async fn an_error_ends_a_body() {
    let world = world_of(QueryLimits { rows: 10, ..QueryLimits::default() }, 20);
    let sql = "SELECT * FROM balances";
    for body in [
        collect(query::json_body(world.answer(sql).await.unwrap())).await,
        collect(query::csv_body(world.answer(sql).await.unwrap(), false)).await,
        collect(query::arrow_body(world.answer(sql).await.unwrap())).await,
        collect(query::parquet_body(world.answer(sql).await.unwrap())).await,
    ] {
        let error = body.unwrap_err();
        assert!(matches!(error, QueryError::Limit { .. }), "{error:?}");
    }
}
