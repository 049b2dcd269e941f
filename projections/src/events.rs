//! Event types and their relations: what a `module.fact` carries, and its columns in SQL.

mod column;
pub mod decimal;
mod declared;
pub mod moment;
mod registry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, StringArray, UInt32Array, new_null_array};
use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use crate::{Hidden, Tenant};

pub use column::{FieldColumn, FieldValue};
pub use declared::declared_columns;
pub use registry::EventRegistry;

/// The columns that every relation of events begins with.
pub const ENVELOPE: [&str; 3] = ["event_id", "occurred_at", "subject"];

/// The one decimal of money, quantities and hours: 34 digits before the point, 4 after it.
pub const DECIMAL: DataType = DataType::Decimal128(38, 4);

/// The type of instants: UTC, microseconds.
pub fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// What a data field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// UTF-8 text without NUL; ids are text.
    Text,
    /// An exact decimal, [`DECIMAL`].
    Decimal,
    /// A calendar date.
    Date,
    /// An instant in UTC, microseconds.
    Timestamp,
    /// A 64-bit whole number.
    Int,
    /// True or false.
    Bool,
}

impl FieldType {
    /// The Arrow type of the field's column.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Decimal => DECIMAL,
            Self::Date => DataType::Date32,
            Self::Timestamp => instant(),
            Self::Int => DataType::Int64,
            Self::Bool => DataType::Boolean,
        }
    }
}

/// One field of an event's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in `data` and its column's name in SQL.
    pub name: String,
    /// What it holds.
    pub kind: FieldType,
    /// Whether it may be absent or null.
    pub optional: bool,
}

/// One event type: its name, whose it is, and the fields of its data; and, as one tenant has it, the
/// fields that this tenant has declared beside them.
#[derive(Debug)]
pub struct EventType {
    name: String,
    owner: Option<Tenant>,
    fields: Vec<Field>,
    relation: SchemaRef,
    declared: Vec<Field>,
    columns: SchemaRef,
}

impl EventType {
    /// A type `module.fact` of all tenants with `fields` in the order of its schema.
    pub fn new(name: impl Into<String>, fields: Vec<Field>) -> Self {
        Self::owned(None, name, fields)
    }

    /// The same of one tenant alone, or of all if there is no `owner`.
    pub fn owned(owner: Option<Tenant>, name: impl Into<String>, fields: Vec<Field>) -> Self {
        let [id, at, subject] = ENVELOPE;
        let mut columns = vec![
            ArrowField::new(id, DataType::Utf8, false),
            ArrowField::new(at, instant(), false),
            ArrowField::new(subject, DataType::Utf8, true),
        ];
        columns.extend(
            fields.iter().map(|f| ArrowField::new(&f.name, f.kind.data_type(), f.optional)),
        );
        let relation = Arc::new(Schema::new(columns));
        let (declared, columns) = (Vec::new(), Arc::clone(&relation));
        Self { name: name.into(), owner, fields, relation, declared, columns }
    }

    /// The same type as a tenant has it that has declared these fields beside its own. Where a column
    /// has the name of one, whatever its capital letters, the column stays and the field is left out.
    #[must_use]
    pub fn declaring(&self, fields: &[Field]) -> Self {
        let mut declared: Vec<Field> = Vec::with_capacity(fields.len());
        for field in fields {
            let is_it = |other: &Field| other.name.eq_ignore_ascii_case(&field.name);
            if self.column(&field.name).is_none() && !declared.iter().any(is_it) {
                declared.push(Field { optional: true, ..field.clone() });
            }
        }
        let mut columns = self.relation.fields().to_vec();
        columns.extend(
            declared.iter().map(|f| Arc::new(ArrowField::new(&f.name, f.kind.data_type(), true))),
        );
        Self {
            name: self.name.clone(),
            owner: self.owner,
            fields: self.fields.clone(),
            relation: Arc::clone(&self.relation),
            declared,
            columns: Arc::new(Schema::new(columns)),
        }
    }

    /// The tenant that alone has this type; none if all have it.
    pub fn owner(&self) -> Option<Tenant> {
        self.owner
    }

    /// `module.fact`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The producing module: what stands before the dot.
    pub fn module(&self) -> &str {
        self.name.split('.').next().unwrap_or(&self.name)
    }

    /// The fields of `data`, in the order of the schema.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// What every tenant has of the columns of `events."<type>"`: `event_id`, `occurred_at`,
    /// `subject`, then the fields.
    pub fn relation(&self) -> &SchemaRef {
        &self.relation
    }

    /// The fields that the tenant has declared beside those of the type.
    pub fn declared(&self) -> &[Field] {
        &self.declared
    }

    /// The columns of `events."<type>"`: those of [`EventType::relation`], then the declared fields.
    pub fn columns(&self) -> &SchemaRef {
        &self.columns
    }

    /// The column of [`EventType::relation`] that has this name, whatever its capital letters.
    pub fn column(&self, name: &str) -> Option<&str> {
        let mut names = self.relation.fields().iter().map(|field| field.name().as_str());
        names.find(|known| known.eq_ignore_ascii_case(name))
    }

    /// Where `extra` stands among the columns that an event is kept with: behind those of the relation
    /// and `source`. It is what the event carried beyond its type, in which the declared fields are.
    pub fn extra_place(&self) -> usize {
        self.relation.fields().len() + 1
    }
}

type Names = BTreeMap<String, Arc<EventType>>;

/// Event types by name, as they are at one moment: all that one tenant has, or those that all have.
///
/// Cheap to clone. A tenant's own type stands before one of all tenants with the same name.
#[derive(Clone, Debug, Default)]
pub struct EventTypes {
    shared: Arc<Names>,
    own: Arc<Names>,
    /// Those of either with fields that the tenant has declared.
    declared: Arc<Names>,
    hidden: Arc<Hidden>,
}

impl EventTypes {
    /// The event types every tenant has from the start.
    pub fn builtin() -> Self {
        let shared = BUILTIN
            .iter()
            .map(|(name, fields)| {
                let fields = fields.split_whitespace().map(builtin_field).collect();
                ((*name).to_owned(), Arc::new(EventType::new(*name, fields)))
            })
            .collect();
        Self { shared: Arc::new(shared), ..Self::default() }
    }

    /// These types and `event_type`, which takes the place of one with its name.
    #[must_use]
    pub fn with(mut self, event_type: EventType) -> Self {
        let names = if event_type.owner.is_some() { &mut self.own } else { &mut self.shared };
        Arc::make_mut(names).insert(event_type.name.clone(), Arc::new(event_type));
        self
    }

    /// The same types without those that are not to be shown.
    #[must_use]
    pub fn hiding(self, hidden: Arc<Hidden>) -> Self {
        Self { hidden, ..self }
    }

    /// The same types without the fields that the tenant has declared.
    #[must_use]
    pub fn undeclared(self) -> Self {
        Self { declared: Arc::default(), ..self }
    }

    /// The module because of which there is no type of that name.
    pub fn hidden(&self, name: &str) -> Option<&str> {
        self.hidden.event_type(name)
    }

    /// The type of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<EventType>> {
        if self.hidden(name).is_some() {
            return None;
        }
        let plain = self.own.get(name).or_else(|| self.shared.get(name))?;
        Some(self.declared.get(name).unwrap_or(plain))
    }

    /// All types, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<EventType>> {
        let covered = |name: &str| self.own.contains_key(name);
        let shared = self.shared.values().filter(|t| !covered(t.name()));
        let all = self.own.values().chain(shared);
        let all = all.map(|plain| self.declared.get(plain.name()).unwrap_or(plain));
        let mut all: Vec<&Arc<EventType>> =
            all.filter(|t| self.hidden(t.name()).is_none()).collect();
        all.sort_unstable_by_key(|t| t.name());
        all.into_iter()
    }
}

/// Events of one type, each a row; the tenants may be many.
#[derive(Clone, Debug)]
pub struct EventBatch {
    /// The type of all its rows.
    pub event_type: Arc<EventType>,
    /// The tenant of each row.
    pub tenants: UInt32Array,
    /// The rows, with the columns of [`EventType::relation`].
    pub rows: RecordBatch,
    /// What each event carried beyond its type, as [`declared_columns`] reads it; none if no event did,
    /// or nobody has declared anything of it.
    pub extra: Option<StringArray>,
}

/// Rows of a relation with the columns of another form of it.
///
/// A type changes only by optional fields at its end: columns that the rows do not have yet are
/// null, and those that `relation` does not have yet are left out.
pub fn fit(rows: &RecordBatch, relation: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let height = rows.num_rows();
    let columns = relation.fields().iter().enumerate().map(|(place, field)| {
        let column = rows.columns().get(place).cloned();
        column.unwrap_or_else(|| new_null_array(field.data_type(), height))
    });
    let options = RecordBatchOptions::new().with_row_count(Some(height));
    RecordBatch::try_new_with_options(Arc::clone(relation), columns.collect(), &options)
}

/// Reads `name`, `name:type` or `name:type?`; text where no type stands.
fn builtin_field(spec: &str) -> Field {
    let (spec, optional) = match spec.strip_suffix('?') {
        Some(rest) => (rest, true),
        None => (spec, false),
    };
    let (name, kind) = spec.split_once(':').unwrap_or((spec, "text"));
    let kind = match kind {
        "decimal" => FieldType::Decimal,
        "date" => FieldType::Date,
        "time" => FieldType::Timestamp,
        "int" => FieldType::Int,
        "bool" => FieldType::Bool,
        _ => FieldType::Text,
    };
    Field { name: name.to_owned(), kind, optional }
}

/// Type and fields, `?` marking an optional one. A missing `currency` becomes the tenant's at
/// intake, so its column is never null although the field is optional.
const BUILTIN: &[(&str, &str)] = &[
    (
        "crm.opportunity_opened",
        "opportunity_id account? owner product? stage amount:decimal? currency? expected_close_date:date?",
    ),
    ("crm.opportunity_stage_changed", "opportunity_id stage amount:decimal?"),
    ("crm.opportunity_closed", "opportunity_id outcome amount:decimal? closed_date:date"),
    ("crm.call_logged", "call_id user_id disposition duration_s:int"),
    (
        "invoicing.invoice_issued",
        "invoice_id customer_id project_id? issue_date:date due_date:date amount:decimal currency?",
    ),
    ("invoicing.payment_received", "payment_id invoice_id amount:decimal currency? paid_on:date"),
    ("invoicing.credit_issued", "credit_id invoice_id amount:decimal currency? issued_on:date"),
    ("invoicing.invoice_voided", "invoice_id reason?"),
    (
        "purchasing.bill_received",
        "bill_id supplier_id project_id? issue_date:date due_date:date amount:decimal currency?",
    ),
    ("purchasing.bill_paid", "payment_id bill_id amount:decimal currency? paid_on:date"),
    (
        "hr.employee_onboarded",
        "employee_id department title? hourly_cost:decimal? weekly_hours:decimal? start_date:date currency?",
    ),
    ("hr.employee_moved", "employee_id department effective_date:date"),
    ("hr.employee_rate_changed", "employee_id hourly_cost:decimal effective_date:date"),
    ("hr.employee_left", "employee_id end_date:date"),
    (
        "hr.time_logged",
        "entry_id employee_id project_id? task_id? work_date:date hours:decimal billable:bool",
    ),
    ("hr.time_corrected", "entry_id hours:decimal"),
    ("hr.payroll_paid", "payroll_id amount:decimal currency? paid_on:date"),
    (
        "inventory.product_added",
        "product_id name sku? category? reorder_point:decimal? standard_cost:decimal?",
    ),
    (
        "inventory.stock_received",
        "movement_id product_id warehouse quantity:decimal unit_cost:decimal purchase_order_id? lot?",
    ),
    (
        "inventory.stock_issued",
        "movement_id product_id warehouse quantity:decimal unit_cost:decimal project_id?",
    ),
    ("inventory.stock_shipped", "movement_id product_id warehouse quantity:decimal order_id?"),
    ("inventory.stock_adjusted", "movement_id product_id warehouse quantity:decimal reason?"),
    (
        "projects.project_created",
        "project_id name customer_id? manager? start_date:date? due_date:date? currency?",
    ),
    ("projects.project_status_changed", "project_id status"),
    ("projects.milestone_reached", "milestone_id project_id name reached_on:date"),
    ("tasks.task_assigned", "task_id user_id title? cadence start_date:date end_date:date?"),
    ("tasks.task_completed", "completion_id task_id user_id completed_on:date"),
    ("tasks.completion_revoked", "completion_id"),
    ("governance.budget_set", "project_id amount:decimal currency? effective_date:date"),
    (
        "governance.expense_recorded",
        "expense_id project_id category? amount:decimal currency? spent_on:date",
    ),
    ("governance.compliance_checked", "check_id project_id? rule passed:bool"),
    (
        "property.maintenance_requested",
        "request_id property_id unit? category? priority? requested_at:time",
    ),
    ("property.maintenance_resolved", "request_id resolved_at:time"),
];
