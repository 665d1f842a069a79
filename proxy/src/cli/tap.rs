//! `tap`: shows what a proxy tells of requests as they end.

mod lines;

use super::Failure;
use super::argument::Address;
use crate::telemetry::access_log::rfc3339;
use clap::Args;
use clap::ValueEnum;
use evenkeel_control_api::tap;
use evenkeel_control_api::tap::Event;
use evenkeel_control_api::tap::Header;
use evenkeel_control_api::tap::WatchRequest;
use evenkeel_control_api::tap::WatchResponse;
use lines::Lines;
use lines::Shown;
use serde_json::Value;
use serde_json::json;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;
use std::time::UNIX_EPOCH;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::time::sleep;

const TITLE: &str = "TIME          DIRECTION  STATUS         MS  METHOD   REQUEST                                   WAY, AND WHY IT FAILED\n";

/// For the last lines to be written where nobody may be reading, after an interrupt and at the end.
const GRACE: Duration = Duration::from_secs(1);

/// Which requests, and how they are shown.
#[derive(Args, Debug, PartialEq)]
pub(super) struct Options {
    /// Only this host, without a port; `*.test` is every host below `test`
    #[arg(long, value_name = "HOST", default_value = "")]
    host: String,
    /// Only paths that begin so
    #[arg(long, value_name = "PREFIX", default_value = "")]
    path: String,
    /// Only this method
    #[arg(long, value_name = "METHOD", default_value = "")]
    method: String,
    /// Only these statuses: 404, 5xx, 400-428 or 500+; may be given several times
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// Only with this client or endpoint: an address, or a network such as 10.1.0.0/16
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    peer: String,
    /// Only this way: to the application, or from it
    #[arg(long, value_enum)]
    direction: Option<Direction>,
    /// So many events a second at most; others are counted
    #[arg(long, value_name = "EVENTS", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// End after so many events
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// What it looks like
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    /// Show headers; their values are redacted
    #[arg(long)]
    headers: bool,
    /// And the value of this one; may be given several times
    #[arg(long, value_name = "NAME")]
    show_header: Vec<String>,
    /// And the values of all of them, whatever secrets they hold
    #[arg(long)]
    show_headers: bool,
    /// Where the proxy's admin port is
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:15000")]
    admin: Address,
}

/// Which side of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Direction {
    Inbound,
    Outbound,
}

/// What it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line of text for each event
    Table,
    /// A line of JSON for each event
    Json,
}

/// Shows events until there were enough, somebody interrupts, nobody reads any more, or the proxy ends; then says how many there were.
/// A reader who is away, as behind a pager that waits, costs lines, which are counted.
pub(super) async fn run(options: Options) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let out = lines(io::stdout())?;
    let watching = tokio::select! {
        watching = tap::watch(options.admin.as_str(), options.request()) => watching,
        () = signals.any() => return Ok(()),
    };
    let mut watching = watching.map_err(|error| Failure::Failed(format!("{}: {error}", options.admin)))?;
    if options.output == Output::Table {
        // A reader who is gone is noticed by the next line.
        let _ = out.show(TITLE.to_owned());
    }
    let mut sum = Sum::default();
    let (ended, grace) = tokio::select! {
        ended = follow(&options, &mut watching, &out, &mut sum) => (ended, None),
        () = signals.any() => (Ok(()), Some(GRACE)),
        () = out.gone() => (Ok(()), None),
    };
    let enough = async {
        match grace {
            Some(grace) => sleep(grace).await,
            None => signals.any().await,
        }
    };
    sum.leave(out.end(enough).await);
    let told = lines(io::stderr())?;
    let _ = told.show(sum.line());
    // Nothing is left to be told when stderr cannot be written.
    let _ = told.end(sleep(GRACE)).await;
    ended.map_err(|error| Failure::Failed(error.to_string()))
}

/// Shows events until there were enough, or nobody reads them.
async fn follow(
    options: &Options,
    watching: &mut tap::Watching,
    out: &Lines,
    sum: &mut Sum,
) -> Result<(), tap::Failure> {
    while options.count.is_none_or(|count| sum.shown < count) {
        sum.last = watching.next().await?;
        let Some(event) = &sum.last.event else { continue };
        match out.show(options.line(event)) {
            Shown::Taken => sum.shown += 1,
            Shown::Lost => sum.away += 1,
            Shown::Gone => break,
        }
    }
    Ok(())
}

fn lines(out: impl io::Write + Send + 'static) -> Result<Lines, Failure> {
    Lines::start(out).map_err(|error| Failure::Failed(format!("cannot start: {error}")))
}

/// What ends the command: an interrupt, or whoever stops processes.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::Failed(format!("cannot listen to signals: {error}")));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one of either.
    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// What was shown, and what was not.
#[derive(Debug, Default)]
struct Sum {
    shown: u64,
    /// For which there was no room, because nobody read.
    away: u64,
    last: WatchResponse,
}

impl Sum {
    /// So many of the lines were never written; the title may be one of them.
    fn leave(&mut self, lines: u64) {
        let left = lines.min(self.shown);
        self.shown -= left;
        self.away += left;
    }

    fn line(&self) -> String {
        let WatchResponse { limited, lost, .. } = self.last;
        let (shown, slow) = (self.shown, lost + self.away);
        format!("{shown} events; not shown: {limited} above --limit, {slow} because this reader was too slow\n")
    }
}

impl Options {
    fn request(&self) -> WatchRequest {
        let direction = match self.direction {
            None => "",
            Some(Direction::Inbound) => "inbound",
            Some(Direction::Outbound) => "outbound",
        };
        WatchRequest {
            host: self.host.clone(),
            path: self.path.clone(),
            method: self.method.clone(),
            status: self.status.clone(),
            peer: self.peer.clone(),
            direction: direction.to_owned(),
            per_second: self.limit,
            all_headers: self.show_headers,
            headers: self.show_header.clone(),
        }
    }

    fn line(&self, event: &Event) -> String {
        let headers = self.headers || self.show_headers || !self.show_header.is_empty();
        match self.output {
            Output::Table => row(event, headers),
            Output::Json => format!("{}\n", object(event)),
        }
    }
}

/// What is not known is `-`.
fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn row(event: &Event, headers: bool) -> String {
    let moment = rfc3339(UNIX_EPOCH + Duration::from_nanos(event.began));
    let time = moment.get(11..23).unwrap_or_default();
    let status = match (event.status, event.grpc_status) {
        (0, _) => "-".to_owned(),
        (status, ..0) => status.to_string(),
        (status, grpc) => format!("{status}/{grpc}"),
    };
    let request = if event.method.is_empty() {
        or_dash(&event.server_name).to_owned()
    } else {
        format!("{}{}", event.authority, event.path)
    };
    let mut out = format!(
        "{time}  {:<9}  {status:<6} {:>10.3}  {:<7}  {request:<40}  {} -> {}",
        event.direction,
        event.duration as f64 / 1_000.0,
        or_dash(&event.method),
        or_dash(&event.client),
        or_dash(&event.upstream),
    );
    // A string takes whatever is written to it.
    if !event.reason.is_empty() {
        let _ = write!(out, "  {} ({})", event.reason, event.flags);
    }
    out.push('\n');
    if headers {
        for (sign, fields) in [('>', &event.request_headers), ('<', &event.response_headers)] {
            for Header { name, value } in fields {
                let _ = writeln!(out, "  {sign} {name}: {value}");
            }
        }
    }
    out
}

/// With the keys of the access log.
fn object(event: &Event) -> Value {
    let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let headers = |fields: &[Header]| -> Vec<Value> {
        let pair = |header: &Header| json!([header.name, header.value]);
        fields.iter().map(pair).collect()
    };
    json!({
        "time": rfc3339(UNIX_EPOCH + Duration::from_nanos(event.began)),
        "direction": event.direction,
        "protocol": event.protocol,
        "service": event.service,
        "client": optional(&event.client),
        "destination": event.destination,
        "upstream": optional(&event.upstream),
        "method": optional(&event.method),
        "path": optional(&event.path),
        "authority": optional(&event.authority),
        "server_name": optional(&event.server_name),
        "status": (event.status > 0).then_some(event.status),
        "grpc_status": (event.grpc_status >= 0).then_some(event.grpc_status),
        "failure": optional(&event.reason),
        "flags": optional(&event.flags),
        "attempts": event.attempts,
        "received_bytes": event.received_bytes,
        "sent_bytes": event.sent_bytes,
        "duration_ms": event.duration as f64 / 1_000.0,
        "route": optional(&event.route),
        "cluster": optional(&event.cluster),
        "request_headers": headers(&event.request_headers),
        "response_headers": headers(&event.response_headers),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            began: 1_709_251_199_042_000_000,
            duration: 1_500,
            direction: "outbound".to_owned(),
            client: "10.0.0.1:4321".to_owned(),
            method: "GET".to_owned(),
            path: "/a".to_owned(),
            authority: "web.test".to_owned(),
            status: 503,
            grpc_status: -1,
            reason: "connect_refused".to_owned(),
            flags: "UF".to_owned(),
            request_headers: vec![Header {
                name: "accept".to_owned(),
                value: "[redacted]".to_owned(),
            }],
            ..Event::default()
        }
    }

    #[test]
    fn an_event_is_a_row_and_its_headers_are_lines_below() {
        let expected = format!(
            "23:59:59.042  outbound   503         1.500  GET      {:<40}  10.0.0.1:4321 -> -  connect_refused (UF)\n",
            "web.test/a"
        );
        assert_eq!(row(&event(), false), expected);
        assert_eq!(row(&event(), true), format!("{expected}  > accept: [redacted]\n"));
        let title: Vec<_> = TITLE.match_indices("STATUS").collect();
        assert_eq!(expected.find("503"), Some(title[0].0));
    }

    #[test]
    fn what_is_not_known_is_null_in_json() {
        let object = object(&event());
        assert_eq!(
            (&object["upstream"], &object["grpc_status"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!((&object["status"], &object["duration_ms"]), (&json!(503), &json!(1.5)));
        assert_eq!(object["request_headers"], json!([["accept", "[redacted]"]]));
    }
}
