#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use ingest::history::{Recent, Tail};
use projections::{EventRegistry, Input, ViewDefinition};
use stream::{Hub, StreamLimits};

use super::*;
use crate::serve::restore::{Opened, Place, Wanted, open};
use crate::serve::{Engine, Orders, alone};

/// An input of which nothing came.
fn nothing(offset: u64) -> Input {
    Input { events: Vec::new(), ticks: Vec::new(), offset }
}

/// The number of the newest checkpoint, and how far the source had been read.
fn newest(checkpointer: &Checkpointer) -> Option<(u64, Source)> {
    checkpointer.kept.first().map(|kept| (kept.number, kept.source.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn that_the_source_was_read_on_is_kept_where_nothing_came_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let objects = folder.path().join("objects");
    let types = EventRegistry::builtin();
    let readers = Partition::new(&types.shared(), ViewDefinition::builtin()).unwrap().readers();
    let place = Place {
        objects: ingest::objects::folder(&objects).unwrap(),
        address: Address::Folder(objects),
        store: Store::open(&folder.path().join("control.db")).await.unwrap(),
        types,
        readers: readers.clone(),
        id_key: [0; 16],
        owner: "here".to_owned(),
    };
    let (cuts, requests) = Cuts::channel();
    let recent = Recent::Tail(Tail::new(1 << 20));
    let wanted = Wanted { number: 0, from: None, tenants: BTreeSet::new(), recent, cuts };
    let Opened { partition, mut checkpointer, .. } = open(&place, wanted).await.unwrap();
    let (sender, inputs) = mpsc::channel(1);
    let received = Orders::new(1, alone()).open(0);
    let hub = Hub::new(readers, StreamLimits::default());
    let engine = Engine::start(partition, 0, inputs, received, requests, hub).unwrap();
    let at = |number, offset| Some((number, Source::Log { offset }));

    checkpointer.checkpoint(&Reading::Log).await.unwrap();
    assert_eq!(newest(&checkpointer), at(1, 0), "the first one");
    sender.send(nothing(7)).await.unwrap();
    checkpointer.cuts.reached(7).await.unwrap();
    checkpointer.made = Instant::now();
    checkpointer.checkpoint(&Reading::Log).await.unwrap();
    assert_eq!(newest(&checkpointer), at(1, 0), "it can wait");
    checkpointer.made = Instant::now().checked_sub(BETWEEN_PLACES).unwrap();
    checkpointer.checkpoint(&Reading::Log).await.unwrap();
    assert_eq!(newest(&checkpointer), at(2, 7), "it has waited");

    sender.send(nothing(9)).await.unwrap();
    checkpointer.cuts.reached(9).await.unwrap();
    checkpointer.conclude(&Reading::Log).await.unwrap();
    assert_eq!(newest(&checkpointer), at(3, 9), "the last one waits for nothing");
    checkpointer.conclude(&Reading::Log).await.unwrap();
    assert_eq!(newest(&checkpointer), at(3, 9), "there is nothing that it does not say");
    drop(sender);
    engine.ended().await;
    engine.join().unwrap();
}
