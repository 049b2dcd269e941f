//! What is kept of plans and answers: never another's, never out of date, and no need of a place.

use std::sync::{Arc, Mutex};

use chrono::{Days, NaiveDate};
use datafusion::execution::SendableRecordBatchStream;
use projections::events::{Field, FieldType};
use projections::{
    EventBatch, EventRegistry, EventType, EventTypes, Hidden, Input, Partition, Tenant,
    TenantSnapshot, Tick, ViewDefinition,
};
use proptest::prelude::*;
use query::{History, Queries, QueryError, QueryLimits};
use serde_json::{Value, json};

use crate::support::{self, MemoryHistory, balances, payments, snapshot, stored, view, world};

fn one_at_a_time() -> QueryLimits {
    QueryLimits { total_concurrent: 1, queue_seconds: 0, ..QueryLimits::default() }
}

const LONG: &str = "SELECT value FROM generate_series(1, 900000)";

#[tokio::test]
async fn an_answer_that_still_holds_needs_no_place() {
    let world = world(one_at_a_time());
    let sum = "SELECT sum(visits) FROM balances WHERE visits < $1";
    assert_eq!(world.ask_with(sum, vec![json!(3)]).await.unwrap(), json!([[3]]));
    let large = "SELECT repeat('x', 1000), value FROM generate_series(1, 3000)";
    let others = [
        "SELECT random() < 2",
        "SELECT uuid() IS NULL",
        "EXPLAIN SELECT * FROM balances",
        "SELECT count(*) FROM information_schema.columns",
        large,
    ];
    for sql in others {
        world.ask(sql).await.unwrap();
    }
    let running = world.answer(LONG).await.unwrap();
    assert_eq!(world.ask_with(sum, vec![json!(3)]).await.unwrap(), json!([[3]]));
    for other in [json!(4), json!("3"), json!(3.0), Value::Null] {
        assert_eq!(world.ask_with(sum, vec![other]).await.err(), Some(QueryError::Busy));
    }
    for sql in others {
        assert_eq!(world.ask(sql).await.err(), Some(QueryError::Busy), "{sql}");
    }
    drop(running);
}

#[tokio::test]
async fn an_answer_tells_by_its_grounds_whether_it_still_is_the_answer() {
    let world = world(QueryLimits::default());
    let rows = view("balances", &balances("A", 20));
    let at = |position: u64, day: u32, views| {
        let today = NaiveDate::from_ymd_opt(2025, 1, day);
        Arc::new(TenantSnapshot::with_views(Tenant(7), position, today, views))
    };
    let first = at(1, 1, vec![rows.clone()]);
    // From a plan, and from what is kept.
    for _ in 0..2 {
        let sql = "SELECT count(*) FROM balances";
        let answer = world.queries.run(first.clone(), sql, vec![]).await.unwrap();
        let grounds = answer.grounds.clone().unwrap();
        support::json(answer).await.unwrap();
        assert_eq!(grounds.since(), None);
        let is_unchanged = |snapshot| world.queries.is_unchanged(&grounds, &snapshot);
        let other = view("other", &balances("B", 3));
        assert!(is_unchanged(at(9, 1, vec![other.clone(), rows.clone()])));
        assert!(!is_unchanged(at(9, 2, vec![rows.clone()])), "another day");
        assert!(!is_unchanged(at(9, 1, vec![view("balances", &balances("A", 20))])));
        assert!(!is_unchanged(at(9, 1, vec![other])), "no such view");
    }
    let sql = "SELECT count(*) FROM events.\"invoicing.payment_received\"";
    let answer = world.queries.run(at(5, 1, Vec::new()), sql, vec![]).await.unwrap();
    assert_eq!(answer.grounds.unwrap().since(), Some(5));
    for sql in [
        "SELECT random() < 2",
        "SELECT * FROM balances WHERE uuid() IS NOT NULL",
        "EXPLAIN SELECT * FROM balances",
        "SELECT count(*) FROM information_schema.columns",
    ] {
        assert!(world.answer(sql).await.unwrap().grounds.is_none(), "{sql}");
    }
}

#[tokio::test]
async fn an_answer_is_kept_for_its_tenant_and_as_long_as_nothing_it_reads_has_changed() {
    let world = world(one_at_a_time());
    let sql = "SELECT count(*), max(customer_id) FROM balances";
    let ask =
        async |at: &Arc<TenantSnapshot>| match world.queries.run(at.clone(), sql, vec![]).await {
            Ok(answer) => Some(support::json(answer).await.unwrap()),
            Err(QueryError::Busy) => None,
            Err(error) => panic!("{error}"),
        };
    let rows = view("balances", &balances("A", 20));
    let at = |tenant: u32, position: u64, day: u32, views| {
        let today = NaiveDate::from_ymd_opt(2025, 1, day);
        Arc::new(TenantSnapshot::with_views(Tenant(tenant), position, today, views))
    };
    let first = ask(&at(7, 1, 1, vec![rows.clone()])).await.unwrap();
    assert_eq!(first["rows"], json!([[20, "A00019"]]));

    let running = world.answer(LONG).await.unwrap();
    let other = view("other", &balances("B", 3));
    let later = at(7, 9, 1, vec![other.clone(), rows.clone()]);
    let again = ask(&later).await.expect("what it reads is the same");
    assert_eq!(again["rows"], first["rows"]);
    assert_eq!(again["position"], later.position().to_string(), "at the position that was asked");
    let changed = view("balances", &balances("A", 20));
    let cases = [
        ("another day", at(7, 9, 2, vec![rows.clone()])),
        ("a tenant that was made again", at(8, 1, 1, vec![rows.clone()])),
        ("other rows, or the same written anew", at(7, 1, 1, vec![changed.clone()])),
        ("no such view", at(7, 1, 1, vec![other])),
    ];
    for (what, snapshot) in &cases {
        assert!(ask(snapshot).await.is_none(), "{what}");
    }
    drop(running);
    while ask(&cases[2].1).await.is_none() {
        tokio::task::yield_now().await;
    }
    let running = world.answer(LONG).await.unwrap();
    assert!(ask(&cases[2].1).await.is_some(), "the new one is kept in the place of the old one");
    world.queries.forget(Tenant(7));
    assert!(ask(&cases[2].1).await.is_none());
    drop(running);
}

#[tokio::test]
async fn the_same_sql_of_two_tenants_has_two_answers() {
    let world = world(QueryLimits::default());
    let sql = "SELECT customer_id FROM balances ORDER BY 1 LIMIT 1";
    for _ in 0..3 {
        for (snapshot, first) in [(&world.acme, "A00000"), (&world.other, "B00000")] {
            let answer = world.queries.run(snapshot.clone(), sql, vec![]).await.unwrap();
            assert_eq!(support::json(answer).await.unwrap()["rows"], json!([[first]]));
        }
        let secret = "SELECT count(*) FROM secret_plans";
        assert!(world.queries.run(world.other.clone(), secret, vec![]).await.is_ok());
        assert!(world.ask(secret).await.is_err());
    }
    // A tenant of the same view, which is not the same tenant.
    let twin = snapshot(Tenant(3), vec![view("balances", &balances("C", 1))]);
    let answer = world.queries.run(twin, sql, vec![]).await.unwrap();
    assert_eq!(support::json(answer).await.unwrap()["rows"], json!([["C00000"]]));
}

/// History that grows while it is read.
struct Growing(Mutex<MemoryHistory>);

impl History for Growing {
    fn scan(
        &self,
        tenant: Tenant,
        event_type: &Arc<EventType>,
        up_to: u64,
        columns: Option<Vec<usize>>,
    ) -> SendableRecordBatchStream {
        self.0.lock().unwrap().scan(tenant, event_type, up_to, columns)
    }
}

/// What happens to one of two tenants.
#[derive(Clone, Debug)]
enum Step {
    Pay(u32, usize),
    Day(u32, u64),
    /// Switches a module off or on.
    Switch(u32),
    /// Registers a type of its own, or one more field of it.
    Register(u32),
    /// Declares fields beside those of a type, or others in their place.
    Declare(u32, usize),
    Ask(u32, usize, usize),
}

const ASKED: [&str; 16] = [
    "SELECT count(*), sum(amount) FROM paid",
    "SELECT count(*), sum(amount) FROM events.\"invoicing.payment_received\"",
    "SELECT payment_id, due FROM paid ORDER BY payment_id DESC LIMIT 2",
    "SELECT current_date, now()",
    "SELECT count(*) FROM paid WHERE due <= current_date",
    "SELECT p.payment_id FROM paid p JOIN events.\"invoicing.payment_received\" e \
     USING (payment_id) WHERE p.amount > 1 ORDER BY 1",
    "SELECT count(*) FROM paid WHERE payment_id IN \
     (SELECT payment_id FROM events.\"invoicing.payment_received\" WHERE amount < 100)",
    "SELECT (SELECT max(payment_id) FROM paid), count(*) FROM other_paid",
    "WITH paid AS (SELECT 1 AS x) SELECT x FROM paid",
    "SELECT * FROM events.\"shop.sold\"",
    "SELECT count(*) FROM information_schema.columns",
    "SELECT count(*) FROM nowhere",
    "SELECT * FROM events.\"invoicing.payment_received\" ORDER BY payment_id",
    "SELECT max(lot) FROM events.\"invoicing.payment_received\"",
    "SELECT a.n, b.n FROM (SELECT count(*) AS n FROM paid) a, (SELECT count(*) AS n FROM paid) b",
    "SELECT DISTINCT due FROM paid WHERE EXISTS (SELECT 1 FROM other_paid o WHERE o.due = paid.due) \
     ORDER BY 1",
];
const WITH_PARAMS: &str = "SELECT count(*), $1 FROM paid WHERE payment_id > $1";

fn step() -> impl Strategy<Value = Step> {
    let tenant = 1..3_u32;
    prop_oneof![
        3 => (tenant.clone(), 1..4_usize).prop_map(|(t, n)| Step::Pay(t, n)),
        1 => (tenant.clone(), 0..5_u64).prop_map(|(t, n)| Step::Day(t, n)),
        1 => tenant.clone().prop_map(Step::Switch),
        1 => tenant.clone().prop_map(Step::Register),
        1 => (tenant.clone(), 0..3_usize).prop_map(|(t, n)| Step::Declare(t, n)),
        9 => (tenant, 0..=ASKED.len(), 0..3_usize).prop_map(|(t, q, p)| Step::Ask(t, q, p)),
    ]
}

/// Two tenants with a partition of their own.
struct Firms {
    partition: Partition,
    registry: EventRegistry,
    history: Arc<Growing>,
    offset: u64,
    hidden: [bool; 3],
    fields: [usize; 3],
}

impl Firms {
    fn new() -> Self {
        let types = EventTypes::builtin();
        let paid = "SELECT payment_id, amount, paid_on AS due \
                    FROM events.\"invoicing.payment_received\"";
        let of_today = "SELECT payment_id, paid_on AS due \
                        FROM events.\"invoicing.payment_received\" WHERE paid_on < current_date";
        let views = vec![
            ViewDefinition::parse("paid", paid),
            ViewDefinition::parse("other_paid", of_today),
        ];
        Self {
            partition: Partition::new(&types, views).unwrap(),
            registry: types.into(),
            history: Arc::new(Growing(Mutex::default())),
            offset: 0,
            hidden: [false; 3],
            fields: [0; 3],
        }
    }

    fn change(&mut self, step: &Step) {
        self.offset += 1;
        let (offset, mut events, mut ticks) = (self.offset, vec![], vec![]);
        match *step {
            Step::Pay(tenant, count) => {
                let types = EventTypes::builtin();
                let (event_type, rows) = payments(&types, &format!("p{offset}"), count);
                let mut history = self.history.0.lock().unwrap();
                let kept = stored(&event_type, &rows, &vec![r#"{"lot":"7"}"#; count]);
                history.add(Tenant(tenant), &event_type, offset, kept);
                let tenants = vec![tenant; count].into();
                events.push(EventBatch { event_type, tenants, rows, extra: None });
            }
            Step::Day(tenant, day) => {
                // Around the day on which all was paid.
                let today = NaiveDate::from_ymd_opt(2024, 10, 2).unwrap() + Days::new(day);
                ticks.push(Tick { tenant: Tenant(tenant), today });
            }
            Step::Switch(tenant) => self.hidden[tenant as usize] ^= true,
            Step::Register(tenant) => {
                let fields = &mut self.fields[tenant as usize];
                *fields += 1;
                let field =
                    |n| Field { name: format!("f{n}"), kind: FieldType::Int, optional: true };
                let fields = (0..*fields).map(field).collect();
                let owner = Some(Tenant(tenant));
                self.registry.put(EventType::owned(owner, "shop.sold", fields));
            }
            Step::Declare(tenant, place) => {
                let kind = [None, Some(FieldType::Text), Some(FieldType::Int)][place];
                let field = |kind| Field { name: "lot".to_owned(), kind, optional: true };
                let fields =
                    kind.map(|kind| ("invoicing.payment_received".to_owned(), vec![field(kind)]));
                self.registry.declare(Tenant(tenant), fields.into_iter().collect());
            }
            Step::Ask(..) => {}
        }
        if !events.is_empty() || !ticks.is_empty() {
            self.partition.apply(Input { events, ticks, offset });
        }
    }

    fn snapshot(&self, tenant: u32) -> Arc<TenantSnapshot> {
        let snapshot = self.partition.readers().snapshot(Tenant(tenant));
        if !self.hidden[tenant as usize] {
            return snapshot;
        }
        let mut hidden = Hidden::modules(["shop".to_owned()]);
        hidden.add_view("other_paid", "shop");
        Arc::new(snapshot.hiding(Arc::new(hidden)))
    }
}

async fn asked(
    queries: &Queries,
    snapshot: Arc<TenantSnapshot>,
    query: usize,
    param: usize,
) -> Result<Value, QueryError> {
    let (sql, params) = match ASKED.get(query) {
        Some(sql) => (*sql, vec![]),
        None => (WITH_PARAMS, vec![json!(["p1-0", "p3", "p9-1"][param])]),
    };
    support::json(queries.run(snapshot, sql, params).await?).await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens between two questions, what is kept says what would be computed.
    #[test]
    fn what_is_kept_is_what_would_be_computed(
        steps in proptest::collection::vec(step(), 1..50)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut firms = Firms::new();
            let with = |limits| {
                Queries::new(firms.registry.clone(), firms.history.clone(), limits).unwrap()
            };
            let keeping = with(QueryLimits::default());
            let forgetting = with(QueryLimits { total_cache_bytes: 0, ..QueryLimits::default() });
            for step in steps {
                if let Step::Ask(tenant, query, param) = step {
                    let snapshot = firms.snapshot(tenant);
                    let expected = asked(&forgetting, snapshot.clone(), query, param).await;
                    for _ in 0..2 {
                        let kept = asked(&keeping, snapshot.clone(), query, param).await;
                        assert_eq!(kept, expected, "{:?}", ASKED.get(query));
                    }
                } else {
                    firms.change(&step);
                }
            }
        });
    }
}
