//! What the tests of this floor share: pairs of connected sockets, and bytes that can be recognised.

use std::hash::DefaultHasher;
use std::hash::Hasher;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

pub(crate) const FAMILIES: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Two ends of one TCP connection: who dialled, and who accepted.
pub(crate) async fn tcp_pair(ip: IpAddr) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(SocketAddr::new(ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (dialled, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

/// Writes `total` bytes that never repeat in step with a buffer size, then FIN; returns their hash.
pub(crate) async fn write_pattern<W: AsyncWrite + Unpin>(to: &mut W, total: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut word = 1_u64;
    let mut sent = 0;
    while sent < total {
        let mut block = Vec::with_capacity(100_000);
        while block.len() < 100_000.min(total - sent) {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            block.extend_from_slice(&word.to_le_bytes());
        }
        block.truncate(total - sent);
        hasher.write(&block);
        to.write_all(&block).await.unwrap();
        sent += block.len();
    }
    to.shutdown().await.unwrap();
    hasher.finish()
}

/// Reads to the end; returns the count and the hash, which does not depend on how the bytes were split.
pub(crate) async fn read_pattern<R: AsyncRead + Unpin>(from: &mut R) -> (usize, u64) {
    let mut bytes = Vec::new();
    let count = from.read_to_end(&mut bytes).await.unwrap();
    let mut hasher = DefaultHasher::new();
    for block in bytes.chunks(100_000) {
        hasher.write(block);
    }
    (count, hasher.finish())
}
