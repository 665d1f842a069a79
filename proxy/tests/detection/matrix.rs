//! Who speaks first says what is spoken. The rows are what clients send, however it is split and however late; the columns
//! what servers do before they are spoken to. Each cell says what reaches the server, byte for byte, whether requests
//! were balanced, what the client hears, and that nobody waited for anything but the other end.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::client::Answered;
use crate::client::Client;
use crate::prologues;
use crate::prologues::Prologue;
use crate::prologues::Spoken;
use crate::prologues::is_undecided;
use crate::road::Road;
use crate::road::detections;
use crate::road::forget;
use crate::road::run_on_a_paused_clock;
use crate::server::ANSWER;
use crate::server::Deed;
use crate::server::Served;
use crate::server::Servers;
use crate::support::over_both_families;

/// Longer than any client hesitates in all.
const DEADLINE: Duration = Duration::from_secs(30);
/// Prologues up to here are split at every place.
const SHORT: usize = 50;
const MOST_SHOWN: usize = 10;
const VERDICTS: [&str; 6] = ["http1", "http2", "tls", "opaque", "server_first", "silent"];

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Two requests, each to another endpoint.
    Balanced,
    /// Requests, and no server that speaks HTTP.
    RefusedByMesh,
    /// One endpoint gets all bytes, and the client everything that it says.
    Relayed(&'static str),
    /// The client hears the reset of its server.
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    Whole,
    ByteByByte,
    At(usize),
}

#[derive(Clone, Copy, Debug)]
struct Case<'a> {
    prologue: &'a Prologue,
    deed: Deed,
    split: Split,
    /// Before the first piece and between two; of single bytes, all of their pauses together.
    delay: Duration,
    /// The client before this one is known to have spoken HTTP.
    known: bool,
}

#[test]
fn clients_that_speak_at_once() {
    all_in_process(Duration::ZERO);
}

#[test]
fn clients_that_hesitate_for_a_moment() {
    all_in_process(Duration::from_millis(1));
}

#[test]
fn clients_that_hesitate() {
    all_in_process(Duration::from_millis(60));
}

#[test]
fn clients_that_hesitate_for_long() {
    all_in_process(Duration::from_secs(1));
}

#[test]
fn clients_and_servers_on_sockets() {
    over_both_families(async || {
        let mut faults = Vec::new();
        for prologue in prologues::all() {
            for deed in Deed::ALL {
                let servers = Servers::new(&prologue, deed);
                let road = Road::over_loopback(&servers).await;
                for split in [Split::Whole, Split::At(prologue.bytes.len() / 2)] {
                    for &known in knowledge(&prologue, deed) {
                        let delay = Duration::from_millis(1);
                        let case = Case {
                            prologue: &prologue,
                            deed,
                            split,
                            delay,
                            known,
                        };
                        faults.extend(case.fault(&road, &servers).await);
                    }
                }
            }
        }
        show(&faults);
    });
}

fn all_in_process(delay: Duration) {
    run_on_a_paused_clock(async || {
        let mut faults = Vec::new();
        for prologue in prologues::all() {
            for deed in Deed::ALL {
                column(&prologue, deed, delay, &mut faults).await;
            }
        }
        show(&faults);
    });
}

/// One client against one server, in all splits; then the metrics say the same as the cells together.
async fn column(prologue: &Prologue, deed: Deed, delay: Duration, faults: &mut Vec<String>) {
    let servers = Servers::new(prologue, deed);
    let road = Road::in_process(&servers);
    let mut expected = BTreeMap::new();
    for split in splits(prologue) {
        for &known in knowledge(prologue, deed) {
            let case = Case {
                prologue,
                deed,
                split,
                delay,
                known,
            };
            for verdict in case.verdicts() {
                *expected.entry(verdict).or_default() += 1;
            }
            faults.extend(case.fault(&road, &servers).await);
        }
    }
    for verdict in VERDICTS {
        let (counted, expected) = (
            detections(&road.bench, verdict),
            expected.get(verdict).copied().unwrap_or(0),
        );
        if counted != expected {
            let name = prologue.name;
            faults.push(format!(
                "{name}, {deed:?}, {delay:?}: {counted} times {verdict}, not {expected}"
            ));
        }
    }
}

fn show(faults: &[String]) {
    let some = faults.iter().take(MOST_SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} cells are wrong:\n{some}", faults.len());
}

fn splits(prologue: &Prologue) -> Vec<Split> {
    let length = prologue.bytes.len();
    let places = if length <= SHORT {
        (1..length).collect()
    } else {
        let line = prologue
            .bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or(length / 3);
        vec![1, 5, line, line + 1, length / 2, length - 1]
    };
    let pieces = places.into_iter().map(Split::At);
    [Split::Whole, Split::ByteByByte].into_iter().chain(pieces).collect()
}

/// What is known of a destination counts where a server ends an idle connection under a client of HTTP.
fn knowledge(prologue: &Prologue, deed: Deed) -> &'static [bool] {
    if prologue.spoken.is_http() && deed.ends() {
        &[false, true]
    } else {
        &[false]
    }
}

impl Case<'_> {
    fn pieces(&self) -> Vec<&[u8]> {
        let bytes = self.prologue.bytes.as_slice();
        match self.split {
            Split::Whole => vec![bytes],
            Split::ByteByByte => bytes.chunks(1).collect(),
            Split::At(place) => vec![&bytes[..place], &bytes[place..]],
        }
    }

    /// A server is connected before it is known what the client speaks.
    fn is_raced(&self) -> bool {
        !self.delay.is_zero() || is_undecided(self.pieces()[0])
    }

    fn outcome(&self) -> Outcome {
        let spoken = self.prologue.spoken;
        let by_client = if spoken.is_http() {
            Outcome::Balanced
        } else {
            Outcome::Relayed(spoken.label())
        };
        match (self.deed, spoken) {
            (Deed::Banner, _) if self.is_raced() => Outcome::Relayed("server_first"),
            (Deed::Banner, Spoken::Http1 | Spoken::Http2) | (Deed::Settings, Spoken::Http1) => Outcome::RefusedByMesh,
            (Deed::TimeoutAndFin | Deed::Fin | Deed::Reset, _) if self.is_raced() && !self.known => match self.deed {
                Deed::TimeoutAndFin => Outcome::Relayed("server_first"),
                Deed::Fin => Outcome::Relayed("silent"),
                _ => Outcome::Reset,
            },
            _ => by_client,
        }
    }

    /// As the metrics call it; a client that made itself known beforehand is counted, too.
    fn verdicts(&self) -> impl Iterator<Item = &'static str> {
        let spoken = self.prologue.spoken.label();
        let verdict = match self.outcome() {
            Outcome::Balanced | Outcome::RefusedByMesh => Some(spoken),
            Outcome::Relayed(verdict) => Some(verdict),
            Outcome::Reset => None,
        };
        verdict.into_iter().chain(self.known.then_some(spoken))
    }

    /// What the client hears of its server before it is answered.
    fn greeting(&self) -> &'static [u8] {
        match self.outcome() {
            Outcome::Relayed(_) if self.is_raced() || !self.deed.is_for_idle() => self.deed.words(),
            _ => b"",
        }
    }

    /// What is wrong with this cell.
    async fn fault(&self, road: &Road, servers: &Servers) -> Option<String> {
        let told = timeout(DEADLINE, self.play(road, servers)).await;
        let fault = told.unwrap_or_else(|_| Err("somebody waits".to_owned())).err()?;
        let Self {
            split, delay, known, ..
        } = self;
        let (name, deed, outcome) = (self.prologue.name, self.deed, self.outcome());
        Some(format!(
            "{name}, {split:?} after {delay:?} (known: {known}), {deed:?}, not {outcome:?}: {fault}"
        ))
    }

    async fn play(&self, road: &Road, servers: &Servers) -> Result<(), String> {
        forget(&road.bench);
        road.settle().await;
        servers.served();
        if self.known {
            let mut client = road.connect(&self.prologue.bytes).await;
            client.answer(self.prologue.spoken, 1).await?;
            servers.served();
        }
        let mut client = self.speak(road, servers).await?;
        let asked = Instant::now();
        self.hear(road, &mut client).await?;
        let waited = asked.elapsed();
        let served = servers.served();
        self.check(&served)?;
        // On a clock that stands still while anybody has anything to do.
        if road.is_timeless() && !waited.is_zero() {
            return Err(format!("the client waited for {waited:?}"));
        }
        Ok(())
    }

    /// Sends the pieces; what is to be heard before the first is heard by then.
    async fn speak(&self, road: &Road, servers: &Servers) -> Result<Client, String> {
        let pieces = self.pieces();
        let pause = match self.split {
            Split::ByteByByte => self.delay / pieces.len() as u32,
            Split::Whole | Split::At(_) => self.delay,
        };
        let (early, late) = if self.delay.is_zero() {
            pieces.split_at(1)
        } else {
            (&[][..], &*pieces)
        };
        let (began, ready) = (Instant::now(), servers.ready());
        let mut client = road.connect(&early.concat()).await;
        if !road.is_timeless() {
            while servers.ready() == ready {
                tokio::task::yield_now().await;
            }
        } else if !self.delay.is_zero() {
            // What is no banner is held back until the client has spoken.
            let at_once = match self.outcome() {
                Outcome::Relayed("server_first") => self.greeting(),
                _ => b"",
            };
            let greeting = client.exactly(at_once.len()).await?;
            said(greeting == at_once && began.elapsed().is_zero(), || {
                format!("after {:?}: {:?}", began.elapsed(), greeting.escape_ascii().to_string())
            })?;
            client.unread(greeting);
        }
        for piece in late {
            if pause.is_zero() {
                road.settle().await;
            } else {
                sleep(pause).await;
            }
            client.send(piece).await;
        }
        Ok(client)
    }

    async fn hear(&self, road: &Road, client: &mut Client) -> Result<(), String> {
        match self.outcome() {
            Outcome::Balanced => {
                let spoken = self.prologue.spoken;
                let first = client.answer(spoken, 1).await?;
                let again = if spoken == Spoken::Http2 {
                    prologues::get(3)
                } else {
                    self.prologue.bytes.clone()
                };
                client.send(&again).await;
                let answers = [first, client.answer(spoken, 3).await?];
                let both = [[Answered::By(0), Answered::By(1)], [Answered::By(1), Answered::By(0)]];
                said(both.contains(&answers), || format!("answers {answers:?}"))
            }
            Outcome::RefusedByMesh => {
                let answer = client.answer(self.prologue.spoken, 1).await?;
                said(answer == Answered::ByMesh, || format!("{answer:?}"))
            }
            Outcome::Relayed(_) => {
                let answer = if self.is_raced() && self.deed.ends() {
                    b""
                } else {
                    ANSWER
                };
                let words = [self.greeting(), answer].concat();
                let heard = client.exactly(words.len()).await?;
                client.finish().await;
                let rest = client.rest().await.map_err(|error| error.to_string())?;
                road.settle().await;
                said(heard == words && rest.is_empty(), || {
                    format!("heard {:?}", [heard, rest].concat().escape_ascii().to_string())
                })
            }
            Outcome::Reset => {
                let end = client.rest().await;
                said(end.is_err(), || format!("heard {end:?}"))
            }
        }
    }

    /// Everything that reached a server, in whatever connection.
    fn check(&self, served: &[Served]) -> Result<(), String> {
        let request = match self.prologue.spoken {
            Spoken::Http2 => b"GET /",
            _ => self.prologue.bytes.as_slice(),
        };
        let wanted: &[&[u8]] = match self.outcome() {
            Outcome::Balanced => &[request, request],
            Outcome::Relayed(_) => &[&self.prologue.bytes],
            Outcome::Reset => &[],
            // Whatever it is to a server of another protocol.
            Outcome::RefusedByMesh => return Ok(()),
        };
        let right = served
            .iter()
            .map(|served| served.bytes.as_slice())
            .eq(wanted.iter().copied());
        said(right, || format!("reached a server: {served:?}"))
    }
}

fn said(right: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(otherwise()) }
}
