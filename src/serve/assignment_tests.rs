//! Plans, and that following them leads to an even share, whoever comes and goes.
#![allow(clippy::unwrap_used)]

use chrono::TimeDelta;
use proptest::prelude::*;
use tenancy::{StoredNode, StoredPartition};

use super::*;

fn node(name: &str, alive_until: DateTime<Utc>) -> StoredNode {
    StoredNode { node: name.to_owned(), address: String::new(), alive_until }
}

fn of(partition: u32, owner: &str, epoch: u64) -> StoredPartition {
    StoredPartition { partition, owner: Some(owner.to_owned()), epoch }
}

#[test]
fn one_takes_all_and_gives_a_second_its_share() {
    let now = Utc::now();
    let soon = now + TimeDelta::seconds(1);
    let mut ownership = Ownership { nodes: vec![node("a", soon)], partitions: Vec::new() };
    let first = plan(&ownership, "a", 3, now);
    assert_eq!(first, Plan { release: Vec::new(), take: vec![(0, 0), (1, 0), (2, 0)] });
    ownership.partitions = vec![of(0, "a", 1), of(1, "a", 1), of(2, "a", 1)];
    ownership.nodes.push(node("b", soon));
    assert_eq!(plan(&ownership, "b", 3, now), Plan::default());
    assert_eq!(plan(&ownership, "a", 3, now), Plan { release: vec![2], take: Vec::new() });
    ownership.partitions[2].owner = None;
    assert_eq!(plan(&ownership, "a", 3, now), Plan::default());
    assert_eq!(plan(&ownership, "b", 3, now), Plan { release: Vec::new(), take: vec![(2, 1)] });
    // The first dies.
    ownership.nodes[0].alive_until = now;
    let all = plan(&ownership, "b", 3, now).take;
    assert_eq!(all, [(0, 1), (1, 1), (2, 1)]);
}

proptest! {
    /// Nodes come and go at random, each follows its own plan, one step at a time; when they have
    /// been left alone for a while, all partitions are owned, evenly, and nobody moves anything.
    #[test]
    fn the_shares_become_even_and_stay(
        count in 1u32..12,
        lives in prop::collection::vec(prop::collection::vec(any::<bool>(), 4), 1..6),
        order in prop::collection::vec(0usize..4, 120),
    ) {
        let names = ["a", "b", "c", "d"];
        let now = Utc::now();
        let mut ownership = Ownership::default();
        let mut order = order.into_iter().cycle();
        for alive in &lives {
            let until = |lives: bool| now + TimeDelta::seconds(i64::from(lives));
            ownership.nodes =
                names.iter().zip(alive).map(|(name, lives)| node(name, until(*lives))).collect();
            for _ in 0..200 {
                let at = order.next().unwrap();
                if alive[at] {
                    follow(&mut ownership, names[at], count, now);
                }
            }
        }
        let alive: Vec<&str> = ownership.nodes.iter()
            .filter(|node| node.alive_until > now).map(|node| node.node.as_str()).collect();
        prop_assume!(!alive.is_empty());
        let mut shares = Vec::new();
        for name in &alive {
            prop_assert_eq!(plan(&ownership, name, count, now), Plan::default());
            let owns = |n: &u32| owner(&ownership, *n, now).0 == Some(*name);
            shares.push((0..count).filter(owns).count());
        }
        prop_assert_eq!(shares.iter().sum::<usize>(), count as usize);
        prop_assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
    }
}

fn follow(ownership: &mut Ownership, name: &str, count: u32, now: DateTime<Utc>) {
    let Plan { release, take } = plan(ownership, name, count, now);
    for number in release {
        let held = ownership.partitions.iter_mut().find(|of| of.partition == number).unwrap();
        held.owner = None;
    }
    for (number, epoch) in take {
        match ownership.partitions.iter_mut().find(|of| of.partition == number) {
            Some(held) => {
                assert_eq!(held.epoch, epoch);
                (held.owner, held.epoch) = (Some(name.to_owned()), epoch + 1);
            }
            None => ownership.partitions.push(of(number, name, 1)),
        }
    }
}
