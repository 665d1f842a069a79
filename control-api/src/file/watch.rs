//! Tells when a file may have another content: the kernel's word where it can be had, else a clock.
//!
//! Every directory that has a part in finding the file is watched, not the file: a rename over it, and the swap of a
//! symlink half-way (a `ConfigMap` is `mesh.yaml -> ..data/mesh.yaml`, and the kubelet renames a new `..data` over the
//! old one), leave the old file untouched.

use inotify::EventMask;
use inotify::Inotify;
use inotify::WatchMask;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// Without the kernel's word.
const POLL: Duration = Duration::from_secs(2);
/// Beside it: network file systems do not tell what other machines do.
const SAFETY_NET: Duration = Duration::from_secs(10);
/// As many as the kernel follows (`MAXSYMLINKS`).
const SYMLINKS: usize = 40;

/// A name in a directory on the way to the file: a symlink, or at last the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    directory: PathBuf,
    name: OsString,
}

/// Watches one path.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    kernel: Kernel,
    places: Vec<Place>,
}

#[derive(Debug)]
enum Kernel {
    /// To be asked.
    Unasked,
    /// Tells.
    Tells(AsyncFd<Inotify>),
    /// It refused, and that was said.
    Refused,
    /// Not to be asked.
    #[cfg(test)]
    Avoided,
}

impl Watch {
    /// Of an absolute path. Nothing is watched before [`Watch::arm`].
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            kernel: Kernel::Unasked,
            places: Vec::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn polling(path: PathBuf) -> Self {
        Self {
            kernel: Kernel::Avoided,
            ..Self::new(path)
        }
    }

    /// Watches the way to the file as it is now. What changes after this is told by [`Watch::hint`], so the file is to
    /// be read in between.
    pub fn arm(&mut self) {
        #[cfg(test)]
        if matches!(self.kernel, Kernel::Avoided) {
            return;
        }
        let places = places(&self.path);
        if matches!(self.kernel, Kernel::Tells(_)) && places == self.places {
            return;
        }
        match watch_all(&places) {
            Ok(inotify) => self.kernel = Kernel::Tells(inotify),
            Err(error) => {
                if !matches!(self.kernel, Kernel::Refused) {
                    let path = self.path.display();
                    tracing::warn!(%path, %error, "changes cannot be watched, the file is read every 2 s instead");
                }
                self.kernel = Kernel::Refused;
            }
        }
        self.places = places;
    }

    /// Waits until the file may have changed. Losing the wait loses nothing: the next `arm` and read see it.
    pub async fn hint(&mut self) {
        let Kernel::Tells(inotify) = &mut self.kernel else {
            return tokio::time::sleep(POLL).await;
        };
        match tokio::time::timeout(SAFETY_NET, told(inotify, &self.places)).await {
            Err(_) | Ok(Told::Changed) => {}
            // A directory is gone, perhaps to come back under the same name: watch from scratch.
            Ok(Told::Lost) => self.kernel = Kernel::Unasked,
        }
    }
}

enum Told {
    Changed,
    Lost,
}

/// Waits for an event that is about us.
async fn told(inotify: &mut AsyncFd<Inotify>, places: &[Place]) -> Told {
    loop {
        let Ok(mut ready) = inotify.readable_mut().await else {
            return Told::Lost;
        };
        match ready.try_io(|inotify| drain(inotify.get_mut(), places)) {
            Err(_) | Ok(Ok(None)) => {}
            Ok(Ok(Some(told))) => return told,
            Ok(Err(_)) => return Told::Lost,
        }
    }
}

/// Reads one buffer of events; `None`: none of them is about us.
fn drain(inotify: &mut Inotify, places: &[Place]) -> io::Result<Option<Told>> {
    let lost = EventMask::IGNORED | EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::Q_OVERFLOW;
    // One event with the longest name needs 272 bytes.
    let mut buffer = [0; 1_024];
    let mut told = None;
    for event in inotify.read_events(&mut buffer)? {
        if event.mask.intersects(lost) {
            return Ok(Some(Told::Lost));
        }
        if event
            .name
            .is_some_and(|name| places.iter().any(|place| place.name == name))
        {
            told = Some(Told::Changed);
        }
    }
    Ok(told)
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for types that lie about their descriptor; `Inotify` owns its own"
)]
fn register(inotify: Inotify) -> io::Result<AsyncFd<Inotify>> {
    AsyncFd::new(inotify)
}

fn watch_all(places: &[Place]) -> io::Result<AsyncFd<Inotify>> {
    let inotify = Inotify::init()?;
    // A write is told when the file is closed, not half-way. A symlink and a hard link are only ever created.
    let mask = WatchMask::CLOSE_WRITE
        | WatchMask::CREATE
        | WatchMask::DELETE
        | WatchMask::MOVED_FROM
        | WatchMask::MOVED_TO
        | WatchMask::ATTRIB
        | WatchMask::DELETE_SELF
        | WatchMask::MOVE_SELF
        | WatchMask::ONLYDIR;
    for place in places {
        inotify.watches().add(&place.directory, mask)?;
    }
    register(inotify)
}

/// Every symlink on the way to the file, wherever in the path it is, and the file itself.
fn places(path: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    let mut rest: VecDeque<OsString> = names(path).collect();
    let mut directory = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            directory.pop();
            continue;
        }
        let here = directory.join(&name);
        match std::fs::read_link(&here) {
            Ok(target) if links < SYMLINKS => {
                links += 1;
                places.push(Place {
                    directory: directory.clone(),
                    name,
                });
                if target.is_absolute() {
                    directory = PathBuf::from("/");
                }
                for (at, name) in names(&target).enumerate() {
                    rest.insert(at, name);
                }
            }
            _ if rest.is_empty() => places.push(Place {
                directory: directory.clone(),
                name,
            }),
            _ => directory = here,
        }
    }
    places
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn found(path: &Path, root: &Path) -> Vec<(PathBuf, String)> {
        let inside = places(path).into_iter().filter_map(|place| {
            let directory = place.directory.strip_prefix(root).ok()?.to_owned();
            Some((directory, place.name.into_string().unwrap()))
        });
        inside.collect()
    }

    #[test]
    fn every_link_on_the_way_and_the_file_itself_are_watched() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("..first")).unwrap();
        std::fs::write(root.join("..first/mesh.yaml"), "a").unwrap();
        symlink("..first", root.join("..data")).unwrap();
        symlink("..data/mesh.yaml", root.join("mesh.yaml")).unwrap();
        let place = |directory: &str, name: &str| (PathBuf::from(directory), name.to_owned());
        assert_eq!(
            found(&root.join("mesh.yaml"), &root),
            [
                place("", "mesh.yaml"),
                place("", "..data"),
                place("..first", "mesh.yaml")
            ]
        );
    }

    #[test]
    fn links_that_go_in_circles_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert_eq!(found(&root.join("a"), &root).len(), SYMLINKS + 1);
    }

    #[test]
    fn a_file_that_is_not_there_has_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        assert_eq!(
            found(&root.join("mesh.yaml"), &root),
            [(PathBuf::new(), "mesh.yaml".to_owned())]
        );
    }
}
