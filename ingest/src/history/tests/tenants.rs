//! The list of a file's tenants.

use std::collections::BTreeSet;

use projections::Tenant;
use proptest::prelude::*;

use crate::history::Tenants;

proptest! {
    #[test]
    fn a_list_is_the_set_it_was_made_of(
        set in prop::collection::btree_set(prop_oneof![0..80_u32, any::<u32>()], 0..60),
        asked in prop::collection::vec(prop_oneof![0..80_u32, any::<u32>()], 0..60),
    ) {
        let numbers: Vec<u32> = set.iter().copied().collect();
        let mut tenants = Tenants::default();
        for part in numbers.chunks(7) {
            tenants.extend(part);
            tenants.extend(&part[part.len() - 1..]);
        }
        let text = serde_json::to_string(&tenants).unwrap();
        let read: Tenants = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &tenants);
        for number in asked.iter().chain(&numbers) {
            prop_assert_eq!(read.contains(Tenant(*number)), set.contains(number));
            let alone = set == BTreeSet::from([*number]);
            prop_assert_eq!(read.is_only(Tenant(*number)), alone);
        }
        let bounds = numbers.first().map(|first| (Tenant(*first), Tenant(numbers[numbers.len() - 1])));
        prop_assert_eq!(read.bounds(), bounds);
    }

    #[test]
    fn no_text_breaks_it(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
        if let Ok(tenants) = serde_json::from_value::<Tenants>(text.into()) {
            let again = serde_json::to_value(&tenants).unwrap();
            prop_assert_eq!(serde_json::from_value::<Tenants>(again).unwrap(), tenants);
        }
    }
}

#[test]
fn all_of_several_thousand_tenants_take_a_few_bytes() {
    let mut tenants = Tenants::default();
    tenants.extend(&(1..=5_000).collect::<Vec<_>>());
    assert!(serde_json::to_string(&tenants).unwrap().len() < 10);
}
