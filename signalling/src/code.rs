//! Spoken codes, `7314-orbit-velvet`: how two people who can only talk pass a contact link from one to the other.
//!
//! The number names a queue at the relay ([`hullo_proto::service::relay`]), the two words are the password of one SPAKE2
//! exchange. Both sides prove that they know the words before a link, and with it a name, is sent:
//!
//! ```text
//! adder                                    inviter
//!   HELLO    SPAKE2 message, reply queue ->
//!         <- ANSWER   SPAKE2 message, proof
//!   CONFIRM  proof                       ->          (or WRONG: the words differ)
//!         <- LINK     sealed
//! ```
//!
//! Each is one block of [`BLOCK_BYTES`] like any other: version 1, kind 1, what the kind needs, random bytes to the end.
//!
//! | kind | block | holds |
//! |---|---|---|
//! | 1 | HELLO | SPAKE2 message 33, sender id of the reply queue 24 |
//! | 2 | ANSWER | SPAKE2 message 33, proof 32 |
//! | 3 | CONFIRM | proof 32 |
//! | 4 | WRONG | |
//! | 5 | LINK | nonce 24, secretbox( length 2, link, zeros ) |
//!
//! Whoever guesses has one try in four million, the relay too, which carries these blocks: after it the code is dead.
//! `spake2` was never audited: that is why both sides confirm the key, and why nothing lasting hangs on it. Its state
//! cannot be stored, so a code lives as long as the program that shows it.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hullo_proto::service::relay::{BLOCK_BYTES, CODE_NUMBERS, CodeNumber, SenderId};
use rand::{CryptoRng, RngExt};
use spake2::{Ed25519Group, Identity, Password, Spake2};
use subtle::ConstantTimeEq;
use thiserror::Error;
use xsalsa20poly1305::XSalsa20Poly1305;
use xsalsa20poly1305::aead::{Aead, KeyInit};
use zeroize::Zeroizing;

use crate::bytes::Bytes;
use crate::hash::hash;
use crate::link::PREFIX;
use crate::server_url::ServerUrl;
use crate::words;

const VERSION: u8 = 1;
const HELLO: u8 = 1;
const ANSWER: u8 = 2;
const CONFIRM: u8 = 3;
const WRONG: u8 = 4;
const LINK: u8 = 5;
const HEADER_BYTES: usize = 2;
/// Side 1, point of Ed25519 32.
const SPAKE_BYTES: usize = 33;
const PROOF_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const PLAIN_BYTES: usize = BLOCK_BYTES - HEADER_BYTES - NONCE_BYTES - TAG_BYTES;
const ADDER: &[u8] = b"hullo-code-v1 adder";
const INVITER: &[u8] = b"hullo-code-v1 inviter";
/// Longest text looked at: number, words and what stands between them need 22 characters.
const TEXT_BYTES_MAX: usize = 64;

/// One block.
pub(crate) type Block = Box<[u8; BLOCK_BYTES]>;

/// Number and words. Secret until it is used: no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    number: CodeNumber,
    words: [u16; 2],
}

/// Why a text is no code, or a code leads nowhere, in words for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodeError {
    /// Not number, word, word.
    #[error("a code is a number and two words, as in 7314-orbit-velvet")]
    Shape,
    /// No such number.
    #[error("the number of a code has at most four digits")]
    Number,
    /// Not in the list.
    #[error("one of the words is in no code: ask again how it is spelled")]
    Word,
    /// The part after the words.
    #[error("the server in this code cannot be read: copy it again, the whole of it")]
    Server,
    /// The other side had other words, or is somebody else.
    #[error("the words of the code are wrong: it is dead now, ask for a new one")]
    WrongWords,
    /// Blocks that no Hullo sends.
    #[error("whoever uses this code does not speak our protocol: make another")]
    Protocol,
}

impl Code {
    /// New words for a number.
    pub fn generate(number: CodeNumber, rng: &mut impl CryptoRng) -> Self {
        let words = [0; 2].map(|_: u16| rng.random_range(0..words::COUNT));
        Self { number, words }
    }

    /// Which queue.
    pub fn number(&self) -> CodeNumber {
        self.number
    }

    /// To be said aloud.
    pub fn to_text(&self) -> String {
        let [first, second] = self.words.map(words::word);
        format!("{:04}-{first}-{second}", self.number.0)
    }

    /// Whether somebody meant a code and not a link: it begins with a digit.
    pub fn is_meant(text: &str) -> bool {
        text.trim_start()
            .starts_with(|first: char| first.is_ascii_digit())
    }

    /// Reads what somebody typed: any case, any marks or blanks between the parts, four letters of a word suffice.
    ///
    /// # Errors
    /// The text is at fault: [`CodeError::Shape`], [`CodeError::Number`], [`CodeError::Word`].
    pub fn from_text(text: &str) -> Result<Self, CodeError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(CodeError::Shape);
        }
        let mut parts = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|part| !part.is_empty());
        let (Some(number), Some(first), Some(second), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(CodeError::Shape);
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CodeError::Shape);
        }
        let number = number.parse().map_err(|_| CodeError::Number)?;
        if number >= CODE_NUMBERS {
            return Err(CodeError::Number);
        }
        let word = |text| words::find(text).ok_or(CodeError::Word);
        Ok(Self {
            number: CodeNumber(number),
            words: [word(first)?, word(second)?],
        })
    }

    /// The code with its server, for what is copied or scanned and not said aloud: `hullo:7314-orbit-velvet@host:port/pin`.
    /// Short enough for a small QR code, unlike a whole link.
    pub fn to_link(&self, server: &ServerUrl) -> String {
        let pin = BASE64_URL_SAFE_NO_PAD.encode(server.pin());
        format!("{PREFIX}{}@{}/{pin}", self.to_text(), server.authority())
    }

    /// Reads what [`Self::to_link`] wrote; `None`: it is something else, a whole link perhaps.
    ///
    /// # Errors
    /// As [`Self::from_text`], and [`CodeError::Server`].
    pub fn from_link(text: &str) -> Option<Result<(Self, ServerUrl), CodeError>> {
        let text = text.trim();
        let (prefix, rest) = text.split_at_checked(PREFIX.len())?;
        let (code, server) = rest.split_once('@')?;
        prefix.eq_ignore_ascii_case(PREFIX).then(|| {
            let (authority, pin) = server.rsplit_once('/').ok_or(CodeError::Server)?;
            let server = format!("https://{authority}/#pin={pin}").parse();
            Ok((
                Self::from_text(code)?,
                server.map_err(|_| CodeError::Server)?,
            ))
        })
    }

    fn password(&self) -> Password {
        Password::new(Zeroizing::new(self.to_text()).as_bytes())
    }
}

/// The inviter, until somebody uses the code.
pub(crate) struct AwaitHello(Code);

/// The inviter, until the other side has proved that it knows the words.
pub(crate) struct AwaitConfirm(Keys);

/// The adder, until the inviter answers.
pub(crate) struct AwaitAnswer {
    spake: Spake2<Ed25519Group>,
    hello: [u8; SPAKE_BYTES + 24],
}

/// The adder, both sides sure of one another.
pub(crate) struct AwaitLink(Keys);

impl AwaitHello {
    pub(crate) fn new(code: Code) -> Self {
        Self(code)
    }

    /// The one try: gives where to answer, and the answer.
    pub(crate) fn hear(
        self,
        block: &[u8; BLOCK_BYTES],
        rng: &mut impl CryptoRng,
    ) -> Result<(AwaitConfirm, SenderId, Block), CodeError> {
        let mut body = body(block, HELLO)?;
        let hello: [u8; SPAKE_BYTES + 24] = body.array().ok_or(CodeError::Protocol)?;
        let (theirs, reply) = hello.split_at(SPAKE_BYTES);
        let (spake, message) = Spake2::<Ed25519Group>::start_b_with_rng(
            &self.0.password(),
            &Identity::new(ADDER),
            &Identity::new(INVITER),
            Older(rng),
        );
        let secret = spake.finish(theirs).map_err(|_| CodeError::Protocol)?;
        let keys = Keys::new(secret, &hello, &message);
        let answer = [&message[..], &*keys.inviter].concat();
        let reply = SenderId(reply.try_into().expect("split from an array of 33 and 24"));
        Ok((AwaitConfirm(keys), reply, write(ANSWER, &answer, rng)))
    }
}

impl AwaitConfirm {
    /// The proof; afterwards the link may be sent.
    pub(crate) fn hear(self, block: &[u8; BLOCK_BYTES]) -> Result<SealedWay, CodeError> {
        if block[1] == WRONG {
            return Err(CodeError::WrongWords);
        }
        let proof: [u8; PROOF_BYTES] = body(block, CONFIRM)?.array().ok_or(CodeError::Protocol)?;
        self.0.check(&self.0.adder, &proof)?;
        Ok(SealedWay(self.0))
    }
}

/// Both sides know the same words: what is sealed is for them alone.
pub(crate) struct SealedWay(Keys);

impl SealedWay {
    pub(crate) fn seal(&self, link: &str, rng: &mut impl CryptoRng) -> Block {
        let mut plain = Zeroizing::new(vec![0; PLAIN_BYTES]);
        let length = u16::try_from(link.len()).expect("links are at most 4 kB");
        plain[..2].copy_from_slice(&length.to_be_bytes());
        plain[2..2 + link.len()].copy_from_slice(link.as_bytes());
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let sealed = XSalsa20Poly1305::new((&*self.0.seal).into())
            .encrypt((&nonce).into(), plain.as_slice())
            .expect("16 kB are no problem for the cipher");
        write(LINK, &[&nonce[..], &sealed].concat(), rng)
    }
}

impl AwaitAnswer {
    /// Begins the one try. `reply`: where the inviter is to answer.
    pub(crate) fn new(code: &Code, reply: SenderId, rng: &mut impl CryptoRng) -> (Self, Block) {
        let (spake, message) = Spake2::<Ed25519Group>::start_a_with_rng(
            &code.password(),
            &Identity::new(ADDER),
            &Identity::new(INVITER),
            Older(rng),
        );
        let mut hello = [0; SPAKE_BYTES + 24];
        hello[..SPAKE_BYTES].copy_from_slice(&message);
        hello[SPAKE_BYTES..].copy_from_slice(&reply.0);
        (Self { spake, hello }, write(HELLO, &hello, rng))
    }

    /// The inviter's proof. Whatever comes of it, the block given back is to be sent: with an error it tells the inviter.
    pub(crate) fn hear(
        self,
        block: &[u8; BLOCK_BYTES],
        rng: &mut impl CryptoRng,
    ) -> (Result<AwaitLink, CodeError>, Block) {
        match self.check(block) {
            Ok(keys) => {
                let confirm = write(CONFIRM, &*keys.adder, rng);
                (Ok(AwaitLink(keys)), confirm)
            }
            Err(error) => (Err(error), write(WRONG, &[], rng)),
        }
    }

    fn check(self, block: &[u8; BLOCK_BYTES]) -> Result<Keys, CodeError> {
        let mut body = body(block, ANSWER)?;
        let message: [u8; SPAKE_BYTES] = body.array().ok_or(CodeError::Protocol)?;
        let proof: [u8; PROOF_BYTES] = body.array().ok_or(CodeError::Protocol)?;
        let secret = (self.spake.finish(&message)).map_err(|_| CodeError::Protocol)?;
        let keys = Keys::new(secret, &self.hello, &message);
        keys.check(&keys.inviter, &proof)?;
        Ok(keys)
    }
}

impl AwaitLink {
    /// The link, as the inviter wrote it; not yet looked at.
    pub(crate) fn hear(self, block: &[u8; BLOCK_BYTES]) -> Result<String, CodeError> {
        let rest = body(block, LINK)?.0;
        let (nonce, sealed) = rest.split_at(NONCE_BYTES);
        let plain = XSalsa20Poly1305::new((&*self.0.seal).into())
            .decrypt(nonce.into(), sealed)
            .map_err(|_| CodeError::Protocol)?;
        let plain = Zeroizing::new(plain);
        let mut plain = Bytes(&plain);
        let length = plain.u16().ok_or(CodeError::Protocol)?;
        let link = plain
            .0
            .get(..usize::from(length))
            .ok_or(CodeError::Protocol)?;
        Ok(std::str::from_utf8(link)
            .map_err(|_| CodeError::Protocol)?
            .to_owned())
    }
}

/// What the exchange yields, bound to its first two messages.
struct Keys {
    adder: Zeroizing<[u8; PROOF_BYTES]>,
    inviter: Zeroizing<[u8; PROOF_BYTES]>,
    seal: Zeroizing<[u8; 32]>,
}

impl Keys {
    fn new(secret: Vec<u8>, hello: &[u8], answer: &[u8]) -> Self {
        let secret = Zeroizing::new(secret);
        let all = Zeroizing::new([&secret[..], hello, answer].concat());
        let key = |personal: &[u8]| Zeroizing::new(hash(personal, &all));
        Self {
            adder: key(b"hullo-code-adder"),
            inviter: key(b"hullo-code-inv"),
            seal: key(b"hullo-code-seal"),
        }
    }

    fn check(&self, ours: &[u8; PROOF_BYTES], theirs: &[u8; PROOF_BYTES]) -> Result<(), CodeError> {
        if bool::from(ours[..].ct_eq(&theirs[..])) {
            Ok(())
        } else {
            Err(CodeError::WrongWords)
        }
    }
}

/// Our generator as `spake2` knows generators: by the traits of an older `rand_core`.
struct Older<'a, R>(&'a mut R);

impl<R: CryptoRng> rand_core_06::RngCore for Older<'_, R> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl<R: CryptoRng> rand_core_06::CryptoRng for Older<'_, R> {}

fn write(kind: u8, body: &[u8], rng: &mut impl CryptoRng) -> Block {
    let mut block: Block = vec![0; BLOCK_BYTES]
        .into_boxed_slice()
        .try_into()
        .expect("a block's length");
    rng.fill_bytes(&mut block[..]);
    block[..HEADER_BYTES].copy_from_slice(&[VERSION, kind]);
    block[HEADER_BYTES..HEADER_BYTES + body.len()].copy_from_slice(body);
    block
}

fn body(block: &[u8; BLOCK_BYTES], kind: u8) -> Result<Bytes<'_>, CodeError> {
    match block.split_first_chunk::<HEADER_BYTES>() {
        Some((header, body)) if *header == [VERSION, kind] => Ok(Bytes(body)),
        _ => Err(CodeError::Protocol),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    use super::*;

    const REPLY: SenderId = SenderId([7; 24]);

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(4)
    }

    fn code(text: &str) -> Code {
        Code::from_text(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn who_knows_the_words_gets_the_link() {
        let mut rng = rng();
        let shown = Code::generate(CodeNumber(14), &mut rng);
        let typed = code(&shown.to_text().to_uppercase().replace('-', " "));
        let (adder, hello) = AwaitAnswer::new(&typed, REPLY, &mut rng);
        let (inviter, reply, answer) = AwaitHello::new(shown).hear(&hello, &mut rng).ok().unwrap();
        assert!(reply == REPLY);
        let (adder, confirm) = adder.hear(&answer, &mut rng);
        let way = inviter.hear(&confirm).ok().unwrap();
        let link = way.seal("hullo:secret", &mut rng);
        assert_eq!(
            adder.ok().unwrap().hear(&link),
            Ok("hullo:secret".to_owned())
        );
        for block in [hello, answer, confirm, link] {
            assert!(!block.windows(6).any(|window| window == b"secret"));
        }
    }

    #[test]
    fn wrong_words_tell_both_sides_and_give_nothing_away() {
        let mut rng = rng();
        let (adder, hello) = AwaitAnswer::new(&code("7314-orbit-velvet"), REPLY, &mut rng);
        let shown = AwaitHello::new(code("7314-orbit-cactus"));
        let (inviter, _, answer) = shown.hear(&hello, &mut rng).ok().unwrap();
        let (adder, wrong) = adder.hear(&answer, &mut rng);
        assert_eq!(adder.err(), Some(CodeError::WrongWords));
        assert_eq!(inviter.hear(&wrong).err(), Some(CodeError::WrongWords));
    }

    #[test]
    fn a_proof_of_another_exchange_or_sent_back_is_refused() {
        let mut rng = rng();
        let exchange = |rng: &mut ChaCha20Rng| {
            let (adder, hello) = AwaitAnswer::new(&code("1-orbit-velvet"), REPLY, rng);
            let shown = AwaitHello::new(code("1-orbit-velvet"));
            let (inviter, _, answer) = shown.hear(&hello, rng).ok().unwrap();
            (adder, inviter, answer)
        };
        let (first, _, _) = exchange(&mut rng);
        let (second, inviter, answer) = exchange(&mut rng);
        let (_, confirm) = second.hear(&answer, &mut rng);
        let (wrong, _) = first.hear(&answer, &mut rng);
        assert_eq!(wrong.err(), Some(CodeError::WrongWords), "another exchange");
        // The inviter's own proof as the adder's.
        let mut echoed = confirm;
        let proof = answer[HEADER_BYTES + SPAKE_BYTES..][..PROOF_BYTES].to_vec();
        echoed[HEADER_BYTES..HEADER_BYTES + PROOF_BYTES].copy_from_slice(&proof);
        assert_eq!(inviter.hear(&echoed).err(), Some(CodeError::WrongWords));
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        let meant = code("0314-orbit-velvet");
        for typed in [
            "314 Orbit velvet",
            " 0314-ORBI-velv\n",
            "314, orbit. velvet",
            "00314-orbit-velvet",
        ] {
            assert!(code(typed) == meant, "{typed}");
            assert!(Code::is_meant(typed));
        }
        assert_eq!(meant.to_text(), "0314-orbit-velvet");
        let error = |text: &str| Code::from_text(text).err();
        for text in [
            "",
            "7314",
            "7314-orbit",
            "7314-orbit-velvet-zoo",
            "orbit-velvet-7314",
        ] {
            assert_eq!(error(text), Some(CodeError::Shape), "{text}");
        }
        assert_eq!(error("10000-orbit-velvet"), Some(CodeError::Number));
        assert_eq!(error("99999999999-orbit-velvet"), Some(CodeError::Number));
        assert_eq!(error("7314-orbit-velvt"), Some(CodeError::Word));
        assert!(!Code::is_meant("hullo:abc") && !Code::is_meant(""));
    }

    #[test]
    fn a_code_with_its_server_is_read_back_and_short() {
        let code = code("0314-orbit-velvet");
        let server = ServerUrl::new("relay.example.org", 4433, [0xfb; 32]).unwrap();
        let link = code.to_link(&server);
        assert!(
            link.len() <= 106,
            "a QR code of version 5 holds 106: {link}"
        );
        let read = Code::from_link(&format!(" {link}\n"))
            .unwrap()
            .ok()
            .unwrap();
        assert!(read.0 == code && read.1 == server);
        assert!(Code::from_link("hullo:AQAB").is_none() && Code::from_link("é").is_none());
        let error = |text: &str| Code::from_link(text).unwrap().err();
        assert_eq!(
            error(&link.replace("orbit", "orbix")),
            Some(CodeError::Word)
        );
        assert_eq!(error(&link[..link.len() - 3]), Some(CodeError::Server));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_block_is_survived_at_every_step(seed in any::<u64>(), kind in 0u8..7, flip in 0usize..120) {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let words = code("1-orbit-velvet");
            let mut noise = write(kind, &[], &mut rng);
            rng.fill_bytes(&mut noise[2..]);
            prop_assert!(AwaitHello::new(words.clone()).hear(&noise, &mut rng).is_err());
            let (adder, mut hello) = AwaitAnswer::new(&words, REPLY, &mut rng);
            let (_, _, mut answer) = AwaitHello::new(words.clone()).hear(&hello, &mut rng).ok().unwrap();
            answer[flip % 67] ^= 1;
            prop_assert!(adder.hear(&answer, &mut rng).0.is_err(), "an altered answer");
            hello[flip % 35] ^= 1;
            if let Ok((inviter, _, _)) = AwaitHello::new(words.clone()).hear(&hello, &mut rng) {
                prop_assert!(inviter.hear(&noise).is_err());
            }
            let (adder, hello) = AwaitAnswer::new(&words, REPLY, &mut rng);
            let (_, _, answer) = AwaitHello::new(words).hear(&hello, &mut rng).ok().unwrap();
            prop_assert!(adder.hear(&answer, &mut rng).0.ok().unwrap().hear(&noise).is_err());
        }

        #[test]
        fn any_text_never_panics(text in "([0-9]{1,6}[- ])?.{0,40}(@.{0,9}/)?") {
            let _ = Code::from_text(&text);
            let _ = Code::from_link(&text);
            let _ = Code::from_link(&format!("hullo:{text}"));
        }
    }
}
