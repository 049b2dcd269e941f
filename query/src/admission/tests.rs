#![allow(clippy::unwrap_used, clippy::panic)]

use std::pin::Pin;
use std::task::Poll;

use futures::poll;
use proptest::prelude::*;

use super::*;

type Entering = Pin<Box<dyn Future<Output = Result<Permit, QueryError>>>>;

fn admission(concurrent: usize, total_concurrent: usize, queued: usize) -> Arc<Admission> {
    let limits = QueryLimits {
        concurrent,
        total_concurrent,
        queued,
        queue_seconds: 3_600,
        ..QueryLimits::default()
    };
    Admission::new(&limits)
}

fn enter(admission: &Arc<Admission>, tenant: u32) -> Entering {
    let admission = Arc::clone(admission);
    Box::pin(async move { admission.enter(Tenant(tenant)).await })
}

async fn now(admission: &Arc<Admission>, tenant: u32) -> Permit {
    match poll!(enter(admission, tenant)) {
        Poll::Ready(permit) => permit.unwrap(),
        Poll::Pending => panic!("there is a place"),
    }
}

#[tokio::test]
async fn a_burst_of_one_tenant_takes_one_turn_of_each_other() {
    let admission = admission(4, 4, 100);
    let mut running = Vec::new();
    for _ in 0..4 {
        running.push(now(&admission, 1).await);
    }
    let mut burst: Vec<Entering> = (0..50).map(|_| enter(&admission, 1)).collect();
    for one in &mut burst {
        assert!(poll!(one).is_pending());
    }
    let (mut second, mut third) = (enter(&admission, 2), enter(&admission, 3));
    assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
    assert_eq!(admission.counts(), (4, 52));

    running.pop();
    let Poll::Ready(first) = poll!(&mut burst[0]) else { panic!("it was there first") };
    assert!(poll!(&mut second).is_pending());
    running.pop();
    let Poll::Ready(second) = poll!(second) else { panic!("it is the second's turn") };
    running.pop();
    let Poll::Ready(third) = poll!(third) else { panic!("it is the third's turn") };
    assert!(poll!(&mut burst[1]).is_pending());
    drop((second.unwrap(), third.unwrap()));
    assert!(poll!(&mut burst[1]).is_ready() && poll!(&mut burst[2]).is_ready());
    drop(first);
    assert!(poll!(&mut burst[3]).is_ready());
}

#[tokio::test]
async fn a_tenant_at_its_own_bound_lets_others_pass() {
    let admission = admission(1, 2, 10);
    let mine = now(&admission, 1).await;
    let mut next = enter(&admission, 1);
    assert!(poll!(&mut next).is_pending());
    let other = now(&admission, 2).await;
    let mut third = enter(&admission, 3);
    assert!(poll!(&mut third).is_pending());
    drop(other);
    assert!(poll!(&mut third).is_ready(), "the first tenant cannot use the place");
    assert!(poll!(&mut next).is_pending());
    drop(mine);
    assert!(poll!(&mut next).is_ready());
}

#[tokio::test]
async fn the_queue_is_bounded_and_those_who_go_leave_it() {
    let admission = admission(1, 1, 2);
    let running = now(&admission, 1).await;
    let (mut first, mut second) = (enter(&admission, 1), enter(&admission, 1));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    assert_eq!(enter(&admission, 1).await.err(), Some(QueryError::Busy));
    drop(first);
    let mut third = enter(&admission, 1);
    assert!(poll!(&mut third).is_pending());
    drop(running);
    // Its turn has come, and it goes without having seen it.
    drop(second);
    assert!(poll!(&mut third).is_ready());
    drop(third);
    assert_eq!(admission.counts(), (0, 0));
    assert!(admission.places().turns.is_empty());
}

#[tokio::test]
async fn waiting_ends() {
    let limits = QueryLimits { total_concurrent: 1, queue_seconds: 1, ..QueryLimits::default() };
    let admission = Admission::new(&limits);
    let running = now(&admission, 1).await;
    assert_eq!(enter(&admission, 2).await.err(), Some(QueryError::Busy));
    assert_eq!(admission.counts(), (1, 0));
    drop(running);
    assert!(enter(&admission, 2).await.is_ok());
}

#[derive(Clone, Debug)]
enum Step {
    Enter(u32),
    /// Ends or gives up one of those that are there.
    Leave(usize),
}

proptest! {
    /// Whatever comes and goes: bounds hold, and nobody waits who could run.
    #[test]
    fn places_are_never_lost_nor_given_twice(
        steps in proptest::collection::vec(
            prop_oneof![(0..4_u32).prop_map(Step::Enter), any::<usize>().prop_map(Step::Leave)],
            1..200,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let admission = admission(2, 3, 4);
            let mut waiting: Vec<(u32, Entering)> = Vec::new();
            let mut running: Vec<(u32, Permit)> = Vec::new();
            for step in steps {
                match step {
                    Step::Enter(tenant) => waiting.push((tenant, enter(&admission, tenant))),
                    Step::Leave(n) if n % 2 == 0 && !running.is_empty() => {
                        running.swap_remove(n / 2 % running.len());
                    }
                    Step::Leave(n) if !waiting.is_empty() => {
                        drop(waiting.swap_remove(n / 2 % waiting.len()));
                    }
                    Step::Leave(_) => {}
                }
                let mut left = Vec::new();
                for (tenant, mut entering) in waiting {
                    match poll!(&mut entering) {
                        Poll::Ready(Ok(permit)) => running.push((tenant, permit)),
                        Poll::Ready(Err(error)) => assert_eq!(error, QueryError::Busy),
                        Poll::Pending => left.push((tenant, entering)),
                    }
                }
                waiting = left;
                assert_eq!(admission.counts(), (running.len(), waiting.len()));
                assert!(running.len() <= 3);
                let of = |tenant: u32| running.iter().filter(|(t, _)| *t == tenant).count();
                for (tenant, _) in &waiting {
                    assert!(running.len() == 3 || of(*tenant) == 2);
                    assert!(waiting.iter().filter(|(t, _)| t == tenant).count() <= 4);
                }
                for tenant in 0..4 {
                    assert!(of(tenant) <= 2);
                }
            }
            drop((running, waiting));
            assert_eq!(admission.counts(), (0, 0));
        });
    }
}
