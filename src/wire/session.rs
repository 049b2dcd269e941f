//! A connection by which somebody was let in: messages in, answers out, one after the other.

use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::answers::{Formats, Outlet, Transaction};
use super::calls::{Calls, Rows};
use super::cancelling::Key;
use super::commands::{Command, command, ends_transaction};
use super::failure::Failure;
use super::messages::{Bind, Inlet, Message, ReadError, Target};
use super::prepared::{Held, Portal, Running, Statement, Work, as_promised};
use super::settings::Settings;
use super::stay::Stay;
use super::{parameters, text};

/// Why a connection does not go on, or a statement does not.
pub(super) enum Stop {
    Failed(Failure),
    /// There is nobody to be told.
    Gone,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Failure::of_reading(&error).map_or(Self::Gone, Self::Failed)
    }
}

/// What a connection is listened to for.
pub(super) struct Listening<R> {
    pub(super) inlet: Inlet<R>,
    pub(super) key: Key,
    pub(super) stay: Stay,
    /// No more statements are begun.
    pub(super) closing: CancellationToken,
    /// For which time nothing need come.
    pub(super) idle: Duration,
    /// Bytes of a message.
    pub(super) message_bytes: usize,
}

impl<R: AsyncRead + Unpin> Listening<R> {
    /// The next message.
    async fn message(&mut self) -> Result<Message, Stop> {
        let message = timeout(self.idle, self.inlet.next(self.message_bytes));
        tokio::select! {
            biased;
            over = self.stay.over() => Err(over.into()),
            message = message => match message {
                Ok(message) => Ok(message?),
                Err(_) => Err(Failure::fatal("57P05", "nothing came for too long").into()),
            },
            () = self.closing.cancelled() => {
                Err(Failure::fatal("57P01", "the service is stopping; connect again").into())
            }
        }
    }

    /// What `work` comes to, unless it is cancelled, the time of the client or of its token is over,
    /// or the client goes.
    async fn attend<T>(
        &mut self,
        until: Option<Instant>,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Stop> {
        let late = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            done = work => Ok(done?),
            () = self.key.cancelled() => Err(Failure::cancelled("as the user asked").into()),
            () = late => Err(Failure::cancelled("its statement_timeout is over").into()),
            over = self.stay.over() => Err(over.into()),
            () = self.inlet.gone(self.message_bytes) => Err(Stop::Gone),
        }
    }
}

/// A connection by which somebody was let in.
pub(super) struct Session<R, W> {
    pub(super) listening: Listening<R>,
    pub(super) outlet: Outlet<W>,
    pub(super) calls: Calls,
    pub(super) settings: Settings,
    pub(super) held: Held,
    pub(super) transaction: Transaction,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Session<R, W> {
    /// Answers until the client goes or must go.
    pub(super) async fn run(mut self) -> io::Result<()> {
        if let Err(Stop::Failed(failure)) = self.converse().await {
            self.outlet.failed(&failure);
        }
        self.outlet.close().await
    }

    async fn converse(&mut self) -> Result<(), Stop> {
        self.outlet.ready(self.transaction);
        self.outlet.flush().await?;
        // What follows a message that failed, until the client has heard of it.
        let mut is_skipping = false;
        loop {
            match self.listening.message().await? {
                Message::Terminate => return Ok(()),
                Message::Sync => {
                    is_skipping = false;
                    self.settle();
                    self.outlet.flush().await?;
                }
                _ if is_skipping => {}
                Message::Flush => self.outlet.flush().await?,
                Message::Query(text) => {
                    self.simple(&text).await?;
                    self.outlet.flush().await?;
                }
                message => {
                    if let Err(stop) = self.extended(message).await {
                        self.fail(stop)?;
                        is_skipping = true;
                    }
                    self.outlet.ease().await?;
                }
            }
        }
    }

    /// Tells the client of a failure; goes on unless it is the end.
    fn fail(&mut self, stop: Stop) -> Result<(), Stop> {
        match stop {
            Stop::Failed(failure) if !failure.is_fatal => {
                self.outlet.failed(&failure);
                if self.transaction == Transaction::Open {
                    self.transaction = Transaction::Failed;
                }
                Ok(())
            }
            stop => Err(stop),
        }
    }

    /// The end of what was asked for at once.
    fn settle(&mut self) {
        if self.transaction == Transaction::None {
            self.held.close_portals();
        }
        self.outlet.ready(self.transaction);
    }

    /// Statements as text, all whose rows are sent as text.
    async fn simple(&mut self, text: &str) -> Result<(), Stop> {
        let statements = text::statements(text);
        if statements.is_empty() {
            self.outlet.empty();
        }
        for (begin, statement) in statements {
            match self.at_once(statement).await {
                Ok(()) => self.outlet.ease().await?,
                Err(Stop::Failed(mut failure)) => {
                    failure.position = failure.position.map(|position| position + begin);
                    self.fail(Stop::Failed(failure))?;
                    break;
                }
                Err(gone) => return Err(gone),
            }
        }
        self.settle();
        Ok(())
    }

    async fn at_once(&mut self, statement: &str) -> Result<(), Stop> {
        let mut portal = Portal::new(work(statement)?, Vec::new(), Formats::default());
        self.check_transaction(&portal.work)?;
        self.describe_portal(&mut portal, false).await?;
        self.execute(&mut portal, None).await
    }

    async fn extended(&mut self, message: Message) -> Result<(), Stop> {
        match message {
            Message::Parse { name, sql, types } => {
                let statement = Statement { work: work(&sql)?, types, promised: None };
                self.held.prepare(name, statement)?;
                self.outlet.parsed();
            }
            Message::Bind(bind) => {
                self.bind(bind)?;
                self.outlet.bound();
            }
            Message::Describe(Target::Statement(name)) => self.describe_statement(&name).await?,
            Message::Describe(Target::Portal(name)) => {
                let mut portal = self.held.take(&name)?;
                self.check_transaction(&portal.work)?;
                self.describe_portal(&mut portal, true).await?;
                self.held.keep(&name, portal)?;
            }
            Message::Execute { portal: name, rows } => {
                let mut portal = self.held.take(&name)?;
                self.check_transaction(&portal.work)?;
                self.execute(&mut portal, (rows > 0).then_some(rows)).await?;
                // A command may have closed what there was.
                self.held.keep(&name, portal)?;
            }
            Message::Close(target) => {
                match target {
                    Target::Statement(name) => self.held.close_statement(&name),
                    Target::Portal(name) => self.held.close_portal(&name),
                };
                self.outlet.closed();
            }
            Message::Other(kind) => {
                let message = format!("a message '{}' is not supported", kind.escape_ascii());
                return Err(Failure::fatal("08P01", message).into());
            }
            Message::Password(_) => {
                return Err(Failure::fatal("08P01", "a password was not asked for").into());
            }
            Message::Query(_) | Message::Sync | Message::Flush | Message::Terminate => {}
        }
        Ok(())
    }

    /// Nothing but its end is taken in a transaction that has failed.
    fn check_transaction(&self, work: &Work) -> Result<(), Failure> {
        let command = match work {
            Work::Nothing => return Ok(()),
            Work::Command(command) => Some(command),
            Work::Query(_) => None,
        };
        if self.transaction == Transaction::Failed && !ends_transaction(command) {
            let message = "the transaction has failed; nothing is done until it ends by ROLLBACK";
            return Err(Failure::new("25P02", message));
        }
        Ok(())
    }

    fn bind(&mut self, bind: Bind) -> Result<(), Failure> {
        let Statement { work, types, promised } = self.held.statement(&bind.statement)?.clone();
        let params = parameters::values(&bind.values, &bind.formats, &types)?;
        let mut portal = Portal::new(work, params, Formats::new(bind.columns)?);
        portal.promised = promised;
        self.held.bind(&bind.portal, portal)
    }

    async fn describe_statement(&mut self, name: &str) -> Result<(), Stop> {
        let statement = self.held.statement(name)?;
        let work = statement.work.clone();
        self.check_transaction(&work)?;
        match work {
            Work::Query(sql) => {
                self.listening.key.renew();
                let until = self.until();
                let described = self.listening.attend(until, self.calls.describe(&sql)).await?;
                let statement = self.held.describe(name, described)?;
                self.outlet.parameters(&statement.types);
                if let Some(schema) = &statement.promised {
                    self.outlet.columns(schema, &Formats::default());
                }
            }
            Work::Nothing => {
                self.outlet.parameters(&[]);
                self.outlet.no_rows();
            }
            Work::Command(command) => {
                self.outlet.parameters(&[]);
                self.describe_command(&command, &Formats::default()).await?;
            }
        }
        Ok(())
    }

    /// Tells the columns of a portal. That of a query is begun for it, whose rows are then taken by
    /// `Execute`. Where there are none, that is told only if it `is_asked`.
    async fn describe_portal(&mut self, portal: &mut Portal, is_asked: bool) -> Result<(), Stop> {
        match portal.work.clone() {
            Work::Query(_) => {
                let schema = self.columns(portal).await?;
                self.outlet.columns(&schema, &portal.formats);
            }
            Work::Command(
                command @ (Command::Show(_) | Command::ShowAll | Command::Fetch { .. }),
            ) => {
                self.describe_command(&command, &portal.formats).await?;
            }
            Work::Nothing | Work::Command(_) if is_asked => self.outlet.no_rows(),
            Work::Nothing | Work::Command(_) => {}
        }
        Ok(())
    }

    /// The columns of a portal's query, which is begun unless it runs.
    pub(super) async fn columns(&mut self, portal: &mut Portal) -> Result<SchemaRef, Stop> {
        if let Some(promised) = &portal.promised {
            return Ok(promised.clone());
        }
        let running = self.running(portal).await?;
        Ok(running.rows.schema().clone())
    }

    async fn running<'a>(&mut self, portal: &'a mut Portal) -> Result<&'a mut Running, Stop> {
        let running = if let Some(running) = portal.running.take() {
            running
        } else {
            let Work::Query(sql) = &portal.work else {
                return Err(Failure::new("34000", "a cursor that has no rows").into());
            };
            self.listening.key.renew();
            let until = self.until();
            let begun = self.calls.run(sql, &portal.params);
            let rows: Rows = self.listening.attend(until, begun).await?;
            Running { rows, batch: None, until }
        };
        Ok(portal.running.insert(running))
    }

    fn until(&self) -> Option<Instant> {
        self.settings.statement_timeout().and_then(|time| Instant::now().checked_add(time))
    }

    /// Runs a portal, or goes on with it, for at most so many rows.
    async fn execute(&mut self, portal: &mut Portal, most: Option<u32>) -> Result<(), Stop> {
        match portal.work.clone() {
            Work::Nothing => self.outlet.empty(),
            Work::Command(command) => self.obey(command, &portal.formats).await?,
            Work::Query(sql) => {
                let sent = self.send(portal, most).await?;
                if portal.is_over {
                    self.outlet.complete(&tag(&sql, sent));
                } else {
                    self.outlet.suspended();
                }
            }
        }
        Ok(())
    }

    /// Sends the next rows of a portal, and says how many there were.
    pub(super) async fn send(
        &mut self,
        portal: &mut Portal,
        most: Option<u32>,
    ) -> Result<u64, Stop> {
        if portal.is_over {
            return Ok(0);
        }
        self.running(portal).await?;
        let most = most.map_or(u64::MAX, u64::from);
        let mut sent = 0;
        while sent < most {
            if let ControlFlow::Break(()) = self.load(portal).await? {
                portal.is_over = true;
                portal.running = None;
                break;
            }
            let formats = portal.formats.clone();
            let running = self.running(portal).await?;
            if let Some((batch, from)) = running.batch.take() {
                let left = batch.num_rows() - from;
                let taken = usize::try_from(most - sent).unwrap_or(usize::MAX).min(left);
                self.outlet.rows(&batch, from..from + taken, &formats).await?;
                sent += taken as u64;
                running.batch = (taken < left).then_some((batch, from + taken));
            }
        }
        Ok(sent)
    }

    /// Has a batch at hand with rows that are not sent; breaks where there are no more.
    async fn load(&mut self, portal: &mut Portal) -> Result<ControlFlow<()>, Stop> {
        let promised = portal.promised.clone();
        let running = self.running(portal).await?;
        if running.batch.is_some() {
            return Ok(ControlFlow::Continue(()));
        }
        let next = self.listening.attend(running.until, running.rows.next()).await?;
        match next {
            Some(batch) => {
                running.batch = Some((as_promised(batch, promised.as_ref())?, 0));
                Ok(ControlFlow::Continue(()))
            }
            None => Ok(ControlFlow::Break(())),
        }
    }
}

/// What a statement is.
pub(super) fn work(statement: &str) -> Result<Work, Failure> {
    let statements = text::statements(statement);
    match statements.as_slice() {
        [] => Ok(Work::Nothing),
        [_] => Ok(match command(statement.trim_end().trim_end_matches(';'))? {
            Some(command) => Work::Command(command),
            None => Work::Query(Arc::from(statement)),
        }),
        _ => Err(Failure::new("42601", "several statements cannot be prepared as one")),
    }
}

/// What is said at the end of a query.
fn tag(sql: &str, rows: u64) -> String {
    let is_plan = text::words(sql).next().is_some_and(|word| word.eq_ignore_ascii_case("explain"));
    if is_plan { "EXPLAIN".to_owned() } else { format!("SELECT {rows}") }
}
