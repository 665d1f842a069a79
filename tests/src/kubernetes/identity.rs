//! How the server shows who it is, to clients that speak TLS.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Result;
use rcgen::CertifiedKey;
use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;

/// A certificate that is its own authority.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// In PEM.
    pub(super) authority: String,
    pub(super) tls: Arc<ServerConfig>,
}

// === impl Identity ===

impl Identity {
    /// A new one, good for this address.
    pub(super) fn of(address: IpAddr) -> Result<Self> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([address.to_string()])?;
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
