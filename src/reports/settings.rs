//! How reports are made and delivered, and within which bounds.

use std::fmt;

use ingest::objects::Address;
use query::QueryLimits;

/// The address of a mail server, which may hold a password. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SmtpUrl(String);

impl SmtpUrl {
    /// Checks that it is one, `smtp://user:password@host:port` or `smtps://…`; no error repeats it.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let is_one = reqwest::Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "smtp" | "smtps")
                && url.host_str().is_some_and(|h| !h.is_empty())
        });
        let is_usable =
            || lettre::AsyncSmtpTransport::<lettre::Tokio1Executor>::from_url(text).is_ok();
        if is_one && is_usable() {
            return Ok(Self(text.to_owned()));
        }
        Err(String::from(
            "it is no address of a mail server; expected one like smtps://user:password@mail.local or \
             smtp://mail.local:587?tls=required",
        ))
    }

    /// The address itself.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpUrl(…)")
    }
}

/// The settings of reports.
#[derive(Clone, Debug)]
pub(crate) struct ReportSettings {
    /// Through which messages are sent.
    pub(crate) smtp: Option<SmtpUrl>,
    /// From whom they are.
    pub(crate) smtp_from: String,
    /// Where people reach this service.
    pub(crate) public_url: Option<String>,
    /// Where copies of files go, each tenant's into a folder of its own.
    pub(crate) delivery: Option<Address>,
    /// Whether webhooks may lead into private networks.
    pub(crate) private_webhooks: bool,
    /// Reports of a tenant.
    pub(crate) count: usize,
    /// Runs of a tenant that wait or are made at a time.
    pub(crate) queued: usize,
    /// Seconds that one run may take.
    pub(crate) seconds: u64,
    /// Bytes that the operators of one run may hold.
    pub(crate) memory_bytes: usize,
    /// Bytes of one file.
    pub(crate) file_bytes: usize,
    /// Bytes of a file that goes with a message; a larger one stays here.
    pub(crate) attach_bytes: usize,
    /// Days for which an owner of reports counts as there after the last call.
    pub(crate) owner_days: u32,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self {
            smtp: None,
            smtp_from: "Tidemark <tidemark@localhost>".to_owned(),
            public_url: None,
            delivery: None,
            private_webhooks: false,
            count: 200,
            queued: 100,
            seconds: 900,
            memory_bytes: 512 << 20,
            file_bytes: 16 << 30,
            attach_bytes: 10 << 20,
            owner_days: 90,
        }
    }
}

impl ReportSettings {
    /// The bounds of the queries of runs, where those of who asks are these.
    pub(crate) fn query_limits(&self, asked: &QueryLimits) -> QueryLimits {
        QueryLimits {
            seconds: self.seconds,
            memory_bytes: self.memory_bytes,
            total_memory_bytes: 2 * self.memory_bytes,
            rows: usize::MAX,
            // A run is asked for once.
            total_cache_bytes: 0,
            ..asked.clone()
        }
    }

    /// Where a run's file is found.
    pub(super) fn link(&self, run_id: &str) -> String {
        self.link_to(&format!("/v1/exports/{run_id}"))
    }

    /// Where people find what is at this path.
    pub(super) fn link_to(&self, path: &str) -> String {
        let base = self.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
        format!("{base}{path}")
    }
}
