//! Threads that end with the program or by themselves, and are not waited for.

/// Runs `body` on a thread of this name.
///
/// # Panics
/// When the system has no thread left.
pub fn detach(name: &'static str, body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .expect("the system has a thread left");
}
