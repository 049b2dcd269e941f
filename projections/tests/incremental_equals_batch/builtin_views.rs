//! Every built-in view over generated histories of the events it reads, and all of them together.

use std::collections::HashSet;

use chrono::NaiveDate;
use projections::{Tenant, Tick, ViewDefinition};
use proptest::prelude::*;

use crate::generated::{History, histories, kinds_of, wide};
use crate::history::Step;
use crate::oracle::Oracle;
use crate::watched::{Watched, holds_over, incremental_equals_batch};

fn holds(name: &str, longest: usize) {
    // Internal views give nothing out; here they do.
    let visible = |view| ViewDefinition { internal: false, ..view };
    let views: Vec<_> = ViewDefinition::builtin().into_iter().map(visible).collect();
    incremental_equals_batch(&views, &[name.to_owned()], longest, 8);
}

macro_rules! views {
    ($($name:ident: $longest:expr),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                holds(stringify!($name), $longest);
            }
        )*

        #[test]
        fn no_view_is_left_out() {
            let tested: HashSet<&str> = [$(stringify!($name)),*].into();
            for view in ViewDefinition::builtin() {
                assert!(tested.contains(view.name.as_str()), "{} has no test here", view.name);
            }
        }
    };
}

views! {
    standing_invoices: 40,
    invoice_balances: 60,
    aged_balances: 60,
    standing_employees: 40,
    open_invoices: 60,
    ar_aging: 60,
    time_entries: 40,
    labour_hours: 40,
    project_profitability: 120,
    unapplied_cash: 60,
    cash_position: 40,
    utilization: 60,
    budget_variance: 120,
    compliance_failures: 40,
    maintenance_backlog: 50,
    call_activity: 40,
    pipeline: 50,
    inventory_levels: 60,
    headcount: 50,
    counted_completions: 40,
    completion_runs: 60,
    completion_streaks: 60,
}

#[test]
fn all_views_together() {
    let views = ViewDefinition::builtin();
    let names: Vec<String> = views.iter().filter(|v| !v.internal).map(|v| v.name.clone()).collect();
    incremental_equals_batch(&views, &names, 128, 32);
}

/// Whatever intake takes, no view ever fails: a figure that its type cannot hold is null.
#[test]
fn no_value_fails_a_view() {
    let views = ViewDefinition::builtin();
    let names: Vec<String> = views.iter().filter(|v| !v.internal).map(|v| v.name.clone()).collect();
    let histories = histories(kinds_of(&views, &views), 128).prop_map(History::at_the_ends);
    let oracle = Oracle::new(views.clone());
    holds_over(histories, &oracle, &views, &names, 32);
}

#[test]
fn many_rows_in_large_batches() {
    let views = ViewDefinition::builtin();
    let names: Vec<String> = views.iter().filter(|v| !v.internal).map(|v| v.name.clone()).collect();
    let kinds = kinds_of(&views, &views);
    let oracle = Oracle::new(views.clone());
    let mut watched = Watched::new(views);
    let saturday = NaiveDate::from_ymd_opt(2025, 3, 1).unwrap();
    for (i, facts) in wide(&kinds, 24_000, 700).chunks(8_000).enumerate() {
        let mut steps = facts.to_vec();
        for tenant in [Tenant(0), Tenant(1)] {
            let today = saturday + chrono::Days::new(i as u64 * 3);
            steps.push(Step::Tick(Tick { tenant, today }));
        }
        for tenant in watched.apply(&steps).unwrap() {
            watched.check(&oracle, tenant, &names).unwrap();
        }
    }
}

#[test]
fn columns_are_those_of_the_query() {
    let views = ViewDefinition::builtin();
    let answers = Oracle::new(views.clone()).answers(&[], None);
    let watched = Watched::new(views.clone());
    for definition in views.iter().filter(|v| !v.internal) {
        let view = watched.snapshot_view(Tenant(1), &definition.name);
        let columns =
            |schema: &arrow::datatypes::Schema| -> Vec<(String, arrow::datatypes::DataType)> {
                schema.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect()
            };
        assert_eq!(
            columns(view.view().schema()),
            columns(&answers[&definition.name].schema),
            "{}",
            definition.name
        );
    }
}
