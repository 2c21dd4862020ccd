//! Parity over the packets of a picture: one that was lost comes back without a round trip. Sans-IO.
//!
//! On a line that loses packets the sender follows each picture with the exclusive or of its datagrams. The receiver
//! that misses one of them makes it from the others and hands it to the WebRTC library as if it had come. What is
//! covered are the datagrams as they left, encrypted and authenticated (the order `SRTP_FEC` of RFC 4568 §6.3.5): the
//! sum of them tells nobody more than they do, and a forged one makes a datagram that does not open.
//!
//! ```text
//! 0  0x80, payload type 98, number        8  SSRC of the pictures       14  count, stride
//! 4  RTP time of the picture             12  number of the first        16  sum of the lengths
//!                                            packet covered             18  sum of the datagrams, the shorter ones
//!                                                                           filled up with zeros     (big endian)
//! ```
//!
//! Covered are `count` packets: first, first + stride, first + 2 x stride … A picture of many packets has several of
//! these, each over every n-th, so that losses in a row fall into different ones. Only a program that said in the call
//! message that it reads them is sent any; a datagram of this form means nothing to others.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::setup;

/// Payload type of a parity datagram.
pub(super) const PARITY_PT: u8 = 98;
const HEADER: usize = 18;
/// Of RTP (RFC 3550 §5.1).
const RTP_HEADER: usize = 12;
/// Packets that one parity covers at most while few are lost. More is cheaper, fewer heals more.
const COVERED_FEW: usize = 4;
/// The same while many are lost.
const COVERED_MANY: usize = 2;
/// Share lost that is many.
const LOSS_MANY: f32 = 0.08;
/// Share lost from which parity is sent.
const LOSS_ON: f32 = 0.02;
/// It is sent on for so long after the last such loss: single seconds differ by as much as they lose.
const ON_FOR: Duration = Duration::from_secs(15);
/// Packets of one picture that are gathered; a larger picture is covered in parts.
const GATHERED_MAX: usize = 32;
/// Datagrams that came, kept to be summed: two of the largest key frames.
const KEPT_MAX: usize = 128;
/// Parities that wait for more of what they cover.
const WAITING_MAX: usize = 16;

/// The sender's half.
#[derive(Default)]
pub(super) struct ParityOut {
    /// The far side reads parity.
    is_read: bool,
    lossy_until: Option<Instant>,
    loss: f32,
    number: u16,
    gathered: Vec<Vec<u8>>,
}

impl ParityOut {
    pub(super) fn new(is_read: bool) -> Self {
        Self {
            is_read,
            ..Self::default()
        }
    }

    /// Takes the share of our datagrams that the far side missed, 0..=1, on a line that is not full: losses of a full
    /// line only grow by more packets.
    pub(super) fn lost(&mut self, now: Instant, share: f32) {
        self.loss += (share - self.loss) / 32.0;
        if share >= LOSS_ON {
            self.lossy_until = Some(now + ON_FOR);
        }
    }

    /// Whether parity is sent now.
    pub(super) fn is_on(&self, now: Instant) -> bool {
        self.is_read && self.lossy_until.is_some_and(|until| now < until)
    }

    /// Takes a datagram that leaves; gives the parity of its picture after the last one.
    pub(super) fn leaving(&mut self, now: Instant, datagram: &[u8]) -> Vec<Vec<u8>> {
        if !self.is_on(now) || picture_number(datagram).is_none() {
            return Vec::new();
        }
        let is_last = datagram[1] & 0x80 != 0;
        let is_other = (self.gathered.first()).is_some_and(|first| first[4..12] != datagram[4..12]);
        let mut out = Vec::new();
        if is_other {
            self.cover(&mut out);
        }
        self.gathered.push(datagram.to_vec());
        if is_last || self.gathered.len() >= GATHERED_MAX {
            self.cover(&mut out);
        }
        out
    }

    fn cover(&mut self, out: &mut Vec<Vec<u8>>) {
        let gathered = std::mem::take(&mut self.gathered);
        let covered = if self.loss >= LOSS_MANY {
            COVERED_MANY
        } else {
            COVERED_FEW
        };
        let stride = gathered.len().div_ceil(covered);
        for first in 0..stride {
            let every: Vec<&[u8]> = (gathered.iter().skip(first).step_by(stride))
                .map(Vec::as_slice)
                .collect();
            self.number = self.number.wrapping_add(1);
            out.extend(parity(&every, self.number, stride));
        }
    }
}

/// The parity of these datagrams, each `stride` numbers after the one before. `None` when their numbers are not so.
fn parity(datagrams: &[&[u8]], number: u16, stride: usize) -> Option<Vec<u8>> {
    let first = datagrams.first()?;
    let begin = picture_number(first)?;
    let stride = u8::try_from(stride).ok()?;
    let (mut sum, mut length) = (Vec::new(), 0);
    for (at, datagram) in (0_u16..).zip(datagrams) {
        let expected = begin.wrapping_add(at.wrapping_mul(u16::from(stride)));
        if picture_number(datagram)? != expected {
            return None;
        }
        add(&mut sum, datagram);
        length ^= u16::try_from(datagram.len()).ok()?;
    }
    let mut out = vec![0x80, PARITY_PT];
    out.extend(number.to_be_bytes());
    out.extend(&first[4..RTP_HEADER]);
    out.extend(begin.to_be_bytes());
    out.extend([u8::try_from(datagrams.len()).ok()?, stride]);
    out.extend(length.to_be_bytes());
    out.extend(sum);
    Some(out)
}

fn add(sum: &mut Vec<u8>, datagram: &[u8]) {
    if sum.len() < datagram.len() {
        sum.resize(datagram.len(), 0);
    }
    for (to, from) in sum.iter_mut().zip(datagram) {
        *to ^= from;
    }
}

/// The RTP number of a datagram of the pictures' own stream; `None` for anything else.
fn picture_number(datagram: &[u8]) -> Option<u16> {
    let is_rtp = datagram.len() >= RTP_HEADER && datagram[0] >> 6 == 2;
    (is_rtp && datagram[1] & 0x7f == setup::H264_PT && datagram[8..12] != [0; 4])
        .then(|| u16::from_be_bytes([datagram[2], datagram[3]]))
}

/// What one parity covers.
struct Waiting {
    ssrc: [u8; 4],
    first: u16,
    count: u8,
    stride: u8,
    length: u16,
    sum: Vec<u8>,
}

/// The receiver's half.
#[derive(Default)]
pub(super) struct ParityIn {
    came: VecDeque<Vec<u8>>,
    last: Option<Instant>,
    waiting: VecDeque<Waiting>,
}

impl ParityIn {
    /// Whether a datagram is parity: it is not for the WebRTC library.
    pub(super) fn is_parity(datagram: &[u8]) -> bool {
        matches!(datagram, &[0x80, PARITY_PT, ..])
    }

    /// Whether the far side sends parity, since some of its packets are lost.
    pub(super) fn is_lossy(&self, now: Instant) -> bool {
        self.last
            .is_some_and(|last| now.saturating_duration_since(last) < ON_FOR)
    }

    /// Takes a datagram that came. Gives those that were lost and can be made now.
    pub(super) fn came(&mut self, now: Instant, datagram: &[u8]) -> Vec<Vec<u8>> {
        if Self::is_parity(datagram) {
            self.last = Some(now);
            // What cannot be read is the peer's fault and costs nothing.
            self.waiting.extend(Waiting::read(datagram));
            if self.waiting.len() > WAITING_MAX {
                self.waiting.pop_front();
            }
        } else if picture_number(datagram).is_some() {
            self.keep(datagram.to_vec());
        } else {
            return Vec::new();
        }
        let mut made = Vec::new();
        let waiting = std::mem::take(&mut self.waiting);
        for parity in waiting {
            match parity.solve(&self.came) {
                Solved::Waits => self.waiting.push_back(parity),
                Solved::Whole => {}
                Solved::Made(datagram) => {
                    self.keep(datagram.clone());
                    made.push(datagram);
                }
            }
        }
        made
    }

    fn keep(&mut self, datagram: Vec<u8>) {
        if self.came.len() >= KEPT_MAX {
            self.came.pop_front();
        }
        self.came.push_back(datagram);
    }
}

enum Solved {
    /// More than one is missing.
    Waits,
    /// None is, or the parity is no good.
    Whole,
    Made(Vec<u8>),
}

impl Waiting {
    fn read(datagram: &[u8]) -> Option<Self> {
        let (header, sum) = datagram.split_first_chunk::<HEADER>()?;
        let [.., s0, s1, s2, s3, f0, f1, count, stride, l0, l1] = *header;
        let is_sane = count >= 1
            && stride >= 1
            && usize::from(count) * usize::from(stride) <= KEPT_MAX
            && sum.len() >= RTP_HEADER;
        is_sane.then(|| Self {
            ssrc: [s0, s1, s2, s3],
            first: u16::from_be_bytes([f0, f1]),
            count,
            stride,
            length: u16::from_be_bytes([l0, l1]),
            sum: sum.to_vec(),
        })
    }

    fn solve(&self, came: &VecDeque<Vec<u8>>) -> Solved {
        let number = |at: u8| {
            let ahead = u16::from(at) * u16::from(self.stride);
            self.first.wrapping_add(ahead)
        };
        let find = |wanted: u16| {
            came.iter().rev().find(|datagram| {
                datagram[8..12] == self.ssrc && picture_number(datagram) == Some(wanted)
            })
        };
        let mut missing = None;
        let (mut sum, mut length) = (self.sum.clone(), self.length);
        for wanted in (0..self.count).map(number) {
            match find(wanted) {
                Some(datagram) if datagram.len() > self.sum.len() => return Solved::Whole,
                Some(datagram) => {
                    add(&mut sum, datagram);
                    // No longer than the sum, which is a datagram's.
                    length ^= u16::try_from(datagram.len()).unwrap_or(0);
                }
                None if missing.is_some() => return Solved::Waits,
                None => missing = Some(wanted),
            }
        }
        let Some(wanted) = missing else {
            return Solved::Whole;
        };
        if usize::from(length) > sum.len() || usize::from(length) < RTP_HEADER {
            return Solved::Whole;
        }
        sum.truncate(usize::from(length));
        if picture_number(&sum) == Some(wanted) && sum[8..12] == self.ssrc {
            Solved::Made(sum)
        } else {
            Solved::Whole
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pictures as they leave: RTP packets with consecutive numbers, the last of each marked.
    fn pictures(sizes: &[Vec<usize>], first: u16) -> Vec<Vec<Vec<u8>>> {
        let mut number = first;
        let picture = |(time, sizes): (usize, &Vec<usize>)| {
            let last = sizes.len() - 1;
            let packet = |(at, size): (usize, &usize)| {
                let marker = if at == last { 0x80 } else { 0 };
                let mut bytes = vec![0x90, setup::H264_PT | marker];
                bytes.extend(number.to_be_bytes());
                bytes.extend((time as u32).to_be_bytes());
                bytes.extend([1, 2, 3, 4]);
                bytes.extend((0..*size).map(|index| (index * 7 + at * 13 + time) as u8));
                number = number.wrapping_add(1);
                bytes
            };
            sizes.iter().enumerate().map(packet).collect()
        };
        sizes.iter().enumerate().map(picture).collect()
    }

    fn sender(now: Instant, loss: f32) -> ParityOut {
        let mut out = ParityOut::new(true);
        for _ in 0..200 {
            out.lost(now, loss);
        }
        out
    }

    proptest! {
        #[test]
        fn any_one_packet_of_a_small_picture_comes_back(
            sizes in proptest::collection::vec(1_usize..1_100, 1..=COVERED_FEW),
            lost: prop::sample::Index,
            first: u16,
        ) {
            let now = Instant::now();
            let (mut out, mut into) = (sender(now, 0.05), ParityIn::default());
            let picture = &pictures(std::slice::from_ref(&sizes), first)[0];
            let lost = lost.index(picture.len());
            let mut made = Vec::new();
            for (at, packet) in picture.iter().enumerate() {
                let parity = out.leaving(now, packet);
                if at != lost {
                    made.extend(into.came(now, packet));
                }
                for datagram in parity {
                    prop_assert!(ParityIn::is_parity(&datagram));
                    made.extend(into.came(now, &datagram));
                }
            }
            prop_assert_eq!(made, vec![picture[lost].clone()]);
        }

        #[test]
        fn any_bytes_never_panic(all in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..40), form: bool) {
            let (now, mut into) = (Instant::now(), ParityIn::default());
            for mut bytes in all {
                if form && bytes.len() > 1 {
                    (bytes[0], bytes[1]) = (0x80, PARITY_PT);
                }
                into.came(now, &bytes);
            }
            prop_assert!(into.waiting.len() <= WAITING_MAX);
        }
    }

    #[test]
    fn losses_in_a_row_of_a_large_picture_come_back_in_whatever_order_the_rest_comes() {
        let now = Instant::now();
        let (mut out, mut into) = (sender(now, 0.05), ParityIn::default());
        let picture = &pictures(&[vec![900; 16]], 65_530)[0];
        let mut all: Vec<Vec<u8>> = Vec::new();
        for (at, packet) in picture.iter().enumerate() {
            let parity = out.leaving(now, packet);
            // Four in a row are gone.
            if !(6..10).contains(&at) {
                all.push(packet.clone());
            }
            all.extend(parity);
        }
        assert_eq!(all.len(), 12 + 4);
        all.reverse();
        let mut made: Vec<_> = all.iter().flat_map(|bytes| into.came(now, bytes)).collect();
        made.sort_by_key(|bytes| picture_number(bytes).unwrap().wrapping_sub(65_530));
        assert_eq!(made, picture[6..10].to_vec());
        assert!(into.waiting.is_empty());
    }

    #[test]
    fn two_losses_under_one_parity_do_not_come_back_until_one_of_them_does() {
        let now = Instant::now();
        let (mut out, mut into) = (sender(now, 0.05), ParityIn::default());
        let picture = &pictures(&[vec![500, 700, 30]], 9)[0];
        let parity: Vec<_> = picture.iter().flat_map(|p| out.leaving(now, p)).collect();
        assert_eq!(parity.len(), 1);
        assert!(into.came(now, &parity[0]).is_empty());
        assert!(into.came(now, &picture[1]).is_empty());
        assert_eq!(into.came(now, &picture[0]), [picture[2].clone()]);
        assert!(
            into.came(now, &picture[2]).is_empty(),
            "nothing is made twice"
        );
    }

    #[test]
    fn without_losses_and_for_who_does_not_read_it_none_is_sent() {
        let now = Instant::now();
        let picture = &pictures(&[vec![500, 700]], 9)[0];
        let sent = |out: &mut ParityOut, now| -> usize {
            picture.iter().map(|p| out.leaving(now, p).len()).sum()
        };
        assert_eq!(sent(&mut sender(now, 0.0), now), 0);
        let mut lossy = sender(now, 0.05);
        assert_eq!(sent(&mut lossy, now), 1);
        assert_eq!(sent(&mut lossy, now + ON_FOR), 0, "it was long ago");
        lossy.is_read = false;
        assert_eq!(sent(&mut lossy, now), 0);
        let mut many = sender(now, 0.2);
        let picture = &pictures(&[vec![500; 4]], 9)[0];
        let sent: usize = picture.iter().map(|p| many.leaving(now, p).len()).sum();
        assert_eq!(sent, 2);
    }

    #[test]
    fn a_forged_parity_makes_nothing_that_is_no_packet_of_the_stream() {
        let now = Instant::now();
        let (mut out, mut into) = (sender(now, 0.05), ParityIn::default());
        let picture = &pictures(&[vec![500, 700, 30]], 9)[0];
        let parity: Vec<_> = picture.iter().flat_map(|p| out.leaving(now, p)).collect();
        for packet in &picture[..2] {
            into.came(now, packet);
        }
        for (at, flip) in [(18, 0x40), (19, 0x01), (21, 0x07), (26, 0x10), (16, 0xff)] {
            let mut forged = parity[0].clone();
            forged[at] ^= flip;
            assert!(into.came(now, &forged).is_empty(), "byte {at}");
        }
    }
}
