//! An application that passes every connection on to another service, bytes as they come: the least that is at the same time a
//! server and somebody's client.

use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::pod::Pod;

/// A running one, until it is told to stop.
#[derive(Debug)]
pub struct Forwarder {
    accepted: Arc<AtomicU64>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<()>>,
}

// === impl Forwarder ===

impl Forwarder {
    /// Listens on `port` of the pod, over both families, and connects to `service` from there.
    pub fn start(pod: &Pod, port: u16, service: SocketAddr) -> Result<Self> {
        let listener = pod.listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let accepted = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel();
        let (pod, count) = (pod.clone(), Arc::clone(&accepted));
        let thread = std::thread::spawn(move || {
            pod.enter(|| {
                runtime.block_on(async {
                    tokio::select! {
                        served = serve(TcpListener::from_std(listener)?, service, &count) => served,
                        _ = stopped => Ok(()),
                    }
                })
            })?
        });
        Ok(Self { accepted, stop, thread })
    }

    /// Connections that came.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Ends it and all of its connections.
    pub fn stop(self) -> Result<()> {
        // Nobody listens any more where it has failed, which the thread tells.
        let _ = self.stop.send(());
        match self.thread.join() {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

async fn serve(listener: TcpListener, service: SocketAddr, count: &AtomicU64) -> Result<()> {
    loop {
        let (mut near, _) = listener.accept().await?;
        count.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let mut far = TcpStream::connect(service).await?;
            near.set_nodelay(true)?;
            far.set_nodelay(true)?;
            copy_bidirectional(&mut near, &mut far).await
        });
    }
}
