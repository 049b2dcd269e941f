//! What a rule says: which subjects have an alert at a position.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::datatypes::Schema;
use futures::StreamExt;
use projections::TenantSnapshot;
use projections::encode::{ColumnType, RowEncoder, column_types, write_text};
use query::{Answer, QueryError, view_answer};
use sha2::{Digest, Sha256};
use tenancy::{TenantRecord, hex};

use super::Shared;
use super::rule::Rule;
use crate::reports::Failure;

/// Bytes of a subject.
const MAX_SUBJECT: usize = 2_048;
/// Bytes of the other columns; those that do not fit are left out.
const MAX_DETAILS: usize = 4_096;
/// Bytes of the hash by which a subject is known.
const KEY_BYTES: usize = 16;

/// What a rule says.
pub(super) struct Said {
    /// Which subjects have an alert, each once.
    pub(super) subjects: Vec<Found>,
    /// The columns of its answer with their types, a JSON array.
    pub(super) columns: String,
}

/// A subject that has an alert.
pub(super) struct Found {
    /// A hash of the subject.
    pub(super) key: String,
    /// The columns of the rule's key, a JSON object.
    pub(super) subject: String,
    /// The other columns, a JSON object.
    pub(super) details: String,
}

/// Why it is not known which subjects have an alert.
pub(super) enum Unevaluated {
    /// It will be in a while.
    Later(String),
    /// The rule reads what is switched off.
    Idle(String),
    /// The rule, or what it reads, is not right.
    Failed(String),
}

impl From<Failure> for Unevaluated {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Again(why) => Self::Later(why),
            Failure::ForGood(why) => Self::Failed(why),
        }
    }
}

impl From<QueryError> for Unevaluated {
    fn from(error: QueryError) -> Self {
        let why = error.to_string();
        match error {
            QueryError::Busy | QueryError::ViewFilling { .. } | QueryError::NotServed => {
                Self::Later(why)
            }
            QueryError::SwitchedOff { .. } => Self::Idle(why),
            _ => Self::Failed(why),
        }
    }
}

impl Shared {
    /// What a rule says of a snapshot.
    pub(super) async fn said(
        &self,
        tenant: &TenantRecord,
        rule: &Rule,
        is_allowed: &mut bool,
        snapshot: Arc<TenantSnapshot>,
    ) -> Result<Said, Unevaluated> {
        let most = self.parts.settings.subjects;
        let key = &rule.definition.key;
        if let Some(builtin) = rule.builtin {
            return collect(view_answer(&snapshot, builtin.view)?, key, builtin.only, most).await;
        }
        // Without an owner it is one that a template gave.
        if !*is_allowed && !rule.owner.is_empty() {
            self.parts.reports.check_owner(tenant.number, &rule.owner, "rule").await?;
        }
        *is_allowed = true;
        let answer = self.parts.queries.run(snapshot, &rule.definition.sql, Vec::new()).await?;
        collect(answer, key, None, most).await
    }
}

/// The subjects of an answer, each once.
async fn collect(
    mut answer: Answer,
    key: &[String],
    only: Option<&str>,
    most: usize,
) -> Result<Said, Unevaluated> {
    let columns = Columns::of(&answer.schema, key, only).map_err(Unevaluated::Failed)?;
    let (mut found, mut known) = (Vec::new(), HashSet::new());
    while let Some(batch) = answer.batches.next().await {
        let batch = batch.map_err(QueryError::from)?;
        columns.take(&batch, &mut found, &mut known)?;
        if key.is_empty() && !found.is_empty() {
            break;
        }
        if found.len() > most {
            return Err(Unevaluated::Failed(format!(
                "more than {most} subjects have an alert, which is as many as may; ask for fewer, \
                 or for groups of them"
            )));
        }
    }
    Ok(Said { subjects: found, columns: columns.described })
}

/// Which columns of an answer are what.
struct Columns {
    key: Vec<(usize, String)>,
    others: Vec<(usize, String)>,
    only: Option<usize>,
    /// The first two with their types, a JSON array.
    described: String,
}

impl Columns {
    fn of(schema: &Schema, key: &[String], only: Option<&str>) -> Result<Self, String> {
        let place = |name: &str| {
            let found = schema.fields().iter().position(|field| field.name() == name);
            found.ok_or_else(|| missing(schema, name))
        };
        let key: Vec<(usize, String)> = key
            .iter()
            .map(|name| Ok((place(name)?, name.clone())))
            .collect::<Result<_, String>>()?;
        let only = only.map(place).transpose()?;
        let others = schema.fields().iter().enumerate();
        let others = others.map(|(place, field)| (place, field.name().clone()));
        let others = others.filter(|(place, _)| key.iter().all(|(of_key, _)| of_key != place));
        let others: Vec<(usize, String)> = others.collect();
        let places = key.iter().chain(&others).map(|(place, _)| *place);
        let described = described(schema, places).map_err(|error| error.to_string())?;
        Ok(Self { key, others, only, described })
    }

    /// Adds the subjects of a batch that are not known yet.
    fn take(
        &self,
        batch: &RecordBatch,
        found: &mut Vec<Found>,
        known: &mut HashSet<String>,
    ) -> Result<(), Unevaluated> {
        let encoder = RowEncoder::new(batch);
        let only: Option<&BooleanArray> =
            self.only.and_then(|place| batch.column(place).as_boolean_opt());
        for row in 0..batch.num_rows() {
            if only.is_some_and(|only| only.is_null(row) || !only.value(row)) {
                continue;
            }
            let (subject, is_whole) = object(&encoder, &self.key, row, MAX_SUBJECT);
            if !is_whole {
                return Err(Unevaluated::Failed(format!(
                    "the key of a row has more than {MAX_SUBJECT} bytes"
                )));
            }
            let hash = Sha256::digest(subject.as_bytes());
            let key = hex(hash.get(..KEY_BYTES).unwrap_or_default());
            if known.insert(key.clone()) {
                let (details, _) = object(&encoder, &self.others, row, MAX_DETAILS);
                found.push(Found { key, subject, details });
            }
            // Without a key there is one.
            if self.key.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

/// Some columns of a row as a JSON object of so many bytes at most, and whether all of them fit.
fn object(
    encoder: &RowEncoder<'_>,
    columns: &[(usize, String)],
    row: usize,
    most: usize,
) -> (String, bool) {
    let (mut out, mut is_whole) = (vec![b'{'], true);
    for (place, name) in columns {
        let before = out.len();
        if before > 1 {
            out.push(b',');
        }
        write_text(&mut out, name);
        out.push(b':');
        encoder.write_value(&mut out, *place, row);
        // The brace that is to come, too.
        if out.len() >= most {
            out.truncate(before);
            is_whole = false;
        }
    }
    out.push(b'}');
    (String::from_utf8_lossy(&out).into_owned(), is_whole)
}

/// Columns with their types as a JSON array; there are no more of them than values may be kept.
fn described(
    schema: &Schema,
    places: impl Iterator<Item = usize>,
) -> Result<String, serde_json::Error> {
    let types = column_types(schema);
    let mut room = MAX_SUBJECT + MAX_DETAILS;
    let columns = places.filter_map(|place| types.get(place)).take_while(|column| {
        room = room.saturating_sub(column.name.len() + column.r#type.len());
        room > 0
    });
    serde_json::to_string(&columns.collect::<Vec<&ColumnType>>())
}

/// What is said of a column that an answer does not have.
pub(super) fn missing(schema: &Schema, name: &str) -> String {
    let has: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let name: String = name.chars().take(80).collect();
    format!("the answer has no column '{name}', which is in the key; it has {}", has.join(", "))
}

#[cfg(test)]
#[path = "evaluation_tests.rs"]
mod tests;
