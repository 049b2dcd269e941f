//! Projects with their budgets, expenses and checks; and the upkeep of buildings.

use super::calendar::DAY;
use super::line::Id;
use super::story::{Next, Story, count, named};

const RULES: [&str; 4] = ["two-signatures", "retention-period", "safety-briefing", "vat-number"];
const CATEGORIES: [&str; 5] = ["travel", "software", "subcontractor", "equipment", "meals"];
const REPAIRS: [&str; 5] = ["plumbing", "heating", "electrical", "lift", "windows"];
const PRIORITIES: [&str; 4] = ["low", "normal", "normal", "urgent"];

impl Story {
    pub(super) fn create_project(&mut self) {
        let project = count(&mut self.counters.project);
        self.projects.push(project);
        let (profile, today) = (self.profile, self.today());
        let base = profile.projects.len().max(1) as u64;
        let name = profile.projects.get(((project - 1) % base) as usize).copied();
        let name = name.unwrap_or("Project");
        let series = (project - 1) / base;
        let customer = self.random.favourite(self.customers) as u64 + 1;
        let manager = self.some_employee().number;
        let due = today.plus(self.random.between(60, 300));
        let id = Id("P", project);
        let line = self.line("projects.project_created", &id).text("project_id", &id);
        let line = match series {
            0 => line.text("name", &name),
            _ => line.text("name", &format_args!("{name}, phase {}", series + 1)),
        };
        line.text("customer_id", &named(profile.customers, "C", customer))
            .text("manager", &named(profile.people, "E", manager))
            .date("start_date", today)
            .date("due_date", due)
            .text("currency", &profile.currency)
            .end();
        let cents = self.random.amount(self.profile.invoice_cents * 25) / 100_000 * 100_000;
        self.plan(3600, Next::Budget { project, cents: cents + 100_000 });
    }

    pub(super) fn set_budget(&mut self, project: u64, cents: i64) {
        let id = Id("P", project);
        let (currency, today) = (self.profile.currency, self.today());
        self.line("governance.budget_set", &id)
            .text("project_id", &id)
            .cents("amount", cents)
            .text("currency", &currency)
            .date("effective_date", today)
            .end();
    }

    pub(super) fn change_budget(&mut self) {
        let project = self.some_project();
        let cents = self.random.amount(self.profile.invoice_cents * 30) / 100_000 * 100_000;
        self.set_budget(project, cents + 100_000);
    }

    pub(super) fn change_status(&mut self) {
        let index = self.random.below(self.projects.len() as u64) as usize;
        let Some(project) = self.projects.get(index).copied() else {
            return self.create_project();
        };
        if self.random.chance(400) {
            self.set_status(project, "on_hold");
            let days = self.random.between(5, 30);
            self.plan_days(days, Next::Resume { project });
        } else {
            self.projects.remove(index);
            self.set_status(project, "completed");
            self.plan(7200, Next::Project);
        }
    }

    pub(super) fn set_status(&mut self, project: u64, status: &'static str) {
        let id = Id("P", project);
        self.line("projects.project_status_changed", &id)
            .text("project_id", &id)
            .text("status", &status)
            .end();
    }

    pub(super) fn reach_milestone(&mut self) {
        let number = count(&mut self.counters.milestone);
        let project = self.some_project();
        let name = self.random.pick(&["Kick-off", "Design", "Delivery", "Acceptance"]);
        let today = self.today();
        let id = Id("MS", number);
        self.line("projects.milestone_reached", &id)
            .text("milestone_id", &id)
            .text("project_id", &Id("P", project))
            .text("name", &name)
            .date("reached_on", today)
            .end();
    }

    pub(super) fn record_expense(&mut self) {
        let id = Id("X", count(&mut self.counters.expense));
        let project = self.some_project();
        let cents = self.random.amount(28_000);
        let category = self.random.pick(&CATEGORIES);
        let (currency, today) = (self.profile.currency, self.today());
        self.line("governance.expense_recorded", &id)
            .text("expense_id", &id)
            .text("project_id", &Id("P", project))
            .text("category", &category)
            .cents("amount", cents)
            .text("currency", &currency)
            .date("spent_on", today)
            .end();
    }

    pub(super) fn check_compliance(&mut self) {
        let id = Id("CHK", count(&mut self.counters.check));
        let project = self.some_project();
        let rule = self.random.pick(&RULES);
        let passed = self.random.chance(930);
        self.line("governance.compliance_checked", &id)
            .text("check_id", &id)
            .text("project_id", &Id("P", project))
            .text("rule", &rule)
            .flag("passed", passed)
            .end();
    }

    pub(super) fn request_maintenance(&mut self) {
        let request = count(&mut self.counters.request);
        let property = self.random.below(self.properties) + 1;
        let unit = self.random.between(1, 40);
        let category = self.random.pick(&REPAIRS);
        let priority = self.random.pick(&PRIORITIES);
        let now = self.moment();
        let id = Id("REQ", request);
        self.line("property.maintenance_requested", &id)
            .text("request_id", &id)
            .text("property_id", &Id("B", property))
            .text("unit", &unit)
            .text("category", &category)
            .text("priority", &priority)
            .time("requested_at", now)
            .end();
        if self.random.chance(960) {
            let days = if priority == "urgent" { 3 } else { 30 };
            let seconds = self.random.between(3600, days * DAY);
            self.plan(seconds, Next::Repair { request });
        }
    }

    pub(super) fn resolve_maintenance(&mut self, request: u64) {
        let id = Id("REQ", request);
        let now = self.moment();
        self.line("property.maintenance_resolved", &id)
            .text("request_id", &id)
            .time("resolved_at", now)
            .end();
    }
}
