//! Avro bodies in Confluent's wire format, straight to the columns that an event is kept with.
//!
//! **In:** bodies (a zero byte, the id of a schema in four bytes, the Avro record), whose schemas a
//! [`SchemaRegistry`] has. **Out:** the stored columns of an event type, and for each body that
//! does not fit the reason.
//!
//! Every writer's schema is read with a schema made of it: the same fields, without what changes
//! no value. So fields may come in any order, be more or fewer than those of the type, and old and
//! new writers may send at once. A field that the writer does not have is null; its default in
//! somebody else's schema is not taken, since what was not sent would be recorded as if it had
//! been. One broken body costs itself alone.

mod columns;
mod decoder;
mod registry;
mod rows;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use decoder::{AvroDecoder, Body};
pub use registry::{KeptSchemas, RegistryError, SchemaRegistry};

/// The first byte of a body in Confluent's wire format.
pub(crate) const MAGIC: u8 = 0;

/// The bytes before the record: the magic one and the id of its schema.
pub(crate) const PREFIX: usize = 5;

/// The id of the schema that a body names.
///
/// # Errors
/// The body does not begin as the wire format does.
pub(crate) fn schema_id(body: &[u8]) -> Result<u32, String> {
    match body {
        [MAGIC, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        [MAGIC, ..] => Err(format!(
            "the value is cut short: it has {} bytes, and the wire format begins with {PREFIX} (a \
             zero byte and the id of the schema)",
            body.len()
        )),
        [] => Err("the value is empty".to_owned()),
        [first, ..] => Err(format!(
            "the value begins with the byte {first:#04x}: expected 0x00 of the wire format of a \
             schema registry, or `{{` of CloudEvents JSON"
        )),
    }
}
