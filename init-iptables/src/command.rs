//! Runs the command that the arguments ask for.

use std::io::Write;

use crate::cleanup;
use crate::console::Console;
use crate::document;
use crate::family::Family;
use crate::fault::Fault;
use crate::install;
use crate::options::Cli;
use crate::options::Command;
use crate::plan::Plan;
use crate::rules::Rules;
use crate::verify;

/// Runs it; results go to `out` and warnings to `err`.
pub fn run(cli: &Cli, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Fault> {
    let mut console = Console { out, err };
    match &cli.command {
        Command::Install { plan, kernel, dry_run } => {
            let plan = plan.check().map_err(Fault::Arguments)?;
            if *dry_run {
                return install::dry_run(&plan, *kernel, &mut console);
            }
            install::install(&plan, *kernel, &mut console)
        }
        Command::Verify { plan, kernel } => {
            verify::verify(&plan.check().map_err(Fault::Arguments)?, *kernel, &mut console)
        }
        Command::Cleanup { kernel, dry_run: true } => cleanup::dry_run(*kernel, &mut console),
        Command::Cleanup { kernel, dry_run: false } => cleanup::cleanup(*kernel, &mut console),
        Command::Print { plan } => {
            print(&plan.check().map_err(Fault::Arguments)?, &mut console);
            Ok(())
        }
    }
}

fn print(plan: &Plan, console: &mut Console<'_>) {
    for family in Family::IN_ORDER.into_iter().filter(|family| plan.redirects(*family)) {
        let document = document::install(&Rules::of(plan, family), &Rules::default());
        console.print(&format!(
            "# {family}, for {}-restore --noflush -w\n{document}",
            family.program()
        ));
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn run_to_text(arguments: &[&str]) -> Result<String, Fault> {
        let mut out = Vec::new();
        run(
            &Cli::parse_from([&["evenkeel-init"], arguments].concat()),
            &mut out,
            &mut Vec::new(),
        )?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn print_shows_both_families_with_ipv6_first() {
        let text = run_to_text(&["print"]).unwrap();
        assert!(text.starts_with("# IPv6, for ip6tables-restore --noflush -w\n*nat\n"));
        assert!(text.contains("COMMIT\n# IPv4, for iptables-restore --noflush -w\n*nat\n"));
    }

    #[test]
    fn print_shows_ipv4_alone_without_ipv6() {
        assert!(run_to_text(&["print", "--ipv6=off"]).unwrap().starts_with("# IPv4"));
    }

    #[test]
    fn malformed_arguments_print_nothing() {
        assert!(matches!(run_to_text(&["print", "--proxy-uid=x"]), Err(Fault::Arguments(faults)) if faults.len() == 1));
    }

    #[test]
    fn the_page_about_redirection_shows_what_print_prints() {
        let page = include_str!("../../docs/redirection.md");
        assert!(page.contains(&format!("```\n{}```", run_to_text(&["print"]).unwrap())));
    }
}
