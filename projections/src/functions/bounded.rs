//! Functions that fail rather than make too much, in views and in ad hoc SQL.
//!
//! A short expression can make any amount of text (`repeat`), or compute for any time (`levenshtein`). Such
//! a function is asked how much it would make before it makes it ([`Growth`]), and that is charged: to an
//! [`Account`], of which a query has one for each call, or to the step that evaluates it
//! ([`made`](super::made)).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use super::growth::{Growth, is_constant, scalar_bytes, value_bytes};
use super::made::{self, TooMuch};

/// Comparisons of characters that one call may make: less than a second of a processor.
const COMPARISONS: usize = 1 << 27;

/// Bytes of a text that is made once, while the SQL is planned. A longer one is made anew for each batch,
/// so that no plan holds it.
const PLANNED_BYTES: usize = 1 << 10;

/// Bytes from which on a text of the SQL is counted where it is put into each row.
const LITERAL_BYTES: usize = 64;

/// What a call is charged to.
pub trait Account: fmt::Debug + Send + Sync {
    /// Whether so many bytes more may be made by `by` now, or an error that says why not.
    fn ask(&self, by: &str, bytes: usize) -> Result<()>;
    /// Notes what was made.
    fn made(&self, bytes: usize);
}

/// Where calls are charged: one account is opened for each; none for the step that evaluates it.
pub type Open<'a> = dyn FnMut() -> Option<Arc<dyn Account>> + 'a;

/// The function, bounded if it may make much.
pub(super) fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match Growth::of(function.name()) {
        Some(growth) => {
            Arc::new(ScalarUDF::from(Bounded { inner: function, growth, account: None }))
        }
        None => function,
    }
}

/// Has all that an expression makes of text charged. To be called when no rule looks at it any more.
pub fn charge(expr: Expr, open: &mut Open<'_>) -> Result<Transformed<Expr>> {
    expr.transform_up(|e| Ok(charged(e, open)))
}

/// The value of a column, charged.
pub fn charge_column(expr: Expr, open: &mut Open<'_>) -> Expr {
    if is_charged(&expr) { expr } else { Counted::call("a column", expr, open) }
}

fn charged(expr: Expr, open: &mut Open<'_>) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            let Some(growth) = Growth::of(func.name()) else {
                return Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args }));
            };
            let bounded = func.inner().downcast_ref::<Bounded>();
            let inner = bounded.map(|bounded| Arc::clone(&bounded.inner));
            let inner = inner.unwrap_or(func);
            let func = Arc::new(ScalarUDF::from(Bounded { inner, growth, account: open() }));
            Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args }))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            let mut side = |e: Box<Expr>| match *e {
                literal @ Expr::Literal(..) => Box::new(literal),
                other if is_charged(&other) => Box::new(other),
                other => Box::new(Counted::call("||", other, open)),
            };
            let (left, right) = (side(left), side(right));
            let op = Operator::StringConcat;
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::Literal(value, metadata) if scalar_bytes(&value) > LITERAL_BYTES => {
            Transformed::yes(Counted::call("a text", Expr::Literal(value, metadata), open))
        }
        other => Transformed::no(with_literals(other)),
    }
}

/// Whether an expression is charged as it is.
fn is_charged(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => {
            let function = call.func.inner();
            function.is::<Bounded>() || function.is::<Counted>()
        }
        Expr::BinaryExpr(binary) => binary.op == Operator::StringConcat,
        _ => false,
    }
}

/// Where a literal is compared, or must be one, it is put into no row, and stays as it is.
fn with_literals(expr: Expr) -> Expr {
    match expr {
        Expr::BinaryExpr(mut binary) => {
            as_literal(&mut binary.left);
            as_literal(&mut binary.right);
            Expr::BinaryExpr(binary)
        }
        Expr::Like(mut like) => {
            as_literal(&mut like.expr);
            as_literal(&mut like.pattern);
            Expr::Like(like)
        }
        Expr::SimilarTo(mut like) => {
            as_literal(&mut like.expr);
            as_literal(&mut like.pattern);
            Expr::SimilarTo(like)
        }
        Expr::Between(mut between) => {
            as_literal(&mut between.low);
            as_literal(&mut between.high);
            Expr::Between(between)
        }
        Expr::InList(mut list) => {
            list.list = list.list.into_iter().map(plain).collect();
            Expr::InList(list)
        }
        Expr::AggregateFunction(mut call) => {
            call.params.args = call.params.args.into_iter().map(plain).collect();
            Expr::AggregateFunction(call)
        }
        Expr::WindowFunction(mut call) => {
            call.params.args =
                std::mem::take(&mut call.params.args).into_iter().map(plain).collect();
            Expr::WindowFunction(call)
        }
        other => other,
    }
}

fn as_literal(operand: &mut Expr) {
    *operand = plain(std::mem::take(operand));
}

/// A literal that was counted, as it was.
fn plain(expr: Expr) -> Expr {
    match expr {
        Expr::ScalarFunction(call)
            if call.func.inner().is::<Counted>()
                && matches!(call.args.as_slice(), [Expr::Literal(..)]) =>
        {
            let ScalarFunction { func, mut args } = call;
            match args.pop() {
                Some(literal) => literal,
                None => Expr::ScalarFunction(ScalarFunction { func, args }),
            }
        }
        other => other,
    }
}

/// Asks for so many bytes.
fn ask(account: Option<&Arc<dyn Account>>, by: &str, bytes: usize) -> Result<()> {
    match account {
        Some(account) => account.ask(by, bytes),
        None => Ok(made::ask(by, bytes)?),
    }
}

fn note(account: Option<&Arc<dyn Account>>, bytes: usize) {
    match account {
        Some(account) => account.made(bytes),
        None => made::made(bytes),
    }
}

/// A function of DataFusion's that fails rather than make too much. To whom it is charged is no part of
/// what it is.
#[derive(Debug)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
    account: Option<Arc<dyn Account>>,
}

impl Bounded {
    /// An error if these rows are too much.
    fn check(&self, arguments: &ScalarFunctionArgs) -> Result<()> {
        let account = self.account.as_ref();
        let growth = self.growth.of_rows(&arguments.args, arguments.number_rows);
        if self.growth == Growth::Compare {
            if growth > COMPARISONS {
                let by = self.name().to_owned();
                return Err(TooMuch::Comparisons { by, most: COMPARISONS }.into());
            }
            return ask(account, self.name(), 0);
        }
        let is_planned = account.is_none() && !made::is_counted();
        if is_planned
            && growth > PLANNED_BYTES
            && arguments.number_rows <= 1
            && is_constant(&arguments.args)
        {
            let by = self.name().to_owned();
            return Err(TooMuch::Text { by, most: PLANNED_BYTES }.into());
        }
        ask(account, self.name(), growth)
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        (&self.inner, self.growth) == (&other.inner, other.growth)
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.inner, self.growth).hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&arguments)?;
        let rows = arguments.number_rows;
        let value = self.inner.invoke_with_args(arguments)?;
        note(self.account.as_ref(), value_bytes(&value, rows));
        Ok(value)
    }
}

/// Gives its argument back, and charges what that is.
#[derive(Debug)]
struct Counted {
    signature: Signature,
    by: &'static str,
    account: Option<Arc<dyn Account>>,
}

impl Counted {
    fn call(by: &'static str, argument: Expr, open: &mut Open<'_>) -> Expr {
        let signature = Signature::any(1, Volatility::Immutable);
        let func = Arc::new(ScalarUDF::from(Self { signature, by, account: open() }));
        Expr::ScalarFunction(ScalarFunction { func, args: vec![argument] })
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        self.by == other.by
    }
}

impl Eq for Counted {}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.by.hash(state);
    }
}

impl ScalarUDFImpl for Counted {
    fn name(&self) -> &'static str {
        "counted"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(field) = arguments.arg_fields.first() else {
            return internal_err!("what is counted is one argument");
        };
        Ok(Arc::clone(field))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let Some(argument) = arguments.args.into_iter().next() else {
            return internal_err!("what is counted is one argument");
        };
        let bytes = value_bytes(&argument, rows);
        ask(self.account.as_ref(), self.by, bytes)?;
        note(self.account.as_ref(), bytes);
        Ok(argument)
    }
}

#[cfg(test)]
#[path = "bounded_tests.rs"]
mod tests;
