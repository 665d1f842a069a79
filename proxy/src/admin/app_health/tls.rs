//! TLS for a probe, as the kubelet has it: any certificate will do, for the question is whether the application is up.

use super::Down;
use hyper::header::HeaderValue;
use hyper::http::uri::Authority;
use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::Error;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The server is asked for `host` where that is a name, and for nothing in particular where it is not.
pub(super) async fn connect(
    stream: TcpStream,
    address: SocketAddr,
    host: Option<&HeaderValue>,
) -> Result<TlsStream<TcpStream>, Down> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(Down::broken)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(
            provider.signature_verification_algorithms.supported_schemes(),
        )))
        .with_no_client_auth();
    let named = host
        .and_then(|host| host.to_str().ok()?.parse::<Authority>().ok())
        .and_then(|host| ServerName::try_from(host.host().to_owned()).ok());
    let name = named.unwrap_or(ServerName::IpAddress(address.ip().into()));
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(Down::NoTls)
}

/// Believes everybody.
#[derive(Debug)]
struct Anybody(Vec<SignatureScheme>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
