//! Tenants of whom nothing is taken any more.

use super::*;

#[tokio::test]
async fn of_a_forgotten_tenant_nothing_comes_beyond_the_offset_that_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::open(folder.path()).await;
    let (one, two) = (sender(1), sender(2));
    let tick = || vec![Tick { tenant: Tenant(1), today: date("2024-03-01") }];
    running.submit(&one, &payments(&["a"])).await.unwrap();
    running.intake.tick(tick()).await.unwrap();
    // Under way at the same time: whatever is taken of it has an offset up to the one answered.
    let (late, up_to, other) = {
        let body = payments(&["b"]);
        let intake = &running.intake;
        let late = intake.submit(&one, read(&one, &body));
        let other = intake.submit(&two, read(&two, &body));
        tokio::join!(late, intake.forget(Tenant(1)), other)
    };
    let (up_to, other) = (up_to.unwrap(), other.unwrap());
    assert_eq!(other.accepted, 1);
    assert!(late.is_ok() || matches!(late, Err(IntakeError::Deleted)), "{late:?}");

    assert_eq!(running.intake.sequence(Tenant(1)), 0);
    let refused = running.submit(&one, &payments(&["c"])).await.unwrap_err();
    assert!(matches!(refused, IntakeError::Deleted), "{refused}");
    running.intake.tick(tick()).await.unwrap();
    assert_eq!(running.counts(&two, &payments(&["c"])).await, (1, 0, 0, 2));
    // Asked again, it is the end of the log by then.
    let again = running.intake.forget(Tenant(1)).await.unwrap();
    assert!(again > up_to, "{again}");
    let inputs = running.close().await;
    assert_eq!(inputs.last().map(|input| input.offset), Some(again));
    for input in inputs.iter().filter(|input| input.offset > up_to) {
        assert!(input.ticks.is_empty(), "{:?}", input.ticks);
        assert!(input.events.iter().all(|batch| batch.tenants.values().iter().all(|t| *t == 2)));
    }
    assert_eq!(
        ids(&inputs, 1, "invoicing.payment_received").first().map(String::as_str),
        Some("a")
    );
}
