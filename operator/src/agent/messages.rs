//! TimesTen's error lines in an agent's output, as texts for Events. Every text is masked.

use super::json::Members;
use super::{Verb, mask};

/// How a line that carries a TimesTen error begins.
const ERROR_LINE: &str = "Error Message: [TimesTen]";
/// What TimesTen's drivers put before a message.
const DRIVER: &str = "[TimesTen]";

/// The Event text of a line of output, if it is a TimesTen error: `<label> error: TTnnnn: ...`.
///
/// `Error Message: [TimesTen][...][TimesTen]TT1001: bad -- file "x.c", lineno 5` gives
/// `Schema error: TT1001: bad` under the label `Schema`.
#[must_use]
pub fn timesten_error(label: &str, line: &str) -> Option<String> {
    let line = line.trim();
    if !line.starts_with(ERROR_LINE) {
        return None;
    }
    Some(mask(&format!("{label} error: {}", after_driver(line))))
}

/// The Event text of an entry of `createDb`'s `errors`: what stands before the driver's brackets,
/// and the message.
fn listed_error(entry: &str) -> Option<String> {
    let (prefix, message) = entry.split_at(entry.find(DRIVER)?);
    Some(mask(format!("{} {}", prefix.trim(), after_driver(message)).trim()))
}

/// The message after the third `]`, without the place in TimesTen's source.
fn after_driver(line: &str) -> &str {
    let message = line.splitn(4, ']').nth(3).unwrap_or(line);
    message.split("-- file").next().unwrap_or(message).trim()
}

/// The errors in the reply to a verb.
pub(super) fn of_verb(verb: &Verb, reply: Members<'_>) -> Vec<String> {
    let lines = |label: &str, member: &str| errors(label, reply, member);
    match verb {
        Verb::CreateDb => {
            let mut found = lines("CreateDb", "create1Err");
            found.extend(lines("Cache UID Set", "create2Err"));
            found.extend(lines("Schema", "schemaErr"));
            found.extend(reply.lines("errors").iter().filter_map(|entry| listed_error(entry)));
            found
        }
        // With an `errmsg` the error text already says it.
        Verb::CreateRepScheme { .. } if reply.word("errmsg").is_none() => {
            lines("Replication scheme", "stderr")
        }
        Verb::CreateRepEpilog => lines("Epilog", "stderr"),
        Verb::RepAdminWait { .. } => lines("RepAdminWait", "stderr"),
        Verb::OpenDb if reply.get("cmdRc").is_some() => lines("OpenDb", "msg"),
        Verb::CloseDb if reply.get("cmdRc").is_some() => lines("CloseDb", "msg"),
        // An agent without tasks answers with the result itself.
        Verb::CreateCg => lines("Cachegroups", "cgErr"),
        Verb::RepDuplicate => lines("Repduplicate", "dupErr"),
        _ => Vec::new(),
    }
}

/// The errors in the report on a task.
pub(super) fn of_task(reply: Members<'_>) -> Vec<String> {
    let mut found = errors("Cachegroups", reply.object("cg"), "cgErr");
    found.extend(errors("Repduplicate", reply.object("dup"), "dupErr"));
    found
}

fn errors(label: &str, reply: Members<'_>, member: &str) -> Vec<String> {
    reply.lines(member).iter().filter_map(|line| timesten_error(label, line)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LINE: &str = "Error Message: [TimesTen][TimesTen 22.1.1.22.0 ODBC Driver][TimesTen]TT1001: \
                        Syntax error in SQL statement before or at: \"x\" -- file \"ptSqlY.y\", lineno 5";

    #[test]
    fn an_error_line_becomes_its_message() {
        assert_eq!(
            timesten_error("Schema", LINE).as_deref(),
            Some("Schema error: TT1001: Syntax error in SQL statement before or at: \"x\"")
        );
        assert_eq!(timesten_error("Schema", "Command> x"), None);
        assert_eq!(timesten_error("Schema", "  TT1001 without the prefix"), None);
        assert_eq!(
            timesten_error("S", "Error Message: [TimesTen]cut short").as_deref(),
            Some("S error: Error Message: [TimesTen]cut short")
        );
    }

    #[rstest::rstest]
    #[case(
        "Cannot create user: [TimesTen][Driver][TimesTen]TT15001: no -- file \"a\"",
        Some("Cannot create user: TT15001: no")
    )]
    #[case("[TimesTen][Driver][TimesTen]TT15001: no", Some("TT15001: no"))]
    #[case("plain", None)]
    fn a_listed_error_keeps_what_it_was_about(#[case] entry: &str, #[case] text: Option<&str>) {
        assert_eq!(listed_error(entry).as_deref(), text);
    }

    #[test]
    fn create_db_tells_of_all_its_steps() {
        let reply = json!({"create1Err": [LINE], "create2Err": ["noise"], "schemaErr": LINE,
                           "errors": ["x [TimesTen][a][TimesTen]TT1: y", "z"]});
        let found = of_verb(&Verb::CreateDb, Members::of(&reply));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("CreateDb error: TT1001"));
        assert!(found[1].starts_with("Schema error: TT1001"));
        assert_eq!(found[2], "x TT1: y");
    }

    #[test]
    fn a_scheme_error_is_told_once() {
        let scheme = Verb::CreateRepScheme { statement: String::new() };
        let told = json!({"errmsg": "TT1001", "stderr": [LINE]});
        assert!(of_verb(&scheme, Members::of(&told)).is_empty());
        let untold = json!({"stderr": [LINE]});
        assert_eq!(of_verb(&scheme, Members::of(&untold)).len(), 1);
    }
}
