//! Any course of submissions, dates and restarts against a plain model of it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Submit { tenant: u32, ids: Vec<u8>, day: u8 },
    Tick { tenant: u32, day: u8 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let submit = (0..3_u32, prop::collection::vec(0..30_u8, 0..8), 1..28_u8);
    prop_oneof![
        8 => submit.prop_map(|(tenant, ids, day)| Step::Submit { tenant, ids, day }),
        2 => (0..3_u32, 1..28_u8).prop_map(|(tenant, day)| Step::Tick { tenant, day }),
        1 => Just(Step::Restart),
    ]
}

#[derive(Default)]
struct Firm {
    seen: BTreeSet<u8>,
    newest: u8,
    today: Option<u8>,
    sequence: u64,
}

/// Tenant 0 keeps its date by its events, the others by ticks alone.
fn of(tenant: u32) -> Sender {
    let events_clock = (tenant == 0).then_some(chrono_tz::UTC);
    Sender { events_clock, ..sender(tenant) }
}

async fn follow(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::open(folder.path()).await;
    let mut firms: BTreeMap<u32, Firm> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Submit { tenant, ids, day } => {
                let time = format!("2024-01-{day:02}T12:00:00Z");
                let body: String =
                    ids.iter().map(|id| payment(&id.to_string(), &time) + "\n").collect();
                let firm = firms.entry(tenant).or_default();
                let accepted = ids.iter().filter(|id| firm.seen.insert(**id)).count();
                firm.sequence += accepted as u64;
                if accepted > 0 && day > firm.newest {
                    firm.newest = day;
                    if tenant == 0 && firm.today.is_none_or(|today| day > today) {
                        firm.today = Some(day);
                        firm.sequence += 1;
                    }
                }
                let expected = (accepted, ids.len() - accepted, 0, firm.sequence);
                assert_eq!(running.counts(&of(tenant), &body).await, expected);
            }
            Step::Tick { tenant, day } => {
                let today = date(&format!("2024-01-{day:02}"));
                running.intake.tick(vec![Tick { tenant: Tenant(tenant), today }]).await.unwrap();
                let firm = firms.entry(tenant).or_default();
                firm.sequence += u64::from(firm.today != Some(day));
                firm.today = Some(day);
                assert_eq!(running.intake.sequence(Tenant(tenant)), firm.sequence);
                assert_eq!(running.intake.last_date(Tenant(tenant)), Some(today));
            }
            Step::Restart => {
                let before = running.close().await;
                running = Running::open(folder.path()).await;
                let mut replayed = Vec::new();
                while let Ok(input) = running.inputs.try_recv() {
                    replayed.push(input);
                }
                assert_eq!(contents(&replayed), contents(&before));
                // What was replayed is what the next restart is compared with.
                let (keep, inputs) = mpsc::channel(100_000);
                for input in replayed {
                    keep.send(input).await.unwrap();
                }
                let mut later = std::mem::replace(&mut running.inputs, inputs);
                tokio::spawn(async move {
                    while let Some(input) = later.recv().await {
                        if keep.send(input).await.is_err() {
                            break;
                        }
                    }
                });
            }
        }
    }
    let mut partition = Partition::new(&EventTypes::builtin(), Vec::new()).unwrap();
    let readers = partition.readers();
    for input in running.close().await {
        partition.apply(input);
    }
    for (tenant, firm) in firms {
        let snapshot = readers.snapshot(Tenant(tenant));
        assert_eq!(snapshot.position().sequence, firm.sequence);
        assert_eq!(snapshot.today(), firm.today.map(|day| date(&format!("2024-01-{day:02}"))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_log_is_what_was_accepted(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follow(steps));
    }
}
