#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What is done to a store between cuts.
#[derive(Debug, Clone)]
enum Deed {
    Set(u32, Option<u8>),
    Cut { whole: bool },
    Take(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => (0..200_u32, prop::option::of(any::<u8>())).prop_map(|(slot, v)| Deed::Set(slot, v)),
        1 => any::<bool>().prop_map(|whole| Deed::Cut { whole }),
        3 => (1..200_usize).prop_map(Deed::Take),
    ];
    prop::collection::vec(deed, 0..200)
}

fn write(store: &BTreeMap<u32, u8>, slot: u32, out: &mut Vec<u8>) {
    out.extend(store.get(&slot));
}

proptest! {
    /// What parts of finished cuts make is what stood at the last of them.
    #[test]
    fn parts_make_what_stood_at_the_cut(deeds in deeds()) {
        let mut journal = Journal::default();
        let mut store: BTreeMap<u32, u8> = BTreeMap::new();
        let mut saved: BTreeMap<u64, u8> = BTreeMap::new();
        let mut at_cut = None;
        let mut parts = Vec::new();
        for deed in deeds {
            match deed {
                Deed::Set(slot, value) => {
                    journal.before(slot, |out| write(&store, slot, out));
                    match value {
                        Some(value) => store.insert(slot, value),
                        None => store.remove(&slot),
                    };
                }
                // A cut waits for the one before it.
                Deed::Cut { whole } if at_cut.is_none() => {
                    journal.cut(whole, 200);
                    at_cut = Some(store.clone());
                }
                Deed::Cut { .. } => {}
                Deed::Take(room) => {
                    let Some(expected) = &at_cut else { continue };
                    let mut capture = Capture { node: 0, room, parts: Vec::new() };
                    let entry = |slot, out: &mut Vec<u8>| write(&store, slot, out);
                    let done = journal.capture(&mut capture, (3, 1), entry);
                    parts.append(&mut capture.parts);
                    if !done {
                        continue;
                    }
                    for part in parts.drain(..) {
                        prop_assert!(part.slots.is_sorted() && part.store == 3);
                        for (slot, bytes) in part.entries() {
                            match bytes.first() {
                                Some(value) => saved.insert(slot, *value),
                                None => saved.remove(&slot),
                            };
                        }
                    }
                    let expected: BTreeMap<u64, u8> =
                        expected.iter().map(|(s, v)| (1 << 32 | u64::from(*s), *v)).collect();
                    prop_assert_eq!(&saved, &expected);
                    at_cut = None;
                }
            }
        }
    }
}

/// A step that changes everything leaves no more to be put in order at once than a piece.
#[test]
fn what_a_large_step_sets_aside_is_given_in_pieces() {
    let mut journal = Journal::default();
    let slots = 100_000;
    journal.cut(true, slots as usize);
    for slot in (0..slots).rev() {
        journal.before(slot, |out| out.extend_from_slice(&[7; 20]));
    }
    let (mut given, mut is_done) = (Vec::new(), false);
    while !is_done {
        let mut capture = Capture { node: 0, room: PIECE, parts: Vec::new() };
        is_done = journal.capture(&mut capture, (0, 0), |_, _| panic!("nothing is pending"));
        assert!(capture.parts.iter().map(StatePart::size).sum::<usize>() < 2 * PIECE + 100);
        given.extend(capture.parts.into_iter().flat_map(|part| part.slots));
    }
    given.sort_unstable();
    assert!(given.into_iter().eq(0..u64::from(slots)));
}
