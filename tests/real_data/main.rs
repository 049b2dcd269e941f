//! The main job, end to end, on real events: the real process on an empty folder, every file over
//! HTTP, every figure compared with the expected one, decimals and all; then the process is killed
//! with SIGKILL, started again, and everything is compared again.
//!
//! The AdventureWorks events are in the project, and what is expected of them is also added up
//! here from the file itself. The other files and the expected figures lie outside it, at
//! `TIDEMARK_SAMPLE_DATA`, or else at `../shared/data`. Without that folder those comparisons are
//! left out, which is said on standard error, and is a failure where `CI` is set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adventureworks;
mod figures;
mod firms;
mod process;

use serde_json::Value;
use tempfile::TempDir;

use firms::Firm;
use process::Process;

/// What must hold before and after the process is killed.
async fn compare(process: &Process, firms: &[Firm]) {
    adventureworks::compare(process).await;
    for firm in firms {
        for file in &firm.expected {
            let rows = figures::compare(process, &firm.tenant, file).await;
            eprintln!("{}: {} rows as expected", file.name(), rows);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_gives_the_expected_figures_before_and_after_a_kill() {
    let folder = TempDir::new().unwrap();
    let process = Process::start(folder.path()).await;
    let mut firms = firms::firms();
    for firm in &mut firms {
        process.create(&firm.tenant, &firm.clock, "USD").await;
        firm.load(&process).await;
    }
    compare(&process, &firms).await;
    let positions = positions(&process, &firms).await;

    process.kill();
    let process = Process::start(folder.path()).await;
    assert_eq!(self::positions(&process, &firms).await, positions, "nothing acknowledged is lost");
    compare(&process, &firms).await;

    // The same again has no effect.
    for firm in &mut firms {
        firm.load(&process).await;
    }
    assert_eq!(self::positions(&process, &firms).await, positions, "repeats move nothing");
    compare(&process, &firms).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_goes_on_where_a_kill_broke_it_off() {
    let folder = TempDir::new().unwrap();
    let process = Process::start(folder.path()).await;
    let (tenant, clock) = (adventureworks::TENANT, format!("fixed:{}", adventureworks::TODAY));
    process.create(tenant, &clock, "USD").await;
    let created: Value = process.get(tenant, "/v1/views").await.json().await.unwrap();
    let loading = process.loading(tenant, &adventureworks::file());
    loop {
        let views: Value = process.get(tenant, "/v1/views").await.json().await.unwrap();
        if views["position"] != created["position"] {
            eprintln!("killed at {}", views["position"]);
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let process = process.kill_and_restart(folder.path()).await;
    tokio::task::spawn_blocking(|| Process::loaded(loading)).await.unwrap();
    adventureworks::compare(&process).await;
}

/// A view that failed for what it held is there again once it may hold that, though the checkpoint
/// in between knows it as failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_raised_limit_brings_a_failed_view_back() {
    let folder = TempDir::new().unwrap();
    let limit = [("TIDEMARK_LIMITS_VIEWS_TENANT_BYTES", "4000000")];
    let process = Process::start_with(folder.path(), &limit).await;
    let firms = firms::firms();
    let firm = firms.iter().find(|firm| firm.tenant == adventureworks::TENANT).unwrap();
    process.create(&firm.tenant, &firm.clock, "USD").await;
    firm.load(&process).await;
    let states = async |process: &Process| -> Vec<String> {
        let listed: Value = process.get(&firm.tenant, "/v1/views").await.json().await.unwrap();
        let views = listed["views"].as_array().unwrap().iter();
        views.map(|view| view["state"].as_str().unwrap().to_owned()).collect()
    };
    assert!(states(&process).await.contains(&"failed".to_owned()));
    process.checkpointed().await;
    process.kill();

    let process = Process::start(folder.path()).await;
    assert!(states(&process).await.iter().all(|state| state == "live"));
    adventureworks::compare(&process).await;
}

async fn positions(process: &Process, firms: &[Firm]) -> Vec<(String, Value)> {
    let mut positions = Vec::new();
    for firm in firms {
        let views: Value = process.get(&firm.tenant, "/v1/views").await.json().await.unwrap();
        positions.push((firm.tenant.clone(), views["position"].clone()));
    }
    positions
}
