//! The program as a process of its own.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// Long after anything that happens at all.
const SOON: Duration = Duration::from_mins(1);
const LOOPBACK: &str = "127.0.0.1:0";
/// Between two looks at what the program says only when it is asked: it has the processor meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it happens")
}

/// Looks again and again until it is so.
async fn until(fact: impl AsyncFn() -> bool) {
    let looking = async {
        while !fact().await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    within(looking).await;
}

pub(crate) struct Program {
    child: Child,
    log: mpsc::UnboundedReceiver<String>,
    pub(crate) listen: SocketAddr,
    telemetry: SocketAddr,
    /// Keeps everybody else off a port that was chosen before the program bound it.
    kept: Option<TcpSocket>,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel-control"));
    command.args(arguments);
    command
}

/// Runs `serve` to its end: the exit code, and what it said.
pub(crate) fn failed(mesh: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(&["serve", "--mesh"])
        .arg(mesh)
        .args(arguments)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

impl Program {
    /// With a mesh document; it is serving then.
    pub(crate) fn serve(mesh: &Path) -> Self {
        Self::serve_with(mesh, &[])
    }

    /// The same with these options.
    pub(crate) fn serve_with(mesh: &Path, arguments: &[&str]) -> Self {
        let mesh = mesh.to_str().unwrap();
        let always = ["serve", "--mesh", mesh, "--listen", LOOPBACK, "--telemetry", LOOPBACK];
        let mut begun = Self::begin(command(&always).args(arguments));
        let serving = begun.lines.find(|line| line.contains("serving")).expect("it starts");
        let (listen, telemetry) = (address(&serving, "listen"), address(&serving, "telemetry"));
        begun.program(listen, telemetry)
    }

    /// In the cluster that a kubeconfig names; it asks the API server then.
    pub(crate) fn run(kubeconfig: &Path) -> Self {
        Self::run_with(kubeconfig, &[])
    }

    /// The same as a pod that may lead.
    pub(crate) fn run_leading(kubeconfig: &Path) -> Self {
        Self::run_with(
            kubeconfig,
            &["--pod-name=evenkeel-control-0", "--pod-namespace=evenkeel-system"],
        )
    }

    /// The same as the pod that injects, with a certificate and settings that are in a folder.
    pub(crate) fn run_injecting(kubeconfig: &Path, folder: &Path) -> Self {
        let certificates = format!("folder:{}", folder.display());
        let settings = folder.join("injection.yaml");
        Self::run_with(
            kubeconfig,
            &[
                "--pod-name=evenkeel-control-0",
                "--pod-namespace=evenkeel-system",
                "--xds-listen=127.0.0.1:0",
                "--webhook-listen=127.0.0.1:0",
                "--certificates",
                &certificates,
                "--injection-settings",
                settings.to_str().unwrap(),
            ],
        )
    }

    /// The same as the pod that serves pods over TLS, with a certificate that is in a folder.
    pub(crate) fn run_guarded(kubeconfig: &Path, folder: &Path) -> Self {
        let certificates = format!("folder:{}", folder.display());
        Self::run_with(
            kubeconfig,
            &[
                "--pod-name=evenkeel-control-0",
                "--pod-namespace=evenkeel-system",
                "--xds-listen=127.0.0.1:0",
                "--certificates",
                &certificates,
            ],
        )
    }

    /// Where it serves over TLS, once it does.
    pub(crate) async fn guarded(&mut self) -> SocketAddr {
        address(&self.log_says("serving over TLS").await, "listen")
    }

    fn run_with(kubeconfig: &Path, arguments: &[&str]) -> Self {
        // Whose number is known before the program binds it. Who allows the reuse of an address that nobody listens at shares it.
        let kept = TcpSocket::new_v4().unwrap();
        kept.set_reuseaddr(true).unwrap();
        kept.bind(LOOPBACK.parse().unwrap()).unwrap();
        let listen = kept.local_addr().unwrap();
        let mut run = command(&["run", "--telemetry", LOOPBACK, "--plaintext-listen"]);
        run.arg(listen.to_string())
            .args(arguments)
            .env("KUBECONFIG", kubeconfig);
        let mut begun = Self::begin(&mut run);
        let asking = begun
            .lines
            .find(|line| line.contains("asking the API server"))
            .expect("it starts");
        let telemetry = address(&asking, "telemetry");
        let mut program = begun.program(listen, telemetry);
        program.kept = Some(kept);
        program
    }

    fn begin(command: &mut Command) -> Begun {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Begun {
            child,
            lines: Box::new(lines.map_while(Result::ok)),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line, and returns it.
    pub(crate) async fn log_says(&mut self, words: &str) -> String {
        self.log_to(words).await.1
    }

    /// Waits for a line, and returns those before it.
    pub(crate) async fn log_until(&mut self, words: &str) -> Vec<String> {
        self.log_to(words).await.0
    }

    async fn log_to(&mut self, words: &str) -> (Vec<String>, String) {
        let mut before = Vec::new();
        let found = async {
            loop {
                let line = self.log.recv().await.expect("it runs");
                if line.contains(words) {
                    return line;
                }
                before.push(line);
            }
        };
        let found = within(found).await;
        (before, found)
    }

    /// A connection to the pages.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.telemetry).await.unwrap()
    }

    pub(crate) async fn page(&self, path: &str) -> String {
        let (head, body) = self.answer(path).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        body
    }

    /// The head and the body of a page.
    pub(crate) async fn answer(&self, path: &str) -> (String, String) {
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
        (head.to_owned(), body.to_owned())
    }

    pub(crate) async fn metric(&self, sample: &str) -> u64 {
        let page = self.page("/metrics").await;
        let found = page
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{sample}: {page}")).parse().unwrap()
    }

    /// Waits until a sample has a value.
    pub(crate) async fn metric_becomes(&self, sample: &str, value: u64) {
        until(async || self.metric(sample).await == value).await;
    }

    /// Waits until a page says this.
    pub(crate) async fn page_becomes(&self, path: &str, says: &str) {
        until(async || self.answer(path).await.1 == says).await;
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

/// Of a field of a line of the log.
fn address(line: &str, name: &str) -> SocketAddr {
    let (_, rest) = line.split_once(&format!("{name}=")).unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// A program whose addresses are in the first lines of its log.
struct Begun {
    child: Child,
    lines: Box<dyn Iterator<Item = String> + Send>,
}

impl Begun {
    fn program(self, listen: SocketAddr, telemetry: SocketAddr) -> Program {
        let (sender, log) = mpsc::unbounded_channel();
        let mut lines = self.lines;
        std::thread::spawn(move || lines.try_for_each(|line| sender.send(line)));
        Program {
            child: self.child,
            log,
            listen,
            telemetry,
            kept: None,
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A failed test leaves nothing behind; one that has ended needs none of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
