//! Determinism: the same scenario with the same seed does the same, bit for bit, in any process.
//!
//! Four sources of chance are seeded, each world on a fresh thread of its own: the keys of hash
//! maps and whatever asks the system for random bytes (the `getrandom` symbol below), ahash in
//! kube's stores, and the jitter of back-offs (fastrand). Time is tokio's paused clock.
//!
//! Never: touches a thread that has no seed. There the system's random bytes are what they were.

use std::cell::Cell;
use std::ffi::{c_uint, c_void};
use std::hash::{Hash, Hasher};
use std::sync::Once;

use ahash::random_state::RandomSource;

thread_local! {
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Runs `world` on a fresh thread in which all chance comes from `seed`.
///
/// # Panics
/// When `world` does, or when no thread can be had.
pub fn on_seeded_thread<T: Send + 'static>(
    seed: u64,
    world: impl FnOnce() -> T + Send + 'static,
) -> std::thread::Result<T> {
    static AHASH: Once = Once::new();
    AHASH.call_once(|| {
        // Somebody else's source would have to be as fixed as this one.
        let _ = ahash::random_state::set_random_source(Fixed);
    });
    let run = move || {
        SEED.with(|state| state.set(Some(seed)));
        fastrand::seed(seed);
        world()
    };
    match std::thread::Builder::new().stack_size(8 << 20).spawn(run) {
        Ok(thread) => thread.join(),
        Err(error) => Err(Box::new(error)),
    }
}

/// A generator of a world's own random bytes.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// One that starts from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (splitmix64).
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.number().to_le_bytes();
            for (byte, random) in chunk.iter_mut().zip(number) {
                *byte = random;
            }
        }
    }
}

struct Fixed;

impl RandomSource for Fixed {
    fn gen_hasher_seed(&self) -> usize {
        0x5EED
    }
}

/// A hash of a trace: equal traces have equal hashes, in every process.
#[derive(Clone, Debug, Default)]
pub struct TraceHash(std::hash::DefaultHasher);

impl TraceHash {
    /// Adds a happening.
    pub fn add(&mut self, happening: &impl Hash) {
        happening.hash(&mut self.0);
    }

    /// The hash so far, in hexadecimal digits.
    #[must_use]
    pub fn digits(&self) -> String {
        format!("{:016x}", self.0.finish())
    }
}

/// The C library's `getrandom`, seeded on the threads of worlds.
///
/// # Safety
/// As for the function it stands for: `buffer` has room for `length` bytes.
#[expect(unsafe_code, reason = "the one symbol that seeds what asks the system for random bytes")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    let seeded = SEED.try_with(|state| state.get()).ok().flatten();
    let Some(seed) = seeded else {
        // SAFETY: the arguments are the caller's, passed on as they are.
        let got = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
        return isize::try_from(got).unwrap_or(-1);
    };
    let mut generator = Seeded(seed);
    // SAFETY: the caller vouches for `length` writable bytes at `buffer`.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    generator.fill(bytes);
    let _ = SEED.try_with(|state| state.set(Some(generator.0)));
    isize::try_from(length).unwrap_or(isize::MAX)
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_hash_maps_on_every_thread() {
        let keys = |seed| on_seeded_thread(seed, || RandomState::new().hash_one(1)).unwrap();
        assert_eq!(keys(7), keys(7));
        assert_ne!(keys(7), keys(8));
    }

    #[test]
    fn a_thread_without_a_seed_has_the_systems_chance() {
        let chance = || std::thread::spawn(|| RandomState::new().hash_one(1)).join().unwrap();
        assert_ne!(chance(), chance());
    }
}
