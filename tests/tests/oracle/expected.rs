//! Everything that differs on purpose, with the reason. A test asks for these; everywhere else both must be equal.

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::xds::resource;

use crate::exchange::Answer;
use crate::exchange::Outcome;
use crate::exchange::exchange;
use crate::exchange::get;
use crate::exchange::request;
use crate::mirror::HINT;
use crate::world::World;

/// A field that one side adds, or words differently.
pub(crate) struct Field {
    /// In lower case; all that begin with it where it ends with `*`.
    name: &'static str,
    #[allow(dead_code, reason = "the reason is for readers")]
    why: &'static str,
}

impl Field {
    const fn new(name: &'static str, why: &'static str) -> Self {
        Self { name, why }
    }

    /// Whether it is a field of this name.
    pub(crate) fn covers(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.name,
        }
    }
}

/// Of what reaches an endpoint.
pub(crate) const IN_REQUESTS: &[Field] = &[
    Field::new(
        "x-envoy-*",
        "Envoy tells endpoints about itself; we invent nothing (behaviour 26)",
    ),
    Field::new("x-forwarded-proto", "as above"),
    Field::new("x-request-id", "as above"),
];

/// Of answers.
pub(crate) const IN_ANSWERS: &[Field] = &[
    Field::new(
        "server",
        "Envoy puts its own name there; ours passes the endpoint's on (behaviour 26)",
    ),
    Field::new("date", "Envoy adds it; we do not invent it (behaviour 26)"),
    Field::new("x-envoy-*", "Envoy tells clients about itself"),
    Field::new("x-evenkeel-reason", "we say why an answer is ours"),
    Field::new("content-type", "of answers that a proxy made: the words are its own"),
    Field::new(
        "content-length",
        "as above; the length of a body that is compared is compared with it",
    ),
    Field::new(
        "transfer-encoding",
        "how a body is framed is each hop's own business; what is in it is compared",
    ),
    Field::new(
        "connection",
        "whether it closes after an answer of its own is a proxy's own business",
    ),
];

/// What is asked, and what comes of it.
struct Difference {
    request: String,
    ours: fn(&Answer) -> bool,
    envoy: fn(&Answer) -> bool,
    why: &'static str,
}

fn differences() -> Vec<Difference> {
    let reaches: fn(&Answer) -> bool = |answer| answer.status == 200 && answer.body.starts_with("GET ");
    vec![
        Difference {
            request: "GET / HTTP/1.0\r\n\r\n".to_owned(),
            ours: reaches,
            envoy: |answer| answer.status == 426,
            why: "HTTP/1.0 works (behaviour 17)",
        },
        Difference {
            request: get("web.test", "/", &["Connection: upgrade", "Upgrade: TLS/1.2"]),
            ours: reaches,
            envoy: |answer| answer.status == 403,
            why: "unknown Upgrade tokens are forwarded (behaviour 8)",
        },
        Difference {
            request: get("web.test", "/", &["Host: other.test"]),
            ours: |answer| answer.status == 400,
            envoy: reaches,
            why: "two Hosts are refused (behaviour 4)",
        },
        Difference {
            request: get("web.test", "/", &[&format!("{HINT}: 1")]),
            ours: |answer| answer.interim == [103] && answer.status == 200,
            envoy: |answer| answer.interim.is_empty() && answer.status == 200,
            why: "103 is relayed (behaviour 6)",
        },
        Difference {
            request: get("web.test", "http://absolute.test/a?b", &[]),
            ours: |answer| answer.body == "GET http://absolute.test/a?b HTTP/1.1\nhost: absolute.test",
            envoy: |answer| answer.body == "GET /a?b HTTP/1.1\nhost: absolute.test",
            why: "targets are not changed when only routing (behaviours 12 and 26); every server takes the absolute form (RFC 9112 3.2.2)",
        },
        Difference {
            request: request("OPTIONS", "web.test", "*", &[]),
            ours: |answer| answer.status == 200 && answer.body.starts_with("OPTIONS * "),
            envoy: |answer| answer.status == 404,
            why: "`OPTIONS *` is forwarded (behaviour 26)",
        },
    ]
}

#[test]
fn what_differs_on_purpose_differs_as_it_is_written_here() -> Result<()> {
    let world = World::new(Family::V4, |endpoints| {
        let at = (endpoints.family().vip(10), 80).into();
        let everything = resource::all_to("all", "a");
        vec![resource::listener(
            "web",
            at,
            &[resource::chain(&resource::http(&everything))],
        )]
    })?;
    let mut wrong = Vec::new();
    for Difference {
        request,
        ours,
        envoy,
        why,
    } in differences()
    {
        let sides = [(&world.ours, ours), (&world.envoy, envoy)];
        for (pod, fits) in sides {
            let outcome = exchange(pod, world.vip(10, 80), request.as_bytes())?;
            if !matches!(&outcome, Outcome::Answer(answer) if fits(answer)) {
                wrong.push(format!("{why}: {}: {request:?}: {outcome:?}", pod.name()));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
