#![allow(clippy::unwrap_used, clippy::panic)]

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use futures::executor::block_on;
use futures::{StreamExt, stream};
use projections::Tenant;

use super::*;

const BYTES: usize = 1 << 20;

struct Bench {
    room: Arc<Room>,
    standing: Standing,
}

impl Bench {
    fn new() -> Self {
        let room = Arc::<Room>::default();
        let standing = Standing::new("SELECT 1".to_owned(), room.slot(1).unwrap());
        Self { room, standing }
    }

    fn answered(&self, column: &str, rows: &[i64], sequence: u64, since: Option<u64>) {
        let numbers: ArrayRef = Arc::new(Int64Array::from(rows.to_vec()));
        let batch = RecordBatch::try_from_iter([(column, numbers)]).unwrap();
        let schema = batch.schema();
        let rows = stream::iter([Ok(batch)]).boxed();
        let table = block_on(Table::collect(&schema, rows, BYTES)).unwrap();
        let space = self.room.space(table.bytes(), BYTES).unwrap();
        self.standing.answered(table, Position::new(Tenant(1), sequence), since, space);
    }

    fn begin(&self) -> Begin {
        self.standing.begin().unwrap().unwrap()
    }

    fn resumes(&self) -> Vec<u64> {
        let begin = self.begin();
        (0..20).filter(|sequence| begin.resumes(*sequence)).collect()
    }

    /// Where the steps lead to, and how far the newest holds if that is where one is.
    fn news(&self, number: u64, up_to: Option<u64>) -> Result<Vec<u64>, String> {
        match self.standing.news(number, up_to) {
            Ok(News::None(holds_to)) => Err(format!("newest to {holds_to}")),
            Ok(News::Ahead) => Ok(Vec::new()),
            Ok(News::Steps(steps)) => {
                Ok(steps.iter().map(|step| step.position().sequence).collect())
            }
            Ok(News::Gone(reason)) => Err(reason.to_owned()),
            Err(problem) => Err(problem.detail),
        }
    }
}

#[test]
fn answers_that_are_the_same_are_one_that_holds_on() {
    let bench = Bench::new();
    assert!(bench.standing.begin().unwrap().is_none());
    bench.answered("n", &[1, 2], 3, None);
    bench.answered("n", &[2, 1], 5, None);
    assert_eq!((bench.begin().number(), bench.resumes()), (0, vec![3, 4, 5]));
    assert_eq!(bench.news(0, None), Err("newest to 5".to_owned()));
    bench.standing.confirm(Position::new(Tenant(1), 6));
    bench.answered("n", &[2], 8, None);
    assert_eq!(bench.resumes(), [8]);
    bench.answered("n", &[3], 9, None);
    assert_eq!(bench.news(0, None), Ok(vec![8, 9]));
    assert_eq!(bench.news(0, Some(8)), Ok(vec![8]));
    assert_eq!(bench.news(0, Some(7)), Ok(vec![]));
    assert_eq!(bench.news(1, None), Ok(vec![9]));
}

#[test]
fn nobody_goes_on_from_what_may_have_been_about_something_else() {
    let bench = Bench::new();
    // Its relations came to be at 7.
    bench.answered("n", &[1], 7, Some(7));
    assert_eq!(bench.resumes(), [0_u64; 0]);
    bench.standing.confirm(Position::new(Tenant(1), 9));
    assert_eq!(bench.resumes(), [8, 9]);
    // They are others now, at the same position.
    bench.answered("n", &[2], 9, Some(9));
    assert_eq!(bench.resumes(), [0_u64; 0]);
    assert_eq!(bench.news(0, None), Err(ANEW.to_owned()));
    bench.answered("n", &[3], 10, None);
    assert_eq!(bench.resumes(), [10]);
    assert_eq!((bench.news(0, None), bench.news(1, None)), (Err(ANEW.to_owned()), Ok(vec![10])));
    // Other columns, too.
    bench.answered("m", &[3], 11, None);
    assert_eq!(bench.news(2, None), Err(ANEW.to_owned()));
    assert_eq!(bench.resumes(), [0_u64; 0]);
}

#[test]
fn in_doubt_nothing_is_told_until_all_doubts_are_settled() {
    let bench = Bench::new();
    let wake = Arc::<Notify>::default();
    bench.standing.join(Duration::ZERO, wake.clone());
    bench.answered("n", &[1], 3, None);
    bench.answered("n", &[2], 4, None);
    block_on(wake.notified());
    bench.standing.doubt();
    let doubts = bench.standing.doubts();
    bench.standing.doubt();
    // What was found before the second says nothing of it, and neither does another answer.
    bench.standing.settle(doubts);
    bench.answered("n", &[3], 5, None);
    block_on(wake.notified());
    assert!(bench.standing.begin().unwrap().is_none());
    assert_eq!((bench.news(0, None), bench.news(2, None)), (Ok(vec![]), Ok(vec![])));
    bench.standing.settle(bench.standing.doubts());
    block_on(wake.notified());
    assert_eq!(bench.begin().number(), 2);
    assert_eq!(bench.news(0, None), Ok(vec![4, 5]));
}

#[test]
fn its_end_is_told_to_all_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let wake = Arc::<Notify>::default();
    let number = bench.standing.join(Duration::ZERO, wake.clone());
    bench.answered("n", &[1], 1, None);
    let problem = |detail: &str| Problem::new("it", axum::http::StatusCode::CONFLICT, "", detail);
    bench.standing.end(problem("the first"));
    bench.standing.end(problem("the second"));
    assert_eq!(bench.news(0, None), Err("the first".to_owned()));
    assert_eq!(bench.standing.begin().unwrap_err().detail, "the first");
    assert_eq!(bench.room.taken(), (1, 0));
    block_on(wake.notified());
    assert!(bench.standing.leave(number));
}

#[test]
fn its_pace_is_that_of_the_follower_who_wants_it_most_often() {
    let bench = Bench::new();
    let least = Duration::from_millis(250);
    let join = |ms| bench.standing.join(Duration::from_millis(ms), Arc::default());
    let slow = join(60_000);
    assert_eq!(bench.standing.pace(least), Duration::from_mins(1));
    let quick = join(1_000);
    assert_eq!(bench.standing.pace(least), Duration::from_secs(1));
    let at_once = join(0);
    assert_eq!(bench.standing.pace(least), least);
    assert!(!bench.standing.leave(at_once) && !bench.standing.leave(slow));
    assert_eq!(bench.standing.pace(least), Duration::from_secs(1));
    assert!(bench.standing.leave(quick));
}
