//! What the images of this project start, as their Dockerfile says.

use anyhow::Context;
use anyhow::Result;

const DOCKERFILE: &str = include_str!("../../../Dockerfile");

/// What an image starts where the spec has no command: its entrypoint, and the arguments that it has where the spec has none.
pub(super) fn starts(image: &str) -> Result<(Vec<String>, Vec<String>)> {
    let name = image.rsplit('/').next().unwrap_or(image);
    let name = name.split([':', '@']).next().unwrap_or(name);
    let head = format!(" AS {name}\n");
    let (_, stage) = DOCKERFILE
        .split_once(&head)
        .with_context(|| format!("there are no images here but ours, so not {image}"))?;
    let stage = stage.split("\nFROM ").next().unwrap_or(stage);
    let words = |instruction: &str| -> Result<Vec<String>> {
        let line = stage.lines().find_map(|line| line.strip_prefix(instruction));
        line.map_or_else(|| Ok(Vec::new()), |words| Ok(serde_json::from_str(words)?))
    };
    Ok((words("ENTRYPOINT ")?, words("CMD ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_ours_starts_its_program() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let found = starts("registry.example:5000/mesh/evenkeel-init:1.20").unwrap();
        assert_eq!(found, (words(&["evenkeel-init"]), words(&["install"])));
        let found = starts("evenkeel-control@sha256:00").unwrap();
        assert_eq!(found, (words(&["evenkeel-control"]), Vec::new()));
        assert!(starts("nginx").is_err());
    }
}
