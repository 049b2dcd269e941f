#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn file(name: &str, more: Value) -> String {
    let mut file = json!({
        "vertical": name, "version": 1, "title": name, "about": "A firm.", "modules": ["tasks"],
        "dashboards": [],
    });
    let Value::Object(more) = more else { unreachable!() };
    file.as_object_mut().unwrap().extend(more);
    file.to_string()
}

fn dashboard(id: &str, title: &str) -> Value {
    json!({ "id": id, "title": title, "document": { "schema": 1, "widgets": [] } })
}

fn refused(files: &[(&str, &str)]) -> String {
    resolve(files).unwrap_err().to_string()
}

#[test]
fn what_is_taken_over_comes_first_and_what_is_said_holds() {
    let base = file(
        "base",
        json!({
            "modules": ["tasks", "property"], "dashboards": [dashboard("a", "A"), dashboard("b", "B")],
            "reports": [{ "id": "r", "definition": { "name": "R" } }],
        }),
    );
    let middle = file(
        "middle",
        json!({
            "extends": "base", "version": 3, "modules": ["crm"],
            "dashboards": [dashboard("c", "C"), dashboard("a", "Another")],
        }),
    );
    let last = file("last", json!({ "extends": "middle", "dashboards": [dashboard("d", "D")] }));
    // A file may come before that which it extends.
    let files = [("last", last.as_str()), ("middle", middle.as_str()), ("base", base.as_str())];
    let templates = resolve(&files).unwrap();
    let [last, middle, base] = &templates[..] else { unreachable!() };
    let titles = |template: &Template| -> Vec<String> {
        template.dashboards.iter().map(|dashboard| dashboard.title.clone()).collect()
    };
    assert_eq!(titles(base), ["A", "B"]);
    assert_eq!(titles(middle), ["Another", "B", "C"]);
    assert_eq!(titles(last), ["Another", "B", "C", "D"]);
    assert_eq!((base.version, middle.version, last.version), (1, 3, 1));
    assert_eq!(last.modules, ["crm", "tasks", "property"]);
    assert_eq!(last.extends.as_deref(), Some("middle"));
    assert_eq!((last.vertical.as_str(), base.extends.as_deref()), ("last", None));
    assert_eq!(last.reports, base.reports);
}

#[test]
fn what_extends_itself_or_nothing_is_refused() {
    let of = |name: &str, extends: &str| file(name, json!({ "extends": extends }));
    let (a, b, c) = (of("a", "b"), of("b", "c"), of("c", "a"));
    let round = refused(&[("a", a.as_str()), ("b", b.as_str()), ("c", c.as_str())]);
    assert!(round.contains("a extends b extends c extends a"), "{round}");
    let own = of("a", "a");
    assert!(refused(&[("a", own.as_str())]).contains("a extends a"));
    let unknown = refused(&[("a", a.as_str())]);
    assert_eq!(unknown, "the template `a` extends `b`, and there is none of that name");
    let deep = refused(&[("a", a.as_str()), ("b", b.as_str())]);
    assert_eq!(deep, "the template `b` extends `c`, and there is none of that name");
}

#[test]
fn what_is_no_template_is_refused_by_name() {
    let unknown = file("a", json!({ "colour": 1 }));
    let wrong = file("a", json!({ "modules": 1 }));
    for text in ["{".to_owned(), "[]".to_owned(), unknown, wrong] {
        let error = refused(&[("a", text.as_str())]);
        assert!(error.starts_with("the template `a` cannot be read"), "{error}");
    }
    let widget = json!({ "id": "w", "title": "W", "show": { "kind": "text", "text": "!" } });
    let document = json!({ "schema": 1, "widgets": [widget] });
    let board = json!({ "id": "b", "title": "B", "document": document });
    let text = file("a", json!({ "dashboards": [board] }));
    let error = refused(&[("a", text.as_str())]);
    assert!(error.contains("widgets[0]"), "{error}");
}
