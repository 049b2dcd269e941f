//! A message with the file, or with where to find it.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::super::settings::ReportSettings;
use super::{Delivery, Undelivered, instant};

/// How long the mail server may leave one command unanswered.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends one message to all of them.
pub(super) async fn send(
    settings: &ReportSettings,
    delivery: &Delivery<'_>,
    to: &[String],
    subject: &str,
    attached: Option<Vec<u8>>,
) -> Result<(), Undelivered> {
    let (Some(smtp), Some(from)) = (&settings.smtp, &settings.smtp_from) else { return Ok(()) };
    let message = message(settings, delivery, (from, to), subject, attached)?;
    let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(smtp.reveal());
    // The address may hold a password, and so may an error about it.
    let transport = transport.map_err(|_| Undelivered::for_good("smtp_url cannot be used"))?;
    let transport = transport.timeout(Some(PATIENCE)).build();
    match transport.send(message).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_permanent() => {
            Err(Undelivered::for_good(format!("the mail server refuses it: {error}")))
        }
        Err(error) => Err(Undelivered::for_now(format!("the mail server: {error}"))),
    }
}

fn message(
    settings: &ReportSettings,
    delivery: &Delivery<'_>,
    (from, to): (&str, &[String]),
    subject: &str,
    attached: Option<Vec<u8>>,
) -> Result<Message, Undelivered> {
    let mailbox = |text: &str| {
        let read = text.parse::<Mailbox>();
        read.map_err(|error| Undelivered::for_good(format!("'{text}' is no address: {error}")))
    };
    let from = mailbox(from)?;
    // The same with each try, by which a message that came twice is known.
    let id = format!("<{}.{}@{}>", delivery.run_id, delivery.place, from.email.domain());
    let mut builder = Message::builder().from(from).subject(subject).message_id(Some(id));
    for address in to {
        builder = builder.to(mailbox(address)?);
    }
    let text = SinglePart::plain(text(settings, delivery, attached.is_some()));
    let failed = |error: &dyn std::fmt::Display| {
        Undelivered::for_good(format!("the message cannot be written: {error}"))
    };
    let message = match attached {
        None => builder.singlepart(text),
        Some(bytes) => {
            let kind = ContentType::parse(delivery.outcome.format.content_type());
            let kind = kind.map_err(|error| failed(&error))?;
            let file = Attachment::new(delivery.outcome.name.clone()).body(bytes, kind);
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
        delivery.tenant.name,
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
