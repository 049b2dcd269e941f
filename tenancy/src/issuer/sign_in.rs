//! Signing in for the page: where a browser is sent, and the token for the code that it comes back
//! with (authorization code with PKCE, RFC 7636).
//!
//! The service and not the page gives the code to the issuer, so that the page speaks with nobody
//! else, issuers need not let its origin in, and a client's secret stays here.

use std::sync::PoisonError;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{body, reason};
use super::{ClientSecret, Issuer, IssuerError, PageClient, shown};

/// The longest code, verifier and address that are passed on, in bytes.
const LONGEST: usize = 4096;

/// Whose account somebody signs in with, which no page mixes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Account {
    /// That of one of a tenant's people.
    #[default]
    Tenant,
    /// That of an operator of the platform.
    Platform,
}

impl Account {
    /// What is said to whoever signs in where this one is asked for, with the other.
    fn other_page(self) -> &'static str {
        match self {
            Self::Tenant => {
                "this account is an operator's, which belongs to no tenant; sign in at /platform, or \
                 with another account"
            }
            Self::Platform => {
                "this account is not an operator's, as it belongs to a tenant; sign in with another \
                 account"
            }
        }
    }
}

/// What a browser needs to ask an issuer for a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SignIn {
    /// The issuer.
    pub issuer: String,
    /// Where the browser is sent.
    pub authorization_endpoint: String,
    /// Where it may be sent to end its session with the issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_session_endpoint: Option<String>,
    /// As whom the page asks.
    pub client_id: String,
    /// What it asks for.
    pub scope: String,
}

/// What an issuer gives for a code. Neither `Debug` nor an error shows the token.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Exchanged {
    /// A token for this service, as a bearer token.
    pub token: String,
}

impl std::fmt::Debug for Exchanged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exchanged(…)")
    }
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// No browser can sign in.
    #[error("the page cannot sign in by an issuer; paste a token instead")]
    NotSet,
    /// What was sent cannot be passed on.
    #[error("`{0}` is missing or too long")]
    Field(&'static str),
    /// The issuer refuses the code.
    #[error("the issuer refuses the sign-in ({0}); sign in again")]
    Refused(String),
    /// It lets somebody in whose account is for the other page.
    #[error("{}", .0.other_page())]
    OtherAccount(Account),
    /// It does not answer, or not as an issuer does.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
}

/// An answer to a code (RFC 6749, 5).
#[derive(Deserialize)]
struct Tokens {
    access_token: Option<String>,
    id_token: Option<String>,
    error: Option<String>,
}

impl Issuer {
    /// What a browser needs to sign in with such an account.
    ///
    /// # Errors
    /// No client is set for the page, or the issuer does not answer.
    pub async fn sign_in(&self, account: Account) -> Result<SignIn, SignInError> {
        let client_id = self.client(account).id.clone().ok_or(SignInError::NotSet)?;
        let metadata = self.endpoints().await?;
        let missing = || self.unreachable("its configuration", "it has no authorization_endpoint");
        let authorization = metadata.authorization_endpoint.ok_or_else(missing)?;
        Ok(SignIn {
            issuer: self.settings().issuer.clone(),
            authorization_endpoint: authorization.into(),
            end_session_endpoint: metadata.end_session_endpoint.map(String::from),
            client_id,
            scope: self.settings().scope.clone(),
        })
    }

    fn client(&self, account: Account) -> &PageClient {
        match account {
            Account::Tenant => &self.settings().client,
            Account::Platform => &self.settings().platform_client,
        }
    }

    /// The secret of a client, as it is now.
    fn secret(&self, account: Account) -> Option<ClientSecret> {
        let secrets = self.inner.secrets.read().unwrap_or_else(PoisonError::into_inner);
        match account {
            Account::Tenant => secrets.tenant.clone(),
            Account::Platform => secrets.platform.clone(),
        }
    }

    /// The token for a code that was given to the page of such an account: the access token if that is
    /// a JWT, else the ID token. Whether it holds here, and for whom, is for the [`crate::Verifier`] to
    /// say.
    ///
    /// # Errors
    /// The issuer refuses the code, or does not answer.
    pub async fn exchange(
        &self,
        account: Account,
        code: &str,
        code_verifier: &str,
        redirect_uri: &str,
    ) -> Result<Exchanged, SignInError> {
        let client_id = self.client(account).id.as_deref().ok_or(SignInError::NotSet)?;
        for (name, value) in
            [("code", code), ("code_verifier", code_verifier), ("redirect_uri", redirect_uri)]
        {
            if value.is_empty() || value.len() > LONGEST {
                return Err(SignInError::Field(name));
            }
        }
        let missing = || self.unreachable("its configuration", "it has no token_endpoint");
        let endpoint = self.endpoints().await?.token_endpoint.ok_or_else(missing)?;
        let secret = self.secret(account);
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", code_verifier),
            ("redirect_uri", redirect_uri),
            ("client_id", client_id),
        ];
        if let Some(ClientSecret(secret)) = &secret {
            fields.push(("client_secret", secret.as_str()));
        }
        let tokens = self.ask_for_tokens(endpoint, &fields).await?;
        let access = tokens.access_token.filter(|token| token.split('.').count() == 3);
        let nothing = || SignInError::Refused(String::from("it gives no token that is a JWT"));
        let token = access.or(tokens.id_token).ok_or_else(nothing)?;
        Ok(Exchanged { token })
    }

    async fn ask_for_tokens(
        &self,
        endpoint: Url,
        fields: &[(&str, &str)],
    ) -> Result<Tokens, SignInError> {
        let failed = |reason: String| self.unreachable("a token", &reason);
        let form = Url::parse_with_params("form:", fields).map_err(|e| failed(e.to_string()))?;
        let answer = self
            .inner
            .client
            .post(endpoint)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form.query().unwrap_or_default().to_owned())
            .send()
            .await
            .map_err(|error| failed(reason(&error)))?;
        let status = answer.status();
        if status.is_server_error() {
            return Err(failed(format!("it answers {status}")).into());
        }
        let body = body(answer).await.map_err(failed)?;
        let tokens: Tokens = serde_json::from_slice(&body)
            .map_err(|error| failed(format!("it answers {status}: {error}")))?;
        match &tokens.error {
            Some(error) => Err(SignInError::Refused(shown(error))),
            None if status.is_success() => Ok(tokens),
            None => Err(SignInError::Refused(status.to_string())),
        }
    }

    /// What it says of itself, from memory if it was asked before.
    async fn endpoints(&self) -> Result<super::Metadata, IssuerError> {
        match self.known() {
            Some(known) => Ok(known.metadata.clone()),
            None => self.metadata().await,
        }
    }
}
