//! The catalog of one session: one tenant's views and events, and nothing else.
//!
//! It is made anew for each query from the tenant's snapshot, so there is no shared catalog in
//! which another tenant's relation could be found. Nothing can be registered in it.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, SchemaProvider, Session, TableProvider,
};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, TableReference, internal_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::logical_plan::builder::LogicalTableSource;
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_plan::ExecutionPlan;
use projections::{EventTypes, RuntimeError, TenantSnapshot, Unready, ViewSnapshot};

use crate::error::{did_you_mean, nearest};
use crate::history::{EventRelation, History};
use crate::{QueryError, information, postgres};

/// The name of the one catalog.
pub(crate) const CATALOG: &str = "tidemark";
/// The default schema: the views.
pub(crate) const VIEWS: &str = "public";
/// The schema of the event types.
pub(crate) const EVENTS: &str = "events";
/// The schema that lists the others.
pub(crate) const INFORMATION: &str = "information_schema";

/// What one tenant can read at one position.
pub(crate) struct Relations {
    pub(crate) snapshot: Arc<TenantSnapshot>,
    pub(crate) types: EventTypes,
    pub(crate) history: Arc<dyn History>,
}

impl fmt::Debug for Relations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relations")
    }
}

impl Relations {
    /// Calls `see(schema, name, columns)` for every view and every event type.
    pub(crate) fn for_each(&self, mut see: impl FnMut(&str, &str, &Schema)) {
        for view in self.snapshot.views() {
            see(VIEWS, view.view().name(), view.view().schema());
        }
        for event_type in self.types.iter() {
            see(EVENTS, event_type.name(), event_type.columns());
        }
    }

    /// The view of that name.
    fn view(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.snapshot.view(name) {
            Some(view) => Ok(Some(Arc::new(ViewRelation::new(view)?))),
            None => Ok(None),
        }
    }

    /// The events of the type of that name.
    fn events(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        self.types.get(name).map(|event_type| {
            let relation = EventRelation {
                history: self.history.clone(),
                tenant: self.snapshot.tenant(),
                event_type: event_type.clone(),
                up_to: self.snapshot.offset(),
            };
            Arc::new(relation) as Arc<dyn TableProvider>
        })
    }

    /// The plan with empty relations in the place of views and events, so that it holds nothing of
    /// any snapshot. None if it reads anything else.
    pub(crate) fn taken_out(plan: LogicalPlan) -> Result<Option<LogicalPlan>> {
        let mut is_other = false;
        let plan = plan.transform_up_with_subqueries(|node| {
            let mut scan = match node {
                LogicalPlan::TableScan(scan) => scan,
                other => return Ok(Transformed::no(other)),
            };
            let provider = source_as_provider(&scan.source)?;
            if provider.is::<ViewRelation>() || provider.is::<EventRelation>() {
                scan.source = Arc::new(LogicalTableSource::new(provider.schema()));
            } else {
                is_other = true;
            }
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        })?;
        Ok((!is_other).then_some(plan.data))
    }

    /// The reverse: a plan of the same tenant over the views and events as they are here. They must
    /// be defined as they were.
    pub(crate) fn put_in(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|node| {
            let mut scan = match node {
                LogicalPlan::TableScan(scan) => scan,
                other => return Ok(Transformed::no(other)),
            };
            let name = scan.table_name.table();
            let provider = match scan.table_name.schema().unwrap_or(VIEWS) {
                EVENTS => self.events(name),
                _ => self.view(name)?,
            };
            match provider {
                Some(provider) => scan.source = provider_as_source(provider),
                None => return internal_err!("a plan was kept for other relations"),
            }
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        })?;
        Ok(plan.data)
    }

    /// An error that names the nearest relations, unless `reference` names one.
    pub(crate) fn check(&self, reference: &TableReference) -> Result<(), QueryError> {
        let name = reference.table();
        let schema = reference.schema().unwrap_or(VIEWS);
        let known = reference.catalog().is_none_or(|c| c == CATALOG)
            && match schema {
                VIEWS => self.snapshot.view(name).is_some(),
                EVENTS => self.types.get(name).is_some(),
                INFORMATION => information::TABLES.contains(&name),
                postgres::SCHEMA => postgres::is_table(name),
                _ => false,
            };
        if known {
            return Ok(());
        }
        let hiding = match schema {
            VIEWS => self.snapshot.hidden().view(name),
            EVENTS => self.types.hidden(name),
            _ => None,
        };
        if let Some(module) = hiding {
            let (relation, module) = (reference.to_string(), module.to_owned());
            return Err(QueryError::SwitchedOff { relation, module });
        }
        let unready = self.snapshot.unready(name).filter(|_| schema == VIEWS);
        if let Some(Unready { name, failure }) = unready {
            let view = name.clone();
            return Err(match failure {
                None => QueryError::ViewFilling { view },
                Some(RuntimeError { message, .. }) => {
                    QueryError::ViewFailed { view, message: message.clone() }
                }
            });
        }
        let is_event = reference.schema() == Some(EVENTS);
        let shown = |is_event, name: &str| {
            if is_event { format!("events.\"{name}\"") } else { name.to_owned() }
        };
        let mut names = Vec::new();
        self.for_each(|schema, name, _| match (is_event, schema == EVENTS) {
            // Types are compared without what all of them have.
            (true, true) | (false, false) => names.push(name.to_owned()),
            (false, true) => names.push(shown(true, name)),
            (true, false) => {}
        });
        let asked = if is_event { name.to_owned() } else { reference.to_string() };
        let mut near = nearest(&asked, names.iter().map(String::as_str));
        if is_event {
            near.iter_mut().for_each(|name| *name = shown(true, name));
        } else if near.is_empty() && self.types.get(&asked).is_some() {
            // An event type written without its schema and quotes.
            near.push(shown(true, &asked));
        }
        let asked = shown(is_event, &asked);
        Err(QueryError::invalid(format!("there is no relation '{asked}'{}", did_you_mean(&near))))
    }
}

/// The list of catalogs, which has one; that catalog; and its schemas.
#[derive(Clone, Debug)]
pub(crate) struct TenantCatalog(pub(crate) Arc<Relations>);

impl CatalogProviderList for TenantCatalog {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.into()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(self.clone()) as Arc<dyn CatalogProvider>)
    }
}

impl CatalogProvider for TenantCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![VIEWS.into(), EVENTS.into(), INFORMATION.into(), postgres::SCHEMA.into()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let part = match name {
            VIEWS => Part::Views,
            EVENTS => Part::Events,
            INFORMATION => Part::Information,
            postgres::SCHEMA => Part::Postgres,
            _ => return None,
        };
        Some(Arc::new(TenantSchema { part, relations: self.0.clone() }))
    }
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Views,
    Events,
    Information,
    Postgres,
}

#[derive(Debug)]
struct TenantSchema {
    part: Part,
    relations: Arc<Relations>,
}

#[async_trait::async_trait]
impl SchemaProvider for TenantSchema {
    fn table_names(&self) -> Vec<String> {
        let relations = &self.relations;
        match self.part {
            Part::Views => {
                relations.snapshot.views().iter().map(|v| v.view().name().to_owned()).collect()
            }
            Part::Events => relations.types.iter().map(|t| t.name().to_owned()).collect(),
            Part::Information => information::TABLES.map(str::to_owned).to_vec(),
            Part::Postgres => postgres::tables().map(str::to_owned).collect(),
        }
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let relations = &self.relations;
        match self.part {
            Part::Views => relations.view(name),
            Part::Events => Ok(relations.events(name)),
            Part::Information => information::table(name, relations),
            Part::Postgres => postgres::table(name, relations),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|n| n == name)
    }
}

/// A view's rows at one position. The batches are those of the snapshot: decoded once, shared by
/// all queries.
#[derive(Debug)]
struct ViewRelation(ViewSnapshot);

impl ViewRelation {
    fn new(view: &ViewSnapshot) -> Result<Self> {
        check_readable(view).map_err(QueryError::into_datafusion)?;
        Ok(Self(view.clone()))
    }
}

/// An error if the view could not be evaluated.
pub(crate) fn check_readable(view: &ViewSnapshot) -> Result<(), QueryError> {
    match view.failure() {
        Some(failure) => Err(QueryError::ViewFailed {
            view: view.view().name().to_owned(),
            message: failure.message.clone(),
        }),
        None => Ok(()),
    }
}

#[async_trait::async_trait]
impl TableProvider for ViewRelation {
    fn schema(&self) -> SchemaRef {
        self.0.view().schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let batches = self.0.batches().map_err(|failure| {
            QueryError::ViewFailed {
                view: self.0.view().name().to_owned(),
                message: failure.message,
            }
            .into_datafusion()
        })?;
        let rows = MemorySourceConfig::try_new(&[batches], self.schema(), projection.cloned())?
            .with_limit(limit);
        Ok(DataSourceExec::from_data_source(rows))
    }
}
