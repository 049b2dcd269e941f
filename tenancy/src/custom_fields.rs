//! Custom fields: what a tenant's services send in events beside the fields of their types. They are
//! declared by the template that the tenant was given, and by its admin.
//!
//! Invariants:
//! - Of one event type a name, whatever its capital letters, is declared once. What the admin declares
//!   takes the place of what the template gave.
//! - A newer version of the template changes nothing that the admin has declared, and brings nothing
//!   back that the admin has taken away.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Invalid;
use crate::templates::{CustomField, CustomFieldType, Template};

/// The most that a tenant may declare.
pub const MOST_CUSTOM_FIELDS: usize = 200;
/// The longest title, in characters.
const MAX_TITLE: usize = 200;
/// The most choices, and the longest of them, in characters.
const MAX_CHOICES: usize = 100;
const MAX_CHOICE: usize = 200;

/// A field that a tenant has declared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct DeclaredField {
    /// The event type.
    pub on: String,
    /// Its name in the event's data, and its column's name in SQL.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it holds.
    pub r#type: CustomFieldType,
    /// Of a text, what it may be; anything, where nothing is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// Who has declared a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldOrigin {
    /// The template that the tenant was given.
    Template,
    /// An admin of the tenant.
    Tenant,
}

/// What a tenant has declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomFields {
    /// 1, and one more with each change; 0: nothing was ever stored.
    pub(crate) revision: u64,
    /// What the template gave and the admin has left.
    pub(crate) given: Vec<DeclaredField>,
    pub(crate) own: Vec<DeclaredField>,
}

impl DeclaredField {
    /// The same with its texts as they are stored, or what is wrong with one. Its name and its type are
    /// for others to judge.
    pub fn checked(self) -> Result<Self, Invalid> {
        let title = self.title.trim().to_owned();
        if title.is_empty() || title.chars().count() > MAX_TITLE || title.contains('\0') {
            let message = format!("give it 1 to {MAX_TITLE} characters, without NUL");
            return Err(Invalid::new("title", message));
        }
        if !self.choices.is_empty() && self.r#type != CustomFieldType::Text {
            return Err(Invalid::new("choices", "only a text has choices; leave them out"));
        }
        let is_good = |choice: &String| {
            !choice.is_empty() && choice.chars().count() <= MAX_CHOICE && !choice.contains('\0')
        };
        let is_single = |(place, choice): (usize, &String)| !self.choices[..place].contains(choice);
        let are_good = self.choices.len() <= MAX_CHOICES
            && self.choices.iter().all(is_good)
            && self.choices.iter().enumerate().all(is_single);
        if !are_good {
            let message = format!(
                "name at most {MAX_CHOICES}, each once, with 1 to {MAX_CHOICE} characters and \
                 without NUL"
            );
            return Err(Invalid::new("choices", message));
        }
        Ok(Self { title, ..self })
    }

    fn is(&self, on: &str, name: &str) -> bool {
        self.on == on && self.name.eq_ignore_ascii_case(name)
    }
}

impl From<&CustomField> for DeclaredField {
    fn from(field: &CustomField) -> Self {
        let CustomField { id: _, on, name, title, r#type, choices } = field.clone();
        Self { on, name, title, r#type, choices }
    }
}

impl CustomFields {
    /// What a template gives whom it is given to.
    pub(crate) fn of_template(template: &Template) -> Vec<DeclaredField> {
        template.custom_fields.iter().map(DeclaredField::from).collect()
    }

    /// All of them, each with who has declared it: those of the template, then those of the admin.
    pub fn all(&self) -> impl Iterator<Item = (FieldOrigin, &DeclaredField)> {
        let covered = |field: &DeclaredField| find(&self.own, &field.on, &field.name).is_some();
        let given = self.given.iter().filter(move |field| !covered(field));
        let given = given.map(|field| (FieldOrigin::Template, field));
        given.chain(self.own.iter().map(|field| (FieldOrigin::Tenant, field)))
    }

    /// The field of an event type that has this name, whatever its capital letters.
    pub fn get(&self, on: &str, name: &str) -> Option<&DeclaredField> {
        find(&self.own, on, name).or_else(|| find(&self.given, on, name))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// These and `field`, which the admin declares, in the place of one of its name.
    #[must_use]
    pub fn with(mut self, field: DeclaredField) -> Self {
        match self.own.iter_mut().find(|own| own.is(&field.on, &field.name)) {
            Some(own) => *own = field,
            None => self.own.push(field),
        }
        self
    }

    /// These without the field of this name.
    #[must_use]
    pub fn without(mut self, on: &str, name: &str) -> Self {
        self.given.retain(|field| !field.is(on, name));
        self.own.retain(|field| !field.is(on, name));
        self
    }

    /// What becomes of them when the newest version of a template takes the place of the one before:
    /// what is new in it is declared, what it says otherwise is as it says, and what it has no more is
    /// the tenant's own.
    #[must_use]
    pub fn taking_over(mut self, before: Option<&Template>, newest: &Template) -> Self {
        let before = before.map(Self::of_template).unwrap_or_default();
        let newest = Self::of_template(newest);
        let given = std::mem::take(&mut self.given);
        for field in &given {
            let is_own = find(&self.own, &field.on, &field.name).is_some();
            if !is_own && find(&newest, &field.on, &field.name).is_none() {
                self.own.push(field.clone());
            }
        }
        self.given = newest;
        self.given.retain(|field| {
            let was_given = find(&before, &field.on, &field.name).is_some();
            !was_given || find(&given, &field.on, &field.name).is_some()
        });
        self
    }
}

fn find<'a>(fields: &'a [DeclaredField], on: &str, name: &str) -> Option<&'a DeclaredField> {
    fields.iter().find(|field| field.is(on, name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::templates;

    const LOGGED: &str = "hr.time_logged";

    fn field(name: &str, title: &str) -> DeclaredField {
        DeclaredField {
            on: LOGGED.to_owned(),
            name: name.to_owned(),
            title: title.to_owned(),
            r#type: CustomFieldType::Text,
            choices: Vec::new(),
        }
    }

    /// A version that gives these fields.
    fn version(fields: &[DeclaredField]) -> Template {
        let given = fields.iter().map(|field| CustomField {
            id: field.name.clone(),
            on: field.on.clone(),
            name: field.name.clone(),
            title: field.title.clone(),
            r#type: field.r#type,
            choices: field.choices.clone(),
        });
        let household = templates::find("household").unwrap().clone();
        Template { custom_fields: given.collect(), ..household }
    }

    fn told(fields: &CustomFields) -> Vec<(&'static str, String)> {
        let origin = |origin: FieldOrigin| {
            if origin == FieldOrigin::Template { "template" } else { "tenant" }
        };
        fields
            .all()
            .map(|(by, field)| (origin(by), format!("{} {}", field.name, field.title)))
            .collect()
    }

    #[test]
    fn what_the_admin_declares_takes_the_place_of_what_was_given() {
        let first = version(&[field("lot", "Lot"), field("room", "Room")]);
        let fields = CustomFields::default().taking_over(None, &first);
        let fields = fields.with(field("Lot", "Batch")).with(field("till", "Till"));
        let expected = [
            ("template", "room Room".to_owned()),
            ("tenant", "Lot Batch".to_owned()),
            ("tenant", "till Till".to_owned()),
        ];
        assert_eq!(told(&fields), expected);
        assert_eq!((fields.len(), fields.is_empty()), (3, false));
        assert_eq!(fields.get(LOGGED, "LOT").unwrap().title, "Batch");
        assert_eq!(fields.get("hr.time_corrected", "lot"), None);
        // What is taken away is not there behind it.
        let fields = fields.without(LOGGED, "lot").without(LOGGED, "room").without(LOGGED, "TILL");
        assert!(fields.is_empty() && fields.get(LOGGED, "lot").is_none());
    }

    #[test]
    fn a_newer_version_keeps_what_is_the_tenants() {
        let first = version(&[field("a", "A"), field("b", "B"), field("c", "C"), field("d", "D")]);
        let fields = CustomFields::default().taking_over(None, &first);
        let fields = fields.without(LOGGED, "a").with(field("b", "Mine")).with(field("e", "Own"));
        let second = version(&[
            field("a", "A again"),
            field("b", "Theirs"),
            field("c", "Changed"),
            field("e", "Theirs too"),
            field("f", "New"),
        ]);
        let fields = fields.taking_over(Some(&first), &second);
        let expected = [
            ("template", "c Changed".to_owned()),
            ("template", "f New".to_owned()),
            ("tenant", "b Mine".to_owned()),
            ("tenant", "e Own".to_owned()),
            ("tenant", "d D".to_owned()),
        ];
        assert_eq!(told(&fields), expected);
        // Once more nothing changes.
        assert_eq!(fields.clone().taking_over(Some(&second), &second), fields);
    }

    #[test]
    fn texts_are_checked() {
        let good = DeclaredField { choices: vec!["a".into(), "b".into()], ..field("x", " X ") };
        assert_eq!(good.clone().checked().unwrap().title, "X");
        let long = "x".repeat(201);
        for wrong in [
            field("x", " "),
            field("x", &long),
            field("x", "a\0b"),
            DeclaredField { r#type: CustomFieldType::Int, ..good.clone() },
            DeclaredField { choices: vec!["a".into(), "a".into()], ..good.clone() },
            DeclaredField { choices: vec![String::new()], ..good.clone() },
            DeclaredField { choices: vec![long], ..good.clone() },
            DeclaredField { choices: (0..101).map(|n| n.to_string()).collect(), ..good },
        ] {
            assert!(wrong.clone().checked().is_err(), "{wrong:?}");
        }
    }
}
