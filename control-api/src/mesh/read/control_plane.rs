//! `control_plane:`, for a proxy whose mesh comes from elsewhere.

use crate::ads::bootstrap::Authorities;
use crate::ads::bootstrap::Server;
use crate::mesh::place::Fields;
use crate::mesh::place::Place;
use crate::mesh::settings::Anywhere;
use crate::mesh::settings::ControlPlane;
use crate::mesh::settings::ControlPlaneAt;
use crate::mesh::settings::OnDemand;
use crate::mesh::settings::Scope;
use crate::mesh::settings::Startup;
use crate::resource::listener::Prefix;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::PathBuf;
use std::time::Duration;

/// More control planes than anybody has.
const MOST_SERVERS: usize = 16;
/// More ranges than a cluster has.
const MOST_RANGES: usize = 64;
/// The words of `protocol:`.
const PROTOCOLS: [(&str, bool); 2] = [("delta", true), ("state_of_the_world", false)];
/// The words of `subscribe:`.
const SCOPES: [(&str, bool); 2] = [("on_demand", true), ("everything", false)];
/// The words of `on_demand.without_answer:`.
const WITHOUT_ANSWER: [(&str, Anywhere); 2] = [("passthrough", Anywhere::PassThrough), ("refuse", Anywhere::Refuse)];

/// The words of `startup.then:`.
const THEN: [(&str, bool); 2] = [("passthrough", true), ("not_ready", false)];
/// `startup.wait` where it is not said.
const STARTUP_WAIT: Duration = Duration::from_secs(10);

/// Where the mesh comes from.
pub(super) fn control_plane(place: &Place<'_>) -> Option<ControlPlane> {
    let fields = place.fields(&[
        "bootstrap",
        "servers",
        "ca",
        "ca_file",
        "token",
        "node",
        "protocol",
        "subscribe",
        "on_demand",
        "startup",
    ]);
    let at = at(place, &fields);
    let delta = fields
        .optional("protocol")
        .and_then(|place| place.word(&PROTOCOLS))
        .unwrap_or(true);
    let on_demand = fields
        .optional("subscribe")
        .and_then(|place| place.word(&SCOPES))
        .unwrap_or(true);
    let section = fields.optional("on_demand");
    let scope = if on_demand {
        Scope::OnDemand(section.as_ref().map(demand).unwrap_or_default())
    } else {
        if let Some(place) = section {
            place.refuse("has no meaning with subscribe: everything");
        }
        Scope::Everything
    };
    let startup = fields.optional("startup").map(|place| startup(&place));
    Some(ControlPlane {
        at: at?,
        delta,
        scope,
        startup: startup.unwrap_or(Startup::NotReady),
    })
}

/// `wait` may stand beside `not_ready`, too: who changes one word does not have to change two.
fn startup(place: &Place<'_>) -> Startup {
    let fields = place.fields(&["wait", "then"]);
    let wait = fields
        .optional("wait")
        .and_then(|place| place.duration(&(Duration::ZERO..=Duration::from_mins(10))));
    let passes = fields.optional("then").and_then(|place| place.word(&THEN));
    if passes.unwrap_or(false) {
        Startup::PassThrough(wait.unwrap_or(STARTUP_WAIT))
    } else {
        Startup::NotReady
    }
}

fn at(place: &Place<'_>, fields: &Fields<'_>) -> Option<ControlPlaneAt> {
    let others = ["servers", "ca", "ca_file", "token", "node"];
    let has_others = others.iter().any(|key| fields.optional(key).is_some());
    if let Some(path) = fields.optional("bootstrap") {
        if has_others {
            path.refuse("stands instead of servers, ca, ca_file, token and node: the file has all of that");
        }
        return path.text().map(|path| ControlPlaneAt::Bootstrap(PathBuf::from(path)));
    }
    if !has_others {
        return Some(ControlPlaneAt::Environment);
    }
    let authorities = authorities(fields);
    let token = token(fields);
    let list = fields.required("servers")?;
    let servers: Vec<_> = list
        .items()
        .take(MOST_SERVERS)
        .filter_map(|place| server(&place, authorities.as_ref(), token.as_ref()))
        .collect();
    if servers.is_empty() {
        place.refuse("needs at least one of `servers`, or a `bootstrap` file");
        return None;
    }
    let node = fields.optional("node");
    let (id, cluster) = node.as_ref().map(node_of).unwrap_or_default();
    Some(ControlPlaneAt::Servers { servers, id, cluster })
}

/// `None`: plaintext.
fn authorities(fields: &Fields<'_>) -> Option<Authorities> {
    let (text, file) = (fields.optional("ca"), fields.optional("ca_file"));
    if let (Some(_), Some(file)) = (&text, &file) {
        file.refuse("stands beside ca, and only one of them can hold");
    }
    if let Some(place) = text {
        let text = place.text()?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        if !certificates.is_ok_and(|certificates| !certificates.is_empty()) {
            place.refuse("must be certificates in PEM, from -----BEGIN CERTIFICATE----- on");
        }
        return Some(Authorities::Text(text.to_owned()));
    }
    file?.text().map(|path| Authorities::File(PathBuf::from(path)))
}

fn token(fields: &Fields<'_>) -> Option<PathBuf> {
    let place = fields.optional("token")?;
    if fields.optional("ca").is_none() && fields.optional("ca_file").is_none() {
        place.refuse("is sent over TLS only: it needs ca or ca_file");
    }
    place.text().map(PathBuf::from)
}

fn server(place: &Place<'_>, authorities: Option<&Authorities>, token: Option<&PathBuf>) -> Option<Server> {
    let uri = place.text()?;
    let server = match authorities {
        Some(authorities) => Server::secure(uri, authorities.clone(), token.cloned()),
        None => Server::insecure(uri),
    };
    match server {
        Ok(server) => Some(server),
        Err(reason) => {
            place.refuse(reason);
            None
        }
    }
}

fn node_of(place: &Place<'_>) -> (Option<String>, String) {
    let fields = place.fields(&["id", "cluster"]);
    let text = |name| fields.optional(name).and_then(|place| place.text().map(str::to_owned));
    (text("id"), text("cluster").unwrap_or_default())
}

fn demand(place: &Place<'_>) -> OnDemand {
    let fields = place.fields(&["cidrs", "without_answer", "wait", "idle", "most"]);
    let base = OnDemand::default();
    let ranges = fields.optional("cidrs").map(|list| {
        list.items()
            .take(MOST_RANGES)
            .filter_map(|place| range(&place))
            .collect()
    });
    let without_answer = fields
        .optional("without_answer")
        .and_then(|place| place.word(&WITHOUT_ANSWER));
    let wait = fields
        .optional("wait")
        .and_then(|place| place.duration(&(Duration::from_millis(1)..=Duration::from_mins(1))));
    let idle = fields
        .optional("idle")
        .and_then(|place| place.duration(&(Duration::from_secs(1)..=Duration::from_hours(24))));
    let most = fields.optional("most").and_then(|place| place.integer(1..=1_000_000));
    OnDemand {
        ranges: ranges.unwrap_or(base.ranges),
        wait: wait.unwrap_or(base.wait),
        without_answer: without_answer.unwrap_or(base.without_answer),
        idle: idle.unwrap_or(base.idle),
        most: most.map_or(base.most, |most| most as usize),
    }
}

fn range(place: &Place<'_>) -> Option<Prefix> {
    let text = place.text()?;
    let parsed = text
        .split_once('/')
        .and_then(|(address, length)| Prefix::new(address.parse().ok()?, length.parse().ok()?));
    if parsed.is_none() {
        place.refuse(format!("{text:?} is not a range of addresses such as 10.96.0.0/12"));
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Faults;
    use crate::mesh;

    fn startup_of(section: &str) -> Result<Startup, Faults> {
        let text = format!("control_plane: {{servers: [\"127.0.0.1:15010\"]{section}}}\n");
        let plane = mesh::parse(&text)?.settings().control_plane.clone();
        Ok(plane.expect("the section is there").startup)
    }

    #[test]
    fn a_proxy_waits_for_its_control_plane_unless_it_may_pass_everything_through() {
        assert_eq!(startup_of(""), Ok(Startup::NotReady));
        assert_eq!(
            startup_of(", startup: {wait: 1s, then: not_ready}"),
            Ok(Startup::NotReady)
        );
        let passes = |wait| Ok(Startup::PassThrough(Duration::from_secs(wait)));
        assert_eq!(startup_of(", startup: {then: passthrough}"), passes(10));
        assert_eq!(startup_of(", startup: {wait: 0s, then: passthrough}"), passes(0));
        let Faults(faults) = startup_of(", startup: {wait: 1h, then: pass}").unwrap_err();
        let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert!(
            lines[0].contains("control_plane.startup.wait: must be from 0s to 10m"),
            "{lines:?}"
        );
        assert!(
            lines[1].contains("control_plane.startup.then: expected one of passthrough, not_ready"),
            "{lines:?}"
        );
    }
}
