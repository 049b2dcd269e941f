//! Dead letters given to Kafka again, after repair.

use std::collections::BTreeSet;

use chrono::Utc;

use super::messages::{Message, Translator};
use super::murmur2::partition_of;
use super::producer::KafkaIntake;
use crate::{DeadLetter, IntakeError};

/// A dead letter was not replayed; it stays where it is.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It is still no event.
    #[error("it is still no event: {0}")]
    Reason(String),
    /// Only the beginning of it is kept.
    #[error(
        "its value has {size} bytes, of which the first {kept} are kept: send the event again from \
         where it came"
    )]
    Cut {
        /// The bytes of the whole.
        size: usize,
        /// Those that are kept.
        kept: usize,
    },
    /// What it is checked against cannot be asked at this moment.
    #[error(
        "what it is checked against does not answer, the schema registry or the control store; try \
         again once it does"
    )]
    RegistryDown,
    /// Kafka did not take it.
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

impl KafkaIntake {
    /// Gives a dead letter to its topic again, if it is an event by today's schemas, types and
    /// tenants; returns once Kafka has acknowledged it. It comes as an ordinary event then.
    ///
    /// # Errors
    /// It is still none, or cannot be given to Kafka.
    pub async fn replay(&self, letter: DeadLetter) -> Result<(), ReplayError> {
        let kept = letter.value.as_ref().map_or(0, Vec::len);
        if kept < letter.size {
            return Err(ReplayError::Cut { size: letter.size, kept });
        }
        let count = self.count();
        let home = partition_of(letter.key.as_deref().unwrap_or_default(), count);
        let parts = self.parts().clone();
        let runtime = tokio::runtime::Handle::current();
        let judged = tokio::task::spawn_blocking(move || {
            let prefix = parts.settings.topic_prefix;
            let place = (home, count);
            let mut translator = Translator::new(
                prefix,
                place,
                parts.types,
                parts.limits,
                parts.tenants,
                parts.registry,
                runtime,
            );
            let message = Message {
                topic: &letter.topic,
                partition: letter.partition,
                offset: letter.offset,
                timestamp: 0,
                key: letter.key.as_deref(),
                value: letter.value.as_deref(),
                is_json: letter.is_json,
            };
            let judged = translator.translate(&[message], &BTreeSet::new(), Utc::now());
            judged.map(|judged| (letter, judged))
        });
        let (letter, judged) =
            judged.await.map_err(|_| IntakeError::Closed)?.map_err(IntakeError::Source)?;
        if let Some(refused) = judged.letters.into_iter().next() {
            return Err(ReplayError::Reason(refused.reason));
        }
        if judged.deleted > 0 {
            return Err(ReplayError::Reason("its tenant is deleted".to_owned()));
        }
        if !judged.held.is_empty() {
            return Err(ReplayError::RegistryDown);
        }
        let (key, value) = (letter.key.unwrap_or_default(), letter.value.unwrap_or_default());
        Ok(self.resend(&letter.topic, &key, &value, letter.is_json).await?)
    }
}
