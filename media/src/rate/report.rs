//! What the two ends of a call tell each other about the path between them, ten times a second.
//!
//! RTCP's own reports come every few seconds and say nothing of queues; the transport-wide feedback stays inside the
//! WebRTC library. So each end sends this beside them, as application feedback (RFC 4585 §6.4): unordered, never sent
//! again, small. A program that does not know it ignores it.
//!
//! ```text
//!  0  "HLR" version      16  held              32  queue_ms, loss_permille (u16 each)
//!  4  stamp              20  sent_datagrams    36  sound_loss_permille, sound_burst_16 (u16 each)
//!  8  echo               24  received_datagrams
//! 12  (reserved, 0)      28  received_bytes         all big endian; counters and stamps wrap
//! ```

/// Length on the wire, a multiple of four as RTCP wants it.
pub(crate) const REPORT_BYTES: usize = 40;
const MAGIC: [u8; 4] = *b"HLR1";

/// One report. Stamps count 100 µs of the sender's own clock from an arbitrary zero and wrap after five days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathReport {
    /// The sender's clock when this left.
    pub(crate) stamp: u32,
    /// The newest stamp that the sender had from us; 0 before the first.
    pub(crate) echo: u32,
    /// How long ago that came, in 100 µs.
    pub(crate) held: u32,
    /// Datagrams that the sender has sent in all.
    pub(crate) sent_datagrams: u32,
    /// Datagrams of ours that came to it in all.
    pub(crate) received_datagrams: u32,
    /// Their bytes with IP and UDP headers.
    pub(crate) received_bytes: u32,
    /// How long our datagrams stand in queues on their way to it, ms.
    pub(crate) queue_ms: u16,
    /// Share of our datagrams of the last second that did not come to it, in thousandths.
    pub(crate) loss_permille: u16,
    /// The same of our sound alone, over two seconds.
    pub(crate) sound_loss_permille: u16,
    /// Mean length of the holes in our sound, in sixteenths of a packet; 0 without holes.
    pub(crate) sound_burst_16: u16,
}

impl PathReport {
    /// The bytes for the wire.
    pub(crate) fn write(&self) -> [u8; REPORT_BYTES] {
        let mut bytes = [0; REPORT_BYTES];
        let words = [
            u32::from_be_bytes(MAGIC),
            self.stamp,
            self.echo,
            0,
            self.held,
            self.sent_datagrams,
            self.received_datagrams,
            self.received_bytes,
            u32::from(self.queue_ms) << 16 | u32::from(self.loss_permille),
            u32::from(self.sound_loss_permille) << 16 | u32::from(self.sound_burst_16),
        ];
        for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// Reads a report; `None` when it is none, or of a later version.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; REPORT_BYTES] = bytes.get(..REPORT_BYTES)?.try_into().ok()?;
        let mut words = [0; REPORT_BYTES / 4];
        for (word, from) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_be_bytes(from.try_into().ok()?);
        }
        let [
            magic,
            stamp,
            echo,
            _,
            held,
            sent_datagrams,
            received_datagrams,
            received_bytes,
            path,
            sound,
        ] = words;
        let (high, low) = (
            |word: u32| (word >> 16) as u16,
            |word: u32| (word & 0xffff) as u16,
        );
        (magic == u32::from_be_bytes(MAGIC)).then_some(Self {
            stamp,
            echo,
            held,
            sent_datagrams,
            received_datagrams,
            received_bytes,
            queue_ms: high(path),
            loss_permille: low(path).min(1_000),
            sound_loss_permille: high(sound).min(1_000),
            sound_burst_16: low(sound),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = PathReport::read(&bytes);
        }

        #[test]
        fn what_is_written_is_read(words: [u32; 6], queue_ms: u16, loss in 0..=1_000_u16, burst: u16) {
            let [stamp, echo, held, sent_datagrams, received_datagrams, received_bytes] = words;
            let report = PathReport {
                stamp, echo, held, sent_datagrams, received_datagrams, received_bytes, queue_ms,
                loss_permille: loss, sound_loss_permille: loss, sound_burst_16: burst,
            };
            prop_assert_eq!(PathReport::read(&report.write()), Some(report));
        }
    }

    #[test]
    fn another_version_is_not_read() {
        let mut bytes = PathReport::default().write();
        bytes[3] = b'2';
        assert_eq!(PathReport::read(&bytes), None);
    }
}
