//! `proxy.app_health`: what the application is asked on the kubelet's behalf.

use super::port;
use crate::mesh::place::Fields;
use crate::mesh::place::Place;
use crate::mesh::settings::AppProbe;
use crate::mesh::settings::HttpQuestion;
use crate::mesh::settings::Question;
use http::HeaderName;
use http::HeaderValue;
use http::header;
use http::uri::PathAndQuery;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Three of each container, and no pod has so many.
const MOST_PROBES: usize = 256;
/// More than any probe has.
const MOST_HEADERS: usize = 64;
/// What stands before `CONTAINER/KIND`.
const PREFIX: &str = "/app-health/";
const KINDS: [&str; 3] = ["liveness", "readiness", "startup"];
/// The words of `scheme:`, and whether they mean TLS.
const SCHEMES: [(&str, bool); 2] = [("http", false), ("https", true)];
const TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(5);
/// What the proxy decides about a request of its own.
const OURS: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
];

/// The list. `own` is where the proxy itself listens.
pub(super) fn probes(list: &Place<'_>, own: &[&[SocketAddr]]) -> Vec<AppProbe> {
    let mut probes: Vec<AppProbe> = Vec::new();
    for (number, place) in list.items().enumerate() {
        if number == MOST_PROBES {
            place.refuse(format!("is more than {MOST_PROBES} probes"));
            break;
        }
        let Some(probe) = probe(&place) else { continue };
        if probes.iter().any(|other| other.path == probe.path) {
            place.refuse(format!("{} is there already", probe.path));
        } else if own
            .iter()
            .copied()
            .flatten()
            .any(|own| own.port() == probe.question.port().get())
        {
            // It would ask itself, and that itself.
            place.refuse(format!("the proxy itself has port {}", probe.question.port()));
        } else {
            probes.push(probe);
        }
    }
    probes
}

fn probe(place: &Place<'_>) -> Option<AppProbe> {
    let fields = place.fields(&["path", "http", "tcp", "grpc", "timeout"]);
    let path = fields.required("path").and_then(|place| path(&place));
    let timeout = fields
        .optional("timeout")
        .map_or(Some(TIMEOUT), |place| place.duration(&TIMEOUTS));
    let question = question(place, &fields);
    Some(AppProbe {
        path: path?,
        question: question?,
        timeout: timeout?,
    })
}

fn path(place: &Place<'_>) -> Option<String> {
    let text = place.text()?;
    let container_and_kind = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/'));
    let is_label = |word: &str| {
        (1..=63).contains(&word.len())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if container_and_kind.is_some_and(|(container, kind)| is_label(container) && KINDS.contains(&kind)) {
        return Some(text.to_owned());
    }
    place.refuse(format!(
        "{text:?} is not {PREFIX}CONTAINER/KIND, where KIND is one of {}",
        KINDS.join(", ")
    ));
    None
}

fn question(place: &Place<'_>, fields: &Fields<'_>) -> Option<Question> {
    let (http_place, tcp_place, grpc_place) =
        (fields.optional("http"), fields.optional("tcp"), fields.optional("grpc"));
    match (&http_place, &tcp_place, &grpc_place) {
        (Some(place), None, None) => http(place).map(Question::Http),
        (None, Some(place), None) => {
            let fields = place.fields(&["port"]);
            let port = fields.required("port").and_then(|place| port(&place))?;
            Some(Question::Tcp { port })
        }
        (None, None, Some(place)) => grpc(place),
        _ => {
            place.refuse("needs exactly one of http, tcp and grpc");
            None
        }
    }
}

fn grpc(place: &Place<'_>) -> Option<Question> {
    let fields = place.fields(&["port", "service"]);
    let service = fields.optional("service");
    let service = service.map_or(Some(String::new()), |place| place.text().map(str::to_owned));
    let port = fields.required("port").and_then(|place| port(&place));
    Some(Question::Grpc {
        port: port?,
        service: service?,
    })
}

fn http(place: &Place<'_>) -> Option<HttpQuestion> {
    let fields = place.fields(&["port", "path", "host", "headers", "scheme"]);
    let port = fields.required("port").and_then(|place| port(&place));
    let path = fields
        .optional("path")
        .map_or(Some(PathAndQuery::from_static("/")), |place| target(&place));
    let host = fields.optional("host").map(|place| value(&place));
    let headers = fields.optional("headers").map(|place| headers(&place));
    let tls = fields
        .optional("scheme")
        .map_or(Some(false), |place| place.word(&SCHEMES));
    Some(HttpQuestion {
        port: port?,
        path: path?,
        host: host.map_or(Some(None), |host| host.map(Some))?,
        headers: headers.unwrap_or_default(),
        tls: tls?,
    })
}

fn target(place: &Place<'_>) -> Option<PathAndQuery> {
    let text = place.text()?;
    let parsed = text.parse().ok().filter(|_| text.starts_with('/'));
    if parsed.is_none() {
        place.refuse(format!("{text:?} is not a path such as /healthz?full=1"));
    }
    parsed
}

fn headers(list: &Place<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (number, place) in list.items().enumerate() {
        if number == MOST_HEADERS {
            place.refuse(format!("is more than {MOST_HEADERS} fields"));
            break;
        }
        let fields = place.fields(&["name", "value"]);
        let name = fields.required("name").and_then(|place| name(&place));
        let value = fields.required("value").and_then(|place| value(&place));
        headers.extend(name.zip(value));
    }
    headers
}

fn name(place: &Place<'_>) -> Option<HeaderName> {
    let text = place.text()?;
    let Ok(name) = text.parse() else {
        place.refuse(format!("{text:?} is not the name of a field"));
        return None;
    };
    if OURS.contains(&name) {
        place.refuse(format!("{name} is not for a probe to say"));
        return None;
    }
    Some(name)
}

fn value(place: &Place<'_>) -> Option<HeaderValue> {
    let text = place.text()?;
    let value = text.parse().ok();
    if value.is_none() {
        place.refuse(format!("{text:?} cannot be the value of a field"));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Faults;
    use crate::mesh;

    fn probes_of(list: &str) -> Result<Vec<AppProbe>, Faults> {
        let text = format!("proxy: {{app_health: [{list}]}}\n");
        Ok(mesh::parse(&text)?.settings().app_health.clone())
    }

    #[test]
    fn every_kind_of_probe_is_read() {
        let probes = probes_of(
            "{path: /app-health/web/liveness, http: {port: 8080}}, {path: /app-health/web/readiness, timeout: 3s, http: \
             {port: 8443, path: '/ok?a=1', host: web.example, scheme: https, headers: [{name: X-A, value: '1'}]}}, {path: \
             /app-health/db/startup, tcp: {port: 5432}}, {path: /app-health/api/liveness, grpc: {port: 9090, service: a.B}}",
        )
        .unwrap();
        let http = |index: usize| match &probes[index].question {
            Question::Http(question) => question.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!((http(0).path.as_str(), http(0).tls, http(0).host), ("/", false, None));
        assert_eq!(probes[0].timeout, Duration::from_secs(1));
        assert_eq!((http(1).path.as_str(), http(1).tls), ("/ok?a=1", true));
        assert_eq!(
            (http(1).host.unwrap(), http(1).headers.len()),
            ("web.example".parse().unwrap(), 1)
        );
        assert_eq!(probes[1].timeout, Duration::from_secs(3));
        assert_eq!(probes[2].question.port().get(), 5432);
        assert!(matches!(&probes[3].question, Question::Grpc { service, .. } if service == "a.B"));
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for (wrong, reason) in [
            (
                "{path: /app-health/web/aliveness, tcp: {port: 1}}",
                "is not /app-health/CONTAINER/KIND",
            ),
            ("{path: /metrics, tcp: {port: 1}}", "is not /app-health/CONTAINER/KIND"),
            (
                "{path: /app-health/../liveness, tcp: {port: 1}}",
                "is not /app-health/CONTAINER/KIND",
            ),
            (
                "{path: /app-health/web/liveness}",
                "needs exactly one of http, tcp and grpc",
            ),
            (
                "{path: /app-health/web/liveness, tcp: {port: 1}, grpc: {port: 1}}",
                "needs exactly one of http, tcp and grpc",
            ),
            (
                "{path: /app-health/web/liveness, tcp: {port: 0}}",
                "expected a whole number from 1",
            ),
            (
                "{path: /app-health/web/liveness, tcp: {port: 15020}}",
                "the proxy itself has port 15020",
            ),
            (
                "{path: /app-health/web/liveness, http: {port: 1, path: ok}}",
                "is not a path such as",
            ),
            (
                "{path: /app-health/web/liveness, http: {port: 1, headers: [{name: Content-Length, value: '1'}]}}",
                "content-length is not for a probe to say",
            ),
            (
                "{path: /app-health/web/liveness, tcp: {port: 1}, timeout: 1h}",
                "must be from 1ms to 5m",
            ),
            (
                "{path: /app-health/web/liveness, tcp: {port: 1}}, {path: /app-health/web/liveness, tcp: {port: 2}}",
                "/app-health/web/liveness is there already",
            ),
        ] {
            let faults = probes_of(wrong).unwrap_err().to_string();
            assert!(faults.contains(reason), "{wrong}: {faults}");
        }
    }
}
