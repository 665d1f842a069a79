//! The gRPC service `evenkeel.test.Echo`, all four kinds of call, and on request the health service that kubelets ask.

use std::sync::Arc;

use anyhow::Result;
use evenkeel_tests::grpc::Deframer;
use evenkeel_tests::grpc::Echo;
use evenkeel_tests::grpc::Kind;
use evenkeel_tests::grpc::REPEATS;
use evenkeel_tests::grpc::frame;
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use http_body_util::channel::Sender;
use hyper::Request;
use hyper::Response;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderMap;
use hyper::header::HeaderValue;

use crate::Replica;
use crate::http::Answer;
use crate::http::whole;

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Health {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Answers that may wait for the client to read them.
const QUEUE: usize = 16;

/// The one method of the health service that a probe calls.
const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// `SERVING`.
const SERVING: i32 = 1;

const NOT_FOUND: &str = "5";
const UNIMPLEMENTED: &str = "12";
const INTERNAL: &str = "13";

/// The answer to a call; its messages follow from a task of their own, as the client's arrive.
pub(crate) async fn answer(request: Request<Incoming>, replica: Arc<Replica>) -> Answer {
    if let Some(known) = replica.health.as_ref().filter(|_| request.uri().path() == HEALTH) {
        return health(request.into_body(), known).await;
    }
    let Some(kind) = Kind::from_path(request.uri().path()) else {
        return refused(UNIMPLEMENTED);
    };
    let (mut replies, body) = Channel::<Bytes, hyper::Error>::new(QUEUE);
    tokio::spawn(async move {
        let outcome = converse(kind, request.into_body(), &mut replies, &replica.name).await;
        // The send fails when the client has gone, and then there is nobody to tell.
        let _ = replies
            .send_trailers(status(if outcome.is_ok() { "0" } else { INTERNAL }))
            .await;
    });
    let mut answer = Response::new(body.boxed());
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}

/// Trailers-only: the status travels in the head.
fn refused(code: &'static str) -> Answer {
    let mut answer = Response::new(whole(""));
    answer.headers_mut().extend(status(code));
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}

/// Of the service that is `known`, and of the whole server.
async fn health(body: Incoming, known: &str) -> Answer {
    let mut deframer = Deframer::default();
    if let Ok(body) = body.collect().await {
        deframer.push(&body.to_bytes());
    }
    // The question has one field, the name, as a message of the other service has first.
    match deframer.message() {
        Ok(Some(asked)) if asked.text.is_empty() || asked.text == known => {}
        Ok(Some(_)) => return refused(NOT_FOUND),
        Ok(None) | Err(_) => return refused(INTERNAL),
    }
    let (mut replies, body) = Channel::<Bytes, hyper::Error>::new(QUEUE);
    tokio::spawn(async move {
        // Sends fail when the client has gone, and then there is nobody to tell.
        let _ = replies.send_data(frame(&Health { status: SERVING })).await;
        let _ = replies.send_trailers(status("0")).await;
    });
    let mut answer = Response::new(body.boxed());
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}

async fn converse(kind: Kind, mut body: Incoming, replies: &mut Sender<Bytes, hyper::Error>, name: &str) -> Result<()> {
    let mut deframer = Deframer::default();
    let mut texts = Vec::new();
    while let Some(part) = body.frame().await {
        let Ok(data) = part?.into_data() else { continue };
        deframer.push(&data);
        while let Some(message) = deframer.message().map_err(|broken| anyhow::anyhow!("{broken:?}"))? {
            match kind {
                Kind::Bidirectional => say(replies, &message.text, name).await?,
                Kind::Unary | Kind::ClientStream | Kind::ServerStream => texts.push(message.text),
            }
        }
    }
    deframer.finish().map_err(|broken| anyhow::anyhow!("{broken:?}"))?;
    let answers = match kind {
        Kind::Bidirectional => 0,
        Kind::Unary | Kind::ClientStream => 1,
        Kind::ServerStream => REPEATS,
    };
    for _ in 0..answers {
        say(replies, &texts.concat(), name).await?;
    }
    Ok(())
}

async fn say(replies: &mut Sender<Bytes, hyper::Error>, text: &str, name: &str) -> Result<()> {
    Ok(replies
        .send_data(frame(&Echo {
            text: text.to_owned(),
            replica: name.to_owned(),
        }))
        .await?)
}

fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        hyper::header::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static(code),
    )])
}
