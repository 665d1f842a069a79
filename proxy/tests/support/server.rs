//! Upstream servers that do as their script says.

use super::family::anywhere;
use super::wire::Wire;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::Connection;
use h2::server::SendResponse;
use http::Request;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::task::spawn_local;

/// A server on a loopback port. It stops listening when it is dropped; connections go on.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Rc<Cell<usize>>,
    listening: AbortHandle,
}

impl Server {
    /// Runs `script` for each connection; the second argument counts connections from 0.
    pub(crate) async fn raw<F>(script: F) -> Self
    where
        F: AsyncFn(TcpStream, usize) + 'static,
    {
        let listener = TcpListener::bind(anywhere()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Rc::new(Cell::new(0));
        let count = Rc::clone(&accepted);
        let script = Rc::new(script);
        let listening = spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = count.replace(count.get() + 1);
                let script = Rc::clone(&script);
                spawn_local(async move { script(stream, number).await });
            }
        });
        Self {
            address,
            accepted,
            listening: listening.abort_handle(),
        }
    }

    /// The same with bytes at hand.
    pub(crate) async fn h1<F>(script: F) -> Self
    where
        F: AsyncFn(Wire, usize) + 'static,
    {
        Self::raw(async move |stream, number| script(Wire::new(stream), number).await).await
    }

    /// Answers every request of HTTP/1 with the same bytes, once its body is here.
    pub(crate) async fn saying(answer: &'static str) -> Self {
        Self::h1(async move |mut wire, _| {
            while wire.next_message().await.is_some() {
                if wire.try_send(answer).await.is_err() {
                    return;
                }
            }
        })
        .await
    }

    /// Gives back what it got, once that is all.
    pub(crate) async fn echoing() -> Self {
        Self::h1(async |mut wire, _| {
            if let Ok(all) = wire.rest().await {
                wire.send(&all).await;
            }
        })
        .await
    }

    /// Runs `script` for each HTTP/2 connection, which makes progress only while it is asked for streams.
    pub(crate) async fn h2_connection<F>(script: F) -> Self
    where
        F: AsyncFn(Connection<TcpStream, Bytes>, usize) + 'static,
    {
        Self::raw(async move |stream, number| {
            // A connection that is closed before its preface has no streams.
            if let Ok(connection) = h2::server::handshake(stream).await {
                script(connection, number).await;
            }
        })
        .await
    }

    /// Runs `script` for each HTTP/2 stream; the last argument counts streams of all connections from 0.
    pub(crate) async fn h2<F>(script: F) -> Self
    where
        F: AsyncFn(Request<RecvStream>, SendResponse<Bytes>, usize) + 'static,
    {
        let script = Rc::new(script);
        let streams = Rc::new(Cell::new(0));
        Self::h2_connection(async move |mut connection, _| {
            while let Some(Ok((request, respond))) = connection.accept().await {
                let number = streams.replace(streams.get() + 1);
                let script = Rc::clone(&script);
                spawn_local(async move { script(request, respond, number).await });
            }
        })
        .await
    }

    /// Connections that it has accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.get()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
