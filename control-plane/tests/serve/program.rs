//! The program as a process of its own.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Long after anything that happens at all.
const SOON: Duration = Duration::from_secs(30);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it happens")
}

pub(crate) struct Program {
    child: Child,
    log: mpsc::UnboundedReceiver<String>,
    pub(crate) listen: SocketAddr,
    telemetry: SocketAddr,
}

fn command(mesh: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel-control"));
    command.arg("serve").arg("--mesh").arg(mesh);
    command
}

/// Runs it to its end: the exit code, and what it said.
pub(crate) fn failed(mesh: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(mesh).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

impl Program {
    pub(crate) fn start(mesh: &Path) -> Self {
        let mut child = command(mesh)
            .args(["--listen", "127.0.0.1:0", "--telemetry", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let serving = lines.find(|line| line.contains("serving")).expect("it starts");
        let (sender, log) = mpsc::unbounded_channel();
        std::thread::spawn(move || lines.try_for_each(|line| sender.send(line)));
        let address = |name: &str| {
            let (_, rest) = serving.split_once(&format!("{name}=")).unwrap();
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        Self {
            child,
            log,
            listen: address("listen"),
            telemetry: address("telemetry"),
        }
    }

    pub(crate) async fn log_says(&mut self, words: &str) {
        let found = async { while !self.log.recv().await.expect("it runs").contains(words) {} };
        within(found).await;
    }

    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = async {
            let mut stream = TcpStream::connect(self.telemetry).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: control\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = within(answer).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        body.to_owned()
    }

    pub(crate) async fn metric(&self, sample: &str) -> u64 {
        let page = self.page("/metrics").await;
        let found = page
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{sample}: {page}")).parse().unwrap()
    }

    pub(crate) fn terminate(&self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).unwrap();
    }

    /// Waits for the end, which closes the log.
    pub(crate) async fn exit_code(mut self) -> Option<i32> {
        within(async { while self.log.recv().await.is_some() {} }).await;
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A failed test leaves nothing behind; one that has ended needs none of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
