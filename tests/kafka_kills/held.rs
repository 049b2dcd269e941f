//! What a client holds of a subscription: the snapshot plus all deltas.

use std::collections::BTreeMap;

use serde_json::Value;

/// Rows, as their JSON, with how many times each is there.
pub(crate) type Rows = BTreeMap<String, i64>;

/// The rows of one subscription.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// None before the first snapshot, and after a reset.
    pub(crate) rows: Option<Rows>,
    /// Parts of a snapshot so far.
    parts: Vec<String>,
}

impl Held {
    /// Takes a message; answers which promise it breaks, if it breaks one.
    pub(crate) fn take(&mut self, message: &Value) -> Result<(), String> {
        match message["type"].as_str().unwrap_or_default() {
            "snapshot" => {
                let rows = message["rows"].as_array().ok_or("a snapshot without rows")?;
                self.parts.extend(rows.iter().map(Value::to_string));
                if message["last"] == true {
                    self.rows = Some(counted(std::mem::take(&mut self.parts)));
                }
                Ok(())
            }
            "delta" => self.change(message),
            "reset" => {
                *self = Self::default();
                Ok(())
            }
            "resumed" if self.rows.is_none() => Err("resumed what nobody held".to_owned()),
            "resumed" => Ok(()),
            other => Err(format!("a message of the type {other}")),
        }
    }

    /// The connection ended: of a snapshot that has come in part nothing counts.
    pub(crate) fn cut_off(&mut self) {
        self.parts.clear();
    }

    fn change(&mut self, message: &Value) -> Result<(), String> {
        let rows = self.rows.as_mut().ok_or("a delta before a snapshot")?;
        let changes = message["changes"].as_array().ok_or("a delta without changes")?;
        for change in changes {
            let weight = change[0].as_i64().ok_or("a change without a weight")?;
            *rows.entry(change[1].to_string()).or_default() += weight;
        }
        rows.retain(|_, count| *count != 0);
        match rows.iter().find(|(_, count)| **count < 0) {
            None => Ok(()),
            Some((row, _)) => Err(format!("a delta removes {row}, which is not held: {message}")),
        }
    }
}

/// The rows with how many times each is there.
pub(crate) fn counted(rows: impl IntoIterator<Item = String>) -> Rows {
    let mut counted = Rows::new();
    for row in rows {
        *counted.entry(row).or_default() += 1;
    }
    counted
}
