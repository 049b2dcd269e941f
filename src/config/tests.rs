#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use super::{ConfigError, Loaded, Overrides, load};

const KEY: &str = "an-example-key-of-32-bytes-or-more";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";

fn from(file: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidemark.toml");
    std::fs::write(&path, file).unwrap();
    load(Some(&path), owned(variables), Overrides::default())
}

fn owned(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The problems of a configuration that does not hold.
fn problems(file: &str, variables: &[(&str, &str)]) -> Vec<String> {
    from(file, variables).expect_err("does not hold").0
}

#[test]
fn an_empty_configuration_is_the_default() {
    let config = load(None, Vec::new(), Overrides::default()).unwrap().config;
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.data, Path::new("data"));
    assert!(config.jwt_secrets.is_empty());
    assert_eq!(config.limits.intake.max_body, 16 << 20);
    assert_eq!(config.limits.query.seconds, 30);
}

#[test]
fn variables_stand_over_the_file_and_options_over_both() {
    let file =
        "listen = \"127.0.0.1:1000\"\ndata = \"one\"\n[limits.query]\nrows = 5\nseconds = 1_0\n";
    let variables = [
        ("TIDEMARK_DATA", "two"),
        ("TIDEMARK_LIMITS_QUERY_ROWS", "7"),
        ("TIDEMARK_LISTEN", ""),
        ("UNRELATED", "x"),
    ];
    let config = from(file, &variables).unwrap().config;
    assert_eq!(config.listen.port(), 1000);
    assert_eq!(config.data, Path::new("two"));
    assert_eq!((config.limits.query.rows, config.limits.query.seconds), (7, 10));

    let overrides =
        Overrides { listen: Some("[::1]:9".parse().unwrap()), data: Some("three".into()) };
    let loaded = load(None, owned(&variables), overrides).unwrap();
    assert_eq!(loaded.config.data, Path::new("three"));
    let data = loaded.lines().find(|(key, ..)| *key == "data").unwrap();
    assert_eq!(
        (data.1.as_str(), data.2.to_string().as_str()),
        ("three", "--data on the command line")
    );
    let listen = loaded.lines().find(|(key, ..)| *key == "listen").unwrap();
    assert_eq!(listen.1, "[::1]:9");
}

#[test]
fn every_setting_can_be_set_and_is_shown() {
    let shown = from("", &[]).unwrap();
    for (key, default, _) in shown.lines() {
        let value = match key {
            "listen" | "postgres.listen" => "127.0.0.1:4321",
            "data" | "templates" => "elsewhere",
            "jwt_secret" | "audit_key" => KEY,
            "limits.intake.earliest" => "1970-01-01",
            "kafka.security_protocol" => "sasl_ssl",
            "kafka.sasl_mechanism" => "SCRAM-SHA-512",
            "schema_registry_url" => "http://127.0.0.1:8081",
            "object_store_url" | "reports.delivery_url" => "file:///elsewhere",
            "database_url" => "sqlite:/elsewhere/control.db",
            "database_migrate_url" => "postgres://owner@db/t",
            "advertise" => "a.local:8080",
            "oidc.issuer" => "https://id.example.com",
            "tls.certificate" => CERTIFICATE,
            "tls.key" => PRIVATE,
            "smtp_url" => "smtps://user:password@mail.local",
            "smtp_from" => "Figures <figures@firm.example>",
            "public_url" => "https://figures.firm.example",
            "reports.private_webhooks" => "true",
            _ => "41",
        };
        // What does not hold alone.
        let beside: &[(&str, &str)] = match key {
            "oidc.issuer" => &[("TIDEMARK_OIDC_AUDIENCE", "figures")],
            "oidc.client_id" | "oidc.platform_client_id" => &[
                ("TIDEMARK_OIDC_AUDIENCE", "figures"),
                ("TIDEMARK_OIDC_ISSUER", "https://id.example.com"),
            ],
            "smtp_url" => &[("TIDEMARK_SMTP_FROM", "figures@firm.example")],
            "tls.certificate" => &[("TIDEMARK_TLS_KEY", PRIVATE)],
            "tls.key" => &[("TIDEMARK_TLS_CERTIFICATE", CERTIFICATE)],
            _ => &[],
        };
        let name = super::variable_name(key);
        let loaded = from("", &[&[(name.as_str(), value)][..], beside].concat()).unwrap();
        let (_, now, origin) = loaded.lines().find(|(other, ..)| *other == key).unwrap();
        assert_ne!(now, default, "{key} does not change");
        assert_eq!(origin.to_string(), name);
        let number = value.parse::<u64>().is_ok();
        let line = if number { format!("{key} = {value}") } else { format!("{key} = {value:?}") };
        let loaded = from(&line, beside).unwrap();
        let (_, in_file, _) = loaded.lines().find(|(other, ..)| *other == key).unwrap();
        assert_eq!(in_file, now);
    }
}

#[test]
fn unknown_keys_are_refused_with_place_and_nearest_name() {
    let found = problems("listen = \"127.0.0.1:1\"\n[limits.query]\n  secnods = 3\n", &[]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("tidemark.toml:3:3"), "{found:?}");
    assert!(found[0].contains("`limits.query.seconds`?"), "{found:?}");
    let found = problems("xyzzy_plugh_frobnicate = 1", &[]);
    assert!(found[0].contains("docs/configuration.md"), "{found:?}");
}

#[test]
fn an_unknown_variable_warns_with_the_nearest_name() {
    let loaded = from("", &[("TIDEMARK_LIMITS_QUERY_ROW", "1"), ("TIDEMARK_TOKEN", "t")]).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].contains("TIDEMARK_LIMITS_QUERY_ROWS?"), "{:?}", loaded.warnings);
}

#[test]
fn wrong_values_are_all_named() {
    let file = "listen = \"here\"\nlimits.query.rows = 0\nlimits.query.seconds = 1.5\n";
    let found = problems(file, &[]);
    assert_eq!(found.len(), 1, "the shape comes first: {found:?}");
    assert!(found[0].contains("tidemark.toml:3:") && found[0].contains("float"), "{found:?}");
    let found = problems(
        "listen = \"here\"\nlimits.query.rows = 0\n",
        &[("TIDEMARK_LIMITS_INTAKE_EARLIEST", "1900-02-30")],
    );
    assert_eq!(found.len(), 3, "{found:?}");
    let found = problems("listen = \n", &[]);
    assert!(found[0].contains("tidemark.toml:1:"), "{found:?}");
    let found = problems("", &[("TIDEMARK_JWT_SECRET", "short")]);
    assert!(found[0].contains("TIDEMARK_JWT_SECRET") && found[0].contains("32"), "{found:?}");
    assert!(!found[0].contains("short`"), "{found:?}");
}

#[test]
fn how_reports_leave_is_checked_and_a_password_in_it_is_not_repeated() {
    for url in ["something", "http://me:hidden@h", "smtp://", "smtp://me:hidden@h?tls=maybe"] {
        let found = problems(&format!("smtp_url = \"{url}\"\nsmtp_from = \"a@b.example\""), &[]);
        assert!(found[0].contains("smtps://") && !found[0].contains("hidden"), "{found:?}");
    }
    from("smtp_url = \"smtp://h\"", &[]).unwrap();
    let found = problems("smtp_from = \"nobody\"\npublic_url = \"here\"", &[]);
    assert_eq!(found.len(), 2, "{found:?}");
    let found = problems("reports.private_webhooks = 1\nreports.delivery_url = \"ftp://x\"", &[]);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn where_nodes_meet_is_checked_and_a_password_in_it_is_not_repeated() {
    let found = problems("database_url = \"mysql://me:hidden@h/d\"", &[]);
    assert!(found[0].contains("sqlite:/srv") && !found[0].contains("hidden"), "{found:?}");
    let found = problems("database_migrate_url = \"postgres://me:hidden@h\"", &[]);
    assert!(found[0].contains("name of the database") && !found[0].contains("hidden"), "{found:?}");
    let file = "database_url = \"postgres://me:hidden@h/d\"\n\
                database_migrate_url = \"postgres://owner:hidden@h/d\"\ndatabase_connections = 3\n";
    let loaded = from(file, &[]).unwrap();
    let access = loaded.config.control_store();
    assert_eq!(
        (access.database.to_string().as_str(), access.connections),
        ("postgres://me@h:5432/d", 3)
    );
    let shown: Vec<String> = loaded.lines().map(|(_, value, _)| value).collect();
    for text in [format!("{loaded:?}"), shown.concat()] {
        assert!(text.contains("owner@h") && !text.contains("hidden"), "{text}");
    }
    for wrong in ["a.local", ":80", "http://a:80", "a:0", "a:x"] {
        let found = problems(&format!("advertise = \"{wrong}\""), &[]);
        assert!(found[0].contains("advertise") && found[0].contains(wrong), "{found:?}");
    }
    let loaded = from("database_url = \"sqlite:///srv/control.db\"", &[]).unwrap();
    assert_eq!(loaded.config.control_store().database.to_string(), "/srv/control.db");
}

#[test]
fn what_reaches_kafka_is_checked_and_its_passwords_are_never_shown() {
    let file = "schema_registry_url = \"http://me:hidden-one@r:1\"\n[kafka]\nbrokers = \"a:1,b:2\"\n\
                sasl_mechanism = \"scram-sha-256\"\nsasl_password = \"hidden-two\"\n";
    let loaded = from(file, &[]).unwrap();
    assert_eq!(loaded.config.kafka.brokers, "a:1,b:2");
    assert_eq!(loaded.config.kafka.sasl_mechanism.as_deref(), Some("SCRAM-SHA-256"));
    let shown: Vec<String> = loaded.lines().map(|(_, value, _)| value).collect();
    for text in [format!("{loaded:?}"), shown.concat()] {
        assert!(!text.contains("hidden"), "{text}");
    }
    let found = problems("kafka.security_protocol = \"tls\"", &[]);
    assert!(found[0].contains("sasl_plaintext"), "{found:?}");
    let found = problems("schema_registry_url = \"me:hidden@r\"", &[]);
    assert!(found[0].contains("http://") && !found[0].contains("hidden"), "{found:?}");
}

#[test]
fn an_object_store_is_a_folder_or_a_bucket() {
    let shown = |file: &str| from(file, &[]).unwrap().config.objects().to_string();
    assert_eq!(shown("data = \"/d\""), "file:///d/objects");
    assert_eq!(shown("object_store_url = \"s3://b/x\""), "s3://b/x");
    for wrong in ["gs://b", "s3://key:hidden@b/x", "objects"] {
        let found = problems(&format!("object_store_url = \"{wrong}\""), &[]);
        assert!(
            found[0].contains("s3://bucket/folder") && !found[0].contains("hidden"),
            "{found:?}"
        );
    }
}

#[test]
fn a_secret_can_be_a_file_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{KEY}\n")).unwrap();
    let path = path.to_str().unwrap();
    let loaded = from(&format!("jwt_secret_file = \"{path}\""), &[]).unwrap();
    assert_eq!(loaded.config.jwt_secrets.len(), 1);
    for (_, value, _) in loaded.lines() {
        assert!(!value.contains("example-key"), "{value}");
    }
    assert!(!format!("{loaded:?}").contains("example-key"));
    let both = [("TIDEMARK_JWT_SECRET", KEY), ("TIDEMARK_JWT_SECRET_FILE", path)];
    assert!(problems("", &both)[0].contains("same thing"));
    let missing = problems("jwt_secret_file = \"/nowhere/at/all\"", &[]);
    assert!(missing[0].contains("/nowhere/at/all"), "{missing:?}");
}

#[test]
fn several_secrets_hold_one_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets");
    std::fs::write(&path, format!("{KEY}-new\r\n\n{KEY}-old\n")).unwrap();
    let file = format!("jwt_secret_file = {path:?}");
    let loaded = from(&file, &[]).unwrap();
    let expected = [format!("{KEY}-new"), format!("{KEY}-old")];
    let expected = expected.map(|secret| secret.parse::<tenancy::Secret>().unwrap());
    assert_eq!(loaded.config.jwt_secrets, expected);
    std::fs::write(&path, format!("{KEY}\nshort\n")).unwrap();
    assert!(problems(&file, &[])[0].contains("5 bytes"));
    std::fs::write(&path, format!("{KEY}\n").repeat(9)).unwrap();
    assert!(problems(&file, &[])[0].contains("at most 8"));
}

#[test]
fn an_issuer_and_tls_are_whole_or_not_there() {
    for (alone, other) in [
        ("oidc.issuer = \"https://id.example.com\"", "oidc.audience"),
        ("oidc.client_id = \"page\"", "oidc.issuer"),
        ("oidc.platform_client_id = \"operators\"", "oidc.issuer"),
        (&format!("tls.key = {PRIVATE:?}"), "tls.certificate"),
        (&format!("tls.certificate = {CERTIFICATE:?}"), "tls.key"),
    ] {
        let found = problems(alone, &[]);
        assert!(found[0].contains(other), "{found:?}");
    }
    let found = problems("oidc.issuer = \"id.example.com\"\njwt_leeway_s = 301", &[]);
    assert_eq!(found.len(), 2);
    assert!(found.concat().contains("https://id.example.com/realm"), "{found:?}");
    assert!(found.concat().contains("from 0 to 300"), "{found:?}");
    let wrong = PRIVATE.replace("PRIVATE KEY", "hidden");
    let found =
        problems("", &[("TIDEMARK_TLS_KEY", &wrong), ("TIDEMARK_TLS_CERTIFICATE", PRIVATE)]);
    assert!(found[1].contains("`PRIVATE KEY`") && !found.concat().contains("AA=="), "{found:?}");
    let whole = [("TIDEMARK_TLS_KEY", PRIVATE), ("TIDEMARK_TLS_CERTIFICATE", CERTIFICATE)];
    let secrets = "[oidc]\nclient_secret = \"hush-hush\"\nplatform_client_secret = \"hush-too\"\n";
    let loaded = from(secrets, &whole).unwrap();
    let shown: Vec<String> = loaded.lines().map(|(_, value, _)| value).collect();
    for text in [format!("{loaded:?}"), shown.concat()] {
        assert!(!text.contains("hush") && !text.contains("BEGIN"), "{text}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = load(Some(Path::new("/nowhere/tidemark.toml")), Vec::new(), Overrides::default());
    assert!(error.expect_err("is missing").to_string().contains("/nowhere/tidemark.toml"));
}
