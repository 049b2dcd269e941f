//! SQL of the small world: teams and amounts of a view, without the items, so that rows repeat.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use axum::http::StatusCode;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use projections::TenantSnapshot;
use stream::{Answer, Grounds, Problem, Questions, Unanswered};

use super::{Rows, VIEWS};

pub const SQL: [&str; 2] = ["SELECT team, amount FROM items", "SELECT team, amount FROM others"];

/// Answers [`SQL`].
#[derive(Default)]
pub struct Asker {
    /// How often it was asked.
    asked: AtomicUsize,
    mood: Mutex<Mood>,
}

#[derive(Clone, Copy, Default)]
pub enum Mood {
    #[default]
    Answers,
    /// With other names of the columns.
    Renames,
    /// When it is asked again.
    Waits,
    Refuses,
}

impl Asker {
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn feel(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

impl Questions for Asker {
    fn ask<'a>(
        &'a self,
        snapshot: Arc<TenantSnapshot>,
        sql: &'a str,
    ) -> BoxFuture<'a, Result<Answer, Unanswered>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mood = *self.mood.lock().unwrap();
        ready(match mood {
            Mood::Answers => Ok(answer(&snapshot, sql, ["team", "amount"])),
            Mood::Renames => Ok(answer(&snapshot, sql, ["group", "sum"])),
            Mood::Waits => Err(Unanswered::Later),
            Mood::Refuses => Err(Unanswered::Refused(refusal())),
        })
        .boxed()
    }
}

fn refusal() -> Problem {
    Problem::new("refused", StatusCode::BAD_REQUEST, "Refused", "It is not answered.")
}

fn answer(snapshot: &Arc<TenantSnapshot>, sql: &str, names: [&str; 2]) -> Answer {
    let view = VIEWS[SQL.iter().position(|known| *known == sql).expect("it is known")];
    let fields = snapshot.view(view).unwrap().view().schema().fields();
    let fields: Vec<Field> = fields[1..]
        .iter()
        .zip(names)
        .map(|(field, name)| field.as_ref().clone().with_name(name))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let batches = batches(snapshot, view);
    let rows: Vec<_> = batches
        .iter()
        .map(|batch| {
            Ok(RecordBatch::try_new(schema.clone(), batch.columns()[1..].to_vec()).unwrap())
        })
        .collect();
    let grounds = Box::new(Held { view, batches });
    Answer { schema, rows: futures::stream::iter(rows).boxed(), grounds }
}

fn batches(snapshot: &Arc<TenantSnapshot>, view: &str) -> Vec<RecordBatch> {
    snapshot.view(view).unwrap().batches().unwrap()
}

/// The rows that an answer was made from: they may be put in anew and be the same.
struct Held {
    view: &'static str,
    batches: Vec<RecordBatch>,
}

impl Grounds for Held {
    fn hold(&self, snapshot: &Arc<TenantSnapshot>) -> bool {
        self.batches == batches(snapshot, self.view)
    }

    fn since(&self) -> Option<u64> {
        None
    }
}

/// The answer that a view's rows make, written independently of the encoder: each row with how often it
/// is there.
pub fn expected_answer(rows: &Rows) -> BTreeMap<String, i64> {
    let mut answer = BTreeMap::new();
    for (team, amount) in rows.values() {
        let row = super::row_json("", team.as_deref(), *amount).replacen("\"\",", "", 1);
        *answer.entry(row).or_default() += 1;
    }
    answer
}
