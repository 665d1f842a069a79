//! A server-first protocol: connect, say nothing, read the server's line.

use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use evenkeel_tests::answers::Answers;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::connect;

/// Connects `connections` times and books who greeted; the first byte is timed from before the connect.
pub(crate) async fn run(address: SocketAddr, connections: u32) -> Answers {
    let (mut answers, mut times) = (Answers::default(), Vec::new());
    for _ in 0..connections {
        let greeting = timeout(PATIENCE, greeting(address))
            .await
            .context("no greeting")
            .flatten();
        answers.book(greeting.map(|(name, time)| {
            times.push(time);
            name
        }));
    }
    times.sort();
    answers.first_byte_ms = times.get(times.len() / 2).map(|median| median.as_secs_f64() * 1000.0);
    answers
}

async fn greeting(address: SocketAddr) -> Result<(String, Duration)> {
    let begin = Instant::now();
    let mut stream = BufReader::new(connect(address).await?);
    stream.fill_buf().await?;
    let time = begin.elapsed();
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    anyhow::ensure!(line.ends_with('\n'), "closed before the greeting was whole: {line:?}");
    Ok((line.trim_end().to_owned(), time))
}
