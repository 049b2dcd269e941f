//! What commands do to a connection: its transaction, settings, statements and cursors.

use arrow::datatypes::Schema;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answers::{Formats, Transaction, texts};
use super::commands::{Command, Discarded};
use super::failure::Failure;
use super::prepared::Portal;
use super::session::{Session, Stop, work};

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Session<R, W> {
    /// Tells the columns of what a command shows.
    pub(super) async fn describe_command(
        &mut self,
        command: &Command,
        formats: &Formats,
    ) -> Result<(), Stop> {
        match command {
            Command::Show(name) => {
                let (name, _) = self.shown(name)?;
                let schema = texts(&[name]);
                self.outlet.columns(&schema, formats);
            }
            Command::ShowAll => self.outlet.columns(&all_settings(), formats),
            Command::Fetch { cursor, .. } => {
                let mut portal = self.held.take(cursor)?;
                let schema = self.columns(&mut portal).await?;
                self.held.keep(cursor, portal)?;
                self.outlet.columns(&schema, formats);
            }
            _ => self.outlet.no_rows(),
        }
        Ok(())
    }

    /// Does what a command says.
    pub(super) async fn obey(&mut self, command: Command, formats: &Formats) -> Result<(), Stop> {
        let tag = match command {
            Command::Begin => {
                self.transaction = Transaction::Open;
                "BEGIN".to_owned()
            }
            Command::Commit | Command::Rollback => {
                let has_failed = self.transaction == Transaction::Failed;
                self.transaction = Transaction::None;
                self.held.close_portals();
                let is_commit = command == Command::Commit && !has_failed;
                if is_commit { "COMMIT" } else { "ROLLBACK" }.to_owned()
            }
            Command::Noted(tag) => {
                if tag == "ROLLBACK" && self.transaction == Transaction::Failed {
                    self.transaction = Transaction::Open;
                }
                tag.to_owned()
            }
            Command::Set { name, value } => {
                self.set(&name, value.as_deref())?;
                if value.is_some() { "SET" } else { "RESET" }.to_owned()
            }
            Command::ResetAll => {
                self.reset();
                "RESET".to_owned()
            }
            Command::Show(name) => {
                let (_, value) = self.shown(&name)?;
                let value = value.to_owned();
                self.outlet.texts(&[&value]);
                "SHOW".to_owned()
            }
            Command::ShowAll => {
                for (name, value) in self.settings.all() {
                    self.outlet.texts(&[name, value, ""]);
                }
                "SHOW".to_owned()
            }
            Command::Discard(what) => {
                if what == Discarded::All {
                    self.held.close_statements();
                    self.held.close_portals();
                    self.reset();
                }
                "DISCARD ALL".to_owned()
            }
            Command::Deallocate(None) => {
                self.held.close_statements();
                "DEALLOCATE ALL".to_owned()
            }
            Command::Deallocate(Some(name)) => {
                self.held.statement(&name)?;
                self.held.close_statement(&name);
                "DEALLOCATE".to_owned()
            }
            Command::Declare { cursor, sql } => {
                if self.transaction == Transaction::None {
                    let message = "a cursor lasts as long as a transaction: BEGIN one before";
                    return Err(Failure::new("25P01", message).into());
                }
                let portal = Portal::new(work(&sql)?, Vec::new(), Formats::default());
                self.held.bind(&cursor, portal)?;
                "DECLARE CURSOR".to_owned()
            }
            Command::Fetch { cursor, rows } => {
                let mut portal = self.held.take(&cursor)?;
                portal.formats = formats.clone();
                let sent = self.send(&mut portal, rows).await?;
                self.held.keep(&cursor, portal)?;
                format!("FETCH {sent}")
            }
            Command::Close(None) => {
                self.held.close_portals();
                "CLOSE CURSOR ALL".to_owned()
            }
            Command::Close(Some(cursor)) => {
                self.held.take(&cursor)?;
                "CLOSE CURSOR".to_owned()
            }
            Command::Unlisten => "UNLISTEN".to_owned(),
        };
        self.outlet.complete(&tag);
        Ok(())
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Failure> {
        if let Some((name, value)) = self.settings.set(name, value)? {
            self.outlet.setting(name, &value);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.settings.reset();
        for (name, value) in self.settings.told() {
            self.outlet.setting(name, value);
        }
    }

    fn shown(&self, name: &str) -> Result<(&str, &str), Failure> {
        let unknown = || Failure::new("42704", format!("there is no setting '{name}'"));
        self.settings.get(name).ok_or_else(unknown)
    }
}

fn all_settings() -> Schema {
    texts(&["name", "setting", "description"])
}
