//! `tidemark generate`.

use std::io::{BufWriter, Write};

use super::{Failure, open_output};
use crate::generate::{Events, Plan, Profile, VERTICALS};

/// Firms at once: each needs some memory for its story.
const MOST_TENANTS: i64 = 99_999;

#[derive(Debug, clap::Args)]
pub(super) struct Generate {
    /// How many tenants, named t00001 and on
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=MOST_TENANTS))]
    tenants: u32,
    /// How many events
    #[arg(long)]
    events: u64,
    /// Equal seeds give equal bytes
    #[arg(long)]
    seed: u64,
    /// What kind of firms, in turn: names of templates, such as retail; of no kind unless it says
    #[arg(long = "vertical", value_name = "NAME", value_delimiter = ',', value_parser = vertical)]
    verticals: Vec<&'static Profile>,
}

/// The kind of firm that a template is for.
fn vertical(name: &str) -> Result<&'static Profile, String> {
    let known = VERTICALS.iter().find(|(vertical, _)| *vertical == name);
    known.map(|(_, profile)| *profile).ok_or_else(|| {
        let names: Vec<&str> = VERTICALS.iter().map(|(vertical, _)| *vertical).collect();
        format!("there are {}", names.join(", "))
    })
}

impl Generate {
    pub(super) fn run(self) -> Result<(), Failure> {
        let plan = Plan { tenants: self.tenants, events: self.events, seed: self.seed };
        let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
        let events = match &self.verticals[..] {
            [] => Events::new(plan),
            verticals => Events::of(plan, verticals),
        };
        for event in events {
            if !open_output(out.write_all(&event.line))? {
                return Ok(());
            }
        }
        open_output(out.flush()).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::collections::BTreeSet;

    use tenancy::templates::{self, CustomFieldType};

    use super::*;

    #[test]
    fn every_template_has_firms_of_its_kind() {
        let verticals = VERTICALS.iter().map(|(vertical, _)| *vertical);
        assert!(verticals.eq(templates::all().iter().map(|template| template.vertical.as_str())));
        for template in templates::all() {
            let profile = vertical(&template.vertical).unwrap();
            // What is told of them is taken: the modules are on.
            assert_eq!(profile.modules, template.modules, "{}", template.vertical);
        }
        assert!(vertical("piracy").unwrap_err().contains("retail"));
    }

    #[test]
    fn what_firms_send_beside_the_fields_of_types_their_templates_declare() {
        let types = projections::EventTypes::builtin();
        let mut sent = BTreeSet::new();
        for template in templates::all() {
            let plan = Plan { tenants: 1, events: 3_000, seed: 7 };
            for event in Events::of(plan, &[vertical(&template.vertical).unwrap()]) {
                let event: serde_json::Value = serde_json::from_slice(&event.line).unwrap();
                let kind = event["type"].as_str().unwrap();
                let known = types.get(kind).unwrap();
                for (name, value) in event["data"].as_object().unwrap() {
                    if known.column(name).is_some() {
                        continue;
                    }
                    let mut fields = template.custom_fields.iter();
                    let field = fields.find(|field| field.on == kind && field.name == *name);
                    let what = format!("{} sends {kind} with {name}", template.vertical);
                    let fits = match field.expect(&what).r#type {
                        CustomFieldType::Int => value.is_i64(),
                        _ => value.is_string(),
                    };
                    assert!(fits, "{what} {value}");
                    sent.insert(format!("{} {name}", template.vertical));
                }
            }
        }
        for some in ["wholesale pallets", "wholesale carrier", "services activity"] {
            assert!(sent.contains(some), "{sent:?}");
        }
    }
}
