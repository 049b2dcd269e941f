//! Feeds the firms through the same interface as everybody else.

use std::time::Duration;

use chrono::{Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;
use tenancy::{Role, RoleSet, Secret};
use tokio::time::sleep;

use super::super::connection::{Connection, accepted, worth_retrying};
use super::super::{Failure, token};
use super::firms::Sample;
use crate::generate::{Day, Random, Story};

/// How far back the stories begin: about eighteen months.
const PAST_DAYS: i64 = 548;
/// Bytes of a body.
const BODY: usize = 1 << 20;
/// Between events of the present.
const BEAT: Duration = Duration::from_millis(900);
/// While the service begins or is busy.
const PAUSE: Duration = Duration::from_millis(250);
const ATTEMPTS: u32 = 240;

/// A firm that is told of.
pub(super) struct Firm {
    story: Story,
    connection: Connection,
}

impl Firm {
    /// Creates the firm's tenant and begins its story.
    pub(super) async fn create(
        sample: &Sample,
        platform: &Connection,
        secret: &Secret,
    ) -> Result<Self, Failure> {
        let tenant = sample.tenant()?;
        let document = json!({
            "id": tenant,
            "name": sample.name,
            "timezone": sample.timezone,
            "currency": sample.profile.currency,
            "vertical": sample.vertical,
            // Its story has more than its line of business would switch on.
            "modules": tenancy::MODULES,
        })
        .to_string();
        post(platform, "/v1/platform/tenants", "application/json", document.into()).await?;
        let zone: Tz = sample.timezone.parse().map_err(Failure::failed)?;
        let now = Utc::now();
        let offset = zone.offset_from_utc_datetime(&now.naive_utc()).fix().local_minus_utc();
        let start = Day::of((now - TimeDelta::days(PAST_DAYS)).date_naive());
        let random = Random::new(sample.seed);
        let story = Story::new(tenant.to_string(), sample.profile, random, start, sample.events);
        let service = token::make(secret, Some(tenant), RoleSet::of(&[Role::Service]))?;
        Ok(Self {
            story: story.ahead_of_utc(i64::from(offset)),
            connection: platform.with_token(service),
        })
    }
}

/// All firms.
#[derive(Default)]
pub(super) struct Feed {
    firms: Vec<Firm>,
}

impl Feed {
    pub(super) fn add(&mut self, firm: Firm) {
        self.firms.push(firm);
    }

    /// Tells everything up to now; says how many events that were.
    pub(super) async fn past(&mut self) -> Result<u64, Failure> {
        let now = Utc::now().timestamp();
        let mut events = 0;
        for firm in &mut self.firms {
            let mut body = Vec::with_capacity(BODY + 4096);
            while firm.story.next_time() <= now {
                body.extend_from_slice(firm.story.next_line());
                events += 1;
                if body.len() >= BODY {
                    send(&firm.connection, std::mem::take(&mut body)).await?;
                }
            }
            send(&firm.connection, body).await?;
        }
        Ok(events)
    }

    /// One event after another, for one firm or another.
    pub(super) async fn present(&mut self) -> Result<(), Failure> {
        let mut random = Random::new(Utc::now().timestamp().unsigned_abs());
        loop {
            let wait = random.between(BEAT.as_millis() as i64 / 3, BEAT.as_millis() as i64 * 5 / 3);
            sleep(Duration::from_millis(wait.unsigned_abs())).await;
            let index = random.below(self.firms.len() as u64) as usize;
            if let Some(firm) = self.firms.get_mut(index) {
                let line = firm.story.live_line(Utc::now().timestamp()).to_vec();
                send(&firm.connection, line).await?;
            }
        }
    }
}

async fn send(connection: &Connection, lines: Vec<u8>) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    let answer = post(connection, "/v1/events", "application/x-ndjson", lines.into()).await?;
    let receipt: serde_json::Value = answer.json().await.map_err(Failure::failed)?;
    match receipt.get("rejected").and_then(|list| list.get(0)) {
        None => Ok(()),
        Some(first) => Err(Failure::Failed(format!("the service rejected an event: {first}"))),
    }
}

/// Posts, again while the service begins or is busy.
async fn post(
    connection: &Connection,
    path: &str,
    content_type: &str,
    body: bytes::Bytes,
) -> Result<Response, Failure> {
    let mut attempts = 0;
    loop {
        let call = connection.post(path).header(CONTENT_TYPE, content_type).body(body.clone());
        let response = call.send().await.map_err(|error| connection.unreachable(&error))?;
        attempts += 1;
        if !worth_retrying(response.status()) || attempts == ATTEMPTS {
            return accepted(response).await;
        }
        sleep(PAUSE).await;
    }
}
