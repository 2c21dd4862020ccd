//! Completions for shells and the manual page, both made of the command line itself: neither can fall behind it.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::program::{Failure, OTHER};

/// A script for this shell that completes commands and options.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hullo", &mut script);
    script
}

/// The manual page, in roff: the program, then each of its commands.
///
/// # Errors
/// Ours: a command cannot be rendered.
pub fn page() -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure {
        words: format!("The manual page could not be written: {error}."),
        status: OTHER,
    };
    let mut page = Vec::new();
    let mut command = Cli::command();
    // Gives each command its full name and the options that hold everywhere.
    command.build();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(failed)?;
    for one in command
        .get_subcommands()
        .filter(|one| one.get_name() != "help")
    {
        let title = format!(".SH HULLO {}\n", one.get_name().to_uppercase());
        page.extend_from_slice(title.as_bytes());
        let man = clap_mangen::Man::new(one.clone());
        man.render_description_section(&mut page).map_err(failed)?;
        man.render_synopsis_section(&mut page).map_err(failed)?;
        man.render_options_section(&mut page).map_err(failed)?;
        if one.has_subcommands() {
            man.render_subcommands_section(&mut page).map_err(failed)?;
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    fn commands() -> Vec<String> {
        let command = Cli::command();
        let all = command
            .get_subcommands()
            .map(|one| one.get_name().to_owned());
        all.collect()
    }

    #[test]
    fn every_shell_completes_every_command() {
        let all = commands();
        assert!(all.len() > 15, "{all:?}");
        for shell in Shell::value_variants() {
            let script = String::from_utf8(completions(*shell)).expect("text");
            for name in &all {
                assert!(script.contains(name.as_str()), "{shell}: {name}");
            }
            assert!(script.contains("record-video"), "{shell}");
        }
    }

    #[test]
    fn the_manual_has_every_command_with_its_options() {
        let page = String::from_utf8(page().expect("renders")).expect("text");
        // What roff needs written otherwise.
        let plain = page.replace("\\-", "-");
        assert!(plain.starts_with(".ie"), "{}", &plain[..40]);
        for name in commands() {
            let title = format!(".SH HULLO {}", name.to_uppercase());
            assert!(plain.contains(&title), "{name}");
        }
        for word in [
            "--drain",
            "--record-video",
            "HULLO_HOME",
            "ptt on|off",
            "hullo-group-add",
        ] {
            assert!(plain.contains(word), "{word}");
        }
    }
}
