//! The PostgreSQL wire of the real process: psql and a driver, what they may do and what they see.

mod connecting;
mod driver;
mod introspection;
mod isolation;
mod postgres;
mod psql;
