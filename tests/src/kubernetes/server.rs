//! The server's thread: it listens on an address of a pod, and takes every connection with it when it ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Result;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::answer::answer;
use super::world::Shared;
use crate::pod::Pod;

/// The first byte of a TLS handshake, which no request begins with.
const HANDSHAKE: u8 = 0x16;

/// A thread that serves.
#[derive(Debug)]
pub(super) struct Server {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

// === impl Server ===

impl Server {
    /// Begins to serve, in plaintext or over TLS as each client likes; port 0 becomes any.
    pub(super) fn start(
        pod: &Pod,
        at: SocketAddr,
        tls: &Arc<ServerConfig>,
        shared: &Arc<Shared>,
    ) -> Result<(Self, SocketAddr)> {
        let listener = pod.listen(at)?;
        listener.set_nonblocking(true)?;
        let at = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let (shared, tls) = (Arc::clone(shared), TlsAcceptor::from(Arc::clone(tls)));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    served = serve(TcpListener::from_std(listener)?, tls, shared) => served,
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

async fn serve(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let mut first = [0];
            // A client that goes away is its own business, here and below.
            if stream.peek(&mut first).await.is_err() {
                return;
            }
            if first[0] != HANDSHAKE {
                connection(stream, shared).await;
            } else if let Ok(stream) = tls.accept(stream).await {
                connection(stream, shared).await;
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
