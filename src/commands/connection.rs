//! The connection of a command to a service: address, token, and what its refusals say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::Failure;

/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest refusal that is read.
const MOST_PROBLEM: usize = 64 << 10;

/// Where the service is, and who asks.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Service {
    /// The address of the service
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The token [default: TIDEMARK_TOKEN]
    #[arg(long, env = "TIDEMARK_TOKEN", hide_env = true)]
    token: Option<String>,
    /// Certificates (PEM) to trust beside those of the system, for an address with https
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// A connection to a service.
#[derive(Clone)]
pub(super) struct Connection {
    base: String,
    token: String,
    http: Client,
}

impl Service {
    /// Checks what was given; nothing is sent yet.
    pub(super) fn connection(self) -> Result<Connection, Failure> {
        let token = self.token.filter(|token| !token.is_empty()).ok_or_else(|| {
            Failure::Usage(String::from(
                "no token; give one with --token or TIDEMARK_TOKEN (`tidemark token` makes one)",
            ))
        })?;
        Connection::new(&self.url, token, self.ca.as_deref())
    }
}

/// The certificates of a file.
fn certificates(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let refused = |why: String| Failure::Usage(format!("--ca {}: {why}", file.display()));
    let pem = std::fs::read(file).map_err(|error| refused(error.to_string()))?;
    Certificate::from_pem_bundle(&pem).map_err(|error| refused(error.to_string()))
}

impl Connection {
    /// A connection to the service at `url`, which by TLS may also show a certificate of `ca`.
    pub(super) fn new(url: &str, token: String, ca: Option<&Path>) -> Result<Self, Failure> {
        let base = url.trim_end_matches('/').to_owned();
        let host = base.strip_prefix("http://").or_else(|| base.strip_prefix("https://"));
        if host.is_none_or(str::is_empty) {
            return Err(Failure::Usage(format!(
                "--url {url}: expected an address like http://127.0.0.1:8080 or https://figures.example.com"
            )));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::Usage(String::from(
                "the token has characters that no token has; is it whole?",
            )));
        }
        let http = Client::builder()
            .tls_certs_merge(ca.map(certificates).transpose()?.unwrap_or_default())
            .connect_timeout(CONNECT)
            .user_agent(concat!("tidemark/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::Failed(format!("cannot make a connection: {error}")))?;
        Ok(Self { base, token, http })
    }

    /// The same service for another token.
    pub(super) fn with_token(&self, token: String) -> Self {
        Self { token, ..self.clone() }
    }

    /// A `GET` of a path.
    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    /// A `POST` to a path.
    pub(super) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    /// What a failed attempt to send says.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Failure::Failed(format!(
            "cannot reach {}: {cause}; does `tidemark serve` run there?",
            self.base
        ))
    }
}

/// A text as a part of a path or query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                for digit in [byte >> 4, byte & 15] {
                    out.extend(
                        char::from_digit(u32::from(digit), 16).map(|c| c.to_ascii_uppercase()),
                    );
                }
            }
        }
    }
    out
}

/// Whether the same call may succeed a little later.
pub(super) fn worth_retrying(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The answer if it is a good one, otherwise what its problem document says.
pub(super) async fn accepted(response: Response) -> Result<Response, Failure> {
    if response.status().is_success() {
        return Ok(response);
    }
    Err(refusal(response).await)
}

/// What a refusal says.
pub(super) async fn refusal(mut response: Response) -> Failure {
    let status = response.status();
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_PROBLEM {
            break;
        }
    }
    Failure::Failed(match serde_json::from_slice::<Value>(&body) {
        Ok(problem) => {
            problem_text(&problem).unwrap_or_else(|| format!("the service answered {status}"))
        }
        Err(_) => format!("the service answered {status}"),
    })
}

/// Title and detail of a problem document.
pub(super) fn problem_text(problem: &Value) -> Option<String> {
    let part = |name: &str| problem.get(name).and_then(Value::as_str);
    match (part("title"), part("detail")) {
        (Some(title), Some(detail)) => Some(format!("{title}: {detail}")),
        (title, detail) => title.or(detail).map(str::to_owned),
    }
}
