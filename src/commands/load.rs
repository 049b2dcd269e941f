//! `tidemark load`: sends files of events, then says how fast they were acknowledged and applied.
//!
//! Repeats have no effect on the service, so whatever is uncertain is sent again, and a load that
//! was broken off is simply started again.

mod reader;
mod sender;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use self::reader::Chunk;
use self::sender::{Answer, send, wait_until_applied};
use super::connection::{Connection, Service};
use super::{Failure, client_runtime, grouped};

/// Bodies under way at once: one is decoded while another is written.
const IN_FLIGHT: usize = 3;
/// Bodies read ahead.
const READ_AHEAD: usize = 2;
/// Rejections that are shown.
const SHOWN: usize = 10;

#[derive(Debug, clap::Args)]
pub(super) struct Load {
    /// Files of events, one CloudEvent of JSON a line, plain or gzipped; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    service: Service,
}

impl Load {
    pub(super) fn run(self) -> Result<(), Failure> {
        let connection = self.service.connection()?;
        let total = reader::total_bytes(&self.files)?;
        client_runtime()?.block_on(load(self.files, total, &connection))
    }
}

async fn load(
    files: Vec<PathBuf>,
    total: Option<u64>,
    connection: &Connection,
) -> Result<(), Failure> {
    let bar = progress(total);
    let (to, mut from) = mpsc::channel(READ_AHEAD);
    let reading = tokio::task::spawn_blocking(move || reader::read_all(&files, &to));
    let mut tally = Tally::new();
    {
        let chunks = futures::stream::poll_fn(|context| from.poll_recv(context));
        let mut answers =
            chunks.map(|chunk: Chunk| send(connection, chunk, &bar)).buffer_unordered(IN_FLIGHT);
        while let Some(answer) = answers.next().await {
            tally.add(answer?, &bar);
        }
    }
    let acknowledged = tally.begun.elapsed();
    reading.await.map_err(Failure::failed)??;
    bar.set_message("waiting for the views");
    let known = wait_until_applied(connection, &tally.positions).await?;
    let applied = known.then(|| tally.begun.elapsed());
    bar.finish_and_clear();
    tally.report(acknowledged, applied)
}

fn progress(total: Option<u64>) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    let template = match total {
        Some(_) => "{bar:32} {percent:>3}%  {msg}  {eta} left",
        None => "{spinner} {msg}",
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        // The default style shows the same without the rate.
        Err(_) => bar,
    }
}

/// What has been answered so far.
struct Tally {
    begun: Instant,
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    /// The first rejections, `file:line: reason`.
    reasons: Vec<String>,
    /// Of the latest answers. Of `IN_FLIGHT` bodies under way, any may have got the greatest
    /// position; an earlier answer came before one of these was sent.
    positions: VecDeque<String>,
}

impl Tally {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            accepted: 0,
            duplicates: 0,
            rejected: 0,
            reasons: Vec::new(),
            positions: VecDeque::new(),
        }
    }

    fn events(&self) -> u64 {
        self.accepted + self.duplicates + self.rejected
    }

    fn add(&mut self, answer: Answer, bar: &ProgressBar) {
        let Answer { receipt, chunk } = answer;
        self.accepted += receipt.accepted;
        self.duplicates += receipt.duplicates;
        self.rejected += receipt.rejected.len() as u64;
        for rejected in receipt.rejected.iter().take(SHOWN - self.reasons.len().min(SHOWN)) {
            let line = chunk.line_of(rejected.index);
            self.reasons.push(format!("{}:{line}: {}", chunk.file, rejected.reason));
        }
        if self.positions.len() == IN_FLIGHT {
            self.positions.pop_front();
        }
        self.positions.push_back(receipt.position);
        if chunk.read > bar.position() {
            bar.set_position(chunk.read);
        }
        let rate = per_second(self.events(), self.begun.elapsed());
        bar.set_message(format!("{} events, {}/s", grouped(self.events()), grouped(rate)));
    }

    fn report(&self, acknowledged: Duration, applied: Option<Duration>) -> Result<(), Failure> {
        let events = self.events();
        let applied = match applied {
            Some(time) => format!("{} applied", grouped(per_second(events, time))),
            None if events == 0 => String::from("nothing to apply"),
            None => String::from("applied at a rate that this token may not read"),
        };
        println!(
            "{} events in {:.2} s: {} events/s acknowledged, {applied}",
            grouped(events),
            acknowledged.as_secs_f64(),
            grouped(per_second(events, acknowledged)),
        );
        println!(
            "accepted {}, duplicates {}, rejected {}",
            grouped(self.accepted),
            grouped(self.duplicates),
            grouped(self.rejected)
        );
        if self.rejected == 0 {
            return Ok(());
        }
        for reason in &self.reasons {
            eprintln!("  {reason}");
        }
        let more = self.rejected - self.reasons.len() as u64;
        if more > 0 {
            eprintln!("  and {} more", grouped(more));
        }
        Err(Failure::Failed(format!(
            "{} events were rejected; everything else was taken",
            grouped(self.rejected)
        )))
    }
}

fn per_second(events: u64, time: Duration) -> u64 {
    (events as f64 / time.as_secs_f64().max(1e-6)) as u64
}
