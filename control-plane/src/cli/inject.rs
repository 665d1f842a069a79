//! `inject`: manifests in, manifests with proxies out, without a cluster.

use crate::inject::Cluster;
use crate::inject::settings::Settings;
use crate::inject::template::{self, Report};
use clap::Args;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What `inject` is told.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(super) struct Options {
    /// Manifests in YAML or JSON, also several in one file; `-` is stdin
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// The settings of the injector; without it every default
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// The certificate that signs the control plane's, in PEM
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Of the API server, such as 1.28; without it native sidecars are taken to be known
    #[arg(long, value_name = "VERSION", value_parser = version)]
    kubernetes_version: Option<(u32, u32)>,
}

/// Prints the manifests, and on stderr what whoever made them should know.
pub(super) fn inject(options: &Options) -> Result<(), String> {
    let settings = match &options.settings {
        Some(path) => settings(path)?,
        None => Settings::default(),
    };
    let cluster = Cluster {
        native_sidecars: options
            .kubernetes_version
            .is_none_or(|(major, minor)| Cluster::has_native_sidecars(major, minor)),
        ca: certificate(&options.ca)?,
    };
    let text = read(&options.file)?;
    let name = options.file.display();
    let report = template::inject_text(&text, &settings, &cluster).map_err(|error| format!("{name}: {error}"))?;
    let Report { notes, refused, .. } = &report;
    if !refused.is_empty() {
        let lines: Vec<String> = refused.iter().map(|line| format!("{name}: {line}")).collect();
        return Err(lines.join("\n"));
    }
    for note in notes {
        // Nothing is left to be told when stderr cannot be written.
        let _ = writeln!(io::stderr(), "{name}: {note}");
    }
    let written = io::stdout().write_all(report.text().as_bytes());
    written.map_err(|error| format!("stdout cannot be written: {error}"))
}

fn settings(path: &Path) -> Result<Settings, String> {
    Settings::parse(&read(path)?).map_err(|faults| {
        let lines = faults.0.iter().map(|fault| format!("{}: {fault}", path.display()));
        lines.collect::<Vec<_>>().join("\n")
    })
}

fn certificate(path: &Path) -> Result<String, String> {
    let text = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    if !certificates.is_ok_and(|certificates| !certificates.is_empty()) {
        return Err(format!("{}: there is no certificate in PEM", path.display()));
    }
    Ok(text)
}

fn read(path: &Path) -> Result<String, String> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    text.map_err(|error| format!("{}: it cannot be read: {error}", path.display()))
}

fn version(text: &str) -> Result<(u32, u32), String> {
    let numbers: Vec<Option<u32>> = text
        .trim_start_matches('v')
        .splitn(3, '.')
        .take(2)
        .map(|number| number.parse().ok())
        .collect();
    match numbers.as_slice() {
        [Some(major), Some(minor)] => Ok((*major, *minor)),
        _ => Err("not a version such as 1.29".to_owned()),
    }
}
