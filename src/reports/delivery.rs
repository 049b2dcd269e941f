//! Where a report's files go: e-mail, a webhook, a folder of an object store. What became of an alert
//! goes the same ways, but for the last.

mod email;
mod webhook;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use lettre::Address as Mailbox;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use query::Calendar;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenancy::{Role, TenantRecord};
use utoipa::ToSchema;

use super::Outcome;
use super::definition::{Definition, Wrong};
use super::settings::{ReportSettings, SmtpUrl};

/// Addresses of one e-mail.
const MAX_RECIPIENTS: usize = 20;
/// The shortest secret of a webhook, in bytes.
const SHORTEST_SECRET: usize = 16;
/// The longest text of a target, in bytes.
const MAX_TEXT: usize = 1_000;
/// How long one try may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// What of a file is held while it is copied.
const PART: usize = 8 << 20;

/// Somewhere a report's files go.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[schema(as = NewDelivery)]
pub(crate) enum Target {
    /// A message with the file, or where to find it if it is large.
    Email {
        /// The addresses.
        to: Vec<String>,
        /// Its subject; words in double braces are dates.
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// The role of those who get it: they get what it may see.
        #[serde(default = "analyst", with = "role_name")]
        #[schema(value_type = String)]
        role: Role,
    },
    /// A call that says that the file is there.
    Webhook {
        /// Where to.
        url: String,
        /// With which it is signed: at least 16 bytes. It is never shown; left out where the report
        /// has one for this address.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
    },
    /// A copy of the file below the tenant's folder of `reports.delivery_url`.
    S3 {
        /// Its name there; words in double braces are dates.
        path: String,
    },
}

/// What everybody who may read the report sees of such a place: all but the secret.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[schema(as = Delivery)]
pub(crate) enum ShownTarget {
    /// A message.
    Email {
        /// The addresses.
        to: Vec<String>,
        /// Its subject; null: the service's own.
        subject: Option<String>,
        /// The role of those who get it.
        role: &'static str,
    },
    /// A call.
    Webhook {
        /// Where to.
        url: String,
    },
    /// A copy of the file.
    S3 {
        /// Its name there.
        path: String,
    },
}

impl ShownTarget {
    /// That of a target as it is stored; none if that cannot be read any more.
    pub(crate) fn read(stored: &str) -> Option<Self> {
        serde_json::from_str::<Target>(stored).ok().map(|target| target.told())
    }
}

const fn analyst() -> Role {
    Role::Analyst
}

mod role_name {
    use serde::{Deserialize, Deserializer, Serializer};
    use tenancy::Role;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub(super) fn serialize<S: Serializer>(role: &Role, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(role.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Role, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown().to_string())
    }
}

impl Target {
    /// Checks what does not need the world outside. `refusal` says why those of a role may not get
    /// what is delivered, if they may not.
    pub(crate) fn check(
        &self,
        fiscal_year_starts: u32,
        refusal: impl Fn(Role) -> Option<String>,
    ) -> Result<(), Wrong> {
        let calendar = Calendar::new(chrono::NaiveDate::default(), fiscal_year_starts);
        let words = |field: &str, text: &str| {
            if text.is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control) {
                return Err(Wrong::new(field, format!("a line of text of 1 to {MAX_TEXT} bytes")));
            }
            calendar.expand(text).map_err(|error| Wrong::new(field, error.to_string()))
        };
        match self {
            Self::Email { to, subject, role } => {
                if to.is_empty() || to.len() > MAX_RECIPIENTS {
                    return Err(Wrong::new("to", format!("1 to {MAX_RECIPIENTS} addresses")));
                }
                if let Some(bad) = to.iter().find(|to| to.parse::<Mailbox>().is_err()) {
                    let shown: String = bad.chars().take(80).collect();
                    return Err(Wrong::new("to", format!("'{shown}' is no e-mail address")));
                }
                if let Some(message) = refusal(*role) {
                    return Err(Wrong::new("role", message));
                }
                subject.as_deref().map_or(Ok(()), |text| words("subject", text).map(drop))
            }
            Self::Webhook { url, secret } => {
                let is_web = Url::parse(url).is_ok_and(|url| {
                    let plain = url.username().is_empty() && url.password().is_none();
                    matches!(url.scheme(), "http" | "https") && url.has_host() && plain
                });
                if !is_web || url.len() > MAX_TEXT {
                    let message = "an address that begins with https:// or http://, without a \
                                   password in it";
                    return Err(Wrong::new("url", message));
                }
                let secret = secret.as_deref().unwrap_or_default();
                if !(SHORTEST_SECRET..=MAX_TEXT).contains(&secret.len()) {
                    let message = format!("a text of {SHORTEST_SECRET} to {MAX_TEXT} bytes");
                    return Err(Wrong::new("secret", message));
                }
                Ok(())
            }
            Self::S3 { path } => {
                let path = words("path", path)?;
                let is_inside = |part: &str| !part.is_empty() && part != "." && part != "..";
                if !path.split('/').all(is_inside) || Path::parse(&path).is_err() {
                    let message = "names with / between them, as in `monthly/{{last_month}}.csv`";
                    return Err(Wrong::new("path", message));
                }
                Ok(())
            }
        }
    }

    /// What everybody who may read the report sees of it.
    pub(crate) fn told(&self) -> ShownTarget {
        match self {
            Self::Email { to, subject, role } => {
                ShownTarget::Email { to: to.clone(), subject: subject.clone(), role: role.as_str() }
            }
            Self::Webhook { url, .. } => ShownTarget::Webhook { url: url.clone() },
            Self::S3 { path } => ShownTarget::S3 { path: path.clone() },
        }
    }

    /// The same as JSON.
    pub(crate) fn shown(&self) -> Value {
        json!(self.told())
    }

    /// Takes the secret of a webhook at the same address, where none is given.
    pub(crate) fn keep_secret(&mut self, before: &[Self]) {
        let Self::Webhook { url, secret: secret @ None } = self else { return };
        *secret = before.iter().find_map(|other| match other {
            Self::Webhook { url: same, secret } if same == url => secret.clone(),
            _ => None,
        });
    }
}

/// A file that is to be delivered.
pub(super) struct Delivery<'a> {
    pub(super) tenant: &'a TenantRecord,
    pub(super) report_id: &'a str,
    pub(super) run_id: &'a str,
    pub(super) place: u32,
    pub(super) report: &'a Definition,
    pub(super) outcome: &'a Outcome,
    pub(super) expires_at: DateTime<Utc>,
}

/// Something that is to be told, without a file.
pub(crate) struct Notice {
    /// The same with each try, by which what came twice is known.
    pub(crate) key: String,
    /// The subject of a message.
    pub(crate) subject: String,
    /// Its text.
    pub(crate) text: String,
    /// What a webhook is called with.
    pub(crate) body: Value,
}

/// Why something was not delivered.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Undelivered {
    pub(crate) message: String,
    /// Whether another try may do better.
    pub(crate) may_pass: bool,
}

impl Undelivered {
    fn for_good(message: impl Into<String>) -> Self {
        Self { message: message.into(), may_pass: false }
    }

    fn for_now(message: impl Into<String>) -> Self {
        Self { message: message.into(), may_pass: true }
    }
}

/// What carries files out.
pub(super) struct Carrier {
    settings: ReportSettings,
    /// Through which messages are sent, which may be another than in the settings by now.
    smtp: RwLock<Option<SmtpUrl>>,
    objects: Arc<dyn ObjectStore>,
    /// Where copies go, if anywhere.
    outside: Option<Arc<dyn ObjectStore>>,
}

impl Carrier {
    pub(super) fn new(
        settings: ReportSettings,
        objects: Arc<dyn ObjectStore>,
        outside: Option<Arc<dyn ObjectStore>>,
    ) -> Self {
        let smtp = RwLock::new(settings.smtp.clone());
        Self { settings, smtp, objects, outside }
    }

    /// Sends messages through another server from now on, or through none.
    pub(super) fn replace_smtp(&self, smtp: Option<SmtpUrl>) {
        *self.smtp.write().unwrap_or_else(PoisonError::into_inner) = smtp;
    }

    /// Through which messages are sent, and from whom they are, if they can be sent.
    fn post(&self) -> Option<(SmtpUrl, &str)> {
        let smtp = self.smtp.read().unwrap_or_else(PoisonError::into_inner).clone();
        smtp.map(|smtp| (smtp, self.settings.smtp_from.as_str()))
    }

    /// Sends one message to all of them.
    async fn mail(&self, to: &[String], mail: email::Mail) -> Result<(), Undelivered> {
        let Some((smtp, from)) = self.post() else {
            return Err(Undelivered::for_now("there is no mail server any more: set smtp_url"));
        };
        email::send((&smtp, from), to, mail).await
    }

    /// Whether what a target needs is configured.
    pub(super) fn check(&self, target: &Target) -> Result<(), String> {
        let (needs, is_there) = match target {
            Target::Email { .. } => ("smtp_url", self.post().is_some()),
            Target::Webhook { .. } => return Ok(()),
            Target::S3 { .. } => ("reports.delivery_url", self.outside.is_some()),
        };
        if is_there {
            return Ok(());
        }
        Err(format!("this service is not set up for it: whoever runs it has to set {needs}"))
    }

    /// Delivers a file to a target.
    pub(super) async fn deliver(
        &self,
        delivery: &Delivery<'_>,
        target: &Target,
    ) -> Result<(), Undelivered> {
        self.check(target).map_err(Undelivered::for_good)?;
        let carried = async {
            match target {
                Target::Email { to, subject, role } => {
                    if !delivery.report.is_for(*role) {
                        let message =
                            format!("the role `{role}` does not see what is asked in SQL");
                        return Err(Undelivered::for_good(message));
                    }
                    let attached = self.attached(delivery).await?;
                    if attached.is_none() && *role == Role::Executive {
                        return Err(Undelivered::for_good(
                            "the file is too large for a message, and executives take no files by \
                             link; whoever runs this service can raise limits.reports.attach_bytes",
                        ));
                    }
                    let subject = match subject {
                        Some(subject) => words(delivery, subject)?,
                        None => format!("{}: {}", delivery.tenant.firm(), delivery.report.name),
                    };
                    let mail = email::of_file(&self.settings, delivery, subject, attached);
                    self.mail(to, mail).await
                }
                Target::Webhook { url, secret } => {
                    let key = format!("{}.{}", delivery.run_id, delivery.place);
                    let body = webhook::of_file(&self.settings, delivery);
                    let secret = secret.as_deref().unwrap_or_default();
                    webhook::call(&self.settings, (url, secret), &key, &body).await
                }
                Target::S3 { path } => self.copy(delivery, &words(delivery, path)?).await,
            }
        };
        in_time(carried).await
    }

    /// Tells a target something.
    pub(super) async fn notify(&self, notice: Notice, target: &Target) -> Result<(), Undelivered> {
        self.check(target).map_err(Undelivered::for_good)?;
        let Notice { key, subject, text, body } = notice;
        let told = async {
            match target {
                Target::Email { to, .. } => {
                    let mail = email::Mail { key, subject, text, file: None };
                    self.mail(to, mail).await
                }
                Target::Webhook { url, secret } => {
                    let secret = secret.as_deref().unwrap_or_default();
                    webhook::call(&self.settings, (url, secret), &key, &body).await
                }
                Target::S3 { .. } => {
                    Err(Undelivered::for_good("only files go into a folder of an object store"))
                }
            }
        };
        in_time(told).await
    }

    /// The file, if it is small enough to go with a message.
    async fn attached(&self, delivery: &Delivery<'_>) -> Result<Option<Vec<u8>>, Undelivered> {
        if delivery.outcome.bytes > self.settings.attach_bytes as u64 {
            return Ok(None);
        }
        let found = self.objects.get(&Path::from(delivery.outcome.file.as_str())).await;
        let bytes = found.map_err(|error| unread(&error))?.bytes().await;
        Ok(Some(bytes.map_err(|error| unread(&error))?.to_vec()))
    }

    /// Copies the file below the tenant's folder.
    async fn copy(&self, delivery: &Delivery<'_>, path: &str) -> Result<(), Undelivered> {
        let Some(outside) = &self.outside else { return Ok(()) };
        let to = Path::from(format!("{}/{path}", delivery.tenant.id));
        let found = self.objects.get(&Path::from(delivery.outcome.file.as_str())).await;
        let mut parts = found.map_err(|error| unread(&error))?.into_stream();
        let unwritten = |error: object_store::Error| Undelivered::for_now(format!("{to}: {error}"));
        let upload = outside.put_multipart(&to).await.map_err(unwritten)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        while let Some(part) = parts.next().await {
            let part = match part {
                Ok(part) => part,
                Err(error) => {
                    // What was begun is not left behind.
                    upload.abort().await.map_err(unwritten)?;
                    return Err(unread(&error));
                }
            };
            upload.wait_for_capacity(1).await.map_err(unwritten)?;
            upload.write(&part);
        }
        upload.finish().await.map(drop).map_err(unwritten)
    }
}

/// What came of a try, which may not take for ever.
async fn in_time(
    carried: impl Future<Output = Result<(), Undelivered>>,
) -> Result<(), Undelivered> {
    match tokio::time::timeout(PATIENCE, carried).await {
        Ok(carried) => carried,
        Err(_) => Err(Undelivered::for_now("it took too long")),
    }
}

fn words(delivery: &Delivery<'_>, text: &str) -> Result<String, Undelivered> {
    let calendar = Calendar::new(delivery.outcome.as_of, delivery.report.fiscal_year_starts);
    calendar.expand(text).map_err(|error| Undelivered::for_good(error.to_string()))
}

fn unread(error: &object_store::Error) -> Undelivered {
    match error {
        object_store::Error::NotFound { .. } => {
            Undelivered::for_good("the file has gone meanwhile; run the report again")
        }
        error => Undelivered::for_now(format!("the file cannot be read: {error}")),
    }
}

#[cfg(test)]
#[path = "delivery/tests.rs"]
mod tests;
