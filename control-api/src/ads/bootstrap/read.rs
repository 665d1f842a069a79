//! From JSON to a bootstrap: every fault at once, each with the path of its member.

use super::Address;
use super::Authorities;
use super::Bootstrap;
use super::Credentials;
use super::Identity;
use super::Node;
use super::Server;
use super::Tls;
use super::json::Object;
use super::uri;
use crate::fault::Fault;
use crate::fault::Faults;
use crate::fault::Note;
use crate::fault::Position;
use crate::report::Report;
use crate::resource::endpoint::Locality;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

pub(super) fn bootstrap(text: &str) -> Result<(Bootstrap, Vec<Note>), Faults> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        Faults(vec![Fault {
            position: Some(Position {
                line: error.line(),
                column: error.column(),
            }),
            path: String::new(),
            reason: format!("is not JSON: {error}"),
        }])
    })?;
    let mut report = Report::default();
    let bootstrap = Object::of(value, &mut report).map(|document| document_of(document, &mut report));
    let notes = report.finish()?;
    // Without faults the document is an object.
    bootstrap
        .map(|bootstrap| (bootstrap, notes))
        .ok_or_else(Faults::default)
}

fn document_of(mut document: Object, report: &mut Report) -> Bootstrap {
    let servers = document.list("xds_servers", report).unwrap_or_default();
    let servers = report.each("xds_servers", servers, server_of);
    if servers.is_empty() && !report.has_faults() {
        report.refuse_field("xds_servers", "is empty, and must name a server");
    }
    let node = document.object("node", report).map(|node| node_of(node, report));
    let node = node.unwrap_or_default();
    if node.id.is_empty() {
        report.refuse_field("node.id", "is empty, and control planes ask for one");
    }
    document.finish(report);
    Bootstrap { servers, node }
}

fn server_of(value: Value, report: &mut Report) -> Option<Server> {
    let mut server = Object::of(value, report)?;
    let uri = server.text("server_uri", report);
    let address = match uri.as_deref().map(uri::parse) {
        None => {
            report.refuse_field("server_uri", "is missing");
            None
        }
        Some(Err(reason)) => {
            report.refuse_field("server_uri", reason);
            None
        }
        Some(Ok(address)) => Some(address),
    };
    let credentials = credentials_of(server.list("channel_creds", report), report);
    let token = token_of(server.list("call_creds", report), report);
    if token.is_some() && credentials == Some(Credentials::Insecure) {
        report.refuse_field("call_creds", "holds a token, which is sent over TLS only");
    }
    for feature in server.list("server_features", report).unwrap_or_default() {
        if let Some(instead) = without_effect(&feature) {
            report.note_field("server_features", &format!("{feature} has no effect{instead}"));
        }
    }
    if let (Some(Address::Unix(_)), Some(Credentials::Tls(_))) = (&address, &credentials) {
        report.refuse_field(
            "channel_creds",
            "cannot be tls: a unix socket has no host name to verify",
        );
    }
    server.finish(report);
    Some(Server {
        uri: uri?,
        address: address?,
        credentials: credentials?,
        token,
    })
}

/// What happens in place of what a server feature asks for; `None`: it is done anyway. gRPC ignores those it does not know.
fn without_effect(feature: &Value) -> Option<&'static str> {
    match feature.as_str() {
        Some("xds_v3") => None,
        // gRFC A53.
        Some("ignore_resource_deletion") => Some(": a listener or cluster that is removed goes"),
        // gRFC A88.
        Some("fail_on_data_errors") => Some(": the last good version of a resource that is refused stays"),
        Some(_) | None => Some(""),
    }
}

/// A file with a token (gRFC A97). Credentials of other types are for other clients.
fn token_of(list: Option<Vec<Value>>, report: &mut Report) -> Option<PathBuf> {
    let mut token = None;
    report.check_each("call_creds", list.unwrap_or_default(), |value, report| {
        let Some(mut credentials) = Object::of(value, report) else {
            return;
        };
        let kind = credentials.text("type", report);
        let config = credentials.object("config", report);
        match kind.as_deref() {
            None => report.refuse_field("type", "is missing"),
            Some("jwt_token_file") if token.is_some() => report.refuse_field("type", "is a second token"),
            Some("jwt_token_file") => {
                let path = config.and_then(|mut config| {
                    report.within("config", |report| {
                        let path = path_of(&mut config, "jwt_token_file", report);
                        config.finish(report);
                        path
                    })
                });
                if path.is_none() {
                    report.refuse_field("config.jwt_token_file", "is missing");
                }
                token = path;
            }
            Some(other) => report.note_field("type", &format!("{other:?} is not supported")),
        }
        credentials.finish(report);
    });
    token
}

/// The first that is supported (gRFC A27): those before it are for other clients.
fn credentials_of(list: Option<Vec<Value>>, report: &mut Report) -> Option<Credentials> {
    let mut chosen = None;
    let list = list.unwrap_or_default();
    let offered = list.len();
    report.check_each("channel_creds", list, |value, report| {
        let Some(mut credentials) = Object::of(value, report) else {
            return;
        };
        let kind = credentials.text("type", report);
        let config = credentials.object("config", report);
        match kind.as_deref() {
            None => report.refuse_field("type", "is missing"),
            Some(_) if chosen.is_some() => {}
            Some("insecure") => chosen = Some(Credentials::Insecure),
            Some("tls") => {
                let files = config.map(|config| report.within("config", |report| tls_of(config, report)));
                chosen = Some(Credentials::Tls(files.unwrap_or_default()));
            }
            Some(other) => report.note_field("type", &format!("{other:?} is not supported")),
        }
        credentials.finish(report);
    });
    if chosen.is_none() {
        let reason = if offered == 0 {
            "is empty, and may hold insecure or tls"
        } else {
            "holds nothing that is supported, which is insecure and tls"
        };
        report.refuse_field("channel_creds", reason);
    }
    chosen
}

fn tls_of(mut config: Object, report: &mut Report) -> Tls {
    let authorities = path_of(&mut config, "ca_certificate_file", report);
    let certificates = path_of(&mut config, "certificate_file", report);
    let private_key = path_of(&mut config, "private_key_file", report);
    let identity = match (certificates, private_key) {
        (Some(certificates), Some(private_key)) => Some(Identity {
            certificates,
            private_key,
        }),
        (None, None) => None,
        (Some(_), None) => {
            report.refuse_field("private_key_file", "is missing beside certificate_file");
            None
        }
        (None, Some(_)) => {
            report.refuse_field("certificate_file", "is missing beside private_key_file");
            None
        }
    };
    let refresh_interval = config.text("refresh_interval", report).and_then(|text| {
        let interval = duration_of(&text);
        if interval.is_none() {
            report.refuse_field(
                "refresh_interval",
                format!("is {text:?}, and must be seconds such as 600s"),
            );
        }
        interval
    });
    config.finish(report);
    Tls {
        authorities: authorities.map_or(Authorities::System, Authorities::File),
        identity,
        refresh_interval,
    }
}

fn path_of(config: &mut Object, member: &str, report: &mut Report) -> Option<PathBuf> {
    let path = config.text(member, report)?;
    if path.is_empty() {
        report.refuse_field(member, "is empty");
    }
    Some(PathBuf::from(path))
}

/// The JSON form of `google.protobuf.Duration`.
fn duration_of(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|interval| !interval.is_zero())
}

fn node_of(mut node: Object, report: &mut Report) -> Node {
    report.within("node", |report| {
        let id = node.text("id", report).unwrap_or_default();
        let cluster = node.text("cluster", report).unwrap_or_default();
        let metadata = node.object("metadata", report).map(Object::into_members);
        let locality = node.object("locality", report).map(|mut locality| {
            report.within("locality", |report| {
                let mut part = |name| locality.text(name, report).unwrap_or_default();
                let parts = Locality {
                    region: part("region"),
                    zone: part("zone"),
                    sub_zone: part("sub_zone"),
                };
                locality.finish(report);
                parts
            })
        });
        node.finish(report);
        Node {
            id,
            cluster,
            metadata: metadata.unwrap_or_default(),
            locality: locality.unwrap_or_default(),
        }
    })
}
