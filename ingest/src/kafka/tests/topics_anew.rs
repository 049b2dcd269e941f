//! Topics that are made anew while they are read, and have grown beyond what was read of the former.

use std::time::Duration;

use super::topics::remade;
use super::*;
use crate::kafka::messages::Message;
use crate::kafka::reader::{Reader, mark};
use crate::kafka::{Offsets, SourceError};

/// Reads until so many messages have come or it cannot go on; the offsets of those that came.
fn read(reader: &mut Reader, offsets: &mut Offsets, count: usize) -> Result<Vec<i64>, SourceError> {
    let (client, mut came) = (reader.client(), Vec::new());
    for _ in 0..1_000 {
        if came.len() == count {
            return Ok(came);
        }
        for message in reader.poll(&client, offsets, Duration::from_millis(20))? {
            let message = Message::borrowed(&message);
            let identity = || mark(message.timestamp, message.key, message.value);
            if !reader.is_repeat(message.topic, message.offset, identity)? {
                offsets.pass(message.topic, message.offset, identity());
                came.push(message.offset);
            }
        }
    }
    panic!("only {came:?} have come");
}

/// The client goes on at its offset, and tells nobody.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_has_grown_beyond_what_was_read_is_not_read_on() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let topic = bench.topic(PAYMENT);
    for id in ["a", "b", "c"] {
        bench.send(&topic, Some("t1"), Some(&event(id))).await;
    }
    let mut offsets = Offsets::default();
    let mut reader = Reader::new(&bench.parts.settings, 0).unwrap();
    reader.read(std::slice::from_ref(&topic), &offsets).unwrap();
    assert_eq!(read(&mut reader, &mut offsets, 3).unwrap(), [0, 1, 2]);
    // Nothing is fetched while the topic is gone and comes again.
    reader.pause(&topic).unwrap();
    remade(&bench).await;
    for id in ["u", "v", "w", "x", "y"] {
        bench.send(&topic, Some("t1"), Some(&event(id))).await;
    }
    reader.resume(&topic).unwrap();
    let error = read(&mut reader, &mut offsets, 1).unwrap_err();
    assert!(matches!(error, SourceError::Recreated { offset: 2, .. }), "{error}");
}

/// One of which nothing was taken is read from its beginning.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_which_nothing_was_taken_is_read_from_its_beginning() {
    let bench = Bench::new(&[PAYMENT], 1).await;
    let topic = bench.topic(PAYMENT);
    let mut offsets = Offsets::default();
    let mut reader = Reader::new(&bench.parts.settings, 0).unwrap();
    reader.read(std::slice::from_ref(&topic), &offsets).unwrap();
    let client = reader.client();
    for _ in 0..50 {
        assert!(reader.poll(&client, &offsets, Duration::from_millis(20)).unwrap().is_empty());
    }
    remade(&bench).await;
    for id in ["u", "v"] {
        bench.send(&topic, Some("t1"), Some(&event(id))).await;
    }
    assert_eq!(read(&mut reader, &mut offsets, 2).unwrap(), [0, 1]);
}
