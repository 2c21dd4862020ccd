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

static OFFSET_S: std::sync::OnceLock<i32> = std::sync::OnceLock::new();

/// Remembers how far the local time is from UTC. Only the first thread of the program may ask, before there are others:
/// the system's answer depends on variables that another thread could be changing. Unasked, times are UTC.
pub fn remember_local_time() {
    let offset = time::UtcOffset::current_local_offset().unwrap_or(time::UtcOffset::UTC);
    let _ = OFFSET_S.set(offset.whole_seconds());
}

/// How clocks on the wall stand here.
pub fn wall_clock() -> crate::conversation::WallClock {
    crate::conversation::WallClock {
        offset_s: OFFSET_S.get().copied().unwrap_or(0),
    }
}
