//! Dashboards of tenants: what each is now, its versions, and who may put what in its place.
//!
//! **In:** names and documents ([`document`]) from those whose role may write dashboards, and what
//! templates give. **Out:** dashboards as they are and were, and why a change is not made.
//!
//! Invariants:
//! - A document is stored only as [`document::parse`] has read it.
//! - A change is made upon the version that its author saw, or not at all, and makes a version of its
//!   own. What was there before is among the versions, of which the newest are kept.
//! - Numbers of versions grow and are given once: an id is never another dashboard's, and one of a
//!   template that was deleted and is brought back goes on counting, so that a number says what a
//!   reader holds.

pub mod document;
mod id;
mod template;

use chrono::{DateTime, Utc};
use serde_json::Value;

use self::document::DocumentError;
pub use self::id::DashboardId;
pub use self::template::of_template;
use crate::store::DashboardChange;
use crate::{Invalid, Store, StoreError};

/// The longest name, in characters.
const MAX_NAME: usize = 200;

/// What a tenant's dashboards may be.
#[derive(Clone, Debug)]
pub struct DashboardLimits {
    /// Dashboards of one tenant.
    pub count: usize,
    /// The largest document, in bytes of JSON.
    pub bytes: usize,
    /// Versions of one dashboard that are kept, the present one among them.
    pub versions: usize,
}

impl Default for DashboardLimits {
    fn default() -> Self {
        Self { count: 200, bytes: 256 << 10, versions: 100 }
    }
}

/// What a dashboard was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The template and the dashboard within it, as `retail/stock`.
    pub template: String,
    /// The version that the template had then.
    pub version: u64,
}

/// What is known of a dashboard without its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its id.
    pub id: DashboardId,
    /// 1, and one more with each change, and with being brought back.
    pub version: u64,
    /// Its name for people.
    pub name: String,
    /// Who has made it what it is, the subject of a token; empty: the template.
    pub changed_by: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was created or changed last.
    pub changed_at: DateTime<Utc>,
    /// What it was made from, if from a template.
    pub origin: Option<Origin>,
}

/// A dashboard as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    /// What is known of it.
    pub head: Head,
    /// What is on it ([`document`]).
    pub document: Value,
    /// The document as its template gave it.
    pub base: Option<Value>,
}

/// What a dashboard was, or is, after one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// 1, 2, 3, …
    pub number: u64,
    /// The dashboard's name then.
    pub name: String,
    /// Who has made it, the subject of a token; empty: the template.
    pub changed_by: String,
    /// When.
    pub changed_at: DateTime<Utc>,
    /// The version that it is again, if it is one.
    pub restored_from: Option<u64>,
}

/// Why something is not done about dashboards.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// A field is not right.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The document is none.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The document is too large.
    #[error("the document has {bytes} bytes, and at most {most} may be; make two dashboards of it")]
    TooLarge {
        /// Its bytes, as they would be stored.
        bytes: usize,
        /// As many as may be.
        most: usize,
    },
    /// There is no such dashboard.
    #[error("there is no dashboard '{0}'; GET /v1/dashboards lists those there are")]
    Unknown(String),
    /// No such version is kept.
    #[error(
        "of the dashboard no version '{0}' is kept; GET /v1/dashboards/{{id}}/versions lists those \
         that are"
    )]
    UnknownVersion(String),
    /// The dashboard is another one than its editor saw: what it is now.
    #[error(
        "the dashboard was changed meanwhile, and has the version {} now; read it again and change \
         what it is now",
        .now.head.version
    )]
    Changed {
        /// It.
        now: Box<Dashboard>,
    },
    /// There is no room for another.
    #[error("there are {0} dashboards, and no more may be; delete one first")]
    Full(usize),
    /// The document cannot be written as JSON.
    #[error("the document cannot be written: {0}")]
    Unwritable(#[from] serde_json::Error),
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a dashboard is to be called, and to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDashboard {
    /// Its name for people: 1–200 characters, no control characters; blanks around it are cut off.
    pub name: String,
    /// What is to be on it.
    pub document: Value,
}

/// The dashboards of all tenants.
#[derive(Clone, Debug)]
pub struct Dashboards {
    store: Store,
    limits: DashboardLimits,
}

impl Dashboards {
    /// Those of a store.
    pub fn new(store: Store, limits: DashboardLimits) -> Self {
        Self { store, limits }
    }

    /// All of a tenant, the oldest first.
    pub async fn list(&self, tenant: u32) -> Result<Vec<Head>, DashboardError> {
        Ok(self.store.dashboards(tenant).await?)
    }

    /// One of a tenant, as it is now.
    pub async fn get(&self, tenant: u32, id: &str) -> Result<Dashboard, DashboardError> {
        let known = known(id)?;
        let found = self.store.dashboard(tenant, &known).await?;
        found.ok_or_else(|| DashboardError::Unknown(known.to_string()))
    }

    /// Makes one, by that subject.
    pub async fn create(
        &self,
        tenant: u32,
        by: &str,
        new: NewDashboard,
    ) -> Result<Dashboard, DashboardError> {
        let NewDashboard { name, document } = self.checked(new)?;
        let now = now();
        let dashboard = Dashboard {
            head: Head {
                id: DashboardId::drawn(),
                version: 1,
                name,
                changed_by: by.to_owned(),
                created_at: now,
                changed_at: now,
                origin: None,
            },
            document,
            base: None,
        };
        let most = self.limits.count;
        if !self.store.create_dashboard(tenant, &dashboard, most).await? {
            return Err(DashboardError::Full(most));
        }
        Ok(dashboard)
    }

    /// Puts another name and document in the place of those of the version that is `expected`, where
    /// one is, by that subject.
    pub async fn replace(
        &self,
        tenant: u32,
        id: &str,
        expected: Option<u64>,
        by: &str,
        new: NewDashboard,
    ) -> Result<Dashboard, DashboardError> {
        let id = known(id)?;
        let NewDashboard { name, document } = self.checked(new)?;
        let by = by.to_owned();
        let change = DashboardChange { name, document, by, at: now(), restored_from: None };
        self.change(tenant, &id, expected, &change).await
    }

    /// Makes a dashboard again what it was after its change of that number, as a new version, by that
    /// subject.
    pub async fn restore(
        &self,
        tenant: u32,
        id: &str,
        number: &str,
        expected: Option<u64>,
        by: &str,
    ) -> Result<Dashboard, DashboardError> {
        let (version, document) = self.version(tenant, id, number).await?;
        let change = DashboardChange {
            name: version.name,
            document,
            by: by.to_owned(),
            at: now(),
            restored_from: Some(version.number),
        };
        self.change(tenant, &known(id)?, expected, &change).await
    }

    /// Deletes one with all of its versions, if it has the version that is `expected`, where one is.
    pub async fn delete(
        &self,
        tenant: u32,
        id: &str,
        expected: Option<u64>,
    ) -> Result<(), DashboardError> {
        let id = known(id)?;
        if self.store.delete_dashboard(tenant, &id, expected).await? {
            return Ok(());
        }
        Err(self.refusal(tenant, &id).await?)
    }

    /// The versions that are kept, the newest first.
    pub async fn versions(&self, tenant: u32, id: &str) -> Result<Vec<Version>, DashboardError> {
        let id = known(id)?;
        let versions = self.store.dashboard_versions(tenant, &id).await?;
        // The present one is always kept.
        if versions.is_empty() {
            return Err(DashboardError::Unknown(id.to_string()));
        }
        Ok(versions)
    }

    /// A version that is kept, with its document.
    pub async fn version(
        &self,
        tenant: u32,
        id: &str,
        number: &str,
    ) -> Result<(Version, Value), DashboardError> {
        let id = known(id)?;
        if let Ok(number) = number.parse()
            && let Some(found) = self.store.dashboard_version(tenant, &id, number).await?
        {
            return Ok(found);
        }
        if self.store.dashboard(tenant, &id).await?.is_none() {
            return Err(DashboardError::Unknown(id.to_string()));
        }
        Err(DashboardError::UnknownVersion(shown(number)))
    }

    async fn change(
        &self,
        tenant: u32,
        id: &DashboardId,
        expected: Option<u64>,
        change: &DashboardChange,
    ) -> Result<Dashboard, DashboardError> {
        let keep = self.limits.versions;
        match self.store.change_dashboard(tenant, id, expected, change, keep).await? {
            Some(dashboard) => Ok(dashboard),
            None => Err(self.refusal(tenant, id).await?),
        }
    }

    /// Why a dashboard was not found as its editor saw it.
    async fn refusal(&self, tenant: u32, id: &DashboardId) -> Result<DashboardError, StoreError> {
        Ok(match self.store.dashboard(tenant, id).await? {
            Some(now) => DashboardError::Changed { now: Box::new(now) },
            None => DashboardError::Unknown(id.to_string()),
        })
    }

    fn checked(&self, new: NewDashboard) -> Result<NewDashboard, DashboardError> {
        let name = name(&new.name)?;
        let document = read(new.document)?;
        let (bytes, most) = (document.to_string().len(), self.limits.bytes);
        if bytes > most {
            return Err(DashboardError::TooLarge { bytes, most });
        }
        Ok(NewDashboard { name, document })
    }
}

/// A document as it is stored.
fn read(document: Value) -> Result<Value, DashboardError> {
    Ok(serde_json::to_value(document::parse(document)?)?)
}

/// Trims, and refuses what is empty, too long or not for display.
fn name(text: &str) -> Result<String, Invalid> {
    let name = text.trim();
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME || name.chars().any(char::is_control) {
        let message = format!("has 1 to {MAX_NAME} characters, and no control characters");
        return Err(Invalid::new("name", message));
    }
    Ok(name.to_owned())
}

/// An id, if the text is one; none is that of no dashboard.
fn known(id: &str) -> Result<DashboardId, DashboardError> {
    id.parse().map_err(|_| DashboardError::Unknown(shown(id)))
}

/// What of a caller's own text is given back to it.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The time as the store gives it back.
fn now() -> DateTime<Utc> {
    whole(Utc::now())
}

/// In whole microseconds.
fn whole(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

#[cfg(test)]
mod tests;
