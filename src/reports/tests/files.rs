//! Files that go, files that stay, and files that are too large.

use object_store::PutPayload;

use super::*;

async fn files(node: &Reports) -> Vec<String> {
    let all = node.shared.parts.objects.list(None).map_ok(|file| file.location.to_string());
    all.try_collect().await.unwrap()
}

/// Whoever has begun it and brought a file is gone, and nothing comes of it.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_run_that_comes_to_nothing_no_file_stays() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let report = node.create(&acme, &jo, definition(json!({}))).await.unwrap();
    for ends in ["it is called off", "it fails", "its report goes"] {
        let run = node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
        taken(&node).await;
        let file = runs::run_folder(1, &run).join("gone.csv");
        node.shared.parts.objects.put(&file, PutPayload::from("half")).await.unwrap();
        let expected = match ends {
            "it is called off" => {
                node.cancel(1, &run).await.unwrap();
                Some(RunState::Cancelled)
            }
            "it fails" => {
                let roles = RoleSet::of(&[Role::Executive]);
                let less = StoredOwner { roles, seen_at: node.now() };
                node.shared.store().note_owner(1, "jo", &less, false).await.unwrap();
                Some(RunState::Failed)
            }
            _ => {
                node.delete(1, &report.id, None).await.unwrap();
                None
            }
        };
        // What still goes on is not looked for.
        settle(&[&node]).await;
        assert_eq!(files(&node).await, [file.to_string()], "{ends}");
        // What is begun anew comes to its end before it is looked what has come of it.
        for time in [TimeDelta::seconds(61), TimeDelta::hours(2)] {
            place.pass(time);
            settle(&[&node]).await;
        }
        assert_eq!(files(&node).await, [""; 0], "{ends}");
        let state = node.run_of(1, &run).await.ok().map(|run| run.stored.state);
        assert_eq!(state, expected, "{ends}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_goes_while_it_is_asked_for_was_kept_for_its_time() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let node = place.node("one").await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let report = node.create(&acme, &jo, definition(json!({}))).await.unwrap();
    let run = node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
    settle(&[&node]).await;
    let run = node.run_of(1, &run).await.unwrap();
    assert_eq!(run.stored.state, RunState::Done);
    node.shared.remove_below(&runs::run_folder(1, &run.stored.id)).await.unwrap();
    let gone = node.file(run.outcome.as_ref().unwrap(), None).await;
    assert!(matches!(gone, Err(ReportError::Gone)), "{gone:?}");
}

/// What is packed to next to nothing takes its room on the disk before.
#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_is_too_large_before_it_is_packed() {
    let place = Place::new("2026-11-20T05:00:00Z");
    let settings = ReportSettings { file_bytes: 40_000, ..ReportSettings::default() };
    let node = place.node_with("one", settings).await;
    let acme = tenant(&node).await;
    let jo = somebody("jo", Role::Analyst);
    let outcome = async |rows: usize| {
        let values = vec!["(1)"; rows].join(", ");
        let sql = format!("SELECT repeat('x', 1000) AS t FROM (VALUES {values}) AS v(n)");
        let report = definition(json!({ "format": "xlsx", "sql": sql }));
        let report = node.create(&acme, &jo, report).await.unwrap();
        let run = node.run(&acme, &jo, &report.id, Map::new(), None).await.unwrap();
        settle(&[&node]).await;
        let run = node.run_of(1, &run).await.unwrap().stored;
        (run.state, run.error.unwrap_or_default())
    };
    assert_eq!(outcome(10).await, (RunState::Done, String::new()));
    let (state, error) = outcome(100).await;
    assert_eq!(state, RunState::Failed, "{error}");
    assert!(
        error.contains("40000 bytes") && error.contains("limits.reports.file_bytes"),
        "{error}"
    );
    let left: Vec<_> = std::fs::read_dir(place.folder.path().join("one")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
