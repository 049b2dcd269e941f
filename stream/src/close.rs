//! Why the server ends a connection: one table of numbered codes.

/// Why the server ends a connection. A WebSocket gets the number as its close code; an event
/// stream just ends, after an `error` where there is something to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Close {
    /// The server is shutting down: connect again and resume.
    ShuttingDown = 4000,
    /// No token came in time, or something else came before it.
    Unauthenticated = 4001,
    /// The token was refused; the `error` before says why.
    TokenRefused = 4002,
    /// The token has ended: connect again with a new one and resume.
    TokenExpired = 4003,
    /// The client left a message unread for too long: connect again and resume.
    TooSlow = 4004,
    /// Too many connections, of the tenant or in all: try again later.
    TooManyConnections = 4005,
    /// A message that is no text, or longer than allowed.
    BadMessage = 4006,
    /// The tenant is no longer served here or deleted, the service that serves it went away, or who
    /// connects is to show anew who it is: connect again and resume.
    Moved = 4007,
    /// More messages than the caller or its tenant may send: connect again later and resume.
    TooManyMessages = 4008,
}

impl Close {
    /// Every reason there is.
    pub const ALL: [Self; 9] = [
        Self::ShuttingDown,
        Self::Unauthenticated,
        Self::TokenRefused,
        Self::TokenExpired,
        Self::TooSlow,
        Self::TooManyConnections,
        Self::BadMessage,
        Self::Moved,
        Self::TooManyMessages,
    ];

    /// The close code of a WebSocket.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The reason beside the code.
    pub fn reason(self) -> &'static str {
        match self {
            Self::ShuttingDown => "shutting down: connect again and resume",
            Self::Unauthenticated => "no token: send auth first",
            Self::TokenRefused => "token refused",
            Self::TokenExpired => "token expired: connect again with a new one and resume",
            Self::TooSlow => "too slow: connect again and resume",
            Self::TooManyConnections => "too many connections: try again later",
            Self::BadMessage => "bad message: send JSON text within the limit",
            Self::Moved => "not served on this connection any more: connect again and resume",
            Self::TooManyMessages => "too many messages: connect again later and resume",
        }
    }
}
