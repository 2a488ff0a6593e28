//! Hides secrets in texts that leave this module: errors, Events, logs.
//!
//! Agents quote command lines and SQL. What follows a word that announces a secret is hidden, in
//! either case; too much rather than too little.

use serde_json::Value;

/// What stands in a secret's place.
pub const MASK: &str = "****";

/// Where a secret ends.
#[derive(Clone, Copy)]
enum End {
    /// After white space: where a value ends.
    Word,
    /// At the next `;`, white space or quote; or, if it is quoted, at its closing quote.
    Value,
    /// After white space or a bracket: at the next `;`.
    Statement,
    /// After white space: at the end of the line.
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
    while let Some(next) = rest.chars().next() {
        if let Some((announcer, secret, after)) = secret_at(rest, masked.chars().next_back()) {
            masked.push_str(announcer);
            if !secret.is_empty() {
                masked.push_str(MASK);
            }
            rest = after;
        } else {
            masked.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    masked
}

/// A reply's body for the log: each text in it masked as it was before JSON escaped it.
pub(super) fn mask_body(body: &[u8]) -> String {
    match serde_json::from_slice(body) {
        Ok(value) => mask_texts(value).to_string(),
        Err(_) => mask(&String::from_utf8_lossy(body)),
    }
}

fn mask_texts(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(mask(&text)),
        Value::Array(values) => values.into_iter().map(mask_texts).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, mask_texts(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// Cuts `text` into an announcer with what follows it up to the secret, the secret, and the rest;
/// if it begins with an announcer and `before` does not make that the tail of another word.
fn secret_at(text: &str, before: Option<char>) -> Option<(&str, &str, &str)> {
    let (word, end) = ANNOUNCERS.iter().find(|(word, _)| begins_with(text, word))?;
    if before.is_some_and(char::is_alphanumeric) && !word.starts_with('-') {
        return None;
    }
    let tail = text.get(word.len()..)?;
    let gap = match end {
        End::Value => tail,
        End::Word => tail.trim_start_matches(|c: char| c.is_whitespace() || c == '='),
        End::Statement | End::Line => tail.trim_start_matches([' ', '\t', '(', '\n', '\r']),
    };
    if !matches!(end, End::Value) && gap.len() == tail.len() {
        return None;
    }
    // Quotes stay, so that the masked text reads the same way again.
    let quote = gap.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let quote = quote.filter(|_| matches!(end, End::Word | End::Value));
    let secret = gap.get(usize::from(quote.is_some())..)?;
    let length = match (end, quote) {
        (End::Word | End::Value, Some(quote)) => secret.find(quote),
        (End::Word | End::Value, None) => {
            secret.find(|c: char| c.is_whitespace() || matches!(c, ';' | '\'' | '"'))
        }
        (End::Statement, _) => secret.find(';'),
        (End::Line, _) => secret.find(['\n', '\r']),
    };
    let (announcer, _) = text.split_at_checked(text.len() - secret.len())?;
    let (secret, after) = secret.split_at_checked(length.unwrap_or(secret.len()))?;
    Some((announcer, secret, after))
}

fn begins_with(text: &str, word: &str) -> bool {
    // Nearly every place in a text is ruled out by its first letter.
    let first = |text: &str| text.as_bytes().first().map(u8::to_ascii_lowercase);
    first(text) == first(word)
        && text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
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
    #[case("pwd='a;b' next", "pwd='****' next")]
    #[case(
        "CREATE USER scott IDENTIFIED BY 'tiger'; grant x to scott;",
        "CREATE USER ****; grant x to scott;"
    )]
    #[case("alter user a identified by \"b c\" d", "alter user a identified by \"****\" d")]
    #[case("call ttCacheUidPwdSet('u','p'); commit;", "call ttCacheUidPwdSet(****; commit;")]
    #[case("sqlplus -s scott/tiger@orcl\nnext", "sqlplus ****\nnext")]
    #[case("a guid=63624bfd and -pwd", "a guid=63624bfd and -pwd")]
    #[case("PWD=\u{e4}\u{f6};\u{fc}", "PWD=****;\u{fc}")]
    #[case("TT8191: no scheme", "TT8191: no scheme")]
    #[case("Cannot create user: TT15001", "Cannot create user: TT15001")]
    #[case("PWD=''-pwd x", "PWD=''-pwd ****")]
    fn secrets_are_hidden(#[case] text: &str, #[case] masked: &str) {
        assert_eq!(mask(text), masked);
    }

    #[test]
    fn a_body_is_masked_inside_its_texts() {
        let body =
            br#"{"errno":1,"stdout":["x -pwd \"a b\" y","sqlplus u/p@x"],"m":{"k":"PWD=z"}}"#;
        assert_eq!(
            mask_body(body),
            r#"{"errno":1,"m":{"k":"PWD=****"},"stdout":["x -pwd \"****\" y","sqlplus ****"]}"#
        );
        assert_eq!(mask_body(b"not JSON -pwd x"), "not JSON -pwd ****");
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
