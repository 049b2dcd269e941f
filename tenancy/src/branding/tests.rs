#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn taken(branding: Value) -> Result<Value, String> {
    let Value::Object(branding) = branding else { panic!("an object") };
    checked(branding).map(Value::Object).map_err(|error| error.to_string())
}

fn data(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}

#[test]
fn what_is_right_is_kept_in_one_spelling() {
    let png = data("image/png", b"\x89PNG\r\n\x1a\nand so on");
    let given = json!({
        "name": " Nordwind ", "logo": png, "colours": { "accent": "#05A", "accent_dark": "#6FC3CF" },
    });
    let kept = json!({
        "name": "Nordwind", "logo": png,
        "colours": { "accent": "#0055aa", "accent_dark": "#6fc3cf" },
    });
    assert_eq!(taken(given).unwrap(), kept);
    assert_eq!(taken(json!({})).unwrap(), json!({}));
    for logo in ["https://a.example/l.png?v=2#x", "https://a.example:8443/l", "https://10.0.0.1"] {
        taken(json!({ "logo": logo })).unwrap();
    }
}

#[test]
fn what_is_wrong_is_named() {
    let svg = data("image/svg+xml", b"<svg onload='alert(1)'/>");
    let large = data(
        "image/png",
        &[b"\x89PNG\r\n\x1a\n".as_slice(), vec![0; MAX_PICTURE].as_slice()].concat(),
    );
    for (branding, said) in [
        (json!({ "motto": "x" }), "no member `motto`"),
        (json!({ "name": "  " }), "`name` has 1 to 80"),
        (json!({ "name": 5 }), "`name` is a text"),
        (json!({ "name": "x".repeat(81) }), "`name` has 1 to 80"),
        (json!({ "colours": "#fff" }), "`colours` is an object"),
        (json!({ "colours": { "ink": "#000" } }), "no colour `ink`"),
        (json!({ "colours": { "accent": "blue" } }), "written as #rrggbb"),
        (json!({ "colours": { "accent": "#+1+2+3" } }), "written as #rrggbb"),
        (json!({ "colours": { "accent": "#é00" } }), "written as #rrggbb"),
        (json!({ "colours": { "accent": "#ffcc00" } }), "choose a darker one"),
        (json!({ "colours": { "accent_dark": "#003366" } }), "choose a lighter one"),
        (json!({ "logo": svg }), "image/png, image/jpeg or image/webp"),
        (json!({ "logo": large }), "too large"),
        (json!({ "logo": data("image/png", b"GIF89a") }), "no image/png"),
        (json!({ "logo": data("image/webp", b"RIFF1234WAVE") }), "no image/webp"),
        (json!({ "logo": "data:image/png;base64,§" }), "not base64"),
        (json!({ "logo": "data:image/png,%89PNG" }), "in base64"),
        (json!({ "logo": "http://a.example/l.png" }), "begins with https://"),
        (json!({ "logo": "javascript:alert(1)" }), "begins with https://"),
        (json!({ "logo": "https://user@a.example/" }), "begins with https://"),
        (json!({ "logo": "https://" }), "begins with https://"),
        (json!({ "logo": "https://a.example:0/" }), "begins with https://"),
        (json!({ "logo": "https://a.example/\"onerror=" }), "begins with https://"),
        (
            json!({ "logo": format!("https://a.example/{}", "x".repeat(2048)) }),
            "begins with https://",
        ),
    ] {
        let message = taken(branding.clone()).unwrap_err();
        assert!(
            message.starts_with("branding: ") && message.contains(said),
            "{branding}: {message}"
        );
    }
}

#[test]
fn contrast_is_that_of_wcag() {
    // Figures that others state: black on white 21, and #767676 the lightest grey that passes AA.
    assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
    assert!((contrast([7, 8, 9], [7, 8, 9]) - 1.0).abs() < 1e-9);
    assert!(contrast([0x76; 3], [255; 3]) >= 4.5);
    assert!(contrast([0x77; 3], [255; 3]) < 4.5);
}

proptest! {
    #[test]
    fn every_colour_is_read_in_both_spellings(r in 0..16_u8, g in 0..16_u8, b in 0..16_u8) {
        let short = format!("#{r:x}{g:X}{b:x}");
        let long = format!("#{r:x}{r:x}{g:x}{g:x}{b:X}{b:x}");
        prop_assert_eq!(parsed(&short), Some([r * 17, g * 17, b * 17]));
        prop_assert_eq!(parsed(&short), parsed(&long));
    }

    #[test]
    fn nothing_makes_it_panic_and_what_is_kept_is_taken_again(
        name in ".{0,90}", logo in "(data:|https://)?.{0,40}", colour in "#?[0-9a-g]{0,7}",
    ) {
        let given = json!({ "name": name, "logo": logo, "colours": { "accent": colour } });
        if let Ok(kept) = taken(given) {
            prop_assert_eq!(taken(kept.clone()).unwrap(), kept);
        }
    }
}
