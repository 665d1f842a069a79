//! The tables and the JSON.

use std::fmt::Write;

use serde_json::json;

use evenkeel_tests::load::Spoken;
use serde_json::Value;

use crate::Story;
use crate::follow::Followed;
use crate::follow::Step;
use crate::measure::Protocol;
use crate::measure::Row;

/// `[{"protocol": ..., "mesh": ..., "shares": [...], "first_byte_ms": ...}, ...]`; those of the second part have further members,
/// and protocols of other names, so that who looks for a protocol finds the comparison.
pub(crate) fn json(story: &Story) -> String {
    let compared = story.compared.iter().map(of_comparison);
    let facts: Value = compared.chain(story.followed.iter().map(of_second_part)).collect();
    format!("{facts:#}\n")
}

fn of_comparison(row: &Row) -> Value {
    json!({
        "protocol": row.protocol.name(),
        "mesh": row.mesh,
        "shares": row.shares,
        "first_byte_ms": row.first_byte_ms,
    })
}

fn of_second_part(row: &Followed) -> Value {
    let protocol = match row.spoken {
        Spoken::Http1 => "xds_http1",
        Spoken::Http2 => "xds_http2",
        Spoken::Grpc => "xds_grpc",
    };
    json!({
        "protocol": protocol,
        "mesh": true,
        "shares": row.shares,
        "first_byte_ms": null,
        "step": row.step.name(),
        "failures": row.failures,
        "connections_opened": row.opened,
    })
}

/// One for each part.
pub(crate) fn tables(story: &Story) -> String {
    comparison(&story.compared) + &second_part(&story.followed)
}

/// A line per protocol, without the mesh beside with it.
fn comparison(rows: &[Row]) -> String {
    let mut table = format!(
        "\n{:<30}{:<22}{}\n",
        "share of each replica", "without mesh", "with mesh"
    );
    for protocol in Protocol::ALL {
        let (without, with) = (find(rows, protocol, false), find(rows, protocol, true));
        let (without, with) = (without.map(of), with.map(of));
        let _ = writeln!(
            table,
            "{:<30}{:<22}{}",
            protocol.label(),
            without.unwrap_or_default(),
            with.unwrap_or_default()
        );
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

/// A line per protocol, step beside step.
fn second_part(rows: &[Followed]) -> String {
    let mut table = line("configured over gRPC", |step| step.label().to_owned());
    table.insert(0, '\n');
    for (spoken, label) in [
        (Spoken::Http1, "HTTP/1.1, kept connections"),
        (Spoken::Http2, "HTTP/2, kept connections"),
        (Spoken::Grpc, "gRPC, kept channels"),
    ] {
        table += &line(label, |step| {
            let row = rows.iter().find(|row| row.spoken == spoken && row.step == step);
            row.map(|row| percentages(&row.shares)).unwrap_or_default()
        });
    }
    let sum = |step: Step, count: fn(&Followed) -> u64| -> String {
        let rows = rows.iter().filter(|row| row.step == step);
        format!("{:>3}", rows.map(count).sum::<u64>())
    };
    table += &line("  requests that failed", |step| sum(step, |row| row.failures));
    table += &line("  connections opened anew", |step| sum(step, |row| row.opened));
    table + SECOND_LEGEND
}

fn line(label: &str, of: impl Fn(Step) -> String) -> String {
    let [one, two, three] = Step::ALL.map(of);
    let line = format!("{label:<30}{one:<26}{two:<26}{three}");
    line.trim_end().to_owned() + "\n"
}

const LEGEND: &str = "
The first three rows are one connection each: kube-proxy picks a replica when it is opened, the mesh for every request.
The last two are many connections: kube-proxy throws dice for each, the mesh looks at the replicas' load and latency.
";

const SECOND_LEGEND: &str = "
One control plane tells the proxies, and each proxy asks for what its application uses. The balance is random here.
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

fn of(row: &Row) -> String {
    percentages(&row.shares)
}

fn percentages(shares: &[f64]) -> String {
    let shares = shares.iter().map(|share| format!("{:>3.0} %", share * 100.0));
    shares.collect::<Vec<_>>().join(" ")
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

    fn story() -> Story {
        let followed = |step, fourth: f64| Followed {
            spoken: Spoken::Grpc,
            step,
            shares: vec![0.33, 0.33, 0.34 - fourth, fourth],
            failures: 2,
            opened: 0,
        };
        Story {
            compared: rows(),
            followed: vec![followed(Step::NotThere, 0.0), followed(Step::Added, 0.25)],
        }
    }

    #[test]
    fn the_json_is_an_array_of_the_facts() {
        let facts: Value = serde_json::from_str(&json(&story())).unwrap();
        let expected = json!({"protocol": "http1", "mesh": false, "shares": [0.0, 1.0, 0.0], "first_byte_ms": null});
        assert_eq!(facts[0], expected);
        assert_eq!(facts[2]["first_byte_ms"], 0.5);
        assert_eq!(
            (&facts[4]["protocol"], &facts[4]["step"]),
            (&json!("xds_grpc"), &json!("fourth_added"))
        );
    }

    #[test]
    fn the_table_sets_without_beside_with() {
        let table = comparison(&rows());
        assert!(table.contains("  0 % 100 %   0 %      33 %  34 %  33 %"), "{table}");
        assert!(table.contains("0.50 ms"), "{table}");
    }

    #[test]
    fn the_second_table_sets_step_beside_step() {
        let table = second_part(&story().followed);
        assert!(
            table.contains(" 33 %  33 %  34 %   0 %    33 %  33 %   9 %  25 %\n"),
            "{table}"
        );
        assert!(
            table.contains("  requests that failed          2                         2                         0"),
            "{table}"
        );
    }
}
