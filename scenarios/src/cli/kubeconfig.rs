//! The file that tells `kubectl` how to reach a server.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How a server is reached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// Its URL.
    pub(crate) server: String,
    /// The certificate of its authority, in PEM.
    pub(crate) authority: Option<String>,
    /// Who asks.
    pub(crate) token: Option<String>,
    /// The namespace of commands that name none.
    pub(crate) namespace: String,
}

/// Writes the file, readable by its owner alone when there is a token in it.
pub(crate) fn write(file: &Path, access: &Access) -> anyhow::Result<()> {
    let written = || -> anyhow::Result<()> {
        let text = serde_saphyr::to_string(&content(access))?;
        let mode = if access.token.is_some() { 0o600 } else { 0o644 };
        // A file that is there would keep its mode.
        if file.exists() {
            std::fs::remove_file(file)?;
        }
        let mut options = std::fs::OpenOptions::new();
        let mut open = options.write(true).create_new(true).mode(mode).open(file)?;
        Ok(open.write_all(text.as_bytes())?)
    };
    written().with_context(|| format!("the kubeconfig {}: it cannot be written", file.display()))
}

fn content(access: &Access) -> Value {
    let mut cluster = json!({"server": access.server});
    if let (Value::Object(cluster), Some(authority)) = (&mut cluster, &access.authority) {
        cluster.insert("certificate-authority-data".into(), STANDARD.encode(authority).into());
    }
    let user = match &access.token {
        Some(token) => json!({"token": token}),
        None => json!({}),
    };
    let context = json!({"cluster": "ttlab", "user": "ttlab", "namespace": access.namespace});
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "ttlab", "cluster": cluster}],
        "users": [{"name": "ttlab", "user": user}],
        "contexts": [{"name": "ttlab", "context": context}],
        "current-context": "ttlab",
    })
}
