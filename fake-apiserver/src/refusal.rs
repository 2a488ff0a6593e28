//! What the server answers when it refuses: `Status` objects, worded as Kubernetes words them.
//!
//! Owns the mapping from a reason to its HTTP code and its text. It never decides whether something is refused.

use serde_json::{Map, Value, json};

/// One faulty field, as an entry of `details.causes`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) field: String,
}

impl Cause {
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueRequired", with_detail("Required value", detail), field)
    }

    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(
            "FieldValueInvalid",
            with_detail(&format!("Invalid value: {}", show(value)), detail),
            field,
        )
    }

    /// A value of the wrong type; `value` is the name of the type that was found.
    pub(crate) fn wrong_type(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(
            "FieldValueTypeInvalid",
            with_detail(&format!("Invalid value: {}", show(value)), detail),
            field,
        )
    }

    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let list: Vec<String> = supported.iter().map(|s| quote(s)).collect();
        let text =
            format!("Unsupported value: {}: supported values: {}", show(value), list.join(", "));
        Self::new("FieldValueNotSupported", text, field)
    }

    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::new("FieldValueDuplicate", format!("Duplicate value: {}", show(value)), field)
    }

    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueForbidden", with_detail("Forbidden", detail), field)
    }

    pub(crate) fn new(reason: &'static str, message: String, field: impl Into<String>) -> Self {
        Self { reason, message, field: field.into() }
    }
}

fn with_detail(head: &str, detail: &str) -> String {
    if detail.is_empty() { head.to_owned() } else { format!("{head}: {detail}") }
}

/// A value as Go prints it in a field error.
pub(crate) fn show(value: &Value) -> String {
    value.to_string()
}

/// A string in quotes, as Go's `%q`.
pub(crate) fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// A refused request.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    reason: &'static str,
    pub(crate) message: String,
    details: Option<Value>,
    /// Answered as plain text instead of a `Status`.
    pub(crate) plain: bool,
    /// What was told of the request before it was refused.
    pub(crate) warnings: Vec<String>,
}

/// The group and the plural of a kind, as errors name it (`statefulsets.apps`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
}

impl Named<'_> {
    fn qualified(self) -> String {
        if self.group.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}.{}", self.resource, self.group)
        }
    }

    fn details(self, name: &str) -> Map<String, Value> {
        let mut details = Map::new();
        if !self.group.is_empty() {
            details.insert("group".into(), self.group.into());
        }
        if !self.resource.is_empty() {
            details.insert("kind".into(), self.resource.into());
        }
        if !name.is_empty() {
            details.insert("name".into(), name.into());
        }
        details
    }
}

impl Refusal {
    fn new(
        code: u16,
        reason: &'static str,
        message: impl Into<String>,
        details: Option<Value>,
    ) -> Self {
        Self { code, reason, message: message.into(), details, plain: false, warnings: Vec::new() }
    }

    /// The refusal with warnings.
    pub(crate) fn warned(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message, None)
    }

    /// A failure the real server does not classify: a 500 without a reason.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "", message, None)
    }

    /// Nobody knows the token.
    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized", None)
    }

    /// A path that is no resource's and that the requester may not read.
    pub(crate) fn forbidden_path(why: &str) -> Self {
        Self::new(403, "Forbidden", format!("forbidden: {why}"), Some(json!({})))
    }

    pub(crate) fn not_found(of: Named<'_>, name: &str) -> Self {
        let message = format!("{} {} not found", of.qualified(), quote(name));
        Self::new(404, "NotFound", message, Some(of.details(name).into()))
    }

    pub(crate) fn no_such_resource() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
            Some(json!({})),
        )
    }

    pub(crate) fn page_not_found() -> Self {
        Self { plain: true, ..Self::new(404, "NotFound", "404 page not found\n", None) }
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message, Some(json!({})))
    }

    pub(crate) fn not_acceptable(available: &str) -> Self {
        let message = format!("406: Not Acceptable\n\nAvailable representations: {available}");
        Self::new(406, "NotAcceptable", message, Some(json!({})))
    }

    /// None of the forms that are asked for in a known media type can be given.
    pub(crate) fn no_such_form(available: &str) -> Self {
        let message = format!("only the following media types are accepted: {available}");
        Self::new(406, "NotAcceptable", message, None)
    }

    /// A body of more bytes than `limit`.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(413, "RequestEntityTooLarge", message, None)
    }

    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(415, "UnsupportedMediaType", message, None)
    }

    /// A patch in a form that the built-in kinds do not know.
    pub(crate) fn unsupported_patch() -> Self {
        Self::new(415, "UnsupportedMediaType", "415: Unsupported Media Type", Some(json!({})))
    }

    pub(crate) fn already_exists(of: Named<'_>, name: &str) -> Self {
        let message = format!("{} {} already exists", of.qualified(), quote(name));
        Self::new(409, "AlreadyExists", message, Some(of.details(name).into()))
    }

    pub(crate) fn conflict(of: Named<'_>, name: &str, why: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} {}: {why}", of.qualified(), quote(name));
        Self::new(409, "Conflict", message, Some(of.details(name).into()))
    }

    pub(crate) fn modified(of: Named<'_>, name: &str) -> Self {
        Self::conflict(
            of,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// Field ownership conflicts of a server-side apply.
    pub(crate) fn apply_conflict(message: String, causes: &[Cause]) -> Self {
        Self::new(409, "Conflict", message, Some(json!({"causes": causes_json(causes)})))
    }

    pub(crate) fn forbidden(of: Named<'_>, name: &str, why: &str, causes: &[Cause]) -> Self {
        let mut details = of.details(name);
        if !causes.is_empty() {
            details.insert("causes".into(), causes_json(causes));
        }
        let message = if name.is_empty() {
            format!("{} is forbidden: {why}", of.qualified())
        } else {
            format!("{} {} is forbidden: {why}", of.qualified(), quote(name))
        };
        Self::new(403, "Forbidden", message, Some(details.into()))
    }

    /// The version asked for is no longer kept (410).
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message, None)
    }

    /// A version from the future was asked for and did not come in time.
    pub(crate) fn too_large_version(asked: u64, current: u64) -> Self {
        let details = json!({
            "causes": [{"message": "Too large resource version", "reason": "ResourceVersionTooLarge"}],
            "retryAfterSeconds": 1,
        });
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        Self::new(504, "Timeout", message, Some(details))
    }

    pub(crate) fn too_many_requests(message: &str, details: Value) -> Self {
        Self::new(429, "TooManyRequests", message, Some(details))
    }

    /// A JSON patch that could not be applied.
    pub(crate) fn unprocessable() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::new(422, "Invalid", message, Some(json!({})))
    }

    /// An object with faulty fields. `of.resource` is the kind here, by convention of the real server.
    pub(crate) fn invalid(of: Named<'_>, name: &str, causes: &[Cause]) -> Self {
        let mut seen: Vec<String> = Vec::new();
        for cause in causes {
            let line = if cause.field.is_empty() {
                cause.message.clone()
            } else {
                format!("{}: {}", cause.field, cause.message)
            };
            if !seen.contains(&line) {
                seen.push(line);
            }
        }
        let list = match seen.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut details = of.details(name);
        details.insert("causes".into(), causes_json(causes));
        let message = format!("{} {} is invalid: {list}", of.qualified(), quote(name));
        Self::new(422, "Invalid", message, Some(details.into()))
    }

    /// The `Status` object that tells it.
    pub(crate) fn status(&self) -> Value {
        let mut status = json!({
            "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
            "code": self.code, "message": self.message,
        });
        if let Value::Object(map) = &mut status {
            if !self.reason.is_empty() {
                map.insert("reason".into(), self.reason.into());
            }
            if let Some(details) = &self.details {
                map.insert("details".into(), details.clone());
            }
        }
        status
    }
}

fn causes_json(causes: &[Cause]) -> Value {
    causes
        .iter()
        .map(|cause| {
            let mut entry = json!({"reason": cause.reason, "message": cause.message});
            if let (Value::Object(entry), false) = (&mut entry, cause.field.is_empty()) {
                entry.insert("field".into(), cause.field.as_str().into());
            }
            entry
        })
        .collect()
}
