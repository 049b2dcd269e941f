//! What a tenant had at an earlier position: its events up to there, and all its views computed from
//! them anew, with the date of that day as today.
//!
//! The views are computed by the engine that keeps them, on a partition of their own that is thrown
//! away afterwards: what it gives does not depend on how events came or when.

use std::sync::Arc;
use std::thread;

use chrono::{Months, NaiveDate};
use futures::TryStreamExt;
use projections::{
    EventBatch, EventType, Input, OwnView, Partition, Position, Tenant, TenantSnapshot, Tick, View,
    ViewDefinition,
};
use tenancy::PositionMark;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Failure;
use super::definition::Wrong;
use crate::exports::Sources;

/// Views are compiled by recursion.
const STACK_BYTES: usize = 32 << 20;

/// A moment that a report is made at, in the words of who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AsOf {
    /// The position, as it was stated.
    pub(crate) position: Option<String>,
    /// The day.
    pub(crate) day: Option<NaiveDate>,
}

impl AsOf {
    /// Reads a position, a day, a month, which means its last day, or `<position>@<day>`.
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let wrong = || {
            let shown: String = text.chars().take(40).collect();
            let message = format!(
                "'{shown}' is no moment: give a day like 2026-10-31, a month like 2026-10, which is \
                 its last day, or the position of an earlier run, with @ and a day behind it if \
                 another day is to be today"
            );
            Wrong::new("as_of", message)
        };
        let day_of = |text: &str| -> Option<NaiveDate> {
            if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
                return Some(day);
            }
            let first = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok()?;
            first.checked_add_months(Months::new(1))?.pred_opt()
        };
        let (position, day) = match text.split_once('@') {
            Some((position, day)) => (Some(position), Some(day)),
            None if text.starts_with('p') => (Some(text), None),
            None => (None, Some(text)),
        };
        let day = day.map(|day| day_of(day).ok_or_else(wrong)).transpose()?;
        let is_hex = |p: &str| {
            p.strip_prefix('p').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        if position.is_some_and(|position| !is_hex(position)) {
            return Err(wrong());
        }
        Ok(Self { position: position.map(str::to_owned), day })
    }
}

/// Where a report is made: the position, what was accepted by then, and the date that is today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) mark: PositionMark,
    pub(super) today: NaiveDate,
}

/// The position that is meant; none: it is now's.
pub(super) async fn find(
    sources: &Sources,
    now: &TenantSnapshot,
    as_of: &AsOf,
) -> Result<Option<Moment>, Failure> {
    let tenant = now.tenant();
    let current = PositionMark {
        sequence: now.position().sequence,
        offset: now.offset(),
        day: now.today(),
        closes: false,
    };
    let mark = match (&as_of.position, as_of.day) {
        (Some(text), _) => {
            let position = Position::parse(tenant, text)
                .map_err(|error| Failure::ForGood(format!("as_of: {error}")))?;
            let noted = sources.store.position_mark(tenant.0, position.sequence).await?;
            let here = (position == now.position()).then_some(current);
            noted.or(here).ok_or_else(|| {
                Failure::ForGood(format!(
                    "as_of: nothing was noted at the position {text}; use the position of an \
                     earlier run, or a day"
                ))
            })?
        }
        (None, Some(day)) if now.today().is_some_and(|today| day > today) => {
            return Err(Failure::ForGood(format!("as_of: {day} has not come yet")));
        }
        (None, Some(day)) => {
            let closed = sources.store.closing_mark(tenant.0, day).await?;
            // Only a day that is over has an end: since one was noted, the clock may have been put back.
            closed.filter(|mark| mark.day < now.today()).unwrap_or(current)
        }
        (None, None) => current,
    };
    let today = as_of.day.or(mark.day).or(now.today());
    let today =
        today.ok_or_else(|| Failure::ForGood("as_of: the tenant has no date yet".into()))?;
    let is_now = mark.sequence == current.sequence && Some(today) == now.today();
    Ok((!is_now).then_some(Moment { mark, today }))
}

/// The tenant's snapshot as it was at a moment; its position is the moment's, not its own. `permit`
/// is kept for as long as it is computed.
pub(super) async fn snapshot(
    sources: &Sources,
    tenant: Tenant,
    moment: Moment,
    limit: usize,
    permit: OwnedSemaphorePermit,
) -> Result<TenantSnapshot, Failure> {
    let (sources, runtime) = (sources.clone(), Handle::current());
    on_a_thread(permit, move |is_called_off| {
        Past { sources: &sources, tenant, moment, runtime: &runtime, is_called_off }.compute(limit)
    })
    .await
}

/// Computes something on a thread of its own, which has the permit until it ends: also when nobody
/// waits for it any more, which it can ask.
async fn on_a_thread<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    compute: impl FnOnce(&dyn Fn() -> bool) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (done, made) = oneshot::channel();
    thread::Builder::new()
        .name("as-of".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let computed = compute(&|| done.is_closed());
            drop(permit);
            // Nobody waits any more, if the run was called off.
            let _ = done.send(computed);
        })
        .map_err(|error| Failure::Again(format!("a thread could not be started: {error}")))?;
    made.await.map_err(|_| Failure::Again("the earlier position was not computed".into()))?
}

struct Past<'a> {
    sources: &'a Sources,
    tenant: Tenant,
    moment: Moment,
    runtime: &'a Handle,
    /// Whether nobody waits for it any more.
    is_called_off: &'a dyn Fn() -> bool,
}

impl Past<'_> {
    fn compute(&self, limit: usize) -> Result<TenantSnapshot, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::ForGood(format!("as_of: {error}"));
        let types = self.sources.types.registry().clone();
        let views = ViewDefinition::builtin();
        let mut partition =
            Partition::new(&types.shared(), views).map_err(|error| failed(&error))?;
        partition.limit_tenants(limit);
        let (tenant, offset) = (self.tenant, self.moment.mark.offset);
        // First, so that what the date changes is computed once.
        let ticks = vec![Tick { tenant, today: self.moment.today }];
        partition.apply(Input { events: Vec::new(), ticks, offset });
        for event_type in types.shared().iter() {
            self.read(event_type, |rows| {
                partition.apply(Input { events: vec![rows], ticks: Vec::new(), offset });
                Ok(())
            })?;
        }
        for own in self.sources.own_views.all(tenant) {
            if (self.is_called_off)() {
                return Err(Failure::Again("the run was called off".into()));
            }
            if let Err(error) = self.add(&mut partition, &own.definition) {
                tracing::info!(?error, tenant = tenant.0, "an own view has no earlier position");
            }
        }
        Ok(TenantSnapshot::clone(&partition.readers().snapshot(tenant)))
    }

    /// Computes an own view too; what it reads is there.
    fn add(&self, partition: &mut Partition, view: &ViewDefinition) -> Result<(), Failure> {
        let failed =
            |error: &dyn std::fmt::Display| Failure::ForGood(format!("{}: {error}", view.name));
        let types = self.sources.types.registry().visible(self.tenant);
        let snapshot = partition.readers().snapshot(self.tenant);
        let readable: Vec<Arc<View>> = snapshot.views().iter().map(|v| v.view().clone()).collect();
        let own = OwnView::compile(&types, &readable, view).map_err(|error| failed(&error))?;
        let mut fill = partition.begin(self.tenant, vec![own]).map_err(|e| failed(&e))?;
        let wanted: Vec<Arc<EventType>> =
            fill.event_types().filter_map(|name| types.get(name).cloned()).collect();
        fill.start().map_err(|error| failed(&error))?;
        for event_type in &wanted {
            self.read(event_type, |rows| fill.feed(rows).map_err(|error| failed(&error)))?;
        }
        fill.catch_up().map_err(|error| failed(&error))?;
        partition.attach(fill).map(drop).map_err(|error| failed(&error))
    }

    /// Reads the tenant's events of a type that were accepted by then.
    fn read(
        &self,
        event_type: &Arc<EventType>,
        mut take: impl FnMut(EventBatch) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::Again(format!("history: {error}"));
        let moved = || Failure::Again("the tenant is served by another node now".into());
        let accepted = self.sources.history.of(self.tenant).ok_or_else(moved)?;
        let batches = accepted.events(self.tenant, event_type, self.moment.mark.offset);
        let mut batches = std::pin::pin!(batches);
        while let Some(events) =
            self.runtime.block_on(batches.try_next()).map_err(|error| failed(&error))?
        {
            if (self.is_called_off)() {
                return Err(Failure::Again("the run was called off".into()));
            }
            take(events)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;

    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn moments_are_read() {
        let day = |text: &str| Some(text.parse::<NaiveDate>().unwrap());
        let position = || Some("p0123456789abcdef0123".to_owned());
        for (text, expected) in [
            ("2026-10-31", AsOf { position: None, day: day("2026-10-31") }),
            ("2028-02", AsOf { position: None, day: day("2028-02-29") }),
            ("p0123456789abcdef0123", AsOf { position: position(), day: None }),
            (
                "p0123456789abcdef0123@2026-10",
                AsOf { position: position(), day: day("2026-10-31") },
            ),
        ] {
            assert_eq!(AsOf::parse(text).unwrap(), expected, "{text}");
        }
        for text in ["", "yesterday", "2026-13", "2026-02-30", "p0@", "@2026-10", "p?", "x@2026-10"]
        {
            assert!(AsOf::parse(text).is_err(), "{text}");
        }
    }

    /// It learns that it was called off, and the next one waits until it has ended.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_called_off_keeps_its_place_until_its_work_ends() {
        let places = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&places).acquire_owned().await.unwrap();
        let (begun, has_begun) = oneshot::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let (ended, has_ended) = oneshot::channel();
        let computed = tokio::spawn(on_a_thread(permit, move |is_called_off| {
            begun.send(is_called_off()).unwrap();
            may_go_on.recv().unwrap();
            ended.send(is_called_off()).unwrap();
            Ok(())
        }));
        assert!(!has_begun.await.unwrap());
        computed.abort();
        assert!(computed.await.unwrap_err().is_cancelled());
        assert_eq!(places.available_permits(), 0, "it is still at work");
        go_on.send(()).unwrap();
        assert!(has_ended.await.unwrap());
        drop(places.acquire().await.unwrap());
    }
}
