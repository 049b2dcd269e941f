//! What a setting is: its key, what it holds, and how it is set from text and shown.

mod table;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;

use chrono::NaiveDate;
use ingest::objects::{Address, ObjectsError};
use tenancy::Secret;

pub(super) use self::table::SETTINGS;
use self::values::count;
use super::Config;

/// One setting.
pub(super) struct Setting {
    /// Its key in the file; its variable follows from it.
    pub(super) key: &'static str,
    /// What it holds, and how it gets into the configuration.
    pub(super) set: Set,
    /// Its value for a reader, secrets masked.
    pub(super) show: fn(&Config) -> String,
    /// Whether it is a secret, which may be given as a file.
    pub(super) secret: bool,
}

/// What a setting holds.
pub(super) enum Set {
    /// `host:port`, both as numbers.
    Address(fn(&mut Config, SocketAddr)),
    /// A folder.
    Folder(fn(&mut Config, PathBuf)),
    /// The address of an object store.
    Objects(fn(&mut Config, Address)),
    /// A key of 32 bytes or more.
    Key(fn(&mut Config, Secret)),
    /// A whole number, at least 1.
    Count(fn(&mut Config, u64)),
    /// A calendar date.
    Date(fn(&mut Config, NaiveDate)),
    /// A text, or why it cannot be that.
    Text(fn(&mut Config, &str) -> Result<(), String>),
}

impl Setting {
    /// Sets it from text, or says what is expected.
    pub(super) fn assign(&self, config: &mut Config, value: &str) -> Result<(), String> {
        match self.set {
            Set::Address(set) => set(
                config,
                value.parse().map_err(|_| {
                    format!(
                        "`{value}` is no address; expected one like 127.0.0.1:8080 or [::]:8080"
                    )
                })?,
            ),
            Set::Folder(_) if value.is_empty() => {
                return Err(String::from("the name of a folder is expected"));
            }
            Set::Folder(set) => set(config, PathBuf::from(value)),
            Set::Objects(set) => {
                set(config, value.parse().map_err(|error: ObjectsError| error.to_string())?);
            }
            Set::Key(set) => set(config, Secret::new(value).map_err(|error| error.to_string())?),
            Set::Count(set) => set(config, count(value)?),
            Set::Date(set) => set(
                config,
                value
                    .parse()
                    .map_err(|_| format!("`{value}` is no date; expected one like 1900-01-01"))?,
            ),
            Set::Text(_) if value.is_empty() => return Err(String::from("a text is expected")),
            Set::Text(set) => set(config, value)?,
        }
        Ok(())
    }
}
