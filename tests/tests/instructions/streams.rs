//! Clients and endpoints that exchange batches of HTTP/2 streams: the client opens a batch at once, the endpoints answer when
//! all of it is there, and the next batch follows the last answer. So the proxy never meets half a batch.

use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use bytes::Bytes;
use evenkeel_tests::pod::Pod;
use h2::RecvStream;
use h2::client::SendRequest;
use h2::server::SendResponse;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::header::CONTENT_TYPE;
use http::header::TE;
use http::header::USER_AGENT;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::workload::BATCH;
use crate::workload::PARENT;
use crate::workload::RECORDED;

/// Connections that take turns: with two workers, each has one.
const CONNECTIONS: usize = 2;

/// Longer than all batches take, under valgrind and on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A gRPC message of 32 bytes with its prefix (a byte that says uncompressed, and the length).
const MESSAGE: &[u8] = b"\0\0\0\0\x20a small message of 32 bytes ....";

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// A GET without a body, answered with a small one.
    Get,
    /// A unary gRPC call: a message each way, and trailers.
    Grpc,
}

/// Requests that wait for the rest of their batch.
type Waiting = Arc<Mutex<Vec<(Call, SendResponse<Bytes>)>>>;

/// Asks in whole batches.
pub(crate) fn ask(from: &Pod, to: SocketAddr, call: Call, requests: usize) -> Result<()> {
    ensure!(requests.is_multiple_of(BATCH), "{requests} are no whole batches");
    let connections = (0..CONNECTIONS).map(|_| from.connect(to)).collect::<Result<Vec<_>>>()?;
    let batches = async {
        let mut clients = Vec::new();
        for connection in connections {
            let (client, connection) = h2::client::handshake(tokio_stream(connection)?).await?;
            // It ends with its client.
            tokio::spawn(connection);
            clients.push(client);
        }
        for number in 0..requests / BATCH {
            batch(&mut clients[number % CONNECTIONS], call, number * BATCH).await?;
        }
        anyhow::Ok(())
    };
    runtime()?
        .block_on(async { tokio::time::timeout(PATIENCE, batches).await })
        .context("a batch has no end")?
}

/// Asks when there were so many requests.
async fn batch(client: &mut SendRequest<Bytes>, call: Call, before: usize) -> Result<()> {
    let mut answers = JoinSet::new();
    for number in before + 1..=before + BATCH {
        let mut request = call.request()?;
        if number.is_multiple_of(RECORDED) {
            let parent = HeaderValue::from_static(PARENT);
            request.headers_mut().insert("traceparent", parent);
        }
        let (answer, mut body) = client.send_request(request, call == Call::Get)?;
        if call == Call::Grpc {
            body.send_data(Bytes::from_static(MESSAGE), true)?;
        }
        answers.spawn(async move {
            let answer = answer.await?;
            ensure!(answer.status() == 200, "{answer:?}");
            read(answer.into_body()).await
        });
    }
    while let Some(answer) = answers.join_next().await {
        let trailers = answer??;
        ensure!(trailers.is_some() == (call == Call::Grpc), "trailers: {trailers:?}");
    }
    Ok(())
}

/// Answers on every connection of all these listeners, from a thread that lasts as long as the test's process.
pub(crate) fn serve(listeners: Vec<TcpListener>) -> Result<()> {
    let runtime = runtime()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let waiting = Waiting::default();
            let mut accepting = JoinSet::new();
            for listener in listeners {
                accepting.spawn(accept(listener, Arc::clone(&waiting)));
            }
            while accepting.join_next().await.is_some() {}
        });
    });
    Ok(())
}

async fn accept(listener: TcpListener, waiting: Waiting) -> Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        // One that fails is the client's failure, too, and told there.
        tokio::spawn(converse(connection, Arc::clone(&waiting)));
    }
}

async fn converse(connection: TcpStream, waiting: Waiting) -> Result<()> {
    let mut connection = h2::server::handshake(connection).await?;
    while let Some(stream) = connection.accept().await {
        let (request, answer) = stream?;
        let waiting = Arc::clone(&waiting);
        tokio::spawn(async move {
            let call = Call::of(&request);
            read(request.into_body()).await?;
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push((call, answer));
            if waiting.len() == BATCH {
                for (call, answer) in waiting.drain(..) {
                    call.answer(answer)?;
                }
            }
            anyhow::Ok(())
        });
    }
    Ok(())
}

/// Reads a body to its end; its trailers.
async fn read(mut body: RecvStream) -> Result<Option<HeaderMap>> {
    while let Some(data) = body.data().await {
        let length = data?.len();
        body.flow_control().release_capacity(length)?;
    }
    Ok(body.trailers().await?)
}

fn tokio_stream(connection: std::net::TcpStream) -> Result<TcpStream> {
    connection.set_nodelay(true)?;
    connection.set_nonblocking(true)?;
    Ok(TcpStream::from_std(connection)?)
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

// === impl Call ===

impl Call {
    fn of(request: &Request<RecvStream>) -> Self {
        match request.headers().get(CONTENT_TYPE) {
            Some(_) => Self::Grpc,
            None => Self::Get,
        }
    }

    fn request(self) -> Result<Request<()>> {
        let request = Request::builder().header(USER_AGENT, "instructions/1");
        let request = match self {
            Self::Get => request
                .uri("http://orders.example/orders/17?full=1")
                .header("accept", "*/*"),
            Self::Grpc => request
                .method(Method::POST)
                .uri("http://orders.example/orders.Orders/Read")
                .header(CONTENT_TYPE, "application/grpc")
                .header(TE, "trailers"),
        };
        Ok(request.body(())?)
    }

    fn answer(self, mut to: SendResponse<Bytes>) -> Result<()> {
        let kind = match self {
            Self::Get => "text/plain",
            Self::Grpc => "application/grpc",
        };
        let head = Response::builder()
            .header("server", "endpoint")
            .header(CONTENT_TYPE, kind);
        let mut body = to.send_response(head.body(())?, false)?;
        body.send_data(Bytes::from_static(MESSAGE), self == Self::Get)?;
        if self == Self::Grpc {
            body.send_trailers(HeaderMap::from_iter([(
                "grpc-status".parse()?,
                HeaderValue::from_static("0"),
            )]))?;
        }
        Ok(())
    }
}
