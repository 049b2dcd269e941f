use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

proptest! {
    /// Few hashes, so that searches run into each other and around the end.
    #[test]
    fn it_holds_what_a_map_holds(
        steps in prop::collection::vec((0_u32..40, any::<bool>(), prop_oneof![0_u32..4, any::<u32>()]), 0..300),
    ) {
        let (mut index, mut model) = (SlotIndex::default(), BTreeMap::new());
        for (slot, comes, hash) in steps {
            match model.get(&slot).copied() {
                None if comes => {
                    index.insert(hash, slot);
                    model.insert(slot, hash);
                }
                Some(hash) if !comes => {
                    index.remove(hash, slot);
                    model.remove(&slot);
                }
                _ => {}
            }
            for slot in 0..40 {
                let found = |hash| index.find(hash, |other| other == slot);
                prop_assert_eq!(found(model.get(&slot).copied().unwrap_or(hash)), model.get(&slot).map(|_| slot));
            }
            prop_assert_eq!(index.slots().collect::<BTreeSet<_>>(), model.keys().copied().collect());
        }
    }
}
