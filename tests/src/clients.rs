//! Real clients, run inside a pod: ab, h2load, curl, and the `client` program for what no common tool speaks.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;

use crate::answers::Answers;
use crate::binaries;
use crate::grpc::Kind;
use crate::namespace::Namespace;

/// What a load generator reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Requests that were answered with 2xx.
    pub succeeded: u64,
    /// Every other one.
    pub failed: u64,
}

/// `ab -k`: HTTP/1 requests, one after another on one kept-alive connection.
pub fn ab(from: &Namespace, to: SocketAddr, requests: u32) -> Result<Load> {
    ab_report(&output(&mut ab_command(from, to, requests))?)
}

/// `ab -k` as a command, to run beside something else; it says how far it is, and [`ab_report`] reads what it said.
pub fn ab_command(from: &Namespace, to: SocketAddr, requests: u32) -> Command {
    let mut command = from.command("ab");
    // With -l an answer of another length, such as a failure's, is not counted a second time.
    command.args([
        "-k",
        "-l",
        "-c",
        "1",
        "-n",
        &requests.to_string(),
        &format!("http://{to}/"),
    ]);
    command
}

/// Reads what ab printed.
pub fn ab_report(report: &str) -> Result<Load> {
    let complete = number_after(report, "Complete requests:").with_context(|| format!("not ab's report: {report}"))?;
    let failed = number_after(report, "Failed requests:").unwrap_or(0);
    // ab counts these as complete and not as failed.
    let failed = failed + number_after(report, "Non-2xx responses:").unwrap_or(0);
    Ok(Load {
        succeeded: complete.saturating_sub(failed),
        failed,
    })
}

/// `h2load`: HTTP/2 requests, one after another on one connection.
pub fn h2load(from: &Namespace, to: SocketAddr, requests: u32) -> Result<Load> {
    let mut command = from.command("h2load");
    // h2load forgets the brackets of an IPv6 authority, which every server refuses (RFC 9113 8.3.1), so we name it.
    command.args(["-t", "1", "-c", "1", "-m", "1", "-H", &format!(":authority: {to}")]);
    command.args(["-n", &requests.to_string(), &format!("http://{to}/")]);
    h2load_report(&output(&mut command)?)
}

fn h2load_report(report: &str) -> Result<Load> {
    let line = report.lines().find(|line| line.starts_with("status codes:"));
    let succeeded = line.and_then(|line| number_after(line, "status codes:"));
    let total = number_after(report, "requests:");
    let (Some(succeeded), Some(total)) = (succeeded, total) else {
        anyhow::bail!("not h2load's report: {report}");
    };
    Ok(Load {
        succeeded,
        failed: total.saturating_sub(succeeded),
    })
}

/// gRPC calls, one after another on one channel.
pub fn grpc(from: &Namespace, to: SocketAddr, calls: u32, kind: Kind) -> Result<Answers> {
    let kind = match kind {
        Kind::Unary => "unary",
        Kind::ClientStream => "client-stream",
        Kind::ServerStream => "server-stream",
        Kind::Bidirectional => "bidirectional",
    };
    client(
        from,
        &["grpc", &to.to_string(), "--calls", &calls.to_string(), "--kind", kind],
    )
}

/// WebSocket connections, all open at once, one echo on each.
pub fn websocket(from: &Namespace, to: SocketAddr, connections: u32) -> Result<Answers> {
    client(
        from,
        &["websocket", &to.to_string(), "--connections", &connections.to_string()],
    )
}

/// Connections to a server-first protocol, one after another; the first byte is timed.
pub fn banner(from: &Namespace, to: SocketAddr, connections: u32) -> Result<Answers> {
    client(
        from,
        &["banner", &to.to_string(), "--connections", &connections.to_string()],
    )
}

/// `curl -sS` with these arguments; what it printed. A failure is an error with curl's own words.
pub fn curl(from: &Namespace, arguments: &[&str]) -> Result<String> {
    output(
        from.command("curl")
            .args(["-sS", "--noproxy", "*", "--max-time", "20"])
            .args(arguments),
    )
}

fn client(from: &Namespace, arguments: &[&str]) -> Result<Answers> {
    let line = output(from.command(binaries::path("client")?).args(arguments))?;
    serde_json::from_str(&line).with_context(|| format!("client {arguments:?}: {line}"))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(
        output.status.success(),
        "{command:?}: {}: {}{}",
        output.status,
        stdout.trim(),
        stderr.trim()
    );
    Ok(stdout.into_owned())
}

fn number_after(text: &str, label: &str) -> Option<u64> {
    let rest = text.split_once(label)?.1.trim_start();
    rest[..rest.find(|digit: char| !digit.is_ascii_digit())?].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_other_than_2xx_are_failures_though_ab_calls_them_complete() {
        let report = "Complete requests:      100\nFailed requests:        2\nNon-2xx responses:      8\n";
        assert_eq!(
            ab_report(report).unwrap(),
            Load {
                succeeded: 90,
                failed: 10
            }
        );
    }

    #[test]
    fn h2load_tells_successes_by_status() {
        let report = "requests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout\n\
            status codes: 97 2xx, 0 3xx, 0 4xx, 3 5xx\n";
        assert_eq!(
            h2load_report(report).unwrap(),
            Load {
                succeeded: 97,
                failed: 3
            }
        );
    }

    #[test]
    fn a_report_cut_short_is_an_error() {
        assert!(ab_report("This is ApacheBench").is_err());
        assert!(h2load_report("starting benchmark...").is_err());
    }
}
