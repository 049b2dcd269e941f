#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::sync::Arc;

use chrono::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::Role;

fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2024, 5, 6, 7, 8, 9).unwrap()
}

fn after(seconds: i64) -> DateTime<Utc> {
    start() + TimeDelta::seconds(seconds)
}

fn identity(tenant: &str) -> Identity {
    Identity {
        subject: "jo".into(),
        tenant: Some(tenant.parse().unwrap()),
        roles: Role::Executive.into(),
        issued_at: DateTime::UNIX_EPOCH,
        expires_at: after(3600),
    }
}

fn small() -> Tickets {
    Tickets::new(TicketLimits { total: 3, tenant: 2 })
}

#[test]
fn is_good_once() {
    let tickets = Tickets::default();
    let ticket = tickets.issue(7, identity("a"), start()).unwrap();
    assert_eq!(ticket.expires_at, after(30));
    assert_eq!(tickets.redeem(&ticket.ticket, after(1)), Some(identity("a")));
    assert_eq!(tickets.redeem(&ticket.ticket, after(1)), None);
}

#[test]
fn ends_after_thirty_seconds_or_with_the_identity() {
    let tickets = Tickets::default();
    let early = tickets.issue(7, identity("a"), start()).unwrap().ticket;
    let late = tickets.issue(7, identity("a"), start()).unwrap().ticket;
    assert_eq!(tickets.redeem(&late, after(30)), None);
    assert_eq!(tickets.redeem(&early, after(29)), Some(identity("a")));

    let short = Identity { expires_at: after(10), ..identity("a") };
    let ticket = tickets.issue(7, short.clone(), start()).unwrap();
    assert_eq!(ticket.expires_at, after(10));
    assert_eq!(tickets.redeem(&ticket.ticket, after(10)), None);
    assert_eq!(tickets.issue(7, short, after(10)), Err(TicketError::Expired));
}

#[test]
fn voided_tickets_are_good_for_nothing_and_leave_room() {
    let tickets = small();
    let voided = tickets.issue(7, identity("a"), start()).unwrap().ticket;
    tickets.issue(7, identity("a"), start()).unwrap();
    tickets.clear();
    assert_eq!(tickets.redeem(&voided, after(1)), None);
    for _ in 0..2 {
        let ticket = tickets.issue(7, identity("a"), after(1)).unwrap().ticket;
        assert_eq!(tickets.redeem(&ticket, after(1)), Some(identity("a")));
    }
}

#[test]
fn what_is_no_ticket_is_refused() {
    let tickets = Tickets::default();
    let ticket = tickets.issue(7, identity("a"), start()).unwrap().ticket;
    let (shorter, longer) = (&ticket[..44], format!("{ticket}A"));
    let random = ticket.strip_prefix("7-").unwrap();
    let unknown = format!("7-{}", "A".repeat(43));
    for text in ["", "é", "7-", "-7", "====", "7-====", shorter, &longer, random, &unknown] {
        assert_eq!(tickets.redeem(text, start()), None, "{text:.50}");
    }
    for prefix in ["8-", "+7-", "-7-", "07-0-", "4294967303-", " 7-", "-", ""] {
        let text = format!("{prefix}{random}");
        assert_eq!(tickets.redeem(&text, start()), None, "{text:.50}");
    }
    assert_eq!(tickets.redeem(&"A".repeat(1 << 20), start()), None);
    assert!(tickets.redeem(&ticket, start()).is_some());
}

#[test]
fn a_ticket_says_where_it_was_issued() {
    let tickets = Tickets::default();
    for partition in [0, 7, u32::MAX] {
        let ticket = tickets.issue(partition, identity("a"), start()).unwrap().ticket;
        assert_eq!(Tickets::partition(&ticket), Some(partition));
        assert_eq!(tickets.redeem(&ticket, start()), Some(identity("a")));
    }
    for text in ["", "7", "7-", "x-AAAA", "guessed", &format!("-{}", "A".repeat(43))] {
        assert_eq!(Tickets::partition(text), None, "{text}");
    }
}

#[test]
fn one_tenant_cannot_use_up_what_all_share() {
    let tickets = small();
    tickets.issue(7, identity("a"), start()).unwrap();
    tickets.issue(7, identity("a"), start()).unwrap();
    assert_eq!(tickets.issue(7, identity("a"), start()), Err(TicketError::Full));
    tickets.issue(7, identity("b"), start()).unwrap();
    assert_eq!(tickets.issue(7, identity("c"), start()), Err(TicketError::Full));
}

#[test]
fn used_and_expired_tickets_make_room() {
    let tickets = small();
    let first = tickets.issue(7, identity("a"), start()).unwrap().ticket;
    tickets.issue(7, identity("a"), after(1)).unwrap();
    tickets.redeem(&first, after(2)).unwrap();
    tickets.issue(7, identity("a"), after(3)).unwrap();
    assert_eq!(tickets.issue(7, identity("a"), after(30)), Err(TicketError::Full));
    tickets.issue(7, identity("a"), after(31)).unwrap();
}

#[test]
fn shows_no_ticket_in_debug_and_both_fields_in_json() {
    let tickets = Tickets::default();
    let ticket = tickets.issue(7, identity("a"), start()).unwrap();
    assert!(!format!("{ticket:?} {tickets:?}").contains(&ticket.ticket));
    let json = serde_json::to_value(&ticket).unwrap();
    assert_eq!(json["ticket"], ticket.ticket);
    assert_eq!(json["expires_at"], "2024-05-06T07:08:39Z");
}

#[test]
fn racing_callers_redeem_each_ticket_once() {
    let tickets = Arc::new(Tickets::default());
    let issued: Arc<Vec<_>> = Arc::new(
        (0..200).map(|_| tickets.issue(7, identity("a"), start()).unwrap().ticket).collect(),
    );
    assert_eq!(issued.iter().collect::<HashSet<_>>().len(), 200);
    let racers: Vec<_> = (0..4)
        .map(|_| {
            let (tickets, issued) = (Arc::clone(&tickets), Arc::clone(&issued));
            std::thread::spawn(move || {
                issued.iter().filter(|t| tickets.redeem(t, after(1)).is_some()).count()
            })
        })
        .collect();
    let redeemed: usize = racers.into_iter().map(|racer| racer.join().unwrap()).sum();
    assert_eq!(redeemed, 200);
    assert!(tickets.lock().ends.is_empty() && tickets.lock().counts.is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Issue(u8),
    Redeem(prop::sample::Index),
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3u8).prop_map(Step::Issue),
        3 => any::<prop::sample::Index>().prop_map(Step::Redeem),
        1 => (0..20u8).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever is done in whatever order: a ticket is good once and in time, the bounds hold, and
    /// the three maps agree.
    #[test]
    fn agrees_with_a_plain_list(steps in prop::collection::vec(step(), 0..80)) {
        let tickets = small();
        let mut model: Vec<(String, i64, String)> = Vec::new();
        let mut used: Vec<String> = Vec::new();
        let mut clock = 0i64;
        for step in steps {
            match step {
                Step::Wait(seconds) => clock += i64::from(seconds),
                Step::Issue(n) => {
                    let tenant = format!("t{n}");
                    model.retain(|(_, end, _)| *end > clock);
                    let full = model.len() >= 3 || model.iter().filter(|m| m.2 == tenant).count() >= 2;
                    match tickets.issue(7, identity(&tenant), after(clock)) {
                        Ok(ticket) => { prop_assert!(!full); model.push((ticket.ticket, clock + 30, tenant)); }
                        Err(error) => { prop_assert_eq!(error, TicketError::Full); prop_assert!(full); }
                    }
                }
                Step::Redeem(_) if model.is_empty() => {}
                Step::Redeem(which) => {
                    let (text, end, tenant) = model.remove(which.index(model.len()));
                    let expected = (clock < end).then(|| identity(&tenant));
                    prop_assert_eq!(tickets.redeem(&text, after(clock)), expected);
                    used.push(text);
                }
            }
            for text in &used {
                prop_assert_eq!(tickets.redeem(text, after(clock)), None);
            }
            let open = tickets.lock();
            prop_assert_eq!(open.tickets.len(), open.ends.len());
            prop_assert_eq!(open.tickets.len(), open.counts.values().sum::<usize>());
            prop_assert!(open.tickets.len() <= 3);
        }
    }
}
