//! Whose events are loaded, how they are sent, and which figures are expected.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::adventureworks;
use crate::figures::Expected;
use crate::process::Process;

/// A tenant with its events.
pub(crate) struct Firm {
    pub(crate) tenant: String,
    pub(crate) clock: String,
    pub(crate) expected: Vec<Expected>,
    events: PathBuf,
    way: Way,
}

/// How its events are sent.
#[derive(Clone)]
enum Way {
    /// With `tidemark load`.
    Command,
    /// One event a call.
    OneByOne,
    /// JSON arrays of this many.
    Arrays(usize),
    /// Lines, all at once.
    Lines,
    /// Lines of the events up to a day, for a tenant of its own.
    LinesUpTo(String),
}

/// The folder with the other sample data, if it is there.
fn sample_data() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("TIDEMARK_SAMPLE_DATA").map(PathBuf::from);
    let folder = named.clone().unwrap_or_else(|| here.join("../shared/data"));
    if folder.join("expected").is_dir() {
        return Some(folder);
    }
    let wanted = named.is_some() || std::env::var_os("CI").is_some();
    assert!(!wanted, "there is no sample data in {}", folder.display());
    eprintln!("no sample data in {}: only AdventureWorks is compared", folder.display());
    None
}

/// All firms whose events are there, and all expected figures that are.
pub(crate) fn firms() -> Vec<Firm> {
    let mut firms = vec![Firm {
        tenant: adventureworks::TENANT.into(),
        clock: format!("fixed:{}", adventureworks::TODAY),
        expected: Vec::new(),
        events: adventureworks::file(),
        way: Way::Command,
    }];
    let Some(folder) = sample_data() else {
        return firms;
    };
    let firm = |name: &str, clock: &str, way: Way| Firm {
        tenant: name.into(),
        clock: clock.into(),
        expected: Vec::new(),
        events: folder.join(format!("{name}.ndjson.gz")),
        way,
    };
    firms.push(firm("habits", "fixed:2025-04-18", Way::OneByOne));
    firms.push(firm("maven-crm", "events", Way::Arrays(1_000)));
    firms.push(firm("sip", "fixed:2014-12-31", Way::Lines));
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("expected"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .collect();
    files.sort();
    for path in files {
        let expected = Expected::of(&path);
        // The figures of these customers are of several days: each is a tenant of its own.
        if let ("ar-customers", Some(day)) = (expected.firm.as_str(), &expected.day) {
            let way = Way::LinesUpTo(day.clone());
            let mut firm = firm("ar-customers", &format!("fixed:{day}"), way);
            firm.tenant = format!("ar-customers-{day}");
            firms.push(Firm { expected: vec![expected], ..firm });
            continue;
        }
        let firm = firms.iter_mut().find(|firm| firm.tenant == expected.firm);
        let firm = firm.unwrap_or_else(|| panic!("nobody loads the events for {}", path.display()));
        if let Some(day) = &expected.day {
            assert_eq!(firm.clock, format!("fixed:{day}"), "{}", path.display());
        }
        firm.expected.push(expected);
    }
    for firm in &firms {
        assert!(!firm.expected.is_empty(), "nothing is expected of {}", firm.tenant);
    }
    firms
}

impl Firm {
    /// Sends all its events and waits until the views show them.
    pub(crate) async fn load(&self, process: &Process) {
        let tenant = &self.tenant;
        let post = |kind: &'static str, body: String| process.post(tenant, kind, body.into_bytes());
        let mut receipts = Vec::new();
        match &self.way {
            Way::Command => Process::loaded(process.loading(tenant, &self.events)),
            Way::OneByOne => {
                for line in lines(&self.events) {
                    receipts.push(post("application/cloudevents+json", line).await);
                }
            }
            Way::Arrays(size) => {
                for events in lines(&self.events).chunks(*size) {
                    let body = format!("[{}]", events.join(","));
                    receipts.push(post("application/cloudevents-batch+json", body).await);
                }
            }
            Way::Lines => {
                let body = lines(&self.events).join("\n");
                receipts.push(post("application/x-ndjson", body).await);
            }
            Way::LinesUpTo(day) => {
                let events: Vec<String> = lines(&self.events)
                    .iter()
                    .filter_map(|line| up_to(line, day, tenant))
                    .collect();
                receipts.push(post("application/x-ndjson", events.join("\n")).await);
            }
        }
        if let Some(receipt) = receipts.last() {
            let position = receipt["position"].as_str().unwrap();
            let path = format!("/v1/views?wait_for={position}&wait_ms=60000");
            process.get(tenant, &path).await;
        }
    }
}

/// The lines of a compressed file.
pub(crate) fn lines(file: &Path) -> Vec<String> {
    let reader = BufReader::new(GzDecoder::new(File::open(file).unwrap()));
    reader.lines().collect::<Result<_, _>>().unwrap()
}

/// The event for another tenant, if it happened up to the end of the day.
fn up_to(line: &str, day: &str, tenant: &str) -> Option<String> {
    let mut event: Value = serde_json::from_str(line).unwrap();
    let happened = &event["time"].as_str().unwrap()[..day.len()];
    if happened > day {
        return None;
    }
    event["tenantid"] = tenant.into();
    Some(event.to_string())
}
