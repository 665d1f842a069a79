//! A request that is in flight ends on the configuration that it began with, whatever becomes of its route, its cluster, its
//! endpoint and its listener.

use std::convert::Infallible;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use bytes::Bytes;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::wait;
use evenkeel_tests::xds::XdsServer;
use evenkeel_tests::xds::resource;
use h2::RecvStream;
use h2::SendStream;
use h2::client::ResponseFuture;
use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Response;
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use serde_json::Value;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::world::DEADLINE;
use crate::world::Protocol;
use crate::world::World;

/// Where the first endpoint listens; each story has its own.
const ENDPOINT: u16 = 7400;
/// The service in front of it.
const SERVICE: u16 = 8080;
/// A request that has not reached the endpoint by then went where the address led before.
const HESITATION: Duration = Duration::from_secs(2);
/// Which configuration an answer was made under.
const VERSION: &str = "x-version";

/// When everything changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The request has reached the endpoint, which has not answered yet.
    BeforeTheHead,
    /// Both bodies are under way.
    InTheBodies,
}

// === the endpoint ===

/// Answers with what it gets, piece by piece, once it may; and says when a request has come.
struct Endpoint {
    begun: mpsc::Receiver<()>,
    may_answer: watch::Sender<bool>,
}

impl Endpoint {
    fn start(world: &World, at: SocketAddr) -> Result<Self> {
        let listener = world.replicas[0].pod().listen(at)?;
        listener.set_nonblocking(true)?;
        let (tell, begun) = mpsc::channel();
        let (may_answer, allowed) = watch::channel(false);
        let tell = Arc::new(Mutex::new(tell));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    let (tell, allowed) = (Arc::clone(&tell), allowed.clone());
                    let answer = service_fn(move |request| echo(request, Arc::clone(&tell), allowed.clone()));
                    tokio::spawn(async move {
                        // A connection that fails is its client's business.
                        let _ = auto::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(stream), answer)
                            .await;
                    });
                }
                #[allow(unreachable_code, reason = "it says what an error is")]
                anyhow::Ok(())
            })
        });
        Ok(Self { begun, may_answer })
    }
}

async fn echo(
    request: Request<Incoming>,
    tell: Arc<Mutex<mpsc::Sender<()>>>,
    mut allowed: watch::Receiver<bool>,
) -> Result<Response<Channel<Bytes>>, Infallible> {
    if let Ok(tell) = tell.lock() {
        // Nobody may be left to hear it.
        let _ = tell.send(());
    }
    let _ = allowed.wait_for(|allowed| *allowed).await;
    let (mut sender, body) = Channel::<Bytes>::new(16);
    let mut answer = Response::new(body);
    if let Some(kind) = request.headers().get("content-type") {
        answer.headers_mut().insert("content-type", kind.clone());
    }
    tokio::spawn(async move {
        let mut asked = request.into_body();
        while let Some(Ok(frame)) = asked.frame().await {
            if let Ok(data) = frame.into_data()
                && sender.send_data(data).await.is_err()
            {
                return;
            }
        }
        let trailers = HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        )]);
        // A client that has gone does not hear it.
        let _ = sender.send_trailers(trailers).await;
    });
    Ok(answer)
}

// === the client ===

/// A request whose body is being sent, and its answer.
enum Client {
    One(BufReader<TcpStream>),
    Two(Box<Two>),
}

struct Two {
    /// Of a runtime that runs on a thread of its own.
    runtime: Handle,
    body: SendStream<Bytes>,
    answer: Option<ResponseFuture>,
    heard: Option<RecvStream>,
}

impl Client {
    fn begin(world: &World, to: SocketAddr, spoken: Spoken) -> Result<Self> {
        let stream = world.client.connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        if spoken == Spoken::Http1 {
            let mut stream = BufReader::new(stream);
            let head = format!("POST / HTTP/1.1\r\nHost: {to}\r\nTransfer-Encoding: chunked\r\n\r\n");
            stream.get_mut().write_all(head.as_bytes())?;
            return Ok(Self::One(stream));
        }
        stream.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        let mut request = Request::post(format!("http://{to}/"));
        if spoken == Spoken::Grpc {
            request = request
                .header("content-type", "application/grpc")
                .header("te", "trailers");
        }
        let request = request.body(())?;
        let (answer, body) = handle.block_on(async {
            let (channel, connection) = h2::client::handshake(tokio::net::TcpStream::from_std(stream)?).await?;
            tokio::spawn(connection);
            anyhow::Ok(channel.ready().await?.send_request(request, false)?)
        })?;
        Ok(Self::Two(Box::new(Two {
            runtime: handle,
            body,
            answer: Some(answer),
            heard: None,
        })))
    }

    /// Sends a piece of the body.
    fn say(&mut self, piece: &str) -> Result<()> {
        match self {
            Self::One(stream) => write!(stream.get_mut(), "{:x}\r\n{piece}\r\n", piece.len())?,
            Self::Two(two) => two.body.send_data(Bytes::copy_from_slice(piece.as_bytes()), false)?,
        }
        Ok(())
    }

    /// The head of the answer: under which configuration it was made.
    fn version(&mut self) -> Result<String> {
        match self {
            Self::One(stream) => {
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    ensure!(stream.read_line(&mut head)? > 0, "closed after {head:?}");
                }
                ensure!(head.starts_with("HTTP/1.1 200 "), "{head}");
                let line = head.lines().find_map(|line| line.strip_prefix("x-version: "));
                Ok(line.context(head.clone())?.to_owned())
            }
            Self::Two(two) => {
                let answer = two.answer.take().context("asked once")?;
                let answer = two
                    .runtime
                    .block_on(async { tokio::time::timeout(DEADLINE, answer).await })??;
                ensure!(answer.status() == 200, "{answer:?}");
                let version = answer
                    .headers()
                    .get(VERSION)
                    .context("no version")?
                    .to_str()?
                    .to_owned();
                two.heard = Some(answer.into_body());
                Ok(version)
            }
        }
    }

    /// Waits for this piece of the answer.
    fn hear(&mut self, piece: &str) -> Result<()> {
        let heard = match self {
            Self::One(stream) => {
                let mut line = String::new();
                stream.read_line(&mut line)?;
                let length: u64 = u64::from_str_radix(line.trim(), 16).with_context(|| format!("{line:?}"))?;
                let mut heard = String::new();
                stream.by_ref().take(length).read_to_string(&mut heard)?;
                stream.read_line(&mut line)?;
                heard
            }
            Self::Two(two) => {
                let body = two.heard.as_mut().context("no head yet")?;
                let data = two
                    .runtime
                    .block_on(async { tokio::time::timeout(DEADLINE, body.data()).await })?;
                let data = data.context("it has ended")??;
                body.flow_control().release_capacity(data.len())?;
                String::from_utf8(data.to_vec())?
            }
        };
        ensure!(heard == piece, "{heard:?} in place of {piece:?}");
        Ok(())
    }

    /// Ends the body, and waits for the clean end of the answer.
    fn end(self) -> Result<()> {
        match self {
            Self::One(mut stream) => {
                stream.get_mut().write_all(b"0\r\n\r\n")?;
                let mut rest = String::new();
                while !rest.ends_with("\r\n\r\n") && rest != "0\r\n\r\n" {
                    ensure!(stream.read_line(&mut rest)? > 0, "closed after {rest:?}");
                }
                ensure!(rest.starts_with("0\r\n"), "{rest:?}");
            }
            Self::Two(mut two) => {
                two.body.send_data(Bytes::new(), true)?;
                let mut body = two.heard.context("no head yet")?;
                let trailers = two.runtime.block_on(async {
                    ensure!(body.data().await.is_none(), "more of a body");
                    Ok(body.trailers().await?)
                })?;
                let trailers = trailers.context("no trailers")?;
                ensure!(trailers["grpc-status"] == "0", "{trailers:?}");
            }
        }
        Ok(())
    }
}

// === the story ===

/// Everything to one cluster; answers say which configuration they were made under.
fn routes(version: &str, cluster: &str) -> Value {
    let tell = json!([{"header": {"key": VERSION, "value": version}}]);
    resource::with(
        resource::all_to("flight", cluster),
        json!({"response_headers_to_add": tell}),
    )
}

/// What there is to begin with.
fn resources(to: SocketAddr, endpoint: SocketAddr) -> Vec<Value> {
    vec![
        resource::cluster("flight"),
        resource::assignment("flight", [endpoint]),
        resource::listener("flight", to, &[resource::chain(&resource::http_by_name("flight"))]),
        routes("1", "flight"),
    ]
}

/// The route leads elsewhere; its cluster gets another endpoint, then other settings, and is gone; the route is gone, and then the
/// listener. Each of it is in force for new requests before the next comes.
fn everything_changes(world: &World, server: &XdsServer, to: SocketAddr) -> Result<()> {
    let url = format!("http://{to}/");
    let asked = |enough: &dyn Fn(&str) -> bool| {
        wait::until(DEADLINE, || {
            let answer = clients::curl(&world.client, &["-i", "--max-time", "5", &url]).unwrap_or_default();
            enough(&answer).then_some(())
        })
    };
    server.apply(&[routes("2", "web")])?;
    asked(&|answer| answer.contains("x-version: 2"))?;
    server.apply(&[world.endpoints("flight", &[1])])?;
    server.apply(&[resource::with(
        resource::cluster("flight"),
        json!({"lb_policy": "RANDOM"}),
    )])?;
    server.remove("Cluster", &["flight"])?;
    server.apply(&[resource::routes("flight", &[])])?;
    asked(&|answer| answer.starts_with("HTTP/1.1 404 "))?;
    server.remove("Listener", &["flight"])?;
    // Nobody is at the address itself.
    asked(&str::is_empty)
}

fn ends_as_it_began(world: &World, server: &XdsServer, spoken: Spoken, moment: Moment, number: u16) -> Result<()> {
    let to = world.vip(SERVICE + number);
    let at = world.replicas[0].pod().at(world.family, ENDPOINT + number);
    let endpoint = Endpoint::start(world, at)?;
    server.apply(&resources(to, at))?;
    // Workers have a configuration a moment after it was acknowledged.
    let mut client = wait::until(DEADLINE, || {
        let mut client = Client::begin(world, to, spoken).ok()?;
        client.say("one").ok()?;
        endpoint.begun.recv_timeout(HESITATION).ok()?;
        Some(client)
    })?;
    if moment == Moment::BeforeTheHead {
        everything_changes(world, server, to)?;
    }
    endpoint.may_answer.send(true)?;
    let version = client.version()?;
    ensure!(version == "1", "made under {version}");
    client.hear("one")?;
    if moment == Moment::InTheBodies {
        everything_changes(world, server, to)?;
    }
    for piece in ["two", "three"] {
        client.say(piece)?;
        client.hear(piece)?;
    }
    client.end()
}

#[test]
fn a_request_in_flight_ends_on_the_configuration_that_it_began_with() -> Result<()> {
    for (family, protocol) in Family::BOTH.into_iter().zip(Protocol::BOTH) {
        let (world, server, _mesh) = World::meshed(family, protocol)?;
        let mut number = 0;
        for spoken in Spoken::ALL {
            for moment in [Moment::BeforeTheHead, Moment::InTheBodies] {
                number += 1;
                ends_as_it_began(&world, &server, spoken, moment, number)
                    .with_context(|| format!("{family:?} {protocol:?} {spoken:?} {moment:?}"))?;
            }
        }
    }
    Ok(())
}
