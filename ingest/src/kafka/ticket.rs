//! What an answer of the intake gives instead of a position while the events are on their way.

use std::fmt;

use projections::Tenant;

/// The most events that a ticket names: one for each type there is.
const MOST: usize = 4_096;

/// Names the last event of each type that a body brought. A producer's messages of one topic and
/// partition keep their order, so when these have been taken, so has the whole body. It tells
/// nothing of where in the topics they stand, which would tell of other tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    tenant: Tenant,
    hashes: Vec<u128>,
}

/// The text is no ticket, or one of another tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no position that an answer of this tenant gave")]
pub struct TicketError;

impl Ticket {
    pub(crate) fn new(tenant: Tenant, hashes: Vec<u128>) -> Self {
        Self { tenant, hashes }
    }

    /// Whether a text looks like a ticket rather than like a position.
    pub fn is_one(text: &str) -> bool {
        text.starts_with('k')
    }

    /// Reads the text of a tenant's ticket.
    ///
    /// # Errors
    /// It is none, or of another tenant.
    pub fn parse(tenant: Tenant, text: &str) -> Result<Self, TicketError> {
        let body = text.strip_prefix('k').filter(|body| body.is_ascii()).ok_or(TicketError)?;
        let (mark, hashes) = body.split_at_checked(8).ok_or(TicketError)?;
        if hashes.is_empty() || hashes.len() % 32 != 0 || hashes.len() / 32 > MOST {
            return Err(TicketError);
        }
        let hashes: Vec<u128> = (hashes.as_bytes().chunks(32))
            .map(|digits| {
                let digits = std::str::from_utf8(digits).map_err(|_| TicketError)?;
                let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                let hash = is_hex.then(|| u128::from_str_radix(digits, 16).ok()).flatten();
                hash.ok_or(TicketError)
            })
            .collect::<Result<_, _>>()?;
        let ticket = Self { tenant, hashes };
        let is_own = u32::from_str_radix(mark, 16).is_ok_and(|mark| mark == ticket.mark());
        if is_own { Ok(ticket) } else { Err(TicketError) }
    }

    pub(crate) fn tenant(&self) -> Tenant {
        self.tenant
    }

    pub(crate) fn hashes(&self) -> &[u128] {
        &self.hashes
    }

    /// Binds the hashes to the tenant.
    fn mark(&self) -> u32 {
        let hashes: Vec<u8> = self.hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        projections::mark(self.tenant, &hashes)
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k{:08x}", self.mark())?;
        self.hashes.iter().try_for_each(|hash| write!(f, "{hash:032x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_back_for_its_tenant_only() {
        let ticket = Ticket::new(Tenant(7), vec![1, u128::MAX]);
        let text = ticket.to_string();
        assert!(Ticket::is_one(&text));
        assert_eq!(Ticket::parse(Tenant(7), &text), Ok(ticket));
        assert_eq!(Ticket::parse(Tenant(8), &text), Err(TicketError));
        for wrong in ["", "k", "k00000000", "p00", "kzzzzzzzz", &text[..40], "kéé"] {
            assert_eq!(Ticket::parse(Tenant(7), wrong), Err(TicketError), "{wrong}");
        }
    }
}
