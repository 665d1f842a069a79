//! Endpoints that answer with what reached them, and with their name.

mod two;

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use evenkeel_tests::pod::Pod;

/// A header that makes the answer wait: milliseconds.
pub(crate) const DELAY: &str = "x-mirror-delay";
/// A header that has early hints sent before the answer.
pub(crate) const HINT: &str = "x-mirror-hint";
/// A header that has the head told as it came.
pub(crate) const VERBATIM: &str = "x-mirror-verbatim";
/// A header that has trailers sent after the answer.
pub(crate) const TRAILERS: &str = "x-mirror-trailers";

/// An endpoint of HTTP that is running.
pub(crate) struct Mirror(Arc<AtomicUsize>);

impl Mirror {
    /// Serves HTTP/1.1 and HTTP/2 at an address of the pod for as long as the test runs.
    pub(crate) fn start(pod: &Pod, name: &'static str, at: SocketAddr) -> Result<Self> {
        let open = Arc::new(AtomicUsize::new(0));
        let connections = Arc::clone(&open);
        serve(pod.listen(at)?, move |stream| {
            connections.fetch_add(1, Ordering::SeqCst);
            let told = if begins_http2(&stream)? {
                two::answers(stream, name)
            } else {
                answers(stream, name)
            };
            connections.fetch_sub(1, Ordering::SeqCst);
            told
        });
        Ok(Self(open))
    }

    /// Connections to it that are open.
    pub(crate) fn connections(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Whether a connection begins as HTTP/2 does; its bytes stay.
fn begins_http2(stream: &TcpStream) -> Result<bool> {
    let mut start = [0; 4];
    let read = stream.peek(&mut start)?;
    Ok(&start[..read] == b"PRI ")
}

/// Answers the first bytes of every connection with its name, whatever they are.
pub(crate) fn bytes(pod: &Pod, name: &'static str, at: SocketAddr) -> Result<()> {
    serve(pod.listen(at)?, move |mut stream| {
        stream.read_exact(&mut [0])?;
        // As an answer of HTTP, so that one reader reads both.
        stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len()).as_bytes())?;
        // To close with bytes unread would be a reset, and might overtake the answer.
        std::io::copy(&mut stream, &mut std::io::sink())?;
        Ok(())
    });
    Ok(())
}

/// A connection that fails is its client's business.
fn serve(listener: TcpListener, story: impl Fn(TcpStream) -> Result<()> + Clone + Send + 'static) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let story = story.clone();
            thread::spawn(move || story(stream));
        }
    });
}

fn answers(stream: TcpStream, name: &str) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let number = |name: &str| Some(field(&head, name)?.parse::<u64>().unwrap_or_default());
        let length = number("content-length").unwrap_or_default();
        std::io::copy(&mut (&mut stream).take(length), &mut std::io::sink())?;
        let to = stream.get_mut();
        if number(HINT).is_some() {
            to.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")?;
        }
        if let Some(delay) = number(DELAY) {
            thread::sleep(Duration::from_millis(delay));
        }
        let body = if number(VERBATIM).is_some() {
            head.clone()
        } else {
            told(&head)
        };
        let length = body.len();
        let fields = format!("x-mirror: {name}\r\nX-One: 1\r\nx-two: 2\r\nserver: mirror");
        let answer = if number(TRAILERS).is_some() {
            let chunk = format!("{length:x}\r\n{body}\r\n0\r\nx-trailer: t\r\n\r\n");
            format!("HTTP/1.1 200 OK\r\n{fields}\r\ntransfer-encoding: chunked\r\n\r\n{chunk}")
        } else {
            format!("HTTP/1.1 200 OK\r\n{fields}\r\ncontent-length: {length}\r\n\r\n{body}")
        };
        to.write_all(answer.as_bytes())?;
    }
}

/// The request line, and the fields in the order of their names.
fn told(head: &str) -> String {
    let mut lines = head.trim_end().split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let mut fields: Vec<String> = lines.filter_map(lower).collect();
    // Lines of the same name keep their order.
    fields.sort_by(|one, other| one.split(':').next().cmp(&other.split(':').next()));
    [vec![first], fields].concat().join("\n")
}

fn lower(line: &str) -> Option<String> {
    let (name, value) = line.split_once(':')?;
    Some(format!("{}: {}", name.to_ascii_lowercase(), value.trim()))
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
