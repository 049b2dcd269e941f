//! What a newer version would do, as it is told.

use chrono::SecondsFormat;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tenancy::templates::Template;
use tenancy::templates::merge::{Conflict, Path};
use tenancy::templates::parts::{Part, PartKind, PartState};
use tenancy::{GivenTemplate, hex};
use utoipa::ToSchema;

/// A tenant's template: what it was given, and what taking the newest version over would do.
#[derive(Serialize, ToSchema)]
#[schema(as = TenantTemplate)]
pub(crate) struct Outlook {
    /// The template's name.
    vertical: String,
    /// Its name for people.
    title: String,
    /// The version that the tenant was given; null: none, or before that was remembered.
    version: Option<u64>,
    /// The version that is there.
    newest: u64,
    /// Whether there is something to take over.
    pub(super) is_newer: bool,
    /// When it was given that version.
    #[schema(format = DateTime)]
    given_at: Option<String>,
    /// Each module, dashboard, report and rule of either version, and the reference data that are new.
    parts: Vec<ToldPart>,
    /// What both have changed, and not to the same.
    conflicts: Vec<Conflict>,
}

/// A module, a dashboard, a report, a rule or a fact of a template.
#[derive(Serialize, ToSchema)]
#[schema(as = TemplatePart)]
struct ToldPart {
    /// By which all of it is settled.
    #[schema(value_type = String)]
    path: Path,
    /// What it is.
    kind: PartKind,
    /// By which the tenant reads it, where it is there: of reference data the event's id.
    id: String,
    /// Its name for people: that of the tenant's, where it is there.
    title: String,
    /// What has become of it.
    state: PartState,
    /// How many of the conflicts are about it.
    conflicts: usize,
}

impl Outlook {
    pub(super) fn of(
        given: Option<&GivenTemplate>,
        theirs: &Template,
        is_newer: bool,
        parts: &[Part],
        title: impl Fn(&Part) -> String,
    ) -> Self {
        let told = |part: &Part| ToldPart {
            path: part.path.clone(),
            kind: part.kind,
            id: match part.kind {
                PartKind::Module => part.id.clone(),
                PartKind::Event => theirs.event_id(&part.id),
                PartKind::Dashboard | PartKind::Report | PartKind::AlertRule => {
                    theirs.part_id(&part.id)
                }
            },
            title: title(part),
            state: part.state,
            conflicts: part.conflicts.len(),
        };
        let instant =
            |given: &GivenTemplate| given.given_at.to_rfc3339_opts(SecondsFormat::Micros, true);
        Self {
            vertical: theirs.vertical.clone(),
            title: theirs.title.clone(),
            version: given.map(|given| given.template.version),
            newest: theirs.version,
            is_newer,
            given_at: given.map(instant),
            parts: parts.iter().map(told).collect(),
            conflicts: parts.iter().flat_map(|part| part.conflicts.clone()).collect(),
        }
    }

    /// Its tag: another for whatever is told otherwise.
    pub(crate) fn tag(&self) -> Result<String, serde_json::Error> {
        let digest = Sha256::digest(serde_json::to_vec(self)?);
        Ok(format!("\"{}\"", hex(&digest)))
    }
}
