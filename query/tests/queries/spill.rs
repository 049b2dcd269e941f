//! What does not fit into memory goes to disk: with the same answers, within its bounds, and nothing
//! of it is left.

use futures::StreamExt;
use query::{LimitKind, QueryError, QueryLimits};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{World, world_of};

const ROWS: usize = 8_000;

fn small() -> QueryLimits {
    QueryLimits {
        seconds: 600,
        memory_bytes: 16 << 20,
        total_cache_bytes: 0,
        ..QueryLimits::default()
    }
}

fn spilling(limits: QueryLimits) -> (World, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut world = world_of(limits, ROWS);
    world.queries = world.queries.spilling_to(folder.path()).unwrap();
    (world, folder)
}

/// Rows of some hundred bytes each, sixteen for each of the view.
const WIDE: &str = "(SELECT b.*, n.value AS n, repeat(b.customer_id, 20) AS filler \
                    FROM balances b, generate_series(1, 16) n)";

fn hungry() -> Vec<String> {
    let hashed = "(b.visits * 7919 + b.n * 104729) % 1000003";
    vec![
        format!("SELECT b.customer_id, b.n, b.filler FROM {WIDE} b ORDER BY {hashed}, b.n"),
        format!(
            "SELECT b.filler || b.n AS k, count(*) AS c, sum(b.amount) AS s FROM {WIDE} b \
             GROUP BY 1 ORDER BY 1"
        ),
        format!(
            "SELECT count(*), sum(a.visits), min(b.filler) FROM {WIDE} a \
             JOIN {WIDE} b ON a.filler = b.filler AND a.n = b.n"
        ),
        format!(
            "SELECT count(*), count(b.filler), sum(a.visits) FROM {WIDE} a \
             LEFT JOIN (SELECT * FROM {WIDE} w WHERE w.n % 3 <> 0) b \
             ON a.filler = b.filler AND a.n = b.n AND a.visits <> 5"
        ),
    ]
}

async fn whole(world: &World, sql: &str) -> Result<Vec<Value>, QueryError> {
    Ok(world.ask(sql).await?.as_array().unwrap().clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn sorts_groups_and_joins_on_disk_have_the_same_answers() {
    let roomy = world_of(QueryLimits { memory_bytes: 1 << 30, ..small() }, ROWS);
    let cramped = world_of(small(), ROWS);
    let (disk, folder) = spilling(small());
    for sql in hungry() {
        let expected = whole(&roomy, &sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let error = whole(&cramped, &sql).await.unwrap_err();
        let is_memory = matches!(error, QueryError::Limit { which: LimitKind::Memory, .. });
        assert!(is_memory, "{sql}: {error:?}");
        let answer = whole(&disk, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(answer == expected, "{sql}: another answer");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_one_query_is_bounded() {
    let (world, _folder) = spilling(QueryLimits { spill_bytes: 2 << 20, ..small() });
    for sql in hungry() {
        let error = whole(&world, &sql).await.unwrap_err();
        let QueryError::Limit { which, limit } = &error else { panic!("{sql}: {error:?}") };
        assert_eq!((*which, limit.as_str()), (LimitKind::Disk, "2048 KiB"), "{sql}");
    }
    let (world, _folder) = spilling(QueryLimits { total_spill_bytes: 2 << 20, ..small() });
    for sql in hungry() {
        assert_eq!(whole(&world, &sql).await.err(), Some(QueryError::Busy), "{sql}");
    }
    assert!(world.ask("SELECT count(*) FROM balances").await.is_ok(), "others go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_on_disk_is_given_back_when_the_reader_goes() {
    // Room for one at a time.
    let sql = hungry().remove(0);
    let (world, _folder) = spilling(QueryLimits {
        total_spill_bytes: 100 << 20,
        concurrent: 1,
        queue_seconds: 30,
        ..small()
    });
    for _ in 0..3 {
        let mut answer = world.answer(&sql).await.unwrap();
        assert!(answer.batches.next().await.unwrap().is_ok());
    }
    assert_eq!(whole(&world, &sql).await.unwrap().len(), ROWS * 16);
}
