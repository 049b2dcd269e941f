#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::Secret;

#[test]
fn a_key_is_made_once_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let missing = AuditKey::in_folder(folder.path()).unwrap_err();
    assert!(missing.to_string().contains("audit.key"), "{missing}");
    let key = AuditKey::of_folder(folder.path()).unwrap();
    assert_eq!(AuditKey::of_folder(folder.path()).unwrap().id(), key.id());
    assert_eq!(AuditKey::in_folder(folder.path()).unwrap().id(), key.id());
    assert_ne!(AuditKey::new(&Secret::random().unwrap()).id(), key.id());
    let text = std::fs::read_to_string(folder.path().join("audit.key")).unwrap();
    assert!(!format!("{key:?}").contains(&text));
    std::fs::write(folder.path().join("audit.key"), "short").unwrap();
    assert!(AuditKey::of_folder(folder.path()).is_err());
}

#[test]
fn a_seal_is_of_one_end_alone() {
    let key = AuditKey::new(&Secret::random().unwrap());
    let head = key.head(Chain::Tenant(1), 7, [3; 32]);
    assert!(key.holds(Chain::Tenant(1), &head));
    assert!(!key.holds(Chain::Tenant(2), &head));
    assert!(!key.holds(Chain::Platform, &head));
    assert!(!key.holds(Chain::Tenant(1), &AuditHead { seq: 6, ..head.clone() }));
    assert!(!key.holds(Chain::Tenant(1), &AuditHead { hash: [4; 32], ..head.clone() }));
    let other = AuditKey::new(&Secret::random().unwrap());
    assert!(!other.holds(Chain::Tenant(1), &head));
}

fn texts() -> impl Strategy<Value = [String; 5]> {
    proptest::array::uniform5("[a-c]{0,3}")
}

proptest! {
    /// What differs in anything has another hash: nothing runs together with what stands beside it.
    #[test]
    fn a_digest_is_of_one_record_alone(
        a in (1_u64..4, 0_i64..4, 200_u16..203, texts(), 0_u32..3),
        b in (1_u64..4, 0_i64..4, 200_u16..203, texts(), 0_u32..3),
        shift in any::<Index>(),
    ) {
        let record = |(seq, at, status, texts, tenant): (u64, i64, u16, [String; 5], u32)| {
            let [actor, source, action, object, detail] = texts;
            let record =
                AuditRecord { seq, at, actor, source, action, object, status, detail, hash: [0; 32] };
            let chain = if tenant == 0 { Chain::Platform } else { Chain::Tenant(tenant) };
            (chain, record)
        };
        let ((chain, one), (other_chain, two)) = (record(a.clone()), record(b));
        let is_same = (chain, &one) == (other_chain, &two);
        prop_assert_eq!(one.digest(chain, &[0; 32]) == two.digest(other_chain, &[0; 32]), is_same);
        // A character that moves from one text to the next.
        let mut moved = a;
        let from = shift.index(4);
        if let Some(last) = moved.3[from].pop() {
            moved.3[from + 1].insert(0, last);
            let (_, moved) = record(moved);
            prop_assert_ne!(one.digest(chain, &[0; 32]), moved.digest(chain, &[0; 32]));
        }
        prop_assert_ne!(one.digest(chain, &[0; 32]), one.digest(chain, &[1; 32]));
    }
}

#[test]
fn actions_have_names() {
    for action in Action::ALL {
        assert_eq!(action.as_str().parse(), Ok(action));
    }
    assert!("delete".parse::<Action>().unwrap_err().to_string().contains("sign_in"));
}
