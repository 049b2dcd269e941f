//! `tidemark token`.

use chrono::{TimeDelta, Utc};
use tenancy::{Claims, Role, RoleSet, Secret, TenantId, mint};

use super::Failure;
use super::serve::variables;
use crate::config::{self, Overrides};

/// Hours for which a token made here holds.
const HOURS: i64 = 12;

#[derive(Debug, clap::Args)]
pub(super) struct Token {
    /// The tenant it speaks for; none for the role `platform`
    #[arg(long)]
    tenant: Option<TenantId>,
    /// What it may do: executive, analyst, service, admin or platform; may be repeated
    #[arg(long = "role", required = true, value_name = "ROLE")]
    roles: Vec<Role>,
    /// The service's key, at least 32 bytes [default: TIDEMARK_JWT_SECRET]
    #[arg(long)]
    secret: Option<String>,
}

impl Token {
    pub(super) fn run(self) -> Result<(), Failure> {
        let secret = match self.secret {
            Some(text) => {
                Secret::new(text).map_err(|error| Failure::Usage(format!("--secret: {error}")))?
            }
            None => secret_of_the_environment()?,
        };
        let token = make(&secret, self.tenant, RoleSet::of(&self.roles))?;
        println!("{token}");
        Ok(())
    }
}

/// The key that a service started in this environment would use.
fn secret_of_the_environment() -> Result<Secret, Failure> {
    let loaded = config::load(None, variables(), Overrides::default())?;
    loaded.config.jwt_secrets.into_iter().next().ok_or_else(|| {
        Failure::Usage(String::from(
            "no key to sign with; give the service's with --secret or TIDEMARK_JWT_SECRET",
        ))
    })
}

/// A token that holds for some hours from now.
pub(super) fn make(
    secret: &Secret,
    tenant: Option<TenantId>,
    roles: RoleSet,
) -> Result<String, Failure> {
    let expires = Utc::now() + TimeDelta::hours(HOURS);
    let usage = |error: tenancy::TokenError| Failure::Usage(error.to_string());
    let claims = Claims::new("tidemark-cli", tenant, roles, expires).map_err(usage)?;
    mint(secret, &claims).map_err(Failure::failed)
}
