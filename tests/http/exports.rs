//! All of a tenant's data as one file: whole, at one position, and as good as what it was made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tenancy::Role;

use crate::reports;
use crate::service::{Service, event, invoice, payment, problem, token};
use crate::traces::traces;

/// Makes an export and downloads it.
async fn export(service: &Service, admin: &str) -> (Value, Vec<u8>) {
    let answer = service.post("/v1/tenant/export", admin).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let at = answer.headers()["location"].to_str().unwrap().to_owned();
    let run: Value = answer.json().await.unwrap();
    assert_eq!(at, format!("/v1/tenant/export/{}", run["run_id"].as_str().unwrap()));
    for _ in 0..600 {
        let run = service.read(&at, admin).await;
        match run["state"].as_str().unwrap() {
            "running" => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            "done" => {
                let archive = service.get(&format!("{at}/archive"), admin).send().await.unwrap();
                assert_eq!(archive.headers()["content-type"], "application/x-tar");
                return (run, archive.bytes().await.unwrap().to_vec());
            }
            _ => panic!("{run}"),
        }
    }
    panic!("the export does not end");
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files of an archive, read as its format is defined.
fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8(bytes[..end].to_vec()).unwrap()
    };
    let (mut found, mut at) = (BTreeMap::new(), 0);
    while archive[at..at + 512].iter().any(|byte| *byte != 0) {
        let header = &archive[at..at + 512];
        assert_eq!(&header[257..262], b"ustar");
        let summed: u32 = header
            .iter()
            .enumerate()
            .map(|(place, byte)| if (148..156).contains(&place) { 32 } else { u32::from(*byte) })
            .sum();
        assert_eq!(u32::from_str_radix(&text(&header[148..154]), 8).unwrap(), summed);
        let size = usize::from_str_radix(&text(&header[124..136]), 8).unwrap();
        let (folder, name) = (text(&header[345..500]), text(&header[..100]));
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let bytes = archive[at + 512..at + 512 + size].to_vec();
        assert!(found.insert(path, bytes).is_none());
        at += 512 + size.next_multiple_of(512);
    }
    assert_eq!(archive.len(), at + 1024, "two empty blocks end it");
    found
}

fn lines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

/// Something of everything, with what no column has and what a column has not.
fn history() -> Vec<Value> {
    let mut strange = invoice("i-\"\\\u{1}ü", "=cmd", "0.0001");
    strange["subject"] = json!("i");
    strange["traceparent"] = json!("00-ab");
    strange["data"]["note"] = json!({ "deep": [1, null, { "ü": "\n" }] });
    let mut events = vec![
        strange,
        event(
            "crm.call_logged",
            "c1",
            &json!({
                "call_id": "c1", "user_id": "u", "disposition": "reached", "duration_s": 9,
            }),
        ),
        event("acme.visit", "v1", &json!({ "place": "A", "more": true })),
    ];
    for n in 0..300 {
        events.push(invoice(&format!("i{n}"), &format!("c{}", n % 7), "100.25"));
        events.push(payment(&format!("p{n}"), &format!("i{}", n / 2), "12.5"));
    }
    events
}

#[tokio::test]
async fn what_is_exported_can_be_sent_again_and_gives_the_same_views() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let often = [("TIDEMARK_CHECKPOINT_MS", "100")];
    let service = Service::start_with(Arc::clone(&data), &often).await;
    let schema =
        json!({ "type": "record", "name": "r", "fields": [{ "name": "place", "type": "string" }] });
    let kind = json!({ "type": "acme.visit", "schema": schema });
    let mut admins = Vec::new();
    for id in ["first", "second"] {
        let admin = service.tenant(id).await;
        let answer = service.post("/v1/event-types", &admin).json(&kind).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        admins.push(admin);
    }
    let [first, second] = <[String; 2]>::try_from(admins).unwrap();
    // Some in files of history, and some in the log alone.
    let events = history();
    let receipt = service.send(&first, &events[..200]).await;
    assert_eq!(receipt["rejected"], json!([]));
    let files_of_history = data.path().join("objects/history");
    for _ in 0..600 {
        if !traces(&files_of_history, ".parquet").is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(!traces(&files_of_history, ".parquet").is_empty());
    let receipt = service.send(&first, &events[200..]).await;
    assert_eq!(receipt["rejected"], json!([]));
    service.rows(&first, "ar_aging", &receipt["position"]).await;
    let own = json!({ "name": "debts", "sql": "SELECT customer_id, total FROM ar_aging" });
    let answer = service.post("/v1/views", &first).json(&own).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let debts = service.read("/v1/views/debts?wait_ms=60000", &first).await;
    let board = json!({
        "name": "Debts", "document": { "schema": 1, "widgets": [{
            "id": "owed", "title": "Owed", "at": { "x": 0, "y": 0, "w": 3, "h": 2 },
            "source": { "view": "ar_aging" },
            "show": { "kind": "kpi", "value": { "column": "total" }, "currency": "currency" },
        }] },
    });
    let answer = service.post("/v1/dashboards", &first).json(&board).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let field = service.url("/v1/tenant/fields/crm.call_logged/campaign");
    let body = json!({ "title": "Campaign", "type": "text" });
    let answer = service.client.put(field).bearer_auth(&first).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    // Hidden is not gone.
    let url = service.url("/v1/tenant");
    let change = json!({ "modules": ["invoicing"] });
    let answer = service.client.patch(url).bearer_auth(&first).json(&change).send().await.unwrap();
    assert_eq!(answer.status(), 200);

    let (run, archive) = export(&service, &first).await;
    assert_eq!(run["bytes"], archive.len());
    assert_eq!(run["sha256"], sha256(&archive));
    let files = files(&archive);
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(manifest["tenant"], "first");
    assert_eq!(manifest["position"], debts["position"]);
    assert_eq!(manifest["as_of"], "2025-06-30");
    let listed = manifest["files"].as_array().unwrap();
    assert_eq!(listed.len() + 1, files.len());
    for file in listed {
        let path = file["path"].as_str().unwrap();
        let bytes = &files[path];
        assert_eq!(file["bytes"], bytes.len(), "{path}");
        assert_eq!(file["sha256"], sha256(bytes), "{path}");
        let rows = file["rows"].as_u64().unwrap() as usize;
        if path.starts_with("events/") {
            assert_eq!(lines(bytes), rows, "{path}");
        }
        if path == "views/debts.csv" {
            assert_eq!(lines(bytes), rows + 1, "{path}");
            assert_eq!(rows, debts["rows"].as_array().unwrap().len());
        }
    }
    let tenant: Value = serde_json::from_slice(&files["tenant.json"]).unwrap();
    assert_eq!((&tenant["id"], tenant.get("number")), (&json!("first"), None));
    let views: Value = serde_json::from_slice(&files["own_views.json"]).unwrap();
    assert_eq!(views[0]["sql"], own["sql"]);
    let types: Value = serde_json::from_slice(&files["event_types.json"]).unwrap();
    assert_eq!((types.as_array().unwrap().len(), &types[0]["type"]), (1, &json!("acme.visit")));
    let fields: Value = serde_json::from_slice(&files["custom_fields.json"]).unwrap();
    let campaign = json!({
        "on": "crm.call_logged", "name": "campaign", "title": "Campaign", "type": "text",
        "origin": "tenant",
    });
    assert_eq!(fields, json!([campaign]));
    let boards: Value = serde_json::from_slice(&files["dashboards.ndjson"]).unwrap();
    assert_eq!((&boards["name"], &boards["version"]), (&board["name"], &json!(1)));
    assert_eq!(boards["document"]["widgets"][0]["id"], "owed");
    assert!(files.contains_key("views/call_activity.csv"));
    let audit = String::from_utf8(files["audit.ndjson"].clone()).unwrap();
    let audit: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(audit.iter().zip(1..).all(|(record, place)| record["seq"] == place));
    let defined = audit.iter().find(|record| record["object"] == "POST /v1/views").unwrap();
    let told = service.read("/v1/audit?action=change", &first).await;
    assert!(told["records"].as_array().unwrap().contains(defined), "{told}");
    let strange =
        String::from_utf8(files["events/invoicing/invoice_issued.ndjson"].clone()).unwrap();
    let strange = strange.lines().find(|line| line.contains("traceparent")).unwrap();
    let strange: Value = serde_json::from_str(strange).unwrap();
    assert_eq!(strange["data"]["note"], json!({ "deep": [1, null, { "ü": "\n" }] }));
    assert_eq!((&strange["traceparent"], &strange["subject"]), (&json!("00-ab"), &json!("i")));

    let events = files.iter().filter(|(path, _)| path.starts_with("events/"));
    let events: Vec<u8> = events.flat_map(|(_, bytes)| bytes.clone()).collect();
    let sent = service
        .post("/v1/events", &second)
        .header("content-type", "application/x-ndjson")
        .body(events)
        .send()
        .await
        .unwrap();
    let receipt: Value = sent.json().await.unwrap();
    assert_eq!((&receipt["accepted"], &receipt["rejected"]), (&json!(603), &json!([])));
    service.rows(&second, "ar_aging", &receipt["position"]).await;
    let change = json!({ "modules": null });
    let url = service.url("/v1/tenant");
    let answer = service.client.patch(url).bearer_auth(&first).json(&change).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let views = service.read("/v1/views", &second).await;
    for view in views["views"].as_array().unwrap() {
        let path = format!("/v1/views/{}", view["name"].as_str().unwrap());
        let (before, after) =
            (service.read(&path, &first).await, service.read(&path, &second).await);
        assert_eq!(before["rows"], after["rows"], "{path}");
    }
    // And again, from there: the same events, however they came.
    let again = self::files(&export(&service, &second).await.1);
    for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with("events/")) {
        let sorted = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(sorted(bytes), sorted(&again[path]), "{path}");
    }
}

#[tokio::test]
async fn reports_with_their_files_tokens_and_the_template_are_in_it_and_no_secret() {
    let service = Service::start().await;
    let body = json!({
        "id": "home", "name": "Home", "timezone": "Europe/Berlin", "currency": "EUR",
        "clock": "fixed:2025-06-30", "vertical": "household",
    });
    let platform = token(None, &[Role::Platform]);
    let made = service.post("/v1/platform/tenants", &platform).json(&body).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let admin = token(Some("home"), &[Role::Admin]);
    let secret = "a secret of the receiver";
    let hook = json!({ "kind": "webhook", "url": "http://127.0.0.1:9/", "secret": secret });
    let report = json!({ "name": "Ones", "sql": "SELECT 1 AS n", "deliver": [hook] });
    let report = reports::create(&service, &admin, &report).await;
    let done = reports::run(&service, &admin, &report, &json!({})).await;
    assert_eq!(done["state"], "done", "{done}");
    let create = service.post("/v1/service-tokens", &admin).json(&json!({ "name": "the till" }));
    let till: Value = create.send().await.unwrap().json().await.unwrap();

    let (_, archive) = export(&service, &admin).await;
    let files = files(&archive);
    let read = |name: &str| -> Value { serde_json::from_slice(&files[name]).unwrap() };
    let told = read("reports.json");
    let told = told.as_array().unwrap();
    assert!(told.len() > 1, "those of the template are among them: {told:?}");
    assert!(told.contains(&report), "{told:?}");
    let runs = String::from_utf8(files["report_runs.ndjson"].clone()).unwrap();
    let runs: Vec<Value> = runs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let run = runs.iter().find(|run| run["run_id"] == done["run_id"]).unwrap();
    assert_eq!((&run["sha256"], &run["deliveries"]), (&done["sha256"], &done["deliveries"]));
    assert_eq!(run["request"]["report"]["sql"], "SELECT 1 AS n");
    let (id, name) = (done["run_id"].as_str().unwrap(), done["file"].as_str().unwrap());
    assert_eq!(files[&format!("report_files/{id}/{name}")], b"n\r\n1\r\n");
    let tokens = read("service_tokens.json");
    assert_eq!((&tokens[0]["id"], &tokens[0]["name"]), (&till["id"], &json!("the till")));
    let given = read("given_template.json");
    assert_eq!(
        (&given["template"]["vertical"], &given["revision"]),
        (&json!("household"), &json!(1))
    );
    let till = till["token"].as_str().unwrap();
    for hidden in [secret, till, sha256(till.as_bytes()).as_str()] {
        assert!(memchr::memmem::find(&archive, hidden.as_bytes()).is_none(), "{hidden}");
    }
}

#[tokio::test]
async fn exports_are_the_tenants_and_the_newest_are_kept() {
    let service = Service::start().await;
    let (mine, other) = (service.tenant("mine").await, service.tenant("other").await);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (run, _) = export(&service, &mine).await;
        ids.push(run["run_id"].as_str().unwrap().to_owned());
    }
    let path = |id: &str| format!("/v1/tenant/export/{id}");
    problem(service.get(&path(&ids[0]), &mine).send().await.unwrap(), 404, "unknown-export").await;
    assert_eq!(service.read(&path(&ids[1]), &mine).await["state"], "done");
    // Another's and one that never was are the same to others.
    for id in [ids[2].as_str(), "20250101T000000000000-00000000", "..%2Fx", "a/b"] {
        for path in [path(id), format!("{}/archive", path(id))] {
            let answer = service.get(&path, &other).send().await.unwrap();
            assert_eq!(answer.status(), 404, "{path}");
        }
    }
    let analyst = token(Some("mine"), &[Role::Analyst]);
    let answer = service.post("/v1/tenant/export", &analyst).send().await.unwrap();
    problem(answer, 403, "forbidden").await;
    problem(service.get(&path(&ids[2]), &analyst).send().await.unwrap(), 403, "forbidden").await;
    // It outlives the process.
    let data = Arc::clone(&service.data);
    drop(service);
    let service = Service::start_in(data).await;
    assert_eq!(service.read(&path(&ids[2]), &mine).await["state"], "done");
    let archive = service.get(&format!("{}/archive", path(&ids[2])), &mine).send().await.unwrap();
    assert!(files(&archive.bytes().await.unwrap()).contains_key("manifest.json"));
}
