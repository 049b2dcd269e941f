//! A message: with a report's file or where to find it, or with what became of an alert.

use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::time::{Instant, timeout_at};

use super::super::settings::{ReportSettings, SmtpUrl};
use super::super::told::instant;
use super::{Delivery, Undelivered};

/// How long the mail server may leave one command unanswered.
const PATIENCE: Duration = Duration::from_secs(30);

/// For all to get it who get it alone: less than a try has, so that it is known who has it.
const ALONE: Duration = Duration::from_mins(1);
/// Answers that refuse the sender, whoever is written to.
const OF_SENDER: [&str; 4] = ["530", "534", "535", "538"];

/// A message.
pub(super) struct Mail {
    /// The same with each try, by which a message that came twice is known.
    pub(super) key: String,
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) file: Option<Attached>,
}

/// A file that goes with a message.
pub(super) struct Attached {
    name: String,
    content_type: &'static str,
    bytes: Vec<u8>,
}

/// A message with a report's file, or with where to find it.
pub(super) fn of_file(
    settings: &ReportSettings,
    delivery: &Delivery<'_>,
    subject: String,
    attached: Option<Vec<u8>>,
) -> Mail {
    let key = format!("{}.{}", delivery.run_id, delivery.place);
    let text = text(settings, delivery, attached.is_some());
    let file = attached.map(|bytes| Attached {
        name: delivery.outcome.name.clone(),
        content_type: delivery.outcome.format.content_type(),
        bytes,
    });
    Mail { key, subject, text, file }
}

/// Sends one message to all of them, by a mail server and from a sender. Where the server refuses it for
/// somebody, each gets it alone, so that nobody's address keeps it from the others.
pub(super) async fn send(
    (smtp, from): (&SmtpUrl, &str),
    to: &[String],
    mail: Mail,
) -> Result<(), Undelivered> {
    let message = message(from, to, mail)?;
    let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(smtp.reveal());
    // The address may hold a password, and so may an error about it.
    let transport = transport.map_err(|_| Undelivered::for_good("smtp_url cannot be used"))?;
    let transport = transport.timeout(Some(PATIENCE)).build();
    let (envelope, text) = (message.envelope(), message.formatted());
    let refused = match transport.send_raw(envelope, &text).await {
        Ok(_) => return Ok(()),
        Err(error) if error.is_permanent() => error,
        Err(error) => return Err(Undelivered::for_now(format!("the mail server: {error}"))),
    };
    let is_of_sender =
        refused.status().is_some_and(|code| OF_SENDER.contains(&code.to_string().as_str()));
    if envelope.to().len() == 1 || is_of_sender {
        return Err(Undelivered::for_good(format!("the mail server refuses it: {refused}")));
    }
    let until = Instant::now() + ALONE;
    let (mut without, mut may_pass) = (Vec::new(), false);
    for address in envelope.to() {
        let alone = Envelope::new(envelope.from().cloned(), vec![address.clone()]);
        let alone = alone.map_err(|error| Undelivered::for_good(error.to_string()))?;
        match timeout_at(until, transport.send_raw(&alone, &text)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                may_pass |= !error.is_permanent();
                without.push(format!("{address}: {error}"));
            }
            Err(_) => without.push(format!("{address}: it took too long")),
        }
    }
    let (count, all) = (without.len(), envelope.to().len());
    if count == 0 {
        return Ok(());
    }
    let said = format!("{count} of {all} did not get it: {}", without.join("; "));
    // With another try those who have it would get it twice.
    let again = may_pass && count == all;
    Err(if again { Undelivered::for_now(said) } else { Undelivered::for_good(said) })
}

fn message(from: &str, to: &[String], mail: Mail) -> Result<Message, Undelivered> {
    let mailbox = |text: &str| {
        let read = text.parse::<Mailbox>();
        read.map_err(|error| Undelivered::for_good(format!("'{text}' is no address: {error}")))
    };
    let from = mailbox(from)?;
    let id = format!("<{}@{}>", mail.key, from.email.domain());
    let mut builder = Message::builder().from(from).subject(mail.subject).message_id(Some(id));
    for address in to {
        builder = builder.to(mailbox(address)?);
    }
    let text = SinglePart::plain(mail.text);
    let failed = |error: &dyn std::fmt::Display| {
        Undelivered::for_good(format!("the message cannot be written: {error}"))
    };
    let message = match mail.file {
        None => builder.singlepart(text),
        Some(Attached { name, content_type, bytes }) => {
            let kind = ContentType::parse(content_type).map_err(|error| failed(&error))?;
            let file = Attachment::new(name).body(bytes, kind);
            builder.multipart(MultiPart::mixed().singlepart(text).singlepart(file))
        }
    };
    message.map_err(|error| failed(&error))
}

fn text(settings: &ReportSettings, delivery: &Delivery<'_>, is_attached: bool) -> String {
    let outcome = delivery.outcome;
    let mut text = format!(
        "{}\n\n{}, as of {}\n{} rows, {} bytes, made at {}\n",
        delivery.report.name,
        delivery.tenant.firm(),
        outcome.as_of,
        outcome.rows,
        outcome.bytes,
        instant(outcome.made_at),
    );
    if !is_attached {
        let link = settings.link(delivery.run_id);
        let until = instant(delivery.expires_at);
        text.push_str(&format!(
            "\nThe file is too large for a message. Until {until} those whose role may read it find \
             it at\n{link}\n"
        ));
    }
    text.push_str(&format!("\nSHA-256 {}\nPosition {}\n", outcome.sha256, outcome.position));
    text
}
