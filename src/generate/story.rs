//! The story of one firm: what happens there, in order of time, for as long as it is asked.
//!
//! Two kinds of facts: spontaneous ones, drawn by the profile's weights as working time passes, and
//! their consequences (an invoice's payment, a ticket's repair), planned when their cause happens.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt::Display;

use super::calendar::{DAY, Day, moment, working_ms};
use super::line::{Envelope, Id, Line};
use super::profile::Profile;
use super::random::Random;

/// Days that a story of its budgeted length takes.
const SPAN_DAYS: u64 = 730;
/// Facts in 10 that are spontaneous; the others follow from them.
const SPONTANEOUS: u64 = 6;

/// What a consequence does when its time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Next {
    /// Of the founding: these come first, in this order.
    Founding(Founding),
    /// A deal moves on, from this stage.
    Stage { deal: u64, stage: u8, cents: i64 },
    /// Money comes in.
    Payment { invoice: u64, cents: i64 },
    /// A part of an invoice is credited.
    Credit { invoice: u64, cents: i64 },
    /// An invoice is withdrawn.
    Void { invoice: u64 },
    /// A bill is paid.
    Settle { bill: u64, cents: i64 },
    /// Ordered goods arrive.
    Receipt { product: usize, warehouse: usize, quantity: i64 },
    /// Logged hours are corrected.
    Correction { entry: u64, hundredths: i64 },
    /// A recurring task's period.
    Period { task: usize },
    /// A completion is taken back.
    Revocation { completion: u64 },
    /// Wages are paid.
    Payroll,
    /// A new project begins.
    Project,
    /// A project gets its budget.
    Budget { project: u64, cents: i64 },
    /// A paused project goes on.
    Resume { project: u64 },
    /// Somebody new takes a place.
    Hire,
    /// Something is repaired.
    Repair { request: u64 },
}

/// What a firm begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Founding {
    /// A first employee.
    Employee,
    /// A first product.
    Product,
    /// A first project.
    Project,
    /// A first task.
    Task,
}

/// A person at work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Employee {
    pub(super) number: u64,
    pub(super) hour_cents: i64,
}

/// A product on the shelves.
#[derive(Clone, Debug)]
pub(super) struct Product {
    pub(super) cost_cents: i64,
    pub(super) reorder: i64,
    /// On hand and on order, by warehouse.
    pub(super) stock: Vec<(i64, bool)>,
}

/// A recurring duty of one person.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) user: u64,
    pub(super) cadence: Cadence,
    /// Periods of 1000 in which it gets done.
    pub(super) diligence: u64,
    /// Its last day, if it has one.
    pub(super) until: Option<Day>,
}

/// How often a task is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cadence {
    Daily,
    Weekdays,
    Weekly,
}

/// Next numbers of the things that have ids.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) event: u64,
    pub(super) invoice: u64,
    pub(super) payment: u64,
    pub(super) credit: u64,
    pub(super) bill: u64,
    pub(super) deal: u64,
    pub(super) call: u64,
    pub(super) employee: u64,
    pub(super) entry: u64,
    pub(super) payroll: u64,
    pub(super) movement: u64,
    pub(super) project: u64,
    pub(super) milestone: u64,
    pub(super) completion: u64,
    pub(super) expense: u64,
    pub(super) check: u64,
    pub(super) request: u64,
}

/// Tells one spontaneous fact.
type Act = fn(&mut Story);

/// The number after `counter`.
pub(super) fn count(counter: &mut u64) -> u64 {
    *counter += 1;
    *counter
}

/// The story of one firm.
#[derive(Debug)]
pub(crate) struct Story {
    pub(super) profile: &'static Profile,
    pub(super) random: Random,
    pub(super) counters: Counters,
    pub(super) employees: Vec<Employee>,
    pub(super) products: Vec<Product>,
    /// Running projects.
    pub(super) projects: Vec<u64>,
    pub(super) tasks: Vec<Task>,
    pub(super) customers: usize,
    pub(super) properties: u64,
    tenant: String,
    /// What the firm's clocks are ahead of UTC, in seconds.
    offset: i64,
    /// When the current fact happens by the firm's clocks, in seconds since 1970.
    now: i64,
    monday: Day,
    worked: u64,
    /// Mean working milliseconds between spontaneous facts.
    pace: u64,
    founding: VecDeque<Founding>,
    planned: BinaryHeap<Reverse<(i64, u64, Next)>>,
    plans: u64,
    out: Vec<u8>,
    /// Whether the current fact is of a module that the firm uses.
    is_told: bool,
}

impl Story {
    /// A firm that begins in the week of `start` and has about `events` facts in two years. Its
    /// size follows from that.
    pub(crate) fn new(
        tenant: impl Into<String>,
        profile: &'static Profile,
        random: Random,
        start: Day,
        events: u64,
    ) -> Self {
        let events = events.max(10);
        let monday = start.monday();
        let scaled = |one_per: u64, most: u64| (events / one_per).clamp(2, most);
        let mut founding = VecDeque::new();
        for (what, how_many) in [
            (Founding::Employee, scaled(1_000, 2_000)),
            (Founding::Product, if profile.keeps_stock() { scaled(600, 3_000) } else { 0 }),
            (Founding::Project, scaled(1_500, 500)),
            (Founding::Task, scaled(4_000, 1_000)),
        ] {
            founding.extend(std::iter::repeat_n(what, how_many as usize));
        }
        let mut story = Self {
            profile,
            random,
            counters: Counters::default(),
            employees: Vec::new(),
            products: Vec::new(),
            projects: Vec::new(),
            tasks: Vec::new(),
            customers: scaled(150, 5_000) as usize,
            properties: scaled(2_000, 300),
            tenant: tenant.into(),
            offset: 0,
            now: moment(monday, 0),
            monday,
            worked: 0,
            pace: (working_ms(SPAN_DAYS) * 10 / SPONTANEOUS / events).max(1),
            founding,
            planned: BinaryHeap::new(),
            plans: 0,
            out: Vec::with_capacity(512),
            is_told: false,
        };
        story.plan(28 * DAY, Next::Payroll);
        story
    }

    /// The same firm where clocks are `seconds` ahead of UTC.
    pub(crate) fn ahead_of_utc(self, seconds: i64) -> Self {
        Self { offset: seconds, ..self }
    }

    /// When the next fact happens, in seconds since 1970.
    pub(crate) fn next_time(&self) -> i64 {
        let spontaneous = moment(self.monday, self.worked);
        let next = match self.planned.peek() {
            _ if !self.founding.is_empty() => self.now,
            Some(Reverse((time, _, _))) => spontaneous.min(*time),
            None => spontaneous,
        };
        next.max(self.now) - self.offset
    }

    /// The next fact of a module that the firm uses, as a line of JSON.
    pub(crate) fn next_line(&mut self) -> &[u8] {
        self.go_on();
        while !self.is_told {
            self.go_on();
        }
        &self.out
    }

    /// The next fact.
    fn go_on(&mut self) {
        if let Some(what) = self.founding.pop_front() {
            return self.tell(Next::Founding(what));
        }
        let spontaneous = moment(self.monday, self.worked);
        if let Some(Reverse((time, _, next))) = self.planned.peek().copied()
            && time <= spontaneous
        {
            self.planned.pop();
            self.now = time.max(self.now);
            return self.tell(next);
        }
        self.now = spontaneous.max(self.now);
        self.worked += 1 + self.random.below(2 * self.pace);
        self.out.clear();
        self.happen();
    }

    /// A fact of the moment `now`: something spontaneous, or what was planned for days to come, so
    /// that a firm watched live settles its affairs within minutes.
    pub(crate) fn live_line(&mut self, now: i64) -> &[u8] {
        self.now = (now + self.offset).max(self.now);
        self.go_on_live();
        while !self.is_told {
            self.go_on_live();
        }
        &self.out
    }

    fn go_on_live(&mut self) {
        if self.random.chance(500)
            && let Some(Reverse((_, _, next))) = self.planned.pop()
        {
            return self.tell(next);
        }
        self.out.clear();
        self.happen();
    }

    /// The day of the current fact.
    pub(super) fn today(&self) -> Day {
        Day(self.now.div_euclid(DAY) as i32)
    }

    /// The moment of the current fact, in seconds since 1970.
    pub(super) fn moment(&self) -> i64 {
        self.now - self.offset
    }

    /// Plans a consequence, `seconds` from now.
    pub(super) fn plan(&mut self, seconds: i64, next: Next) {
        self.plans += 1;
        self.planned.push(Reverse((self.now + seconds.max(1), self.plans, next)));
    }

    /// Plans a consequence in `days`, at some time of the working day.
    pub(super) fn plan_days(&mut self, days: i64, next: Next) {
        let within = self.random.between(8 * 3600, 18 * 3600);
        let at = self.today().plus(days).midnight() + within;
        self.plan(at - self.now, next);
    }

    /// Begins the current fact's line.
    pub(super) fn line(&mut self, kind: &'static str, subject: &dyn Display) -> Line<'_> {
        self.is_told = self.profile.tells(kind);
        let envelope = Envelope {
            tenant: &self.tenant,
            number: count(&mut self.counters.event),
            kind,
            time: self.moment(),
        };
        Line::begin(&mut self.out, &envelope, subject)
    }

    fn tell(&mut self, next: Next) {
        self.out.clear();
        match next {
            Next::Founding(Founding::Employee) | Next::Hire => self.hire(),
            Next::Founding(Founding::Product) => self.add_product(),
            Next::Founding(Founding::Project) | Next::Project => self.create_project(),
            Next::Founding(Founding::Task) => self.assign_lasting_task(),
            Next::Stage { deal, stage, cents } => self.move_deal(deal, stage, cents),
            Next::Payment { invoice, cents } => self.receive_payment(invoice, cents),
            Next::Credit { invoice, cents } => self.issue_credit(invoice, cents),
            Next::Void { invoice } => self.void_invoice(invoice),
            Next::Settle { bill, cents } => self.pay_bill(bill, cents),
            Next::Receipt { product, warehouse, quantity } => {
                self.receive_stock(product, warehouse, quantity);
            }
            Next::Correction { entry, hundredths } => self.correct_time(entry, hundredths),
            Next::Period { task } => self.complete_task(task),
            Next::Revocation { completion } => self.revoke_completion(completion),
            Next::Payroll => self.pay_wages(),
            Next::Budget { project, cents } => self.set_budget(project, cents),
            Next::Resume { project } => self.set_status(project, "active"),
            Next::Repair { request } => self.resolve_maintenance(request),
        }
    }

    /// Something spontaneous, by the profile's weights.
    fn happen(&mut self) {
        let w = self.profile.weights;
        let acts: [(u16, Act); 17] = [
            (w.time, Self::log_time),
            (w.invoice, Self::issue_invoice),
            (w.bill, Self::receive_bill),
            (w.call, Self::log_call),
            (w.opportunity, Self::open_deal),
            (w.issue, Self::issue_stock),
            (w.ship, Self::ship_stock),
            (w.adjust, Self::adjust_stock),
            (w.product, Self::add_product),
            (w.expense, Self::record_expense),
            (w.milestone, Self::reach_milestone),
            (w.status, Self::change_status),
            (w.budget, Self::change_budget),
            (w.compliance, Self::check_compliance),
            (w.maintenance, Self::request_maintenance),
            (w.people, Self::change_people),
            (w.task, Self::assign_task),
        ];
        let total: u64 = acts.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut left = self.random.below(total);
        for (weight, act) in acts {
            match left.checked_sub(u64::from(weight)) {
                Some(rest) => left = rest,
                None => return act(self),
            }
        }
        // Only with weights that are all zero.
        self.log_call();
    }

    /// A running project.
    pub(super) fn some_project(&mut self) -> u64 {
        let index = self.random.favourite(self.projects.len());
        self.projects.get(index).copied().unwrap_or(1)
    }

    /// Somebody at work.
    pub(super) fn some_employee(&mut self) -> Employee {
        let index = self.random.below(self.employees.len() as u64) as usize;
        let nobody = Employee { number: 1, hour_cents: self.profile.hour_cents };
        self.employees.get(index).copied().unwrap_or(nobody)
    }
}

/// The `number`th name of a list, or an id where there are no names.
pub(super) fn named(
    names: &'static [&'static str],
    prefix: &'static str,
    number: u64,
) -> Box<dyn Display> {
    let index = number.saturating_sub(1) as usize;
    match names.get(index) {
        Some(name) => Box::new(*name),
        None => Box::new(Id(prefix, number)),
    }
}
