//! The server's thread: it listens on an address of a pod, and takes every connection with it when it ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Result;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::answer::answer;
use super::world::Shared;
use crate::pod::Pod;

/// A thread that serves.
#[derive(Debug)]
pub(super) struct Server {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

// === impl Server ===

impl Server {
    /// Begins to serve; port 0 becomes any.
    pub(super) fn start(pod: &Pod, at: SocketAddr, shared: &Arc<Shared>) -> Result<(Self, SocketAddr)> {
        let listener = pod.listen(at)?;
        listener.set_nonblocking(true)?;
        let at = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(shared);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    served = serve(TcpListener::from_std(listener)?, shared) => served,
                    _ = stopped => Ok(()),
                }
            })
        });
        Ok((Self { stop, thread }, at))
    }

    /// Ends it and all of its connections.
    pub(super) fn stop(self) {
        // It has ended already where nobody listens any more.
        let _ = self.stop.send(());
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
        tokio::spawn(async move {
            // A client that goes away is its own business.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
