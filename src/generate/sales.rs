//! Customers and suppliers: deals, calls, invoices, payments, bills.

use super::line::Id;
use super::story::{Next, Story, count, named};

const STAGES: [&str; 4] = ["prospecting", "qualification", "proposal", "negotiation"];
const DISPOSITIONS: [&str; 6] =
    ["connected", "connected", "voicemail", "no_answer", "callback", "busy"];

impl Story {
    fn some_customer(&mut self) -> u64 {
        let names = self.profile.customers.len();
        let bound = if names == 0 { self.customers } else { names };
        self.random.favourite(bound) as u64 + 1
    }

    pub(super) fn open_deal(&mut self) {
        let deal = count(&mut self.counters.deal);
        let cents = self.random.amount(self.profile.deal_cents) / 10_000 * 10_000 + 10_000;
        let account = self.some_customer();
        let owner = self.some_employee().number;
        let close = self.today().plus(self.random.between(20, 120));
        let profile = self.profile;
        let product = self.random.pick(profile.products);
        let id = Id("OPP", deal);
        self.line("crm.opportunity_opened", &id)
            .text("opportunity_id", &id)
            .text("account", &named(profile.customers, "C", account))
            .text("owner", &named(profile.people, "E", owner))
            .text("product", &product)
            .text("stage", &STAGES[0])
            .cents("amount", cents)
            .text("currency", &profile.currency)
            .date("expected_close_date", close)
            .end();
        let days = self.random.between(2, 20);
        self.plan_days(days, Next::Stage { deal, stage: 0, cents });
    }

    pub(super) fn move_deal(&mut self, deal: u64, stage: u8, cents: i64) {
        let id = Id("OPP", deal);
        let last = usize::from(stage) + 1 >= STAGES.len();
        if last || self.random.chance(120) {
            let won = last && self.random.chance(620);
            let today = self.today();
            let line = self
                .line("crm.opportunity_closed", &id)
                .text("opportunity_id", &id)
                .text("outcome", if won { &"won" } else { &"lost" });
            let line = if won { line.cents("amount", cents) } else { line };
            line.date("closed_date", today).end();
            return;
        }
        let stage = stage + 1;
        let revised = self.random.chance(300);
        let factor = if revised { self.random.between(80, 125) } else { 100 };
        // Deals are guessed in whole hundreds.
        let cents = (cents * factor / 1_000_000 * 10_000).max(10_000);
        let line = self
            .line("crm.opportunity_stage_changed", &id)
            .text("opportunity_id", &id)
            .text("stage", &STAGES[usize::from(stage)]);
        let line = if revised { line.cents("amount", cents) } else { line };
        line.end();
        let days = self.random.between(3, 25);
        self.plan_days(days, Next::Stage { deal, stage, cents });
    }

    pub(super) fn log_call(&mut self) {
        let id = Id("CALL", count(&mut self.counters.call));
        let user = self.some_employee().number;
        let disposition = self.random.pick(&DISPOSITIONS);
        let talked = matches!(disposition, "connected" | "callback");
        let seconds =
            if talked { self.random.between(40, 1800) } else { self.random.between(5, 45) };
        let people = self.profile.people;
        self.line("crm.call_logged", &id)
            .text("call_id", &id)
            .text("user_id", &named(people, "E", user))
            .text("disposition", &disposition)
            .whole("duration_s", seconds)
            .end();
    }

    pub(super) fn issue_invoice(&mut self) {
        let invoice = count(&mut self.counters.invoice);
        let cents = self.random.amount(self.profile.invoice_cents);
        let customer = self.some_customer();
        let project = (self.random.chance(self.profile.on_projects)).then(|| self.some_project());
        let (profile, today) = (self.profile, self.today());
        let id = Id("INV", invoice);
        let line = self
            .line("invoicing.invoice_issued", &id)
            .text("invoice_id", &id)
            .text("customer_id", &named(profile.customers, "C", customer));
        let line = match project {
            Some(project) => line.text("project_id", &Id("P", project)),
            None => line,
        };
        line.date("issue_date", today)
            .date("due_date", today.plus(profile.terms))
            .cents("amount", cents)
            .text("currency", &profile.currency)
            .end();
        self.plan_settlement(invoice, customer, cents);
    }

    /// How an invoice ends. Every seventh customer pays late by habit.
    fn plan_settlement(&mut self, invoice: u64, customer: u64, cents: i64) {
        let due = self.profile.terms;
        let habit = if customer % 7 == 3 { 350 } else { 0 };
        let payment = |cents| Next::Payment { invoice, cents };
        match self.random.below(1000) {
            0..15 => {
                let days = self.random.between(1, 10);
                self.plan_days(days, Next::Void { invoice });
            }
            15..45 => {
                let credit = cents * self.random.between(5, 30) / 100;
                let days = self.random.between(3, due);
                self.plan_days(days, Next::Credit { invoice, cents: credit });
                self.plan_days(due + 3, payment(cents - credit));
            }
            45..95 => {
                let part = cents * self.random.between(30, 70) / 100;
                let (early, late) = (self.random.between(-5, 5), self.random.between(15, 60));
                self.plan_days(due + early, payment(part));
                self.plan_days(due + late, payment(cents - part));
            }
            // Never paid.
            95..107 => {}
            roll if roll < 250 + habit => {
                let late = self.random.between(4, 45);
                self.plan_days(due + late, payment(cents));
            }
            roll if roll < 290 + habit => {
                let late = self.random.between(40, 120);
                self.plan_days(due + late, payment(cents));
            }
            _ => {
                let days = self.random.between(due / 2, due + 2);
                self.plan_days(days, payment(cents));
            }
        }
    }

    pub(super) fn receive_payment(&mut self, invoice: u64, cents: i64) {
        let id = Id("PAY", count(&mut self.counters.payment));
        // Now and then somebody mistypes the reference.
        let invoice = if self.random.chance(3) { invoice + 900_000 } else { invoice };
        let (currency, today) = (self.profile.currency, self.today());
        self.line("invoicing.payment_received", &id)
            .text("payment_id", &id)
            .text("invoice_id", &Id("INV", invoice))
            .cents("amount", cents)
            .text("currency", &currency)
            .date("paid_on", today)
            .end();
    }

    pub(super) fn issue_credit(&mut self, invoice: u64, cents: i64) {
        let id = Id("CR", count(&mut self.counters.credit));
        let (currency, today) = (self.profile.currency, self.today());
        self.line("invoicing.credit_issued", &id)
            .text("credit_id", &id)
            .text("invoice_id", &Id("INV", invoice))
            .cents("amount", cents)
            .text("currency", &currency)
            .date("issued_on", today)
            .end();
    }

    pub(super) fn void_invoice(&mut self, invoice: u64) {
        let id = Id("INV", invoice);
        let reason = self.random.pick(&["wrong address", "issued twice", "order cancelled"]);
        self.line("invoicing.invoice_voided", &id)
            .text("invoice_id", &id)
            .text("reason", &reason)
            .end();
    }

    pub(super) fn receive_bill(&mut self) {
        let bill = count(&mut self.counters.bill);
        let cents = self.random.amount(self.profile.bill_cents);
        let names = self.profile.suppliers;
        let bound = if names.is_empty() { self.customers / 4 + 1 } else { names.len() };
        let supplier = self.random.favourite(bound) as u64 + 1;
        let project = self.random.chance(self.profile.on_projects / 2).then(|| self.some_project());
        let (currency, today) = (self.profile.currency, self.today());
        let id = Id("BILL", bill);
        let line = self
            .line("purchasing.bill_received", &id)
            .text("bill_id", &id)
            .text("supplier_id", &named(names, "S", supplier));
        let line = match project {
            Some(project) => line.text("project_id", &Id("P", project)),
            None => line,
        };
        line.date("issue_date", today)
            .date("due_date", today.plus(30))
            .cents("amount", cents)
            .text("currency", &currency)
            .end();
        let days = self.random.between(10, 34);
        self.plan_days(days, Next::Settle { bill, cents });
    }

    pub(super) fn pay_bill(&mut self, bill: u64, cents: i64) {
        let (currency, today) = (self.profile.currency, self.today());
        let id = Id("BP", bill);
        self.line("purchasing.bill_paid", &id)
            .text("payment_id", &id)
            .text("bill_id", &Id("BILL", bill))
            .cents("amount", cents)
            .text("currency", &currency)
            .date("paid_on", today)
            .end();
    }
}
