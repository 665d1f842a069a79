//! The table and the JSON.

use std::fmt::Write;

use serde_json::json;

use crate::measure::Protocol;
use crate::measure::Row;

/// `[{"protocol": ..., "mesh": ..., "shares": [...], "first_byte_ms": ...}, ...]`
pub(crate) fn json(rows: &[Row]) -> String {
    let object = |row: &Row| {
        json!({
            "protocol": row.protocol.name(),
            "mesh": row.mesh,
            "shares": row.shares,
            "first_byte_ms": row.first_byte_ms,
        })
    };
    format!("{:#}\n", rows.iter().map(object).collect::<serde_json::Value>())
}

/// A line per protocol, without the mesh beside with it.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut table = format!(
        "\n{:<30}{:<22}{}\n",
        "share of each replica", "without mesh", "with mesh"
    );
    for protocol in Protocol::ALL {
        let (without, with) = (find(rows, protocol, false), find(rows, protocol, true));
        let _ = writeln!(table, "{:<30}{:<22}{}", protocol.label(), shares(without), shares(with));
    }
    let (without, with) = (
        find(rows, Protocol::ServerFirst, false),
        find(rows, Protocol::ServerFirst, true),
    );
    let _ = writeln!(
        table,
        "{:<30}{:<22}{}",
        "  its first byte, median",
        first_byte(without),
        first_byte(with)
    );
    table + LEGEND
}

const LEGEND: &str = "
The first three rows are one connection each: kube-proxy picks a replica when it is opened, the mesh for every request.
The last two are many connections: kube-proxy throws dice for each, the mesh looks at the replicas' load and latency.
";

/// A line for the person who watches; stderr, so that stdout is the result alone.
#[allow(clippy::print_stderr)] // the demo talks to a person
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}

/// The result.
#[allow(clippy::print_stdout)] // the demo's purpose
pub(crate) fn print(result: &str) {
    print!("{result}");
}

fn find(rows: &[Row], protocol: Protocol, mesh: bool) -> Option<&Row> {
    rows.iter().find(|row| row.protocol == protocol && row.mesh == mesh)
}

fn shares(row: Option<&Row>) -> String {
    let shares = row.map(|row| {
        row.shares
            .iter()
            .map(|share| format!("{:>3.0} %", share * 100.0))
            .collect::<Vec<_>>()
    });
    shares.unwrap_or_default().join(" ")
}

fn first_byte(row: Option<&Row>) -> String {
    row.and_then(|row| row.first_byte_ms)
        .map(|time| format!("{time:.2} ms"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let row = |protocol, mesh, shares: [f64; 3], first_byte_ms| Row {
            protocol,
            mesh,
            shares: shares.to_vec(),
            first_byte_ms,
        };
        vec![
            row(Protocol::Http1, false, [0.0, 1.0, 0.0], None),
            row(Protocol::Http1, true, [0.33, 0.34, 0.33], None),
            row(Protocol::ServerFirst, true, [0.33, 0.34, 0.33], Some(0.5)),
        ]
    }

    #[test]
    fn the_json_is_an_array_of_the_facts() {
        let facts: serde_json::Value = serde_json::from_str(&json(&rows())).unwrap();
        let expected = json!({"protocol": "http1", "mesh": false, "shares": [0.0, 1.0, 0.0], "first_byte_ms": null});
        assert_eq!(facts[0], expected);
        assert_eq!(facts[2]["first_byte_ms"], 0.5);
    }

    #[test]
    fn the_table_sets_without_beside_with() {
        let table = table(&rows());
        assert!(table.contains("  0 % 100 %   0 %      33 %  34 %  33 %"), "{table}");
        assert!(table.contains("0.50 ms"), "{table}");
    }
}
