//! Two members, by ordinal: the arithmetic of an active standby pair.
//!
//! Never: knows what a member is or which one is active.

use std::fmt;
use std::ops::{Index, IndexMut};

/// A pod of the pair, by the ordinal in its name (`sample-0`, `sample-1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ordinal {
    /// The pod whose name ends in `-0`.
    Zero,
    /// The pod whose name ends in `-1`.
    One,
}

impl Ordinal {
    /// Both ordinals, in order.
    pub const ALL: [Self; 2] = [Self::Zero, Self::One];

    /// The other member of the pair.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Zero => Self::One,
            Self::One => Self::Zero,
        }
    }

    /// The number in the pod's name.
    #[must_use]
    pub const fn number(self) -> usize {
        match self {
            Self::Zero => 0,
            Self::One => 1,
        }
    }
}

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

/// One of a thing for each member: a pair is always exactly two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Both<T> {
    /// That of ordinal 0.
    pub zero: T,
    /// That of ordinal 1.
    pub one: T,
}

impl<T> Both<T> {
    /// Makes one for each ordinal.
    pub fn each(mut make: impl FnMut(Ordinal) -> T) -> Self {
        Self { zero: make(Ordinal::Zero), one: make(Ordinal::One) }
    }

    /// Both, each with its ordinal.
    pub fn iter(&self) -> impl Iterator<Item = (Ordinal, &T)> {
        Ordinal::ALL.into_iter().map(|ordinal| (ordinal, &self[ordinal]))
    }

    /// Another thing for each, made from this one.
    pub fn map<U>(&self, mut make: impl FnMut(&T) -> U) -> Both<U> {
        Both { zero: make(&self.zero), one: make(&self.one) }
    }
}

impl<T> Index<Ordinal> for Both<T> {
    type Output = T;
    fn index(&self, ordinal: Ordinal) -> &T {
        match ordinal {
            Ordinal::Zero => &self.zero,
            Ordinal::One => &self.one,
        }
    }
}

impl<T> IndexMut<Ordinal> for Both<T> {
    fn index_mut(&mut self, ordinal: Ordinal) -> &mut T {
        match ordinal {
            Ordinal::Zero => &mut self.zero,
            Ordinal::One => &mut self.one,
        }
    }
}
