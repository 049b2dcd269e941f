#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::places::{Place, on_both};
use super::*;
use crate::audit::{
    Action, Anchor, AuditEntry, AuditFilter, AuditKey, AuditRecord, Chain, Fault, Resealed, Trail,
    TrailError, reseal, verify,
};
use crate::{NewTenant, Secret, hex};

fn new_tenant(id: &str) -> NewTenant {
    serde_json::from_value(
        json!({"id": id, "name": "Acme", "timezone": "Europe/Berlin", "currency": "EUR"}),
    )
    .unwrap()
}

fn entry(chain: Chain, number: u64) -> AuditEntry {
    let mut detail = Map::new();
    detail.insert(String::from("number"), json!(number));
    AuditEntry {
        chain,
        at: DateTime::from_timestamp_micros(1_700_000_000_000_000 + number.cast_signed()).unwrap(),
        actor: format!("anna-{}", number % 3),
        source: String::from("127.0.0.1:4711"),
        action: Action::ALL[number as usize % Action::ALL.len()],
        object: String::from("GET /v1/views/ar_aging"),
        status: 200,
        detail,
    }
}

/// The store of a tenant with so many records in its chain.
struct Bench {
    store: Store,
    key: AuditKey,
    tenant: TenantRecord,
    chain: Chain,
}

impl Bench {
    async fn with(place: &Place, count: u64) -> Self {
        let store = place.open().await;
        let tenant = store.create_tenant(new_tenant("acme")).await.unwrap();
        let key = AuditKey::new(&Secret::random().unwrap());
        let chain = Chain::Tenant(tenant.number);
        let entries: Vec<AuditEntry> = (1..=count).map(|n| entry(chain, n)).collect();
        store.append_audit(&key, &entries).await.unwrap();
        Self { store, key, tenant, chain }
    }

    async fn faults(&self) -> Vec<Fault> {
        verify(&self.store, &self.key, self.chain, &[]).await.unwrap().faults
    }
}

/// What somebody who has the file may do to it.
async fn tamper(place: &Place, statements: &str) {
    let options = SqliteConnectOptions::new().filename(place.path()).foreign_keys(false);
    let mut connection = options.connect().await.unwrap();
    for drop in ["DROP TRIGGER audit_is_never_changed", "DROP TRIGGER audit_is_kept"] {
        sqlx::raw_sql(drop).execute(&mut connection).await.unwrap();
    }
    let statements = AssertSqlSafe(statements.to_owned());
    sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

on_both! {
async fn records_are_read_as_they_were_written_the_newest_first(place: &Place) {
    let bench = Bench::with(place, 25).await;
    assert!(bench.faults().await.is_empty());
    let all = bench.store.audit_records(bench.chain, &AuditFilter::default(), None, 100).await.unwrap().records;
    let places: Vec<u64> = all.iter().map(|record| record.seq).collect();
    assert_eq!(places, (1..=25).rev().collect::<Vec<u64>>());
    let page = bench.store.audit_records(bench.chain, &AuditFilter::default(), Some(20), 5).await.unwrap().records;
    assert_eq!(page, all[6..11]);
    let filter = AuditFilter {
        from: DateTime::from_timestamp_micros(1_700_000_000_000_003),
        to: DateTime::from_timestamp_micros(1_700_000_000_000_020),
        actor: Some(String::from("anna-2")),
        action: Some(Action::Query),
    };
    let some = bench.store.audit_records(bench.chain, &filter, None, 100).await.unwrap().records;
    let expected: Vec<&AuditRecord> = all
        .iter()
        .filter(|r| (3..20).contains(&r.seq) && r.actor == "anna-2" && r.action == "query")
        .collect();
    assert!(!expected.is_empty());
    assert_eq!(some.iter().collect::<Vec<_>>(), expected);
}

/// However long it is: a statement has its time.
async fn the_chain_of_a_deleted_tenant_is_removed_in_parts(place: &Place) {
    let bench = Bench::with(place, 5).await;
    let stone = bench.store.delete_tenant(&bench.tenant.id, "ops").await.unwrap();
    bench.store.erase_records(stone.number, 2).await.unwrap();
    assert_eq!(bench.store.audit_last(bench.chain).await.unwrap(), 0);
    assert_eq!(bench.store.audit_head(bench.chain).await.unwrap().unwrap().seq, 5);
    bench.store.erase_tenant(&stone).await.unwrap();
    assert!(bench.store.audit_head(bench.chain).await.unwrap().is_none());
}

async fn each_chain_is_its_own(place: &Place) {
    let bench = Bench::with(place, 0).await;
    let other = bench.store.create_tenant(new_tenant("other")).await.unwrap();
    let chains = [bench.chain, Chain::Tenant(other.number), Chain::Platform];
    let entries: Vec<AuditEntry> = (0..30).map(|n| entry(chains[n as usize % 3], n)).collect();
    for part in entries.chunks(7) {
        bench.store.append_audit(&bench.key, part).await.unwrap();
    }
    for chain in chains {
        let verdict = verify(&bench.store, &bench.key, chain, &[]).await.unwrap();
        assert_eq!((verdict.records, verdict.faults), (10, Vec::new()));
        let records = bench.store.audit_records(chain, &AuditFilter::default(), None, 100).await.unwrap().records;
        let numbers: Vec<i64> = records.iter().map(|r| r.at % 1_000_000 % 3).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] == pair[1]), "{numbers:?}");
    }
}

/// As two nodes do that share a store.
async fn two_may_append_to_one_chain(place: &Place) {
    let bench = Bench::with(place, 0).await;
    let access = place.access();
    let mut writers = tokio::task::JoinSet::new();
    for node in 0..2_u64 {
        let (access, key, chain) = (access.clone(), bench.key.clone(), bench.chain);
        writers.spawn(async move {
            let store = Store::connect(&access).await.unwrap();
            for turn in 0..40 {
                let entries = [entry(chain, node * 1_000 + turn), entry(Chain::Platform, turn)];
                store.append_audit(&key, &entries).await.unwrap();
            }
            store.close().await;
        });
    }
    writers.join_all().await;
    for chain in [bench.chain, Chain::Platform] {
        let verdict = verify(&bench.store, &bench.key, chain, &[]).await.unwrap();
        assert_eq!((verdict.records, verdict.faults), (80, Vec::new()));
    }
}

async fn a_deleted_tenant_takes_its_chain_along(place: &Place) {
    let bench = Bench::with(place, 5).await;
    let stone = bench.store.delete_tenant(&bench.tenant.id, "ops").await.unwrap();
    // What was on its way when it was deleted.
    bench.store.append_audit(&bench.key, &[entry(bench.chain, 6)]).await.unwrap();
    assert_eq!(bench.store.audit_last(bench.chain).await.unwrap(), 5);
    bench.store.erase_tenant(&stone).await.unwrap();
    assert_eq!(bench.store.audit_last(bench.chain).await.unwrap(), 0);
    assert_eq!(bench.store.audit_head(bench.chain).await.unwrap(), None);
}

async fn a_page_ends_where_it_is_long(place: &Place) {
    let bench = Bench::with(place, 3).await;
    let (store, chain, filter) = (&bench.store, bench.chain, AuditFilter::default());
    let mut long = entry(chain, 0);
    long.detail.insert(String::from("sql"), json!("x".repeat(1 << 20)));
    store.append_audit(&bench.key, &vec![long; 9]).await.unwrap();
    let (mut before, mut places, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = store.audit_records(chain, &filter, before, 1_000).await.unwrap();
        assert!(page.records.len() <= 4, "{}", page.records.len());
        places.extend(page.records.iter().map(|record| record.seq));
        (before, pages) = (places.last().copied(), pages + 1);
        if page.is_last {
            break;
        }
    }
    assert_eq!((places, pages), ((1..=12).rev().collect::<Vec<u64>>(), 3));
    // A full page of as many as were asked for is not known to be the last.
    assert!(!store.audit_records(chain, &filter, Some(4), 3).await.unwrap().is_last);
    assert!(store.audit_records(chain, &filter, Some(4), 4).await.unwrap().is_last);
    assert_eq!(store.audit_after(chain, 0, 12, 1_000).await.unwrap().len(), 7);
    assert!(bench.faults().await.is_empty());
}

/// As of one who has looked whether the tenant lives before it was deleted.
async fn no_record_is_stored_once_its_tenant_is_deleted(place: &Place) {
    let bench = Bench::with(place, 1).await;
    let stone = bench.store.delete_tenant(&bench.tenant.id, "ops").await.unwrap();
    bench.store.erase_tenant(&stone).await.unwrap();
    let record = AuditRecord::after(&[0; 32], 1, &entry(bench.chain, 1));
    let head = bench.key.head(bench.chain, 1, record.hash);
    let mut transaction = bench.store.write(Scope::Tenant(stone.number)).await.unwrap();
    assert!(!super::audit::insert(&mut transaction, bench.chain, &[record]).await.unwrap());
    assert!(!super::audit::put_head(&mut transaction, bench.chain, None, &head).await.unwrap());
    transaction.commit().await.unwrap();
    assert_eq!(bench.store.audit_last(bench.chain).await.unwrap(), 0);
    assert_eq!(bench.store.audit_head(bench.chain).await.unwrap(), None);
}

async fn what_is_kept_is_on_disk_and_what_is_recorded_follows(place: &Place) {
    let bench = Bench::with(place, 0).await;
    let (trail, task) = Trail::start(bench.store.clone(), bench.key.clone());
    for number in 1..=2_500 {
        trail.record(entry(bench.chain, number)).await.unwrap();
    }
    trail.keep(entry(bench.chain, 2_501)).await.unwrap();
    assert_eq!(bench.store.audit_last(bench.chain).await.unwrap(), 2_501);
    trail.note(entry(bench.chain, 2_502));
    trail.close();
    task.await.unwrap();
    assert_eq!(bench.store.audit_last(bench.chain).await.unwrap(), 2_502);
    assert!(bench.faults().await.is_empty());
    assert_eq!(trail.keep(entry(bench.chain, 1)).await, Err(TrailError::Closed));
}
}

#[tokio::test]
async fn what_is_done_to_records_is_found() {
    let cases: [(&str, Vec<Fault>); 15] = [
        ("UPDATE audit SET actor = 'nobody' WHERE seq = 4", vec![Fault::Altered(4)]),
        ("UPDATE audit SET at = at + 1 WHERE seq = 4", vec![Fault::Altered(4)]),
        ("UPDATE audit SET source = '' WHERE seq = 4", vec![Fault::Altered(4)]),
        ("UPDATE audit SET action = 'read' WHERE seq = 4", vec![Fault::Altered(4)]),
        ("UPDATE audit SET object = 'x' WHERE seq = 4", vec![Fault::Altered(4)]),
        ("UPDATE audit SET status = 403 WHERE seq = 4", vec![Fault::Altered(4)]),
        ("UPDATE audit SET detail = '{}' WHERE seq = 10", vec![Fault::Altered(10)]),
        // The one behind is linked to another hash then.
        (
            "UPDATE audit SET hash = zeroblob(32) WHERE seq = 4",
            vec![Fault::Altered(4), Fault::Altered(5)],
        ),
        (
            "DELETE FROM audit WHERE seq IN (4, 5, 9)",
            vec![Fault::Missing(4, 5), Fault::Missing(9, 9)],
        ),
        ("DELETE FROM audit WHERE seq = 1", vec![Fault::Missing(1, 1)]),
        ("DELETE FROM audit WHERE seq >= 9", vec![Fault::Missing(9, 10)]),
        (
            "UPDATE audit SET seq = 99 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 7; \
             UPDATE audit SET seq = 7 WHERE seq = 99",
            vec![Fault::Altered(4), Fault::Altered(5), Fault::Altered(7), Fault::Altered(8)],
        ),
        // Moved up, so that there is no gap.
        (
            "DELETE FROM audit WHERE seq = 9; UPDATE audit SET seq = 9 WHERE seq = 10; \
             UPDATE audit_heads SET seq = 9",
            vec![Fault::Altered(9), Fault::Forged],
        ),
        (
            "INSERT INTO audit SELECT tenant_id, 11, at, actor, source, action, object, status, \
             detail, hash FROM audit WHERE seq = 3",
            vec![Fault::Beyond(11)],
        ),
        ("DELETE FROM audit_heads", vec![Fault::NoHead]),
    ];
    for (statement, expected) in cases {
        let place = &Place::file();
        let bench = Bench::with(place, 10).await;
        tamper(place, statement).await;
        assert_eq!(bench.faults().await, expected, "{statement}");
    }
}

/// The newest record is taken away, and the end is said to be before it.
#[tokio::test]
async fn an_end_that_was_put_back_is_not_sealed() {
    let place = &Place::file();
    let bench = Bench::with(place, 10).await;
    tamper(
        place,
        "DELETE FROM audit WHERE seq = 10; \
             UPDATE audit_heads SET seq = 9, hash = (SELECT hash FROM audit WHERE seq = 9)",
    )
    .await;
    assert_eq!(bench.faults().await, [Fault::Forged]);
}

/// What comes behind an end that is not the sealed one must not make it good.
#[tokio::test]
async fn what_was_forged_is_not_sealed_by_the_next_record() {
    // Record 4 and all behind it are to be linked anew, as anybody can who reads the documentation.
    let relinked = |records: Vec<AuditRecord>, chain| {
        let mut hash = records[2].hash;
        let mut statements = String::new();
        for mut record in records.into_iter().skip(3) {
            if record.seq == 4 {
                record.actor = String::from("nobody");
            }
            record.hash = record.digest(chain, &hash);
            hash = record.hash;
            statements += &format!(
                "UPDATE audit SET actor = '{}', hash = x'{}' WHERE seq = {}; ",
                record.actor,
                hex(&record.hash),
                record.seq
            );
        }
        statements + &format!("UPDATE audit_heads SET hash = x'{}'", hex(&hash))
    };
    let copied = "INSERT INTO audit SELECT tenant_id, 11, at, actor, source, action, object, \
                  status, detail, hash FROM audit WHERE seq = 3";
    let cases = [
        (
            "DELETE FROM audit WHERE seq = 10; UPDATE audit_heads SET seq = 9, \
             hash = (SELECT hash FROM audit WHERE seq = 9)",
            vec![Fault::Forged],
        ),
        ("relinked", vec![Fault::Forged]),
        ("UPDATE audit_heads SET key_id = 'x'", vec![Fault::Forged]),
        ("UPDATE audit_heads SET seal = zeroblob(32)", vec![Fault::Forged]),
        ("DELETE FROM audit WHERE seq >= 9", vec![Fault::Missing(9, 10), Fault::Forged]),
        (copied, vec![Fault::Altered(11), Fault::Forged]),
        ("DELETE FROM audit_heads", vec![Fault::Forged]),
        ("UPDATE audit_heads SET seq = 0", vec![Fault::Forged]),
    ];
    for (statement, expected) in cases {
        let place = &Place::file();
        let bench = Bench::with(place, 10).await;
        let records = bench.store.audit_after(bench.chain, 0, 10, 100).await.unwrap();
        let done = match statement {
            "relinked" => relinked(records, bench.chain),
            other => other.to_owned(),
        };
        tamper(place, &done).await;
        for number in 11..14 {
            bench.store.append_audit(&bench.key, &[entry(bench.chain, number)]).await.unwrap();
            assert_eq!(bench.faults().await, expected, "{statement}");
        }
        // Another chain is not concerned.
        bench.store.append_audit(&bench.key, &[entry(Chain::Platform, 1)]).await.unwrap();
        let platform = verify(&bench.store, &bench.key, Chain::Platform, &[]).await.unwrap();
        assert_eq!(platform.faults, []);
    }
}

/// Somebody who kept the end as it was can put it back; what was noted elsewhere gives it away.
#[tokio::test]
async fn an_older_end_is_found_by_what_was_noted() {
    let place = &Place::file();
    let bench = Bench::with(place, 10).await;
    let earlier = bench.store.audit_head(bench.chain).await.unwrap().unwrap();
    bench.store.append_audit(&bench.key, &[entry(bench.chain, 11)]).await.unwrap();
    let verdict = verify(&bench.store, &bench.key, bench.chain, &[]).await.unwrap();
    let noted = [
        Anchor { seq: earlier.seq, hash: earlier.hash },
        Anchor { seq: verdict.records, hash: verdict.hash },
    ];
    assert_eq!(
        verify(&bench.store, &bench.key, bench.chain, &noted).await.unwrap().faults,
        Vec::new()
    );
    tamper(
        place,
        &format!(
            "DELETE FROM audit WHERE seq = 11; UPDATE audit_heads SET seq = 10, hash = x'{}', \
             seal = x'{}'",
            hex(&earlier.hash),
            hex(&earlier.seal)
        ),
    )
    .await;
    assert!(bench.faults().await.is_empty());
    let verdict = verify(&bench.store, &bench.key, bench.chain, &noted).await.unwrap();
    assert_eq!(verdict.faults, [Fault::Missing(11, 11)]);
    let other = [Anchor { seq: 3, hash: [7; 32] }];
    let verdict = verify(&bench.store, &bench.key, bench.chain, &other).await.unwrap();
    assert_eq!(verdict.faults, [Fault::NotAsNoted(3)]);
}

#[tokio::test]
async fn another_key_seals_nothing() {
    let place = &Place::file();
    let bench = Bench::with(place, 3).await;
    let other = AuditKey::new(&Secret::random().unwrap());
    let verdict = verify(&bench.store, &other, bench.chain, &[]).await.unwrap();
    assert_eq!(verdict.faults, [Fault::OtherKey(bench.key.id().to_owned())]);
}

/// What another key appends is not sealed, so that a key that was changed is no way round.
#[tokio::test]
async fn a_key_is_changed_by_sealing_what_holds_by_the_former_one() {
    let place = &Place::file();
    let bench = Bench::with(place, 3).await;
    let (store, chain) = (&bench.store, bench.chain);
    let new = AuditKey::new(&Secret::random().unwrap());
    let wrong = AuditKey::new(&Secret::random().unwrap());
    let refused = reseal(store, &wrong, &new, chain).await.unwrap();
    let Resealed::Faults(verdict) = refused else { panic!("{refused:?}") };
    assert_eq!(verdict.faults, [Fault::OtherKey(bench.key.id().to_owned())]);
    assert!(bench.faults().await.is_empty(), "it was left as it was");
    // Once more is no harm.
    for _ in 0..2 {
        assert_eq!(reseal(store, &bench.key, &new, chain).await.unwrap(), Resealed::Done(3));
    }
    let empty = reseal(store, &bench.key, &new, Chain::Platform).await.unwrap();
    assert_eq!(empty, Resealed::Done(0));
    store.append_audit(&new, &[entry(chain, 4)]).await.unwrap();
    assert_eq!(verify(store, &new, chain, &[]).await.unwrap().faults, []);
    store.append_audit(&bench.key, &[entry(chain, 5)]).await.unwrap();
    assert_eq!(bench.faults().await, [Fault::Forged]);
    let refused = reseal(store, &bench.key, &new, chain).await.unwrap();
    assert!(matches!(refused, Resealed::Faults(_)), "{refused:?}");
}

#[tokio::test]
async fn the_database_refuses_to_change_or_remove_a_record() {
    let place = &Place::file();
    let bench = Bench::with(place, 2).await;
    bench.store.append_audit(&bench.key, &[entry(Chain::Platform, 1)]).await.unwrap();
    for statement in [
        "UPDATE audit SET actor = 'x'",
        "DELETE FROM audit",
        "UPDATE platform_audit_chain SET actor = 'x'",
        "DELETE FROM platform_audit_chain",
    ] {
        let refused = place.execute(statement).await.unwrap_err();
        assert!(refused.contains("never"), "{statement}: {refused}");
    }
}

/// A node is halted with the end of a chain in its hands, and woken when it is too late.
async fn halt_a_node(place: &Place) {
    let bench = Bench::with(place, 1).await;
    let halted = place.open().await;
    let head = bench.store.audit_head(bench.chain).await.unwrap().unwrap();
    let record = AuditRecord::after(&head.hash, 2, &entry(bench.chain, 2));
    let mut transaction = halted.write(Scope::Platform).await.unwrap();
    halted.enter(&mut transaction, bench.tenant.number).await.unwrap();
    assert!(super::audit::insert(&mut transaction, bench.chain, &[record]).await.unwrap());
    // Nothing more comes from it. Another one waits for the chain, and has it.
    bench.store.append_audit(&bench.key, &[entry(bench.chain, 3)]).await.unwrap();
    let source = transaction.commit().await.unwrap_err();
    let error = StoreError::Database { doing: "writing the audit", source };
    assert!(error.is_unavailable(), "{error}");
    // Of what it had begun nothing is there, and it does it again on another connection.
    assert_eq!(bench.store.audit_last(bench.chain).await.unwrap(), 2);
    halted.append_audit(&bench.key, &[entry(bench.chain, 2)]).await.unwrap();
    assert_eq!(bench.store.audit_last(bench.chain).await.unwrap(), 3);
    assert!(bench.faults().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_halted_keeps_no_other_from_a_chain() {
    halt_a_node(&Place::server().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_one_behind_a_pooler() {
    halt_a_node(&Place::pooled().await).await;
}

#[tokio::test]
async fn who_records_faster_than_is_written_waits() {
    let place = &Place::file();
    let bench = Bench::with(place, 0).await;
    let other = place.open().await;
    let held = other.write(Scope::Platform).await.unwrap();
    let (trail, task) = Trail::start(bench.store.clone(), bench.key.clone());
    let large = |number| {
        let mut large = entry(bench.chain, number);
        large.detail.insert(String::from("sql"), json!("x".repeat(1 << 20)));
        large
    };
    // The store is somebody else's: what fits into the room is taken, and not more.
    let mut taken = 0;
    while taken < 100 {
        let more = trail.record(large(taken));
        let Ok(done) = tokio::time::timeout(std::time::Duration::from_millis(300), more).await
        else {
            break;
        };
        done.unwrap();
        taken += 1;
    }
    assert!((5..12).contains(&taken), "{taken} mebibytes");
    // Another's chain has room of its own.
    let more = trail.record(entry(Chain::Platform, 1));
    tokio::time::timeout(std::time::Duration::from_secs(2), more).await.unwrap().unwrap();
    held.rollback().await.unwrap();
    trail.keep(large(taken)).await.unwrap();
    assert_eq!(bench.store.audit_last(bench.chain).await.unwrap(), taken + 1);
    trail.close();
    task.await.unwrap();
}
