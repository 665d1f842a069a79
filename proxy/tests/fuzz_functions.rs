//! The functions of the fuzz targets on the stable compiler: the kept corpora, and what a few mistakes make of them.
//! `fuzz/README.md` says how libFuzzer goes further.

#[path = "differential/dice.rs"]
mod dice;
#[path = "../../fuzz/src/lib.rs"]
pub mod functions;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;

use dice::Dice;

/// For each target; about six seconds of a debug build in all.
const INPUTS: u64 = 5_000;

#[test]
fn every_target_holds_for_its_corpus_and_for_what_mistakes_make_of_it() {
    for (name, target) in functions::TARGETS {
        let corpus = corpus(name);
        let inputs: Vec<&Vec<u8>> = corpus.values().collect();
        for (file, bytes) in &corpus {
            hold(target, bytes, file);
        }
        for seed in 0..INPUTS {
            let mut dice = Dice::new(seed);
            let mut bytes = dice.pick(&inputs).clone();
            if dice.one_in(4) {
                // The beginning of one and the end of another.
                let other = dice.pick(&inputs);
                bytes.truncate(dice.roll(bytes.len() + 1));
                bytes.extend_from_slice(&other[dice.roll(other.len() + 1)..]);
            }
            for _ in 0..dice.roll(4) {
                dice.mutate(&mut bytes);
            }
            hold(target, &bytes, &format!("{name}, seed {seed}"));
        }
    }
}

#[test]
fn every_corpus_belongs_to_a_target_and_every_target_is_built() {
    let fuzz = fuzz();
    let mut names: Vec<&str> = functions::TARGETS.map(|(name, _)| name).to_vec();
    names.sort_unstable();
    let stems = |folder: &str| {
        let entries = fs::read_dir(fuzz.join(folder)).unwrap();
        let mut stems: Vec<String> = entries
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        stems.sort();
        stems
    };
    assert_eq!(stems("corpus"), names);
    assert_eq!(stems("fuzz_targets"), names);
}

fn hold(target: fn(&[u8]), bytes: &[u8], called: &str) {
    assert!(
        catch_unwind(|| target(bytes)).is_ok(),
        "{called}: {}",
        bytes.escape_ascii()
    );
}

/// The kept inputs of a target, by their paths, so that the order is the same everywhere.
fn corpus(name: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = fuzz().join("corpus").join(name);
    let read = |entry: io::Result<fs::DirEntry>| {
        let path = entry?.path();
        Ok((path.display().to_string(), fs::read(&path)?))
    };
    let corpus: io::Result<BTreeMap<_, _>> = fs::read_dir(&folder).and_then(|entries| entries.map(read).collect());
    let corpus = corpus.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    assert!(!corpus.is_empty(), "nothing in {}", folder.display());
    corpus
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}
