//! Branding: the name, the logo and the colours by which a tenant's people know their page.
//!
//! What is taken is shown to everybody of the tenant, so it is checked here and not by those who
//! show it: no member is unknown, a picture is a picture, and a colour can be read on its ground.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::Invalid;

/// The longest name, in characters.
const MAX_NAME: usize = 80;
/// The largest picture in a data URL, in bytes.
const MAX_PICTURE: usize = 48 * 1024;
/// The longest address of a logo, in bytes.
const MAX_ADDRESS: usize = 2_048;
/// The least contrast of a colour with its ground, as WCAG 2.2 counts it (1.4.3, AA for text).
const CONTRAST: f64 = 4.5;

/// The colours there are, and the ground of the page on which each must be read.
const COLOURS: [(&str, Rgb, &str); 2] = [
    ("accent", [0xff, 0xff, 0xff], "white, the page's ground by day"),
    ("accent_dark", [0x17, 0x1a, 0x1e], "#171a1e, the page's ground by night"),
];

/// What a picture of each kind begins with.
const PICTURES: [(&str, &[u8]); 3] =
    [("image/png", b"\x89PNG\r\n\x1a\n"), ("image/jpeg", b"\xff\xd8\xff"), ("image/webp", b"RIFF")];

/// Red, green and blue.
type Rgb = [u8; 3];

/// The branding as it is stored: `name`, `logo` and `colours`, each optional.
pub(crate) fn checked(branding: Map<String, Value>) -> Result<Map<String, Value>, Invalid> {
    let mut stored = Map::new();
    for (member, value) in branding {
        let value = match (member.as_str(), &value) {
            ("name", Value::String(text)) => Value::from(name(text)?),
            ("logo", Value::String(text)) => Value::from(logo(text)?),
            ("colours", Value::Object(given)) => Value::Object(colours(given)?),
            ("name" | "logo", _) => return Err(wrong(format!("`{member}` is a text"))),
            ("colours", _) => {
                return Err(wrong("`colours` is an object, such as {\"accent\": \"#0b6b75\"}"));
            }
            _ => {
                let member: String = member.chars().take(80).collect();
                return Err(wrong(format!(
                    "has no member `{member}`; there are `name`, `logo` and `colours`"
                )));
            }
        };
        stored.insert(member, value);
    }
    Ok(stored)
}

/// The colour by day, where there is one: red, green and blue as in `0x0b_6b_75`.
pub(crate) fn accent(branding: &Map<String, Value>) -> Option<u32> {
    let [r, g, b] = parsed(branding.get("colours")?.get("accent")?.as_str()?)?;
    Some(u32::from_be_bytes([0, r, g, b]))
}

fn wrong(message: impl Into<String>) -> Invalid {
    Invalid::new("branding", message)
}

fn name(text: &str) -> Result<String, Invalid> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_NAME || text.chars().any(char::is_control) {
        return Err(wrong(format!(
            "`name` has 1 to {MAX_NAME} characters, and no control characters"
        )));
    }
    Ok(text.to_owned())
}

/// A picture in a data URL, or the address of one.
fn logo(text: &str) -> Result<String, Invalid> {
    if let Some(rest) = text.strip_prefix("data:") {
        picture(rest)?;
        return Ok(text.to_owned());
    }
    if !is_address(text) {
        return Err(wrong(format!(
            "`logo` is `data:image/png;base64,…` (or jpeg, webp) of at most {MAX_PICTURE} bytes, or \
             an address of at most {MAX_ADDRESS} bytes that begins with https://"
        )));
    }
    Ok(text.to_owned())
}

/// Checks what stands behind `data:`. Drawings (SVG) are not taken: they can hold scripts.
fn picture(rest: &str) -> Result<(), Invalid> {
    let kinds = "`logo` is a picture of image/png, image/jpeg or image/webp, in base64";
    let (kind, data) = rest.split_once(";base64,").ok_or_else(|| wrong(kinds))?;
    let (_, begins) =
        PICTURES.iter().find(|(known, _)| *known == kind).ok_or_else(|| wrong(kinds))?;
    if data.len() > MAX_PICTURE.div_ceil(3) * 4 {
        return Err(wrong(format!(
            "the picture in `logo` is too large: at most {MAX_PICTURE} bytes are kept, so make it \
             smaller or give it by its address"
        )));
    }
    let bytes = STANDARD
        .decode(data)
        .map_err(|error| wrong(format!("the picture in `logo` is not base64: {error}")))?;
    let is_whole = kind != "image/webp" || bytes.get(8..12) == Some(b"WEBP");
    if !bytes.starts_with(begins) || !is_whole {
        return Err(wrong(format!("the picture in `logo` is no {kind}")));
    }
    Ok(())
}

/// Whether a text is an address that can stand in a page as it is: `https://`, a host, no user.
fn is_address(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    text.len() <= MAX_ADDRESS
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_name)
        && port.parse::<u16>().is_ok_and(|port| port > 0)
        && text.chars().all(|c| c.is_ascii_graphic() && !"\"'<>\\^`{|}".contains(c))
}

fn colours(given: &Map<String, Value>) -> Result<Map<String, Value>, Invalid> {
    let mut stored = Map::new();
    for (name, value) in given {
        let Some((_, ground, where_)) = COLOURS.iter().find(|(known, ..)| known == name) else {
            let name: String = name.chars().take(80).collect();
            return Err(wrong(format!(
                "there is no colour `{name}`; there are `accent` and `accent_dark`"
            )));
        };
        let colour = value.as_str().and_then(parsed).ok_or_else(|| {
            wrong(format!("the colour `{name}` is written as #rrggbb or #rgb, such as #0b6b75"))
        })?;
        let contrast = contrast(colour, *ground);
        if contrast < CONTRAST {
            return Err(wrong(format!(
                "the colour `{name}` has a contrast of {:.1} with {where_}, and needs {CONTRAST} to \
                 be read; choose a {} one",
                // Never rounded up to what would do.
                (contrast * 10.0).floor() / 10.0,
                if luminance(*ground) > 0.5 { "darker" } else { "lighter" },
            )));
        }
        let [r, g, b] = colour;
        stored.insert(name.clone(), Value::from(format!("#{r:02x}{g:02x}{b:02x}")));
    }
    Ok(stored)
}

fn parsed(text: &str) -> Option<Rgb> {
    let digits = text.strip_prefix('#')?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let number = u32::from_str_radix(digits, 16).ok()?;
    let [_, r, g, b] = number.to_be_bytes();
    match digits.len() {
        6 => Some([r, g, b]),
        // Each digit stands twice.
        3 => Some([g & 15, b >> 4, b & 15].map(|digit| digit * 17)),
        _ => None,
    }
}

/// The relative luminance of a colour of sRGB, from 0 to 1
/// (<https://www.w3.org/TR/WCAG22/#dfn-relative-luminance>).
fn luminance(colour: Rgb) -> f64 {
    let [r, g, b] = colour.map(|part| {
        let share = f64::from(part) / 255.0;
        if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// The contrast of two colours, from 1 to 21
/// (<https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio>).
fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests;
