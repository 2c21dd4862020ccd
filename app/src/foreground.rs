//! Whether the terminal is ours: a program that a shell runs in the background (`hullo test &`) and that reads it, or changes
//! how it works, is stopped by the system (SIGTTIN, SIGTTOU).

use rustix::termios::tcgetpgrp;

/// True in the foreground of the terminal on stdin, and where stdin is none.
#[must_use]
pub fn is_foreground() -> bool {
    tcgetpgrp(std::io::stdin()).map_or(true, |group| group == rustix::process::getpgrp())
}
