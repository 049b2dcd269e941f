//! Functions of one argument that give it back, unless a bound is crossed.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::QueryError;
use crate::error::LimitKind;
use crate::functions::{BATCH_TEXT, text_bytes, too_much_text};

/// The end of a query: when its time is over, or when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Watch {
    deadline: Instant,
    seconds: u64,
    abandoned: AtomicBool,
}

impl Watch {
    pub(crate) fn new(seconds: u64) -> Self {
        // Far ahead when the configured time is beyond what the clock can count.
        let far = Duration::from_hours(365 * 24);
        let now = Instant::now();
        let deadline = now.checked_add(Duration::from_secs(seconds)).unwrap_or(now + far);
        Self { deadline, seconds, abandoned: AtomicBool::new(false) }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// From now on the query fails at its next look at the watch.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// An error once the query should end.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if self.abandoned.load(Ordering::Relaxed) || Instant::now() >= self.deadline {
            return Err(self.over());
        }
        Ok(())
    }

    /// The error of a query whose time is over.
    pub(crate) fn over(&self) -> QueryError {
        QueryError::Limit { which: LimitKind::Time, limit: format!("{} s", self.seconds) }
    }
}

/// Gives its argument back while the watch allows.
#[derive(Debug)]
pub(super) struct Watched {
    watch: Arc<Watch>,
    signature: Signature,
}

impl Watched {
    pub(super) fn new(watch: Arc<Watch>) -> Self {
        Self { watch, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.watch, &other.watch)
    }
}

impl Eq for Watched {}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.watch).hash(state);
    }
}

impl ScalarUDFImpl for Watched {
    fn name(&self) -> &'static str {
        "watched"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(first_type(arguments))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        first_field(&arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.watch.check().map_err(QueryError::into_datafusion)?;
        first(arguments)
    }
}

/// Gives its argument back unless a batch of it holds too much text.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct BoundedText {
    signature: Signature,
}

impl BoundedText {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for BoundedText {
    fn name(&self) -> &'static str {
        "bounded_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(first_type(arguments))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        first_field(&arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let argument = first(arguments)?;
        let bytes = match &argument {
            ColumnarValue::Array(array) => {
                (0..array.len()).map(|row| text_bytes(&argument, row)).sum()
            }
            ColumnarValue::Scalar(_) => text_bytes(&argument, 0).saturating_mul(rows),
        };
        if bytes > BATCH_TEXT {
            return Err(too_much_text("||").into_datafusion());
        }
        Ok(argument)
    }
}

fn first_type(arguments: &[DataType]) -> DataType {
    arguments.first().cloned().unwrap_or(DataType::Null)
}

fn first_field(arguments: &ReturnFieldArgs) -> Result<FieldRef> {
    match arguments.arg_fields.first() {
        Some(field) => Ok(field.clone()),
        None => no_argument(),
    }
}

fn first(arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
    match arguments.args.into_iter().next() {
        Some(argument) => Ok(argument),
        None => no_argument(),
    }
}

fn no_argument<T>() -> Result<T> {
    datafusion::common::internal_err!("a guard takes one argument")
}
