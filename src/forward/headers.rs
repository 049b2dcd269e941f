//! What of a message's head is for one connection alone, and stays there.

use std::net::IpAddr;

use axum::http::header::{
    CONNECTION, EXPECT, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue};

/// Says that a request comes from another node; in an answer, that it was refused unread.
pub(super) const FORWARDED: HeaderName = HeaderName::from_static("tidemark-forwarded");
/// Its value in a request.
pub(super) const ONCE: HeaderValue = HeaderValue::from_static("1");
/// Its value in a refusal.
const REFUSED: HeaderValue = HeaderValue::from_static("refused");

/// Where a request came from, as those say by whose hands it went.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Those that concern one connection (RFC 9110, 7.6.1), and `Expect`, which each side settles by
/// itself.
static OF_CONNECTION: [HeaderName; 10] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Removes what is for one connection alone, also what `Connection` names.
pub(super) fn end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_CONNECTION) {
        headers.remove(name);
    }
}

/// Says from where a request came to this node, behind what it says itself.
pub(super) fn say_from_where(headers: &mut HeaderMap, address: IpAddr) {
    let before = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let mut path: Vec<String> = before.map(str::to_owned).collect();
    path.push(address.to_string());
    // What was read as text of a header can stand in one.
    if let Ok(path) = HeaderValue::try_from(path.join(", ")) {
        headers.insert(FORWARDED_FOR, path);
    }
}

/// Whether a request was forwarded already.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED)
}

/// Marks an answer as one to a request that nothing was done about.
pub(crate) fn refuse(headers: &mut HeaderMap) {
    headers.insert(FORWARDED, REFUSED);
}

/// Whether an answer is so marked.
pub(super) fn is_refusal(headers: &HeaderMap) -> bool {
    headers.get(FORWARDED) == Some(&REFUSED)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_for_one_connection_stays_there() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Mine"),
            ("connection", "upgrade"),
            ("x-mine", "1"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("keep-alive", "timeout=5"),
            ("authorization", "Bearer a"),
            ("content-length", "3"),
            ("x-other", "1"),
            ("x-other", "2"),
        ] {
            headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static(value));
        }
        end_to_end(&mut headers);
        let mut left: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                ("authorization", b"Bearer a".as_slice()),
                ("content-length", b"3".as_slice()),
                ("x-other", b"1".as_slice()),
                ("x-other", b"2".as_slice()),
            ]
        );
    }
}
