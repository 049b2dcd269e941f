//! `project_profitability`.

use std::io::Result;

use dbsp::typed_batch::SpineSnapshot;
use dbsp::utils::{Tup2, Tup3, Tup4, Tup5, Tup8};
use dbsp::{IndexedZSetHandle, OrdZSet, OutputHandle, RootCircuit};

use super::receivables::Standing;
use super::{Key, Moment, Source, key, moment, statements};
use crate::circuit::{Changes, Feed, Sink, Stated, decimal, optional, rounded};
use crate::rows::Row;

/// Name, currency.
type Project = Tup2<String, String>;
/// Project, currency, amount.
type Bill = Tup3<Option<String>, String, i128>;
/// Currency, start date, hourly cost.
type Employee = Tup3<String, i32, Option<i128>>;
/// Employee, project, work date, hours.
type Entry = Tup4<String, Option<String>, i32, i128>;
/// Tenant, project, currency.
type Account = Tup3<u32, String, Option<String>>;
/// Revenue, labour, material, expenses; the second and third with eight places.
type Figures = Tup4<i128, i128, i128, i128>;

/// Tenant, project, currency, name, (revenue, labour, material, expenses), profit, margin.
type Profit = Tup8<u32, String, Option<String>, Option<String>, Figures, i128, Option<i128>, bool>;

pub(super) struct Profitability {
    projects: IndexedZSetHandle<Key, Tup2<Moment, Project>>,
    bills: IndexedZSetHandle<Key, Tup2<Moment, Bill>>,
    employees: IndexedZSetHandle<Key, Tup2<Moment, Employee>>,
    rate_changes: IndexedZSetHandle<Tup3<u32, String, i32>, Tup2<Moment, i128>>,
    logged: IndexedZSetHandle<Key, Tup2<Moment, Entry>>,
    corrections: IndexedZSetHandle<Key, Tup2<Moment, i128>>,
    used: IndexedZSetHandle<Key, i128>,
    spent: IndexedZSetHandle<Account, Figures>,
    mentioned: IndexedZSetHandle<Key, bool>,
    profits: OutputHandle<SpineSnapshot<OrdZSet<Profit>>>,
}

const NOTHING: Figures = Tup4(0, 0, 0, 0);

pub(super) fn build(circuit: &mut RootCircuit, standing: &Standing) -> Profitability {
    let (projects, projects_handle) = statements::<Key, Project>(circuit);
    let (bills, bills_handle) = statements::<Key, Bill>(circuit);
    let (employees, employees_handle) = statements::<Key, Employee>(circuit);
    let (rate_changes, rate_changes_handle) = statements::<Tup3<u32, String, i32>, i128>(circuit);
    let (logged, logged_handle) = statements::<Key, Entry>(circuit);
    let (corrections, corrections_handle) = statements::<Key, i128>(circuit);
    let (used, used_handle) = circuit.add_input_indexed_zset::<Key, i128>();
    let (spent, spent_handle) = circuit.add_input_indexed_zset::<Account, Figures>();
    let (mentioned, mentioned_handle) = circuit.add_input_indexed_zset::<Key, bool>();

    let known = projects.map_index(|(key, project)| (key.clone(), Some(project.clone())));
    let labour = labour(&employees, &rate_changes, &logged, &corrections);
    let worked = labour.left_join_index(&known, |Tup2(tenant, project), worked, known| {
        let Tup2(currency, labour) = worked;
        let currency = currency.clone().or_else(|| known.as_ref().map(|known| known.1.clone()));
        Some((Tup3(*tenant, project.clone(), currency), Tup4(0, *labour, 0, 0)))
    });
    let used = used.left_join_index(&known, |Tup2(tenant, project), material, known| {
        let currency = known.as_ref().map(|known| known.1.clone());
        Some((Tup3(*tenant, project.clone(), currency), Tup4(0, 0, *material, 0)))
    });
    let mentioned = mentioned.left_join_index(&known, |Tup2(tenant, project), _, known| {
        let currency = known.as_ref().map(|known| known.1.clone());
        Some((Tup3(*tenant, project.clone(), currency), NOTHING))
    });
    let invoiced = standing.flat_map_index(|(Tup2(tenant, _), Tup3(invoice, credited, voided))| {
        let project = invoice.1.clone()?;
        let revenue = if *voided { 0 } else { invoice.5 - credited };
        Some((Tup3(*tenant, project, Some(invoice.2.clone())), Tup4(revenue, 0, 0, 0)))
    });
    let billed = bills.flat_map_index(|(Tup2(tenant, _), Tup3(project, currency, amount))| {
        let project = project.clone()?;
        Some((Tup3(*tenant, project, Some(currency.clone())), Tup4(0, 0, 0, *amount)))
    });
    let created = projects.map_index(|(Tup2(tenant, project), known)| {
        (Tup3(*tenant, project.clone(), Some(known.1.clone())), NOTHING)
    });

    let profits = invoiced
        .sum([&worked, &used, &mentioned, &billed, &created, &spent])
        .aggregate_linear(|Tup4(revenue, labour, material, expenses)| {
            Tup5(*revenue, *labour, *material, *expenses, 1_i64)
        })
        .map_index(|(Tup3(tenant, project, currency), figures)| {
            (Tup2(*tenant, project.clone()), Tup2(currency.clone(), figures.clone()))
        })
        .left_join(&known, |Tup2(tenant, project), Tup2(currency, figures), known| {
            let name = known.as_ref().map(|known| known.0.clone());
            profit(*tenant, project, currency.clone(), name, figures)
        });

    Profitability {
        projects: projects_handle,
        bills: bills_handle,
        employees: employees_handle,
        rate_changes: rate_changes_handle,
        logged: logged_handle,
        corrections: corrections_handle,
        used: used_handle,
        spent: spent_handle,
        mentioned: mentioned_handle,
        profits: profits.accumulate_output(),
    }
}

/// What each time entry cost, by tenant and project, with the employee's currency if known.
fn labour(
    employees: &Stated<Key, Employee>,
    rate_changes: &Stated<Tup3<u32, String, i32>, i128>,
    logged: &Stated<Key, Entry>,
    corrections: &Stated<Key, i128>,
) -> Stated<Key, Tup2<Option<String>, i128>> {
    let corrections = corrections.map_index(|(key, hours)| (key.clone(), Some(*hours)));
    let entries = logged
        .flat_map_index(|(key, entry)| {
            let project = entry.1.clone()?;
            Some((key.clone(), Tup4(entry.0.clone(), project, entry.2, entry.3)))
        })
        .left_join_index(&corrections, |Tup2(tenant, _), entry, corrected| {
            let Tup4(employee, project, date, hours) = entry;
            let hours = corrected.unwrap_or(*hours);
            Some((Tup2(*tenant, employee.clone()), Tup3(*date, project.clone(), hours)))
        });
    let first = employees
        .flat_map_index(|(Tup2(tenant, employee), Tup3(_, start, cost))| {
            cost.map(|cost| (Tup3(*tenant, employee.clone(), *start), cost))
        })
        .antijoin(rate_changes);
    let rates = first.plus(rate_changes).map_index(|(Tup3(tenant, employee, from), cost)| {
        (Tup2(*tenant, employee.clone()), Tup2(*from, *cost))
    });
    let known =
        employees.map_index(|(key, Tup3(currency, _, _))| (key.clone(), Some(currency.clone())));
    entries
        .asof_join(
            &rates,
            |Tup2(tenant, employee), Tup3(_, project, hours), rate| {
                let labour = rate.map_or(0, |Tup2(_, cost)| hours * cost);
                Tup4(*tenant, employee.clone(), project.clone(), labour)
            },
            |Tup3(date, _, _)| *date,
            |Tup2(from, _)| *from,
        )
        .map_index(|Tup4(tenant, employee, project, labour)| {
            (Tup2(*tenant, employee.clone()), Tup2(project.clone(), *labour))
        })
        .left_join_index(&known, |Tup2(tenant, _), Tup2(project, labour), currency| {
            Some((Tup2(*tenant, project.clone()), Tup2(currency.clone(), *labour)))
        })
}

fn profit(
    tenant: u32,
    project: &str,
    currency: Option<String>,
    name: Option<String>,
    figures: &Tup5<i128, i128, i128, i128, i64>,
) -> Profit {
    let Tup5(revenue, labour, material, expenses, _) = *figures;
    let (labour, material) = (rounded(labour, 10_000), rounded(material, 10_000));
    let profit = revenue - labour - material - expenses;
    // The quotient is cut to eight places, then rounded to four.
    let margin = (revenue != 0).then(|| rounded(profit * 100_000_000 / revenue, 10_000));
    let figures = Tup4(revenue, labour, material, expenses);
    Tup8(tenant, project.to_owned(), currency, name, figures, profit, margin, true)
}

impl Profitability {
    pub(super) fn connect(
        self,
        source: &Source,
        feeds: &mut Vec<Box<dyn Feed>>,
        sinks: &mut Vec<(&'static str, Box<dyn Sink>)>,
    ) -> Result<()> {
        let projects = source.steps("projects.project_created", |row| {
            let project = Tup2(row.text("name"), row.text("currency"));
            Some((key(row, "project_id"), Tup2(moment(row), project)))
        })?;
        let bills = source.steps("purchasing.bill_received", |row| {
            let bill =
                Tup3(row.optional("project_id"), row.text("currency"), row.decimal("amount"));
            Some((key(row, "bill_id"), Tup2(moment(row), bill)))
        })?;
        let employees = source.steps("hr.employee_onboarded", |row| {
            let employee = Tup3(
                row.text("currency"),
                row.number("start_date"),
                row.optional_decimal("hourly_cost"),
            );
            Some((key(row, "employee_id"), Tup2(moment(row), employee)))
        })?;
        let rate_changes = source.steps("hr.employee_rate_changed", |row| {
            let Tup2(tenant, employee) = key(row, "employee_id");
            let from = row.number("effective_date");
            Some((Tup3(tenant, employee, from), Tup2(moment(row), row.decimal("hourly_cost"))))
        })?;
        let logged = source.steps("hr.time_logged", |row| {
            let entry = Tup4(
                row.text("employee_id"),
                row.optional("project_id"),
                row.number("work_date"),
                row.decimal("hours"),
            );
            Some((key(row, "entry_id"), Tup2(moment(row), entry)))
        })?;
        let corrections = source.steps("hr.time_corrected", |row| {
            Some((key(row, "entry_id"), Tup2(moment(row), row.decimal("hours"))))
        })?;
        let used = source.steps("inventory.stock_issued", |row| {
            let project = row.optional("project_id")?;
            let material = row.decimal("quantity") * row.decimal("unit_cost");
            Some((Tup2(row.number("tenant"), project), material))
        })?;
        let account = |row: &Row<'_>| {
            let Tup2(tenant, project) = key(row, "project_id");
            Tup3(tenant, project, Some(row.text("currency")))
        };
        let mut spent = source.steps("governance.expense_recorded", |row| {
            Some((account(row), Tup4(0, 0, 0, row.decimal("amount"))))
        })?;
        source.append("governance.budget_set", &mut spent, |row| Some((account(row), NOTHING)))?;
        let mention =
            |row: &Row<'_>| Some((Tup2(row.number("tenant"), row.optional("project_id")?), true));
        let mut mentioned = source.steps("projects.project_status_changed", mention)?;
        source.append("projects.milestone_reached", &mut mentioned, mention)?;
        source.append("governance.compliance_checked", &mut mentioned, mention)?;
        feeds.push(Box::new((self.projects, projects)));
        feeds.push(Box::new((self.bills, bills)));
        feeds.push(Box::new((self.employees, employees)));
        feeds.push(Box::new((self.rate_changes, rate_changes)));
        feeds.push(Box::new((self.logged, logged)));
        feeds.push(Box::new((self.corrections, corrections)));
        feeds.push(Box::new((self.used, used)));
        feeds.push(Box::new((self.spent, spent)));
        feeds.push(Box::new((self.mentioned, mentioned)));
        sinks.push(("project_profitability", Box::new(Changes::new(self.profits, text))));
        Ok(())
    }
}

fn text(row: &Profit) -> String {
    let Tup8(tenant, project, currency, name, figures, profit, margin, _) = row;
    let Tup4(revenue, labour, material, expenses) = figures;
    let (currency, name) = (optional(currency.as_deref()), optional(name.as_deref()));
    let figures = [revenue, labour, material, expenses, profit].map(|figure| decimal(*figure));
    let margin = margin.map_or_else(|| "\\N".to_owned(), decimal);
    format!("{tenant}\t{project}\t{currency}\t{name}\t{}\t{margin}", figures.join("\t"))
}
