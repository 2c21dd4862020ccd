//! Keeps libraries from writing on the terminal.
//!
//! alsa-lib prints some 32 lines while it looks for devices, other C libraries print warnings; on a screen in raw mode
//! that smears the picture. File descriptor 2 therefore goes elsewhere before the first device is touched.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Error output as it was before; given back when dropped.
#[must_use = "error output comes back when this is dropped"]
pub struct Quiet {
    before: OwnedFd,
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nobody can be told if this fails: it is error output itself.
        let _ = rustix::stdio::dup2_stderr(&self.before);
    }
}

/// Sends error output to the end of the file at `path`, or to nowhere without one, for the whole process.
///
/// # Errors
/// The file cannot be opened, or the process has no descriptor left.
pub fn redirect_stderr(path: Option<&Path>) -> io::Result<Quiet> {
    let file: File = match path {
        Some(path) => OpenOptions::new().append(true).create(true).open(path)?,
        None => OpenOptions::new().write(true).open("/dev/null")?,
    };
    let before = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?;
    rustix::stdio::dup2_stderr(file.as_fd())?;
    Ok(Quiet { before })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_libraries_print_lands_in_the_file_and_the_terminal_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let quiet = redirect_stderr(Some(&path)).expect("redirects");
        io::stderr()
            .write_all(b"ALSA lib pcm.c: noise\n")
            .expect("writes");
        drop(quiet);
        io::stderr().write_all(b"").expect("writes");
        let log = std::fs::read_to_string(&path).expect("the log");
        assert!(log.contains("ALSA lib pcm.c: noise"), "{log:?}");
    }
}
