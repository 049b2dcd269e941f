//! Every refusal of the interface as a problem document (RFC 9457): one function each, so that
//! types, statuses and words are in one place.

mod alerts;
mod caller;
mod dashboards;
mod fields;
mod reads;
mod reports;
mod request;
mod service;
mod templates;
mod writes;

pub(super) use self::alerts::*;
pub(super) use self::caller::*;
pub(super) use self::dashboards::*;
pub(super) use self::fields::*;
pub(super) use self::reads::*;
pub(crate) use self::reads::{query, unfollowed_query};
pub(super) use self::reports::*;
pub(super) use self::request::*;
use self::service::failed;
pub(super) use self::service::*;
pub(super) use self::templates::*;
pub(super) use self::writes::*;

/// What of a caller's own text is given back to it.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
