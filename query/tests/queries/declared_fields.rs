//! Fields that tenants have declared beside those of a type, as columns of its events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use datafusion::execution::SendableRecordBatchStream;
use projections::events::{Field, FieldType};
use projections::{EventRegistry, EventType, EventTypes, Tenant};
use query::{History, Queries, QueryError, QueryLimits};
use serde_json::{Value, json};

use crate::support::{self, ACME, MemoryHistory, OTHER, payments, snapshot, stored};

const PAID: &str = "invoicing.payment_received";

/// History that notes which columns are read.
struct Noting {
    history: MemoryHistory,
    read: Arc<Mutex<Vec<Vec<usize>>>>,
}

impl History for Noting {
    fn scan(
        &self,
        tenant: Tenant,
        event_type: &Arc<EventType>,
        up_to: u64,
        columns: Option<Vec<usize>>,
    ) -> SendableRecordBatchStream {
        self.read.lock().unwrap().push(columns.clone().unwrap());
        self.history.scan(tenant, event_type, up_to, columns)
    }
}

/// Two tenants with the same payments.
struct Firms {
    registry: EventRegistry,
    queries: Queries,
    read: Arc<Mutex<Vec<Vec<usize>>>>,
}

impl Firms {
    fn new() -> Self {
        let types = EventTypes::builtin();
        let (payment, rows) = payments(&types, "p", 3);
        let carried = [
            r#"{"lot":"L-1","rate":"0.1","till":7,"Lot":"no"}"#,
            r#"{"lot":12,"rate":0.2000,"till":"eight"}"#,
            r#"{"note":{"lot":"L-9"},"rate":"0.00001"}"#,
        ];
        let rows = stored(&payment, &rows, &carried);
        let (mut history, read) = (MemoryHistory::default(), Arc::default());
        for tenant in [ACME, OTHER] {
            history.add(tenant, &payment, 0, rows.clone());
        }
        let registry = EventRegistry::from(types);
        let noting = Noting { history, read: Arc::clone(&read) };
        let limits = QueryLimits::default();
        let queries = Queries::new(registry.clone(), Arc::new(noting), limits).unwrap();
        Self { registry, queries, read }
    }

    fn declare(&self, tenant: Tenant, fields: &[(&str, FieldType)]) {
        let field =
            |(name, kind): &(&str, _)| Field { name: (*name).into(), kind: *kind, optional: true };
        let fields: Vec<Field> = fields.iter().map(field).collect();
        self.registry.declare(tenant, BTreeMap::from([(PAID.to_owned(), fields)]));
    }

    async fn ask(&self, tenant: Tenant, sql: &str) -> Result<Value, QueryError> {
        let sql = sql.replace("paid", &format!("events.\"{PAID}\""));
        let answer = self.queries.run(snapshot(tenant, vec![]), &sql, vec![]).await?;
        support::json(answer).await
    }

    /// The names of the columns behind the type's own.
    async fn declared(&self, tenant: Tenant) -> Vec<String> {
        let answer = self.ask(tenant, "SELECT * FROM paid").await.unwrap();
        let columns = answer["columns"].as_array().unwrap().iter().skip(8);
        columns.map(|column| column["name"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_has_its_own_fields_as_columns_of_the_same_type() {
    let firms = Firms::new();
    firms.declare(ACME, &[("lot", FieldType::Text), ("rate", FieldType::Decimal)]);
    firms.declare(OTHER, &[("till", FieldType::Int), ("lot", FieldType::Int)]);
    assert_eq!(firms.declared(ACME).await, ["lot", "rate"]);
    assert_eq!(firms.declared(OTHER).await, ["till", "lot"]);
    let sql = "SELECT lot, rate FROM paid ORDER BY payment_id";
    let answer = firms.ask(ACME, sql).await.unwrap();
    // What does not fit its type is null.
    let rows = json!([["L-1", "0.1000"], [null, "0.2000"], [null, null]]);
    assert_eq!(answer["rows"], rows);
    let types: Vec<&Value> =
        answer["columns"].as_array().unwrap().iter().map(|column| &column["type"]).collect();
    assert_eq!(types, ["text", "decimal"]);
    let sum = firms.ask(ACME, "SELECT sum(rate), count(lot) FROM paid WHERE rate > 0").await;
    assert_eq!(sum.unwrap()["rows"], json!([["0.3000", 1]]));
    let other = firms.ask(OTHER, "SELECT lot, till FROM paid ORDER BY payment_id").await.unwrap();
    assert_eq!(other["rows"], json!([[null, 7], [12, null], [null, null]]));
    for (tenant, column) in [(ACME, "till"), (OTHER, "rate"), (ACME, "extra"), (OTHER, "note")] {
        let error = firms.ask(tenant, &format!("SELECT {column} FROM paid")).await.unwrap_err();
        assert!(matches!(error, QueryError::Invalid { .. }), "{column}: {error}");
    }
    let listed = "SELECT column_name, data_type FROM information_schema.columns \
                  WHERE table_name = 'invoicing.payment_received' AND ordinal_position > 8";
    let listed = firms.ask(OTHER, listed).await.unwrap();
    let names: Vec<&Value> = listed["rows"].as_array().unwrap().iter().map(|row| &row[0]).collect();
    assert_eq!(names, ["till", "lot"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_is_read_only_where_a_declared_column_is_wanted() {
    let firms = Firms::new();
    firms.declare(ACME, &[("lot", FieldType::Text), ("rate", FieldType::Decimal)]);
    let extra = EventTypes::builtin().get(PAID).unwrap().extra_place();
    for (sql, read) in [
        ("SELECT count(*) FROM paid", vec![0]),
        ("SELECT payment_id FROM paid", vec![3]),
        ("SELECT lot FROM paid", vec![extra]),
        ("SELECT rate, payment_id, lot FROM paid", vec![3, extra]),
        ("SELECT payment_id FROM paid WHERE rate > 0", vec![3, extra]),
        ("SELECT event_id FROM (SELECT * FROM paid)", vec![0]),
    ] {
        firms.read.lock().unwrap().clear();
        firms.ask(ACME, sql).await.unwrap();
        assert_eq!(*firms.read.lock().unwrap(), [read], "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_before_is_forgotten_with_the_fields() {
    let firms = Firms::new();
    let lots = "SELECT lot FROM paid ORDER BY payment_id";
    for _ in 0..2 {
        assert!(firms.ask(ACME, lots).await.is_err());
        assert_eq!(firms.declared(ACME).await, [""; 0]);
    }
    firms.declare(ACME, &[("lot", FieldType::Text)]);
    for _ in 0..2 {
        let rows = firms.ask(ACME, lots).await.unwrap()["rows"].take();
        assert_eq!(rows, json!([["L-1"], [null], [null]]));
        assert_eq!(firms.declared(ACME).await, ["lot"]);
    }
    firms.declare(ACME, &[("lot", FieldType::Decimal), ("till", FieldType::Int)]);
    for _ in 0..2 {
        let rows = firms.ask(ACME, lots).await.unwrap()["rows"].take();
        assert_eq!(rows, json!([[null], ["12.0000"], [null]]));
        assert_eq!(firms.declared(ACME).await, ["lot", "till"]);
    }
    firms.declare(ACME, &[]);
    for _ in 0..2 {
        assert!(firms.ask(ACME, lots).await.is_err());
        assert_eq!(firms.declared(ACME).await, [""; 0]);
    }
}
