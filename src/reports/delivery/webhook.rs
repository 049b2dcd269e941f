//! A signed call that says that a file is there, or what became of an alert.
//!
//! The header `Tidemark-Signature` is `t=<seconds since 1970>,v1=<hex>`, where the second is the
//! HMAC-SHA256 of `<seconds>.<body>` by the target's secret (RFC 2104). Who is called can so tell
//! that the call is ours and new.
//!
//! A tenant's people choose the address, so it must lead nowhere that only this service reaches: a
//! name is looked up once, every address it has must be a public one, and it is the one that is
//! called. Nothing that the answer says is followed, and nothing of it is shown.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use chrono::Utc;
use hmac::{Hmac, Mac};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use sha2::Sha256;
use tenancy::hex;

use super::super::settings::ReportSettings;
use super::super::told::instant;
use super::{Delivery, Undelivered};

/// How long the other side has to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes the call, signed with the secret; an answer of 2xx takes it. `key` is the same with each
/// try.
pub(super) async fn call(
    settings: &ReportSettings,
    (url, secret): (&str, &str),
    key: &str,
    body: &Value,
) -> Result<(), Undelivered> {
    let url = Url::parse(url).map_err(|_| Undelivered::for_good("its address is none"))?;
    let addresses = resolve(&url, settings.private_webhooks).await?;
    let body = body.to_string();
    let signature = signature(secret, Utc::now().timestamp(), &body)
        .ok_or_else(|| Undelivered::for_good("it cannot be signed with its secret"))?;
    let mut client = Client::builder().redirect(Policy::none()).no_proxy().timeout(PATIENCE);
    if let Some(name) = url.domain() {
        client = client.resolve_to_addrs(name, &addresses);
    }
    let failed = |error: &dyn std::fmt::Display| Undelivered::for_now(error.to_string());
    let client = client.build().map_err(|error| failed(&error))?;
    let call = client
        .post(url)
        .header("content-type", "application/json")
        .header("user-agent", "tidemark")
        .header("tidemark-signature", signature)
        .header("idempotency-key", key)
        .body(body);
    let answer = call.send().await.map_err(|error| failed(&error.without_url()))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let message = format!("it answered {}", status.as_u16());
    // What was wrong with the call will be wrong with the next one.
    let may_pass =
        status.is_server_error() || matches!(status.as_u16(), 404 | 408 | 409 | 425 | 429);
    Err(Undelivered { message, may_pass })
}

/// What is said of a report's file.
pub(super) fn of_file(settings: &ReportSettings, delivery: &Delivery<'_>) -> Value {
    let outcome = delivery.outcome;
    json!({
        "type": "report.done",
        "tenant": delivery.tenant.id,
        "report": delivery.report_id,
        "name": delivery.report.name,
        "run_id": delivery.run_id,
        "position": outcome.position,
        "as_of": outcome.as_of,
        "made_at": instant(outcome.made_at),
        "file": outcome.name,
        "format": outcome.format,
        "rows": outcome.rows,
        "bytes": outcome.bytes,
        "sha256": outcome.sha256,
        "expires_at": instant(delivery.expires_at),
        "url": settings.link(delivery.run_id),
    })
}

/// The header that shows whose call it is.
pub(super) fn signature(secret: &str, seconds: i64, body: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(format!("{seconds}.{body}").as_bytes());
    let sealed = hex(&mac.finalize().into_bytes());
    Some(format!("t={seconds},v1={sealed}"))
}

/// The addresses of a call's host.
async fn resolve(url: &Url, may_be_private: bool) -> Result<Vec<SocketAddr>, Undelivered> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let found: Vec<SocketAddr> = match tokio::net::lookup_host((host, port)).await {
        Ok(found) => found.collect(),
        Err(_) => return Err(Undelivered::for_now(format!("the name {host} is not known"))),
    };
    if !may_be_private && !found.iter().all(|address| is_public(address.ip())) {
        return Err(Undelivered::for_good(format!(
            "{host} is an address of a private network, which webhooks do not reach; whoever runs \
             this service can allow that with reports.private_webhooks"
        )));
    }
    if found.is_empty() {
        return Err(Undelivered::for_now(format!("the name {host} has no address")));
    }
    Ok(found)
}

/// Whether an address is one of the public internet, after the registries of special addresses
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>, and the one of IPv6).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || a == 100 && (64..128).contains(&b) // between providers and their customers
        || a == 192 && b == 0 && c == 0
        || a == 192 && b == 88 && c == 99
        || a == 198 && (18..20).contains(&b); // benchmarks
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // What stands for an address of IPv4 leads there.
    let inner = address.to_ipv4_mapped().or_else(|| translated(address));
    if let Some(v4) = inner {
        return is_public_v4(v4);
    }
    let [first, second, ..] = address.segments();
    // Only what is given out to the public, 2000::/3, without what is for documentation, for
    // protocols and for tunnels.
    let is_global = first & 0xe000 == 0x2000;
    let is_special = first == 0x2001 && (second < 0x0200 || second == 0x0db8)
        || first == 0x2002
        || first == 0x3fff && second < 0x1000;
    is_global && !is_special
}

/// An address of IPv4 behind a translator, 64:ff9b::/96 (RFC 6052).
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}
