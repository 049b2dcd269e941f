//! People: joining, moving, raises, hours, wages, and their recurring tasks.

use super::calendar::{DAY, Day};
use super::line::Id;
use super::story::{Cadence, Employee, Next, Story, Task, count, named};

const TITLES: [&str; 5] = ["Associate", "Specialist", "Lead", "Manager", "Technician"];

impl Story {
    pub(super) fn hire(&mut self) {
        let number = count(&mut self.counters.employee);
        let hour_cents = self.profile.hour_cents * self.random.between(65, 150) / 100;
        let profile = self.profile;
        let department = self.random.pick(profile.departments);
        let title = self.random.pick(&TITLES);
        let part_time = self.random.chance(150);
        let today = self.today();
        self.employees.push(Employee { number, hour_cents });
        let id = named(profile.people, "E", number);
        self.line("hr.employee_onboarded", &id)
            .text("employee_id", &id)
            .text("department", &department)
            .text("title", &title)
            .cents("hourly_cost", hour_cents)
            .text("weekly_hours", if part_time { &"24" } else { &"40" })
            .date("start_date", today)
            .text("currency", &profile.currency)
            .end();
    }

    pub(super) fn change_people(&mut self) {
        let index = self.random.below(self.employees.len() as u64) as usize;
        let id = named(self.profile.people, "E", self.some_number(index));
        let today = self.today();
        match self.random.below(10) {
            0..2 if self.employees.len() > 2 => {
                self.employees.remove(index);
                self.line("hr.employee_left", &id)
                    .text("employee_id", &id)
                    .date("end_date", today.plus(14))
                    .end();
                let days = self.random.between(10, 60);
                self.plan_days(days, Next::Hire);
            }
            0..4 => {
                let department = self.random.pick(self.profile.departments);
                self.line("hr.employee_moved", &id)
                    .text("employee_id", &id)
                    .text("department", &department)
                    .date("effective_date", today)
                    .end();
            }
            4..9 => {
                let rise = self.random.between(101, 112);
                let mut cents = self.profile.hour_cents;
                if let Some(employee) = self.employees.get_mut(index) {
                    employee.hour_cents = employee.hour_cents * rise / 100;
                    cents = employee.hour_cents;
                }
                let from = today.plus(self.random.between(-20, 20));
                self.line("hr.employee_rate_changed", &id)
                    .text("employee_id", &id)
                    .cents("hourly_cost", cents)
                    .date("effective_date", from)
                    .end();
            }
            _ => self.hire(),
        }
    }

    fn some_number(&self, index: usize) -> u64 {
        self.employees.get(index).map_or(1, |e| e.number)
    }

    pub(super) fn log_time(&mut self) {
        let entry = count(&mut self.counters.entry);
        let employee = self.some_employee().number;
        let project = self.random.chance(self.profile.on_projects).then(|| self.some_project());
        let hundredths = self.random.between(4, 32) * 25;
        let day = self.today().plus(-i64::from(self.random.chance(200)));
        let billable = project.is_some() && self.random.chance(780);
        let (people, activities) = (self.profile.people, self.profile.activities);
        // Whoever has none draws nothing, so that its story stays what it was.
        let activity = (!activities.is_empty()).then(|| self.random.pick(activities));
        let id = Id("T", entry);
        let line = self
            .line("hr.time_logged", &id)
            .text("entry_id", &id)
            .text("employee_id", &named(people, "E", employee));
        let line = match project {
            Some(project) => line.text("project_id", &Id("P", project)),
            None => line,
        };
        let line = match activity {
            Some(activity) => line.text("activity", &activity),
            None => line,
        };
        line.date("work_date", day).cents("hours", hundredths).flag("billable", billable).end();
        if self.random.chance(20) {
            let hundredths = (hundredths + self.random.between(-8, 8) * 25).max(0);
            let days = self.random.between(1, 12);
            self.plan_days(days, Next::Correction { entry, hundredths });
        }
    }

    pub(super) fn correct_time(&mut self, entry: u64, hundredths: i64) {
        let id = Id("T", entry);
        self.line("hr.time_corrected", &id).text("entry_id", &id).cents("hours", hundredths).end();
    }

    pub(super) fn pay_wages(&mut self) {
        let id = Id("PR", count(&mut self.counters.payroll));
        // 160 hours a month.
        let cents = self.employees.iter().map(|e| e.hour_cents * 160).sum();
        let (currency, today) = (self.profile.currency, self.today());
        self.line("hr.payroll_paid", &id)
            .text("payroll_id", &id)
            .cents("amount", cents)
            .text("currency", &currency)
            .date("paid_on", today)
            .end();
        self.plan(28 * DAY, Next::Payroll);
    }

    /// A duty for as long as the firm lives.
    pub(super) fn assign_lasting_task(&mut self) {
        self.assign(None);
    }

    /// A duty for some weeks.
    pub(super) fn assign_task(&mut self) {
        let until = self.today().plus(self.random.between(20, 90));
        self.assign(Some(until));
    }

    fn assign(&mut self, until: Option<Day>) {
        let task = self.tasks.len();
        let user = self.some_employee().number;
        let cadence = self.random.pick(&[0, 1, 1, 2]);
        let (cadence, name) = match cadence {
            0 => (Cadence::Daily, "daily"),
            1 => (Cadence::Weekdays, "weekdays"),
            _ => (Cadence::Weekly, "weekly"),
        };
        let diligence = self.random.pick(&[995, 985, 960, 900, 700]);
        self.tasks.push(Task { user, cadence, diligence, until });
        let (profile, today) = (self.profile, self.today());
        let title = self.random.pick(profile.tasks);
        let id = Id("TASK", task as u64 + 1);
        let line = self
            .line("tasks.task_assigned", &id)
            .text("task_id", &id)
            .text("user_id", &named(profile.people, "E", user))
            .text("title", &title)
            .text("cadence", &name)
            .date("start_date", today);
        let line = match until {
            Some(until) => line.date("end_date", until),
            None => line,
        };
        line.end();
        self.plan_days(0, Next::Period { task });
    }

    /// Completes a task, and plans the next period in which it gets done.
    pub(super) fn complete_task(&mut self, index: usize) {
        let Some(task) = self.tasks.get(index).copied() else {
            return self.log_call();
        };
        let completion = count(&mut self.counters.completion);
        let (people, today) = (self.profile.people, self.today());
        let id = Id("D", completion);
        self.line("tasks.task_completed", &id)
            .text("completion_id", &id)
            .text("task_id", &Id("TASK", index as u64 + 1))
            .text("user_id", &named(people, "E", task.user))
            .date("completed_on", today)
            .end();
        let mut days = 0;
        loop {
            days += match (task.cadence, today.plus(days).weekday()) {
                (Cadence::Weekly, _) => 7,
                (Cadence::Weekdays, 4) => 3,
                (Cadence::Weekdays, 5) => 2,
                _ => 1,
            };
            if self.random.chance(task.diligence) {
                break;
            }
        }
        if task.until.is_none_or(|until| today.plus(days) <= until) {
            self.plan_days(days, Next::Period { task: index });
        }
        if self.random.chance(8) {
            self.plan_days(1, Next::Revocation { completion });
        }
    }

    pub(super) fn revoke_completion(&mut self, completion: u64) {
        let id = Id("D", completion);
        self.line("tasks.completion_revoked", &id).text("completion_id", &id).end();
    }
}
