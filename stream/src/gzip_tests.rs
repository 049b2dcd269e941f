#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use flate2::read::GzDecoder;

use super::{Gzip, STORED, WORTH, is_accepted};

/// Rows as they are in a snapshot: much of each is in the one before.
fn rows(count: usize) -> Vec<u8> {
    let row = |n: usize| format!("[\"invoice {n}\",\"customer {}\",\"{n}.0000\"],", n % 7);
    (0..count).map(row).collect::<String>().into_bytes()
}

#[test]
fn pieces_of_every_size_come_out_as_they_went_in() {
    let own = rows(2_000);
    let pieces: [(&[u8], bool); 8] = [
        (b"retry: 1000\n\n".as_slice(), false),
        (&own[..WORTH - 1], true),
        (&own[..WORTH], true),
        (own.as_slice(), true),
        (b"event: delta\n\n".as_slice(), false),
        (own.as_slice(), false),
        (b"".as_slice(), false),
        (own.as_slice(), true),
    ];
    assert!(own.len() > STORED, "a stored piece takes several blocks");
    let mut gzip = Gzip::new();
    let (mut packed, mut plain) = (Vec::new(), Vec::new());
    // A second decoder has what was sent so far and no end: nothing of it may wait for more.
    let mut early = flate2::write::GzDecoder::new(Vec::new());
    for (piece, is_own) in pieces {
        let out = gzip.pack(piece, is_own).unwrap();
        plain.extend_from_slice(piece);
        early.write_all(&out).unwrap();
        early.flush().unwrap();
        assert_eq!(early.get_ref().len(), plain.len());
        packed.extend(out);
    }
    packed.extend(gzip.finish());
    let mut unpacked = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == plain);
}

#[test]
fn what_is_ones_own_gets_smaller_and_the_rest_hardly_larger() {
    let own = rows(2_000);
    let mut gzip = Gzip::new();
    assert!(gzip.pack(&own, true).unwrap().len() < own.len() / 2);
    assert!(gzip.pack(&own, false).unwrap().len() < own.len() + 16);
}

#[test]
fn a_stream_of_nothing_is_whole_too() {
    let mut unpacked = Vec::new();
    GzDecoder::new(Gzip::new().finish().as_slice()).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked.is_empty());
}

#[test]
fn gzip_is_taken_only_where_it_is_named_and_not_refused() {
    for (value, is_taken) in [
        ("gzip", true),
        ("br, GZIP;q=0.5", true),
        ("deflate,gzip", true),
        ("gzip;q=0", false),
        ("gzip; q=0.0", false),
        ("br", false),
        ("*", false),
        ("", false),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
        assert_eq!(is_accepted(&headers), is_taken, "{value}");
    }
    assert!(!is_accepted(&HeaderMap::new()));
}
