//! Reading what an issuer answers.

use reqwest::{Response, Url};
use serde::de::DeserializeOwned;

use super::{Issuer, IssuerError};

/// The bytes of an answer that are read.
const MOST_BYTES: usize = 512 << 10;

impl Issuer {
    /// The JSON at an address.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        from: Url,
        what: &'static str,
    ) -> Result<T, IssuerError> {
        let failed = |reason: String| self.unreachable(what, &reason);
        let answer = self.inner.client.get(from).send().await;
        let answer = answer.map_err(|error| failed(reason(&error)))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(failed(format!("it answers {status}")));
        }
        let body = body(answer).await.map_err(failed)?;
        serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))
    }
}

/// The whole body of an answer, if it is not too long.
pub(super) async fn body(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| reason(&error))? {
        if body.len() + part.len() > MOST_BYTES {
            return Err(format!("its answer has more than {MOST_BYTES} bytes"));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// The innermost cause, which says more than "error sending request".
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
