//! What cannot be events: dead letters, and nothing else stops.

use projections::Tenant;

use super::*;
use crate::KEPT_BYTES;
use crate::avro::tests::bytes::Record;
use crate::kafka::{SourceError, partition_of};

/// Key, value, the tenant whose the dead letter is, and how its reason begins.
type Case<'a> = (Option<&'a str>, Option<&'a [u8]>, Option<u32>, &'a str);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_a_dead_letter_and_the_rest_goes_on() {
    let bench = Bench::new(&[PAYMENT, "acme.unheard_of"], 1).await;
    let topic = bench.topic(PAYMENT);
    let schema = bench.register(&payment_schema(&[])).await;
    let elsewhere = bench.register("{\"type\":\"record\",\"name\":\"a\",\"fields\":[]}").await;
    let whole = |tenant: &str, id: &str| {
        let record = Record::new(schema).text(id).text(tenant).long(1_717_165_800_000_000);
        record.text("P").text("I").bytes(&[9]).long(19_874).done()
    };
    let good = whole("t1", "good");
    let unknown = Record::new(999_999).text("a").done();
    let other = Record::new(elsewhere).done();
    let json = event("late").split_off(9);
    let wrong_type =
        String::from_utf8(event("x")).unwrap().replace("payment_received", "credit_issued");
    let foreign = String::from_utf8(event("x")).unwrap().replacen('{', "{\"tenantid\":\"t2\",", 1);
    // What is wrong with it beside does not make it the key's.
    let foreign_too =
        foreign.replace("\"id\":\"x\",", "").replace("\"specversion\":\"1.0\"", "\"a\":1");
    assert!(foreign_too.len() + 10 < foreign.len());
    let huge = vec![0; 10 << 20];
    let cases: [Case<'_>; 17] = [
        (None, Some(&good), None, "the key is null"),
        (Some("nobody"), Some(&good), None, "the key \"nobody\" is no tenant's id"),
        (Some("t1"), None, Some(1), "the value is null"),
        (Some("t1"), Some(b""), Some(1), "the value is empty"),
        (Some("t1"), Some(&good[..3]), Some(1), "the value is cut short"),
        (Some("t1"), Some(&good[..12]), None, "the value does not match its schema"),
        (Some("t1"), Some(&unknown), None, "the schema registry has no schema 999999"),
        (Some("t1"), Some(&other), Some(1), "the schema "),
        (Some("t2"), Some(&good), None, "tenant_id: \"t1\" is not the tenant of the key"),
        (Some("t1"), Some(b"plain text"), None, "the value begins with the byte 0x70"),
        (Some("t1"), Some(&json), None, "the value begins with the byte"),
        (Some("t1"), Some(b"{\"id\":"), None, "not valid JSON"),
        (Some("t1"), Some(b"{\"id\":5}"), Some(1), "specversion is missing"),
        (Some("t1"), Some(wrong_type.as_bytes()), Some(1), "type: expected"),
        (Some("t1"), Some(foreign.as_bytes()), None, "tenantid: \"t2\" is not the tenant"),
        (Some("t1"), Some(foreign_too.as_bytes()), None, "tenantid: \"t2\" is not the tenant"),
        (Some("t1"), Some(&huge), None, "the value has 10485760 bytes"),
    ];
    let mut offsets = Vec::new();
    for (key, value, _, _) in &cases {
        offsets.push(bench.send(&topic, *key, *value).await);
    }
    bench.send(&topic, Some("t1"), Some(&good)).await;
    let unheard = bench.topic("acme.unheard_of");
    bench.send(&unheard, Some("t1"), Some(&good)).await;
    let mut reading = bench.read(0, &[PAYMENT, "acme.unheard_of"]);
    reading.until(1).await;
    bench.letters(cases.len() + 1).await;
    assert_eq!(reading.sorted(), ["good"]);
    let reasons = bench.reasons(&topic);
    for ((_, value, tenant, expected), offset) in cases.iter().zip(&offsets) {
        let (of, reason) = &reasons[offset];
        assert!(reason.starts_with(expected), "{reason}");
        assert_eq!(*of, tenant.map(Tenant), "{reason}");
        let letters = bench.letters.letters.lock().unwrap();
        let letter = &letters[&(topic.clone(), 0, *offset)];
        assert_eq!(letter.size, value.map_or(0, <[u8]>::len));
        let kept = value.map(|value| &value[..value.len().min(KEPT_BYTES)]);
        assert_eq!(letter.value.as_deref(), kept, "{reason}");
    }
    assert!(
        bench.reasons(&unheard)[&0].1.contains("\"acme.unheard_of\", which is no known event type")
    );
    // Read again, they are the same ones.
    let again = bench.read(0, &[PAYMENT, "acme.unheard_of"]);
    again.partition.caught_up().await.unwrap();
    assert_eq!(bench.letters.letters.lock().unwrap().len(), cases.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_in_the_wrong_partition_is_told_its_own() {
    let bench = Bench::new(&[PAYMENT], 3).await;
    let topic = bench.topic(PAYMENT);
    let home = partition_of(b"t1", 3);
    let wrong = (home + 1) % 3;
    bench.send_to(&topic, wrong, Some("t1"), Some(&event("a")), None).await;
    let reading = bench.read(wrong, &[PAYMENT]);
    bench.letters(1).await;
    let reason = &bench.reasons(&topic)[&0].1;
    assert!(reason.contains(&format!("partition {home} of 3, and this is {wrong}")), "{reason}");
    assert!(reason.contains("murmur2"), "{reason}");
    assert!(reading.ids.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_of_dead_letters_the_partition_stops() {
    let bench = Bench::limited(&[PAYMENT], 1, Some(2)).await;
    let topic = bench.topic(PAYMENT);
    for id in 0..3 {
        bench.send(&topic, Some("nobody"), Some(&event(&id.to_string()))).await;
    }
    let mut reading = bench.read(0, &[PAYMENT]);
    let error = reading.failure().await;
    assert!(matches!(&error, SourceError::DeadLettersFull { offset: 2, limit: 2, .. }), "{error}");
    assert!(error.to_string().contains("limits.dead_letters"), "{error}");
}
