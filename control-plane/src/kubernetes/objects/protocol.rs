//! What is spoken at a service's port: our annotation, else `appProtocol`, else the port's name.

use evenkeel_control_api::mesh::model::Protocol;

/// `evenkeel.io/protocol: http2` for all ports of a Service, or `8080=http2,metrics=http,*=auto` by number or name,
/// of which the last that fits holds.
pub(super) const ANNOTATION: &str = "evenkeel.io/protocol";

/// A port of a Service, as far as it says what is spoken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    pub(super) name: &'a str,
    pub(super) number: u16,
    pub(super) app_protocol: Option<&'a str>,
}

/// What is spoken; a fault of the annotation costs the annotation.
pub(super) fn of(port: Said<'_>, annotation: Option<&str>, faults: &mut Vec<String>) -> Protocol {
    let declared = annotation.and_then(|text| match annotated(text, port) {
        Ok(protocol) => protocol,
        Err(fault) => {
            let fault = format!("metadata.annotations[{ANNOTATION}]: {fault}");
            if !faults.contains(&fault) {
                faults.push(fault);
            }
            None
        }
    });
    declared
        .or_else(|| port.app_protocol.map(of_app_protocol))
        .unwrap_or_else(|| of_name(port.name))
}

fn annotated(text: &str, port: Said<'_>) -> Result<Option<Protocol>, String> {
    let mut found = None;
    for part in text.split(',').map(str::trim) {
        let (whose, word) = part
            .split_once('=')
            .map_or((None, part), |(port, word)| (Some(port.trim()), word.trim()));
        let protocol = word_of(word)?;
        if whose.is_none_or(|whose| whose == "*" || whose == port.name || whose.parse() == Ok(port.number)) {
            found = Some(protocol);
        }
    }
    Ok(found)
}

fn word_of(word: &str) -> Result<Protocol, String> {
    let found = Protocol::WORDS.iter().find(|(known, _)| *known == word);
    found.map(|(_, protocol)| *protocol).ok_or_else(|| {
        let known = Protocol::WORDS.map(|(known, _)| known).join(", ");
        format!("`{word}` is none of {known}")
    })
}

/// The API allows any word: of one that we do not know nothing is known, which is no fault.
fn of_app_protocol(word: &str) -> Protocol {
    match word.to_ascii_lowercase().as_str() {
        "kubernetes.io/h2c" => Protocol::Http2,
        "kubernetes.io/ws" => Protocol::Http,
        "kubernetes.io/wss" => Protocol::Tls,
        word => known(word).unwrap_or(Protocol::Auto),
    }
}

/// The convention of other meshes: `PROTOCOL` or `PROTOCOL-ANYTHING`.
fn of_name(name: &str) -> Protocol {
    let first = name.split('-').next().unwrap_or_default();
    // Of all words that stand for HTTP, this one alone has the hyphen in it.
    let word = if name.starts_with("grpc-web") {
        "grpc-web"
    } else {
        first
    };
    known(&word.to_ascii_lowercase()).unwrap_or(Protocol::Auto)
}

fn known(word: &str) -> Option<Protocol> {
    Some(match word {
        "http" | "ws" | "grpc-web" => Protocol::Http,
        "http2" | "h2c" => Protocol::Http2,
        "grpc" => Protocol::Grpc,
        "https" | "tls" | "wss" => Protocol::Tls,
        "tcp" | "mongo" | "mysql" | "redis" | "postgresql" | "amqp" => Protocol::Tcp,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(name: &str, app_protocol: Option<&str>, annotation: Option<&str>) -> (Protocol, Vec<String>) {
        let mut faults = Vec::new();
        let said = Said {
            name,
            number: 8080,
            app_protocol,
        };
        (of(said, annotation, &mut faults), faults)
    }

    #[test]
    fn the_annotation_is_before_app_protocol_and_that_before_the_name() {
        for (name, app_protocol, annotation, expected) in [
            ("", None, None, Protocol::Auto),
            ("http", None, None, Protocol::Http),
            ("http-web", None, None, Protocol::Http),
            ("HTTP2-web", None, None, Protocol::Http2),
            ("grpc", None, None, Protocol::Grpc),
            ("grpc-web-x", None, None, Protocol::Http),
            ("https-x", None, None, Protocol::Tls),
            ("tls", None, None, Protocol::Tls),
            ("tcp-x", None, None, Protocol::Tcp),
            ("mysql", None, None, Protocol::Tcp),
            ("httpx", None, None, Protocol::Auto),
            ("web-http", None, None, Protocol::Auto),
            ("tcp", Some("http"), None, Protocol::Http),
            ("tcp", Some("kubernetes.io/h2c"), None, Protocol::Http2),
            ("tcp", Some("kubernetes.io/ws"), None, Protocol::Http),
            ("tcp", Some("kubernetes.io/wss"), None, Protocol::Tls),
            ("tcp", Some("HTTPS"), None, Protocol::Tls),
            ("tcp", Some("GRPC"), None, Protocol::Grpc),
            ("tcp", Some("example.com/ours"), None, Protocol::Auto),
            ("tcp", Some("http"), Some("grpc"), Protocol::Grpc),
            ("admin", Some("http"), Some("admin=tcp"), Protocol::Tcp),
            ("admin", Some("http"), Some("8080=tcp, 81=grpc"), Protocol::Tcp),
            ("admin", Some("http"), Some("81=grpc"), Protocol::Http),
            ("admin", Some("http"), Some("*=tcp,81=grpc"), Protocol::Tcp),
        ] {
            assert_eq!(
                spoken(name, app_protocol, annotation),
                (expected, vec![]),
                "{name} {app_protocol:?} {annotation:?}"
            );
        }
    }

    #[test]
    fn a_bad_annotation_costs_the_annotation() {
        let (protocol, faults) = spoken("grpc", None, Some("8080=htp"));
        assert_eq!(protocol, Protocol::Grpc);
        assert_eq!(
            faults,
            ["metadata.annotations[evenkeel.io/protocol]: `htp` is none of auto, http, http2, grpc, tls, tcp"]
        );
    }
}
