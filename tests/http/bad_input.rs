//! Bad input over HTTP against the real process: everything wrong gets a problem document or an
//! entry in `rejected` that says what is wrong and where; the rest is taken, nothing is lost,
//! nothing panics, and no other tenant's name is spoken.

mod events;
mod lines;
mod queries;
