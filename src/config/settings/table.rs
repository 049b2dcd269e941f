//! The table of all settings.

use std::path::PathBuf;

use tenancy::{ClientSecret, Database, Issuer};

use super::values::{
    connections, database, days, host_and_port, leeway, message, one_of, pem, seats, secrets, size,
    web_address,
};
use super::{Set, Setting};
use crate::reports::settings::SmtpUrl;

/// A row of the table whose value shows as itself.
macro_rules! setting {
    ($key:literal, $kind:ident, $($field:ident).+ $(, $convert:expr)?) => {
        Setting {
            key: $key,
            set: Set::$kind(|config, value| config.$($field).+ = setting!(@ value $(, $convert)?)),
            show: |config| config.$($field).+.to_string(),
            secret: false,
        }
    };
    (@ $value:ident) => { $value };
    (@ $value:ident, $convert:expr) => { $convert($value) };
}

/// A text of the settings of Kafka.
macro_rules! kafka {
    ($key:literal, $field:ident) => {
        Setting {
            key: $key,
            set: Set::Text(|config, value| {
                value.clone_into(&mut config.kafka.$field);
                Ok(())
            }),
            show: |config| config.kafka.$field.clone(),
            secret: false,
        }
    };
}

/// A text of the settings of the issuer.
macro_rules! oidc {
    ($key:literal, $($field:ident).+) => {
        Setting {
            key: $key,
            set: Set::Text(|config, value| {
                config.oidc.$($field).+ = value.to_owned().into();
                Ok(())
            }),
            show: |config| config.oidc.$($field).+.to_string(),
            secret: false,
        }
    };
}

/// As whom a page signs in.
macro_rules! client_id {
    ($key:literal, $client:ident) => {
        Setting {
            key: $key,
            set: Set::Text(|config, value| {
                config.oidc.$client.id = Some(value.to_owned());
                Ok(())
            }),
            show: |config| config.oidc.$client.id.clone().unwrap_or_default(),
            secret: false,
        }
    };
}

/// What proves it.
macro_rules! client_secret {
    ($key:literal, $client:ident) => {
        Setting {
            key: $key,
            set: Set::Text(|config, value| {
                config.oidc.$client.secret = Some(ClientSecret(value.to_owned()));
                Ok(())
            }),
            show: |config| is_set(config.oidc.$client.secret.is_some()),
            secret: true,
        }
    };
}

/// A file that Kafka's client reads.
macro_rules! file {
    ($key:literal, $field:ident) => {
        Setting {
            key: $key,
            set: Set::Text(|config, value| {
                config.kafka.$field = Some(PathBuf::from(value));
                Ok(())
            }),
            show: |config| match &config.kafka.$field {
                Some(path) => path.display().to_string(),
                None => String::new(),
            },
            secret: false,
        }
    };
}

/// How a secret shows.
fn is_set(is_set: bool) -> String {
    String::from(if is_set { "(set)" } else { "(not set)" })
}

/// Every setting there is.
pub(in crate::config) static SETTINGS: &[Setting] = &[
    setting!("listen", Address, listen),
    Setting {
        key: "postgres.listen",
        set: Set::Address(|config, value| config.postgres = Some(value)),
        show: |config| config.postgres.map_or_else(String::new, |address| address.to_string()),
        secret: false,
    },
    Setting {
        key: "data",
        set: Set::Folder(|config, value| config.data = value),
        show: |config| config.data.display().to_string(),
        secret: false,
    },
    Setting {
        key: "templates",
        set: Set::Folder(|config, value| config.templates = Some(value)),
        show: |config| {
            config.templates.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
        },
        secret: false,
    },
    Setting {
        key: "object_store_url",
        set: Set::Objects(|config, value| config.objects = Some(value)),
        show: |config| config.objects().to_string(),
        secret: false,
    },
    Setting {
        key: "jwt_secret",
        set: Set::Text(|config, value| {
            config.jwt_secrets = secrets(value)?;
            Ok(())
        }),
        show: |config| match config.jwt_secrets.len() {
            0 => String::from("(not set: `tidemark serve` needs it, or oidc.issuer)"),
            1 => String::from("(set)"),
            count => format!("({count} set)"),
        },
        secret: true,
    },
    Setting {
        key: "audit_key",
        set: Set::Key(|config, value| config.audit_key = Some(value)),
        show: |config| match config.audit_key {
            Some(_) => String::from("(set)"),
            None => String::from("(not set: the file audit.key in the data folder)"),
        },
        secret: true,
    },
    Setting {
        key: "jwt_leeway_s",
        set: Set::Text(|config, value| {
            config.jwt_leeway = leeway(value)?;
            Ok(())
        }),
        show: |config| config.jwt_leeway.num_seconds().to_string(),
        secret: false,
    },
    Setting {
        key: "tls.certificate",
        set: Set::Text(|config, value| {
            config.tls.certificate = Some(pem(value, "CERTIFICATE")?);
            Ok(())
        }),
        show: |config| is_set(config.tls.certificate.is_some()),
        secret: true,
    },
    Setting {
        key: "tls.key",
        set: Set::Text(|config, value| {
            config.tls.key = Some(pem(value, "PRIVATE KEY")?);
            Ok(())
        }),
        show: |config| is_set(config.tls.key.is_some()),
        secret: true,
    },
    setting!("checkpoint_ms", Count, checkpoint_ms),
    setting!("limits.intake.max_body", Count, limits.intake.max_body, size),
    setting!("limits.intake.max_event", Count, limits.intake.max_event, size),
    setting!("limits.intake.max_text", Count, limits.intake.max_text, size),
    setting!("limits.intake.max_rejected", Count, limits.intake.max_rejected, size),
    setting!("limits.intake.earliest", Date, limits.intake.earliest),
    setting!("limits.intake.future_days", Count, limits.intake.future, days),
    setting!("limits.tenant.requests_per_s", Count, limits.usage.tenant.requests_per_s),
    setting!("limits.tenant.events_per_s", Count, limits.usage.tenant.events_per_s),
    setting!("limits.tenant.bytes_per_s", Count, limits.usage.tenant.bytes_per_s),
    setting!("limits.tenant.calls", Count, limits.usage.tenant.calls),
    setting!("limits.tenant.streams", Count, limits.usage.tenant.streams),
    setting!("limits.token.requests_per_s", Count, limits.usage.token.requests_per_s),
    setting!("limits.token.events_per_s", Count, limits.usage.token.events_per_s),
    setting!("limits.token.bytes_per_s", Count, limits.usage.token.bytes_per_s),
    setting!("limits.token.calls", Count, limits.usage.token.calls),
    setting!("limits.token.streams", Count, limits.usage.token.streams),
    setting!("limits.types.count", Count, limits.types.count, size),
    setting!("limits.types.fields", Count, limits.types.fields, size),
    setting!("limits.types.schema_bytes", Count, limits.types.schema_bytes, size),
    setting!("limits.query.seconds", Count, limits.query.seconds),
    setting!("limits.query.memory_bytes", Count, limits.query.memory_bytes, size),
    setting!("limits.query.rows", Count, limits.query.rows, size),
    setting!("limits.query.concurrent", Count, limits.query.concurrent, size),
    setting!("limits.query.sql_bytes", Count, limits.query.sql_bytes, size),
    setting!("limits.query.total_memory_bytes", Count, limits.query.total_memory_bytes, size),
    setting!("limits.query.total_concurrent", Count, limits.query.total_concurrent, size),
    setting!("limits.query.queued", Count, limits.query.queued, size),
    setting!("limits.query.queue_seconds", Count, limits.query.queue_seconds),
    setting!("limits.query.spill_bytes", Count, limits.query.spill_bytes),
    setting!("limits.query.total_spill_bytes", Count, limits.query.total_spill_bytes),
    setting!("limits.query.cache_bytes", Count, limits.query.cache_bytes, size),
    setting!("limits.query.total_cache_bytes", Count, limits.query.total_cache_bytes, size),
    setting!("limits.query.cache_answer_bytes", Count, limits.query.cache_answer_bytes, size),
    setting!("limits.stream.ring_bytes", Count, limits.stream.ring_bytes, size),
    setting!("limits.stream.rings_bytes", Count, limits.stream.rings_bytes, size),
    setting!("limits.stream.ring_age_s", Count, limits.stream.ring_age_s),
    setting!("limits.stream.connection_bytes", Count, limits.stream.connection_bytes, size),
    setting!("limits.stream.subscriptions", Count, limits.stream.subscriptions, size),
    setting!("limits.stream.tenant_connections", Count, limits.stream.tenant_connections, size),
    setting!("limits.stream.connections", Count, limits.stream.connections, size),
    setting!("limits.stream.snapshot_part_rows", Count, limits.stream.snapshot_part_rows, size),
    setting!("limits.stream.heartbeat_s", Count, limits.stream.heartbeat_s),
    setting!("limits.stream.message_bytes", Count, limits.stream.message_bytes, size),
    setting!("limits.stream.stall_s", Count, limits.stream.stall_s),
    setting!("limits.stream.auth_s", Count, limits.stream.auth_s),
    setting!("limits.stream.waiting_reads", Count, limits.stream.waiting_reads, size),
    setting!("limits.stream.sql_interval_ms", Count, limits.stream.sql_interval_ms),
    setting!("limits.stream.tenant_sql_queries", Count, limits.stream.tenant_sql_queries, size),
    setting!("limits.stream.sql_queries", Count, limits.stream.sql_queries, size),
    setting!("limits.stream.sql_evaluations", Count, limits.stream.sql_evaluations, size),
    setting!("limits.stream.sql_answer_bytes", Count, limits.stream.sql_answer_bytes, size),
    setting!("limits.stream.sql_bytes", Count, limits.stream.sql_bytes, size),
    setting!("limits.stream.tenant_sql_circuits", Count, limits.views.passing.tenant, size),
    setting!("limits.stream.sql_circuits", Count, limits.views.passing.all, size),
    setting!("limits.stream.sql_circuit_bytes", Count, limits.views.passing.bytes, size),
    setting!("limits.views.count", Count, limits.views.views, size),
    setting!("limits.views.state_bytes", Count, limits.views.state_bytes, size),
    setting!("limits.views.tenant_bytes", Count, limits.tenant_bytes, size),
    setting!("limits.views.buffer_bytes", Count, limits.views.buffer_bytes, size),
    setting!("limits.dead_letters", Count, limits.dead_letters.all, size),
    setting!("limits.tenant_dead_letters", Count, limits.dead_letters.share, size),
    setting!("limits.connections.address", Count, limits.address_connections, size),
    setting!("limits.postgres.connections", Count, limits.wire.connections, seats),
    setting!("limits.postgres.tenant_connections", Count, limits.wire.tenant_connections, size),
    setting!("limits.postgres.idle_s", Count, limits.wire.idle_s),
    setting!("limits.postgres.message_bytes", Count, limits.wire.message_bytes, message),
    setting!("limits.postgres.statements", Count, limits.wire.statements, size),
    Setting {
        key: "database_url",
        set: Set::Text(|config, value| {
            config.database = Some(database(value)?);
            Ok(())
        }),
        show: |config| match config.control_store().database {
            Database::File(path) => format!("sqlite:{}", path.display()),
            // Without its password.
            Database::Server(server) => server.to_string(),
        },
        secret: true,
    },
    Setting {
        key: "database_migrate_url",
        set: Set::Text(|config, value| {
            config.database_owner = Some(database(value)?);
            Ok(())
        }),
        show: |config| match &config.database_owner {
            Some(database) => database.to_string(),
            None => is_set(false),
        },
        secret: true,
    },
    setting!("database_connections", Count, database_connections, connections),
    Setting {
        key: "advertise",
        set: Set::Text(|config, value| {
            config.advertise = Some(host_and_port(value)?);
            Ok(())
        }),
        show: |config| config.advertise.clone().unwrap_or_else(|| config.listen.to_string()),
        secret: false,
    },
    Setting {
        key: "oidc.issuer",
        set: Set::Text(|config, value| {
            Issuer::check_address(value).map_err(|error| error.to_string())?;
            value.clone_into(&mut config.oidc.issuer);
            Ok(())
        }),
        show: |config| config.oidc.issuer.clone(),
        secret: false,
    },
    oidc!("oidc.audience", audience),
    client_id!("oidc.client_id", client),
    client_secret!("oidc.client_secret", client),
    client_id!("oidc.platform_client_id", platform_client),
    client_secret!("oidc.platform_client_secret", platform_client),
    oidc!("oidc.scope", scope),
    oidc!("oidc.claims.subject", claims.subject),
    oidc!("oidc.claims.tenant", claims.tenant),
    oidc!("oidc.claims.roles", claims.roles),
    kafka!("kafka.brokers", brokers),
    kafka!("kafka.group", group),
    kafka!("kafka.topic_prefix", topic_prefix),
    Setting {
        key: "kafka.partitions",
        set: Set::Count(|config, value| {
            config.kafka.partitions = i32::try_from(value).unwrap_or(i32::MAX);
        }),
        show: |config| config.kafka.partitions.to_string(),
        secret: false,
    },
    Setting {
        key: "kafka.security_protocol",
        set: Set::Text(|config, value| {
            let known = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];
            config.kafka.security_protocol = one_of(&known, value)?;
            Ok(())
        }),
        show: |config| config.kafka.security_protocol.clone(),
        secret: false,
    },
    Setting {
        key: "kafka.sasl_mechanism",
        set: Set::Text(|config, value| {
            let known = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
            config.kafka.sasl_mechanism = Some(one_of(&known, value)?);
            Ok(())
        }),
        show: |config| config.kafka.sasl_mechanism.clone().unwrap_or_default(),
        secret: false,
    },
    Setting {
        key: "kafka.sasl_username",
        set: Set::Text(|config, value| {
            config.kafka.sasl_username = Some(value.to_owned());
            Ok(())
        }),
        show: |config| config.kafka.sasl_username.clone().unwrap_or_default(),
        secret: false,
    },
    Setting {
        key: "kafka.sasl_password",
        set: Set::Text(|config, value| {
            config.kafka.sasl_password = Some(value.to_owned());
            Ok(())
        }),
        show: |config| is_set(config.kafka.sasl_password.is_some()),
        secret: true,
    },
    file!("kafka.ssl_ca", ssl_ca),
    file!("kafka.ssl_certificate", ssl_certificate),
    file!("kafka.ssl_key", ssl_key),
    Setting {
        key: "schema_registry_url",
        set: Set::Text(|config, value| {
            let registry = ingest::SchemaRegistry::new(value).map_err(|e| e.to_string())?;
            config.schema_registry = Some(registry);
            Ok(())
        }),
        // It may hold a password.
        show: |config| is_set(config.schema_registry.is_some()),
        secret: true,
    },
    Setting {
        key: "smtp_url",
        set: Set::Text(|config, value| {
            config.reports.smtp = Some(SmtpUrl::new(value)?);
            Ok(())
        }),
        // It may hold a password.
        show: |config| is_set(config.reports.smtp.is_some()),
        secret: true,
    },
    Setting {
        key: "smtp_from",
        set: Set::Text(|config, value| {
            let expected =
                || format!("`{value}` is no sender; expected one like Reports <a@b.example>");
            value.parse::<lettre::message::Mailbox>().map_err(|_| expected())?;
            value.clone_into(&mut config.reports.smtp_from);
            Ok(())
        }),
        show: |config| config.reports.smtp_from.clone(),
        secret: false,
    },
    Setting {
        key: "public_url",
        set: Set::Text(|config, value| {
            config.reports.public_url = Some(web_address(value)?);
            Ok(())
        }),
        show: |config| config.reports.public_url.clone().unwrap_or_default(),
        secret: false,
    },
    Setting {
        key: "reports.delivery_url",
        set: Set::Objects(|config, value| config.reports.delivery = Some(value)),
        show: |config| match &config.reports.delivery {
            Some(address) => address.to_string(),
            None => String::new(),
        },
        secret: false,
    },
    Setting {
        key: "reports.private_webhooks",
        set: Set::Text(|config, value| {
            config.reports.private_webhooks = one_of(&["true", "false"], value)? == "true";
            Ok(())
        }),
        show: |config| config.reports.private_webhooks.to_string(),
        secret: false,
    },
    setting!("reports.owner_days", Count, reports.owner_days, days),
    setting!("limits.reports.count", Count, reports.count, size),
    setting!("limits.reports.queued", Count, reports.queued, size),
    setting!("limits.reports.seconds", Count, reports.seconds),
    setting!("limits.reports.memory_bytes", Count, reports.memory_bytes, size),
    setting!("limits.reports.file_bytes", Count, reports.file_bytes, size),
    setting!("limits.reports.attach_bytes", Count, reports.attach_bytes, size),
    setting!("alerts.interval_ms", Count, alerts.interval_ms),
    setting!("alerts.keep_days", Count, alerts.keep_days, days),
    setting!("limits.alerts.count", Count, alerts.count, size),
    setting!("limits.alerts.subjects", Count, alerts.subjects, size),
    setting!("limits.alerts.queued", Count, alerts.queued, size),
    setting!("limits.alerts.history", Count, alerts.history, size),
    setting!("limits.dashboards.count", Count, limits.dashboards.count, size),
    setting!("limits.dashboards.bytes", Count, limits.dashboards.bytes, size),
    setting!("limits.dashboards.versions", Count, limits.dashboards.versions, size),
];
