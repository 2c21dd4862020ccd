//! The relay: opaque sealed blocks in queues.
