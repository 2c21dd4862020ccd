//! The selective forwarding unit: rooms and forwarding, no key and no codec.
