//! The query part of an address: every parameter is read by name, and what is left over is
//! refused, so that a misspelt one is not silently without effect.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use stream::Problem;

use super::problems;

/// The parameters of a request, taken one by one.
pub(super) struct Params {
    left: Vec<(String, String)>,
}

impl Params {
    /// The parameters of an address.
    pub(super) fn of(address: &Uri) -> Result<Self, Problem> {
        let Query(left) = Query::try_from_uri(address)
            .map_err(|error| problems::bad_request(&error.body_text()))?;
        Ok(Self { left })
    }

    /// The only value of `name`.
    pub(super) fn one(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut values = self.all(name);
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(problems::parameter(name, "it stands more than once; give it once")),
        }
    }

    /// All values of `name`, in order.
    pub(super) fn all(&mut self, name: &str) -> Vec<String> {
        let (found, left) = std::mem::take(&mut self.left).into_iter().partition(|p| p.0 == name);
        self.left = left;
        let found: Vec<(String, String)> = found;
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// The value of `name` read as a `T`; `expected` says what it should be.
    pub(super) fn parsed<T: FromStr>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let refused = |_| {
            let shown: String = text.chars().take(40).collect();
            problems::parameter(name, &format!("'{shown}' is not {expected}"))
        };
        text.parse().map(Some).map_err(refused)
    }

    /// How many of a list are wanted, from 1 to `most`.
    pub(super) fn limit<T>(&mut self, most: T) -> Result<Option<T>, Problem>
    where
        T: Copy + Display + From<u8> + FromStr + PartialOrd,
    {
        let expected = format!("a number from 1 to {most}");
        match self.parsed::<T>("limit", &expected)? {
            Some(limit) if limit < T::from(1_u8) || limit > most => {
                Err(problems::parameter("limit", &format!("{limit} is not {expected}")))
            }
            limit => Ok(limit),
        }
    }

    /// Refuses what nobody has taken; `known` are the names the call has.
    pub(super) fn finish(self, known: &str) -> Result<(), Problem> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => {
                let shown: String = name.chars().take(40).collect();
                let has =
                    if known.is_empty() { "none".to_owned() } else { format!("only {known}") };
                Err(problems::parameter(&shown, &format!("this call has no such parameter, {has}")))
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.uri)
    }
}

/// The part of the path that a route leaves open.
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| problems::bad_request(&error.body_text()))?;
        Ok(Self(name))
    }
}
