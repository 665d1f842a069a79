//! A mesh document: in a file that may change at any time, or given as text.

use super::watch::Watch;
use crate::fault::{Fault, Faults};
use crate::mesh::{self, Loaded, MeshDocument};
use std::fmt;
use std::fs::File;
use std::future::pending;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a document: 64 MiB. A mesh of 100,000 endpoints needs 6 MiB.
pub const SIZE_LIMIT: u64 = 64 << 20;
/// What a document that was given as text is called where a file has its path.
const INLINE: &str = "inline configuration";
/// A content is believed when it is the same after this long: whoever writes in place writes in steps.
const SETTLE: Duration = Duration::from_millis(50);

/// Why a document is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A sentence with the path.
    Unreadable(String),
    /// Everything that is wrong with it.
    Faulty(PathBuf, Faults),
}

impl Refused {
    /// A line for each fault, `FILE:LINE:COLUMN: path: reason`.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Unreadable(sentence) => vec![sentence.clone()],
            Self::Faulty(path, Faults(faults)) => {
                let line = |fault: &Fault| {
                    let separator = if fault.position.is_some() { ":" } else { ": " };
                    format!("{}{separator}{fault}", path.display())
                };
                faults.iter().map(line).collect()
            }
        }
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

/// A document, and what was read of it last.
#[derive(Debug)]
pub struct Document {
    path: PathBuf,
    content: Result<Arc<str>, Refused>,
    /// Of its file; `None`: it was given as text, and stays what it is.
    watch: Option<Watch>,
}

impl Document {
    /// Reads the file for the first time.
    pub fn open(path: &Path) -> Result<Self, Refused> {
        let unreadable = |error: io::Error| Refused::Unreadable(format!("{}: {error}", path.display()));
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let content = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            content: Ok(content),
            watch: Some(Watch::new(absolute)),
        })
    }

    /// A document that was given as text. It never changes.
    pub fn inline(text: &str) -> Result<Self, Refused> {
        let path = PathBuf::from(INLINE);
        let content = check(&path, text.as_bytes().to_vec())?;
        Ok(Self {
            path,
            content: Ok(content),
            watch: None,
        })
    }

    /// The path as it was given, or what stands for it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was read last, translated: as typed resources, or everything that is wrong with it.
    pub fn load(&self) -> Result<Loaded, Refused> {
        self.with(mesh::load)
    }

    /// What was read last as its plain model, or everything that is wrong with it.
    pub fn parse(&self) -> Result<MeshDocument, Refused> {
        self.with(mesh::parse)
    }

    /// What `read` makes of what was read last; a file of another kind is watched in the same way.
    pub fn with<T>(&self, read: impl Fn(&str) -> Result<T, Faults>) -> Result<T, Refused> {
        let text = self.content.as_ref().map_err(Refused::clone)?;
        read(text).map_err(|faults| Refused::Faulty(self.path.clone(), faults))
    }

    /// Waits until the file reads otherwise than before: another content, or none that can be read, each told once.
    /// May be dropped at any time without losing a change. Needs a tokio runtime with IO and time.
    pub async fn changed(&mut self) {
        let Some(watch) = &mut self.watch else {
            return pending().await;
        };
        loop {
            watch.arm();
            let fresh = settled(&self.path, &self.content).await;
            if fresh != self.content {
                self.content = fresh;
                return;
            }
            watch.hint().await;
        }
    }
}

/// The content once it has stopped changing, where it is another than `before`.
async fn settled(path: &Path, before: &Result<Arc<str>, Refused>) -> Result<Arc<str>, Refused> {
    let mut content = read(path);
    if content == *before {
        return content;
    }
    loop {
        tokio::time::sleep(SETTLE).await;
        let again = read(path);
        if again == content {
            return content;
        }
        content = again;
    }
}

fn read(path: &Path) -> Result<Arc<str>, Refused> {
    let refused = |reason: String| Refused::Unreadable(format!("{}: {reason}", path.display()));
    let unreadable = |error: io::Error| refused(format!("it cannot be read: {error}"));
    // Opening a pipe would wait for its writer.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(refused("it is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    check(path, bytes)
}

/// Whether these bytes may be a document at all.
fn check(path: &Path, bytes: Vec<u8>) -> Result<Arc<str>, Refused> {
    let refused = |reason: String| Refused::Unreadable(format!("{}: {reason}", path.display()));
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(refused(format!("it has more than {} MiB", SIZE_LIMIT >> 20)));
    }
    if bytes.is_empty() {
        // What somebody truncated to write it anew; a mesh without anything has at least a `{}`.
        return Err(refused("it is empty".to_owned()));
    }
    let text = String::from_utf8(bytes);
    let text =
        text.map_err(|error| refused(format!("it is not UTF-8 at byte {}", error.utf8_error().valid_up_to())))?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    struct Folder(TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).unwrap();
        }

        fn open(&self, text: &str) -> Document {
            self.write("mesh.yaml", text);
            Document::open(&self.path("mesh.yaml")).unwrap()
        }
    }

    /// Well before the safety net: what arrives in this time was told by the kernel.
    const SOON: Duration = Duration::from_secs(5);

    async fn next(document: &mut Document) -> Result<String, String> {
        tokio::time::timeout(SOON, document.changed())
            .await
            .expect("a change is noticed");
        document
            .content
            .clone()
            .map(|text| text.to_string())
            .map_err(|refused| refused.to_string())
    }

    /// Waits until the watch stands, so that what follows is told by the kernel and not by the first read.
    async fn nothing_changes(document: &mut Document) {
        assert!(
            tokio::time::timeout(Duration::from_millis(20), document.changed())
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_file_renamed_over_it_is_noticed() {
        let folder = Folder::new();
        let mut document = folder.open("a");
        nothing_changes(&mut document).await;
        folder.write("new", "b");
        fs::rename(folder.path("new"), folder.path("mesh.yaml")).unwrap();
        assert_eq!(next(&mut document).await.unwrap(), "b");
    }

    #[tokio::test]
    async fn a_write_in_place_is_noticed() {
        let folder = Folder::new();
        let mut document = folder.open("a");
        nothing_changes(&mut document).await;
        folder.write("mesh.yaml", "b");
        assert_eq!(next(&mut document).await.unwrap(), "b");
    }

    #[tokio::test]
    async fn a_config_map_is_followed_through_every_swap_of_its_link() {
        let folder = Folder::new();
        let swap = |number: usize, text: &str| {
            let version = format!("..version_{number}");
            fs::create_dir(folder.path(&version)).unwrap();
            folder.write(&format!("{version}/mesh.yaml"), text);
            symlink(&version, folder.path("..data_tmp")).unwrap();
            fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
            if number > 0 {
                fs::remove_dir_all(folder.path(&format!("..version_{}", number - 1))).unwrap();
            }
        };
        swap(0, "a");
        symlink("..data/mesh.yaml", folder.path("mesh.yaml")).unwrap();
        let mut document = Document::open(&folder.path("mesh.yaml")).unwrap();
        nothing_changes(&mut document).await;
        for (number, text) in [(1, "b"), (2, "c"), (3, "d")] {
            swap(number, text);
            assert_eq!(next(&mut document).await.unwrap(), text);
            nothing_changes(&mut document).await;
        }
    }

    #[tokio::test]
    async fn a_file_that_vanishes_is_told_once_and_so_is_its_return() {
        let folder = Folder::new();
        let mut document = folder.open("a");
        nothing_changes(&mut document).await;
        fs::remove_file(folder.path("mesh.yaml")).unwrap();
        assert!(
            next(&mut document)
                .await
                .unwrap_err()
                .contains("cannot be read: No such file")
        );
        nothing_changes(&mut document).await;
        folder.write("mesh.yaml", "a");
        assert_eq!(next(&mut document).await.unwrap(), "a");
    }

    #[tokio::test]
    async fn a_directory_that_comes_back_is_watched_again() {
        let folder = Folder::new();
        fs::create_dir(folder.path("etc")).unwrap();
        folder.write("etc/mesh.yaml", "a");
        let mut document = Document::open(&folder.path("etc/mesh.yaml")).unwrap();
        nothing_changes(&mut document).await;
        fs::rename(folder.path("etc"), folder.path("old")).unwrap();
        assert!(next(&mut document).await.is_err());
        fs::create_dir(folder.path("etc")).unwrap();
        folder.write("etc/mesh.yaml", "b");
        assert_eq!(next(&mut document).await.unwrap(), "b");
    }

    #[tokio::test]
    async fn a_touch_is_no_change() {
        let folder = Folder::new();
        let mut document = folder.open("a");
        nothing_changes(&mut document).await;
        folder.write("mesh.yaml", "a");
        nothing_changes(&mut document).await;
        folder.write("mesh.yaml", "b");
        assert_eq!(next(&mut document).await.unwrap(), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_kernel_s_word_the_file_is_polled() {
        let folder = Folder::new();
        let mut document = folder.open("a");
        document.watch = Some(Watch::polling(folder.path("mesh.yaml")));
        let change = async {
            tokio::time::sleep(Duration::from_mins(1)).await;
            folder.write("mesh.yaml", "b");
            tokio::time::Instant::now()
        };
        let noticed = async {
            document.changed().await;
            tokio::time::Instant::now()
        };
        let (changed, noticed) = tokio::join!(change, noticed);
        assert!(
            noticed - changed <= Duration::from_millis(2_100),
            "{:?}",
            noticed - changed
        );
    }

    #[test]
    fn what_cannot_be_a_document_is_refused_in_a_sentence() {
        let folder = Folder::new();
        let refused = |name: &str| Document::open(&folder.path(name)).unwrap_err().to_string();
        assert!(refused("missing").ends_with("missing: it cannot be read: No such file or directory (os error 2)"));
        assert!(refused("").ends_with("it is not a regular file"));
        folder.write("empty", "");
        assert!(refused("empty").ends_with("it is empty"));
        fs::write(folder.path("binary"), b"a\xff").unwrap();
        assert!(refused("binary").ends_with("it is not UTF-8 at byte 1"));
        File::create(folder.path("huge"))
            .unwrap()
            .set_len(SIZE_LIMIT + 1)
            .unwrap();
        assert!(refused("huge").ends_with("it has more than 64 MiB"));
    }

    #[test]
    fn every_fault_is_a_line_with_file_line_and_column() {
        let folder = Folder::new();
        let document = folder.open("services: 3\nunknown: perhaps\n");
        let lines = document.load().unwrap_err().lines();
        let file = folder.path("mesh.yaml");
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].starts_with(&format!("{}:1:11: services: ", file.display())),
            "{lines:?}"
        );
        assert!(
            lines[1].starts_with(&format!("{}:2:10: unknown: ", file.display())),
            "{lines:?}"
        );
    }
    #[tokio::test(start_paused = true)]
    async fn a_text_is_a_document_that_never_changes() {
        let mut document = Document::inline("services: []\n").unwrap();
        assert!(document.load().is_ok());
        let changed = tokio::time::timeout(Duration::from_hours(1), document.changed());
        assert!(changed.await.is_err());
    }

    #[test]
    fn a_text_has_the_faults_of_a_file() {
        assert_eq!(
            Document::inline("").unwrap_err().to_string(),
            "inline configuration: it is empty"
        );
        let lines = Document::inline("unknown: refuse\nservices: 3\n")
            .unwrap()
            .load()
            .unwrap_err()
            .lines();
        assert!(
            lines[0].starts_with("inline configuration:2:11: services: "),
            "{lines:?}"
        );
    }
}
