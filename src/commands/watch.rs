//! `tidemark watch`: a view in the terminal that changes as its figures do; lines when standard
//! output is no terminal.

mod screen;
mod state;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write};
use std::pin::pin;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use self::screen::Screen;
use self::state::{Event, View};
use super::connection::{Connection, Service, encoded, refusal, worth_retrying};
use super::serve::stop_signal;
use super::sse::Parser;
use super::{Failure, client_runtime, open_output};

/// Between two drawings of the screen.
const FRAME: Duration = Duration::from_millis(100);
/// Without a word for so long, not even a heartbeat, the connection is lost.
const SILENCE: Duration = Duration::from_secs(45);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct Watch {
    /// The view, such as ar_aging
    view: String,
    #[command(flatten)]
    service: Service,
}

impl Watch {
    pub(super) fn run(self) -> Result<(), Failure> {
        let connection = self.service.connection()?;
        client_runtime()?.block_on(async {
            let mut stop = pin!(stop_signal()?);
            let mut follower = Follower {
                view: View::default(),
                display: Display::open(&self.view)?,
                name: self.view,
                connection,
            };
            tokio::select! {
                () = &mut stop => Ok(()),
                ended = follower.follow() => ended,
            }
        })
    }
}

struct Follower {
    name: String,
    connection: Connection,
    view: View,
    display: Display,
}

/// Why one connection ended.
enum End {
    /// Another may do better.
    Lost(Failure),
    /// Nobody reads standard output any more.
    Unread,
}

impl Follower {
    /// Follows until nobody reads, or the service refuses. A lost connection is made again and
    /// resumes; the very first must work.
    async fn follow(&mut self) -> Result<(), Failure> {
        let mut pause = FIRST_PAUSE;
        loop {
            let before = self.view.position().map(str::to_owned);
            let lost = match self.connect().await? {
                Ok(response) => match self.receive(response).await? {
                    End::Lost(lost) => lost,
                    End::Unread => return Ok(()),
                },
                Err(lost) => lost,
            };
            if !self.view.is_known() {
                return Err(lost);
            }
            if before.as_deref() != self.view.position() {
                pause = FIRST_PAUSE;
            }
            self.display.lost(&self.view, &lost)?;
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The stream of the view; the inner error is worth another try.
    async fn connect(&self) -> Result<Result<Response, Failure>, Failure> {
        let subscription = json!({ "id": "watch", "view": self.name }).to_string();
        let path = format!("/v1/stream?sub={}", encoded(&subscription));
        let mut call = self.connection.get(&path);
        if let Some(position) = self.view.position() {
            call = call.header("Last-Event-ID", position);
        }
        match timeout(SILENCE, call.send()).await {
            Err(_) => Ok(Err(silent())),
            Ok(Err(error)) => Ok(Err(self.connection.unreachable(&error))),
            Ok(Ok(response)) if response.status() == StatusCode::OK => Ok(Ok(response)),
            Ok(Ok(response)) if worth_retrying(response.status()) => {
                Ok(Err(refusal(response).await))
            }
            Ok(Ok(response)) => Err(refusal(response).await),
        }
    }

    async fn receive(&mut self, mut response: Response) -> Result<End, Failure> {
        self.view.connected();
        let mut parser = Parser::default();
        let mut heard = Instant::now();
        let mut drawn: Option<Instant> = None;
        let mut dirty = false;
        loop {
            if dirty && drawn.is_none_or(|at| at.elapsed() >= FRAME) {
                if !self.display.draw(&self.view)? {
                    return Ok(End::Unread);
                }
                // Once more later, when what has changed is no longer marked.
                dirty = self.view.forget_old_marks();
                drawn = Some(Instant::now());
            }
            let wait = if dirty { FRAME } else { SILENCE };
            let chunk = match timeout(wait, response.chunk()).await {
                Err(_) if heard.elapsed() > SILENCE => return Ok(End::Lost(silent())),
                Err(_) => continue,
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => {
                    return Ok(End::Lost(Failure::Failed(String::from(
                        "the service ended the stream",
                    ))));
                }
                Ok(Err(error)) => return Ok(End::Lost(self.connection.unreachable(&error))),
            };
            heard = Instant::now();
            for message in parser.take(&chunk)? {
                if let Some(event) = self.view.take(message)?
                    && !self.display.event(&event)?
                {
                    return Ok(End::Unread);
                }
                dirty = true;
            }
        }
    }
}

fn silent() -> Failure {
    Failure::Failed(format!("nothing came for {} s", SILENCE.as_secs()))
}

/// Where the view is shown. Every call says whether anybody still reads it.
enum Display {
    Screen(Screen),
    Lines,
}

impl Display {
    fn open(name: &str) -> Result<Self, Failure> {
        if std::io::stdout().is_terminal() {
            Screen::open(name).map(Self::Screen)
        } else {
            Ok(Self::Lines)
        }
    }

    /// Something happened to the view: lines say it, the screen draws the view instead.
    fn event(&mut self, event: &Event) -> Result<bool, Failure> {
        match self {
            Self::Screen(_) => Ok(true),
            Self::Lines => {
                let mut out = std::io::stdout().lock();
                open_output(out.write_all(event.lines().as_bytes()).and_then(|()| out.flush()))
            }
        }
    }

    fn draw(&mut self, view: &View) -> Result<bool, Failure> {
        match self {
            Self::Screen(screen) => screen.draw(view, "live"),
            Self::Lines => Ok(true),
        }
    }

    fn lost(&mut self, view: &View, failure: &Failure) -> Result<(), Failure> {
        match self {
            Self::Screen(screen) => {
                screen.draw(view, &format!("connection lost, trying again: {failure}")).map(|_| ())
            }
            Self::Lines => {
                eprintln!("tidemark: connection lost, trying again: {failure}");
                Ok(())
            }
        }
    }
}
