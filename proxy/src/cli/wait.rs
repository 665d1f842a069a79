//! `await` and `drain`: what init containers and hooks run, without a shell and without curl.

use super::Failure;
use super::argument::Address;
use super::call::CallError;
use super::call::Reply;
use super::call::call;
use hyper::Method;
use hyper::StatusCode;
use std::io;
use std::time::Duration;
use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::timeout_at;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits until `/ready` says so.
pub(super) async fn until_ready(address: &Address, patience: Duration) -> Result<(), Failure> {
    let mut last = "no answer yet".to_owned();
    let ready = async {
        loop {
            match call(address, Method::GET, "/ready").await {
                Ok(Reply {
                    status: StatusCode::OK, ..
                }) => return,
                Ok(Reply { status, body }) => last = format!("{} {body}", status.as_u16()),
                Err(error) => last = error.to_string(),
            }
            sleep(PAUSE).await;
        }
    };
    let in_time = timeout_at(Instant::now() + patience, ready).await;
    let late = |_| {
        Failure::TimedOut(format!(
            "the proxy at {address} is not ready after {patience:?}: {last}"
        ))
    };
    in_time.map_err(late)
}

/// Asks for a drain, and waits until nobody listens any more.
pub(super) async fn until_drained(address: &Address, patience: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + patience;
    ask_to_drain(address, "/drain").await?;
    let gone = async {
        while !is_gone(address).await {
            sleep(PAUSE).await;
        }
    };
    let in_time = timeout_at(deadline, gone).await;
    in_time.map_err(|_| Failure::TimedOut(format!("the proxy at {address} is still there after {patience:?}")))
}

/// Asks for a drain that ends only after SIGTERM, and waits for nothing: that comes when this has returned.
pub(super) async fn drain_until_terminated(address: &Address) -> Result<(), Failure> {
    ask_to_drain(address, "/drain?until=terminated").await
}

async fn ask_to_drain(address: &Address, page: &str) -> Result<(), Failure> {
    let reason = match call(address, Method::POST, page).await {
        Ok(Reply {
            status: StatusCode::OK, ..
        }) => return Ok(()),
        Ok(Reply { status, body }) => format!("{} {body}", status.as_u16()),
        Err(error) => error.to_string(),
    };
    Err(Failure::Failed(format!(
        "cannot drain the proxy at {address}: {reason}"
    )))
}

/// An answer that breaks off is no proof: the next question finds out.
async fn is_gone(address: &Address) -> bool {
    match call(address, Method::GET, "/live").await {
        Err(CallError::Unreachable(error)) => error.kind() == io::ErrorKind::ConnectionRefused,
        Ok(_) | Err(CallError::Broken(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    async fn listen() -> (TcpListener, Address) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        (listener, address)
    }

    /// Answers one request after the other from the script, then is gone; returns the request lines.
    async fn play(listener: TcpListener, script: &[&str]) -> Vec<String> {
        let mut asked = Vec::new();
        for answer in script {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            asked.push(String::from_utf8(head).unwrap().lines().next().unwrap().to_owned());
            let (status, body) = answer.split_once(' ').unwrap();
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn await_asks_until_the_proxy_is_ready() {
        let (listener, address) = listen().await;
        let script = [
            "503 no configuration yet\n",
            "503 listeners not bound yet\n",
            "200 ready\n",
        ];
        let (waited, asked) = tokio::join!(until_ready(&address, LONG), play(listener, &script));
        assert_eq!(waited, Ok(()));
        assert_eq!(asked, ["GET /ready HTTP/1.1"; 3]);
    }

    #[tokio::test]
    async fn await_says_what_the_proxy_answered_last() {
        let (listener, address) = listen().await;
        let patience = Duration::from_secs(2);
        // More than it can ask for: who has waited ends the play, and nobody listens from then on.
        let waited = tokio::select! {
            waited = until_ready(&address, patience) => waited,
            _ = play(listener, &["503 no configuration yet\n"; 1_000]) => panic!("it asks too often"),
        };
        let sentence = format!("the proxy at {address} is not ready after 2s: 503 no configuration yet");
        assert_eq!(waited, Err(Failure::TimedOut(sentence)));
        let Err(Failure::TimedOut(sentence)) = until_ready(&address, patience).await else {
            panic!("nobody is there")
        };
        assert!(sentence.contains("cannot connect: Connection refused"), "{sentence}");
    }

    #[tokio::test]
    async fn drain_waits_until_the_proxy_is_gone() {
        let (listener, address) = listen().await;
        let script = ["200 draining\n", "200 live\n", "200 live\n"];
        let (drained, asked) = tokio::join!(until_drained(&address, LONG), play(listener, &script));
        assert_eq!(drained, Ok(()));
        assert_eq!(
            asked,
            ["POST /drain HTTP/1.1", "GET /live HTTP/1.1", "GET /live HTTP/1.1"]
        );
    }

    #[tokio::test]
    async fn a_drain_until_terminated_asks_once_and_does_not_wait() {
        let (listener, address) = listen().await;
        let script = ["200 draining until terminated\n"];
        let (drained, asked) = tokio::join!(drain_until_terminated(&address), play(listener, &script));
        assert_eq!(drained, Ok(()));
        assert_eq!(asked, ["POST /drain?until=terminated HTTP/1.1"]);
    }

    #[tokio::test]
    async fn drain_says_why_it_cannot() {
        let (listener, address) = listen().await;
        let (drained, _) = tokio::join!(until_drained(&address, LONG), play(listener, &["404 no such page\n"]));
        let sentence = format!("cannot drain the proxy at {address}: 404 no such page");
        assert_eq!(drained, Err(Failure::Failed(sentence)));
        let Err(Failure::Failed(sentence)) = until_drained(&address, LONG).await else {
            panic!("nobody is there")
        };
        assert!(sentence.contains("cannot connect: Connection refused"), "{sentence}");
    }
}
