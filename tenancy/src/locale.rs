//! How numbers and dates are written for people of one language and region.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// The longest tag, in characters.
const MAX_LEN: usize = 35;

/// A language tag of BCP 47 (RFC 5646): a language, then a script, a region and variants where they
/// are named, as `en-GB`, `de`, `zh-Hant-TW` or `ca-ES-valencia`.
///
/// It is kept as such tags are written, whatever their letters were: `de_de` is none, `DE-de` is
/// `de-DE`. That the language and the region are in use is not checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Locale(String);

impl Locale {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Locale {
    fn default() -> Self {
        Self("en-GB".to_owned())
    }
}

impl FromStr for Locale {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        written(text).map(Self).ok_or_else(|| {
            Invalid::new(
                "locale",
                "a locale is a language tag (BCP 47) of a language and, where they matter, a script, \
                 a region and variants, with `-` between them, such as en-GB, de-DE or zh-Hant-TW",
            )
        })
    }
}

/// The tag as such tags are written; none, if the text is no tag.
fn written(text: &str) -> Option<String> {
    if text.len() > MAX_LEN {
        return None;
    }
    let mut parts = text.split('-').peekable();
    let language = parts.next().filter(|part| is_letters(part, 2, 3))?;
    let mut tag = language.to_ascii_lowercase();
    if let Some(script) = parts.next_if(|part| is_letters(part, 4, 4)) {
        let (first, rest) = script.split_at(1);
        tag.push('-');
        tag.push_str(&first.to_ascii_uppercase());
        tag.push_str(&rest.to_ascii_lowercase());
    }
    if let Some(region) = parts.next_if(|part| is_region(part)) {
        tag.push('-');
        tag.push_str(&region.to_ascii_uppercase());
    }
    let mut variants = BTreeSet::new();
    for variant in parts {
        let variant = variant.to_ascii_lowercase();
        if !is_variant(&variant) || !variants.insert(variant.clone()) {
            return None;
        }
        tag.push('-');
        tag.push_str(&variant);
    }
    Some(tag)
}

/// As many letters.
fn is_letters(part: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Two letters of ISO 3166-1, or three digits of UN M.49.
fn is_region(part: &str) -> bool {
    is_letters(part, 2, 2) || (part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Five to eight letters and digits, or four of which the first is a digit.
fn is_variant(part: &str) -> bool {
    let begins_with_digit = part.starts_with(|c: char| c.is_ascii_digit());
    let is_long_enough = (5..=8).contains(&part.len()) || (part.len() == 4 && begins_with_digit);
    is_long_enough && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Locale {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Locale> for String {
    fn from(locale: Locale) -> Self {
        locale.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_tag_is_kept_as_tags_are_written() {
        for (text, written) in [
            ("en-GB", "en-GB"),
            ("DE-de", "de-DE"),
            ("de", "de"),
            ("gsw-CH", "gsw-CH"),
            ("ZH-hANT-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("ca-ES-Valencia", "ca-ES-valencia"),
            ("de-CH-1996", "de-CH-1996"),
        ] {
            let locale: Locale = text.parse().unwrap();
            assert_eq!(locale.as_str(), written);
            assert_eq!(written.parse::<Locale>().unwrap(), locale, "it is one itself");
        }
        assert_eq!(Locale::default(), "en-GB".parse().unwrap());
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for text in [
            "",
            "e",
            "en_GB",
            "en-",
            "-GB",
            "en--GB",
            "english-language",
            "engl",
            "en-GB-GB",
            "en-GBR",
            "en-41",
            "de-1996-1996",
            "de-DE-u-nu-latn",
            "x-mine",
            "en-GB ",
            "ën-GB",
            "en-GB.UTF-8",
            "en-abcdefgh-abcdefgi-abcdefgj-abcdef",
        ] {
            let error = text.parse::<Locale>().unwrap_err();
            assert_eq!(error.field, "locale", "{text}");
            assert!(error.message.contains("en-GB"), "{text}: {error}");
        }
    }
}
