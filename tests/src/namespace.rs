//! A network namespace with a life of its own: made under a unique name, entered by commands and by closures, removed
//! on drop together with every process that was started in it.
//!
//! Names are `ek-PID-N-ROLE`, where PID is the process that made it: what a process that was killed hard left behind is
//! recognised by its dead PID, and the next process that makes a namespace sweeps it away.

use std::ffi::OsStr;
use std::fs::File;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::Once;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use nix::sched::CloneFlags;
use nix::sched::setns;

use crate::process::Process;
use crate::wait;

/// Where `ip netns` keeps the names.
const NAMES: &str = "/run/netns";

/// How long a connect inside a namespace may take; everything is on this machine, so this is generous.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

static COUNTER: AtomicU32 = AtomicU32::new(0);
static SWEEP: Once = Once::new();

/// A network namespace, its loopback up. Dropping it ends what was spawned in it and removes it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    processes: Mutex<Vec<Process>>,
}

/// The user that a command in a namespace runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// As the test itself: root, with every capability.
    Root,
    /// A plain user with this uid and gid: no capabilities, no supplementary groups, no way to gain privileges.
    Plain(u32),
}

// === impl Namespace ===

impl Namespace {
    /// Makes a namespace; `role` is the last part of its name and says to a reader of `ip netns` what it is for.
    ///
    /// Fails without root, and where `ip` or network namespaces are missing.
    pub fn new(role: &str) -> Result<Self> {
        ensure!(
            nix::unistd::geteuid().is_root(),
            "network namespaces need root: run this as root (it only touches namespaces that it makes itself)"
        );
        SWEEP.call_once(sweep);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ek-{}-{number}-{role}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self {
            name,
            processes: Mutex::new(Vec::new()),
        };
        namespace.ip("link set lo up")?;
        // No duplicate address detection: an IPv6 address is usable at once, so nobody has to wait for it.
        namespace.sysctl(&["net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0"])?;
        Ok(namespace)
    }

    /// The name under which `ip netns` lists it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it, for `ip link ... netns` and `nsenter`.
    pub fn path(&self) -> PathBuf {
        Path::new(NAMES).join(&self.name)
    }

    /// A folder for files of this namespace, readable by everyone; removed on drop, and swept like the namespace.
    pub fn folder(&self) -> Result<PathBuf> {
        let folder = std::env::temp_dir().join(&self.name);
        std::fs::create_dir_all(&folder)?;
        std::fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
        Ok(folder)
    }

    /// A command that will run inside, as root; it dies with the thread that starts it (see [`Namespace::command_as`]).
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.command_as(User::Root, program)
    }

    /// A command that will run inside as `user`, with nothing on its standard input.
    ///
    /// `nsenter` and `setpriv` replace themselves, so the child's pid is the program's. The kernel kills it when the
    /// *thread* that started it ends (`PR_SET_PDEATHSIG`): a test that is killed leaves no process behind, and a command
    /// must be started from a thread that lives as long as the command should.
    pub fn command_as(&self, user: User, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display()));
        command.args(["setpriv", "--pdeathsig", "KILL"]);
        if let User::Plain(id) = user {
            command.args([format!("--reuid={id}"), format!("--regid={id}")]);
            command.args([
                "--clear-groups",
                "--inh-caps=-all",
                "--bounding-set=-all",
                "--no-new-privs",
            ]);
        }
        command.arg("--").arg(program).stdin(Stdio::null());
        command
    }

    /// Runs a program to its end and returns its standard output; a status other than 0 is an error with its stderr.
    pub fn exec<S: AsRef<OsStr>>(&self, line: &[S]) -> Result<String> {
        run(&mut self.prepared(line)?)
    }

    /// Runs a program to its end and returns status and output, whatever they are.
    pub fn output<S: AsRef<OsStr>>(&self, line: &[S]) -> Result<Output> {
        let mut command = self.prepared(line)?;
        command.output().with_context(|| format!("{command:?}"))
    }

    /// As [`Namespace::exec`], with `input` on the program's standard input.
    pub fn exec_with_input<S: AsRef<OsStr>>(&self, line: &[S], input: &str) -> Result<String> {
        let mut command = self.prepared(line)?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("stdin was piped above")?;
        // A program that refuses its arguments does not read: its status tells more than our EPIPE.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        checked(&command, &child.wait_with_output()?)
    }

    /// `ip` inside the namespace; the words of `line` are split at spaces.
    pub fn ip(&self, line: &str) -> Result<String> {
        run(Command::new("ip")
            .args(["-n", &self.name])
            .args(line.split_whitespace()))
    }

    /// Sets kernel parameters (`key=value`) of this namespace.
    pub fn sysctl(&self, settings: &[&str]) -> Result<()> {
        let mut line = vec!["sysctl", "-qw"];
        line.extend(settings);
        self.exec(&line).map(drop)
    }

    /// Starts a command made by [`Namespace::command`]; it ends at the latest when the namespace is dropped.
    pub fn spawn(&self, command: Command) -> Result<Process> {
        let process = Process::spawn(command)?;
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(process.clone());
        Ok(process)
    }

    /// Runs `story` on a thread inside the namespace. Sockets that it opens stay in the namespace wherever they are
    /// used later, so a listener or a connection may be returned and used by the test's own thread.
    pub fn enter<T: Send>(&self, story: impl FnOnce() -> T + Send) -> Result<T> {
        let file = File::open(self.path()).with_context(|| format!("open namespace {}", self.name))?;
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || -> Result<T> {
                setns(file, CloneFlags::CLONE_NEWNET)?;
                Ok(story())
            });
            match inside.join() {
                Ok(outcome) => outcome,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// A connection from inside the namespace.
    pub fn connect(&self, to: SocketAddr) -> Result<TcpStream> {
        let stream = self.enter(|| TcpStream::connect_timeout(&to, CONNECT_DEADLINE))?;
        stream.with_context(|| format!("connect to {to} from {}", self.name))
    }

    /// A listener inside the namespace. One that was closed there a moment ago may still be held by a child of another
    /// test, which has a copy of all that we have from its fork until its exec.
    pub fn listen(&self, at: SocketAddr) -> Result<TcpListener> {
        let listener = wait::until(CONNECT_DEADLINE, || match self.enter(|| TcpListener::bind(at)) {
            Ok(Err(error)) if error.kind() == ErrorKind::AddrInUse => None,
            outcome => Some(outcome),
        });
        listener??.with_context(|| format!("listen at {at} in {}", self.name))
    }

    fn prepared<S: AsRef<OsStr>>(&self, line: &[S]) -> Result<Command> {
        let Some((program, arguments)) = line.split_first() else {
            bail!("an empty command line")
        };
        let mut command = self.command(program);
        command.args(arguments);
        Ok(command)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for process in self.processes.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            process.kill();
        }
        remove(&self.name);
    }
}

// === helpers ===

/// Removes the namespaces of processes that are gone, and what still runs in them.
///
/// Children die with their parent by `PR_SET_PDEATHSIG`; what a child started itself may live on, and would keep the
/// namespace alive without a name.
fn sweep() {
    for folder in [Path::new(NAMES), &std::env::temp_dir()] {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        for name in names.filter(|name| maker(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())) {
            let inside = run(Command::new("ip").args(["netns", "pids", &name])).unwrap_or_default();
            for pid in inside.split_whitespace() {
                let _ = run(Command::new("kill").args(["-KILL", pid]));
            }
            remove(&name);
        }
    }
}

/// Removes a namespace and its folder. Nothing useful can be done when that fails; the next run sweeps.
fn remove(name: &str) {
    let _ = run(Command::new("ip").args(["netns", "del", name]));
    let _ = std::fs::remove_dir_all(std::env::temp_dir().join(name));
}

/// The pid in a namespace's name, when it is one of ours.
fn maker(name: &str) -> Option<u32> {
    name.strip_prefix("ek-")?.split('-').next()?.parse().ok()
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    checked(command, &output)
}

fn checked(command: &Command, output: &Output) -> Result<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?}: {}: {}",
        output.status,
        stderr.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_tell_a_maker() {
        assert_eq!(maker("ek-4711-0-client"), Some(4711));
        assert_eq!(maker("ek-client"), None);
        assert_eq!(maker("bl-app"), None);
    }
}
