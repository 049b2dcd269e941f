//! What a text says: each kind of value is read, and bounded, in one way, whatever setting it is of.

use chrono::TimeDelta;
use tenancy::{Database, Secret};

/// The secrets that hold at once: each is tried for every token.
const MOST_SECRETS: usize = 8;
/// The most seconds by which clocks may differ.
const MOST_LEEWAY: i64 = 300;

/// A whole number that is at least 1, with or without `_` between its digits.
pub(super) fn count(value: &str) -> Result<u64, String> {
    value
        .replace('_', "")
        .parse()
        .ok()
        .filter(|number| (1..=1 << 40).contains(number))
        .ok_or_else(|| format!("`{value}` is not a whole number from 1 to 2^40"))
}

/// A count that was bounded by [`count`] fits every target this runs on.
pub(super) fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A century is as good as any larger number of days.
pub(super) fn days(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX).min(36_525)
}

/// Where a control store is. What is given may hold a password, so it is not repeated.
pub(super) fn database(value: &str) -> Result<Database, String> {
    value.parse().map_err(|error: tenancy::Invalid| error.message)
}

/// A thousand connections are as good as any larger number.
pub(super) fn connections(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX).min(1000)
}

/// A million connections are as good as any larger number.
pub(super) fn seats(value: u64) -> usize {
    size(value).min(1_000_000)
}

/// A message of PostgreSQL's protocol has at most a gibibyte, as there.
pub(super) fn message(value: u64) -> usize {
    size(value).min(1 << 30)
}

/// One secret a line: the first signs, all are accepted.
pub(super) fn secrets(value: &str) -> Result<Vec<Secret>, String> {
    let lines = value.lines().filter(|line| !line.is_empty());
    let secrets: Result<Vec<Secret>, _> = lines.map(Secret::new).collect();
    let secrets = secrets.map_err(|error| error.to_string())?;
    match secrets.len() {
        0 => Err(String::from("a secret is expected, or several, one a line")),
        1..=MOST_SECRETS => Ok(secrets),
        count => Err(format!("{count} secrets are too many; at most {MOST_SECRETS} hold at once")),
    }
}

/// For how many seconds clocks may differ.
pub(super) fn leeway(value: &str) -> Result<TimeDelta, String> {
    let seconds = value.parse().ok().filter(|seconds| (0..=MOST_LEEWAY).contains(seconds));
    let expected = || format!("`{value}` is not a whole number from 0 to {MOST_LEEWAY}");
    seconds.map(TimeDelta::seconds).ok_or_else(expected)
}

/// A text that has such a part; it is not repeated, as it may be a key.
pub(super) fn pem(value: &str, part: &str) -> Result<String, String> {
    let begins = value.lines().any(|line| {
        line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&format!("{part}-----"))
    });
    if begins { Ok(value.to_owned()) } else { Err(format!("it has no PEM block `{part}`")) }
}

/// A name or address, and a port.
pub(super) fn host_and_port(value: &str) -> Result<String, String> {
    let found = value.rsplit_once(':').filter(|(host, port)| {
        !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    let expected = || {
        format!("`{value}` is no host with a port; expected one like 10.0.0.7:8080 or a.local:8080")
    };
    found.map(|_| value.to_owned()).ok_or_else(expected)
}

/// The one of `known` that is meant.
pub(super) fn one_of(known: &[&str], value: &str) -> Result<String, String> {
    let meant = known.iter().find(|known| known.eq_ignore_ascii_case(value));
    let meant = meant.ok_or_else(|| format!("`{value}` is none of {}", known.join(", ")))?;
    Ok((*meant).to_owned())
}

/// An address that browsers open.
pub(super) fn web_address(value: &str) -> Result<String, String> {
    let is_one = reqwest::Url::parse(value)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let expected = || format!("`{value}` is no address; expected one like https://figures.example");
    if is_one { Ok(value.to_owned()) } else { Err(expected()) }
}
