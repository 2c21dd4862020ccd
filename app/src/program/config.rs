//! `hullo config`: where the file is, whether it is right, and all that counts.

use std::path::Path;

use serde_json::json;

use super::{Face, Failure, USAGE};
use crate::cli::ConfigAction;
use crate::config;
use crate::profile::settings::SettingsFile;

/// Does it; a file that is wrong is wrong use.
pub(super) fn run(action: ConfigAction, profile: &Path, face: Face) -> Result<u8, Failure> {
    let path = config::path(profile);
    let there = path.exists();
    let shown = path.display().to_string();
    let (config, broken) = config::read(&path);
    let words = match action {
        ConfigAction::Path => shown.clone(),
        ConfigAction::Check => {
            if let Some(error) = broken {
                return Err(Failure::of(&error, USAGE));
            }
            if there {
                let count = u64::try_from(config.written.len()).unwrap_or(u64::MAX);
                format!(
                    "{shown} is right: {}.",
                    crate::text::counted(count, "setting")
                )
            } else {
                format!("{shown} is not there: all is as by default.")
            }
        }
        ConfigAction::Dump => {
            let wrong = broken.map(|error| format!("# {error}\n"));
            // A file that cannot be read is told by the next program on the profile, and counts nowhere.
            let settings = SettingsFile::of_profile(profile).read();
            let settings = settings.unwrap_or_default();
            format!(
                "# {shown}\n{}{}",
                wrong.unwrap_or_default(),
                config.dump_with(&settings)
            )
        }
    };
    let out = match face {
        Face::Json => json!({
            "event": "config", "at_ms": 0, "path": shown, "exists": there, "text": words,
        })
        .to_string(),
        Face::Plain | Face::Screen => words.trim_end().to_owned(),
    };
    std::io::Write::write_all(&mut std::io::stdout(), format!("{out}\n").as_bytes())
        .map_err(|_| Failure::other("Nobody reads the output."))?;
    Ok(0)
}
