#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::reader::{Chunk, Lines};

fn chunks(input: Vec<u8>) -> Vec<Chunk> {
    let read = AtomicU64::new(0);
    let mut lines = Lines::new(Path::new("events.ndjson"), Cursor::new(input)).unwrap();
    std::iter::from_fn(|| lines.next_chunk(&read).unwrap()).collect()
}

fn gzipped(input: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(input).unwrap();
    encoder.finish().unwrap()
}

/// `count` lines of different lengths, some megabytes.
fn many_lines(count: usize) -> Vec<u8> {
    let line = |index: usize| format!("{index} {}\n", "x".repeat(index * 7919 % 700));
    (0..count).map(line).collect::<String>().into_bytes()
}

#[test]
fn bodies_are_whole_lines_and_together_the_file() {
    let input = many_lines(20_000);
    for given in [input.clone(), gzipped(&input)] {
        let chunks = chunks(given);
        assert!(chunks.len() > 2, "{} bodies", chunks.len());
        let mut lines = 1;
        for chunk in &chunks {
            assert_eq!(chunk.first_line, lines);
            assert!(chunk.body.ends_with(b"\n"));
            assert!(chunk.body.len() < 3 << 20);
            lines += memchr::memchr_iter(b'\n', &chunk.body).count() as u64;
        }
        let together: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.body.to_vec()).collect();
        assert_eq!(together, input);
    }
}

#[test]
fn an_archive_of_several_members_is_read_whole() {
    let input = [gzipped(b"one\n"), gzipped(b"two\n")].concat();
    let together: Vec<u8> = chunks(input).iter().flat_map(|chunk| chunk.body.to_vec()).collect();
    assert_eq!(together, b"one\ntwo\n");
}

#[test]
fn an_index_leads_to_its_line_past_blank_ones() {
    let chunk = &chunks(b"\n{a}\n  \r\n{b}\n{c}".to_vec())[0];
    assert_eq!([0, 1, 2].map(|index| chunk.line_of(index)), [2, 4, 5]);
}

#[test]
fn a_line_without_end_is_no_event() {
    let read = AtomicU64::new(0);
    let input = std::io::Read::take(std::io::repeat(b'x'), 40 << 20);
    let mut lines = Lines::new(Path::new("noise"), input).unwrap();
    let error = lines.next_chunk(&read).expect_err("too long a line").to_string();
    assert!(error.starts_with("noise:1:"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_come_through(input in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assume!(!input.starts_with(&[0x1f, 0x8b]));
        let together: Vec<u8> = chunks(input.clone()).iter().flat_map(|c| c.body.to_vec()).collect();
        prop_assert_eq!(together, input);
    }
}
