//! The one way in for events and dates, whatever keeps them: the log, or Kafka.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use ingest::{
    BodyError, Decoded, Format, IntakeError, KafkaIntake, Limits, Outgoing, Rejected, Sender,
    Ticket,
};
use projections::{EventTypes, Position, PositionError, Tenant, Tick};
use stream::{Hub, NotYet};
use tenancy::{Directory, TenantId};
use tokio::time::timeout;

/// The way in; cheap to clone.
#[derive(Clone)]
pub(crate) enum Intake {
    /// The embedded log.
    Log(ingest::Intake),
    /// Kafka; the directory gives the ids by which it tells partitions.
    Kafka(KafkaIntake, Directory),
}

/// A body that was decoded for the intake it goes to.
pub(crate) enum Body {
    Log(Decoded),
    Kafka(Outgoing),
}

impl Body {
    /// How many events it has.
    pub(crate) fn events(&self) -> usize {
        match self {
            Self::Log(decoded) => decoded.events(),
            Self::Kafka(outgoing) => outgoing.events(),
        }
    }
}

/// What became of a body.
pub(crate) struct Receipt {
    /// Events that are kept now.
    pub(crate) accepted: usize,
    /// Events whose id was there already.
    pub(crate) duplicates: usize,
    /// Events that were not taken.
    pub(crate) rejected: Vec<Rejected>,
    /// What `wait_for` takes.
    pub(crate) position: String,
}

/// What a read waits for.
pub(crate) enum Awaited {
    /// A position.
    Position(Position),
    /// Events that are on their way through Kafka.
    Ticket(Ticket),
}

/// What was waited for did not come.
pub(crate) enum NotCome {
    /// Not in time.
    NotYet(NotYet),
    /// Not in time: the events are not taken from Kafka yet.
    Late(Duration),
    /// Never, as nothing is read any more.
    Intake(IntakeError),
}

impl Awaited {
    /// Reads what an answer to this tenant gave.
    pub(crate) fn parse(tenant: Tenant, text: &str) -> Result<Self, PositionError> {
        if Ticket::is_one(text)
            && let Ok(ticket) = Ticket::parse(tenant, text)
        {
            return Ok(Self::Ticket(ticket));
        }
        Position::parse(tenant, text).map(Self::Position)
    }
}

impl Intake {
    /// Decodes a body. Blocks for as long as that takes.
    pub(crate) fn decode(
        &self,
        types: &EventTypes,
        limits: &Limits,
        sender: &Sender,
        format: Format,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Body, BodyError> {
        match self {
            Self::Log(_) => ingest::decode(types, limits, sender, format, body, now).map(Body::Log),
            Self::Kafka(..) => {
                Outgoing::decode(types, limits, sender, format, body, now).map(Body::Kafka)
            }
        }
    }

    /// Takes what was decoded; returns when it is on disk, or acknowledged by Kafka.
    pub(crate) async fn submit(&self, sender: &Sender, body: Body) -> Result<Receipt, IntakeError> {
        match (self, body) {
            (Self::Log(log), Body::Log(decoded)) => {
                let receipt = log.submit(sender, decoded).await?;
                Ok(Receipt {
                    accepted: receipt.accepted,
                    duplicates: receipt.duplicates,
                    rejected: receipt.rejected,
                    position: receipt.position.to_string(),
                })
            }
            (Self::Kafka(kafka, _), Body::Kafka(outgoing)) => {
                let delivered = kafka.submit(sender, outgoing).await?;
                Ok(Receipt {
                    accepted: delivered.accepted,
                    duplicates: delivered.duplicates,
                    rejected: delivered.rejected,
                    position: delivered.position,
                })
            }
            // A body goes to the intake that decoded it; there is one in a process.
            _ => Err(IntakeError::OtherSender),
        }
    }

    /// Waits until what is awaited is in the views.
    pub(crate) async fn wait(
        &self,
        hub: &Hub,
        awaited: &Awaited,
        tenant_id: &str,
        patience: Duration,
    ) -> Result<(), NotCome> {
        let begun = std::time::Instant::now();
        let position = match (awaited, self) {
            (Awaited::Position(position), _) => *position,
            (Awaited::Ticket(ticket), Self::Kafka(kafka, _)) => {
                match timeout(patience, kafka.redeem(ticket, tenant_id)).await {
                    Ok(position) => position.map_err(NotCome::Intake)?,
                    Err(_) => return Err(NotCome::Late(patience)),
                }
            }
            (Awaited::Ticket(_), Self::Log(_)) => return Err(NotCome::Late(Duration::ZERO)),
        };
        let left = patience.saturating_sub(begun.elapsed());
        hub.wait_for(position, left).await.map_err(NotCome::NotYet)
    }

    /// Records dates.
    pub(crate) async fn tick(&self, ticks: Vec<Tick>) -> Result<(), IntakeError> {
        match self {
            Self::Log(log) => log.tick(ticks).await,
            Self::Kafka(kafka, directory) => {
                kafka.tick(ticks, |tenant| tenant_id(directory, tenant)).await
            }
        }
    }

    /// Takes nothing of a deleted tenant any more; answers the offset beyond which there is nothing
    /// of it.
    pub(crate) async fn forget(&self, tenant: Tenant, id: &TenantId) -> Result<u64, IntakeError> {
        match self {
            Self::Log(log) => log.forget(tenant).await,
            Self::Kafka(kafka, _) => kafka.forget(tenant, id.as_str()).await,
        }
    }

    /// How many events and ticks of the tenant have been taken.
    pub(crate) fn sequence(&self, tenant: Tenant) -> u64 {
        match self {
            Self::Log(log) => log.sequence(tenant),
            Self::Kafka(kafka, directory) => {
                tenant_id(directory, tenant).map_or(0, |id| kafka.sequence(tenant, &id))
            }
        }
    }

    /// The same without the epoch, which stands in the upper half of a sequence of Kafka's.
    pub(crate) fn taken(&self, tenant: Tenant) -> u64 {
        match self {
            Self::Log(log) => log.sequence(tenant),
            Self::Kafka(..) => self.sequence(tenant) & u64::from(u32::MAX),
        }
    }

    /// The tenant's last recorded date.
    pub(crate) fn last_date(&self, tenant: Tenant) -> Option<NaiveDate> {
        match self {
            Self::Log(log) => log.last_date(tenant),
            Self::Kafka(kafka, directory) => {
                kafka.last_date(tenant, &tenant_id(directory, tenant)?)
            }
        }
    }

    /// The newest event time of the tenant.
    pub(crate) fn newest_event(&self, tenant: Tenant) -> Option<DateTime<Utc>> {
        match self {
            Self::Log(log) => log.newest_event(tenant),
            Self::Kafka(kafka, directory) => {
                kafka.newest_event(tenant, &tenant_id(directory, tenant)?)
            }
        }
    }

    /// Whether what comes for a tenant is taken: not if its partition of Kafka has stopped.
    pub(crate) fn is_read(&self, tenant: &TenantId) -> bool {
        match self {
            Self::Log(_) => true,
            Self::Kafka(kafka, _) => kafka.is_read(tenant.as_ref()),
        }
    }

    /// Kafka, if it is the source.
    pub(crate) fn kafka(&self) -> Option<&KafkaIntake> {
        match self {
            Self::Log(_) => None,
            Self::Kafka(kafka, _) => Some(kafka),
        }
    }
}

fn tenant_id(directory: &Directory, Tenant(number): Tenant) -> Option<String> {
    directory.by_number(number).map(|tenant| tenant.id.to_string())
}
