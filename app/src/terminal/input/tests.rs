use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8]) -> Vec<Input> {
    let (mut parser, mut inputs) = (Parser::default(), Vec::new());
    parser.feed(bytes, |input| inputs.push(input));
    parser.pause(|input| inputs.push(input));
    inputs
}

fn pressed(code: KeyCode, modifiers: KeyModifiers) -> Vec<Input> {
    vec![key(code, modifiers)]
}

#[test]
fn keys_are_what_terminals_send_for_them() {
    use KeyModifiers as Mods;
    let char = KeyCode::Char;
    let cases: &[(&[u8], KeyCode, Mods)] = &[
        (b"a", char('a'), Mods::NONE),
        (b"A", char('A'), Mods::SHIFT),
        ("ü".as_bytes(), char('ü'), Mods::NONE),
        ("🦀".as_bytes(), char('🦀'), Mods::NONE),
        (b"\r", KeyCode::Enter, Mods::NONE),
        (b"\t", KeyCode::Tab, Mods::NONE),
        (b"\x7f", KeyCode::Backspace, Mods::NONE),
        (b"\x03", char('c'), Mods::CONTROL),
        (b"\0", char(' '), Mods::CONTROL),
        (b"\x1b", KeyCode::Esc, Mods::NONE),
        (b"\x1bm", char('m'), Mods::ALT),
        (b"\x1b[", char('['), Mods::ALT),
        (b"\x1b\x01", char('a'), Mods::ALT.union(Mods::CONTROL)),
        (b"\x1b[A", KeyCode::Up, Mods::NONE),
        (b"\x1bOA", KeyCode::Up, Mods::NONE),
        (b"\x1b[1;5C", KeyCode::Right, Mods::CONTROL),
        (b"\x1b[H", KeyCode::Home, Mods::NONE),
        (b"\x1b[1~", KeyCode::Home, Mods::NONE),
        (b"\x1b[5~", KeyCode::PageUp, Mods::NONE),
        (b"\x1b[3;2~", KeyCode::Delete, Mods::SHIFT),
        (b"\x1bOP", KeyCode::F(1), Mods::NONE),
        (b"\x1b[[A", KeyCode::F(1), Mods::NONE),
        (b"\x1b[11~", KeyCode::F(1), Mods::NONE),
        (b"\x1b[15~", KeyCode::F(5), Mods::NONE),
        (b"\x1b[17~", KeyCode::F(6), Mods::NONE),
        (b"\x1b[24~", KeyCode::F(12), Mods::NONE),
        (b"\x1b[1;2R", KeyCode::F(3), Mods::SHIFT),
        (b"\x1b[Z", KeyCode::BackTab, Mods::SHIFT),
        (b"\x1b[97u", char('a'), Mods::NONE),
        (b"\x1b[97;2u", char('A'), Mods::SHIFT),
        (b"\x1b[128512;1u", char('😀'), Mods::NONE),
        (b"\x1b[13;5u", KeyCode::Enter, Mods::CONTROL),
        (b"\x1b[9;2u", KeyCode::BackTab, Mods::SHIFT),
    ];
    for (bytes, code, modifiers) in cases {
        assert_eq!(read(bytes), pressed(*code, *modifiers), "{bytes:?}");
    }
    let release = KeyEvent::new_with_kind(char(' '), Mods::NONE, KeyEventKind::Release);
    assert_eq!(read(b"\x1b[32;1:3u"), [Input::Event(Event::Key(release))]);
}

#[test]
fn answers_are_never_keys() {
    let cases: &[(&[u8], Reply)] = &[
        (b"\x1b[0n", Reply::Status),
        (b"\x1b[3n", Reply::Status),
        (b"\x1b[?62;4;22c", Reply::Attributes(vec![62, 4, 22])),
        (b"\x1b[>1;10;0c", Reply::Other),
        (b"\x1b[24;80R", Reply::Other),
        (b"\x1b[?2026;2$y", Reply::Mode(2026, 2)),
        (b"\x1b[?1u", Reply::Keyboard(1)),
        (b"\x1b[6;16;8t", Reply::CellPixels(8, 16)),
        (b"\x1b[4;600;800t", Reply::Other),
        (
            b"\x1bP>|kitty(0.40.1)\x1b\\",
            Reply::Version("kitty(0.40.1)".into()),
        ),
        (
            b"\x1bP1$r48:2:1:2:3m\x1b\\",
            Reply::Setting(Some("48:2:1:2:3m".into())),
        ),
        (b"\x1bP0$r\x1b\\", Reply::Setting(None)),
        (b"\x1b]11;rgb:0000/0000/0000\x07", Reply::Ground([0, 0, 0])),
        (
            b"\x1b]11;rgb:fdfd/f6f6/e3e3\x1b\\",
            Reply::Ground([0xfd, 0xf6, 0xe3]),
        ),
        (b"\x1b]11;rgb:f/8/0\x07", Reply::Ground([255, 136, 0])),
        (b"\x1b_Gi=31;OK\x1b\\", Reply::Graphics(true)),
        (
            b"\x1b_Gi=31;ENOENT:no such image\x1b\\",
            Reply::Graphics(false),
        ),
        (b"\x1b]11;rgb:fffff/0/0\x07", Reply::Other),
        (b"\x1b]11;rgb:+f/0/0\x07", Reply::Other),
        (b"\x1b]11;rgb://\x07", Reply::Other),
        (b"\x1b_X;OK\x1b\\", Reply::Other),
    ];
    for (bytes, reply) in cases {
        assert_eq!(read(bytes), [Input::Reply(reply.clone())], "{bytes:?}");
        // Among keys, and cut anywhere.
        for cut in 0..=bytes.len() {
            let (mut parser, mut inputs) = (Parser::default(), Vec::new());
            for piece in [&b"a"[..], &bytes[..cut], &bytes[cut..], b"b"] {
                parser.feed(piece, |input| inputs.push(input));
            }
            let around = [typed('a'), Input::Reply(reply.clone()), typed('b')];
            assert_eq!(inputs, around, "{bytes:?} cut at {cut}");
        }
    }
}

#[test]
fn a_paste_is_one_event_and_bounded() {
    let paste = |text: &str| Input::Event(Event::Paste(text.to_owned()));
    assert_eq!(
        read("\x1b[200~hullo:\x1b[A\r\n…\x1b[201~q".as_bytes()),
        [paste("hullo:\x1b[A\r\n…"), typed('q')]
    );
    let long = [
        b"\x1b[200~",
        &[b'x'; 2 * PASTE_BYTES_MAX][..],
        PASTE_END,
        b"q",
    ]
    .concat();
    let read = read(&long);
    assert_eq!(read, [paste(&"x".repeat(PASTE_BYTES_MAX)), typed('q')]);
}

#[test]
fn broken_bytes_cost_only_themselves() {
    assert_eq!(read(b"\xffa"), [typed('a')]);
    assert_eq!(read("\u{fc}".as_bytes().split_at(1).0), []);
    assert_eq!(read(b"\xc3a"), [typed('a')]);
    let escape = key(KeyCode::Esc, KeyModifiers::NONE);
    assert_eq!(read(b"\x1b\x1b"), [escape.clone(), escape]);
    assert_eq!(read(b"\x1b[\xff"), []);
    assert_eq!(read(b"\x1b[<0;3;4M").len(), 1);
    // A string that never ends is given up with the burst, one that is too long with its end.
    assert_eq!(read(b"\x1b]0;title"), []);
    let long = [b"\x1bP", &[b'x'; 3 * STRING_BYTES_MAX][..], b"\x1b\\q"].concat();
    assert_eq!(read(&long), [Input::Reply(Reply::Other), typed('q')]);
}

proptest! {
    #[test]
    fn no_bytes_panic_or_pile_up(pieces in proptest::collection::vec(
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            Just(b"\x1b[".to_vec()), Just(b"\x1bP".to_vec()), Just(b"\x1b[200~".to_vec()), Just(PASTE_END.to_vec()),
        ], 0..20)
    ) {
        let mut parser = Parser::default();
        for piece in &pieces {
            parser.feed(piece, |_| {});
            prop_assert!(parser.held.len() <= STRING_BYTES_MAX + 1);
        }
        // Whatever came: after a pause and the end of a paste, a key is a key.
        parser.pause(|_| {});
        parser.feed(PASTE_END, |_| {});
        parser.feed(b"\x1b\\", |_| {});
        parser.pause(|_| {});
        let mut inputs = Vec::new();
        parser.feed(b"q", |input| inputs.push(input));
        prop_assert_eq!(inputs, vec![typed('q')]);
    }

    #[test]
    fn pieces_make_no_difference(bytes in proptest::collection::vec(
        prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b';'), Just(b'1'), Just(b'~')], 0..60), cut in 0usize..60)
    {
        let mut whole = Vec::new();
        let mut parser = Parser::default();
        parser.feed(&bytes, |input| whole.push(input));
        let (mut pieces, mut parser) = (Vec::new(), Parser::default());
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        parser.feed(first, |input| pieces.push(input));
        parser.feed(second, |input| pieces.push(input));
        prop_assert_eq!(whole, pieces);
    }
}
