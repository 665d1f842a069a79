//! A control plane that a test scripts: `tests/python/xds_server.py`, on types and a gRPC that nobody here wrote.

pub mod resource;

use std::cell::RefCell;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::binaries;
use crate::pod::Pod;
use crate::process::Process;
use crate::wait;

/// From start to serving; Python reads a thousand types first.
const START: Duration = Duration::from_secs(30);
/// From a response to its answer, and from a subscription to its log entry. A response of 100 MB takes seconds in a debug build.
const ANSWER: Duration = Duration::from_mins(1);

/// A running server. It stops with its pod.
#[derive(Debug)]
pub struct XdsServer {
    process: Process,
    commands: RefCell<BufReader<UnixStream>>,
}

/// What the server logs, an entry each.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Entry {
    /// The server listens.
    Serving {},
    /// A stream was opened.
    Opened {
        /// Tells streams apart.
        stream: u64,
        /// `delta` or `sotw`.
        mode: String,
    },
    /// A stream has ended.
    Closed {
        /// Which.
        stream: u64,
    },
    /// A response was sent.
    Sent {
        /// On which stream.
        stream: u64,
        /// The last word of the type, such as `Cluster`.
        r#type: String,
        /// Of the response.
        nonce: String,
        /// Of its resources.
        names: Vec<String>,
        /// Names that are gone.
        removed: Vec<String>,
    },
    /// A client has asked, or answered.
    Request(Request),
}

/// What a client wrote.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Request {
    /// On which stream.
    pub stream: u64,
    /// The last word of the type.
    pub r#type: String,
    /// `node.id`; on the first request of a stream.
    pub node: Option<String>,
    /// The nonce of the response that this answers.
    pub nonce: Option<String>,
    /// Why that was refused.
    pub error: Option<String>,
    /// Names that were asked for: new ones (delta), or all (state of the world).
    #[serde(default)]
    pub subscribe: Vec<String>,
    /// Names that are not wanted any more (delta).
    #[serde(default)]
    pub unsubscribe: Vec<String>,
    /// What the client has already (delta): versions by name.
    #[serde(default)]
    pub initial: std::collections::BTreeMap<String, String>,
}

/// What a client said to a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It took it.
    Accepted,
    /// It did not, and why.
    Refused(String),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    nonces: Vec<String>,
    error: Option<String>,
}

// === impl XdsServer ===

impl XdsServer {
    /// Starts one in the pod, which serves nothing yet, and waits until it listens.
    pub fn start(pod: &Pod, at: SocketAddr) -> Result<Self> {
        let socket = pod.folder()?.join("xds");
        // A server that was killed has left its socket.
        if socket.exists() {
            std::fs::remove_file(&socket)?;
        }
        let mut command = pod.command(binaries::python("bin/python")?);
        command.arg("-B").arg(script("xds_server.py"));
        command.args(["--listen", &at.to_string(), "--commands"]).arg(&socket);
        let process = pod.spawn(command)?;
        process.wait_for_line("serving", START)?;
        let stream = UnixStream::connect(&socket).with_context(|| format!("connect to {}", socket.display()))?;
        Ok(Self {
            process,
            commands: RefCell::new(BufReader::new(stream)),
        })
    }

    /// Its process, to stop it or to signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// These are there from now on, in these versions. Returns the nonces of the responses that say so.
    pub fn set(&self, resources: &[Value]) -> Result<Vec<String>> {
        self.command(&json!({"do": "set", "resources": resources}))
    }

    /// As [`XdsServer::set`], until the client has taken it in whole.
    pub fn apply(&self, resources: &[Value]) -> Result<()> {
        let nonces = self.set(resources)?;
        ensure!(
            !nonces.is_empty(),
            "nobody listens, or nothing has changed: {}",
            self.process.said()
        );
        for nonce in nonces {
            let verdict = self.verdict(&nonce)?;
            ensure!(verdict == Verdict::Accepted, "{verdict:?}");
        }
        Ok(())
    }

    /// These are there no more.
    pub fn remove(&self, kind: &str, names: &[&str]) -> Result<Vec<String>> {
        self.command(&json!({"do": "remove", "type": kind, "names": names}))
    }

    /// One of the commands that the doc of the script lists.
    pub fn command(&self, command: &Value) -> Result<Vec<String>> {
        let mut commands = self.commands.borrow_mut();
        let line = format!("{command}\n");
        commands.get_mut().write_all(line.as_bytes())?;
        let mut answer = String::new();
        commands.read_line(&mut answer)?;
        let answer: Answer = serde_json::from_str(&answer).with_context(|| format!("answer {answer:?}"))?;
        match answer.error {
            Some(error) => Err(anyhow::anyhow!(error).context(line)),
            None => Ok(answer.nonces),
        }
    }

    /// Everything that was logged so far.
    pub fn log(&self) -> Result<Vec<Entry>> {
        // What is not JSON is what Python says of its own accord.
        let said = self.process.said();
        let entries = said.lines().filter(|line| line.starts_with('{'));
        entries
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }

    /// Everything that clients wrote so far.
    pub fn requests(&self) -> Result<Vec<Request>> {
        let requests = self.log()?.into_iter().filter_map(|entry| match entry {
            Entry::Request(request) => Some(request),
            _ => None,
        });
        Ok(requests.collect())
    }

    /// How many streams were opened so far.
    pub fn streams(&self) -> Result<usize> {
        let log = self.log()?;
        Ok(log.iter().filter(|entry| matches!(entry, Entry::Opened { .. })).count())
    }

    /// The first request that is as `fits` wants it, written already or yet to come.
    pub fn wait_for(&self, fits: impl Fn(&Request) -> bool) -> Result<Request> {
        let found = wait::until(ANSWER, || self.requests().ok()?.into_iter().find(&fits));
        found.with_context(|| self.process.said())
    }

    /// What the client says to the response with this nonce.
    pub fn verdict(&self, nonce: &str) -> Result<Verdict> {
        let answer = self.wait_for(|request| request.nonce.as_deref() == Some(nonce));
        let answer = answer.with_context(|| format!("no answer to {nonce}"))?;
        Ok(answer.error.map_or(Verdict::Accepted, Verdict::Refused))
    }

    /// Sets these and returns why the client refuses them.
    pub fn refused(&self, resources: &[Value]) -> Result<String> {
        self.refusal(&self.set(resources)?)
    }

    /// Why the client refuses the one response among these that it refuses.
    pub fn refusal(&self, nonces: &[String]) -> Result<String> {
        ensure!(!nonces.is_empty(), "nothing was sent");
        for nonce in nonces {
            if let Verdict::Refused(reason) = self.verdict(nonce)? {
                return Ok(reason);
            }
        }
        anyhow::bail!("it was accepted")
    }
}

/// A script of `tests/node`.
pub fn node_script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("node").join(name)
}

/// A script of `tests/python`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}
