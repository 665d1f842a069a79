//! Where the control planes are, and who we are: the bootstrap file of gRPC (gRFC A27, A65, A71, A97).

mod json;
mod read;
mod uri;

use crate::fault::Faults;
use crate::fault::Note;
use crate::resource::endpoint::Locality;
use serde_json::Map;
use serde_json::Value;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// The variable that names a bootstrap file.
pub const FILE_VARIABLE: &str = "GRPC_XDS_BOOTSTRAP";
/// The variable that holds a bootstrap document itself, where the other is not set.
pub const TEXT_VARIABLE: &str = "GRPC_XDS_BOOTSTRAP_CONFIG";

/// What a client has to know before it knows anything.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    /// `xds_servers`, the preferred one first; never empty.
    pub servers: Vec<Server>,
    /// `node`.
    pub node: Node,
}

/// A control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `server_uri`, as it was written.
    pub uri: String,
    /// What that means.
    pub address: Address,
    /// The first of `channel_creds` that we support.
    pub credentials: Credentials,
    /// `call_creds`: a file with the bearer token that every stream shows. Never in plaintext.
    pub token: Option<PathBuf>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host, by name or address, and a port; the name is resolved for every connection.
    Tcp {
        /// Without brackets.
        host: String,
        /// Not 0.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// How a server is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Not at all: plaintext.
    Insecure,
    /// TLS.
    Tls(Tls),
}

/// What is shown and believed over TLS. Files are in PEM, and read anew for every connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Who may say who a server is.
    pub authorities: Authorities,
    /// `certificate_file` and `private_key_file`; `None`: we do not say who we are.
    pub identity: Option<Identity>,
    /// `refresh_interval`: how old what was read may get. Every connection reads it anew, so that it is never older.
    pub refresh_interval: Option<Duration>,
}

/// Who may say who a server is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authorities {
    /// Those that the system trusts.
    #[default]
    System,
    /// `ca_certificate_file`.
    File(PathBuf),
    /// These, in PEM: `ca` of a mesh document.
    Text(String),
}

/// What we show to a server that asks who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A chain of certificates.
    pub certificates: PathBuf,
    /// The key of the first of them.
    pub private_key: PathBuf,
}

/// Who we are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Unique among clients of the control plane.
    pub id: String,
    /// The service that this proxy belongs to.
    pub cluster: String,
    /// Whatever the control plane wants to know.
    pub metadata: Map<String, Value>,
    /// Where we run.
    pub locality: Locality,
}

/// Why there is no bootstrap.
#[derive(Debug, Error)]
pub enum BootstrapError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The document is wrong; every fault has the path of its member.
    #[error("{origin}: {faults}")]
    Wrong {
        /// The file or variable.
        origin: String,
        /// What is wrong.
        faults: Faults,
    },
}

impl Server {
    /// A server that is not asked who it is. The error says what is wrong with the URI.
    pub fn insecure(uri: &str) -> Result<Self, String> {
        let address = uri::parse(uri)?;
        Ok(Self {
            uri: uri.to_owned(),
            address,
            credentials: Credentials::Insecure,
            token: None,
        })
    }

    /// A server that must be who it says it is, and that is shown the token in a file. The error says what is wrong.
    pub fn secure(uri: &str, authorities: Authorities, token: Option<PathBuf>) -> Result<Self, String> {
        let address = uri::parse(uri)?;
        if matches!(address, Address::Unix(_)) {
            return Err("is a unix socket, which has no host name to verify".to_owned());
        }
        let tls = Tls {
            authorities,
            ..Tls::default()
        };
        Ok(Self {
            uri: uri.to_owned(),
            address,
            credentials: Credentials::Tls(tls),
            token,
        })
    }
}

impl Bootstrap {
    /// Reads a document. Members that are not known are ignored, as gRPC wants it, and noted.
    pub fn parse(text: &str) -> Result<(Self, Vec<Note>), Faults> {
        read::bootstrap(text)
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<(Self, Vec<Note>), BootstrapError> {
        let text = std::fs::read_to_string(path).map_err(|source| BootstrapError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|faults| BootstrapError::Wrong {
            origin: path.display().to_string(),
            faults,
        })
    }

    /// Reads what the environment names: [`FILE_VARIABLE`], else [`TEXT_VARIABLE`]. `None`: neither is set.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Option<Result<(Self, Vec<Note>), BootstrapError>> {
        if let Some(path) = variable(FILE_VARIABLE) {
            return Some(Self::read(Path::new(&path)));
        }
        let text = variable(TEXT_VARIABLE)?;
        Some(Self::parse(&text).map_err(|faults| BootstrapError::Wrong {
            origin: TEXT_VARIABLE.to_owned(),
            faults,
        }))
    }
}

#[cfg(test)]
mod tests;
