//! Where the configuration comes from, in a line for people.

use evenkeel_control_api::ads::Connection;
use evenkeel_control_api::ads::Mode;
use evenkeel_control_api::ads::ServerStatus;
use evenkeel_control_api::ads::Status;
use tokio::time::Instant;

/// Such as `from control.evenkeel:15010, connected for 12 s (delta)`.
pub(in crate::admin) fn sentence(control_plane: Option<&Status>) -> String {
    match control_plane {
        None => "from a mesh document".to_owned(),
        Some(status) => of(&status.servers(), Instant::now()),
    }
}

fn of(servers: &[ServerStatus], now: Instant) -> String {
    if let Some((server, mode, since)) = servers.iter().find_map(connected) {
        let seconds = now.saturating_duration_since(since).as_secs();
        return format!("from {}, connected for {seconds} s ({mode})", server.uri);
    }
    let uris: Vec<_> = servers.iter().map(|server| server.uri.as_str()).collect();
    let ends = servers
        .iter()
        .filter_map(|server| Some((server, server.last_end.as_ref()?)));
    let last = ends.max_by_key(|(_, end)| end.when).map(|(server, end)| {
        let seconds = now.saturating_duration_since(end.when).as_secs();
        // What a server said may hold line ends.
        let reason = end.reason.escape_debug();
        format!("; {} failed or ended {seconds} s ago: {reason}", server.uri)
    });
    format!("from {}, NOT CONNECTED{}", uris.join(" or "), last.unwrap_or_default())
}

fn connected(server: &ServerStatus) -> Option<(&ServerStatus, Mode, Instant)> {
    match server.connection {
        Connection::Connected { mode, since } => Some((server, mode, since)),
        Connection::Idle | Connection::Connecting => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_control_api::ads::Ended;
    use std::time::Duration;

    fn server(uri: &str, connection: Connection, last_end: Option<Ended>) -> ServerStatus {
        ServerStatus {
            uri: uri.to_owned(),
            connection,
            streams: 0,
            responses: 0,
            refused: 0,
            failures: 0,
            last_end,
        }
    }

    #[test]
    fn the_server_that_is_connected_is_the_origin() {
        let since = Instant::now();
        let connected = Connection::Connected {
            mode: Mode::Sotw,
            since,
        };
        let servers = [
            server("first:1", Connection::Connecting, None),
            server("second:1", connected, None),
        ];
        assert_eq!(
            of(&servers, since + Duration::from_secs(12)),
            "from second:1, connected for 12 s (sotw)"
        );
    }

    #[test]
    fn without_a_connection_the_newest_reason_is_told_in_one_line() {
        let now = Instant::now();
        let ended = |after: u64, reason: &str| {
            Some(Ended {
                when: now + Duration::from_secs(after),
                reason: reason.to_owned(),
            })
        };
        let servers = [
            server("first:1", Connection::Idle, ended(1, "refused")),
            server("second:1", Connection::Idle, ended(3, "gone\nready, configuration 9")),
            server("third:1", Connection::Connecting, None),
        ];
        assert_eq!(
            of(&servers, now + Duration::from_secs(5)),
            "from first:1 or second:1 or third:1, NOT CONNECTED; second:1 failed or ended 2 s ago: \
             gone\\nready, configuration 9"
        );
        assert_eq!(
            of(&servers[2..], now),
            "from third:1, NOT CONNECTED",
            "nothing was tried to its end"
        );
    }

    #[test]
    fn a_document_is_an_origin_too() {
        assert_eq!(sentence(None), "from a mesh document");
    }
}
