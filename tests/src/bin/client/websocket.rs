//! WebSocket connections that are all open at the same time, each with one echo.

use std::net::SocketAddr;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::answers::Answers;
use futures_util::SinkExt;
use futures_util::StreamExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::PATIENCE;
use crate::connect;

/// Opens `connections`, echoes once on each, and closes them only when all have been heard.
pub(crate) async fn run(address: SocketAddr, connections: u32) -> Answers {
    let (mut answers, mut open) = (Answers::default(), Vec::new());
    for _ in 0..connections {
        let echo = timeout(PATIENCE, echo(address)).await.context("no echo").flatten();
        answers.book(echo.map(|(socket, replica)| {
            open.push(socket);
            replica
        }));
    }
    for mut socket in open {
        // What the close says no longer matters: the echo was the test.
        let _ = timeout(PATIENCE, socket.close(None)).await;
    }
    answers
}

async fn echo(address: SocketAddr) -> Result<(WebSocketStream<TcpStream>, String)> {
    let stream = connect(address).await?;
    let (mut socket, response) = tokio_tungstenite::client_async(format!("ws://{address}/echo"), stream).await?;
    let replica = response
        .headers()
        .get("x-replica")
        .context("no x-replica in the 101")?
        .to_str()?
        .to_owned();
    socket.send(Message::text("over the keel")).await?;
    let heard = socket.next().await.context("closed before the echo")??;
    ensure!(heard == Message::text("over the keel"), "echoed {heard:?}");
    Ok((socket, replica))
}
