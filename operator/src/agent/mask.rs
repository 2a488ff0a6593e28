//! Hides secrets in texts that leave this module: errors, Events, logs.
//!
//! Agents quote command lines and SQL. What follows a word that announces a secret is hidden, in
//! either case; too much rather than too little.

/// What stands in a secret's place.
pub const MASK: &str = "****";

/// Where a secret ends.
#[derive(Clone, Copy)]
enum End {
    /// After white space, at the end of the next word or quoted text.
    Word,
    /// At the next `;`, white space or quote; or, if it is quoted, at its closing quote.
    Value,
    /// At the next `;`.
    Statement,
    /// At the end of the line.
    Line,
}

/// Words that announce a secret, in lower case. A longer word stands before its own beginning.
const ANNOUNCERS: &[(&str, End)] = &[
    ("-cacheuid", End::Word),
    ("-cachepwd", End::Word),
    ("-oraclepwd", End::Word),
    ("-uid", End::Word),
    ("-pwd", End::Word),
    ("oraclepwd=", End::Value),
    ("uid=", End::Value),
    ("pwd=", End::Value),
    ("password=", End::Value),
    ("identified by", End::Word),
    ("ttcacheuidpwdset", End::Statement),
    ("create user", End::Statement),
    ("sqlplus", End::Line),
];

/// `text` with every secret in it hidden. Masking twice changes nothing more.
#[must_use]
pub fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(next) = rest.chars().next() {
        if let Some((announcer, secret, after)) = secret_at(rest, before) {
            masked.push_str(announcer);
            if !secret.is_empty() {
                masked.push_str(MASK);
            }
            before = announcer.chars().next_back();
            rest = after;
        } else {
            masked.push(next);
            before = Some(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    masked
}

/// Cuts `text` into an announcer with what follows it up to the secret, the secret, and the rest;
/// if it begins with an announcer and `before` does not make that the tail of another word.
fn secret_at<'a>(text: &'a str, before: Option<char>) -> Option<(&'a str, &'a str, &'a str)> {
    if before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let (word, end) = ANNOUNCERS.iter().find(|(word, _)| begins_with(text, word))?;
    let tail = text.get(word.len()..)?;
    let start = match end {
        End::Word => {
            let trimmed = tail.trim_start().trim_start_matches('=').trim_start();
            if trimmed.len() == tail.len() {
                return None;
            }
            text.len() - trimmed.len()
        }
        End::Value => word.len(),
        End::Statement | End::Line => text.len() - tail.trim_start_matches([' ', '\t']).len(),
    };
    let (announcer, secret) = text.split_at_checked(start)?;
    let length = match end {
        End::Word | End::Value => value_length(secret),
        End::Statement => secret.find(';').unwrap_or(secret.len()),
        End::Line => secret.find(['\n', '\r']).unwrap_or(secret.len()),
    };
    let (secret, after) = secret.split_at_checked(length)?;
    Some((announcer, secret, after))
}

fn begins_with(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// The length of the value that `text` begins with.
fn value_length(text: &str) -> usize {
    match text.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let inner = text.get(1..).unwrap_or_default();
            inner.find(quote).map_or(text.len(), |length| length + 2)
        }
        _ => {
            let ends = |c: char| c.is_whitespace() || matches!(c, ';' | '\'' | '"');
            text.find(ends).unwrap_or(text.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[rstest::rstest]
    #[case(
        "ttRepAdmin -duplicate -UID ttagent -PWD s3cret -from x",
        "ttRepAdmin -duplicate -UID **** -PWD **** -from x"
    )]
    #[case("-cacheUid scott -cachePwd tiger", "-cacheUid **** -cachePwd ****")]
    #[case(
        "DSN=sample;UID=a;PWD=b c;OraclePWD=d;x",
        "DSN=sample;UID=****;PWD=**** c;OraclePWD=****;x"
    )]
    #[case("pwd='a;b' next", "pwd=**** next")]
    #[case(
        "CREATE USER scott IDENTIFIED BY 'tiger'; grant x to scott;",
        "CREATE USER ****; grant x to scott;"
    )]
    #[case("alter user a identified by \"b c\" d", "alter user a identified by **** d")]
    #[case("call ttCacheUidPwdSet('u','p'); commit;", "call ttCacheUidPwdSet****; commit;")]
    #[case("sqlplus -s scott/tiger@orcl\nnext", "sqlplus ****\nnext")]
    #[case("a guid=63624bfd and -pwd", "a guid=63624bfd and -pwd")]
    #[case("PWD=\u{e4}\u{f6};\u{fc}", "PWD=****;\u{fc}")]
    #[case("TT8191: no scheme", "TT8191: no scheme")]
    fn secrets_are_hidden(#[case] text: &str, #[case] masked: &str) {
        assert_eq!(mask(text), masked);
    }

    proptest! {
        #[test]
        fn masking_is_idempotent(words in prop::collection::vec(
            prop::sample::select(vec!["-pwd", "-UID", "pwd=", "PWD='", "create user", "sqlplus", ";", " ",
                "x", "\n", "'", "\"", "=", "identified by", "ttCacheUidPwdSet(", "\u{e4}", "-"]), 0..24)) {
            let once = mask(&words.concat());
            prop_assert_eq!(mask(&once), once);
        }

        #[test]
        fn any_text_can_be_masked(text in "\\PC*") {
            let once = mask(&text);
            prop_assert_eq!(mask(&once), once);
        }

        #[test]
        fn a_password_never_survives(secret in "[a-z0-9]{16}", form in 0usize..5) {
            let text = match form {
                0 => format!("run -pwd {secret} x"),
                1 => format!("DSN=a;Pwd={secret};"),
                2 => format!("create user u\nidentified by '{secret}';"),
                3 => format!("sqlplus u/{secret}@db"),
                _ => format!("-CACHEPWD   \"{secret}\""),
            };
            prop_assert!(!mask(&text).contains(&secret));
        }
    }
}
