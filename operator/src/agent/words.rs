//! The closed sets of words in a status reply. Anything else is `Unknown`.

use std::fmt;

/// Declares an enum of TimesTen's words: how each is shown, and `Unknown` for the rest.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$word_doc])* $word,)+
            /// Not said by the reply, or a word this operator does not know.
            #[default]
            Unknown,
        }

        impl $name {
            /// The word as TimesTen's status shows it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                    Self::Unknown => "Unknown",
                }
            }

            /// Reads a word, in either case.
            #[must_use]
            pub fn parse(word: &str) -> Self {
                let word = word.trim();
                $(if word.eq_ignore_ascii_case($text) {
                    return Self::$word;
                })+
                Self::Unknown
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// The TimesTen instance directory.
    Instance {
        /// It is there.
        Exists = "Exists",
        /// It is not: the volume is empty, or not the one it was.
        Missing = "Missing",
    }
}
words! {
    /// The TimesTen main daemon.
    Daemon {
        /// It answers.
        Up = "Up",
        /// It does not.
        Down = "Down",
    }
}
words! {
    /// The database.
    Db {
        /// There is none.
        None = "None",
        /// Being loaded into memory.
        Loading = "Loading",
        /// Being unloaded.
        Unloading = "Unloading",
        /// On disk only.
        Unloaded = "Unloaded",
        /// In memory, with remains of an invalidated copy still attached.
        Transitioning = "Transitioning",
        /// In memory and connected.
        Loaded = "Loaded",
    }
}
words! {
    /// The replication scheme.
    RepScheme {
        /// There is one.
        Exists = "Exists",
        /// There is none.
        None = "None",
    }
}
words! {
    /// An agent of TimesTen: of replication or of the cache.
    RunState {
        /// It runs.
        Running = "Running",
        /// It does not.
        NotRunning = "Not Running",
    }
}
words! {
    /// What a database is in its pair.
    RepState {
        /// Takes updates.
        Active = "ACTIVE",
        /// Receives them.
        Standby = "STANDBY",
        /// Neither, yet.
        Idle = "IDLE",
        /// Catching up with its own log.
        Recovering = "RECOVERING",
        /// Declared failed by its peer.
        Failed = "FAILED",
    }
}
words! {
    /// How a database sees its peer.
    PeerState {
        /// Replicating.
        Start = "start",
        /// Held back.
        Pause = "pause",
        /// Stopped: the log is not kept for it.
        Stop = "stop",
        /// Declared failed.
        Failed = "failed",
    }
}
