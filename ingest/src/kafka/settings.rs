//! How Kafka is reached, and what its clients are told.

use std::fmt;
use std::path::PathBuf;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// Bytes of the largest message that is posted, at least, …
const MESSAGE: usize = 2 << 20;
/// … and what one has beside its event.
const MESSAGE_MORE: usize = 64 << 10;

/// How Kafka is reached. Its passwords are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port`, several with commas between.
    pub brokers: String,
    /// The group to which offsets are committed, for outside tools.
    pub group: String,
    /// What stands before the type in a topic's name.
    pub topic_prefix: String,
    /// The number of partitions of topics that this makes, when there is none yet to go by.
    pub partitions: i32,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security_protocol: String,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub sasl_mechanism: Option<String>,
    /// The user.
    pub sasl_username: Option<String>,
    /// Its password.
    pub sasl_password: Option<String>,
    /// A file with the certificates (PEM) that the brokers' are signed with.
    pub ssl_ca: Option<PathBuf>,
    /// A file with the certificate (PEM) that this shows to the brokers.
    pub ssl_certificate: Option<PathBuf>,
    /// A file with its key (PEM).
    pub ssl_key: Option<PathBuf>,
}

impl KafkaSettings {
    /// Brokers reached without encryption, everything else as it is unless set.
    pub fn plain(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            group: "tidemark".to_owned(),
            topic_prefix: "tidemark.".to_owned(),
            partitions: 6,
            security_protocol: "plaintext".to_owned(),
            sasl_mechanism: None,
            sasl_username: None,
            sasl_password: None,
            ssl_ca: None,
            ssl_certificate: None,
            ssl_key: None,
        }
    }

    /// What all clients are told.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "tidemark")
            .set("security.protocol", &self.security_protocol)
            // Also of a producer, which asks for them unless it is told: a topic that was removed would
            // come back with the brokers' number of partitions.
            .set("allow.auto.create.topics", "false")
            // A broker that comes back is found soon.
            .set("reconnect.backoff.max.ms", "2000");
        let paths = [&self.ssl_ca, &self.ssl_certificate, &self.ssl_key];
        let paths = paths.map(|path| path.as_ref().map(|path| path.display().to_string()));
        let [ca, certificate, key] = paths;
        for (name, value) in [
            ("sasl.mechanism", self.sasl_mechanism.clone()),
            ("sasl.username", self.sasl_username.clone()),
            ("sasl.password", self.sasl_password.clone()),
            ("ssl.ca.location", ca),
            ("ssl.certificate.location", certificate),
            ("ssl.key.location", key),
        ] {
            if let Some(value) = value {
                config.set(name, value);
            }
        }
        config
    }

    /// What looks at topics and makes them is told.
    pub(super) fn admin(&self) -> ClientConfig {
        self.client()
    }

    /// What a reader of one partition number is told.
    pub(super) fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error")
            // What waits in the client, and how soon it fetches on once there is room.
            .set("queued.max.messages.kbytes", "32768")
            .set("queued.min.messages", "50000")
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.wait.max.ms", "250")
            .set("fetch.error.backoff.ms", "200")
            .set("message.max.bytes", "16777216")
            .set("fetch.message.max.bytes", "4194304")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set("statistics.interval.ms", "1000")
            // That a topic has another id by now is said nowhere else.
            .set("debug", "metadata")
            .set_log_level(RDKafkaLogLevel::Debug);
        config
    }

    /// What the producer of events of so many bytes is told.
    pub(super) fn producer(&self, max_event: usize) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("compression.type", "lz4")
            .set("linger.ms", "2")
            .set("message.max.bytes", (max_event + MESSAGE_MORE).max(MESSAGE).to_string())
            .set("queue.buffering.max.kbytes", "65536")
            .set("delivery.timeout.ms", "30000");
        config
    }
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.sasl_password.as_ref().map(|_| "(set)");
        f.debug_struct("KafkaSettings")
            .field("brokers", &self.brokers)
            .field("group", &self.group)
            .field("topic_prefix", &self.topic_prefix)
            .field("security_protocol", &self.security_protocol)
            .field("sasl_mechanism", &self.sasl_mechanism)
            .field("sasl_username", &self.sasl_username)
            .field("sasl_password", &password)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_has_topics_made_by_the_brokers() {
        let settings = KafkaSettings::plain("127.0.0.1:1");
        for config in [settings.admin(), settings.consumer(), settings.producer(1)] {
            assert_eq!(config.get("allow.auto.create.topics"), Some("false"));
        }
    }

    #[test]
    fn the_largest_event_that_may_be_posted_is_sent() {
        let most = |max_event| {
            let config = KafkaSettings::plain("127.0.0.1:1").producer(max_event);
            config.get("message.max.bytes").map(str::to_owned)
        };
        assert_eq!(most(256 << 10).as_deref(), Some("2097152"));
        assert_eq!(most(4 << 20).as_deref(), Some("4259840"));
    }
}
