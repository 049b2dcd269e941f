//! What a connection holds: prepared statements, and portals, which are statements with values whose
//! rows are taken little by little.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{FieldRef, SchemaRef};
use serde_json::Value;
use tokio::time::Instant;

use super::answers::Formats;
use super::calls::{Description, Rows};
use super::commands::Command;
use super::failure::Failure;
use super::types::{PgType, TEXT};

/// Portals of one connection.
const PORTALS: usize = 64;
/// Bytes of all that one connection holds: statements, portals, their names, and what its client was
/// told of them. What a statement and its portals share counts for each of them.
const BYTES: usize = 4 << 20;
/// Bytes of the name of a statement or portal.
const NAME: usize = 256;
/// What anything that is held takes beside its own bytes.
const EACH: usize = 256;

/// What a statement is.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Nothing but spaces and comments.
    Nothing,
    Command(Command),
    Query(Arc<str>),
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Command(command) => command.bytes(),
            Self::Query(sql) => sql.len(),
        }
    }
}

/// A prepared statement.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) work: Work,
    /// The types of its parameters, as far as they are known; 0 where not.
    pub(super) types: Vec<u32>,
    /// The columns that the client was told.
    pub(super) promised: Option<SchemaRef>,
}

impl Statement {
    /// Takes what is known of it now.
    pub(super) fn describe(&mut self, description: Description) {
        let known = description.params.iter().map(|known| known.as_ref().map(PgType::of));
        let known: Vec<u32> = known.map(|known| known.map_or(TEXT, |known| known.oid)).collect();
        let said = self.types.iter().chain(std::iter::repeat(&0));
        self.types = known
            .iter()
            .zip(said)
            .map(|(known, said)| if *said == 0 { *known } else { *said })
            .collect();
        self.promised = Some(description.schema);
    }

    fn bytes(&self) -> usize {
        self.work.bytes() + self.types.capacity() * size_of::<u32>() + told(self.promised.as_ref())
    }
}

/// A statement with its values.
pub(super) struct Portal {
    pub(super) work: Work,
    pub(super) params: Vec<Value>,
    pub(super) formats: Formats,
    /// The columns that the client was told when it prepared the statement.
    pub(super) promised: Option<SchemaRef>,
    pub(super) running: Option<Running>,
    /// All its rows were taken.
    pub(super) is_over: bool,
}

impl Portal {
    pub(super) fn new(work: Work, params: Vec<Value>, formats: Formats) -> Self {
        Self { work, params, formats, promised: None, running: None, is_over: false }
    }

    fn bytes(&self) -> usize {
        let texts: usize = self.params.iter().filter_map(Value::as_str).map(str::len).sum();
        let params = texts + self.params.capacity() * size_of::<Value>();
        self.work.bytes() + params + self.formats.bytes() + told(self.promised.as_ref())
    }
}

/// A query that runs.
pub(super) struct Running {
    pub(super) rows: Rows,
    /// What of a batch is left, from this row on.
    pub(super) batch: Option<(RecordBatch, usize)>,
    /// Until when the client would have it end.
    pub(super) until: Option<Instant>,
}

/// The batch with the columns that were promised, which a query over views that were defined anew
/// meanwhile may not have.
pub(super) fn as_promised(
    batch: RecordBatch,
    promised: Option<&SchemaRef>,
) -> Result<RecordBatch, Failure> {
    let Some(promised) = promised else { return Ok(batch) };
    let changed =
        || Failure::new("0A000", "the columns are not those that were described; prepare it anew");
    let is_named = promised.fields().iter().zip(batch.schema_ref().fields()).all(is_named_alike);
    if promised.fields().len() != batch.num_columns() || !is_named {
        return Err(changed());
    }
    let is_same = |(field, array): (&FieldRef, &ArrayRef)| {
        PgType::of(field.data_type()).oid == PgType::of(array.data_type()).oid
    };
    let mut columns = promised.fields().iter().zip(batch.columns());
    if columns.all(is_same) {
        return Ok(batch);
    }
    let columns = promised
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| cast(array, field.data_type()).map_err(|_| changed()))
        .collect::<Result<Vec<_>, Failure>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(promised.clone(), columns, &rows).map_err(|_| changed())
}

/// Whether a column has the name that was told. What is named by a parameter is named by its value later.
fn is_named_alike((told, found): (&FieldRef, &FieldRef)) -> bool {
    told.name() == found.name() || told.name().contains('$')
}

/// All that a connection holds, by name.
#[derive(Default)]
pub(super) struct Held {
    statements: HashMap<String, Counted<Statement>>,
    portals: HashMap<String, Counted<Portal>>,
    /// How many statements there may be.
    most: usize,
}

/// Something that is held, and how many bytes that takes.
struct Counted<T> {
    held: T,
    bytes: usize,
}

impl<T> Counted<T> {
    /// What is held by a name.
    fn new(name: &str, held: T, bytes: usize) -> Self {
        Self { held, bytes: EACH + name.len() + bytes }
    }
}

impl Held {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Keeps a statement. One with a name stays until it is closed; one without gives way.
    pub(super) fn prepare(&mut self, name: String, statement: Statement) -> Result<(), Failure> {
        check_name(&name)?;
        if name.is_empty() {
            self.statements.remove(&name);
        } else if self.statements.contains_key(&name) {
            let message = format!("there is a prepared statement '{name}' already");
            return Err(Failure::new("42P05", message));
        }
        if self.statements.len() >= self.most {
            let message = format!("a connection has at most {} prepared statements", self.most);
            return Err(Failure::new("54000", message));
        }
        let bytes = statement.bytes();
        let statement = Counted::new(&name, statement, bytes);
        self.room(statement.bytes)?;
        self.statements.insert(name, statement);
        Ok(())
    }

    pub(super) fn statement(&self, name: &str) -> Result<&Statement, Failure> {
        let unknown = || Failure::new("26000", format!("there is no prepared statement '{name}'"));
        self.statements.get(name).map(|counted| &counted.held).ok_or_else(unknown)
    }

    /// Takes what is known of a statement now, and gives it as it is then.
    pub(super) fn describe(
        &mut self,
        name: &str,
        description: Description,
    ) -> Result<&Statement, Failure> {
        let mut statement = self.statement(name)?.clone();
        statement.describe(description);
        let bytes = statement.bytes();
        let statement = Counted::new(name, statement, bytes);
        let before = self.statements.get(name).map_or(0, |counted| counted.bytes);
        self.room(statement.bytes.saturating_sub(before))?;
        self.statements.insert(name.to_owned(), statement);
        self.statement(name)
    }

    /// Keeps a portal. One with a name stays until it is closed; one without gives way.
    pub(super) fn bind(&mut self, name: &str, portal: Portal) -> Result<(), Failure> {
        check_name(name)?;
        if name.is_empty() {
            self.portals.remove(name);
        } else if self.portals.contains_key(name) {
            return Err(Failure::new("42P03", format!("there is a cursor '{name}' already")));
        }
        if self.portals.len() >= PORTALS {
            let message = format!("a connection has at most {PORTALS} portals and cursors");
            return Err(Failure::new("54000", message));
        }
        self.keep(name, portal)
    }

    /// Takes a portal out, to be given back by [`keep`](Self::keep).
    pub(super) fn take(&mut self, name: &str) -> Result<Portal, Failure> {
        let unknown = || Failure::new("34000", format!("there is no cursor '{name}'"));
        self.portals.remove(name).map(|counted| counted.held).ok_or_else(unknown)
    }

    /// Gives a portal back, if there is room for what it has become.
    pub(super) fn keep(&mut self, name: &str, portal: Portal) -> Result<(), Failure> {
        let bytes = portal.bytes();
        let portal = Counted::new(name, portal, bytes);
        self.room(portal.bytes)?;
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    pub(super) fn close_statement(&mut self, name: &str) -> bool {
        self.statements.remove(name).is_some()
    }

    pub(super) fn close_statements(&mut self) {
        self.statements.clear();
    }

    pub(super) fn close_portal(&mut self, name: &str) -> bool {
        self.portals.remove(name).is_some()
    }

    /// Closes all portals, as the end of a transaction does.
    pub(super) fn close_portals(&mut self) {
        self.portals.clear();
    }

    fn room(&self, more: usize) -> Result<(), Failure> {
        let statements = self.statements.values().map(|counted| counted.bytes);
        let held: usize = statements.chain(self.portals.values().map(|kept| kept.bytes)).sum();
        if held + more > BYTES {
            let message = format!(
                "the statements and cursors of a connection have at most {BYTES} bytes; close some"
            );
            return Err(Failure::new("54000", message));
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    if name.len() > NAME {
        let message = format!("the name of a statement or cursor has at most {NAME} bytes");
        return Err(Failure::new("42622", message));
    }
    Ok(())
}

/// The bytes of the columns that a client was told.
fn told(promised: Option<&SchemaRef>) -> usize {
    promised.map_or(0, |schema| schema.fields().size())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn statement(bytes: usize) -> Statement {
        let work = Work::Query("x".repeat(bytes).into());
        Statement { work, types: Vec::new(), promised: None }
    }

    #[test]
    fn a_connection_holds_so_much() {
        let mut held = Held::new(3);
        held.prepare(String::new(), statement(1)).unwrap();
        held.prepare("a".into(), statement(1)).unwrap();
        held.prepare("b".into(), statement(1)).unwrap();
        held.prepare(String::new(), statement(1)).unwrap();
        assert_eq!(held.prepare("b".into(), statement(1)).unwrap_err().code, "42P05");
        assert_eq!(held.prepare("c".into(), statement(1)).unwrap_err().code, "54000");
        assert!(held.close_statement("a"));
        assert_eq!(held.prepare("c".into(), statement(BYTES)).unwrap_err().code, "54000");
        for number in 0..PORTALS {
            let portal = Portal::new(Work::Nothing, Vec::new(), Formats::default());
            held.bind(&number.to_string(), portal).unwrap();
        }
        let portal = Portal::new(Work::Nothing, Vec::new(), Formats::default());
        assert_eq!(held.bind("x", portal).unwrap_err().code, "54000");
    }

    /// How many of a kind a connection that may have a thousand takes.
    fn taken(mut take: impl FnMut(&mut Held, String) -> Result<(), Failure>) -> usize {
        let mut held = Held::new(1_000);
        for number in 0..1_000 {
            if let Err(failure) = take(&mut held, number.to_string()) {
                assert_eq!(failure.code, "54000");
                return number;
            }
        }
        1_000
    }

    #[test]
    fn all_that_is_held_of_a_statement_counts() {
        let types = |held: &mut Held, name: String| {
            let types = vec![0; 65_535];
            held.prepare(name, Statement { types, ..statement(1) })
        };
        assert_eq!(taken(types), 15);
        let cursor = |held: &mut Held, name: String| {
            let declared = Command::Declare { cursor: "c".into(), sql: "x".repeat(1 << 20) };
            held.prepare(name, Statement { work: Work::Command(declared), ..statement(1) })
        };
        assert_eq!(taken(cursor), 3);
        let names = |held: &mut Held, name: String| {
            held.prepare(format!("{name:0>NAME$}"), statement(BYTES / 500 - EACH - NAME))
        };
        assert_eq!(taken(names), 500);
    }

    #[test]
    fn all_that_is_held_of_a_portal_counts() {
        let formats = |held: &mut Held, name: String| {
            let formats = Formats::new(vec![1; 65_535]).unwrap();
            held.bind(&name, Portal::new(Work::Nothing, Vec::new(), formats))
        };
        assert_eq!(taken(formats), 31);
        let values = |held: &mut Held, name: String| {
            let values = vec![Value::Null; 65_535];
            held.bind(&name, Portal::new(Work::Nothing, values, Formats::default()))
        };
        assert!(taken(values) <= BYTES / (65_535 * size_of::<Value>()));
        // A cursor takes the formats of each `FETCH`.
        let fetched = |held: &mut Held, name: String| {
            held.bind(&name, Portal::new(Work::Nothing, Vec::new(), Formats::default()))?;
            let mut portal = held.take(&name)?;
            portal.formats = Formats::new(vec![1; 65_535])?;
            held.keep(&name, portal)
        };
        assert_eq!(taken(fetched), 31);
    }

    #[test]
    fn the_columns_that_a_client_was_told_count() {
        let fields =
            (0..20_000).map(|number| Field::new(format!("c{number}"), DataType::Utf8, true));
        let wide = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let description = || Description { schema: wide.clone(), params: Vec::new() };
        let mut held = Held::new(3);
        held.prepare("a".into(), statement(1)).unwrap();
        held.prepare("b".into(), statement(1)).unwrap();
        assert!(held.describe("a", description()).unwrap().promised.is_some());
        // Once more is no more.
        held.describe("a", description()).unwrap();
        assert_eq!(held.describe("b", description()).unwrap_err().code, "54000");
        assert!(held.statement("b").unwrap().promised.is_none());
        let mut portal = Portal::new(Work::Nothing, Vec::new(), Formats::default());
        portal.promised = Some(wide.clone());
        assert_eq!(held.bind("c", portal).unwrap_err().code, "54000");
        assert!(held.close_statement("a"));
        held.describe("b", description()).unwrap();
    }

    #[test]
    fn names_are_short() {
        let mut held = Held::new(3);
        let portal = || Portal::new(Work::Nothing, Vec::new(), Formats::default());
        let (longest, longer) = ("n".repeat(NAME), "n".repeat(NAME + 1));
        held.prepare(longest.clone(), statement(1)).unwrap();
        held.bind(&longest, portal()).unwrap();
        assert_eq!(held.prepare(longer.clone(), statement(1)).unwrap_err().code, "42622");
        assert_eq!(held.bind(&longer, portal()).unwrap_err().code, "42622");
    }

    #[test]
    fn rows_are_as_they_were_promised() {
        let promised = |data_type| {
            let fields = vec![Field::new("a", data_type, true)];
            Some(Arc::new(Schema::new(fields)))
        };
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        let batch = RecordBatch::try_from_iter([("a", numbers)]).unwrap();
        let text = as_promised(batch.clone(), promised(DataType::Utf8).as_ref()).unwrap();
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["7"]));
        assert_eq!(text.column(0), &texts);
        assert_eq!(as_promised(batch.clone(), promised(DataType::Int64).as_ref()).unwrap(), batch);
        // A view that was defined anew has its figures in other columns.
        let other = Some(Arc::new(Schema::new(vec![Field::new("b", DataType::Int64, true)])));
        assert_eq!(as_promised(batch.clone(), other.as_ref()).unwrap_err().code, "0A000");
        let named = Some(Arc::new(Schema::new(vec![Field::new("$1", DataType::Int64, true)])));
        as_promised(batch.clone(), named.as_ref()).unwrap();
        let none = Some(Arc::new(Schema::empty()));
        assert_eq!(as_promised(batch, none.as_ref()).unwrap_err().code, "0A000");
    }

    #[test]
    fn what_the_client_says_of_types_goes_before() {
        let mut prepared = statement(1);
        prepared.types = vec![23];
        let params = vec![Some(DataType::Int64), Some(DataType::Date32), None];
        prepared.describe(Description { schema: Arc::new(Schema::empty()), params });
        assert_eq!(prepared.types, [23, 1082, 25]);
    }
}
