#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A document with a widget of every kind, and all that a widget may have.
fn document() -> Value {
    let widget = |id: &str, place: u16, show: Value| {
        let at = json!({ "x": place % 3 * 4, "y": place / 3 * 2, "w": 4, "h": 2 });
        let mut widget = json!({ "id": id, "title": "Title", "at": at, "show": show });
        if id != "words" {
            widget["source"] = json!({ "view": "ar_aging" });
        }
        widget
    };
    let total = json!({ "column": "total", "how": "max", "title": "Total", "format": "quantity" });
    let values = json!([{ "column": "current" }, { "column": "total" }]);
    let sort = json!({ "column": "total", "descending": true });
    let mut widgets = vec![
        widget(
            "kpi",
            0,
            json!({
                "kind": "kpi", "value": total, "currency": "currency", "delta": { "column": "current" },
                "sparkline": { "by": "customer_id" }, "better": "lower",
            }),
        ),
        widget(
            "live",
            1,
            json!({
                "kind": "kpi", "value": { "how": "count" }, "delta": { "since": "opened" },
                "sparkline": "live",
            }),
        ),
        widget("line", 2, json!({ "kind": "line", "by": "customer_id", "values": values })),
        widget(
            "area",
            3,
            json!({
                "kind": "area", "by": "customer_id", "values": [total], "split": "currency",
            }),
        ),
        widget(
            "bar",
            4,
            json!({
                "kind": "bar", "by": "customer_id", "values": values, "sort": sort, "limit": 8,
            }),
        ),
        widget(
            "stacked",
            5,
            json!({
                "kind": "stacked_bar", "by": "customer_id", "values": values, "currency": "currency",
            }),
        ),
        widget("pie", 6, json!({ "kind": "pie", "by": "customer_id", "value": total, "limit": 5 })),
        widget(
            "table",
            7,
            json!({
                "kind": "table", "columns": ["customer_id", "total"], "sort": sort, "limit": 100,
                "formats": { "total": "percent" },
            }),
        ),
        widget(
            "funnel",
            8,
            json!({
                "kind": "funnel", "by": "customer_id", "value": total, "order": ["first", "second"],
            }),
        ),
        widget("ages", 9, json!({ "kind": "aging", "buckets": ["current", "d1_30"] })),
        widget("days", 10, json!({ "kind": "calendar", "day": "customer_id", "value": total })),
        widget(
            "gauge",
            11,
            json!({
                "kind": "gauge", "value": total, "target": { "value": "1000.50" },
            }),
        ),
        widget(
            "share",
            12,
            json!({
                "kind": "gauge", "value": total, "target": { "column": "current" },
            }),
        ),
        widget("words", 13, json!({ "kind": "text", "text": "One.\n\nTwo." })),
    ];
    widgets[0]["about"] = json!("What is owed.");
    widgets[0]["source"]["where"] = json!({ "currency": "EUR", "total": null });
    widgets[0]["thresholds"] = json!([{ "is": "above", "value": "-1.5", "tone": "critical" }]);
    widgets[7]["thresholds"] =
        json!([{ "column": "total", "is": "at_most", "value": "0", "tone": "good" }]);
    widgets[8]["source"] = json!({
        "sql": "SELECT $1 AS customer_id, $2 AS total",
        "params": [{ "filter": "customer" }, { "value": 3 }],
    });
    json!({
        "schema": 1,
        "about": "All there is.",
        "filters": [
            { "id": "customer", "title": "Customer", "column": "customer_id", "type": "text" },
            { "id": "from", "title": "From", "type": "date", "default": "{{this_month.start}}" },
        ],
        "widgets": widgets,
    })
}

/// What is said of the document with another value at a place, a JSON pointer.
fn refusal(pointer: &str, value: Value) -> DocumentError {
    let mut document = document();
    if let Some(place) = document.pointer_mut(pointer) {
        *place = value;
    } else {
        let (object, key) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(object).unwrap()[key] = value;
    }
    parse(document).unwrap_err()
}

#[test]
fn every_kind_is_read_and_written_as_it_was() {
    let parsed = parse(document()).unwrap();
    assert_eq!(parsed.widgets.len(), 14);
    let written = json!(parsed);
    assert_eq!(parse(written.clone()).unwrap(), parsed);
    // What was not said is said, and nothing that was said is gone.
    assert_eq!(written["widgets"][1]["show"]["better"], "higher");
    assert_eq!(written["widgets"][2]["show"]["values"][0]["how"], "sum");
    for pointer in ["/filters", "/widgets/0", "/widgets/8/source", "/widgets/13"] {
        assert_eq!(written.pointer(pointer), document().pointer(pointer), "{pointer}");
    }
    assert_eq!(arrange(document(), &Value::Null).unwrap(), parsed);
    let read: Document = serde_json::from_value(written).unwrap();
    assert_eq!(read, parsed);
}

#[test]
fn the_columns_of_a_widget_are_those_that_it_names() {
    let parsed = parse(document()).unwrap();
    let columns =
        |index: usize| -> BTreeSet<&str> { parsed.widgets[index].columns().into_iter().collect() };
    assert_eq!(columns(0), ["current", "customer_id", "currency", "total"].into());
    assert_eq!(columns(1), BTreeSet::new());
    assert_eq!(columns(2), ["current", "customer_id", "total"].into());
    assert_eq!(columns(7), ["customer_id", "total"].into());
    assert_eq!(columns(9), ["current", "d1_30"].into());
    assert_eq!(columns(12), ["current", "total"].into());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (pointer, value, place) in [
        ("/schema", json!(2), "schema"),
        ("/schema", json!("1"), "document"),
        ("/colour", json!("red"), "document"),
        ("/about", json!("\u{7}"), "about"),
        ("/widgets", json!(vec![json!({}); 61]), "widgets"),
        ("/filters", json!(vec![json!({}); 13]), "filters"),
        ("/filters/0/id", json!("A b"), "filters[0]"),
        ("/filters/1/id", json!("customer"), "filters[1].id"),
        ("/filters/1/default", json!("31.12.2026"), "filters[1].default"),
        ("/filters/1/type", json!("day"), "filters[1]"),
        ("/filters/0", json!([]), "filters[0]"),
        ("/widgets/1/id", json!("kpi"), "widgets[1].id"),
        ("/widgets/1/id", json!("Kpi"), "widgets[1]"),
        ("/widgets/1/title", json!(""), "widgets[1].title"),
        ("/widgets/1/title", json!("a\nb"), "widgets[1].title"),
        ("/widgets/1/at/x", json!(9), "widgets[1].at.w"),
        ("/widgets/1/at/w", json!(0), "widgets[1].at.w"),
        ("/widgets/1/at/h", json!(25), "widgets[1].at.h"),
        ("/widgets/1/at/y", json!(5_000), "widgets[1].at.y"),
        ("/widgets/1/at/x", json!(-1), "widgets[1].at"),
        ("/widgets/1/at/x", json!(3), "widgets[1].at"),
        ("/widgets/1/at", json!([4, 0, 4, 2]), "widgets[1].at"),
        ("/widgets/1/source", json!(null), "widgets[1].source"),
        ("/widgets/1/source", json!({}), "widgets[1].source"),
        ("/widgets/1/source/sql", json!("SELECT 1"), "widgets[1].source"),
        ("/widgets/1/source/view", json!("Ar"), "widgets[1].source"),
        ("/widgets/1/source/params", json!([{ "value": 1 }]), "widgets[1].source.params"),
        ("/widgets/1/source/where", json!({ "a": [1] }), "widgets[1].source.where.a"),
        ("/widgets/1/source/colour", json!(1), "widgets[1].source"),
        ("/widgets/8/source/sql", json!(" "), "widgets[8].source.sql"),
        ("/widgets/8/source/sql", json!("x".repeat(16_385)), "widgets[8].source.sql"),
        ("/widgets/8/source/where", json!({ "a": 1 }), "widgets[8].source.where"),
        ("/widgets/8/source/params/0/filter", json!("town"), "widgets[8].source.params[0]"),
        ("/widgets/13/source", json!({ "view": "ar_aging" }), "widgets[13].source"),
        ("/widgets/1/show/kind", json!("clock"), "widgets[1].show"),
        ("/widgets/1/show/colour", json!("red"), "widgets[1].show"),
        ("/widgets/1/show/value", json!({}), "widgets[1].show.value.column"),
        ("/widgets/1/show/value/column", json!("a"), "widgets[1].show.value.column"),
        ("/widgets/1/show/value/format", json!("count"), "widgets[1].show.value.format"),
        ("/widgets/0/show/value/format", json!("euros"), "widgets[0].show"),
        ("/widgets/7/show/formats", json!({ "balance": "money" }), "widgets[7].show.formats"),
        ("/widgets/7/show/formats", json!({ "total": "euros" }), "widgets[7].show"),
        ("/widgets/2/show/values", json!([]), "widgets[2].show.values"),
        ("/widgets/2/show/split", json!("currency"), "widgets[2].show.values"),
        ("/widgets/3/show/by", json!(""), "widgets[3].show"),
        ("/widgets/4/show/limit", json!(0), "widgets[4].show.limit"),
        ("/widgets/4/show/values/1", json!({}), "widgets[4].show.values[1].column"),
        ("/widgets/5/show/values", json!([{ "column": "total" }]), "widgets[5].show.split"),
        ("/widgets/7/show/columns", json!([]), "widgets[7].show.columns"),
        ("/widgets/7/show/columns/1", json!("customer_id"), "widgets[7].show.columns[1]"),
        ("/widgets/8/show/order", json!(["one"]), "widgets[8].show.order"),
        ("/widgets/8/show/order/1", json!(""), "widgets[8].show.order[1]"),
        ("/widgets/11/show/target/value", json!("1e3"), "widgets[11].show"),
        ("/widgets/11/show/target/value", json!("1.00001"), "widgets[11].show"),
        ("/widgets/13/show/text", json!("x".repeat(8_193)), "widgets[13].show.text"),
        ("/widgets/13/thresholds", json!([0]), "widgets[13].thresholds[0]"),
        ("/widgets/0/thresholds/0/column", json!("total"), "widgets[0].thresholds[0]"),
        ("/widgets/7/thresholds/0/column", json!("current"), "widgets[7].thresholds[0]"),
        ("/widgets/7/thresholds/0/tone", json!("pink"), "widgets[7].thresholds[0]"),
    ] {
        let error = refusal(pointer, value);
        assert_eq!(error.place, place, "{pointer}: {error}");
        assert!(error.to_string().starts_with(place) && error.message.len() > 5, "{error}");
    }
    for value in [json!([]), json!(null), json!("schema")] {
        assert_eq!(parse(value).unwrap_err().place, "document");
    }
}

#[test]
fn a_default_is_of_its_filters_type() {
    let takes = |kind: &str, default: Value| {
        let mut document = document();
        document["filters"][1]["type"] = json!(kind);
        document["filters"][1]["default"] = default;
        parse(document).is_ok()
    };
    for (kind, right, wrong) in [
        ("text", json!("a"), json!(1)),
        ("int", json!(1), json!(1.5)),
        ("decimal", json!("1.5"), json!("a")),
        ("decimal", json!(1.5), json!(true)),
        ("date", json!("2026-02-28"), json!("2026-02-30")),
        ("timestamp", json!("2026-01-31T12:00:00Z"), json!("2026-01-31")),
        ("bool", json!(true), json!("true")),
    ] {
        assert!(takes(kind, right), "{kind}");
        assert!(!takes(kind, wrong), "{kind}");
    }
    assert!(!takes("int", json!("{{today}}")));
    // More days than the page reads, and words that are not all of it.
    for text in ["{{today + 123456}}", "before {{today}}"] {
        assert!(!takes("date", json!(text)), "{text}");
        assert!(!takes("timestamp", json!(text)), "{text}");
    }
}

/// The words that reports and the page read too.
#[test]
fn a_default_in_words_names_a_day() {
    let words: Value =
        serde_json::from_str(include_str!("../../../../dashboards/date_words.json")).unwrap();
    let with = |kind: &str, text: &str| {
        let mut document = document();
        document["filters"][1]["type"] = json!(kind);
        document["filters"][1]["default"] = json!(text);
        parse(document)
    };
    let none = words["none"].as_array().unwrap().iter().map(|text| text.as_str().unwrap());
    for kind in ["date", "timestamp"] {
        for text in words["days"].as_object().unwrap().keys() {
            assert!(with(kind, text).is_ok(), "{kind} {text}");
        }
        for text in none.clone() {
            let error = with(kind, text).unwrap_err();
            assert_eq!(error.place, "filters[1].default", "{text}");
            assert!(error.message.contains("{{this_month.start}}"), "{error}");
        }
    }
    for text in none {
        assert!(with("text", text).is_ok(), "of a text they are no words");
    }
}

#[test]
fn widgets_on_each_other_are_refused_or_moved_down() {
    let mut document = document();
    document["widgets"][4]["at"] = document["widgets"][0]["at"].clone();
    let error = parse(document.clone()).unwrap_err();
    assert_eq!(error.place, "widgets[4].at");
    assert!(error.message.contains("`kpi`"), "{error}");
    let arranged = arrange(document.clone(), &Value::Null).unwrap();
    // Below the first of its column and the one that was below that.
    assert_eq!(arranged.widgets[0].at, Place { x: 0, y: 0, w: 4, h: 2 });
    assert_eq!(arranged.widgets[3].at, Place { x: 0, y: 2, w: 4, h: 2 });
    assert_eq!(arranged.widgets[4].at, Place { x: 0, y: 4, w: 4, h: 2 });
    assert_eq!(parse(json!(arranged)).unwrap(), arranged);
    // What lies where it should stay is not moved, wherever it stands in the list.
    let kept = json!({ "widgets": [{ "id": document["widgets"][4]["id"], "at": { "x": 0, "y": 0, "w": 4, "h": 2 } }] });
    let arranged = arrange(document, &kept).unwrap();
    assert_eq!(arranged.widgets[4].at, Place { x: 0, y: 0, w: 4, h: 2 });
    assert_eq!(arranged.widgets[0].at, Place { x: 0, y: 2, w: 4, h: 2 });
    assert_eq!(arranged.widgets[3].at, Place { x: 0, y: 4, w: 4, h: 2 });
}

proptest! {
    #[test]
    fn whatever_lies_within_the_grid_can_be_arranged(
        places in proptest::collection::vec((0_u16..12, 0_u16..20, 1_u16..=12, 1_u16..=24), 0..20),
    ) {
        let widgets = places.iter().enumerate().map(|(index, (x, y, w, h))| json!({
            "id": format!("w{index}"), "title": "Words", "show": { "kind": "text", "text": "!" },
            "at": { "x": x.min(&(12 - w)), "y": y, "w": w, "h": h },
        }));
        let document = json!({ "schema": 1, "widgets": widgets.collect::<Vec<_>>() });
        let arranged = arrange(document, &Value::Null).unwrap();
        prop_assert_eq!(arranged.widgets.len(), places.len());
        prop_assert_eq!(&arrange(json!(arranged), &Value::Null).unwrap(), &arranged);
        for (widget, place) in arranged.widgets.iter().zip(&places) {
            prop_assert!(widget.at.y >= place.1 && (widget.at.w, widget.at.h) == (place.2, place.3));
        }
    }
}
