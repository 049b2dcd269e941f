#![allow(clippy::unwrap_used, clippy::panic)]

use projections::events::{Field, FieldType};
use projections::{OwnLimits, PassingLimits};

use super::super::tests::{Bench, TENANT, VOIDED, bench_within, view};
use super::*;

const OTHER: Tenant = Tenant(2);

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never so: {what}");
}

impl Bench {
    fn rows(&self, passing: &PassingView) -> Rows {
        passing.over(&self.readers.snapshot(passing.tenant))
    }

    async fn maintained(&self, passing: &PassingView) {
        until("it is maintained", || matches!(self.rows(passing), Rows::At(_))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_maintained_for_as_long_as_somebody_holds_it_and_is_nobody_elses() {
    let bench = bench_within(OwnLimits::default()).await;
    let (own, readers) = (&bench.own, &bench.readers);
    let one = own.follow(TENANT, VOIDED).unwrap();
    let same = own.follow(TENANT, VOIDED).unwrap();
    let theirs = own.follow(OTHER, VOIDED).unwrap();
    assert_eq!(one.id, same.id);
    assert_ne!(one.id, theirs.id);
    bench.maintained(&one).await;
    bench.maintained(&theirs).await;
    let snapshot = readers.snapshot(TENANT);
    assert!(snapshot.views().is_empty() && own.all(TENANT).is_empty());
    assert!(snapshot.passing(theirs.id).is_none());
    assert!(own.shared.store.own_views().await.unwrap().is_empty());
    // By the name under which it was compiled there is nothing.
    assert!(own.get(TENANT, NAME).is_none() && snapshot.view(NAME).is_none());

    let id = one.id;
    drop(one);
    own.shared.let_go(TENANT, id).await;
    assert!(matches!(bench.rows(&same), Rows::At(_)));
    drop(same);
    // Whoever comes back soon finds it.
    let again = own.follow(TENANT, VOIDED).unwrap();
    assert_eq!(again.id, id);
    own.shared.let_go(TENANT, id).await;
    assert!(matches!(bench.rows(&again), Rows::At(_)));
    drop(again);
    own.shared.let_go(TENANT, id).await;
    assert!(readers.snapshot(TENANT).passing(id).is_none());
    assert!(matches!(bench.rows(&theirs), Rows::At(_)));
    own.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn their_number_is_bounded_and_takes_nothing_from_own_views() {
    let passing = PassingLimits { tenant: 1, all: 2, ..PassingLimits::default() };
    let bench = bench_within(OwnLimits { views: 1, passing, ..OwnLimits::default() }).await;
    let own = &bench.own;
    let one = own.follow(TENANT, VOIDED).unwrap();
    let more = "SELECT reason FROM events.\"invoicing.invoice_voided\"";
    assert!(own.follow(TENANT, more).is_none(), "a tenant has one");
    let theirs = own.follow(OTHER, more).unwrap();
    assert!(own.follow(Tenant(3), more).is_none(), "there are two in all");
    bench.maintained(&one).await;
    bench.maintained(&theirs).await;
    own.define(TENANT, view("mine", VOIDED), Arc::default()).await.unwrap();
    assert!(own.wait(TENANT, "mine", Duration::from_mins(1)).await);
    let snapshot = bench.readers.snapshot(TENANT);
    assert!(snapshot.view("mine").unwrap().failure().is_none());
    own.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_maintained_says_so_and_takes_no_place() {
    let passing = PassingLimits { tenant: 1, ..PassingLimits::default() };
    let bench = bench_within(OwnLimits { passing, ..OwnLimits::default() }).await;
    let voided = "events.\"invoicing.invoice_voided\"";
    for sql in [
        format!("SELECT reason FROM {voided} ORDER BY reason"),
        format!("SELECT reason FROM {voided} LIMIT 3"),
        format!("SELECT median(length(reason)) AS m FROM {voided}"),
        format!("SELECT avg(length(reason)) AS a FROM {voided}"),
        format!("SELECT reason, random() AS r FROM {voided}"),
        format!("SELECT reason, invoice_id AS reason FROM {voided}"),
        "SELECT 1 FROM nowhere".to_owned(),
    ] {
        let passing = bench.own.follow(TENANT, &sql).unwrap();
        until("it is given up", || matches!(bench.rows(&passing), Rows::Never)).await;
        let is_kept = || bench.own.shared.passing.is_kept(passing.id);
        until("it has no place", || !is_kept()).await;
    }
    assert!(bench.own.follow(TENANT, VOIDED).is_some());
    bench.own.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_given_out_for_other_relations_of_the_same_names() {
    let bench = bench_within(OwnLimits::default()).await;
    let own = &bench.own;
    own.define(TENANT, view("mine", VOIDED), Arc::default()).await.unwrap();
    assert!(own.wait(TENANT, "mine", Duration::from_mins(1)).await);
    let on_view = own.follow(TENANT, "SELECT reason FROM mine").unwrap();
    let on_events = own.follow(TENANT, VOIDED).unwrap();
    bench.maintained(&on_view).await;
    bench.maintained(&on_events).await;

    let other = "SELECT reason FROM events.\"invoicing.invoice_voided\"";
    own.define(TENANT, view("mine", other), Arc::default()).await.unwrap();
    until("another is to be had", || matches!(bench.rows(&on_view), Rows::Anew)).await;
    assert!(matches!(bench.rows(&on_events), Rows::At(_)));
    let another = own.follow(TENANT, "SELECT reason FROM mine").unwrap();
    assert_ne!(another.id, on_view.id);
    bench.maintained(&another).await;

    let voided = own.shared.types.visible(TENANT).get("invoicing.invoice_voided").unwrap().clone();
    let mut fields = voided.fields().to_vec();
    fields.push(Field { name: "clerk".to_owned(), kind: FieldType::Text, optional: true });
    own.shared.types.put(EventType::new("invoicing.invoice_voided", fields));
    assert!(matches!(bench.rows(&on_events), Rows::Anew));
    let another = own.follow(TENANT, VOIDED).unwrap();
    assert_ne!(another.id, on_events.id);
    bench.maintained(&another).await;
    own.close();
}
