#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::sync::Mutex;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::webhook::{is_public, signature};
use super::*;

#[test]
fn only_public_addresses_are_called() {
    for address in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2001:db8::1",
        "2002:7f00:1::",
    ] {
        assert!(!is_public(address.parse::<IpAddr>().unwrap()), "{address}");
    }
    for address in
        ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
    {
        assert!(is_public(address.parse::<IpAddr>().unwrap()), "{address}");
    }
}

#[test]
fn a_signature_is_that_of_the_standard() {
    // By `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'a secret of sixteen'`.
    let signed = signature("a secret of sixteen", 1_700_000_000, "{\"a\":1}").unwrap();
    assert_eq!(
        signed,
        "t=1700000000,v1=fbd8ce753f0c0643c2d4fef4959c30b175367059e6f5453bddeb7b24a3d1ae24"
    );
}

#[test]
fn a_secret_is_never_shown() {
    let target = Target::Webhook {
        url: "https://example.com/hook".into(),
        secret: Some("a secret of sixteen".into()),
    };
    let words = format!("{target:?} {}", target.shown());
    assert!(words.contains("example.com") && !words.contains("sixteen"), "{words}");
    let mut again = Target::Webhook { url: "https://example.com/hook".into(), secret: None };
    again.keep_secret(std::slice::from_ref(&target));
    assert_eq!(again, target);
    let mut other = Target::Webhook { url: "https://example.org/hook".into(), secret: None };
    other.keep_secret(&[target]);
    assert!(matches!(other, Target::Webhook { secret: None, .. }));
}

/// Whom messages were taken for, one by one.
type Taken = Arc<Mutex<Vec<Vec<String>>>>;

/// A mail server that has no mailbox of that address.
async fn mail_server_without(address: &'static str) -> (SmtpUrl, Taken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = SmtpUrl::new(&format!("smtp://{}", listener.local_addr().unwrap())).unwrap();
    let taken = Taken::default();
    let of_all = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, address, Arc::clone(&of_all)));
        }
    });
    (url, taken)
}

async fn converse(stream: TcpStream, without: &'static str, taken: Taken) {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail.example\r\n").await.unwrap();
    let (mut to, mut is_text) = (Vec::new(), false);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
        let said = std::mem::take(&mut line);
        let said = said.trim_end();
        let answer = match said.split_once("RCPT TO:<") {
            _ if is_text && said == "." => {
                is_text = false;
                taken.lock().unwrap().push(std::mem::take(&mut to));
                "250 taken"
            }
            _ if is_text => continue,
            Some((_, rest)) if rest.starts_with(without) => "550 no such mailbox",
            Some((_, rest)) if rest.starts_with("busy") => "451 come again later",
            Some((_, rest)) => {
                to.push(rest.trim_end_matches('>').to_owned());
                "250 ok"
            }
            None if said == "DATA" => {
                is_text = true;
                "354 go on"
            }
            None if said == "QUIT" => "221 bye",
            None => "250 ok",
        };
        if stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn an_address_that_is_refused_keeps_a_message_from_no_other() {
    let (smtp, taken) = mail_server_without("gone@acme.example").await;
    let sent = async |names: &[&str]| {
        let to: Vec<String> = names.iter().map(|name| format!("{name}@acme.example")).collect();
        let [key, subject, text] = ["1.0", "Debts", "See below"].map(str::to_owned);
        let mail = email::Mail { key, subject, text, file: None };
        let sent = email::send((&smtp, "tidemark@acme.example"), &to, mail).await;
        (sent, std::mem::take(&mut *taken.lock().unwrap()))
    };
    let (sent_to_both, taken_for) = sent(&["cfo", "ceo"]).await;
    assert!(sent_to_both.is_ok());
    assert_eq!(taken_for, [["cfo@acme.example", "ceo@acme.example"]]);
    let (sent_to_three, taken_for) = sent(&["cfo", "gone", "ceo"]).await;
    let failure = sent_to_three.unwrap_err();
    assert!(failure.message.contains("1 of 3 did not get it: gone@acme.example"));
    assert!(!failure.may_pass, "those who have it would get it twice");
    assert_eq!(taken_for, [["cfo@acme.example"], ["ceo@acme.example"]]);
    // Who got nothing at all may be tried again.
    let (sent_to_none, taken_for) = sent(&["gone", "busy"]).await;
    assert!(sent_to_none.unwrap_err().may_pass);
    assert!(taken_for.is_empty());
    let (sent_to_nobody, taken_for) = sent(&["gone"]).await;
    assert!(sent_to_nobody.unwrap_err().message.contains("the mail server refuses it"));
    assert!(taken_for.is_empty());
}
