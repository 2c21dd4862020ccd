//! Generates the group-call messages from `src/group/call.proto`, without `protoc`.

/// Messages that carry a key: wiped when dropped.
const SECRET_MESSAGES: [&str; 3] = [
    ".group_call.GroupCallStart",
    ".group_call.ParticipantToParticipant.MediaKey",
    ".group_call.ParticipantToParticipant.Admin.PromoteToAdmin",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Set by cargo-fuzz.
    println!("cargo::rustc-check-cfg=cfg(fuzzing)");
    println!("cargo::rerun-if-changed=src/group/call.proto");
    let files = protox::compile(["src/group/call.proto"], ["src/group"])?;
    let mut config = prost_build::Config::new();
    // Ordered maps: the same call state always gives the same bytes.
    config.btree_map(["."]);
    // Some messages hold keys, so none can be printed.
    config.skip_debug(["."]);
    for message in SECRET_MESSAGES {
        config.message_attribute(
            message,
            "#[derive(zeroize::Zeroize, zeroize::ZeroizeOnDrop)]",
        );
    }
    config.compile_fds(files)?;
    Ok(())
}
