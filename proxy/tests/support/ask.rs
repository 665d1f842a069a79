//! A request and its answer in the words of both versions, for what must hold in every pairing of them.

use super::Bench;
use super::server::Server;
use super::two;
use super::wire::Message;
use super::wire::Wire;
use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::Request;
use http::Response;
use std::fmt::Write;
use std::rc::Rc;

/// A body, whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Content {
    pub(crate) bytes: Bytes,
    pub(crate) trailers: HeaderMap,
}

pub(crate) type Ask = Request<Content>;
pub(crate) type Answer = Response<Content>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

/// The client's version and the endpoint's.
pub(crate) const PAIRINGS: [(Version, Version); 4] = [
    (Version::One, Version::One),
    (Version::One, Version::Two),
    (Version::Two, Version::One),
    (Version::Two, Version::Two),
];

impl Version {
    /// The protocol in a mesh document that makes the proxy speak this version upstream.
    pub(crate) fn protocol(self) -> &'static str {
        match self {
            Self::One => "http",
            Self::Two => "http2",
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self {
            bytes: Bytes::copy_from_slice(text.as_bytes()),
            trailers: HeaderMap::new(),
        }
    }
}

impl Server {
    /// A server that shows its own name.
    pub(crate) async fn named(version: Version, name: &'static str) -> Self {
        Self::answering(version, move |_| Answer::new(Content::from(name))).await
    }

    /// A server of `version` that answers what it is asked. It shows the authority as `host`, whatever the version.
    pub(crate) async fn answering(version: Version, answer: impl Fn(Ask) -> Answer + 'static) -> Self {
        let answer = Rc::new(answer);
        match version {
            Version::One => {
                Self::h1(async move |mut wire, _| {
                    while let Some(message) = wire.next_message().await {
                        let bodiless = message.head.starts_with("HEAD ");
                        if wire
                            .try_send(write_answer(&answer(read_ask(message)), bodiless))
                            .await
                            .is_err()
                        {
                            return;
                        }
                    }
                })
                .await
            }
            Version::Two => {
                Self::h2(async move |request, mut respond, _| {
                    let (mut head, body) = request.into_parts();
                    if let Some(authority) = head.uri.authority() {
                        head.headers.insert("host", authority.as_str().parse().unwrap());
                    }
                    let bodiless = head.method == "HEAD";
                    let Ok(content) = two::collect(body).await else { return };
                    let (head, content) = answer(Request::from_parts(head, content)).into_parts();
                    let end = bodiless || content == Content::default();
                    let mut send = respond.send_response(Response::from_parts(head, ()), end).unwrap();
                    if !end {
                        two::deliver(&mut send, &content);
                    }
                })
                .await
            }
        }
    }
}

impl Bench {
    /// Asks on a connection of its own.
    pub(crate) async fn ask(&self, version: Version, ask: Ask) -> Answer {
        match version {
            Version::One => {
                let mut client = self.http1().await;
                ask_wire(&mut client, &ask).await
            }
            Version::Two => {
                let mut client = self.http2().await;
                let (head, content) = ask.into_parts();
                let end = content == Content::default();
                let (response, mut send) = client.open(Request::from_parts(head, ()), end).await;
                if !end {
                    two::deliver(&mut send, &content);
                }
                two::whole(response.await.unwrap()).await.unwrap()
            }
        }
    }
}

/// Asks on a connection of HTTP/1 that may carry more.
pub(crate) async fn ask_wire(client: &mut Wire, ask: &Ask) -> Answer {
    client.send(write_ask(ask)).await;
    if ask.method() == "HEAD" {
        let head = client.head().await;
        return read_answer(Message {
            head,
            body: Vec::new(),
            trailers: String::new(),
        });
    }
    read_answer(client.message().await)
}

fn write_ask(ask: &Ask) -> Vec<u8> {
    let path = ask.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut head = format!("{} {path} HTTP/1.1\r\n", ask.method());
    if let Some(authority) = ask.uri().authority() {
        write!(head, "Host: {authority}\r\n").unwrap();
    }
    let content = ask.body();
    let none = *content == Content::default();
    finish(head, ask.headers(), content, none)
}

fn write_answer(answer: &Answer, bodiless: bool) -> Vec<u8> {
    let head = format!("HTTP/1.1 {}\r\n", answer.status());
    let bodiless = bodiless || [204, 304].contains(&answer.status().as_u16());
    finish(head, answer.headers(), answer.body(), bodiless)
}

fn finish(mut head: String, fields: &HeaderMap, content: &Content, bodiless: bool) -> Vec<u8> {
    write_fields(fields, &mut head);
    if bodiless {
        head.push_str("\r\n");
        return head.into_bytes();
    }
    let length = content.bytes.len();
    if content.trailers.is_empty() {
        write!(head, "Content-Length: {length}\r\n\r\n").unwrap();
        return [head.as_bytes(), &content.bytes].concat();
    }
    let mut tail = String::from("\r\n0\r\n");
    write_fields(&content.trailers, &mut tail);
    write!(head, "Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n").unwrap();
    [head.as_bytes(), &content.bytes, tail.as_bytes(), b"\r\n"].concat()
}

fn write_fields(fields: &HeaderMap, out: &mut String) {
    for (name, value) in fields {
        write!(out, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
    }
}

fn read_ask(message: Message) -> Ask {
    let mut words = message.line().split(' ');
    let mut ask = Request::new(Content::default());
    *ask.method_mut() = words.next().unwrap().parse().unwrap();
    *ask.uri_mut() = words.next().unwrap().parse().unwrap();
    *ask.headers_mut() = read_fields(message.head.lines().skip(1));
    *ask.body_mut() = read_content(message);
    ask
}

fn read_answer(message: Message) -> Answer {
    let mut answer = Response::new(Content::default());
    *answer.status_mut() = message.status().try_into().unwrap();
    *answer.headers_mut() = read_fields(message.head.lines().skip(1));
    *answer.body_mut() = read_content(message);
    answer
}

fn read_content(message: Message) -> Content {
    Content {
        trailers: read_fields(message.trailers.lines()),
        bytes: message.body.into(),
    }
}

fn read_fields<'a>(lines: impl Iterator<Item = &'a str>) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        fields.append(name.parse::<HeaderName>().unwrap(), value.trim().parse().unwrap());
    }
    fields
}
