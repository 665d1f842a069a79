//! A server that does what it is told, step by step, the wrong things too: banners, silence, half-closes, resets.
//!
//! One conversation per expected connection; what each connection was like is told afterwards, in the order in which
//! they ended. A connection beyond the last conversation is closed at once, and counted.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use socket2::SockRef;

use crate::namespace::Namespace;

/// How long a step may wait for the peer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One thing that the server does.
#[derive(Debug)]
pub enum Step {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Read until these bytes have been received.
    Receive(Vec<u8>),
    /// Read until the peer ends, by FIN or by reset.
    ReceiveEnd,
    /// Wait until the test says so, by sending or by dropping its end.
    WaitFor(Receiver<()>),
    /// Send FIN, and go on reading.
    HalfClose,
    /// Reset the connection; the last step.
    Reset,
}

/// How the peer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Not yet, when the conversation was over.
    Open,
    /// With a FIN.
    Closed,
    /// With a reset.
    Reset,
}

/// What a connection was like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// Everything that was received.
    pub received: Vec<u8>,
    /// How the peer ended.
    pub end: End,
}

/// A scripted server; it stops listening when dropped.
#[derive(Debug)]
pub struct Script {
    listener: Arc<TcpListener>,
    accepted: Arc<AtomicU32>,
    stories: Receiver<Result<Story>>,
}

// === impl Script ===

impl Script {
    /// Listens at `at` in the namespace.
    pub fn start(inside: &Namespace, at: SocketAddr, conversations: Vec<Vec<Step>>) -> Result<Self> {
        let listener = Arc::new(inside.listen(at)?);
        let accepted = Arc::new(AtomicU32::new(0));
        let (tell, stories) = channel();
        let (own, count) = (Arc::clone(&listener), Arc::clone(&accepted));
        std::thread::spawn(move || serve(&own, &count, conversations, &tell));
        Ok(Self {
            listener,
            accepted,
            stories,
        })
    }

    /// How many connections have been accepted.
    pub fn accepted(&self) -> u32 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// The next conversation that has ended; an error when one of its steps could not be done.
    pub fn story(&self) -> Result<Story> {
        self.stories
            .recv_timeout(PATIENCE)
            .context("no conversation has ended")?
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Wakes the accept. It can only fail when nobody listens any more.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
    }
}

/// Ends a connection with a reset instead of a FIN.
pub fn reset(stream: TcpStream) -> Result<()> {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    drop(stream);
    Ok(())
}

/// Connects from inside `from`, says something, and hears everything to the end. A reset may be as early as the
/// connection itself: the redirection has accepted it before anybody knows that it will be refused.
pub fn ask(from: &Namespace, to: SocketAddr, say: &[u8]) -> Result<Story> {
    let heard = from.connect(to).and_then(|mut stream| {
        stream.write_all(say)?;
        read_to_end(&mut stream)
    });
    match heard {
        Err(error) if is_reset(&error) => Ok(Story {
            received: Vec::new(),
            end: End::Reset,
        }),
        other => other,
    }
}

fn is_reset(error: &anyhow::Error) -> bool {
    let kinds = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    kinds
        .into_iter()
        .any(|kind| matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}

/// Everything that the peer still sends, and how it ends.
pub fn read_to_end(stream: &mut TcpStream) -> Result<Story> {
    let mut received = Vec::new();
    let end = read_until(stream, &mut received, |_| false)?;
    Ok(Story { received, end })
}

fn serve(listener: &TcpListener, accepted: &AtomicU32, conversations: Vec<Vec<Step>>, tell: &Sender<Result<Story>>) {
    let mut conversations = conversations.into_iter();
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        accepted.fetch_add(1, Ordering::SeqCst);
        let Some(steps) = conversations.next() else { continue };
        let tell = tell.clone();
        std::thread::spawn(move || {
            // Nobody may be listening to the stories any more, and that is fine.
            let _ = tell.send(converse(stream, steps));
        });
    }
}

fn converse(mut stream: TcpStream, steps: Vec<Step>) -> Result<Story> {
    stream.set_nodelay(true)?;
    let mut story = Story {
        received: Vec::new(),
        end: End::Open,
    };
    for step in steps {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes)?,
            Step::Receive(wanted) => {
                let seen = |received: &[u8]| received.windows(wanted.len()).any(|window| window == wanted);
                story.end = read_until(&mut stream, &mut story.received, seen)?;
                if story.end != End::Open {
                    bail!("{:?} before {wanted:?}: {story:?}", story.end);
                }
            }
            Step::ReceiveEnd => story.end = read_until(&mut stream, &mut story.received, |_| false)?,
            Step::WaitFor(word) => drop(word.recv_timeout(PATIENCE)),
            Step::HalfClose => stream.shutdown(Shutdown::Write)?,
            Step::Reset => {
                reset(stream)?;
                return Ok(story);
            }
        }
    }
    Ok(story)
}

fn read_until(stream: &mut TcpStream, received: &mut Vec<u8>, enough: impl Fn(&[u8]) -> bool) -> Result<End> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 16 << 10];
    while !enough(received) {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(End::Closed),
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(End::Reset),
            Err(error) => return Err(error).context(format!("after {received:?}")),
        }
    }
    Ok(End::Open)
}
