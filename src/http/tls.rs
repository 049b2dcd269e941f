//! TLS of the listeners, and of what this node says to others.
//!
//! **In:** a certificate and its key as PEM. **Out:** connections with TLS 1.2 or 1.3 and HTTP/1.1.
//!
//! Invariants:
//! - Certificate and key belong together, or are not taken.
//! - Another certificate holds for every connection from then on; those that are open go on.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use axum::middleware::Next;
use axum::response::Response;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::config;
use crate::forward::Speech;

/// For a client to agree on how to speak.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// For how long a browser then comes by TLS alone.
const STRICT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Certificate and key cannot be used. No message quotes them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The certificate cannot be read.
    #[error("tls.certificate: {0}; give PEM, the service's own certificate first")]
    Certificate(String),
    /// The key cannot be read.
    #[error("tls.key: {0}; give the private key of the certificate as PEM, without a password")]
    Key(String),
    /// They do not fit each other, or rustls cannot use them.
    #[error("tls.certificate and tls.key cannot be used together: {0}")]
    Pair(#[from] rustls::Error),
}

/// What connections are made secure with. Cheap to share behind an `Arc`.
pub(crate) struct Tls {
    config: RwLock<Arc<ServerConfig>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)")
    }
}

impl Tls {
    /// With what is configured; none if nothing is.
    pub(crate) fn new(configured: &config::Tls) -> Result<Option<Arc<Self>>, TlsError> {
        let config = server(configured)?;
        Ok(config.map(|config| Arc::new(Self { config: RwLock::new(config) })))
    }

    /// Puts another certificate in the place of the one in use. What has none leaves it as it is.
    pub(crate) fn replace(&self, configured: &config::Tls) -> Result<(), TlsError> {
        if let Some(config) = server(configured)? {
            *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        }
        Ok(())
    }

    /// The connection, once both sides have agreed.
    pub(super) async fn secure(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        agree(self.config(), stream).await
    }

    /// The same for a client of PostgreSQL's protocol, which by TLS has a name of its own.
    pub(crate) async fn secure_postgres(
        &self,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut config = ServerConfig::clone(&self.config());
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        agree(Arc::new(config), stream).await
    }

    fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn agree(config: Arc<ServerConfig>, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    timeout(HANDSHAKE_TIME, TlsAcceptor::from(config).accept(stream)).await?
}

/// Tells browsers to come by TLS alone.
pub(crate) async fn strict(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, STRICT);
    response
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.map_err(|error| TlsError::Certificate(error.to_string()))
}

fn server(configured: &config::Tls) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    let (Some(certificate), Some(key)) = (&configured.certificate, &configured.key) else {
        return Ok(None);
    };
    let certificates = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
    let key = key.map_err(|error| TlsError::Key(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// How this node speaks to others, which have TLS if it has: they are whom they show a certificate
/// of that the system's roots vouch for, or those that this node's own certificate came with.
pub(crate) fn speech(configured: &config::Tls) -> Result<Speech, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(certificate) = &configured.certificate {
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::warn!(%error, "a root certificate of the system cannot be read");
        }
        let (_, passed_over) = roots.add_parsable_certificates(system.certs);
        tracing::debug!(passed_over, roots = roots.len(), "root certificates of the system");
        for own in certificates(certificate)? {
            roots.add(own)?;
        }
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Speech { config, is_secure: configured.certificate.is_some() })
}
