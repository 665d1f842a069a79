//! What the task of a client shares with those who use it.

use crate::ads::machine::Machine;
use crate::ads::message::Text;
use crate::ads::status::ServerStatus;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::time::Instant;

/// Locks are held for the moment of a look or of a step, never while anything is waited for.
#[derive(Debug)]
pub(super) struct Shared {
    machine: Mutex<Machine>,
    servers: Mutex<Vec<ServerStatus>>,
    wishes: Mutex<Vec<ListenerWish>>,
    /// There are wishes.
    pub(super) wished: Notify,
    /// There is a change to take.
    pub(super) changed: Notify,
    pub(super) ready: watch::Sender<bool>,
}

/// What users want. The task obeys between two responses, so that none of them is half in the store.
#[derive(Clone, Debug)]
pub(super) enum ListenerWish {
    /// A listener is needed.
    Want(Text),
    /// A listener is not needed any more.
    Forget(Text),
}

impl Shared {
    pub(super) fn new(machine: Machine, servers: Vec<ServerStatus>) -> Self {
        Self {
            machine: Mutex::new(machine),
            servers: Mutex::new(servers),
            wishes: Mutex::default(),
            wished: Notify::new(),
            changed: Notify::new(),
            ready: watch::Sender::new(false),
        }
    }

    pub(super) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn servers(&self) -> MutexGuard<'_, Vec<ServerStatus>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a wish for the task.
    pub(super) fn wish(&self, wish: ListenerWish) {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).push(wish);
        self.wished.notify_one();
    }

    /// Changes the machine, and wakes those who wait for what has changed.
    pub(super) fn step<T>(&self, step: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.machine();
        let result = step(&mut machine);
        if machine.has_change() {
            self.changed.notify_one();
        }
        let ready = machine.is_ready();
        drop(machine);
        self.ready.send_if_modified(|before| {
            let turns = *before != ready;
            *before = ready;
            turns
        });
        result
    }

    /// Waits until there is something to do that no server has to say, and does it.
    pub(super) async fn tend(&self) {
        let deadline = self.machine().next_deadline();
        let passed = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.wished.notified() => self.obey(),
            () = passed => self.step(|machine| machine.tick(Instant::now())),
        }
    }

    fn obey(&self) {
        let wishes = std::mem::take(&mut *self.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        let now = Instant::now();
        self.step(|machine| {
            for wish in &wishes {
                match wish {
                    ListenerWish::Want(name) => machine.want_listener(name, now),
                    ListenerWish::Forget(name) => machine.forget_listener(name, now),
                }
            }
        });
    }
}
