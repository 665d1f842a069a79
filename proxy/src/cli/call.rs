//! One request to a proxy's door.

use super::argument::Address;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Empty;
use http_body_util::Limited;
use hyper::Method;
use hyper::Request;
use hyper::StatusCode;
use hyper::client::conn::http1;
use hyper::header;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For the whole exchange: the door answers in microseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pages that are asked for are a word or two.
const BODY_LIMIT: usize = 64 << 10;

/// What came back.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: String,
}

/// Why nothing did.
#[derive(Debug)]
pub(super) enum CallError {
    /// Nobody listens there.
    Unreachable(io::Error),
    /// Somebody does, and did not answer as a proxy does.
    Broken(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "cannot connect: {error}"),
            Self::Broken(reason) => f.write_str(reason),
        }
    }
}

/// Asks once.
pub(super) async fn call(address: &Address, method: Method, path: &str) -> Result<Reply, CallError> {
    let connecting = timeout(PATIENCE, TcpStream::connect(address.as_str())).await;
    let stream = match connecting {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(CallError::Unreachable(error)),
        Err(_) => return Err(CallError::Broken("no connection within 5 s".to_owned())),
    };
    match timeout(PATIENCE, exchange(stream, address, method, path)).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(CallError::Broken(format!("no proper answer: {error}"))),
        Err(_) => Err(CallError::Broken("no answer within 5 s".to_owned())),
    }
}

type AnyError = Box<dyn Error + Send + Sync>;

async fn exchange(stream: TcpStream, address: &Address, method: Method, path: &str) -> Result<Reply, AnyError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address.as_str());
    let request = request.body(Empty::<Bytes>::new())?;
    let reply = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_LIMIT)
            .collect()
            .await?
            .to_bytes();
        Ok(Reply {
            status,
            body: String::from_utf8_lossy(&body).trim().to_owned(),
        })
    };
    // The connection makes the progress, and its end is told by the reply as well.
    let (reply, _) = tokio::join!(reply, connection);
    reply
}
