//! How many places one token holds at once.

use std::collections::HashMap;
use std::sync::Arc;

use hullo_proto::service::token::TokenNumber;

/// Places reserved and not yet connected, for one token: a client that tries again, and one device more.
pub const RESERVATIONS_PER_TOKEN_MAX: usize = 3;

/// Tokens with a reservation at once, at most: each entry is some 50 bytes.
const TOKENS_MAX: usize = 65_536;

/// One reserved place; given back when dropped.
#[derive(Debug)]
pub struct Permit(
    #[allow(dead_code, reason = "counted by its reference alone")] pub(crate) Arc<()>,
);

/// Who holds how many.
#[derive(Default)]
pub struct Permits(HashMap<TokenNumber, Arc<()>>);

impl Permits {
    /// A place for `token`, unless it holds [`RESERVATIONS_PER_TOKEN_MAX`].
    pub fn take(&mut self, token: TokenNumber) -> Option<Permit> {
        if self.0.len() >= TOKENS_MAX && !self.0.contains_key(&token) {
            self.0.retain(|_, held| Arc::strong_count(held) > 1);
            if self.0.len() >= TOKENS_MAX {
                return None;
            }
        }
        let held = self.0.entry(token).or_default();
        (Arc::strong_count(held) <= RESERVATIONS_PER_TOKEN_MAX).then(|| Permit(Arc::clone(held)))
    }
}

impl Permit {
    /// A place that counts for nobody: for tests of what comes after.
    #[cfg(test)]
    pub(crate) fn free() -> Self {
        Self(Arc::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hullo_proto::service::token::TokenKey;
    use rand::SeedableRng;

    #[test]
    fn a_token_holds_three_and_gets_them_back() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let key = TokenKey::random(&mut rng);
        let [a, b] = [(); 2].map(|()| key.check(&key.issue(9, &mut rng), 1).expect("good"));
        let mut permits = Permits::default();
        let mut held: Vec<_> = std::iter::from_fn(|| permits.take(a)).take(10).collect();
        assert_eq!(held.len(), RESERVATIONS_PER_TOKEN_MAX);
        assert!(permits.take(b).is_some(), "another has its own");
        held.pop();
        assert!(permits.take(a).is_some());
    }
}
