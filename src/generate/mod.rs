//! Deterministic synthetic events of all modules, for trying, measuring and testing.
//!
//! In: how many tenants, how many events, a seed. Out: lines of CloudEvents JSON, an endless story
//! for each firm merged by time. Invariants: equal plans give equal bytes on every machine; no
//! clock is read. It depends on nothing else of the program, so that benches can include it.

// A folder with `mod.rs`, so that `#[path]` includes it whole.
mod calendar;
mod line;
mod people;
mod profile;
mod projects;
mod random;
mod sales;
mod stock;
mod story;
#[cfg(test)]
mod tests;
mod verticals;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub(crate) use calendar::Day;
pub(crate) use profile::{EVERY_MODULE, GENERAL, Profile, Weights};
pub(crate) use random::Random;
pub(crate) use story::Story;
pub(crate) use verticals::VERTICALS;

/// Monday, 2 January 2023, as days since 1970.
const START: Day = Day(19_359);
/// Lines of 1000 that come late, and that come twice.
const LATE: u64 = 20;
const TWICE: u64 = 10;
/// The most lines that one may come late by, and the most that are held back at once.
const DELAY: u64 = 500;
const HELD: usize = 1_000;

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many firms, `t00001` and on; a few are much larger than the others.
    pub(crate) tenants: u32,
    /// How many lines.
    pub(crate) events: u64,
    /// Another seed, another story.
    pub(crate) seed: u64,
}

/// One line: an event of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Generated {
    /// Which of the plan's tenants, counted from 0.
    pub(crate) tenant: u32,
    /// The event's JSON, with its line feed.
    pub(crate) line: Vec<u8>,
}

/// The lines of a plan, by time, with some late and some twice.
#[derive(Debug)]
pub(crate) struct Events {
    stories: Vec<Story>,
    /// When each story goes on.
    order: BinaryHeap<Reverse<(i64, u32)>>,
    /// Lines held back, by the count of lines at which they come.
    held: BinaryHeap<Reverse<(u64, u32, Vec<u8>)>>,
    random: Random,
    told: u64,
    left: u64,
}

impl Events {
    /// The lines of `plan`, of firms that do a little of everything.
    pub(crate) fn new(plan: Plan) -> Self {
        Self::of(plan, &[&GENERAL])
    }

    /// The lines of `plan`, of firms that are of these kinds in turn.
    pub(crate) fn of(plan: Plan, profiles: &[&'static Profile]) -> Self {
        let seed = Random::new(plan.seed);
        let mut random = seed.fork(u64::MAX);
        let sizes: Vec<u64> = (0..plan.tenants)
            .map(|tenant| match (tenant, random.below(50)) {
                (0, _) | (_, 0) => 60,
                (_, 1..6) => 10,
                _ => 1,
            })
            .collect();
        let total = sizes.iter().sum::<u64>().max(1);
        let stories: Vec<Story> = (0..plan.tenants)
            .zip(sizes)
            .map(|(tenant, size)| {
                let name = format!("t{:05}", u64::from(tenant) + 1);
                let events =
                    (u128::from(plan.events) * u128::from(size) / u128::from(total)) as u64;
                let profile = profiles.get(tenant as usize % profiles.len().max(1)).copied();
                let profile = profile.unwrap_or(&GENERAL);
                Story::new(name, profile, seed.fork(u64::from(tenant)), START, events)
            })
            .collect();
        let order = (0..plan.tenants)
            .zip(&stories)
            .map(|(tenant, story)| Reverse((story.next_time(), tenant)))
            .collect();
        Self {
            stories,
            order,
            held: BinaryHeap::new(),
            random,
            told: 0,
            left: if plan.tenants == 0 { 0 } else { plan.events },
        }
    }

    /// A held line whose turn has come; at the end, any.
    fn release(&mut self) -> Option<Generated> {
        let Reverse((turn, _, _)) = self.held.peek()?;
        if *turn > self.told && (self.held.len() as u64) < self.left {
            return None;
        }
        let Reverse((_, tenant, line)) = self.held.pop()?;
        Some(Generated { tenant, line })
    }

    /// The next line in order of time.
    fn tell(&mut self) -> Option<Generated> {
        let Reverse((_, tenant)) = self.order.pop()?;
        let story = self.stories.get_mut(tenant as usize)?;
        let line = story.next_line().to_vec();
        self.order.push(Reverse((story.next_time(), tenant)));
        Some(Generated { tenant, line })
    }
}

impl Iterator for Events {
    type Item = Generated;

    fn next(&mut self) -> Option<Generated> {
        if self.left == 0 {
            return None;
        }
        let next = loop {
            if let Some(held) = self.release() {
                break held;
            }
            let told = self.tell()?;
            // What is held back must still fit before the end.
            if self.held.len() >= HELD || self.left <= self.held.len() as u64 + 1 {
                break told;
            }
            let turn = self.told + 1 + self.random.below(DELAY);
            match self.random.below(1000) {
                0..LATE => self.held.push(Reverse((turn, told.tenant, told.line))),
                roll if roll < LATE + TWICE => {
                    self.held.push(Reverse((turn, told.tenant, told.line.clone())));
                    break told;
                }
                _ => break told,
            }
        };
        self.told += 1;
        self.left -= 1;
        Some(next)
    }
}
