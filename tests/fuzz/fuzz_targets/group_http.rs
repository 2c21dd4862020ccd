#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hullo_proto::group::fuzz::http(bytes));
