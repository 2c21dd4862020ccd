//! Comparing words: how two contacts make sure that nobody stands between them, while both are there.
//!
//! ```text
//! who starts                                 who answers
//!   START   run, hash of key sets and nonce ->
//!        <- ANSWER  run, nonce
//!   REVEAL  run, nonce                      ->        both say the same four words
//! ```
//!
//! Whoever starts is bound to a nonce before seeing the other one, and whoever answers chooses without having seen any:
//! somebody in between has one try in 2^44 with each exchange, which a plain hash of the keys would not give (two key
//! sets of the same words are found by trying). The three messages go through the ratchet.
//!
//! When both start at once, the exchange of the one with the smaller key set goes on.

use rand::CryptoRng;
use subtle::ConstantTimeEq;

use crate::bytes::Bytes;
use crate::hash::hash;
use crate::identity::KeySet;
use crate::words;

/// An exchange's name.
pub(crate) type Run = [u8; 16];
type Nonce = [u8; 32];

/// One message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said {
    step: Step,
    run: Run,
    /// A hash with START, a nonce with the others.
    value: [u8; 32],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Start = 1,
    Answer = 2,
    Reveal = 3,
}

impl Said {
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.step as u8);
        bytes.extend_from_slice(&self.run);
        bytes.extend_from_slice(&self.value);
    }

    pub(crate) fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
        let step = match bytes.u8()? {
            1 => Step::Start,
            2 => Step::Answer,
            3 => Step::Reveal,
            _ => return None,
        };
        Some(Self {
            step,
            run: bytes.array()?,
            value: bytes.array()?,
        })
    }
}

/// How far an exchange has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) run: Run,
    pub(crate) stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// We began: our nonce.
    Started(Nonce),
    /// They began: our nonce, and what theirs must hash to.
    Answered(Nonce, [u8; 32]),
    /// Both nonces, the starter's first: the words are known.
    Shown([Nonce; 2]),
}

/// What follows from a message.
pub(crate) enum Heard {
    /// Nothing: late, repeated, or of an exchange that gave way.
    Nothing,
    /// A new state, and maybe an answer to send.
    Moved(Comparison, Option<Said>),
    /// The nonce is not the one they were bound to: somebody tries.
    Forged,
}

impl Comparison {
    pub(crate) fn start(own: &KeySet, other: &KeySet, rng: &mut impl CryptoRng) -> (Self, Said) {
        let (mut run, mut nonce) = ([0; 16], [0; 32]);
        rng.fill_bytes(&mut run);
        rng.fill_bytes(&mut nonce);
        let said = Said {
            step: Step::Start,
            run,
            value: commitment(&run, own, other, &nonce),
        };
        let stage = Stage::Started(nonce);
        (Self { run, stage }, said)
    }

    /// One message of the contact. `current`: what is under way with it.
    pub(crate) fn hear(
        current: Option<Self>,
        said: Said,
        own: &KeySet,
        other: &KeySet,
        rng: &mut impl CryptoRng,
    ) -> Heard {
        let Said { step, run, value } = said;
        let same = current.filter(|current| current.run == run);
        match (step, same.map(|same| same.stage)) {
            (Step::Start, None) => {
                let ours = matches!(
                    current,
                    Some(Self {
                        stage: Stage::Started(_),
                        ..
                    })
                );
                if ours && own.to_bytes() < other.to_bytes() {
                    return Heard::Nothing;
                }
                let mut nonce = [0; 32];
                rng.fill_bytes(&mut nonce);
                let stage = Stage::Answered(nonce, value);
                let answer = Said {
                    step: Step::Answer,
                    run,
                    value: nonce,
                };
                Heard::Moved(Self { run, stage }, Some(answer))
            }
            (Step::Answer, Some(Stage::Started(nonce))) => {
                let stage = Stage::Shown([nonce, value]);
                let reveal = Said {
                    step: Step::Reveal,
                    run,
                    value: nonce,
                };
                Heard::Moved(Self { run, stage }, Some(reveal))
            }
            (Step::Reveal, Some(Stage::Answered(nonce, bound))) => {
                let is_bound = commitment(&run, other, own, &value).ct_eq(&bound);
                if !bool::from(is_bound) {
                    return Heard::Forged;
                }
                let stage = Stage::Shown([value, nonce]);
                Heard::Moved(Self { run, stage }, None)
            }
            _ => Heard::Nothing,
        }
    }

    /// The words, once both nonces are known.
    pub(crate) fn words(
        &self,
        own: &KeySet,
        other: &KeySet,
    ) -> Option<[&'static str; words::COMPARED]> {
        match &self.stage {
            Stage::Shown(nonces) => Some(words::compared_words(own, other, nonces)),
            _ => None,
        }
    }
}

fn commitment(run: &Run, starter: &KeySet, other: &KeySet, nonce: &Nonce) -> [u8; 32] {
    let bytes = [&run[..], &starter.to_bytes(), &other.to_bytes(), nonce].concat();
    hash(b"hullo-commit", &bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::identity::Identity;

    struct Side {
        own: KeySet,
        other: KeySet,
        state: Option<Comparison>,
        rng: ChaCha20Rng,
    }

    impl Side {
        fn start(&mut self) -> Said {
            let (state, said) = Comparison::start(&self.own, &self.other, &mut self.rng);
            self.state = Some(state);
            said
        }

        fn hear(&mut self, said: Said) -> Option<Said> {
            match Comparison::hear(self.state, said, &self.own, &self.other, &mut self.rng) {
                Heard::Moved(state, said) => {
                    self.state = Some(state);
                    said
                }
                Heard::Nothing => None,
                Heard::Forged => panic!("nobody forged"),
            }
        }

        fn words(&self) -> Option<[&'static str; 4]> {
            self.state?.words(&self.own, &self.other)
        }
    }

    fn pair(seed: u64) -> [Side; 2] {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let [ann, bob] = [0, 1].map(|_| *Identity::generate(&mut rng).key_set());
        [(ann, bob), (bob, ann)].map(|(own, other)| Side {
            own,
            other,
            state: None,
            rng: ChaCha20Rng::seed_from_u64(own.to_bytes()[0].into()),
        })
    }

    /// Everything said is heard, in order, until nobody says anything.
    fn settle(sides: &mut [Side; 2], mut said: Vec<(usize, Said)>) {
        for _ in 0..20 {
            let mut next = Vec::new();
            for (from, said) in said {
                next.extend(sides[1 - from].hear(said).map(|answer| (1 - from, answer)));
            }
            if next.is_empty() {
                return;
            }
            said = next;
        }
        panic!("they talk for ever");
    }

    #[test]
    fn both_see_the_same_words_whoever_starts_and_when_both_do() {
        for seed in 0..8 {
            for starters in [&[0][..], &[1], &[0, 1], &[1, 0]] {
                let mut sides = pair(seed);
                let said = starters
                    .iter()
                    .map(|from| (*from, sides[*from].start()))
                    .collect();
                settle(&mut sides, said);
                let words = sides[0].words();
                assert!(
                    words.is_some() && words == sides[1].words(),
                    "seed {seed} {starters:?}"
                );
                // Once more gives other words, still the same on both sides.
                let again = sides[1].start();
                settle(&mut sides, vec![(1, again)]);
                assert_ne!(sides[0].words(), words);
                assert_eq!(sides[0].words(), sides[1].words());
            }
        }
    }

    #[test]
    fn a_nonce_other_than_the_one_bound_to_is_a_forgery() {
        let [mut ann, mut bob] = pair(1);
        let answer = bob.hear(ann.start()).unwrap();
        let mut reveal = ann.hear(answer).unwrap();
        reveal.value[0] ^= 1;
        let heard = Comparison::hear(bob.state, reveal, &bob.own, &bob.other, &mut bob.rng);
        assert!(matches!(heard, Heard::Forged));
        assert!(bob.words().is_none());
    }

    #[test]
    fn somebody_in_between_makes_the_words_differ() {
        let [mut ann, _] = pair(1);
        let [mut between_to_ann, mut between_to_bob] = pair(2);
        let [_, mut bob] = pair(3);
        between_to_ann.own = between_to_bob.own;
        (ann.other, between_to_ann.other) = (between_to_ann.own, ann.own);
        (bob.other, between_to_bob.other) = (between_to_bob.own, bob.own);
        let mut left = [ann, between_to_ann];
        let mut right = [bob, between_to_bob];
        let (start, other_start) = (left[0].start(), right[1].start());
        settle(&mut left, vec![(0, start)]);
        settle(&mut right, vec![(1, other_start)]);
        assert!(left[0].words().is_some());
        assert_ne!(left[0].words(), right[0].words());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(said) = Said::read(&mut Bytes(&bytes)) {
                let mut written = Vec::new();
                said.write(&mut written);
                prop_assert_eq!(&written[..], &bytes[..written.len()]);
                let [mut ann, _] = pair(1);
                let _ = ann.hear(said);
            }
        }
    }
}
