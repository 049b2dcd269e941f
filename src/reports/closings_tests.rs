#![allow(clippy::unwrap_used)]

use projections::{Input, Partition, Tick};

use crate::reports::settings::ReportSettings;
use crate::reports::tests::{Place, tenant_of, turn};

use super::*;

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
}

/// Sets the dates of the first two tenants.
fn set(partition: &mut Partition, today: u32) {
    let tick = |number| Tick { tenant: Tenant(number), today: day(today) };
    let (ticks, offset) = (vec![tick(1), tick(2)], u64::from(today));
    drop(partition.apply(Input { events: Vec::new(), ticks, offset }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_noted_is_tried_again_and_keeps_nobody_waiting() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let (node, mut partition) = place.open("one", ReportSettings::default()).await;
    let (one, two) = (tenant_of(&node, "one").await, tenant_of(&node, "two").await);
    let shared = &node.shared;
    set(&mut partition, 19);
    turn(&node).await;
    // The store takes nothing of a deleted tenant, of whose deletion this node has not heard.
    shared.store().delete_tenant(&one.id, "ops").await.unwrap();
    set(&mut partition, 20);
    turn(&node).await;
    assert_eq!(shared.store().closing_mark(one.number, day(19)).await.unwrap(), None);
    let closed = shared.store().closing_mark(two.number, day(19)).await.unwrap().unwrap();
    assert_eq!((closed.day, closed.offset, closed.closes), (Some(day(19)), 19, true));
    let seen = |number: u32| shared.closings.seen()[&number].0;
    assert_eq!(seen(two.number), day(20));
    assert_eq!(seen(one.number), day(19), "its last position is still to be noted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_of_a_tenant_that_another_node_has_had_since_is_no_end() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let (node, mut partition) = place.open("one", ReportSettings::default()).await;
    let two = tenant_of(&node, "two").await;
    set(&mut partition, 19);
    turn(&node).await;
    node.shared.note_closings(&[]).await;
    set(&mut partition, 20);
    turn(&node).await;
    let noted = node.shared.store().closing_mark(two.number, day(19)).await;
    assert_eq!(noted.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_not_over_has_no_end_although_one_was_noted() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let (node, mut partition) = place.open("one", ReportSettings::default()).await;
    let one = Tenant(tenant_of(&node, "one").await.number);
    let shared = &node.shared;
    for (offset, today) in [(1, 19), (2, 20), (3, 19)] {
        let ticks = vec![Tick { tenant: one, today: day(today) }];
        drop(partition.apply(Input { events: Vec::new(), ticks, offset }));
        turn(&node).await;
    }
    assert!(shared.store().closing_mark(one.0, day(19)).await.unwrap().is_some());
    let sources = &shared.parts.sources;
    let now = sources.readers.snapshot(one);
    let asked = crate::reports::as_of::AsOf { position: None, day: Some(day(19)) };
    let moment = crate::reports::as_of::find(sources, &now, &asked).await;
    assert_eq!(moment.unwrap_or_else(|error| panic!("{error}")), None, "it is now");
}
