//! The task that keeps one standing query up to date: by its circuit, or evaluated whenever what it reads
//! is another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use projections::{Tenant, TenantSnapshot};
use tokio::sync::watch;

use super::course::{Course, Said};
use super::table::Table;
use super::{Register, Standing, steps_bound};
use crate::hub::{Channel, Hub};
use crate::meter;
use crate::problem::Problem;
use crate::questions::{Grounds, Questions, Unanswered};

/// After what time one that could not be answered now is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Evaluates one standing query until nobody follows it.
pub(super) struct Evaluator {
    hub: Hub,
    tenant: Tenant,
    /// Changes with the tenant's views, or what of them is shown.
    changes: watch::Receiver<u64>,
    questions: Arc<dyn Questions>,
    register: Arc<Register>,
    standing: Arc<Standing>,
    /// What the newest answer was computed from, and where it was confirmed last.
    grounds: Option<(Box<dyn Grounds>, u64)>,
    course: Course,
}

/// Tells the followers when the task ends, however it does.
struct End {
    register: Arc<Register>,
    standing: Arc<Standing>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.register.end(&self.standing, died());
    }
}

impl Evaluator {
    pub(super) fn new(
        hub: Hub,
        channel: &Channel,
        questions: Arc<dyn Questions>,
        register: Arc<Register>,
        standing: Arc<Standing>,
    ) -> Self {
        let (tenant, changes) = (channel.tenant(), channel.changes());
        let (grounds, course) = (None, Course::default());
        Self { hub, tenant, changes, questions, register, standing, grounds, course }
    }

    pub(super) async fn run(mut self) {
        let (register, standing) = (Arc::clone(&self.register), Arc::clone(&self.standing));
        let _end = End { register, standing };
        loop {
            // What comes from here on is looked at again.
            self.changes.mark_unchanged();
            let (begun, doubts) = (Instant::now(), self.standing.doubts());
            let took = match self.look().await {
                Ok(took) => {
                    self.standing.settle(doubts);
                    took
                }
                Err(Unanswered::Later) => {
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                Err(Unanswered::Refused(problem)) => {
                    self.register.end(&self.standing, problem);
                    return;
                }
            };
            if self.changes.changed().await.is_err() {
                return;
            }
            self.rest(begun, took).await;
        }
    }

    /// Brings the answer up to date, unless the newest one still holds; how long that took.
    async fn look(&mut self) -> Result<Duration, Unanswered> {
        let begun = Instant::now();
        let snapshot = self.hub.shared.snapshot(self.tenant);
        if self.is_kept(&snapshot)? {
            return Ok(begun.elapsed());
        }
        // What a circuit has that is ready now is compared with an answer over the same snapshot.
        if self.is_answered(&snapshot) && !self.course.is_ready(&snapshot) {
            return Ok(Duration::ZERO);
        }
        drop(snapshot);
        self.evaluate().await
    }

    /// Takes over what the circuit has over this snapshot. False if none keeps the answer.
    fn is_kept(&mut self, snapshot: &Arc<TenantSnapshot>) -> Result<bool, Unanswered> {
        if !self.course.is_kept() {
            return Ok(false);
        }
        let position = snapshot.position();
        let Some((_, seen)) = &mut self.grounds else { return Ok(false) };
        // A tenant that was given up has none of its own any more.
        if position.sequence < *seen {
            return Ok(true);
        }
        match self.course.say(snapshot) {
            Said::Nothing => return Ok(false),
            Said::Same => self.standing.confirm(position),
            Said::Changed(changes) => {
                let limits = &self.hub.shared.limits;
                let changes: Vec<(i64, &str)> =
                    changes.iter().map(|(weight, row)| (*weight, row.as_str())).collect();
                let Some(before) = self.standing.table() else { return Ok(false) };
                let Some(table) = before.after(&changes, limits.sql_answer_bytes)? else {
                    tracing::warn!(
                        "a circuit takes rows away that are not there; its SQL is evaluated"
                    );
                    self.course = Course::AskingOnly;
                    return Ok(false);
                };
                let bytes = table.bytes() + steps_bound(&table);
                let space = self.hub.shared.room.space(bytes, limits.sql_bytes);
                self.standing.moved(table, &changes, position, space.ok_or_else(no_room)?);
            }
        }
        *seen = position.sequence;
        Ok(true)
    }

    /// Evaluates the query; how long that took.
    async fn evaluate(&mut self) -> Result<Duration, Unanswered> {
        let register = Arc::clone(&self.register);
        let _turn = register.turn().await;
        let begun = Instant::now();
        // The newest, for time may have passed.
        let snapshot = self.hub.shared.snapshot(self.tenant);
        let position = snapshot.position();
        if self.grounds.as_ref().is_some_and(|(_, seen)| position.sequence < *seen) {
            return Ok(Duration::ZERO);
        }
        meter::sql_evaluation();
        let answer = self.questions.ask(Arc::clone(&snapshot), self.standing.sql()).await?;
        let limits = &self.hub.shared.limits;
        let bound = limits.sql_answer_bytes;
        let table = Table::collect(&answer.schema, answer.rows, bound).await?;
        self.course.compare(&snapshot, &answer.schema, &table, bound);
        let bytes = table.bytes() + steps_bound(&table);
        let space = self.hub.shared.room.space(bytes, limits.sql_bytes).ok_or_else(no_room)?;
        self.standing.answered(table, position, answer.grounds.since(), space);
        self.grounds = Some((answer.grounds, position.sequence));
        if self.course.is_open()
            && let Some(circuit) = self.questions.maintain(self.tenant, self.standing.sql())
        {
            self.course = Course::Waiting(circuit);
        }
        Ok(begun.elapsed())
    }

    /// Whether the newest answer is that over this snapshot.
    fn is_answered(&mut self, snapshot: &Arc<TenantSnapshot>) -> bool {
        let position = snapshot.position();
        let Some((grounds, seen)) = &mut self.grounds else { return false };
        // A tenant that was given up has none of its own any more.
        if position.sequence < *seen {
            return true;
        }
        let is_answered = grounds.hold(snapshot);
        if is_answered {
            *seen = position.sequence;
            self.standing.confirm(position);
        }
        is_answered
    }

    /// Whether the newest answer is about what the names in the SQL mean now. Then its followers are told
    /// of it on, though it may not be the answer any more.
    fn stands(&self) -> bool {
        if !self.standing.is_doubtful() {
            return true;
        }
        let doubts = self.standing.doubts();
        let snapshot = self.hub.shared.snapshot(self.tenant);
        let stands = self.grounds.as_ref().is_some_and(|(grounds, _)| grounds.stand(&snapshot));
        if stands {
            self.standing.settle(doubts);
        }
        stands
    }

    /// Waits until the next answer may be looked for: as the followers want it, and so that one that
    /// takes long has at most half of the time. What a circuit has costs no evaluation, and an answer that
    /// may be about something else is looked at at once.
    async fn rest(&self, begun: Instant, took: Duration) {
        while self.stands() {
            let interval = self.hub.shared.limits.sql_interval();
            let least = if self.course.is_kept() { Duration::ZERO } else { interval };
            let pace = self.standing.pace(least);
            let left = pace.max(took * 2).saturating_sub(begun.elapsed());
            if left.as_millis() == 0 {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => return,
                // Somebody may want it sooner, or it may not be told any more.
                () = self.standing.looks.notified() => {}
            }
        }
    }
}

fn no_room() -> Problem {
    let detail = "The answers of all SQL that is followed take all the room there is for them: try \
                  again in a while, narrow the query, or ask with POST /v1/query.";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new("no-room", status, "There is no room to follow it", detail)
}

fn died() -> Problem {
    let detail =
        "The query is not evaluated any more, by a fault of this service: subscribe again.";
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Problem::new("internal", status, "Something went wrong here", detail)
}
