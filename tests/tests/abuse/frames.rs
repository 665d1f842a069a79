//! HTTP/2 frames by hand (RFC 9113 4.1), and a connection that pours them out.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use anyhow::bail;
use evenkeel_tests::namespace::Namespace;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// `GET http://a/`, out of HPACK's static table (RFC 7541, appendix A).
pub(crate) const GET: &[u8] = b"\x82\x84\x86\x41\x01a";
/// `POST http://a/`.
pub(crate) const POST: &[u8] = b"\x83\x84\x86\x41\x01a";

/// A write that takes longer means that the proxy has stopped reading.
const STALLED: Duration = Duration::from_millis(300);
/// A read that takes longer means that the test is wrong.
const PATIENCE: Duration = Duration::from_secs(40);

/// The payload of the PING that asks whether everything was gone through.
const LAST: &[u8] = b"the last";

/// Nine bytes of head and a payload.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A setting (RFC 9113 6.5.1).
pub(crate) fn setting(number: u16, value: u32) -> Vec<u8> {
    [number.to_be_bytes().as_slice(), &value.to_be_bytes()].concat()
}

/// What came of pouring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Poured {
    /// Everything was taken.
    All,
    /// The proxy reads no more, and the connection stands.
    Stalled,
    /// The proxy has ended the connection.
    Ended,
}

/// A client's connection.
pub(crate) struct Connection(TcpStream);

// === impl Connection ===

impl Connection {
    /// Connects, and says the preface and these settings.
    pub(crate) fn open(from: &Namespace, to: SocketAddr, settings: &[u8]) -> Result<Self> {
        let mut stream = from.connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(STALLED))?;
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat())?;
        Ok(Self(stream))
    }

    /// Sends all pieces, or as much of them as is taken. Nothing is read meanwhile.
    pub(crate) fn pour(&mut self, pieces: impl IntoIterator<Item = Vec<u8>>) -> Result<Poured> {
        for piece in pieces {
            match self.0.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Poured::Stalled),
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    return Ok(Poured::Ended);
                }
                Err(error) => bail!("a frame could not be sent: {error}"),
            }
        }
        Ok(Poured::All)
    }

    /// Waits until the proxy has gone through everything: it answers a last PING, or it has ended the connection.
    pub(crate) fn settles(&mut self) -> Result<()> {
        self.0.set_write_timeout(Some(PATIENCE))?;
        if self.pour([frame(PING, 0, 0, LAST)])? == Poured::Ended {
            return Ok(());
        }
        while let Some((kind, payload)) = self.next()? {
            if kind == PING && payload == LAST {
                break;
            }
        }
        Ok(())
    }

    /// Asks for a page, and reads it.
    pub(crate) fn exchange(&mut self) -> Result<()> {
        self.pour([frame(HEADERS, END_STREAM | END_HEADERS, 1, GET)])?;
        while let Some((kind, _)) = self.next()? {
            if kind == DATA {
                return self.settles();
            }
        }
        bail!("the connection ended before the page")
    }

    /// The next frame: its kind and payload; nothing when the proxy has ended the connection.
    fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        let mut head = [0; 9];
        if !self.read(&mut head)? {
            return Ok(None);
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        Ok(self.read(&mut payload)?.then_some((head[3], payload)))
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<bool> {
        match self.0.read_exact(bytes) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Ok(false),
            Err(error) => bail!("no frame: {error}"),
        }
    }
}
