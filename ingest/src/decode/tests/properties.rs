//! What must hold of any bytes.

use proptest::prelude::*;
use serde_json::json;

use super::{bill, read, read_with};
use crate::{Format, Limits};

fn formats() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Event), Just(Format::Batch), Just(Format::Ndjson)]
}

/// A body of valid events of several types.
fn valid_body() -> String {
    let call = json!({"specversion": "1.0", "id": "c\u{1F600}\\", "source": "/crm", "type": "crm.call_logged",
        "time": "2024-01-01T00:00:00Z", "ext": [1, {"a": "\n"}],
        "data": {"call_id": "C", "user_id": "U", "disposition": "x", "duration_s": 3, "more": {"b": [null, 1.5e3]}}});
    format!("{}\n{call}\n", bill())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_read_or_refused(format in formats(), body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(format, &body);
    }

    /// Cuts, changes and repeats bytes of a valid body: whatever comes, every event is accounted for.
    #[test]
    fn damaged_bodies_lose_no_event(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 0..6),
    ) {
        let mut body = valid_body().into_bytes();
        for (from, to, edit, byte) in edits {
            if body.is_empty() {
                break;
            }
            let (a, b) = (from.index(body.len()), to.index(body.len()));
            let (a, b) = (a.min(b), a.max(b));
            match edit {
                0 => body[a] = byte,
                1 => drop(body.drain(a..b.min(a + 20))),
                2 => body.insert(a, b"{}[]\",:\\0e\n"[usize::from(byte) % 11]),
                _ => {
                    let part = body[a..b.min(a + 40)].to_vec();
                    body.splice(a..a, part);
                }
            }
        }
        let lines = body
            .split(|b| *b == b'\n')
            .filter(|line| !line.iter().all(u8::is_ascii_whitespace))
            .count();
        let decoded = read(Format::Ndjson, &body).unwrap();
        let taken: usize = decoded.batches.iter().map(|b| b.rows.num_rows()).sum();
        prop_assert_eq!(taken + decoded.rejected.len(), lines);
        for (before, after) in decoded.rejected.iter().zip(decoded.rejected.iter().skip(1)) {
            prop_assert!(before.index < after.index);
        }
        let _ = read(Format::Batch, &body);
        let _ = read(Format::Event, &body);
    }

    /// An event on its own, in a batch and on a line means the same.
    #[test]
    fn formats_agree(amount in "-?[0-9]{1,36}(\\.[0-9]{0,6})?", id in "\\PC{0,20}", small: bool) {
        let mut event = bill();
        event["id"] = json!(id);
        event["data"]["amount"] = json!(amount);
        let event = event.to_string();
        let limits = Limits { max_text: if small { 8 } else { 65_536 }, ..Limits::default() };
        let alone = read_with(&limits, Format::Event, event.as_bytes()).unwrap();
        let line = read_with(&limits, Format::Ndjson, event.as_bytes()).unwrap();
        let batch = read_with(&limits, Format::Batch, format!("[{event}]").as_bytes()).unwrap();
        prop_assert_eq!(&alone.rejected, &line.rejected);
        prop_assert_eq!(&alone.rejected, &batch.rejected);
        let rows = |decoded: &crate::Decoded| decoded.batches.iter().map(|b| b.rows.clone()).collect::<Vec<_>>();
        prop_assert_eq!(rows(&alone), rows(&line));
        prop_assert_eq!(rows(&alone), rows(&batch));
    }
}
