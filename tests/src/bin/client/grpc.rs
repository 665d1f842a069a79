//! gRPC calls on one channel, one after another, as a client library makes them: one HTTP/2 connection, kept.

use std::net::SocketAddr;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use bytes::Bytes;
use evenkeel_tests::answers::Answers;
use evenkeel_tests::grpc::Deframer;
use evenkeel_tests::grpc::Echo;
use evenkeel_tests::grpc::Kind;
use evenkeel_tests::grpc::REPEATS;
use evenkeel_tests::grpc::frame;
use h2::RecvStream;
use h2::SendStream;
use h2::client::SendRequest;
use http::HeaderMap;
use http::Request;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::connect;

/// What a client that streams says, message by message.
const WORDS: [&str; 3] = ["even", "keel", "."];

/// `calls` calls of one kind on one connection.
pub(crate) async fn run(address: SocketAddr, calls: u32, kind: Kind) -> Result<Answers> {
    let (mut channel, connection) = h2::client::handshake(connect(address).await?).await?;
    tokio::spawn(connection);
    let mut answers = Answers::default();
    for _ in 0..calls {
        let outcome = timeout(PATIENCE, call(&mut channel, address, kind))
            .await
            .context("no answer")
            .flatten();
        answers.book(outcome);
    }
    Ok(answers)
}

async fn call(channel: &mut SendRequest<Bytes>, address: SocketAddr, kind: Kind) -> Result<String> {
    let request = Request::post(format!("http://{address}{}", kind.path()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    *channel = channel.clone().ready().await?;
    let (response, mut sending) = channel.send_request(request, false)?;
    match kind {
        Kind::Unary | Kind::ServerStream => say(&mut sending, WORDS[0], true)?,
        Kind::ClientStream => say_all(&mut sending)?,
        Kind::Bidirectional => say(&mut sending, WORDS[0], false)?,
    }
    let response = response.await?;
    ensure!(response.status() == 200, "HTTP status {}", response.status());
    let headers = response.headers().clone();
    let mut hearing = Hearing {
        stream: response.into_body(),
        deframer: Deframer::default(),
    };
    let heard = match kind {
        Kind::Bidirectional => converse(&mut sending, &mut hearing).await?,
        Kind::Unary | Kind::ClientStream | Kind::ServerStream => hearing.rest().await?,
    };
    let trailers = hearing.stream.trailers().await?.unwrap_or(headers);
    succeeded(&trailers)?;
    check(kind, &heard)
}

/// The other words, each after the answer to the one before it: a proxy that holds messages back would stop this.
async fn converse(sending: &mut SendStream<Bytes>, hearing: &mut Hearing) -> Result<Vec<Echo>> {
    let mut heard = vec![hearing.message().await?.context("no answer to the first word")?];
    for (index, word) in WORDS.iter().enumerate().skip(1) {
        say(sending, word, index == WORDS.len() - 1)?;
        heard.push(
            hearing
                .message()
                .await?
                .with_context(|| format!("no answer to {word:?}"))?,
        );
    }
    heard.extend(hearing.rest().await?);
    Ok(heard)
}

fn say_all(sending: &mut SendStream<Bytes>) -> Result<()> {
    let last = WORDS.len() - 1;
    WORDS
        .iter()
        .enumerate()
        .try_for_each(|(index, word)| say(sending, word, index == last))
}

fn say(sending: &mut SendStream<Bytes>, text: &str, end: bool) -> Result<()> {
    // A few bytes: h2 holds what the window does not take yet.
    Ok(sending.send_data(
        frame(&Echo {
            text: text.to_owned(),
            replica: String::new(),
        }),
        end,
    )?)
}

fn succeeded(trailers: &HeaderMap) -> Result<()> {
    let status = trailers.get("grpc-status").context("no grpc-status")?;
    ensure!(
        status == "0",
        "grpc-status {status:?}: {:?}",
        trailers.get("grpc-message")
    );
    Ok(())
}

/// The texts are what the kind promises and one replica said them all; its name.
fn check(kind: Kind, heard: &[Echo]) -> Result<String> {
    let texts: Vec<&str> = heard.iter().map(|echo| echo.text.as_str()).collect();
    let right = match kind {
        Kind::Unary => texts == WORDS[..1],
        Kind::ClientStream => texts == [WORDS.concat()],
        Kind::ServerStream => texts == [WORDS[0]; REPEATS],
        Kind::Bidirectional => texts == WORDS,
    };
    ensure!(right, "{kind:?} answered {texts:?}");
    match heard.split_first() {
        Some((first, rest)) if rest.iter().all(|echo| echo.replica == first.replica) => Ok(first.replica.clone()),
        _ => bail!("several replicas in one call: {heard:?}"),
    }
}

/// The answering half of a call.
struct Hearing {
    stream: RecvStream,
    deframer: Deframer,
}

// === impl Hearing ===

impl Hearing {
    async fn message(&mut self) -> Result<Option<Echo>> {
        loop {
            match self.deframer.message() {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(broken) => bail!("{broken:?}"),
            }
            let Some(data) = self.stream.data().await else {
                self.deframer.finish().map_err(|broken| anyhow::anyhow!("{broken:?}"))?;
                return Ok(None);
            };
            let data = data?;
            self.stream.flow_control().release_capacity(data.len())?;
            self.deframer.push(&data);
        }
    }

    async fn rest(&mut self) -> Result<Vec<Echo>> {
        let mut heard = Vec::new();
        while let Some(message) = self.message().await? {
            heard.push(message);
        }
        Ok(heard)
    }
}
