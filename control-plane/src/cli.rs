//! The program's command line: what it takes, and the exit code that says how it went.

mod inject;

use crate::app::{self, CertificateSource, Listen, OwnPod, Run, Serve};
use crate::log;
use crate::source::dns::DnsName;
use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

const EXIT_CODES: &str = "\
Exit codes:
  0  it is done
  1  it failed; the reason is on stderr
  2  the command line is wrong";

/// Evenkeel's control plane: serves a mesh to its proxies over xDS v3.
#[derive(Debug, Parser)]
#[command(name = "evenkeel-control", version, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, PartialEq, Subcommand)]
enum Command {
    /// Serve a mesh document over gRPC (ADS, delta and state of the world), until told to end
    ///
    /// The document is watched: a good change is sent to every client, a bad one is refused aloud and the last good one
    /// stays. Its `proxy:` section is the business of each proxy and is not served. SIGTERM ends every stream and then the
    /// process.
    Serve {
        /// The mesh document
        #[arg(long, env = "EVENKEEL_MESH", value_name = "FILE")]
        mesh: PathBuf,
        /// A service besides those of the document, whose endpoints are the addresses of a name that is resolved every five
        /// seconds, such as `10.96.0.40:5432=db.example.com:5432`; may be given often. An address of the document is never a
        /// name's
        #[arg(long = "dns", value_name = "VIP:PORT=HOST:PORT")]
        names: Vec<DnsName>,
        /// Where clients connect, in plaintext
        #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:15010")]
        listen: SocketAddr,
        /// Allow --listen to be other than loopback: whoever reaches it reads the whole mesh, and nothing is encrypted
        #[arg(long)]
        plaintext_beyond_loopback: bool,
        /// Where /metrics, /ready and /live answer
        #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:15014")]
        telemetry: SocketAddr,
        /// Level, or several as in `info,evenkeel_control_api::serve=debug`
        #[arg(long, env = "EVENKEEL_LOG", value_name = "LEVEL", default_value = "info")]
        log: String,
    },
    /// Serve a Kubernetes cluster to the proxies in its pods, until told to end
    ///
    /// Services, EndpointSlices, Pods, Nodes and Namespaces are watched. While the API server is away, what was seen last is
    /// served. The API server is found as kubectl finds it, or as a pod does. After SIGTERM it is not ready and serves on for
    /// five seconds, until nobody is led here any more.
    Run {
        /// Where clients on this host connect, in plaintext; loopback only
        #[arg(long, value_name = "IP:PORT")]
        plaintext_listen: Option<SocketAddr>,
        /// Where pods connect, over TLS and with the token of their ServiceAccount; a port alone means every address
        #[arg(long, value_name = "PORT|IP:PORT", requires_all = ["pod_name", "pod_namespace"])]
        xds_listen: Option<Listen>,
        /// Where the API server asks about new pods, over HTTPS; a port alone means every address
        #[arg(long, value_name = "PORT|IP:PORT", requires_all = ["injection_settings", "pod_name", "pod_namespace"])]
        webhook_listen: Option<Listen>,
        /// How pods are injected; the file is watched
        #[arg(long, value_name = "FILE", requires = "webhook_listen")]
        injection_settings: Option<PathBuf>,
        /// Where the certificate comes from: `self` makes it, keeps it in the Secret evenkeel-control-tls and renews it
        #[arg(long, value_name = "self|secret:NAME|folder:PATH", default_value = "self")]
        certificates: CertificateSource,
        /// Where /metrics, /ready and /live answer; a port alone means every address
        #[arg(long, value_name = "PORT|IP:PORT", default_value = "15014")]
        telemetry: Listen,
        /// The domain of the cluster's DNS
        #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
        cluster_domain: String,
        /// The pod that this is; without it this replica never writes status and Events
        #[arg(long, env = "POD_NAME", value_name = "NAME", requires = "pod_namespace")]
        pod_name: Option<String>,
        /// The namespace of that pod, where the Lease is
        #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
        pod_namespace: Option<String>,
        /// Level, or several as in `info,evenkeel_control_api::serve=debug`
        #[arg(long, env = "EVENKEEL_LOG", value_name = "LEVEL", default_value = "info")]
        log: String,
    },
    /// Put proxies into manifests, without a cluster
    ///
    /// Pods, and whatever has pods inside, come out as the webhook would have made them; all other objects pass unchanged.
    /// Remarks are lost. What cannot be injected is an error with its document and path, and then nothing is printed.
    Inject(inject::Options),
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Nothing is left to be told when stderr cannot be written.
            let _ = writeln!(io::stderr(), "{reason}");
            ExitCode::from(1)
        }
    }
}

fn execute(command: Command) -> Result<(), String> {
    match command {
        Command::Serve {
            mesh,
            names,
            listen,
            plaintext_beyond_loopback,
            telemetry,
            log,
        } => {
            if !listen.ip().is_loopback() && !plaintext_beyond_loopback {
                return Err(format!(
                    "{listen} is not loopback, and this is plaintext: give --plaintext-beyond-loopback if that is meant"
                ));
            }
            log::install(&log)?;
            app::serve(&Serve {
                mesh,
                names,
                listen,
                telemetry,
            })
        }
        Command::Run {
            plaintext_listen,
            xds_listen,
            webhook_listen,
            injection_settings,
            certificates,
            telemetry,
            cluster_domain,
            pod_name,
            pod_namespace,
            log,
        } => {
            if let Some(listen) = plaintext_listen.filter(|listen| !listen.ip().is_loopback()) {
                return Err(format!("{listen} is not loopback, and this is plaintext"));
            }
            if plaintext_listen.is_none() && xds_listen.is_none() {
                return Err("nobody could connect: give --xds-listen, --plaintext-listen or both".to_owned());
            }
            log::install(&log)?;
            app::run(&Run {
                plaintext: plaintext_listen,
                guarded: xds_listen,
                injector: webhook_listen.zip(injection_settings),
                certificates,
                telemetry,
                cluster_domain,
                pod: pod_name
                    .zip(pod_namespace)
                    .map(|(name, namespace)| OwnPod { name, namespace }),
            })
        }
        Command::Inject(options) => inject::inject(&options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn parse(line: &str) -> Result<Command, ErrorKind> {
        let words = ["evenkeel-control"].into_iter().chain(line.split_whitespace());
        Cli::try_parse_from(words)
            .map(|cli| cli.command)
            .map_err(|error| error.kind())
    }

    #[test]
    fn the_command_line_is_sound_and_tells_its_exit_codes() {
        Cli::command().debug_assert();
        let help = Cli::command().render_help().to_string();
        assert!(help.contains("2  the command line is wrong"), "{help}");
    }

    #[test]
    fn a_file_is_enough() {
        let serve = Command::Serve {
            mesh: "mesh.yaml".into(),
            names: Vec::new(),
            listen: "127.0.0.1:15010".parse().unwrap(),
            plaintext_beyond_loopback: false,
            telemetry: "0.0.0.0:15014".parse().unwrap(),
            log: "info".to_owned(),
        };
        assert_eq!(parse("serve --mesh mesh.yaml"), Ok(serve));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(parse("serve --mash mesh.yaml"), Err(ErrorKind::UnknownArgument));
        assert_eq!(parse("serve"), Err(ErrorKind::MissingRequiredArgument));
        assert_eq!(parse("serve --mesh a --listen here"), Err(ErrorKind::ValueValidation));
        assert_eq!(parse("validate"), Err(ErrorKind::InvalidSubcommand));
    }

    #[test]
    fn plaintext_for_others_must_be_meant() {
        let refused = execute(parse("run --plaintext-listen 10.0.0.1:0").unwrap()).unwrap_err();
        assert!(refused.contains("is not loopback"), "{refused}");
        for listen in ["0.0.0.0:0", "[::]:0"] {
            let refused = execute(parse(&format!("serve --mesh missing --listen {listen}")).unwrap()).unwrap_err();
            assert!(refused.contains("--plaintext-beyond-loopback"), "{refused}");
        }
    }
}
