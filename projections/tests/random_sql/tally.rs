//! What was tried and what became of it, in all and by construct.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::case::{Case, Fate};

#[derive(Clone, Copy, Default)]
struct Count {
    tried: usize,
    no_sql: usize,
    refused: usize,
    rows: usize,
    failed: usize,
}

impl Count {
    fn add(&mut self, fate: &Fate) {
        self.tried += 1;
        match fate {
            Fate::NoSql(_) => self.no_sql += 1,
            Fate::Refused(_) => self.refused += 1,
            Fate::Compared { rows, failed } => {
                self.rows += usize::from(*rows);
                self.failed += usize::from(failed.is_some());
            }
        }
    }

    fn compared(&self) -> usize {
        self.tried - self.no_sql - self.refused
    }
}

/// The counts of a run.
#[derive(Default)]
pub(crate) struct Tally {
    all: Count,
    by_construct: BTreeMap<&'static str, Count>,
    /// Why views were left out, how often, and the first.
    reasons: BTreeMap<String, (usize, String)>,
    /// Cases that met a known fault.
    pub(crate) known: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, case: &Case, fates: &[Fate]) {
        for ((_, query), fate) in case.views.iter().zip(fates) {
            self.all.add(fate);
            let mut constructs = BTreeSet::new();
            query.constructs(&mut constructs);
            for construct in constructs {
                self.by_construct.entry(construct).or_default().add(fate);
            }
            let reason = match fate {
                Fate::NoSql(reason) => format!("no SQL: {reason}"),
                Fate::Refused(construct) => format!("refused: {construct}"),
                Fate::Compared { failed: Some(reason), .. } => format!("failed: {reason}"),
                Fate::Compared { failed: None, .. } => continue,
            };
            let reason: String = reason.lines().next().unwrap_or("").chars().take(110).collect();
            self.reasons.entry(reason).or_insert_with(|| (0, query.sql())).0 += 1;
        }
    }

    pub(crate) fn views(&self) -> usize {
        self.all.tried
    }

    /// Enough of what is tried must be compared, and of that enough must have rows.
    pub(crate) fn is_not_blind(&self) {
        let Count { tried, no_sql, refused, rows, .. } = self.all;
        assert!(no_sql * 100 <= tried * MOST_NO_SQL, "{no_sql} of {tried} views are no SQL");
        assert!(refused * 100 <= tried * MOST_REFUSED, "{refused} of {tried} views are refused");
        let compared = self.all.compared();
        assert!(rows * 100 >= compared * LEAST_ROWS, "{rows} of {compared} views had rows");
    }
}

/// Shares in a hundred.
const MOST_NO_SQL: usize = 10;
const MOST_REFUSED: usize = 10;
const LEAST_ROWS: usize = 60;

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:32} {:>7} {:>7} {:>8} {:>7} {:>7}",
            "", "tried", "no SQL", "refused", "rows", "failed"
        )?;
        let mut line = |name: &str, count: &Count| {
            let Count { tried, no_sql, refused, rows, failed } = count;
            writeln!(f, "{name:32} {tried:>7} {no_sql:>7} {refused:>8} {rows:>7} {failed:>7}")
        };
        line("all views", &self.all)?;
        for (construct, count) in &self.by_construct {
            line(construct, count)?;
        }
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        for (reason, (count, sql)) in reasons.into_iter().take(40) {
            let sql: String = sql.chars().take(if *count < 5 { 700 } else { 200 }).collect();
            writeln!(f, "{count:>7}  {reason}\n         {sql}")?;
        }
        writeln!(f, "{:>7}  cases met a known fault", self.known)
    }
}
