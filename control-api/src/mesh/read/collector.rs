//! `collector`, `protocol` and `timeout` of a section whose telemetry goes to a collector of OTLP.

use crate::mesh::place::Fields;
use crate::mesh::place::Place;
use crate::mesh::settings::Collector;
use crate::mesh::settings::Otlp;
use http::Uri;
use std::time::Duration;

/// The keys that are read here.
pub(super) const KEYS: [&str; 3] = ["collector", "protocol", "timeout"];

/// The words of `protocol:`.
const PROTOCOLS: [(&str, Otlp); 2] = [("grpc", Otlp::Grpc), ("http", Otlp::Http)];
/// `timeout` where it is not said, as the exporters of OpenTelemetry have it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The collector that `section` must name.
pub(super) fn collector(section: &Fields<'_>) -> Option<Collector> {
    let protocol = section
        .optional("protocol")
        .map_or(Some(Otlp::Grpc), |place| place.word(&PROTOCOLS));
    let timeout = section.optional("timeout").map_or(Some(TIMEOUT), |place| {
        place.duration(&(Duration::from_millis(100)..=Duration::from_mins(1)))
    });
    let uri = section.required("collector").and_then(|place| uri(&place, protocol?));
    Some(Collector {
        uri: uri?,
        protocol: protocol?,
        timeout: timeout?,
    })
}

fn uri(place: &Place<'_>, protocol: Otlp) -> Option<Uri> {
    const EXAMPLE: &str = "must be a URI such as http://collector.monitoring:4317";
    let text = place.text()?;
    let Ok(uri) = text.parse::<Uri>() else {
        place.refuse(EXAMPLE);
        return None;
    };
    let reason = match (uri.scheme_str(), uri.authority()) {
        (Some("https"), _) => "TLS to a collector is not supported: the nearest one, on the node, can pass on with TLS",
        (Some("http"), Some(authority)) if authority.as_str().contains('@') => "credentials are not supported",
        (Some("http"), Some(authority)) if authority.host().is_empty() => EXAMPLE,
        (Some("http"), Some(_)) if uri.query().is_some() => "has a query, which OTLP does not",
        (Some("http"), Some(_)) if protocol == Otlp::Grpc && uri.path() != "/" => {
            "has a path, which gRPC chooses itself"
        }
        (Some("http"), Some(_)) => return Some(uri),
        _ => EXAMPLE,
    };
    place.refuse(reason);
    None
}
