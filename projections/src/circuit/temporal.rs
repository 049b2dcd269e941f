//! Projections and filters that read the tenant's date.
//!
//! They keep the rows they were given, by tenant. When the date changes they are evaluated again
//! for that tenant and only the rows whose outcome differs are put out.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;

use super::evaluate::{Expressions, matching};
use super::{Operator, Step};
use crate::change::{RowCodec, batch};
use crate::clock::{TODAY, epoch_days};
use crate::{Change, RuntimeError, Tenant};

/// What is evaluated; the last column it reads is the date.
pub(crate) enum Temporal {
    /// New columns.
    Project(Expressions, State),
    /// A condition.
    Filter(Arc<dyn PhysicalExpr>, State),
}

/// The rows of each tenant, and the date they were last evaluated for.
pub(crate) struct State {
    codec: RowCodec,
    /// The columns of the input and the date.
    schema: SchemaRef,
    tenants: HashMap<Tenant, TenantRows>,
}

#[derive(Default)]
struct TenantRows {
    today: Option<i32>,
    rows: HashMap<Box<[u8]>, i64>,
}

/// The schema of an input with the tenant's date as its last column.
pub(crate) fn with_today(input: &Schema) -> SchemaRef {
    let mut fields: Vec<_> = input.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(TODAY, DataType::Date32, true)));
    Arc::new(Schema::new(fields))
}

impl State {
    /// No rows of `input`.
    pub(crate) fn new(input: &Schema) -> Result<Self, RuntimeError> {
        let (codec, schema) = (RowCodec::new(input)?, with_today(input));
        Ok(Self { codec, schema, tenants: HashMap::new() })
    }

    fn today(&self, tenant: Tenant) -> Option<i32> {
        self.tenants.get(&tenant).and_then(|rows| rows.today)
    }

    /// The rows with the date of each.
    fn dated(&self, rows: &RecordBatch, dates: Date32Array) -> Result<RecordBatch, RuntimeError> {
        let mut columns = rows.columns().to_vec();
        let length = dates.len();
        columns.push(Arc::new(dates) as ArrayRef);
        Ok(batch(self.schema.clone(), columns, length)?)
    }

    /// All rows kept for a tenant.
    fn kept(&self, tenant: Tenant) -> Result<Option<Change>, RuntimeError> {
        let Some(kept) = self.tenants.get(&tenant).filter(|kept| !kept.rows.is_empty()) else {
            return Ok(None);
        };
        let (rows, weights): (Vec<&[u8]>, Vec<i64>) =
            kept.rows.iter().map(|(row, weight)| (row.as_ref(), *weight)).unzip();
        Ok(Some(self.codec.decode_change(rows, weights)?))
    }

    fn keep(&mut self, change: &Change) -> Result<(), RuntimeError> {
        let rows = self.codec.encode(&change.tenants, change.rows.columns())?;
        for (i, weight) in change.weights.values().iter().enumerate() {
            let kept = self.tenants.entry(Tenant(change.tenants.value(i))).or_default();
            let row = rows.row(i).data();
            if let Some(sum) = kept.rows.get_mut(row) {
                *sum += weight;
                if *sum == 0 {
                    kept.rows.remove(row);
                }
            } else {
                kept.rows.insert(row.into(), *weight);
            }
        }
        Ok(())
    }
}

impl Temporal {
    fn state(&self) -> &State {
        match self {
            Self::Project(_, state) | Self::Filter(_, state) => state,
        }
    }

    fn state_mut(&mut self) -> &mut State {
        match self {
            Self::Project(_, state) | Self::Filter(_, state) => state,
        }
    }

    /// The outcome for rows that come or go, each with its date.
    fn outcome(&self, change: &Change, dates: Date32Array) -> Result<Change, RuntimeError> {
        let dated = self.state().dated(&change.rows, dates)?;
        match self {
            Self::Project(expressions, _) => Ok(change.with_rows(expressions.evaluate(&dated)?)),
            Self::Filter(predicate, _) => {
                Ok(change.filter(&matching(predicate.as_ref(), &dated)?)?)
            }
        }
    }

    /// What differs for rows that stay while the date goes from `old` to `new`.
    fn difference(
        &self,
        kept: &Change,
        old: Option<i32>,
        new: Option<i32>,
    ) -> Result<Vec<Change>, RuntimeError> {
        let dates =
            |day: Option<i32>| std::iter::repeat_n(day, kept.len()).collect::<Date32Array>();
        let before = self.state().dated(&kept.rows, dates(old))?;
        let after = self.state().dated(&kept.rows, dates(new))?;
        let minus = |change: &Change| -> Change {
            let weights: Int64Array = change.weights.values().iter().map(|w| -w).collect();
            Change::new(change.tenants.clone(), change.rows.clone(), weights)
        };
        match self {
            Self::Project(expressions, _) => {
                let (before, after) =
                    (expressions.evaluate(&before)?, expressions.evaluate(&after)?);
                let codec = RowCodec::new(expressions.schema())?;
                let old_rows = codec.encode(&kept.tenants, before.columns())?;
                let new_rows = codec.encode(&kept.tenants, after.columns())?;
                let differs: BooleanArray =
                    old_rows.iter().zip(new_rows.iter()).map(|(a, b)| Some(a != b)).collect();
                let gone = kept.with_rows(before).filter(&differs)?;
                Ok(vec![minus(&gone), kept.with_rows(after).filter(&differs)?])
            }
            Self::Filter(predicate, _) => {
                let (before, after) =
                    (matching(predicate.as_ref(), &before)?, matching(predicate.as_ref(), &after)?);
                let gone = kept.filter(&arrow::compute::and_not(&before, &after)?)?;
                let come = kept.filter(&arrow::compute::and_not(&after, &before)?)?;
                Ok(vec![minus(&gone), come])
            }
        }
    }
}

impl Operator for Temporal {
    fn step(&mut self, step: &Step<'_>) -> Result<Change, RuntimeError> {
        let change = &step.inputs[0];
        let new: HashMap<Tenant, i32> =
            step.ticks.iter().map(|tick| (tick.tenant, epoch_days(tick.today))).collect();
        let mut parts = Vec::new();
        for (tenant, day) in &new {
            let old = self.state().today(*tenant);
            if old == Some(*day) {
                continue;
            }
            if let Some(kept) = self.state().kept(*tenant)? {
                parts.extend(self.difference(&kept, old, Some(*day))?);
            }
        }
        if !change.is_empty() {
            let date = |tenant: &u32| {
                let tenant = Tenant(*tenant);
                new.get(&tenant).copied().or_else(|| self.state().today(tenant))
            };
            let dates: Date32Array = change.tenants.values().iter().map(date).collect();
            parts.push(self.outcome(change, dates)?);
        }
        let schema = match self {
            Self::Project(expressions, _) => expressions.schema().clone(),
            Self::Filter(..) => change.rows.schema(),
        };
        let output = Change::concat(&schema, &parts)?;
        self.state_mut().keep(change)?;
        for (tenant, day) in new {
            self.state_mut().tenants.entry(tenant).or_default().today = Some(day);
        }
        Ok(output)
    }

    fn reads_clock(&self) -> bool {
        true
    }
}
