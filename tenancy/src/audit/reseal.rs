//! Sealing chains with another key.

use super::{AuditKey, Chain, Verdict, verify};
use crate::{Store, StoreError};

/// What came of sealing a chain with another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resealed {
    /// Its end is sealed with the new key, now or already; so many records.
    Done(u64),
    /// It does not hold by the former key, and was left as it is.
    Faults(Verdict),
    /// Records came behind its end meanwhile, and it was left as it is.
    Grown,
}

/// Seals the end of a chain with the key `new` once all of it holds by the key `former`. Nobody may
/// append to it meanwhile.
pub async fn reseal(
    store: &Store,
    former: &AuditKey,
    new: &AuditKey,
    chain: Chain,
) -> Result<Resealed, StoreError> {
    let Some(head) = store.audit_head(chain).await? else {
        // Records without an end are a fault.
        let verdict = verify(store, new, chain, &[]).await?;
        return Ok(if verdict.count == 0 { Resealed::Done(0) } else { Resealed::Faults(verdict) });
    };
    let is_done = head.key_id == new.id();
    let verdict = verify(store, if is_done { new } else { former }, chain, &[]).await?;
    if verdict.count > 0 {
        return Ok(Resealed::Faults(verdict));
    }
    if is_done || store.reseal_audit(chain, &head, new).await? {
        return Ok(Resealed::Done(head.seq));
    }
    Ok(Resealed::Grown)
}
