//! Where queries compute: on threads of their own, and in turns once they are long.

use std::sync::{Arc, Mutex};
use std::thread;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use projections::{EventType, EventTypes, Tenant};
use query::{History, Queries, QueryLimits};
use serde_json::json;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::support::{self, ACME, MemoryHistory, payments, snapshot, world};

/// The threads and runtimes in which history was read.
type Places = Arc<Mutex<Vec<(Option<String>, RuntimeFlavor)>>>;

/// History that notes where it is read.
struct Noting {
    history: MemoryHistory,
    places: Places,
}

impl History for Noting {
    fn scan(
        &self,
        tenant: Tenant,
        event_type: &Arc<EventType>,
        up_to: u64,
        columns: Option<Vec<usize>>,
    ) -> SendableRecordBatchStream {
        let mut batches = self.history.scan(tenant, event_type, up_to, columns);
        let (schema, places) = (batches.schema(), self.places.clone());
        let noted = stream::poll_fn(move |context| {
            let name = thread::current().name().map(str::to_owned);
            places.lock().unwrap().push((name, Handle::current().runtime_flavor()));
            batches.poll_next_unpin(context)
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, noted))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_query_is_on_its_thread_and_history_in_the_runtime_of_who_asked() {
    let types = EventTypes::builtin();
    let (payment, rows) = payments(&types, "acme", 3);
    let (mut history, places) = (MemoryHistory::default(), Places::default());
    history.add(ACME, &payment, 0, rows);
    let noting = Noting { history, places: places.clone() };
    let queries = Queries::new(types, Arc::new(noting), QueryLimits::default()).unwrap();
    let paid = "SELECT payment_id FROM events.\"invoicing.payment_received\"";
    for sql in [
        format!("SELECT count(*) FROM ({paid} UNION ALL {paid})"),
        format!("SELECT payment_id FROM ({paid} UNION ALL {paid}) ORDER BY payment_id DESC"),
        format!("SELECT count(*) FROM ({paid}) a JOIN ({paid}) b ON a.payment_id < b.payment_id"),
    ] {
        let answer = queries.run(snapshot(ACME, vec![]), &sql, vec![]).await.unwrap();
        support::json(answer).await.unwrap();
        let places = std::mem::take(&mut *places.lock().unwrap());
        assert!(!places.is_empty(), "{sql}");
        for place in places {
            assert_eq!(place, (Some("query".to_owned()), RuntimeFlavor::MultiThread), "{sql}");
        }
    }
}

/// SQL so long that it needs a lane from its beginning.
fn long(sql: &str) -> String {
    format!("{sql} /* {} */", "long ".repeat(4_000))
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_that_find_nothing_leave_another_tenant_its_turns() {
    // More than there are lanes.
    let many = thread::available_parallelism().map_or(2, usize::from) + 1;
    let limits = QueryLimits { seconds: 600, concurrent: many, ..QueryLimits::default() };
    let world = world(QueryLimits { total_concurrent: many + 1, ..limits });
    let bomb = long(
        "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b \
         ON a.value + b.value < 0",
    );
    let bombs = futures::future::select_all((0..many).map(|_| Box::pin(world.ask(&bomb))));
    let others = async {
        for n in 0..20 {
            let sql = long(&format!("SELECT count(*), {n} FROM balances"));
            let answer = world.queries.run(world.other.clone(), &sql, vec![]).await.unwrap();
            assert_eq!(support::json(answer).await.unwrap()["rows"], json!([[4, n]]));
        }
    };
    tokio::select! {
        biased;
        (ended, ..) = bombs => panic!("it would take hours: {ended:?}"),
        () = others => {}
    }
}
