//! The queries, as the views they become.

use projections::ViewDefinition;

macro_rules! queries {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../queries/", $name, ".sql")))),*]
    };
}

/// All of the suite but q12, whose windows are of processing time: the engine has no such clock.
const QUERIES: &[(&str, &str)] = queries![
    "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8", "q9", "q10", "q11", "q13", "q14", "q15",
    "q16", "q17", "q18", "q19", "q20", "q21", "q22",
];

/// The queries of these names; all where none is named.
pub(crate) fn queries(names: &[String]) -> Vec<ViewDefinition> {
    QUERIES
        .iter()
        .filter(|(name, _)| names.is_empty() || names.iter().any(|n| n == name))
        .map(|(name, text)| ViewDefinition::parse(name, text))
        .collect()
}
