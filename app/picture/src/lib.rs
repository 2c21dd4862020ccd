//! Moving pictures for terminals: an encoder from pictures to the fewest bytes that show them.
