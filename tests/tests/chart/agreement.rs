//! The programs know what the chart tells them.

use std::process::Command;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::binaries;

use crate::matrix;
use crate::matrix::find;

#[test]
fn every_flag_that_the_chart_gives_is_one_of_the_program() -> Result<()> {
    let help = Command::new(binaries::path("evenkeel-control")?)
        .args(["run", "--help"])
        .output()?;
    let help = String::from_utf8(help.stdout)?;
    let known: Vec<_> = help.split_whitespace().filter(|word| word.starts_with("--")).collect();
    matrix::each(|_, objects| {
        let container = &find(objects, "Deployment", "evenkeel-control")?["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array().context("arguments")?;
        ensure!(arguments[0] == "run", "{arguments:?}");
        for argument in &arguments[1..] {
            let flag = argument
                .as_str()
                .and_then(|argument| argument.split_once('='))
                .context("a flag")?
                .0;
            ensure!(known.contains(&flag), "{flag} is not in: {help}");
        }
        Ok(())
    })
}
