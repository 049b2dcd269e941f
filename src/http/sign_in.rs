//! Signing in for the page: with which issuer, and a token for the code that it gives.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use stream::Problem;
use tenancy::SignInError;

use super::{App, body, problems};

/// Sign-ins that wait for the issuer at a time: anybody may ask for one.
pub(super) const AT_ONCE: usize = 32;

/// What a browser needs to ask the issuer for a code; `{"oidc":null}` where it can only be given a
/// token.
pub(super) async fn describe(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let Some(issuer) = app.verifier.issuer() else { return Ok(Json(json!({ "oidc": null }))) };
    let _seat = app.signing_in.try_acquire().map_err(|_| problems::too_many_sign_ins())?;
    match issuer.sign_in().await {
        Ok(sign_in) => Ok(Json(json!({ "oidc": sign_in }))),
        Err(SignInError::NotSet) => Ok(Json(json!({ "oidc": null }))),
        Err(error) => Err(problems::sign_in(&error)),
    }
}

/// What the browser came back with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
    code_verifier: String,
    redirect_uri: String,
}

/// A token for a code.
pub(super) async fn exchange(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<tenancy::Exchanged>, Problem> {
    let issuer = app.verifier.issuer().ok_or_else(|| problems::sign_in(&SignInError::NotSet))?;
    let code: Code = body::json(&headers, body).await?;
    let _seat = app.signing_in.try_acquire().map_err(|_| problems::too_many_sign_ins())?;
    let exchanged = issuer.exchange(&code.code, &code.code_verifier, &code.redirect_uri).await;
    let exchanged = exchanged.map_err(|error| {
        tracing::warn!(%error, "a sign-in failed");
        problems::sign_in(&error)
    })?;
    // What does not hold here would only lead back to the sign-in, without saying why.
    app.identify(&exchanged.token).await?;
    Ok(Json(exchanged))
}
