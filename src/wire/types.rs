//! The types of PostgreSQL that columns and parameters have.

use arrow::datatypes::DataType;

pub(super) const BOOL: u32 = 16;
pub(super) const BYTEA: u32 = 17;
pub(super) const CHAR: u32 = 18;
pub(super) const NAME: u32 = 19;
pub(super) const INT8: u32 = 20;
pub(super) const INT2: u32 = 21;
pub(super) const INT4: u32 = 23;
pub(super) const TEXT: u32 = 25;
pub(super) const OID: u32 = 26;
pub(super) const JSON: u32 = 114;
pub(super) const FLOAT4: u32 = 700;
pub(super) const FLOAT8: u32 = 701;
pub(super) const UNKNOWN: u32 = 705;
pub(super) const BPCHAR: u32 = 1042;
pub(super) const VARCHAR: u32 = 1043;
pub(super) const DATE: u32 = 1082;
pub(super) const TIMESTAMP: u32 = 1114;
pub(super) const TIMESTAMPTZ: u32 = 1184;
pub(super) const NUMERIC: u32 = 1700;
pub(super) const UUID: u32 = 2950;

/// A type as a column has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PgType {
    pub(super) oid: u32,
    /// Bytes of a value, or -1 if that varies.
    pub(super) size: i16,
    /// Precision and scale of a `numeric`; -1 if there is nothing to say.
    pub(super) modifier: i32,
}

impl PgType {
    /// The type of a column. What PostgreSQL has no type for is text, as it is shown.
    pub(super) fn of(data_type: &DataType) -> Self {
        let (oid, size) = match data_type {
            DataType::Boolean => (BOOL, 1),
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => (INT2, 2),
            DataType::Int32 | DataType::UInt16 => (INT4, 4),
            DataType::Int64 => (INT8, 8),
            // Only the catalog has them, for its own numbers.
            DataType::UInt32 => (OID, 4),
            DataType::Float16 | DataType::Float32 => (FLOAT4, 4),
            DataType::Float64 => (FLOAT8, 8),
            DataType::Decimal128(precision, scale) if (0..=38).contains(scale) => {
                let modifier = (i32::from(*precision) << 16 | i32::from(*scale)) + 4;
                return Self { oid: NUMERIC, size: -1, modifier };
            }
            DataType::UInt64 => (NUMERIC, -1),
            DataType::Date32 => (DATE, 4),
            DataType::Timestamp(_, None) => (TIMESTAMP, 8),
            DataType::Timestamp(_, Some(_)) => (TIMESTAMPTZ, 8),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => (BYTEA, -1),
            _ => (TEXT, -1),
        };
        Self { oid, size, modifier: -1 }
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn types_are_those_that_drivers_expect() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        for (data_type, oid) in [
            (DataType::Boolean, 16),
            (DataType::Int64, 20),
            (DataType::Float64, 701),
            (DataType::Utf8, 25),
            (DataType::Utf8View, 25),
            (DataType::Date32, 1082),
            (utc, 1184),
            (DataType::Decimal128(38, 4), 1700),
            (DataType::Null, 25),
        ] {
            assert_eq!(PgType::of(&data_type).oid, oid, "{data_type}");
        }
        // As PostgreSQL says numeric(38,4).
        assert_eq!(PgType::of(&DataType::Decimal128(38, 4)).modifier, 2_490_376);
    }
}
