//! Checks that many kinds share. Each adds its faults to a list, in the words of the real server.

use serde_json::Value;

use crate::refusal::Cause;
use crate::{json, meta};

const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', \
     regex used for validation is '[0-9]+%')";

/// A number of a field, if it is there, must not be negative.
pub(super) fn non_negative(parent: &Value, key: &str, path: &str, causes: &mut Vec<Cause>) {
    if let Some(number) = json::int(parent, &[key]).filter(|number| *number < 0) {
        let why = "must be greater than or equal to 0";
        causes.push(Cause::invalid(format!("{path}.{key}"), &number.into(), why));
    }
}

pub(super) fn dns_label(text: &str, path: &str, causes: &mut Vec<Cause>) {
    causes.extend(
        meta::fault_of(meta::NameKind::Label, text)
            .map(|why| Cause::invalid(path, &text.into(), why)),
    );
}

pub(super) fn dns_subdomain(text: &str, path: &str, causes: &mut Vec<Cause>) {
    causes.extend(
        meta::fault_of(meta::NameKind::Subdomain, text)
            .map(|why| Cause::invalid(path, &text.into(), why)),
    );
}

/// A port by number or by name.
pub(super) fn port(value: &Value, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::String(name) => port_name(name, path, causes),
        _ if !(1..=65535).contains(&value.as_i64().unwrap_or_default()) => {
            causes.push(Cause::invalid(path, value, "must be between 1 and 65535, inclusive"));
        }
        _ => {}
    }
}

/// `IsValidPortName`.
pub(super) fn port_name(name: &str, path: &str, causes: &mut Vec<Cause>) {
    let mut faults = Vec::new();
    if name.len() > 15 {
        faults.push("must be no more than 15 characters");
    }
    if !name.bytes().all(|c| c == b'-' || c.is_ascii_lowercase() || c.is_ascii_digit()) {
        faults.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !name.bytes().any(|c| c.is_ascii_lowercase()) {
        faults.push("must contain at least one letter (a-z)");
    }
    if name.contains("--") {
        faults.push("must not contain consecutive hyphens");
    }
    if name.starts_with('-') || name.ends_with('-') {
        faults.push("must not begin or end with a hyphen");
    }
    causes.extend(faults.into_iter().map(|why| Cause::invalid(path, &name.into(), why)));
}

/// A number that is not negative, or a percentage up to 100.
pub(super) fn int_or_percent(value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(text) = value.as_str() else {
        if value.as_i64().is_some_and(|number| number < 0) {
            causes.push(Cause::invalid(path, value, "must be greater than or equal to 0"));
        }
        return;
    };
    let digits = text.strip_suffix('%').unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
        causes.push(Cause::invalid(path, value, PERCENT));
    } else if digits.parse::<u32>().is_ok_and(|percent| percent > 100) {
        causes.push(Cause::invalid(path, value, "must not be greater than 100%"));
    }
}

/// `ValidateLabelSelector`.
pub(super) fn label_selector(selector: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Some(Value::Object(labels)) = json::at(selector, &["matchLabels"]) {
        meta::validate_labels(labels, &format!("{path}.matchLabels"), causes);
    }
    for (index, term) in json::list(selector, &["matchExpressions"]).iter().enumerate() {
        let field = format!("{path}.matchExpressions[{index}]");
        let values = json::list(term, &["values"]);
        match json::text(term, &["operator"]) {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                causes.push(Cause::required(format!("{field}.values"), why));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.push(Cause::forbidden(format!("{field}.values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let why = "not a valid selector operator";
                causes.push(Cause::invalid(format!("{field}.operator"), &other.into(), why));
            }
        }
        let key = json::text(term, &["key"]);
        causes.extend(
            meta::key_fault(key)
                .map(|why| Cause::invalid(format!("{field}.key"), &key.into(), why)),
        );
        for (index, value) in values.iter().enumerate() {
            let fault = meta::label_value_fault(value.as_str().unwrap_or_default());
            causes.extend(
                fault.map(|why| Cause::invalid(format!("{field}.values[{index}]"), value, why)),
            );
        }
    }
}
