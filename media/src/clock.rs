//! The one place of this crate that reads clocks and waits: everything else is told the time.

#![allow(
    clippy::disallowed_methods,
    reason = "the shell of this crate reads the clock here"
)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Now, on the clock that never goes back.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Microseconds since 1970-01-01 UTC; 0 if the system's clock stands before that.
#[must_use]
pub fn unix_us() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The wall clock at `at`, an instant near now: follows the system's clock when that is set anew.
#[must_use]
pub fn unix_us_at(at: Instant) -> u64 {
    let (now, unix_now) = (now(), unix_us());
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    unix_now
        .saturating_sub(micros(now.saturating_duration_since(at)))
        .saturating_add(micros(at.saturating_duration_since(now)))
}

/// Waits until `deadline`; returns at once when it has passed.
pub fn sleep_until(deadline: Instant) {
    sleep(deadline.saturating_duration_since(now()));
}

/// Waits.
pub fn sleep(time: Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}
