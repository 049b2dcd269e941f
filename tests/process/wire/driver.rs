//! What a driver does: statements prepared, values bound in text and binary, rows in binary.

use futures::TryStreamExt;
use sqlx::{Column, Connection, Executor, Row, SqlStr, Statement, TypeInfo};

use super::postgres::Wired;

#[tokio::test]
async fn values_are_bound_and_rows_are_read_in_binary() {
    let wired = Wired::start().await;
    let mut connection = wired.connect(&wired.admin).await.unwrap();
    let sql = "SELECT customer_id, CAST(days_overdue AS BIGINT), balance > 10, CAST(balance AS DOUBLE) AS about, balance, \
               due_date FROM open_invoices WHERE customer_id = $1 AND days_overdue < $2";
    let row = sqlx::query(sql).bind("C1").bind(1_000_i64).fetch_one(&mut connection).await.unwrap();
    assert_eq!(row.get::<&str, _>(0), "C1");
    assert_eq!(row.get::<i64, _>(1), 20);
    assert!(row.get::<bool, _>(2));
    assert!((row.get::<f64, _>(3) - 1_000.25).abs() < 1e-9);
    // Two groups of four digits, from 10,000^0 on, positive, four digits behind the point.
    let balance = row.try_get_raw(4).unwrap();
    assert_eq!(balance.as_bytes().unwrap(), [0, 2, 0, 0, 0, 0, 0, 4, 3, 232, 9, 196]);
    // Days from 2000-01-01 to 2025-06-10.
    assert_eq!(row.try_get_raw(5).unwrap().as_bytes().unwrap(), 9_292_i32.to_be_bytes());
    // The same statement with other values, and one that looks like SQL.
    for (customer, count) in [("C2", 1), ("C'3", 1), ("C1' OR '1'='1", 0)] {
        let query = sqlx::query(sql).bind(customer).bind(1_000_i64);
        assert_eq!(query.fetch_all(&mut connection).await.unwrap().len(), count, "{customer}");
    }
    let none: Option<&str> = None;
    let nothing = sqlx::query(sql).bind(none).bind(1_i64).fetch_all(&mut connection).await.unwrap();
    assert!(nothing.is_empty());
    let flag =
        sqlx::query("SELECT count(*) FROM open_invoices WHERE (balance > 10) = $1").bind(true);
    assert_eq!(flag.fetch_one(&mut connection).await.unwrap().get::<i64, _>(0), 2);
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_statement_says_what_it_takes_and_gives() {
    let wired = Wired::start().await;
    let mut connection = wired.connect(&wired.admin).await.unwrap();
    let sql = "SELECT invoice_id, balance, due_date FROM open_invoices WHERE balance > $1";
    let prepared = connection.prepare(SqlStr::from_static(sql)).await.unwrap();
    let columns = prepared
        .columns()
        .iter()
        .map(|column| (column.name().to_owned(), column.type_info().name().to_owned()));
    let columns: Vec<(String, String)> = columns.collect();
    let expected = [("invoice_id", "TEXT"), ("balance", "NUMERIC"), ("due_date", "DATE")];
    assert_eq!(columns, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    let wrong = SqlStr::from_static("SELECT * FROM nothing");
    let wrong = connection.prepare(wrong).await.unwrap_err();
    let code = wrong.as_database_error().unwrap().code().unwrap().into_owned();
    assert_eq!(code, "42P01");
    // The connection goes on after an error.
    let one = sqlx::query("SELECT 1").fetch_one(&mut connection).await.unwrap();
    assert_eq!(one.get::<i64, _>(0), 1);
}

#[tokio::test]
async fn rows_come_as_they_are_taken_and_a_query_ends_with_its_reader() {
    let wired = Wired::start().await;
    let mut connection = wired.connect(&wired.admin).await.unwrap();
    let sql = "SELECT value, 'a text that takes some room' AS text FROM generate_series(1, 200000) AS s(value)";
    let mut rows = sqlx::query(sql).fetch(&mut connection);
    let mut sum = 0;
    for _ in 0..1_000 {
        sum += rows.try_next().await.unwrap().unwrap().get::<i64, _>(0);
    }
    assert!(sum > 0);
    drop(rows);
    drop(connection);
    let mut another = wired.connect(&wired.admin).await.unwrap();
    let rows: Vec<_> = sqlx::query(sql).fetch_all(&mut another).await.unwrap();
    assert_eq!(rows.len(), 200_000);
}

#[tokio::test]
async fn transactions_are_taken() {
    let wired = Wired::start().await;
    let mut connection = wired.connect(&wired.admin).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let one = sqlx::query("SELECT 1").fetch_one(&mut *transaction).await.unwrap();
    assert_eq!(one.get::<i64, _>(0), 1);
    transaction.rollback().await.unwrap();
    connection.ping().await.unwrap();
}
