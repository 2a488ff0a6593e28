//! Lenient reading of JSON: missing, null and mistyped members are absent, never an error.
//!
//! Every text that is read is masked: whatever an agent says, and wherever, may be shown.

use serde_json::{Map, Value};

use super::mask;

/// The members of a JSON object, as far as they can be read.
#[derive(Clone, Copy)]
pub(super) struct Members<'a>(Option<&'a Map<String, Value>>);

impl<'a> Members<'a> {
    /// The members of `value`; of anything but an object, none.
    pub(super) fn of(value: &'a Value) -> Self {
        Self(value.as_object())
    }

    /// The member `name`, unless it is missing or null. The exact spelling wins over another case.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        let map = self.0?;
        let other_case = || map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        let value = map.get(name).or_else(|| other_case().map(|(_, value)| value))?;
        (!value.is_null()).then_some(value)
    }

    /// The members of the object `name`; none if it is not there.
    pub(super) fn object(self, name: &str) -> Self {
        Self(self.get(name).and_then(Value::as_object))
    }

    /// Whether the object is there at all.
    pub(super) fn exists(self) -> bool {
        self.0.is_some()
    }

    /// A text; a number or a truth value is taken as its spelling.
    pub(super) fn text(self, name: &str) -> Option<String> {
        self.get(name).and_then(as_text)
    }

    /// A text that says something.
    pub(super) fn word(self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.trim().is_empty())
    }

    /// A whole number, also as a text. A fraction is none: an error number of 0.4 is not 0.
    pub(super) fn int(self, name: &str) -> Option<i64> {
        let number = self.get(name).and_then(as_number)?;
        number.whole.or_else(|| saturated(number.value).filter(|_| number.value.fract() == 0.0))
    }

    /// The whole number next to a measure that may have a fraction, half rounded up.
    pub(super) fn nearest(self, name: &str) -> Option<i64> {
        let number = self.get(name).and_then(as_number)?;
        number.whole.or_else(|| saturated((number.value + 0.5).floor()))
    }

    /// A truth value; a number is true when it is not 0, a text when it says so.
    pub(super) fn flag(self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => number.as_f64().map(|number| number != 0.0),
            Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Some(true),
                "false" | "no" | "0" => Some(false),
                _ => None,
            },
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A list.
    pub(super) fn list(self, name: &str) -> Option<&'a [Value]> {
        self.get(name)?.as_array().map(Vec::as_slice)
    }

    /// Lines of text: a list of them, or one text cut at its line ends.
    pub(super) fn lines(self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::Array(lines)) => lines.iter().filter_map(as_text).collect(),
            Some(Value::String(text)) => text.lines().map(mask).collect(),
            _ => Vec::new(),
        }
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(mask(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number as it was written, and exactly where it fits.
#[derive(Clone, Copy)]
struct Number {
    whole: Option<i64>,
    value: f64,
}

fn as_number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(Number { whole: number.as_i64(), value: number.as_f64()? }),
        Value::String(text) => {
            let text = text.trim();
            Some(Number { whole: text.parse().ok(), value: text.parse().ok()? })
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn saturated(number: f64) -> Option<i64> {
    // The cast saturates, so a number beyond i64 ("no limit", in some cgroup files) stays huge.
    number.is_finite().then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_is_found_in_either_case_but_the_exact_spelling_wins() {
        let value = json!({"Errno": 9, "rc": 1, "Rc": 2, "nothing": null});
        let members = Members::of(&value);
        assert_eq!(members.int("errno"), Some(9));
        assert_eq!(members.int("rc"), Some(1));
        assert_eq!(members.int("Rc"), Some(2));
        assert!(members.get("nothing").is_none());
        assert!(Members::of(&json!([1])).get("errno").is_none());
    }

    #[rstest::rstest]
    #[case(json!(7), Some(7), Some(7))]
    #[case(json!(" 7 "), Some(7), Some(7))]
    #[case(json!(7.0), Some(7), Some(7))]
    #[case(json!(0.5), None, Some(1))]
    #[case(json!(-0.3), None, Some(0))]
    #[case(json!(2.49), None, Some(2))]
    #[case(json!("2.5"), None, Some(3))]
    #[case(json!(i64::MAX - 1), Some(i64::MAX - 1), Some(i64::MAX - 1))]
    #[case(json!(u64::MAX), Some(i64::MAX), Some(i64::MAX))]
    #[case(json!("x"), None, None)]
    #[case(json!("NaN"), None, None)]
    #[case(json!(true), None, None)]
    #[case(json!([7]), None, None)]
    fn numbers(#[case] value: Value, #[case] exact: Option<i64>, #[case] nearest: Option<i64>) {
        let value = json!({"n": value});
        let members = Members::of(&value);
        assert_eq!((members.int("n"), members.nearest("n")), (exact, nearest));
    }

    #[rstest::rstest]
    #[case(json!(true), Some(true))]
    #[case(json!(0), Some(false))]
    #[case(json!("Yes"), Some(true))]
    #[case(json!("maybe"), None)]
    #[case(json!({}), None)]
    fn flags(#[case] value: Value, #[case] expected: Option<bool>) {
        assert_eq!(Members::of(&json!({"f": value})).flag("f"), expected);
    }

    #[test]
    fn lines_are_a_list_or_one_text() {
        let value = json!({"m": {"a": 1}, "l": "one\ntwo"});
        let members = Members::of(&value);
        assert_eq!(members.lines("l"), ["one", "two"]);
        assert!(members.lines("m").is_empty());
    }

    #[test]
    fn texts_are_masked_wherever_they_stand() {
        let value = json!({"t": "-pwd s3cret", "l": ["PWD=s3cret;"]});
        let members = Members::of(&value);
        assert_eq!(members.text("t").as_deref(), Some("-pwd ****"));
        assert_eq!(members.lines("l"), ["PWD=****;"]);
    }
}
