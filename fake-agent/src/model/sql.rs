//! Running a ttIsql script, as far as scenarios need it: statements end with `;`, must begin with
//! a known word and not contain `syntax error`; cache groups are remembered by name.

use super::TtResult;
use super::oracle::{CacheGroup, Kind};
use super::scheme::syntax_error;

const KNOWN: &[&str] = &[
    "alter",
    "autocommit",
    "begin",
    "call",
    "commit",
    "create",
    "declare",
    "delete",
    "describe",
    "drop",
    "echo",
    "exit",
    "flush",
    "grant",
    "host",
    "insert",
    "load",
    "merge",
    "passthrough",
    "prompt",
    "quit",
    "refresh",
    "revoke",
    "rollback",
    "run",
    "select",
    "set",
    "statsupdate",
    "truncate",
    "unload",
    "update",
    "verbosity",
];

/// What a script changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Cache groups created.
    pub cache_groups: Vec<CacheGroup>,
}

/// Runs a script. The first statement that fails ends it.
pub(crate) fn run(script: &[u8]) -> TtResult<Ran> {
    let mut ran = Ran::default();
    for (line, statement) in statements(&String::from_utf8_lossy(script)) {
        let words: Vec<&str> = statement.split_whitespace().collect();
        let Some(first) = words.first() else { continue };
        let lower = statement.to_ascii_lowercase();
        if !KNOWN.iter().any(|known| first.eq_ignore_ascii_case(known))
            || lower.contains("syntax error")
        {
            return Err(syntax_error(first, line));
        }
        ran.cache_groups.extend(cache_group(&words));
    }
    Ok(ran)
}

/// `CREATE … CACHE GROUP name …` gives its name, and what it is for.
fn cache_group(words: &[&str]) -> Option<CacheGroup> {
    let is = |word: &str, wanted: &str| word.eq_ignore_ascii_case(wanted);
    if !is(words.first()?, "create") {
        return None;
    }
    let at = words
        .windows(2)
        .position(|pair| matches!(pair, [a, b] if is(a, "cache") && is(b, "group")))?;
    let says = |wanted: &str| words.iter().take(at).any(|word| is(word, wanted));
    let kind = match () {
        () if says("awt") || says("writethrough") && says("asynchronous") => Kind::Awt,
        () if says("readonly") => Kind::ReadOnly,
        () => Kind::Other,
    };
    let name = words.get(at + 2)?.trim_end_matches('(').to_owned();
    Some(CacheGroup { name, kind })
}

/// Statements with the line they begin on; `--` and `#` comments and `/` lines dropped.
fn statements(script: &str) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    let mut current = String::new();
    let mut begun = 1;
    for (index, line) in script.lines().enumerate() {
        let code = line.split("--").next().unwrap_or_default().trim();
        if code.is_empty() || code.starts_with('#') || code == "/" {
            continue;
        }
        for piece in code.split_inclusive(';') {
            if current.is_empty() {
                begun = index + 1;
            }
            current.push_str(piece.trim_end_matches(';'));
            current.push(' ');
            if piece.ends_with(';') {
                all.push((begun, std::mem::take(&mut current).trim().to_owned()));
            }
        }
    }
    if !current.trim().is_empty() {
        all.push((begun, current.trim().to_owned()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_cache_groups() {
        let ran = run(b"-- cache\nCREATE DYNAMIC ASYNCHRONOUS WRITETHROUGH CACHE GROUP cg1\nFROM t(a NUMBER);\nLOAD CACHE GROUP cg1 COMMIT EVERY 256 ROWS;").unwrap();
        let group = CacheGroup { name: "cg1".into(), kind: Kind::Awt };
        assert_eq!(ran.cache_groups, [group]);
        let ran = run(b"create readonly cache group ro from t (a int);").unwrap();
        assert_eq!(ran.cache_groups[0].kind, Kind::ReadOnly);
    }

    #[test]
    fn tells_the_line_of_an_error() {
        let error = run(b"create table t (a int);\n\nfrobnicate everything;\n").unwrap_err();
        assert_eq!(error.errno, 1001);
        assert!(error.message.contains("\"frobnicate\", line 3"), "{}", error.message);
    }
}
