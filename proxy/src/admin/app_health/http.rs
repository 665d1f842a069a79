//! A probe by HTTP/1.1, asked as the kubelet asks: up is what answers with neither 4xx nor 5xx.
//!
//! A redirect is not followed. It is an answer of an application that is up, and where it leads was not configured.

use super::Down;
use bytes::Bytes;
use evenkeel_control_api::mesh::settings::HttpQuestion;
use http_body_util::BodyExt;
use http_body_util::Empty;
use http_body_util::LengthLimitError;
use http_body_util::Limited;
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header;
use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::task::JoinSet;

/// Of an answer's body; what comes after it does not matter.
const BODY_LIMIT: usize = 10 << 10;

pub(super) async fn ask<S>(
    stream: S,
    address: SocketAddr,
    question: &HttpQuestion,
    agent: Option<HeaderValue>,
) -> Result<(), Down>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = request(address, question, agent)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Down::broken)?;
    // It ends with this probe, however far it is.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let response = sender.send_request(request).await.map_err(Down::broken)?;
    let status = response.status();
    if status.is_client_error() || status.is_server_error() || status.is_informational() {
        return Err(Down::Status(status));
    }
    match Limited::new(response.into_body(), BODY_LIMIT).collect().await {
        Err(error) if !error.is::<LengthLimitError>() => Err(Down::Broken(error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn request(
    address: SocketAddr,
    question: &HttpQuestion,
    agent: Option<HeaderValue>,
) -> Result<Request<Empty<Bytes>>, Down> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = question.path.clone().into();
    let own_host = HeaderValue::try_from(address.to_string()).map_err(Down::broken)?;
    let fields = request.headers_mut();
    fields.insert(header::HOST, question.host.clone().unwrap_or(own_host));
    fields.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(agent) = agent {
        fields.insert(header::USER_AGENT, agent);
    }
    // What is configured goes before what is usual.
    for (name, _) in &question.headers {
        fields.remove(name);
    }
    for (name, value) in &question.headers {
        fields.append(name, value.clone());
    }
    Ok(request)
}
