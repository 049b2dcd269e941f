#![allow(clippy::unwrap_used)]

use projections::{EventTypes, Partition, ViewDefinition};

use super::*;

#[test]
fn every_column_of_every_built_in_view_is_declared() {
    let partition = Partition::new(&EventTypes::builtin(), ViewDefinition::builtin()).unwrap();
    let readers = partition.readers();
    assert_eq!(readers.views().len(), LINEAGES.len());
    for view in readers.views() {
        let lineage = Lineage::of(view.name()).unwrap();
        let fields = view.schema().fields().iter().enumerate();
        let wanted: Vec<&str> = fields
            .filter(|(place, _)| !view.key().contains(place))
            .map(|(_, field)| field.name().as_str())
            .collect();
        assert_eq!(lineage.columns().collect::<Vec<_>>(), wanted, "{}", view.name());
        assert!(lineage.figure(lineage.main()).is_some(), "{}", view.name());
    }
}

#[test]
fn every_part_that_is_named_is_a_part_of_the_lines() {
    for lineage in LINEAGES.iter() {
        let sql: String = lineage.sql.lines().filter(|line| !line.starts_with("--")).collect();
        for figure in &lineage.figures {
            assert!(!figure.terms.is_empty());
            for term in &figure.terms {
                let quoted = format!("'{}'", term.part);
                assert!(sql.contains(&quoted), "{}: {quoted}", lineage.view);
            }
            assert!(!figure.value_sql(Unit::Decimal).contains('{'), "{}", figure.column);
        }
    }
}

#[test]
fn every_event_type_that_is_read_is_there() {
    let types = EventTypes::builtin();
    for lineage in LINEAGES.iter() {
        let read = lineage.event_types();
        assert!(!read.is_empty());
        for name in read {
            assert!(types.get(name).is_some(), "{}: {name}", lineage.view);
        }
    }
    let budget = Lineage::of("budget_variance").unwrap().event_types();
    assert!(budget.contains(&"hr.time_logged"), "{budget:?}");
}

#[test]
fn a_figure_says_its_rule_in_words() {
    let rule =
        |view: &str, column: &str| Lineage::of(view).unwrap().figure(column).unwrap().rule.clone();
    assert_eq!(rule("cash_position", "net"), "received - paid_out");
    assert_eq!(rule("project_profitability", "margin"), "profit ÷ revenue");
    assert_eq!(rule("inventory_levels", "name"), "as stated in product");
}
