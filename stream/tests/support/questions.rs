//! SQL of the small world: teams and amounts of a view, without the items, so that rows repeat; asked
//! for, or kept by a circuit.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema, SchemaRef};
use axum::http::StatusCode;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use projections::{Tenant, TenantSnapshot, View, ViewSnapshot};
use stream::{Answer, Circuit, Grounds, Problem, Questions, Rows as Kept, Unanswered};

use super::{Rows, VIEWS};

pub const SQL: [&str; 2] = ["SELECT team, amount FROM items", "SELECT team, amount FROM others"];

/// Answers [`SQL`].
#[derive(Default)]
pub struct Asker {
    /// How often it was asked.
    asked: AtomicUsize,
    mood: Arc<Mutex<Mood>>,
    keeping: Arc<Mutex<Keeping>>,
    /// How many circuits are held.
    held: Arc<AtomicUsize>,
}

/// What circuits say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keeping {
    /// There is no room for one.
    #[default]
    NoRoom,
    NotYet,
    Ready,
    /// It has one row too few.
    Wrong,
    Anew,
    Never,
}

/// How it answers. In another mood, names mean something else.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
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

    /// Has its circuits say so from now on. Who waits for one is to be told.
    pub fn keep(&self, keeping: Keeping) {
        *self.keeping.lock().unwrap() = keeping;
    }

    pub fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }
}

impl Questions for Asker {
    fn ask<'a>(
        &'a self,
        snapshot: Arc<TenantSnapshot>,
        sql: &'a str,
    ) -> BoxFuture<'a, Result<Answer, Unanswered>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let then = *self.mood.lock().unwrap();
        let mood = Arc::clone(&self.mood);
        let answer = |names| {
            let view = view_of(sql);
            let (schema, rows) = rows(&snapshot, view, names);
            let grounds = Box::new(Held { view, batches: batches(&snapshot, view), mood, then });
            let rows = futures::stream::iter(rows.into_iter().map(Ok).collect::<Vec<_>>()).boxed();
            Answer { schema, rows, grounds }
        };
        ready(match then {
            Mood::Answers => Ok(answer(["team", "amount"])),
            Mood::Renames => Ok(answer(["group", "sum"])),
            Mood::Waits => Err(Unanswered::Later),
            Mood::Refuses => Err(Unanswered::Refused(refusal())),
        })
        .boxed()
    }

    fn maintain(&self, _: Tenant, sql: &str) -> Option<Box<dyn Circuit>> {
        if *self.keeping.lock().unwrap() == Keeping::NoRoom {
            return None;
        }
        self.held.fetch_add(1, Ordering::SeqCst);
        let (keeping, held) = (self.keeping.clone(), self.held.clone());
        Some(Box::new(Keeper { view: view_of(sql), keeping, held }))
    }
}

/// A circuit that has what the view has over each snapshot.
struct Keeper {
    view: &'static str,
    keeping: Arc<Mutex<Keeping>>,
    held: Arc<AtomicUsize>,
}

impl Circuit for Keeper {
    fn over(&self, snapshot: &TenantSnapshot) -> Kept {
        let keeping = *self.keeping.lock().unwrap();
        match keeping {
            Keeping::NoRoom | Keeping::NotYet => Kept::NotYet,
            Keeping::Ready | Keeping::Wrong => {
                let (schema, rows) = rows(snapshot, self.view, ["team", "amount"]);
                let rows = concat_batches(&schema, &rows).unwrap();
                let left_out = usize::from(keeping == Keeping::Wrong).min(rows.num_rows());
                let rows = rows.slice(left_out, rows.num_rows() - left_out);
                let view = View::new("@kept", "", schema, vec![0, 1]);
                Kept::At(ViewSnapshot::from_batch(Arc::new(view), &rows).unwrap())
            }
            Keeping::Anew => Kept::Anew,
            Keeping::Never => Kept::Never,
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::SeqCst);
    }
}

fn refusal() -> Problem {
    Problem::new("refused", StatusCode::BAD_REQUEST, "Refused", "It is not answered.")
}

fn view_of(sql: &str) -> &'static str {
    VIEWS[SQL.iter().position(|known| *known == sql).expect("it is known")]
}

/// Teams and amounts of a view under these names.
fn rows(snapshot: &TenantSnapshot, view: &str, names: [&str; 2]) -> (SchemaRef, Vec<RecordBatch>) {
    let fields = snapshot.view(view).unwrap().view().schema().fields();
    let fields: Vec<Field> = fields[1..]
        .iter()
        .zip(names)
        .map(|(field, name)| field.as_ref().clone().with_name(name))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let of = |batch: &RecordBatch| {
        RecordBatch::try_new(schema.clone(), batch.columns()[1..].to_vec()).unwrap()
    };
    let rows = batches(snapshot, view).iter().map(of).collect();
    (schema, rows)
}

fn batches(snapshot: &TenantSnapshot, view: &str) -> Vec<RecordBatch> {
    snapshot.view(view).unwrap().batches().unwrap()
}

/// The rows that an answer was made from: they may be put in anew and be the same.
struct Held {
    view: &'static str,
    batches: Vec<RecordBatch>,
    mood: Arc<Mutex<Mood>>,
    /// What the mood was.
    then: Mood,
}

impl Grounds for Held {
    fn hold(&self, snapshot: &Arc<TenantSnapshot>) -> bool {
        self.stand(snapshot) && self.batches == batches(snapshot, self.view)
    }

    fn stand(&self, _: &Arc<TenantSnapshot>) -> bool {
        *self.mood.lock().unwrap() == self.then
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
