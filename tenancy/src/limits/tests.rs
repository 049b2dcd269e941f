#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

fn few() -> UseLimits {
    let tenant = Allowance {
        requests_per_s: 5,
        events_per_s: 100,
        bytes_per_s: 1_000,
        calls: 3,
        streams: 2,
    };
    UseLimits { tenant, token: Allowance { calls: 2, streams: 1, requests_per_s: 4, ..tenant } }
}

fn exceeded(seat: Result<Seat, Exceeded>) -> (Quota, Whose) {
    let exceeded = seat.expect_err("the allowance is used up");
    assert!(exceeded.retry_after > Duration::ZERO);
    (exceeded.quota, exceeded.whose)
}

#[test]
fn calls_at_once_are_bounded_for_the_caller_and_the_tenant() {
    let limiter = Limiter::new(few());
    let enter = |tenant, subject| limiter.enter(tenant, subject, false);
    let one = enter(1, "anna").unwrap();
    let _two = enter(1, "anna").unwrap();
    assert_eq!(exceeded(enter(1, "anna")), (Quota::Calls, Whose::Caller));
    let _three = enter(1, "bert").unwrap();
    assert_eq!(exceeded(enter(1, "carl")), (Quota::Calls, Whose::Tenant));
    // Another tenant's caller of the same name is somebody else.
    enter(2, "anna").unwrap();
    drop(one);
    // What was refused has left nothing behind.
    enter(1, "carl").unwrap();
    // Streams are counted apart.
    let live = limiter.enter(1, "anna", true).unwrap();
    assert_eq!(exceeded(limiter.enter(1, "anna", true)), (Quota::Streams, Whose::Caller));
    let _other = limiter.enter(1, "bert", true).unwrap();
    assert_eq!(exceeded(limiter.enter(1, "carl", true)), (Quota::Streams, Whose::Tenant));
    drop(live);
    limiter.enter(1, "carl", true).unwrap();
}

#[test]
fn requests_are_bounded_and_come_back() {
    let limiter = Limiter::new(few());
    let mut begun = 0;
    let refused = loop {
        match limiter.enter(1, "anna", false) {
            Ok(_) => begun += 1,
            Err(exceeded) => break exceeded,
        }
    };
    assert_eq!((refused.quota, refused.whose), (Quota::Requests, Whose::Caller));
    // Two seconds' worth, and what has come back meanwhile.
    assert!((8..=12).contains(&begun), "{begun}");
    limiter.enter(2, "anna", false).unwrap();
    std::thread::sleep(refused.retry_after);
    limiter.enter(1, "anna", false).unwrap();
}

#[test]
fn what_is_used_is_charged_whole_and_then_waited_for() {
    let limiter = Limiter::new(few());
    let seat = limiter.enter(1, "anna", false).unwrap();
    seat.check(Quota::Events).unwrap();
    // More than the burst: it is taken, and all of it has to come back.
    seat.charge(Quota::Events, 1_000);
    let refused = seat.check(Quota::Events).unwrap_err();
    assert_eq!((refused.quota, refused.whose), (Quota::Events, Whose::Tenant));
    assert!((7..=9).contains(&refused.retry_after.as_secs()), "{:?}", refused.retry_after);
    // All callers of the tenant wait, others do not; bytes are another allowance.
    seat.check(Quota::Bytes).unwrap();
    limiter.enter(1, "bert", false).unwrap().check(Quota::Events).unwrap_err();
    limiter.enter(2, "anna", false).unwrap().check(Quota::Events).unwrap();
}

#[test]
fn callers_that_are_idle_make_room() {
    let limiter = Limiter::new(UseLimits::default());
    for number in 0..CALLERS + 10 {
        // Each a tenant's first call, whose cost is back within a millisecond.
        limiter.enter(1, &number.to_string(), false).ok();
    }
    assert!(limiter.lock().callers.len() <= CALLERS);
}

proptest! {
    /// However it is used, no more is let in than rate and burst allow, but for the last use, and
    /// whoever waits as long as it was told is let in.
    #[test]
    fn a_bucket_keeps_its_rate(
        rate in 1_u64..2_000,
        uses in proptest::collection::vec((0_u64..500, 1_u64..100), 1..200),
    ) {
        let bucket = Bucket::default();
        let (mut now, mut used, mut last) = (Duration::ZERO, 0, 0);
        for (pause, count) in uses {
            now += Duration::from_millis(pause);
            match bucket.check(rate, now) {
                Ok(()) => {
                    bucket.charge(rate, count, now);
                    used += count;
                    last = count;
                }
                Err(after) => {
                    prop_assert!(after > Duration::ZERO);
                    prop_assert_eq!(bucket.check(rate, now + after), Ok(()));
                }
            }
            let most = now.as_secs_f64() * rate as f64 + (2 * rate).max(1) as f64 + last as f64;
            prop_assert!(used as f64 <= most + 1.0, "{} of {}", used, most);
        }
    }
}
