//! The certificate in files that somebody else writes: `tls.crt`, `tls.key` and `ca.crt` of a folder, such as a mounted Secret.

use super::Certificates;
use super::pair::Texts;
use evenkeel_control_api::file::Watch;
use std::io;
use std::path::{Path, PathBuf};

const FILES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// Follows the files.
pub(super) async fn keep(certificates: Certificates, folder: PathBuf, names: Vec<String>) {
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let origin = folder.display().to_string();
    let mut watches = FILES.map(|file| Watch::new(folder.join(file)));
    let mut before = None;
    loop {
        for watch in &mut watches {
            watch.arm();
        }
        match read(&folder) {
            Ok(texts) if before.as_ref() == Some(&texts) => {}
            Ok(texts) => {
                certificates.offer(&texts, &names, &origin);
                before = Some(texts);
            }
            Err(reason) => {
                certificates.refuse(&origin, reason);
                before = None;
            }
        }
        let [chain, key, authority] = &mut watches;
        tokio::select! {
            () = chain.hint() => {}
            () = key.hint() => {}
            () = authority.hint() => {}
        }
    }
}

fn read(folder: &Path) -> Result<Texts, String> {
    let [chain, key, authority] = FILES.map(|file| {
        let read: io::Result<Vec<u8>> = std::fs::read(folder.join(file));
        read.map_err(|error| format!("{file}: {error}"))
    });
    Ok(Texts {
        chain: chain?,
        key: key?,
        authority: authority?,
    })
}
