//! The replication scheme, read from the `CREATE ACTIVE STANDBY PAIR` statement. Only what the
//! model acts on is kept; unknown attributes are accepted.

use super::{TtError, TtResult};

/// When a commit is acknowledged to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReturnService {
    None,
    Receipt,
    Twosafe,
}

/// A parsed active standby pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scheme {
    /// The statement, blanks squeezed, to recognise an identical one.
    pub statement: String,
    /// Hosts of the pair.
    pub hosts: [String; 2],
    pub subscribers: Vec<String>,
    pub service: ReturnService,
    pub disable_return: bool,
    pub local_commit: bool,
    /// `RETURN WAIT TIME`, seconds.
    pub wait_seconds: u64,
    /// Log files kept for the peer before it is declared failed; 0 = no limit.
    pub fail_threshold: u64,
}

/// TimesTen's default `RETURN WAIT TIME`.
const DEFAULT_WAIT_SECONDS: u64 = 10;

impl Scheme {
    pub(crate) fn parse(statement: &str) -> TtResult<Self> {
        let words = words(statement);
        let has = |phrase: &[&str]| find(&words, phrase).is_some();
        if find(&words, &["create", "active", "standby", "pair"]) != Some(0) {
            let first = words.first().map_or("", |word| word.text.as_str());
            return Err(syntax_error(first, 1));
        }
        let store = find(&words, &["store"]).unwrap_or(words.len());
        let subscriber = find(&words, &["subscriber"]).unwrap_or(store).min(store);
        let pair = hosts(words.get(..subscriber).unwrap_or_default());
        let Ok(hosts_of_pair) = <[String; 2]>::try_from(pair) else {
            return Err(TtError::tt(
                1001,
                "Syntax error in SQL statement: an active standby pair has two databases, each \
                 with ON \"host\"",
            ));
        };
        let service = if has(&["return", "twosafe"]) {
            ReturnService::Twosafe
        } else if has(&["return", "receipt"]) {
            ReturnService::Receipt
        } else {
            ReturnService::None
        };
        Ok(Self {
            statement: words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" "),
            hosts: hosts_of_pair,
            subscribers: hosts(words.get(subscriber..store).unwrap_or_default()),
            service,
            disable_return: has(&["disable", "return"]),
            local_commit: has(&["local", "commit", "action", "commit"]),
            wait_seconds: number_after(&words, &["return", "wait", "time"])
                .unwrap_or(DEFAULT_WAIT_SECONDS),
            fail_threshold: number_after(&words, &["failthreshold"]).unwrap_or(0),
        })
    }

    /// The other host of the pair; none for a subscriber or a stranger.
    pub(crate) fn peer_of(&self, host: &str) -> Option<&str> {
        let [first, second] = &self.hosts;
        match host {
            host if host == first => Some(second),
            host if host == second => Some(first),
            _ => None,
        }
    }
}

/// TT1001, as ttIsql and the ODBC driver tell it.
pub(crate) fn syntax_error(near: &str, line: usize) -> TtError {
    TtError::tt(
        1001,
        &format!("Syntax error in SQL statement before or at: \"{near}\", line {line}"),
    )
}

struct Word {
    text: String,
    quoted: bool,
}

fn words(statement: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for (index, part) in statement.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(Word { text: part.to_owned(), quoted: true });
            continue;
        }
        let plain = part.split(|c: char| c.is_whitespace() || c == ',' || c == ';');
        words.extend(
            plain
                .filter(|text| !text.is_empty())
                .map(|text| Word { text: text.to_owned(), quoted: false }),
        );
    }
    words
}

fn find(words: &[Word], phrase: &[&str]) -> Option<usize> {
    words.windows(phrase.len()).position(|window| {
        window
            .iter()
            .zip(phrase)
            .all(|(word, wanted)| !word.quoted && word.text.eq_ignore_ascii_case(wanted))
    })
}

/// The word after each `ON`.
fn hosts(words: &[Word]) -> Vec<String> {
    words
        .windows(2)
        .filter_map(|window| match window {
            [on, host] if !on.quoted && on.text.eq_ignore_ascii_case("on") => {
                Some(host.text.clone())
            }
            _ => None,
        })
        .collect()
}

fn number_after(words: &[Word], phrase: &[&str]) -> Option<u64> {
    let at = find(words, phrase)?;
    words.get(at + phrase.len())?.text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_default_statement() {
        let scheme = Scheme::parse(
            "create active standby pair \"s\" on \"h0\", \"s\" on \"h1\"  NO RETURN  \
             store \"s\" on \"h0\" PORT 4444 FAILTHRESHOLD 0 store \"s\" on \"h1\" PORT 4444",
        )
        .unwrap();
        assert_eq!(scheme.hosts, ["h0", "h1"]);
        assert_eq!(scheme.service, ReturnService::None);
        assert_eq!(scheme.peer_of("h1"), Some("h0"));
        assert_eq!(scheme.peer_of("h2"), None);
        assert!(scheme.subscribers.is_empty());
    }

    #[test]
    fn reads_return_services_and_subscribers() {
        let scheme = Scheme::parse(
            "CREATE ACTIVE STANDBY PAIR s ON \"h0\", s ON \"h1\" RETURN TWOSAFE \
             subscriber s on \"s0\", s on \"s1\" STORE s ON \"h0\" DISABLE RETURN ALL 1 \
             RETURN WAIT TIME 3 LOCAL COMMIT ACTION COMMIT FAILTHRESHOLD 7",
        )
        .unwrap();
        assert_eq!(scheme.service, ReturnService::Twosafe);
        assert_eq!(scheme.subscribers, ["s0", "s1"]);
        assert!(scheme.disable_return && scheme.local_commit);
        assert_eq!((scheme.wait_seconds, scheme.fail_threshold), (3, 7));
    }

    #[test]
    fn refuses_what_is_not_a_pair() {
        assert_eq!(Scheme::parse("create replication x").unwrap_err().errno, 1001);
        assert_eq!(
            Scheme::parse("create active standby pair s on \"h0\" NO RETURN").unwrap_err().errno,
            1001
        );
    }
}
