//! How a server of the tests shows who it is, to clients that speak TLS.

use std::sync::Arc;

use anyhow::Result;
use rcgen::CertifiedKey;
use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;

/// A certificate that is its own authority.
#[derive(Debug, Clone)]
pub struct Identity {
    /// By which clients know it, in PEM.
    pub authority: String,
    /// For the listener.
    pub tls: Arc<ServerConfig>,
}

// === impl Identity ===

impl Identity {
    /// A new one, good for this name or address.
    pub fn of(name: &str) -> Result<Self> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()])?;
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())?;
        Ok(Self {
            authority: cert.pem(),
            tls: Arc::new(tls),
        })
    }
}
