//! The kinds of firms that templates are for, each with what happens there and the words for it.
//! Customers and people have numbered ids.

mod places;
mod projects;
mod trade;

use super::profile::Profile;

/// Each by the name of its template, in the order of the templates.
pub(crate) static VERTICALS: &[(&str, &Profile)] = &[
    ("commerce", &trade::COMMERCE),
    ("services", &projects::SERVICES),
    ("wholesale", &trade::WHOLESALE),
    ("manufacturing", &trade::MANUFACTURING),
    ("retail", &trade::RETAIL),
    ("construction", &projects::CONSTRUCTION),
    ("development", &projects::DEVELOPMENT),
    ("property", &places::PROPERTY),
    ("healthcare", &places::HEALTHCARE),
    ("nonprofit", &projects::NONPROFIT),
    ("agency", &projects::AGENCY),
    ("hospitality", &places::HOSPITALITY),
    ("education", &places::EDUCATION),
    ("household", &places::HOUSEHOLD),
];
