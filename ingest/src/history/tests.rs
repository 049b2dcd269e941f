#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damage;
mod leftovers;
mod model;
mod running;
mod sizes;
mod support;
mod tenants;

fn notes() -> crate::IdNotes {
    crate::IdNotes::new(&[7; 16])
}
