//! The server-first protocol: the replica's name in a line, before the client has said anything; then an echo.

use anyhow::Result;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::Replica;
use crate::tally::count;

/// One connection, until the client is done.
pub(crate) async fn serve(mut stream: TcpStream, replica: &Replica) -> Result<()> {
    count(&replica.tally.banner);
    stream.write_all(format!("{}\r\n", replica.name).as_bytes()).await?;
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await?;
    Ok(())
}
