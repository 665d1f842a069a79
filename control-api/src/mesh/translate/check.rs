//! Whether what is built in code can be served: faults of one service, or of one rule, and of nobody else.

use super::Reader;
use super::route::Requests;
use super::route::Rules;
use super::skew::FIELDS;
use super::translate_service;
use crate::fault::Faults;
use crate::mesh::model::HttpRule;
use crate::mesh::model::Service;
use crate::report::Report;
use crate::resource::Kind;
use crate::resource::route;
use crate::xds;
use crate::xds::Messages;
use std::num::NonZeroU16;

/// Checks what a service becomes, as its clients will. Nothing is asked of other services that it names.
pub fn check_service(service: &Service) -> Result<(), Faults> {
    let Messages {
        listeners,
        routes,
        clusters,
        assignments,
    } = translate_service(service, Reader::Evenkeel(FIELDS));
    let all = [
        (Kind::Listener, listeners),
        (Kind::Route, routes),
        (Kind::Cluster, clusters),
        (Kind::Assignment, assignments),
    ];
    let mut faults = Vec::new();
    for (kind, packed) in all {
        for packed in packed {
            let Err(found) = xds::decode_one(kind, &packed) else {
                continue;
            };
            // The listeners at several addresses are alike.
            faults.extend(
                found
                    .0
                    .into_iter()
                    .filter(|fault| !faults.contains(fault))
                    .collect::<Vec<_>>(),
            );
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
}

/// Checks a rule alone, so that it can be left out without the others of its port.
pub fn check_rule(rule: &HttpRule) -> Result<(), Faults> {
    let requests = Requests::By(Rules {
        all: std::slice::from_ref(rule),
        port: NonZeroU16::MIN,
        dialled: None,
    });
    let mut report = Report::default();
    route::decode(requests.routes("rule"), &mut report);
    report.finish().map(drop)
}
