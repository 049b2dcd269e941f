//! Tenants that post their events by HTTP: a body again and again until it is acknowledged, as
//! whoever gets no answer does not know what became of it.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use reqwest::Method;

use crate::cloud_events::body;
use crate::firms::Firm;
use crate::history::Fact;
use crate::nodes::Nodes;
use crate::run::Progress;

/// Facts of one body, at most.
const FACTS: usize = 8;

/// Posts all facts of these firms; some are left for after each kill.
pub(crate) async fn post_all(
    nodes: &Nodes,
    firms: &[Firm],
    progress: &Progress,
    mut random: StdRng,
) -> usize {
    let mut bodies: Vec<(&Firm, Vec<&Fact>)> = Vec::new();
    for firm in firms.iter().filter(|firm| firm.posts) {
        let mut rest: Vec<&Fact> = firm.facts.iter().collect();
        while !rest.is_empty() {
            let count = random.random_range(1..=FACTS).min(rest.len());
            bodies.push((firm, rest.drain(..count).collect()));
        }
    }
    bodies.shuffle(&mut random);
    for (done, (firm, facts)) in bodies.iter().enumerate() {
        while done >= progress.allowed(bodies.len()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let tenant = Some(firm.id.as_str());
        let sent = Some(body(facts, done));
        let receipt = nodes.call(Method::POST, "/v1/events", tenant, sent).await;
        let taken = receipt["accepted"].as_u64().unwrap() + receipt["duplicates"].as_u64().unwrap();
        assert_eq!(taken, facts.len() as u64, "{receipt}");
        // Now and then it is waited for, by whatever node there is then.
        if random.random_ratio(1, 5) {
            let position = receipt["position"].as_str().unwrap();
            nodes.get(&format!("/v1/views?wait_for={position}&wait_ms=20000"), tenant).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..100))).await;
    }
    bodies.len()
}
