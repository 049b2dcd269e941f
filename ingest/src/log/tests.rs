#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::format_collect)]

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat, concat_batches};
use chrono::{DateTime, NaiveDate, Utc};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use projections::{EventRegistry, EventType, EventTypes, Tenant, Tick};
use proptest::prelude::*;

use super::{Frame, Log, LogError, Segment};
use crate::{Decoded, Format, Limits, Sender, decode};

fn tasks(tenant: u32, ids: std::ops::Range<usize>) -> Decoded {
    let body: String = ids
        .map(|n| {
            format!(
                r#"{{"specversion":"1.0","id":"t{n}","source":"/tasks","type":"tasks.task_completed","time":"2025-02-10T18:00:00.{n:06}Z","subject":"s{n}","x":{n},"data":{{"completion_id":"c{n}","task_id":"task-{n}","user_id":"u","completed_on":"2025-02-10"}}}}
{{"specversion":"1.0","id":"h{n}","source":"/hr","type":"hr.time_corrected","time":"2025-02-10T18:00:00Z","data":{{"entry_id":"T{n}","hours":{n}.0625}}}}
"#
            )
        })
        .collect();
    let sender = Sender {
        tenant: Tenant(tenant),
        tenant_id: "t".to_owned(),
        currency: "EUR".to_owned(),
        events_clock: None,
    };
    let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    let limits = Limits::default();
    decode(&EventTypes::builtin(), &limits, &sender, Format::Ndjson, body.as_bytes(), now).unwrap()
}

/// A row that holds the tenants' tasks, and its parts.
pub(super) fn row(of: &[(u32, std::ops::Range<usize>)]) -> (Frame, String) {
    let mut frame = Frame::default();
    let mut parts = Vec::new();
    for (tenant, ids) in of {
        for batch in tasks(*tenant, ids.clone()).batches {
            let part = (*tenant, batch.event_type.name().to_owned());
            if !parts.contains(&part) {
                parts.push(part);
            }
            let tenants = UInt32Array::from(vec![*tenant; batch.rows.num_rows()]);
            let name = batch.event_type.name();
            match frame.segments.iter_mut().find(|s| s.event_type.name() == name) {
                Some(segment) => {
                    segment.rows =
                        concat_batches(&batch.rows.schema(), [&segment.rows, &batch.rows]).unwrap();
                    let joined = concat(&[&segment.tenants, &tenants]).unwrap();
                    segment.tenants = joined.as_primitive().clone();
                }
                None => frame.segments.push(Segment {
                    event_type: batch.event_type,
                    tenants,
                    rows: batch.rows,
                }),
            }
        }
    }
    (frame, serde_json::to_string(&parts).unwrap())
}

pub(super) async fn filled(rows: &[&[(u32, std::ops::Range<usize>)]]) -> (tempfile::TempDir, Log) {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(&folder.path().join("log.db"), EventRegistry::builtin()).await.unwrap();
    for (at, of) in rows.iter().enumerate() {
        let (frame, parts) = row(of);
        assert_eq!(log.append(frame.encode().unwrap(), parts).await.unwrap(), at as u64 + 1);
    }
    (folder, log)
}

pub(super) fn task_type() -> Arc<EventType> {
    Arc::clone(EventTypes::builtin().get("tasks.task_completed").unwrap())
}

async fn scanned(
    log: &Log,
    tenant: u32,
    up_to: u64,
    columns: Option<Vec<usize>>,
) -> Vec<RecordBatch> {
    scan(log, tenant, &task_type(), up_to, columns).try_collect().await.unwrap()
}

/// The rows from the beginning; all columns if none are named.
fn scan(
    log: &Log,
    tenant: u32,
    event_type: &Arc<EventType>,
    up_to: u64,
    columns: Option<Vec<usize>>,
) -> impl Stream<Item = Result<RecordBatch, LogError>> + use<> {
    let width = event_type.relation().fields().len();
    let columns = columns.unwrap_or_else(|| (0..width).collect());
    log.history(Tenant(tenant), event_type, 0, up_to, columns)
        .map_ok(|(_, batches)| stream::iter(batches).map(Ok))
        .try_flatten()
}

pub(super) fn ids(batches: &[RecordBatch]) -> Vec<String> {
    let columns = batches.iter().map(|b| b.column(0).as_string::<i32>());
    columns.flat_map(|ids| ids.iter().flatten().map(str::to_owned).collect::<Vec<_>>()).collect()
}

pub(super) fn named(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("t{n}")).collect()
}

#[tokio::test]
async fn a_scan_finds_a_tenants_rows_and_no_others() {
    let (_folder, log) =
        filled(&[&[(1, 0..3), (2, 0..5), (1, 3..4)], &[(2, 5..6)], &[(1, 4..6)], &[(3, 0..1)]])
            .await;
    assert_eq!(ids(&scanned(&log, 1, 4, None).await), named(0..6));
    assert_eq!(ids(&scanned(&log, 2, u64::MAX, None).await), named(0..6));
    assert_eq!(ids(&scanned(&log, 1, 2, None).await), named(0..4));
    assert_eq!(ids(&scanned(&log, 3, 3, None).await), named(0..0));
    assert_eq!(ids(&scanned(&log, 9, 4, None).await), named(0..0));
    let all = scanned(&log, 1, 4, None).await;
    assert!(all.iter().all(|b| b.schema() == *task_type().relation()));
    let corrected = Arc::clone(EventTypes::builtin().get("hr.time_corrected").unwrap());
    let hours: Vec<RecordBatch> =
        scan(&log, 2, &corrected, 4, Some(vec![4])).try_collect().await.unwrap();
    let sum: i128 = hours
        .iter()
        .flat_map(|b| {
            b.column(0).as_primitive::<arrow::datatypes::Decimal128Type>().values().to_vec()
        })
        .sum();
    assert_eq!(sum, 10_000 * 15 + 6 * 625);
}

#[tokio::test]
async fn history_tells_how_far_it_has_come() {
    let (_folder, log) = filled(&[&[(1, 0..3)], &[(2, 5..6)], &[(1, 4..6)], &[(1, 6..7)]]).await;
    let kind = task_type();
    assert_eq!(log.parts(Tenant(1), &kind, 0, 3).await.unwrap(), 2);
    let all = (0..kind.relation().fields().len()).collect();
    let parts: Vec<(u64, Vec<RecordBatch>)> =
        log.history(Tenant(1), &kind, 0, 3, all).try_collect().await.unwrap();
    assert_eq!(parts.last().unwrap().0, 2);
    let batches: Vec<RecordBatch> = parts.into_iter().flat_map(|part| part.1).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 5);
    assert!(batches.iter().all(|b| b.schema() == *kind.relation()));
}

#[tokio::test]
async fn a_scan_brings_the_columns_that_are_asked_for() {
    let (_folder, log) = filled(&[&[(1, 0..3), (2, 0..2)], &[(1, 3..5)]]).await;
    let batches = scanned(&log, 1, 2, Some(vec![4, 0])).await;
    let names: Vec<String> =
        batches[0].schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["task_id", "event_id"]);
    let tasks: Vec<&str> = batches[0].column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(tasks, ["task-0", "task-1", "task-2", "task-3", "task-4"]);
    let none = scanned(&log, 1, 2, Some(Vec::new())).await;
    assert_eq!(none.iter().map(RecordBatch::num_rows).sum::<usize>(), 5);
    assert_eq!(none[0].num_columns(), 0);
    // Behind the relation's columns stand those that are stored with it.
    let beyond = scanned(&log, 1, 2, Some(vec![7])).await;
    assert_eq!(beyond[0].schema().field(0).name(), "source");
    let absent: Result<Vec<_>, _> =
        scan(&log, 1, &task_type(), 2, Some(vec![99])).try_collect().await;
    assert!(matches!(absent, Err(LogError::Columns(_))), "{absent:?}");
}

#[tokio::test]
async fn a_long_scan_comes_in_bounded_batches() {
    let rows: Vec<Vec<(u32, std::ops::Range<usize>)>> = (0..1_200)
        .map(|n| vec![(1, n..n + 1), (2, n..n + 1)])
        .chain([vec![(1, 1_200..21_200)]])
        .collect();
    let rows: Vec<&[_]> = rows.iter().map(Vec::as_slice).collect();
    let (_folder, log) = filled(&rows).await;
    let batches = scanned(&log, 1, u64::MAX, None).await;
    assert!(batches.iter().all(|b| b.num_rows() <= 8_192));
    assert!(batches.len() < 10, "{} batches", batches.len());
    assert_eq!(ids(&batches), named(0..21_200));
    assert_eq!(ids(&scanned(&log, 1, 1_200, None).await), named(0..1_200));
}

#[tokio::test]
async fn a_damaged_row_ends_a_scan_with_its_offset() {
    let (folder, log) = filled(&[&[(1, 0..3)], &[(1, 3..5)], &[(2, 0..3)]]).await;
    let path = folder.path().join("log.db");
    let mut outside = <sqlx::SqliteConnection as sqlx::Connection>::connect(path.to_str().unwrap())
        .await
        .unwrap();
    sqlx::query("UPDATE log SET payload = zeroblob(1000) WHERE id = 2")
        .execute(&mut outside)
        .await
        .unwrap();
    let result: Result<Vec<_>, _> = scan(&log, 1, &task_type(), 3, None).try_collect().await;
    let error = result.unwrap_err().to_string();
    assert!(error.contains("offset 2") && error.contains("log.db"), "{error}");
    assert_eq!(ids(&scanned(&log, 2, 3, None).await), named(0..3));
}

#[tokio::test]
async fn a_scan_goes_on_while_others_wait() {
    let (_folder, log) = filled(&[&[(1, 0..10)]]).await;
    // More scans than connections, all begun and none finished: none may block another.
    let mut scans: Vec<_> =
        (0..20).map(|_| Box::pin(scan(&log, 1, &task_type(), 1, None))).collect();
    for scan in &mut scans {
        assert_eq!(scan.try_next().await.unwrap().unwrap().num_rows(), 10);
    }
    for scan in &mut scans {
        assert!(scan.try_next().await.unwrap().is_none());
    }
}

#[test]
fn frames_read_back() {
    let (mut frame, _) = row(&[(1, 0..3), (4_000_000_000, 0..2)]);
    frame.ticks = vec![
        Tick { tenant: Tenant(1), today: NaiveDate::from_ymd_opt(2024, 2, 29).unwrap() },
        Tick { tenant: Tenant(u32::MAX), today: NaiveDate::from_ymd_opt(1899, 12, 31).unwrap() },
    ];
    let read = Frame::decode(&frame.encode().unwrap(), &EventRegistry::builtin()).unwrap();
    assert_eq!(format!("{read:?}"), format!("{frame:?}"));
    let empty =
        Frame::decode(&Frame::default().encode().unwrap(), &EventRegistry::builtin()).unwrap();
    assert!(empty.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_change_of_a_frame_goes_unseen(at: prop::sample::Index, flip in 1..=255_u8, cut: prop::sample::Index) {
        let (frame, _) = row(&[(1, 0..2)]);
        let bytes = frame.encode().unwrap();
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= flip;
        prop_assert!(Frame::decode(&changed, &EventRegistry::builtin()).is_err());
        prop_assert!(Frame::decode(&bytes[..cut.index(bytes.len())], &EventRegistry::builtin()).is_err());
    }
}
