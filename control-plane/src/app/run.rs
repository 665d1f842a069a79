//! `run`: a cluster, to the proxies in its pods.

use super::guarded::{self, CertificateSource};
use super::injector::Injector;
use super::lacking;
use super::leading::{OwnPod, lead};
use super::listen::bind;
use super::{Listen, Signals, node, runtime};
use crate::kubernetes::Cluster;
use crate::source::EndpointSource;
use crate::telemetry::{self, Origin, Pages};
use crate::views::Views;
use evenkeel_control_api::serve::Server;
use kube::{Client, Config};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// From the first signal on we are not ready, and go on for so long: until nobody is led here any more.
const LEAVE: Duration = Duration::from_secs(5);
/// For a connection to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a cluster's control plane is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// For clients on this host, in plaintext.
    pub plaintext: Option<SocketAddr>,
    /// For pods, over TLS.
    pub guarded: Option<Listen>,
    /// For the API server's questions about new pods, and how those are injected.
    pub injector: Option<(Listen, PathBuf)>,
    /// What TLS is spoken with.
    pub certificates: CertificateSource,
    /// For `/metrics`, `/ready` and `/live`.
    pub telemetry: Listen,
    /// Of the cluster's DNS.
    pub cluster_domain: String,
    /// Who we are among the replicas; `None`: nobody, and nothing is written.
    pub pod: Option<OwnPod>,
}

/// Serves until told to end.
///
/// # Errors
/// Why it could not start, as sentences for people; once it runs, it does not fail.
pub(crate) fn run(options: &Run) -> Result<(), String> {
    runtime()?.block_on(serve(options))
}

async fn serve(options: &Run) -> Result<(), String> {
    let client = client().await?;
    let (pages, telemetry) = bind(options.telemetry).await?;
    let mut signals = Signals::listen()?;

    let views = Arc::new(Views::default());
    let cluster = Cluster::new(&options.cluster_domain);
    let (given, known) = (Arc::clone(&views), cluster.clone());
    let server = Server::new(move |node, peer| Ok(given.subscribe(&node::class(&known, node, peer)?)));
    let injector = match &options.injector {
        Some((listen, settings)) => Some(Injector::open(*listen, settings).await?),
        None => None,
    };
    let over_tls = options.guarded.is_some() || injector.is_some();
    let access = over_tls.then(|| guarded::access(client.clone(), &cluster));
    let origin = Origin::Cluster {
        cluster: cluster.clone(),
        access: access.clone(),
        webhook: injector.as_ref().map(Injector::door),
    };
    let doors = Arc::new(Pages::new(server.clone(), Arc::clone(&views), origin));
    tokio::spawn(telemetry::serve(pages, Arc::clone(&doors)));
    tokio::spawn(cluster.watched(client.clone()).run(Arc::clone(&views)));
    tracing::info!(%telemetry, "asking the API server");

    let (over, end) = watch::channel(false);
    let (leads, led) = watch::channel(false);
    if let Some(pod) = options.pod.clone() {
        tokio::spawn(lacking::tell(client.clone(), pod, cluster.clone()));
    }
    let leading = options.pod.clone().map(|pod| {
        let board = Arc::clone(cluster.board());
        tokio::spawn(lead(client.clone(), pod, board, leads, until(end.clone())))
    });
    if let (Some(access), Some(pod)) = (&access, &options.pod) {
        let (source, domain) = (options.certificates.clone(), options.cluster_domain.clone());
        tokio::spawn(guarded::keep(
            access.clone(),
            client.clone(),
            source,
            pod.clone(),
            domain,
            led,
        ));
    }

    if let (Some(injector), Some(access)) = (injector, &access) {
        tokio::spawn(injector.run(client.clone(), cluster.clone(), access.clone()));
    }

    // Whoever came before everything is known would be told that there is nothing.
    let mut complete = cluster.complete();
    tokio::select! {
        _ = complete.wait_for(|complete| *complete) => {}
        () = signals.next() => return Ok(()),
    }
    let plaintext = match options.plaintext {
        Some(address) => Some(bind(Listen::At(address)).await?),
        None => None,
    };
    let secured = match options.guarded {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    doors.open();
    let plaintext = async {
        if let Some((listener, listen)) = plaintext {
            tracing::info!(%listen, %telemetry, "serving");
            server.serve(listener, until(end.clone())).await;
        }
    };
    let secured = async {
        if let (Some((listener, listen)), Some(access)) = (secured, &access) {
            tracing::info!(%listen, %telemetry, "serving over TLS");
            let guard = guarded::guard(access);
            server.serve_guarded(listener, guard, until(end.clone())).await;
        }
    };
    let told = async {
        signals.next().await;
        doors.end();
        tokio::select! {
            () = tokio::time::sleep(LEAVE) => {}
            () = signals.next() => {}
        }
        over.send_replace(true);
    };
    tokio::join!(plaintext, secured, told);
    if let Some(leading) = leading {
        // The lease is released, so that another need not wait for it.
        let _ = leading.await;
    }
    tracing::info!("the control plane ends");
    Ok(())
}

async fn until(mut end: watch::Receiver<bool>) {
    // An error would mean that the sender is gone, which is the end, too.
    let _ = end.wait_for(|ended| *ended).await;
}

/// As `kubectl` finds its way, or as a pod does.
async fn client() -> Result<Client, String> {
    let config = Config::infer().await;
    let mut config = config.map_err(|error| format!("cannot find the API server: {error}"))?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Client::try_from(config).map_err(|error| format!("cannot make a client of the API server: {error}"))
}
