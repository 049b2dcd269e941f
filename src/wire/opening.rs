//! How a connection begins: TLS, who it is, and what it is told first.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answers::{Outlet, Transaction};
use super::calls::Calls;
use super::failure::Failure;
use super::messages::{EARLY, Inlet, Message, ReadError, number, text};
use super::prepared::Held;
use super::session::{Listening, Session};
use super::settings::Settings;
use super::stay::Stay;
use super::text::words;
use super::{Client, TenantSeat, Wire};

/// For a client to say who it is.
const OPENING_TIME: Duration = Duration::from_secs(10);
/// The name of the one database.
const DATABASE: &str = "tidemark";

/// The codes with which a packet says what it is.
const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const VERSION: u32 = 3;

/// What comes first.
enum First {
    /// TLS is asked for.
    Tls,
    /// Another encryption is, which is not here.
    Gss,
    Cancel {
        id: i32,
        secret: i32,
    },
    Startup(Startup),
}

/// What a client says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Startup {
    /// Of the protocol 3.
    minor: u16,
    parameters: HashMap<String, String>,
}

fn first(mut packet: Bytes) -> Result<First, ReadError> {
    let code = number(&mut packet, Bytes::get_u32)?;
    Ok(match code {
        TLS => First::Tls,
        GSS => First::Gss,
        CANCEL => First::Cancel {
            id: number(&mut packet, Bytes::get_i32)?,
            secret: number(&mut packet, Bytes::get_i32)?,
        },
        _ if code >> 16 == VERSION => {
            let mut startup = Startup { minor: code as u16, parameters: HashMap::new() };
            loop {
                let name = text(&mut packet)?;
                if name.is_empty() {
                    return Ok(First::Startup(startup));
                }
                let value = text(&mut packet)?;
                startup.parameters.insert(name, value);
            }
        }
        _ => return Err(ReadError::Malformed("its version is not 3")),
    })
}

impl Wire {
    /// Serves a connection from its first byte to its last.
    pub(super) async fn open(&self, stream: TcpStream, client: &Client) -> io::Result<()> {
        let mut inlet = Inlet::new(stream);
        // TLS and GSS may each be asked for before.
        for _ in 0..3 {
            let packet = timeout(OPENING_TIME, inlet.packet()).await?.map_err(other)?;
            match first(packet).map_err(other)? {
                First::Tls => match &self.tls {
                    Some(tls) => {
                        inlet.stream().write_all(b"S").await?;
                        // What came unasked before TLS came from whoever is between.
                        let stream = inlet.into_stream().ok_or_else(|| other("unasked bytes"))?;
                        let stream = tls.secure_postgres(stream).await?;
                        return self.open_secured(Inlet::new(stream), client).await;
                    }
                    None => inlet.stream().write_all(b"N").await?,
                },
                First::Gss => inlet.stream().write_all(b"N").await?,
                First::Cancel { id, secret } => {
                    self.keys.cancel(id, secret);
                    return Ok(());
                }
                First::Startup(startup) => return self.enter(inlet, startup, client, false).await,
            }
        }
        Err(other("a client asks and asks how to speak"))
    }

    async fn open_secured<S>(&self, mut inlet: Inlet<S>, client: &Client) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let packet = timeout(OPENING_TIME, inlet.packet()).await?.map_err(other)?;
        match first(packet).map_err(other)? {
            First::Cancel { id, secret } => {
                self.keys.cancel(id, secret);
                Ok(())
            }
            First::Startup(startup) => self.enter(inlet, startup, client, true).await,
            First::Tls | First::Gss => Err(other("TLS is spoken already")),
        }
    }

    /// Lets a client in, and serves it, or tells it why not.
    async fn enter<S>(
        &self,
        inlet: Inlet<S>,
        startup: Startup,
        client: &Client,
        is_secure: bool,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (inlet, stream) = inlet.split();
        let mut entering = Entering { inlet, outlet: Outlet::new(stream), startup };
        let is_near = client.peer.ip().to_canonical().is_loopback();
        let admitted =
            if is_secure || is_near { entering.token().await.map(Some) } else { Ok(None) };
        let admitted = match admitted {
            Err(ReadError::Gone(error)) => return Err(error),
            Err(error) => Err(Failure::fatal("08P01", error.to_string())),
            Ok(None) => Err(self.insecure()),
            Ok(Some(token)) => self.admit(token, &entering.startup, client).await,
        };
        match admitted {
            Ok(admitted) => self.begin(entering, admitted).run().await,
            Err(failure) => {
                entering.outlet.failed(&Failure { is_fatal: true, ..failure });
                entering.outlet.close().await
            }
        }
    }

    fn insecure(&self) -> Failure {
        let way_out = match &self.tls {
            Some(_) => "connect with TLS (sslmode=require)",
            None => {
                "the service needs a certificate (tls.certificate), or connect from its machine"
            }
        };
        Failure::fatal("28000", format!("a token is not taken without TLS: {way_out}"))
    }

    /// Checks a token, and that there is room for one more connection of its tenant.
    async fn admit(
        &self,
        token: String,
        startup: &Startup,
        client: &Client,
    ) -> Result<Admitted, Failure> {
        let wrong = || Failure::fatal("28P01", "the password must be a token");
        let (router, stranger) = (self.router.clone(), client.stranger.clone());
        let calls = Calls::new(router, &token, client.peer, stranger).ok_or_else(wrong)?;
        // First: what is withdrawn from here on may be what the token holds by.
        let withdrawals = self.app.verifier().withdrawals();
        let ended = self.app.revocations().learned();
        // The role, the tenant and the limits are those of any query.
        calls.describe("SELECT 1").await?;
        let identity = self.app.identify(&token).await;
        let identity = identity.map_err(|problem| Failure::fatal("28P01", problem.detail))?;
        let tenant = identity.tenant.as_ref().ok_or_else(wrong)?;
        let seat = self.tenants.enter(tenant).ok_or_else(|| {
            let most = self.limits.tenant_connections;
            Failure::fatal("53300", format!("a tenant has at most {most} connections at once"))
        })?;
        let settings = startup.settings()?;
        let stay = Stay::new(self.app.clone(), token, identity.expires_at, withdrawals, ended);
        Ok(Admitted { calls, stay, settings, seat })
    }

    /// Tells a client that it was let in, and how things are here.
    fn begin<R, W>(&self, entering: Entering<R, W>, admitted: Admitted) -> Seated<R, W>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let Entering { inlet, mut outlet, startup } = entering;
        let Admitted { calls, stay, settings, seat } = admitted;
        let unknown = startup.unknown();
        if startup.minor > 0 || !unknown.is_empty() {
            outlet.only_3_0(&unknown);
        }
        outlet.let_in();
        for (name, value) in settings.told() {
            outlet.setting(name, value);
        }
        let key = self.keys.make();
        outlet.cancel_key(key.id, key.secret);
        let listening = Listening {
            inlet,
            key,
            stay,
            closing: self.closing.clone(),
            idle: Duration::from_secs(self.limits.idle_s),
            message_bytes: self.limits.message_bytes,
        };
        let held = Held::new(self.limits.statements);
        let transaction = Transaction::None;
        let session = Session { listening, outlet, calls, settings, held, transaction };
        Seated { session, _seat: seat }
    }
}

/// A client that was let in.
struct Admitted {
    calls: Calls,
    stay: Stay,
    settings: Settings,
    seat: TenantSeat,
}

/// A session, and the seat that it has.
struct Seated<R, W> {
    session: Session<R, W>,
    _seat: TenantSeat,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Seated<R, W> {
    async fn run(self) -> io::Result<()> {
        let Self { session, _seat } = self;
        session.run().await
    }
}

/// A connection by which nobody was let in yet.
struct Entering<R, W> {
    inlet: Inlet<R>,
    outlet: Outlet<W>,
    startup: Startup,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Entering<R, W> {
    /// Asks for the token.
    async fn token(&mut self) -> Result<String, ReadError> {
        self.outlet.ask_password();
        self.outlet.flush().await?;
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        match timeout(OPENING_TIME, self.inlet.next(EARLY)).await.map_err(late)?? {
            Message::Password(token) => Ok(token),
            _ => Err(ReadError::Malformed("a password was asked for")),
        }
    }
}

impl Startup {
    /// What the client wants to be set, if it asks for the database that there is.
    fn settings(&self) -> Result<Settings, Failure> {
        let said = |name: &str| self.parameters.get(name).map(String::as_str);
        if said("replication").is_some_and(|value| !matches!(value, "false" | "off" | "no" | "0")) {
            return Err(Failure::fatal("0A000", "there is no replication by this protocol"));
        }
        let database = said("database").or(said("user")).unwrap_or_default();
        if database != DATABASE {
            // What it asks for may be the name of a tenant; nothing is said of whether it is.
            let message = format!("the name of the database is {DATABASE}; the token says whose");
            return Err(Failure::fatal("3D000", message));
        }
        let mut settings = Settings::default();
        for (name, value) in &self.parameters {
            let is_own = matches!(name.as_str(), "user" | "database" | "options" | "replication");
            if !is_own && !name.starts_with("_pq_.") {
                settings.set(name, Some(value))?;
            }
        }
        for (name, value) in options(said("options").unwrap_or_default()) {
            settings.set(&name, Some(&value))?;
        }
        Ok(settings)
    }

    /// Parameters of the protocol that are not known.
    fn unknown(&self) -> Vec<&str> {
        self.parameters
            .keys()
            .map(String::as_str)
            .filter(|name| name.starts_with("_pq_."))
            .collect()
    }
}

/// The settings in `-c name=value --name=value`.
fn options(text: &str) -> Vec<(String, String)> {
    let options = text.replace("-c ", "-c").replace("\\ ", " ");
    let found = options.split_whitespace().filter_map(|option| {
        let setting = option.strip_prefix("-c").or(option.strip_prefix("--"))?;
        let (name, value) = setting.split_once('=')?;
        words(name).next().map(|_| (name.replace('-', "_"), value.to_owned()))
    });
    found.collect()
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use bytes::BufMut;

    use super::*;

    fn packet(code: u32, rest: &[u8]) -> Bytes {
        let mut packet = Vec::new();
        packet.put_u32(code);
        packet.extend_from_slice(rest);
        packet.into()
    }

    fn startup(parameters: &[(&str, &str)]) -> Startup {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Startup { minor: 0, parameters: parameters.iter().map(own).collect() }
    }

    #[test]
    fn the_first_packet_says_what_it_is() {
        assert!(matches!(first(packet(TLS, b"")), Ok(First::Tls)));
        assert!(matches!(first(packet(GSS, b"")), Ok(First::Gss)));
        let cancel = first(packet(CANCEL, &[0, 0, 0, 1, 0, 0, 0, 2]));
        assert!(matches!(cancel, Ok(First::Cancel { id: 1, secret: 2 })));
        let said = first(packet(3 << 16, b"user\0a\0database\0tidemark\0\0")).unwrap();
        let First::Startup(said) = said else { panic!("no startup") };
        assert_eq!(said, startup(&[("user", "a"), ("database", "tidemark")]));
        for bad in [
            packet(2 << 16, b"\0"),
            packet(3 << 16, b"user\0a"),
            packet(CANCEL, b"\0\0\0"),
            Bytes::new(),
        ] {
            assert!(first(bad).is_err());
        }
    }

    #[test]
    fn there_is_one_database_and_no_name_of_another_tells_anything() {
        let refused = |name| startup(&[("user", "a"), ("database", name)]).settings().unwrap_err();
        assert_eq!(refused("postgres"), refused("some-tenant"));
        assert_eq!(refused("x").code, "3D000");
        let settings = startup(&[
            ("user", "tidemark"),
            ("application_name", "psql"),
            ("options", "-c statement_timeout=5s --app.x=1"),
        ]);
        let settings = settings.settings().unwrap();
        assert_eq!(settings.get("application_name"), Some(("application_name", "psql")));
        assert_eq!(settings.get("app.x"), Some(("app.x", "1")));
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(5)));
        let latin = startup(&[("user", "tidemark"), ("client_encoding", "LATIN1")]);
        assert_eq!(latin.settings().unwrap_err().code, "22023");
    }
}
