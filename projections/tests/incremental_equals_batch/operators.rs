//! Every supported construct: each file of `tests/cases` is one view, over generated histories of
//! the events it reads. A file may hold several statements, `name = SELECT …`, that build on each
//! other; the last one is checked, with all before it.

use std::path::PathBuf;

use projections::events::EventTypes;
use projections::{Tenant, ViewDefinition};

use crate::history::{Fact, Step, Value};
use crate::oracle::rows;
use crate::watched::{Watched, incremental_equals_batch};

fn cases() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// The views of a file: statements end with `;` and may begin with `name =`.
fn views(file: &str, text: &str) -> Vec<ViewDefinition> {
    text.split_inclusive(";\n")
        .map(|part| part.trim().trim_end_matches(';'))
        .filter(|part| !part.is_empty())
        .map(|part| match part.split_once(":=") {
            Some((name, sql)) => {
                ViewDefinition::parse(name.lines().last().unwrap_or(name).trim(), sql)
            }
            None => ViewDefinition::parse(file, part),
        })
        .collect()
}

fn holds(file: &str) {
    let text = std::fs::read_to_string(cases().join(format!("{file}.sql"))).unwrap();
    let views = views(file, &text);
    let names: Vec<String> = views.iter().map(|v| v.name.clone()).collect();
    incremental_equals_batch(&views, &names, 40, 12);
}

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                holds(stringify!($name));
            }
        )*

        #[test]
        fn every_file_is_a_case() {
            for entry in std::fs::read_dir(cases()).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap();
                assert!([$(stringify!($name)),*].contains(&name), "{name}.sql is not run");
            }
        }
    };
}

cases! {
    clock_late,
    clock_turns,
    aggregate_avg,
    aggregate_count,
    aggregate_distinct,
    aggregate_filter,
    aggregate_lists,
    aggregate_min_max,
    aggregate_mixed,
    aggregate_other,
    aggregate_pick_filter,
    aggregate_spread,
    aggregate_sum,
    aggregate_sum_products,
    business_days,
    clock_aggregate,
    clock_exists,
    clock_filter,
    clock_join,
    clock_now,
    clock_outer_join,
    clock_project,
    clock_total,
    constants,
    distinct,
    distinct_on,
    except_intersect,
    expressions,
    filter,
    first_last_value,
    float_zeros,
    group_by_expression,
    group_by_key_and_more,
    grouping_cube,
    grouping_rollup,
    grouping_sets,
    having,
    join_anti,
    join_anti_residual,
    join_as_of,
    join_cross,
    join_exists_any,
    join_full,
    join_full_using,
    join_in_subquery,
    join_inner,
    join_inner_residual,
    join_left,
    join_left_residual,
    join_mark,
    join_mark_residual,
    join_not_in,
    join_null_keys,
    join_right,
    join_self,
    join_semi,
    join_theta,
    nulls,
    nulls_alone,
    scalar_subquery,
    scalar_subquery_correlated,
    scalar_subquery_join,
    set_operations_all,
    top_limit,
    top_rank,
    top_row_number,
    total_filtered,
    total_linear,
    total_mixed,
    union_all,
    union_distinct,
    unnest,
    unnest_lists,
    views_on_views,
    window_frames,
    window_hop,
    window_lag_lead,
    window_rank,
    window_running_sum,
    window_sessions,
    window_tumble,
    window_without_partition,
    with_queries,
}

/// A row that cannot be evaluated stops one view of one tenant and nothing else.
#[test]
fn an_error_stays_with_its_tenant_and_its_view() {
    let calls = "FROM events.\"crm.call_logged\"";
    let quotients = format!("SELECT event_id, 100 / duration_s AS share {calls}");
    let counts = format!("SELECT user_id, count(*) AS calls {calls} GROUP BY user_id");
    let views = [("quotients", quotients), ("counts", counts)]
        .map(|(name, sql)| ViewDefinition::parse(name, &sql));
    let kind = EventTypes::builtin().get("crm.call_logged").unwrap().clone();
    let call = |tenant: u32, id: &str, seconds: i64| {
        let text = |text: &str| Value::Text(text.into());
        let values = vec![text(id), text("u"), text("d"), Value::Int(seconds)];
        let (id, kind) = (id.to_owned(), kind.clone());
        Step::Fact(Fact { tenant: Tenant(tenant), kind, id, occurred_at: 0, values })
    };
    let mut watched = Watched::new(views.to_vec());
    watched.apply(&[call(1, "a", 0), call(1, "b", 5), call(2, "a", 4), call(3, "a", 50)]).unwrap();
    watched.apply(&[call(2, "b", 10), call(1, "c", 20)]).unwrap();
    let shown = |tenant: u32, view: &str| {
        let view = watched.snapshot_view(Tenant(tenant), view);
        let rows: Vec<String> = view.batches().unwrap().iter().flat_map(rows).collect();
        view.failure().map_or(Ok(rows), |failure| Err(failure.to_string()))
    };
    let failure = shown(1, "quotients").unwrap_err();
    assert!(failure.to_lowercase().contains("divide by zero"), "{failure}");
    assert_eq!(shown(2, "quotients").unwrap(), ["a | 25", "b | 10"]);
    assert_eq!(shown(3, "quotients").unwrap(), ["a | 2"]);
    assert_eq!(shown(1, "counts").unwrap(), ["u | 3"]);
    assert_eq!(shown(2, "counts").unwrap(), ["u | 2"]);
}
