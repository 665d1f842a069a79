//! Both directions at once, half-close and reset carried over: opaque connections, upgraded ones and CONNECT.
//!
//! ```text
//!  down --- read --> [ unsent | pipe ] -- write --> up        FIN from down: deliver what waits, then FIN to up
//!  down <-- write -- [ unsent | pipe ] <-- read --- up        reset from either: reset to the other
//! ```

mod direction;
mod look;

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep_until;

use crate::net::backlog::Backlog;
use crate::net::relay::direction::Direction;
use crate::net::relay::direction::Fin;
use crate::net::relay::look::Look;
use crate::net::relay::look::Seen;
use crate::net::stream::Stream;

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who connected to us.
    Down,
    /// Whom we connected to.
    Up,
}

/// Bytes that were read from one side before the relay began, and are delivered to the other before anything else.
#[derive(Debug, Default)]
pub struct Early {
    /// Read from downstream.
    pub to_up: Vec<u8>,
    /// Read from upstream.
    pub to_down: Vec<u8>,
}

/// How a relay ended.
#[derive(Debug)]
pub enum Outcome {
    /// Both sides sent their FIN and everything was delivered.
    BothFinished,
    /// A side reset the connection, and the other side was given a reset.
    ResetBy(Side),
    /// A side failed in another way (keepalive, a route that is gone); the other side was given a reset.
    Failed(Side, io::Error),
    /// Nothing moved for the idle time.
    Idle,
    /// Too much waits for slow readers, and a side is one; both were given a reset.
    TooSlow,
}

/// Moves bytes both ways until both directions have ended.
///
/// `idle` is the time without a byte in either direction after which it gives up. `on_bytes` is told how many bytes a
/// side has just taken. Afterwards the caller drops both streams; where the outcome says that a reset was given,
/// dropping sends it. Dropping the future itself closes nothing and leaves nothing behind but what the streams have
/// not yet taken.
pub async fn relay(
    down: &mut Stream,
    up: &mut Stream,
    early: Early,
    idle: Option<Duration>,
    mut on_bytes: impl FnMut(Side, usize),
) -> Outcome {
    let mut both = Both {
        to_up: Direction::new(early.to_up),
        to_down: Direction::new(early.to_down),
    };
    let mut look = Look::new(idle);
    let mut alarm = pin!(sleep_until(look.next()));
    let mut backlog = Backlog::default();
    poll_fn(|cx| {
        let outcome = both.poll(cx, down, up);
        both.tell(&mut on_bytes);
        if outcome.is_ready() {
            return outcome;
        }
        match both.buffered() {
            0 => backlog.release(),
            bytes if backlog.poll_hold(cx, bytes).is_ready() => {
                down.reset_when_dropped();
                up.reset_when_dropped();
                return Poll::Ready(Outcome::TooSlow);
            }
            _ => {}
        }
        let half_closed = both.half_closed().map(|side| match side {
            Side::Down => (side, &*down),
            Side::Up => (side, &*up),
        });
        let seen = look.poll(cx, alarm.as_mut(), both.moved(), half_closed);
        seen.map(|seen| match seen {
            Seen::Quiet => Outcome::Idle,
            Seen::Gone(Side::Down, error) => broken(Side::Down, error, up),
            Seen::Gone(Side::Up, error) => broken(Side::Up, error, down),
        })
    })
    .await
}

/// The two directions.
#[derive(Debug)]
struct Both {
    to_up: Direction,
    to_down: Direction,
}

impl Both {
    fn poll(&mut self, cx: &mut Context<'_>, down: &mut Stream, up: &mut Stream) -> Poll<Outcome> {
        if let Err(error) = self.to_up.poll(cx, down, up, self.to_down.fin_of_its_reader()) {
            return Poll::Ready(broken(Side::Down, error, up));
        }
        if let Err(error) = self.to_down.poll(cx, up, down, self.to_up.fin_of_its_reader()) {
            return Poll::Ready(broken(Side::Up, error, down));
        }
        // The write that has just failed may have consumed the socket's error, and no event need follow it.
        if self.to_down.is_severed()
            && let Err(error) = self.to_up.poll(cx, down, up, Fin::Withheld)
        {
            return Poll::Ready(broken(Side::Down, error, up));
        }
        if !(self.to_up.has_ended() && self.to_down.has_ended()) {
            return Poll::Pending;
        }
        Poll::Ready(match (self.to_up.sever_error(), self.to_down.sever_error()) {
            (None, None) => Outcome::BothFinished,
            (Some(error), _) => broken(Side::Up, error, down),
            (None, Some(error)) => broken(Side::Down, error, up),
        })
    }

    /// Bytes that were read and not taken. What waits in pipes is bounded by their number.
    fn buffered(&self) -> usize {
        self.to_up.buffered() + self.to_down.buffered()
    }

    fn tell(&mut self, on_bytes: &mut impl FnMut(Side, usize)) {
        for (side, direction) in [(Side::Up, &mut self.to_up), (Side::Down, &mut self.to_down)] {
            match direction.newly_moved() {
                0 => {}
                count => on_bytes(side, count),
            }
        }
    }

    fn moved(&self) -> u64 {
        self.to_up.told() + self.to_down.told()
    }

    /// The side that sent its FIN while the other is still to send.
    fn half_closed(&self) -> Option<Side> {
        match (self.to_up.has_ended(), self.to_down.has_ended()) {
            (true, false) => Some(Side::Down),
            (false, true) => Some(Side::Up),
            (true, true) | (false, false) => None,
        }
    }
}

/// Books the end of one side, and arms the reset of the other.
fn broken(side: Side, error: io::Error, other: &Stream) -> Outcome {
    other.reset_when_dropped();
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => Outcome::ResetBy(side),
        _ => Outcome::Failed(side, error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::io::DuplexStream;
    use tokio::io::duplex;
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;
    use crate::net::testing::FAMILIES;
    use crate::net::testing::read_pattern;
    use crate::net::testing::tcp_pair;
    use crate::net::testing::write_pattern;

    type Running = JoinHandle<(Outcome, u64, u64)>;

    fn start(mut down: Stream, mut up: Stream, early: Early, idle: Option<Duration>) -> Running {
        tokio::spawn(async move {
            let (mut to_up, mut to_down) = (0, 0);
            let outcome = relay(&mut down, &mut up, early, idle, |side, count| match side {
                Side::Up => to_up += count as u64,
                Side::Down => to_down += count as u64,
            })
            .await;
            (outcome, to_up, to_down)
        })
    }

    async fn over_tcp(ip: IpAddr, early: Early) -> (TcpStream, TcpStream, Running) {
        let (client, down) = tcp_pair(ip).await;
        let (up, server) = tcp_pair(ip).await;
        (client, server, start(down.into(), up.into(), early, None))
    }

    fn in_process(idle: Option<Duration>) -> (DuplexStream, DuplexStream, Running) {
        let (client, down) = duplex(1024);
        let (up, server) = duplex(1024);
        let running = start(Stream::from(down), Stream::from(up), Early::default(), idle);
        (client, server, running)
    }

    async fn say<W: AsyncWriteExt + Unpin>(to: &mut W, text: &str) {
        to.write_all(text.as_bytes()).await.unwrap();
    }

    async fn hear<R: AsyncReadExt + Unpin>(from: &mut R, text: &str) {
        let mut bytes = vec![0; text.len()];
        from.read_exact(&mut bytes).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }

    async fn hear_end<R: AsyncReadExt + Unpin>(from: &mut R) {
        assert_eq!(from.read(&mut [0; 16]).await.unwrap(), 0);
    }

    async fn hear_reset(from: &mut TcpStream) {
        let error = from.read(&mut [0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_server_may_answer_after_the_fin_of_its_client() {
        for ip in FAMILIES {
            let (mut client, mut server, running) = over_tcp(ip, Early::default()).await;
            say(&mut client, "question").await;
            client.shutdown().await.unwrap();
            hear(&mut server, "question").await;
            hear_end(&mut server).await;
            say(&mut server, "answer").await;
            hear(&mut client, "answer").await;
            say(&mut server, "more").await;
            drop(server);
            hear(&mut client, "more").await;
            hear_end(&mut client).await;
            assert!(matches!(running.await.unwrap(), (Outcome::BothFinished, 8, 10)));
        }
    }

    #[tokio::test]
    async fn a_client_may_go_on_after_the_fin_of_its_server() {
        for ip in FAMILIES {
            let (mut client, mut server, running) = over_tcp(ip, Early::default()).await;
            server.shutdown().await.unwrap();
            hear_end(&mut client).await;
            say(&mut client, "still here").await;
            hear(&mut server, "still here").await;
            drop(client);
            hear_end(&mut server).await;
            assert!(matches!(running.await.unwrap(), (Outcome::BothFinished, 10, 0)));
        }
    }

    #[tokio::test]
    async fn half_close_is_carried_between_in_process_streams_too() {
        let (mut client, mut server, running) = in_process(None);
        client.shutdown().await.unwrap();
        hear_end(&mut server).await;
        say(&mut server, "answer").await;
        drop(server);
        hear(&mut client, "answer").await;
        hear_end(&mut client).await;
        assert!(matches!(running.await.unwrap(), (Outcome::BothFinished, 0, 6)));
    }

    #[tokio::test]
    async fn a_reset_by_the_client_reaches_the_server_after_what_it_said() {
        for ip in FAMILIES {
            let (mut client, mut server, running) = over_tcp(ip, Early::default()).await;
            say(&mut client, "last words").await;
            hear(&mut server, "last words").await;
            Stream::from(client).reset();
            hear_reset(&mut server).await;
            assert!(matches!(running.await.unwrap().0, Outcome::ResetBy(Side::Down)));
        }
    }

    #[tokio::test]
    async fn a_reset_by_the_server_reaches_the_client_after_what_it_said() {
        for ip in FAMILIES {
            let (mut client, mut server, running) = over_tcp(ip, Early::default()).await;
            say(&mut server, "last words").await;
            Stream::from(server).reset();
            hear(&mut client, "last words").await;
            hear_reset(&mut client).await;
            assert!(matches!(running.await.unwrap().0, Outcome::ResetBy(Side::Up)));
        }
    }

    #[tokio::test]
    async fn a_server_that_answers_and_closes_in_mid_upload_is_heard_and_then_reset() {
        let (mut client, mut server, running) = over_tcp(FAMILIES[0], Early::default()).await;
        say(&mut client, "upload").await;
        assert_eq!(server.peek(&mut [0; 6]).await.unwrap(), 6);
        say(&mut server, "no").await;
        // Closing with unread bytes is what makes Linux send a reset.
        drop(server);
        hear(&mut client, "no").await;
        hear_reset(&mut client).await;
        assert!(matches!(running.await.unwrap().0, Outcome::ResetBy(Side::Up)));
    }

    #[tokio::test]
    async fn what_a_dead_reader_had_said_is_delivered_without_a_clean_end() {
        // In process a dead peer shows only when it is written to, and its last words are still to be read then.
        let (client, down) = tcp_pair(FAMILIES[0]).await;
        let (up, mut server) = duplex(1024);
        let mut client = client;
        say(&mut server, "last words").await;
        drop(server);
        let early = Early {
            to_up: b"too late".to_vec(),
            to_down: Vec::new(),
        };
        let running = start(down.into(), Stream::from(up), early, None);
        hear(&mut client, "last words").await;
        hear_reset(&mut client).await;
        assert!(matches!(running.await.unwrap().0, Outcome::ResetBy(Side::Up)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_resets_after_its_fin_is_noticed_while_the_server_is_silent() {
        let (mut client, mut server, running) = over_tcp(FAMILIES[0], Early::default()).await;
        client.shutdown().await.unwrap();
        hear_end(&mut server).await;
        Stream::from(client).reset();
        assert!(matches!(running.await.unwrap().0, Outcome::ResetBy(Side::Down)));
        let error = server.write(b"anybody?").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn early_bytes_come_first_both_ways() {
        let early = Early {
            to_up: b"hello ".to_vec(),
            to_down: b"welcome ".to_vec(),
        };
        let (mut client, mut server, running) = over_tcp(FAMILIES[0], early).await;
        say(&mut client, "server").await;
        say(&mut server, "client").await;
        hear(&mut server, "hello server").await;
        hear(&mut client, "welcome client").await;
        drop((client, server));
        assert!(matches!(running.await.unwrap(), (Outcome::BothFinished, 12, 14)));
    }

    #[tokio::test]
    async fn large_flows_arrive_unchanged_by_copy_and_by_splice_with_a_fin_on_their_heels() {
        const TOTAL: usize = 64 * 1024 * 1024 + 17;
        for ip in FAMILIES {
            let (mut client, mut server, running) = over_tcp(ip, Early::default()).await;
            let (sent, got) = tokio::join!(write_pattern(&mut client, TOTAL), read_pattern(&mut server));
            assert_eq!(got, (TOTAL, sent));
            drop(server);
            assert!(matches!(running.await.unwrap(), (Outcome::BothFinished, moved, 0) if moved == TOTAL as u64));
        }
        let (mut client, mut server, running) = in_process(None);
        let (sent, got) = tokio::join!(write_pattern(&mut server, TOTAL), read_pattern(&mut client));
        assert_eq!(got, (TOTAL, sent));
        drop(client);
        assert!(matches!(running.await.unwrap(), (Outcome::BothFinished, 0, moved) if moved == TOTAL as u64));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_is_noticed_within_a_quarter_more_than_its_time_and_only_after_the_last_byte() {
        let idle = Duration::from_mins(1);
        let (mut client, mut server, running) = in_process(Some(idle));
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(50)).await;
            say(&mut client, "ping").await;
            hear(&mut server, "ping").await;
        }
        let last = Instant::now();
        assert!(matches!(running.await.unwrap(), (Outcome::Idle, 40, 0)));
        let quiet = last.elapsed();
        assert!(idle <= quiet && quiet <= idle * 5 / 4, "{quiet:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_idle_time_silence_lasts_as_long_as_it_likes() {
        let (mut client, mut server, running) = in_process(None);
        tokio::time::advance(Duration::from_hours(24)).await;
        say(&mut client, "ping").await;
        hear(&mut server, "ping").await;
        assert!(!running.is_finished());
    }

    #[tokio::test]
    async fn a_message_costs_a_bounded_number_of_polls() {
        let (mut client, down) = tcp_pair(FAMILIES[0]).await;
        let (up, mut server) = tcp_pair(FAMILIES[0]).await;
        let (mut down, mut up) = (Stream::Tcp(down), Stream::Tcp(up));
        let mut polls = 0;
        let mut relaying = pin!(relay(&mut down, &mut up, Early::default(), None, |_, _| {}));
        let counted = poll_fn(|cx| {
            polls += 1;
            relaying.as_mut().poll(cx)
        });
        let talk = async {
            for _ in 0..200 {
                say(&mut client, "ping").await;
                hear(&mut server, "ping").await;
                say(&mut server, "pong").await;
                hear(&mut client, "pong").await;
            }
            drop((client, server));
        };
        tokio::spawn(talk);
        let outcome = counted.await;
        assert!(matches!(outcome, Outcome::BothFinished));
        assert!(polls <= 200 * 2 + 10, "{polls} polls for 400 messages");
    }
}
