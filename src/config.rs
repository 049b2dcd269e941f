//! Configuration: a TOML file, overridden by `TIDEMARK_*` variables, overridden by the command
//! line.
//!
//! In: where to look. Out: a [`Config`] that is checked and complete, or every problem found, each
//! with its place. Invariants: an unknown key in a file is refused, never skipped; a secret is never
//! printed.

mod file;
mod settings;
#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use ingest::{KafkaSettings, SchemaRegistry};
use settings::{SETTINGS, Setting};
use tenancy::{Access, Database, IssuerSettings, Secret};

use crate::alerts::settings::AlertSettings;
use crate::reports::settings::ReportSettings;

/// What the service runs with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The address to listen on; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// The folder of everything that is kept: control store and log.
    pub(crate) data: PathBuf,
    /// Where the control store is, which several nodes may share; a file in the data folder if nobody
    /// says.
    pub(crate) database: Option<Database>,
    /// The same database of PostgreSQL as the role that owns its tables.
    pub(crate) database_owner: Option<Database>,
    /// Connections to the control store at once.
    pub(crate) database_connections: u32,
    /// `host:port` at which other nodes reach this one; where it listens if nobody says.
    pub(crate) advertise: Option<String>,
    /// Where checkpoints and history are kept; a folder in the data folder if nobody says.
    pub(crate) objects: Option<ingest::objects::Address>,
    /// The keys of tokens by HS256: the first signs, all are accepted. Without one, and without an
    /// issuer, the service does not start.
    pub(crate) jwt_secrets: Vec<Secret>,
    /// How far the clocks of whoever signs tokens may differ.
    pub(crate) jwt_leeway: TimeDelta,
    /// The issuer whose tokens are accepted; without an address there is none.
    pub(crate) oidc: IssuerSettings,
    /// What the service shows who it is with; without it, it speaks HTTP without TLS.
    pub(crate) tls: Tls,
    /// The address to listen on for PostgreSQL's protocol; without it, it is not spoken.
    pub(crate) postgres: Option<SocketAddr>,
    /// The key that seals the audit; one in the data folder if nobody says.
    pub(crate) audit_key: Option<Secret>,
    /// The time between two checkpoints, in milliseconds.
    pub(crate) checkpoint_ms: u64,
    /// How Kafka is reached; without brokers the service is embedded.
    pub(crate) kafka: KafkaSettings,
    /// Where the schemas of what comes by Kafka are asked for.
    pub(crate) schema_registry: Option<SchemaRegistry>,
    /// The folder of templates beside the built-in ones, if there is one.
    pub(crate) templates: Option<PathBuf>,
    /// How reports are made and delivered.
    pub(crate) reports: ReportSettings,
    /// How alerts are looked for.
    pub(crate) alerts: AlertSettings,
    /// The bounds.
    pub(crate) limits: Limits,
}

/// A certificate and its key, as PEM.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// The service's certificate, and those between it and the root.
    pub(crate) certificate: Option<String>,
    /// Its private key.
    pub(crate) key: Option<String>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({})", self.certificate.is_some())
    }
}

/// The bounds of every part.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Of bodies and events.
    pub(crate) intake: ingest::Limits,
    /// Of registered event types.
    pub(crate) types: ingest::TypeLimits,
    /// Of queries.
    pub(crate) query: query::QueryLimits,
    /// Of live connections.
    pub(crate) stream: stream::StreamLimits,
    /// Of a tenant's own views.
    pub(crate) views: projections::OwnLimits,
    /// Of what all views of one tenant hold in memory together.
    pub(crate) tenant_bytes: usize,
    /// Of what each tenant and each of its callers may use at a time.
    pub(crate) usage: tenancy::limits::UseLimits,
    /// Of dead letters.
    pub(crate) dead_letters: tenancy::DeadLetterLimits,
    /// Of the connections that one address has without a good token.
    pub(crate) address_connections: usize,
    /// Of dashboards.
    pub(crate) dashboards: tenancy::dashboards::DashboardLimits,
    /// Of the PostgreSQL wire.
    pub(crate) wire: crate::wire::WireLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            intake: ingest::Limits::default(),
            types: ingest::TypeLimits::default(),
            query: query::QueryLimits::default(),
            stream: stream::StreamLimits::default(),
            views: projections::OwnLimits::default(),
            tenant_bytes: 4 << 30,
            usage: tenancy::limits::UseLimits::default(),
            dead_letters: tenancy::DeadLetterLimits { all: 10_000, share: 1_000 },
            address_connections: 5_000,
            dashboards: tenancy::dashboards::DashboardLimits::default(),
            wire: crate::wire::WireLimits::default(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            data: PathBuf::from("data"),
            database: None,
            database_owner: None,
            database_connections: Access::CONNECTIONS,
            advertise: None,
            objects: None,
            jwt_secrets: Vec::new(),
            jwt_leeway: tenancy::LEEWAY,
            oidc: IssuerSettings::default(),
            tls: Tls::default(),
            postgres: None,
            audit_key: None,
            checkpoint_ms: 10_000,
            kafka: KafkaSettings::plain(""),
            schema_registry: None,
            templates: None,
            reports: ReportSettings::default(),
            alerts: AlertSettings::default(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// How the control store is opened.
    pub(crate) fn control_store(&self) -> Access {
        let here = || Database::File(self.data.join("control.db"));
        Access {
            database: self.database.clone().unwrap_or_else(here),
            owner: self.database_owner.clone(),
            connections: self.database_connections,
        }
    }

    /// Where archives are put together before they are kept.
    pub(crate) fn exports(&self) -> PathBuf {
        self.data.join("exports")
    }

    /// Where the queries of people or of reports put what does not fit into their memory.
    pub(crate) fn spill(&self, whose: &str) -> PathBuf {
        self.data.join("spill").join(whose)
    }

    /// Where the files of reports are put together before they are kept.
    pub(crate) fn report_drafts(&self) -> PathBuf {
        self.data.join("reports")
    }

    /// Where checkpoints and history are kept.
    pub(crate) fn objects(&self) -> ingest::objects::Address {
        let here = || ingest::objects::Address::Folder(self.data.join("objects"));
        self.objects.clone().unwrap_or_else(here)
    }

    /// The file of the event log.
    pub(crate) fn log(&self) -> PathBuf {
        self.data.join("log.db")
    }
}

/// Where a value comes from, in words for the reader of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody set it.
    Default,
    /// `file:line:column`.
    File(String),
    /// The variable of that name.
    Variable(String),
    /// The option of that name.
    Option(&'static str),
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => f.write_str(place),
            Self::Variable(name) => f.write_str(name),
            Self::Option(name) => write!(f, "{name} on the command line"),
        }
    }
}

/// All that is wrong with a configuration, one line each.
#[derive(Debug, thiserror::Error)]
#[error("the configuration does not hold:\n  {}", .0.join("\n  "))]
pub(crate) struct ConfigError(pub(crate) Vec<String>);

/// What the command line says over file and variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// `--listen`.
    pub(crate) listen: Option<SocketAddr>,
    /// `--data`.
    pub(crate) data: Option<PathBuf>,
}

/// A configuration, and where each of its values comes from.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The values.
    pub(crate) config: Config,
    /// Variables that begin with `TIDEMARK_` and mean nothing here, with the nearest that does.
    pub(crate) warnings: Vec<String>,
    origins: Vec<Origin>,
}

impl Loaded {
    /// Every setting of this version with its value (secrets masked) and where it comes from.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&'static str, String, &Origin)> {
        SETTINGS
            .iter()
            .zip(&self.origins)
            .map(|(setting, origin)| (setting.key, (setting.show)(&self.config), origin))
    }
}

/// One value as it was found: a key, its text, its place.
#[derive(Clone, Debug)]
struct Found {
    key: String,
    value: String,
    origin: Origin,
}

/// Reads the configuration: `file` if given, then `variables`, then `overrides`.
pub(crate) fn load(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
    overrides: Overrides,
) -> Result<Loaded, ConfigError> {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut loaded = Loaded {
        config: Config::default(),
        warnings: Vec::new(),
        origins: vec![Origin::Default; SETTINGS.len()],
    };
    let from_file = match file {
        Some(path) => file::read(path).unwrap_or_else(|errors| {
            problems.extend(errors);
            Vec::new()
        }),
        None => Vec::new(),
    };
    let from_variables = found_variables(variables, &mut warnings);
    for found in [from_file, from_variables] {
        loaded.take(found, &mut problems);
    }
    if let Some(listen) = overrides.listen {
        loaded.config.listen = listen;
        loaded.mark("listen", &Origin::Option("--listen"));
    }
    if let Some(data) = overrides.data {
        loaded.config.data = data;
        loaded.mark("data", &Origin::Option("--data"));
    }
    loaded.warnings = warnings;
    problems.extend(loaded.lacking());
    if problems.is_empty() { Ok(loaded) } else { Err(ConfigError(problems)) }
}

impl Loaded {
    /// Takes the values of one source. A key and its `_file` are one setting: both at once is an
    /// error within a source, and across sources the later source wins.
    fn take(&mut self, source: Vec<Found>, problems: &mut Vec<String>) {
        let mut given: Vec<(usize, String)> = Vec::new();
        for found in source {
            let Some((index, setting, as_file)) = find(&found.key) else {
                problems.push(unknown_key(&found));
                continue;
            };
            if let Some((_, first)) = given.iter().find(|(i, _)| *i == index) {
                problems.push(format!(
                    "{}: `{}` and `{first}` set the same thing; keep one of them",
                    found.origin, found.key
                ));
                continue;
            }
            given.push((index, found.key.clone()));
            match assign(&mut self.config, setting, as_file, &found.value) {
                Ok(()) => self.origins[index] = found.origin,
                Err(reason) => {
                    problems.push(format!("{}: `{}`: {reason}", found.origin, found.key));
                }
            }
        }
    }

    /// What does not hold without something else.
    fn lacking(&self) -> Vec<String> {
        let Config { oidc, tls, .. } = &self.config;
        let pairs = [
            ("oidc.issuer", !oidc.issuer.is_empty(), "oidc.audience", !oidc.audience.is_empty()),
            ("oidc.client_id", oidc.client.id.is_some(), "oidc.issuer", !oidc.issuer.is_empty()),
            (
                "oidc.platform_client_id",
                oidc.platform_client.id.is_some(),
                "oidc.issuer",
                !oidc.issuer.is_empty(),
            ),
            ("tls.certificate", tls.certificate.is_some(), "tls.key", tls.key.is_some()),
            ("tls.key", tls.key.is_some(), "tls.certificate", tls.certificate.is_some()),
        ];
        let lacking = pairs.into_iter().filter(|(_, has, _, other)| *has && !*other);
        lacking
            .map(|(key, _, other, _)| format!("`{key}` is set without `{other}`; set both"))
            .collect()
    }

    fn mark(&mut self, key: &str, origin: &Origin) {
        for (setting, slot) in SETTINGS.iter().zip(&mut self.origins) {
            if setting.key == key {
                *slot = origin.clone();
            }
        }
    }
}

/// The setting of a key, and whether the key is its `_file` form.
fn find(key: &str) -> Option<(usize, &'static Setting, bool)> {
    let plain = |name: &str| SETTINGS.iter().position(|s| s.key == name);
    if let Some(index) = plain(key) {
        return Some((index, &SETTINGS[index], false));
    }
    let index = plain(key.strip_suffix("_file")?)?;
    SETTINGS[index].secret.then(|| (index, &SETTINGS[index], true))
}

fn assign(
    config: &mut Config,
    setting: &Setting,
    as_file: bool,
    value: &str,
) -> Result<(), String> {
    if !as_file {
        return setting.assign(config, value);
    }
    let text = std::fs::read_to_string(value)
        .map_err(|error| format!("cannot read the secret from {value}: {error}"))?;
    setting.assign(config, text.trim_end_matches(['\r', '\n']))
}

fn unknown_key(found: &Found) -> String {
    let place = &found.origin;
    match nearest(&found.key, SETTINGS.iter().map(|s| s.key)) {
        Some(name) => {
            format!("{place}: there is no setting `{}`; did you mean `{name}`?", found.key)
        }
        None => format!(
            "{place}: there is no setting `{}`; docs/configuration.md lists them",
            found.key
        ),
    }
}

/// The variable of a setting: `kafka.brokers` is `TIDEMARK_KAFKA_BROKERS`.
fn variable_name(key: &str) -> String {
    format!("TIDEMARK_{}", key.replace('.', "_").to_uppercase())
}

/// Variables that begin with `TIDEMARK_` and are read elsewhere than in the configuration.
const OTHER_VARIABLES: [&str; 2] = ["TIDEMARK_TOKEN", "TIDEMARK_LOG"];

/// The settings given as variables. An empty variable counts as not given, as container tools set
/// them so. An unknown one only warns: orchestrators add variables of their own, such as
/// `TIDEMARK_PORT`, for a service of this name.
fn found_variables(
    variables: impl IntoIterator<Item = (String, String)>,
    warnings: &mut Vec<String>,
) -> Vec<Found> {
    let known: Vec<(String, String)> = SETTINGS
        .iter()
        .flat_map(|s| {
            let file = s.secret.then(|| format!("{}_file", s.key));
            std::iter::once(s.key.to_owned()).chain(file)
        })
        .map(|key| (variable_name(&key), key))
        .collect();
    let mut given: Vec<Found> = Vec::new();
    for (name, value) in variables {
        if !name.starts_with("TIDEMARK_") || value.is_empty() {
            continue;
        }
        if let Some((_, key)) = known.iter().find(|(n, _)| *n == name) {
            given.push(Found { key: key.clone(), value, origin: Origin::Variable(name) });
        } else if !OTHER_VARIABLES.contains(&name.as_str()) {
            let near = nearest(&name, known.iter().map(|(n, _)| n.as_str()));
            let hint = near.map_or_else(String::new, |n| format!("; did you mean {n}?"));
            warnings.push(format!("the variable {name} sets nothing{hint}"));
        }
    }
    given.sort_by(|a, b| a.key.cmp(&b.key));
    given
}

/// The candidate that looks most like `name`, if one is close enough to be meant.
fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (name.len() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
