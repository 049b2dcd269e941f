#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::super::extension;
use super::*;

fn template(vertical: &str, more: serde_json::Value) -> String {
    let mut file = json!({
        "vertical": vertical, "version": 1, "title": "Kiosks", "about": "A kiosk.",
        "modules": ["tasks"], "dashboards": [],
    });
    let serde_json::Value::Object(more) = more else { unreachable!() };
    file.as_object_mut().unwrap().extend(more);
    file.to_string()
}

/// The templates of a folder beside one that is built in, or why there are none.
fn loaded(files: &[(&str, String)]) -> Result<Vec<Template>, TemplateError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let builtin = template("plain", json!({}));
    let own = read(folder.path())?;
    let files = beside(&[("plain", builtin.as_str())], &own);
    let templates = extension::resolve(&files)?;
    check(&files, &templates)?;
    Ok(templates)
}

fn refused(name: &str, text: String) -> String {
    loaded(&[(name, text)]).unwrap_err().to_string()
}

#[test]
fn files_stand_beside_the_built_in_ones_and_in_their_places() {
    let names = |files: &[(&str, String)]| -> Vec<(String, u64)> {
        let templates = loaded(files).unwrap();
        templates.into_iter().map(|template| (template.vertical, template.version)).collect()
    };
    assert_eq!(names(&[]), [("plain".to_owned(), 1)]);
    let own = [
        ("kiosk.json", template("kiosk", json!({ "extends": "plain", "version": 2 }))),
        ("notes.txt", "no template".to_owned()),
    ];
    assert_eq!(names(&own), [("plain".to_owned(), 1), ("kiosk".to_owned(), 2)]);
    let instead = [("plain.json", template("plain", json!({ "version": 7 })))];
    assert_eq!(names(&instead), [("plain".to_owned(), 7)]);
}

#[test]
fn what_is_no_template_is_refused_with_its_name() {
    let twice = json!([
        { "id": "a", "title": "A", "sql": "SELECT 1", "key": [], "severity": "info" },
        { "id": "a", "title": "A", "sql": "SELECT 1", "key": [], "severity": "info" },
    ]);
    for (name, text, part) in [
        ("kiosk.json", "{".to_owned(), "kiosk"),
        ("kiosk.json", template("shop", json!({})), "`vertical`"),
        ("Kiosk.json", template("Kiosk", json!({})), "a-z"),
        ("kiosk.json", template("kiosk", json!({ "version": 0 })), "`version`"),
        ("kiosk.json", template("kiosk", json!({ "modules": ["cars"] })), "no module `cars`"),
        ("kiosk.json", template("kiosk", json!({ "extends": "none" })), "`none`"),
        ("kiosk.json", template("kiosk", json!({ "alert_rules": twice })), "twice"),
        (
            "kiosk.json",
            template("kiosk", json!({ "reports": [{ "id": "a/b", "definition": {} }] })),
            "`a/b` in `reports`",
        ),
    ] {
        let error = refused(name, text);
        assert!(error.contains(part), "{error}");
    }
    let nowhere = read(Path::new("/nowhere/templates")).unwrap_err().to_string();
    assert!(nowhere.contains("/nowhere/templates"), "{nowhere}");
}
