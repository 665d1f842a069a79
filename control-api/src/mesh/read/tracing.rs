//! `tracing:`, which belongs to the process that reads it.

use super::collector;
use crate::mesh::place::Place;
use crate::mesh::settings::AttributeSource;
use crate::mesh::settings::Propagation;
use crate::mesh::settings::Share;
use crate::mesh::settings::SpanAttribute;
use crate::mesh::settings::Tracing;
use http::HeaderName;

/// More attributes than anybody looks at.
const MOST_ATTRIBUTES: usize = 32;
/// Of a name of an attribute, a service, a variable or a member of baggage.
const LONGEST_NAME: usize = 128;
/// `sample` where it is not said: 1 %.
const SAMPLE: u32 = 10_000;

/// The words of `propagation:`.
const PROPAGATIONS: [(&str, Propagation); 3] = [
    ("w3c", Propagation::W3c),
    ("b3", Propagation::B3),
    ("b3_multi", Propagation::B3Multi),
];

/// Which requests have spans, and where these go.
pub(super) fn tracing(place: &Place<'_>) -> Option<Tracing> {
    let own = ["sample", "propagation", "service", "attributes"];
    let keys: Vec<_> = collector::KEYS.into_iter().chain(own).collect();
    let fields = place.fields(&keys);
    let collector = collector::collector(&fields);
    let sample = fields.optional("sample").and_then(|place| place.share());
    let propagation = fields.optional("propagation").map(|place| propagation(&place));
    let service = fields.optional("service").and_then(|place| name(&place));
    let attributes = fields.optional("attributes").map(|place| attributes(&place));
    Some(Tracing {
        collector: collector?,
        sample: sample.or(Share::of_millionths(SAMPLE))?,
        propagation: propagation.unwrap_or_else(|| vec![Propagation::W3c]),
        service,
        attributes: attributes.unwrap_or_default(),
    })
}

/// One word or a list of them.
fn propagation(place: &Place<'_>) -> Vec<Propagation> {
    if !place.is_list() {
        return place.word(&PROPAGATIONS).into_iter().collect();
    }
    let mut chosen = Vec::new();
    for place in place.items() {
        match place.word(&PROPAGATIONS) {
            Some(propagation) if chosen.contains(&propagation) => place.refuse("is there twice"),
            propagation => chosen.extend(propagation),
        }
    }
    if chosen.is_empty() {
        place.refuse("needs at least one of w3c, b3, b3_multi");
    }
    chosen
}

fn attributes(place: &Place<'_>) -> Vec<SpanAttribute> {
    let mut attributes: Vec<SpanAttribute> = Vec::new();
    for place in place.items().take(MOST_ATTRIBUTES + 1) {
        let Some(attribute) = attribute(&place) else { continue };
        if attributes.iter().any(|other| other.name == attribute.name) {
            place.refuse(format!("another attribute has the name {:?}", attribute.name));
        }
        attributes.push(attribute);
    }
    if attributes.len() > MOST_ATTRIBUTES {
        place.refuse(format!("may have at most {MOST_ATTRIBUTES} attributes"));
    }
    attributes
}

fn attribute(place: &Place<'_>) -> Option<SpanAttribute> {
    let fields = place.fields(&["name", "header", "baggage", "environment"]);
    let (header, baggage) = (fields.optional("header"), fields.optional("baggage"));
    let environment = fields.optional("environment");
    let own = fields.required("name").and_then(|place| name(&place));
    let source = match (header, baggage, environment) {
        (Some(header), None, None) => field(&header).map(AttributeSource::Header),
        (None, Some(member), None) => name(&member).map(AttributeSource::Baggage),
        (None, None, Some(variable)) => name(&variable).map(AttributeSource::Environment),
        _ => {
            place.refuse("needs exactly one of header, baggage, environment");
            None
        }
    };
    Some(SpanAttribute {
        name: own?,
        source: source?,
    })
}

fn field(place: &Place<'_>) -> Option<HeaderName> {
    let name = place.text()?.parse();
    if name.is_err() {
        place.refuse("is not the name of a field");
    }
    name.ok()
}

/// Of an attribute, a service, a variable or a member of baggage.
pub(super) fn name(place: &Place<'_>) -> Option<String> {
    let text = place.text()?;
    if text.is_empty() || text.len() > LONGEST_NAME || text.chars().any(char::is_control) {
        place.refuse(format!(
            "must be 1 to {LONGEST_NAME} characters, and none of them a control character"
        ));
        return None;
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Faults;
    use crate::mesh;
    use crate::mesh::settings::Collector;
    use crate::mesh::settings::Otlp;
    use std::time::Duration;

    fn read(section: &str) -> Result<Option<Tracing>, Faults> {
        mesh::parse(&format!("tracing: {section}\n")).map(|document| document.settings().tracing.clone())
    }

    #[test]
    fn a_collector_is_enough() {
        let tracing = read("{collector: \"http://otel:4317\"}").unwrap().unwrap();
        let expected = Tracing {
            collector: Collector {
                uri: "http://otel:4317".parse().unwrap(),
                protocol: Otlp::Grpc,
                timeout: Duration::from_secs(10),
            },
            sample: Share::of_millionths(10_000).unwrap(),
            propagation: vec![Propagation::W3c],
            service: None,
            attributes: Vec::new(),
        };
        assert_eq!(tracing, expected);
        assert_eq!(mesh::parse("").unwrap().settings().tracing, None);
    }

    #[test]
    fn every_key_is_read() {
        let tracing = read(
            "{collector: \"http://[::1]:4318/otlp/v1/traces\", protocol: http, timeout: 2s, sample: 12.5%, propagation: [b3, w3c],
              service: shop, attributes: [{name: tenant, header: X-Tenant}, {name: tier, baggage: tier},
              {name: region, environment: REGION}]}",
        )
        .unwrap()
        .unwrap();
        assert_eq!(tracing.collector.protocol, Otlp::Http);
        assert_eq!(tracing.sample.millionths(), 125_000);
        assert_eq!(tracing.propagation, [Propagation::B3, Propagation::W3c]);
        assert_eq!(tracing.service.as_deref(), Some("shop"));
        let sources: Vec<_> = tracing
            .attributes
            .into_iter()
            .map(|attribute| attribute.source)
            .collect();
        let tenant = HeaderName::from_static("x-tenant");
        let expected = [
            AttributeSource::Header(tenant),
            AttributeSource::Baggage("tier".to_owned()),
            AttributeSource::Environment("REGION".to_owned()),
        ];
        assert_eq!(sources, expected);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        for (section, expected) in [
            ("{}", "tracing: the key \"collector\" is missing"),
            (
                "{collector: \"otel:4317\"}",
                "tracing.collector: must be a URI such as http://collector.monitoring:4317",
            ),
            (
                "{collector: \"https://otel:4317\"}",
                "tracing.collector: TLS to a collector is not supported",
            ),
            (
                "{collector: \"http://otel:4317/v1\"}",
                "tracing.collector: has a path, which gRPC chooses itself",
            ),
            (
                "{collector: \"http://a@otel:1\"}",
                "tracing.collector: credentials are not supported",
            ),
            (
                "{collector: \"http://otel:1\", protocol: thrift}",
                "tracing.protocol: expected one of grpc, http, found \"thrift\"",
            ),
            (
                "{collector: \"http://otel:1\", sample: 1}",
                "tracing.sample: expected a share such as 1% or 0.01%, found \"1\"",
            ),
            (
                "{collector: \"http://otel:1\", sample: 101%}",
                "tracing.sample: expected a share",
            ),
            (
                "{collector: \"http://otel:1\", propagation: []}",
                "tracing.propagation: needs at least one of w3c",
            ),
            (
                "{collector: \"http://otel:1\", propagation: [w3c, w3c]}",
                "tracing.propagation[1]: is there twice",
            ),
            (
                "{collector: \"http://otel:1\", attributes: [{name: a}]}",
                "tracing.attributes[0]: needs exactly one of header",
            ),
            (
                "{collector: \"http://otel:1\", attributes: [{name: a, header: \"a b\"}]}",
                "tracing.attributes[0].header: is not the name",
            ),
            (
                "{collector: \"http://otel:1\", atributes: []}",
                "tracing.atributes: unknown key; did you mean \"attributes\"?",
            ),
        ] {
            let Faults(faults) = read(section).unwrap_err();
            let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
            assert!(lines.len() == 1 && lines[0].contains(expected), "{section}: {lines:?}");
        }
    }
}
