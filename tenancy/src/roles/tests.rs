#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;

#[test]
fn names_are_those_of_tokens() {
    let names: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
    assert_eq!(names, ["executive", "analyst", "service", "admin", "platform"]);
    for role in Role::ALL {
        assert_eq!(role.as_str().parse::<Role>(), Ok(role));
        assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
    }
}

#[test]
fn an_unknown_role_is_told_the_known_ones() {
    for name in ["", "Admin", "admin ", "root"] {
        let message = name.parse::<Role>().unwrap_err().to_string();
        assert!(message.contains("executive, analyst, service, admin, platform"), "{message}");
    }
}

proptest! {
    /// A set answers as a list would.
    #[test]
    fn a_set_is_the_list_it_was_made_of(
        a in subsequence(Role::ALL.to_vec(), 0..=5),
        b in subsequence(Role::ALL.to_vec(), 0..=5),
    ) {
        let set: RoleSet = a.iter().copied().collect();
        let other = RoleSet::of(&b);
        prop_assert_eq!(set, RoleSet::of(&a));
        prop_assert_eq!(set.iter().collect::<Vec<_>>(), a.clone());
        prop_assert_eq!(set.is_empty(), a.is_empty());
        prop_assert_eq!(set.intersects(other), a.iter().any(|role| b.contains(role)));
        for role in Role::ALL {
            prop_assert_eq!(set.contains(role), a.contains(&role));
        }
        prop_assert_eq!(serde_json::to_value(set).unwrap(), serde_json::to_value(&a).unwrap());
    }
}
