use proptest::prelude::*;

use super::*;

const CHALLENGE: Challenge = Challenge([7; 32]);

fn all_commands(block: &[u8; BLOCK_BYTES]) -> [Command<'_>; 8] {
    let recipient = RecipientId([1; QUEUE_ID_BYTES]);
    let sender = SenderId([2; QUEUE_ID_BYTES]);
    [
        Command::Create {
            recipient_key: [3; 32],
        },
        Command::Secure {
            sender,
            sender_key: [4; 32],
        },
        Command::Send { sender, block },
        Command::Subscribe { recipient },
        Command::Acknowledge {
            recipient,
            message: MessageId(u64::MAX),
        },
        Command::Delete { recipient },
        Command::Publish { recipient },
        Command::Claim {
            code: CodeNumber(7314),
            sender_key: [6; 32],
        },
    ]
}

fn all_replies(block: &[u8; BLOCK_BYTES]) -> Vec<Reply<'_>> {
    let recipient = RecipientId([1; QUEUE_ID_BYTES]);
    let mut replies = vec![
        Reply::hello(CHALLENGE),
        Reply::Ok { number: 1 },
        Reply::Created {
            number: 2,
            recipient,
            sender: SenderId([2; QUEUE_ID_BYTES]),
        },
        Reply::Message {
            recipient,
            message: MessageId(9),
            age_ms: 10,
            block,
        },
        Reply::Taken { recipient },
        Reply::Published {
            number: 3,
            code: CodeNumber(9999),
            seconds: 600,
        },
        Reply::Claimed {
            number: 4,
            sender: SenderId([8; QUEUE_ID_BYTES]),
        },
    ];
    replies.extend(RefusedReason::ALL.map(|reason| Reply::Refused { number: 5, reason }));
    replies
}

#[test]
fn commands_and_replies_survive_the_wire() {
    let block = [5; BLOCK_BYTES];
    for command in all_commands(&block) {
        let frame = command.write(77, &CHALLENGE, |message| {
            assert!(message.starts_with(b"hullo-relay-v1\x07\x07"));
            [9; 64]
        });
        assert!(frame.len() <= FRAME_BYTES_MAX);
        let request = Request::read(&frame).unwrap();
        assert_eq!(
            (request.number, request.command, request.signature),
            (77, command, [9; 64])
        );
        assert_eq!(request.unsigned, &frame[..frame.len() - 64]);
    }
    for reply in all_replies(&block) {
        assert_eq!(Reply::read(&reply.write()), Ok(reply));
    }
}

#[test]
fn a_frame_has_one_length_only() {
    let block = [5; BLOCK_BYTES];
    for command in all_commands(&block) {
        let frame = command.write(1, &CHALLENGE, |_| [0; 64]);
        let longer = [&frame[..], &[0]].concat();
        for wrong in [&frame[..frame.len() - 1], &longer] {
            let error = Request::read(wrong).unwrap_err();
            assert_eq!(
                error,
                FrameError::Length {
                    kind: frame[0],
                    length: wrong.len()
                }
            );
        }
    }
    for reply in all_replies(&block) {
        let frame = reply.write();
        let longer = [&frame[..], &[0]].concat();
        assert!(matches!(
            Reply::read(&frame[..frame.len() - 1]),
            Err(FrameError::Length { .. })
        ));
        assert!(matches!(
            Reply::read(&longer),
            Err(FrameError::Length { .. })
        ));
    }
}

#[test]
fn the_directions_do_not_mix() {
    assert_eq!(
        Request::read(&Reply::Ok { number: 1 }.write()).unwrap_err(),
        FrameError::Kind(0x81)
    );
    let subscribe = Command::Subscribe {
        recipient: RecipientId([0; 24]),
    }
    .write(1, &CHALLENGE, |_| [0; 64]);
    assert_eq!(Reply::read(&subscribe), Err(FrameError::Kind(0x04)));
    assert_eq!(Reply::read(&[]), Err(FrameError::Empty));
    assert_eq!(
        Reply::read(&[0x83, 0, 0, 0, 0, 10]),
        Err(FrameError::Reason(10))
    );
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..8, reply in any::<bool>()) {
        let kind = if reply { kind | 0x80 } else { kind };
        let frame = [&[kind][..], &bytes].concat();
        let _ = Request::read(&frame);
        let _ = Reply::read(&frame);
        let _ = Request::read(&bytes);
        let _ = Reply::read(&bytes);
    }
}
