//! `serve`: one mesh document, and names that are resolved, to clients that reach us in plaintext.

use super::listen::bind;
use super::{Listen, Signals, runtime};
use crate::source::EndpointSource;
use crate::source::dns::{Dns, DnsName};
use crate::source::file::MeshFile;
use crate::telemetry::{self, Origin, Pages};
use crate::views::{Class, Views};
use evenkeel_control_api::serve::Server;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What is served, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    /// The mesh document.
    pub mesh: PathBuf,
    /// Besides it.
    pub names: Vec<DnsName>,
    /// For clients, in plaintext.
    pub listen: SocketAddr,
    /// For `/metrics`, `/ready` and `/live`.
    pub telemetry: SocketAddr,
}

/// Serves until told to end.
///
/// # Errors
/// Why it could not start, as sentences for people; once it runs, it does not fail.
pub(crate) fn serve(options: &Serve) -> Result<(), String> {
    runtime()?.block_on(run(options))
}

async fn run(options: &Serve) -> Result<(), String> {
    let views = Arc::new(Views::default());
    let mut file = MeshFile::open(&options.mesh, &views).map_err(|refused| refused.to_string())?;
    let names = Dns::new(options.names.clone())?;
    file.beside(names.vips())?;
    let (xds, listen) = bind(Listen::At(options.listen)).await?;
    let (pages, telemetry) = bind(Listen::At(options.telemetry)).await?;
    let mut signals = Signals::listen()?;

    let given = Arc::clone(&views);
    let server = Server::new(move |node, _| {
        Ok(given.subscribe(&Class {
            reader: node.reader,
            zone: None,
            pod: None,
        }))
    });
    let doors = Arc::new(Pages::new(
        server.clone(),
        Arc::clone(&views),
        Origin::File(file.reads()),
    ));
    doors.open();
    tokio::spawn(telemetry::serve(pages, Arc::clone(&doors)));
    tokio::spawn(file.run(Arc::clone(&views)));
    if !options.names.is_empty() {
        tokio::spawn(names.run(Arc::clone(&views)));
    }

    let counts = views.counts();
    if !listen.ip().is_loopback() {
        tracing::warn!(%listen, "serving in plaintext to whoever reaches this address");
    }
    let (services, endpoints) = (counts.services, counts.endpoints);
    tracing::info!(%listen, %telemetry, services, endpoints, "serving");
    let told = async {
        signals.next().await;
        doors.end();
    };
    server.serve(xds, told).await;
    tracing::info!("the control plane ends");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_document_is_not_for_a_name() {
        for (number, service) in [
            "{name: db, vips: [10.0.0.1], ports: [{port: 5432, endpoints: []}]}",
            "{name: db, ports: [{port: 1, endpoints: [{address: \"10.0.0.1:5432\"}]}]}",
        ]
        .into_iter()
        .enumerate()
        {
            let mesh = std::env::temp_dir().join(format!("evenkeel-names-{}-{number}.yaml", std::process::id()));
            std::fs::write(&mesh, format!("services: [{service}]")).unwrap();
            let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
            let refused = serve(&Serve {
                mesh: mesh.clone(),
                names: vec!["10.0.0.1:5432=db.example.com:5432".parse().unwrap()],
                listen: loopback,
                telemetry: loopback,
            });
            std::fs::remove_file(&mesh).unwrap();
            let refused = refused.unwrap_err();
            assert!(
                refused.starts_with("--dns: 10.0.0.1:5432 is an address of the service db in "),
                "{refused}"
            );
        }
    }
}
