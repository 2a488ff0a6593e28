//! Services.

use serde_json::{Value, json};

use crate::json;
use crate::refusal::Cause;
use crate::state::State;

fn kind(value: &Value) -> &str {
    json::text(value, &["spec", "type"])
}

fn is_headless(value: &Value) -> bool {
    json::text(value, &["spec", "clusterIP"]) == "None"
}

pub(crate) fn apply_defaults(value: &mut Value) {
    let spec = json::object_mut(value, "spec");
    json::default_to(spec, "type", "ClusterIP");
    json::default_to(spec, "sessionAffinity", "None");
    if spec.get("type").and_then(Value::as_str) != Some("ExternalName") {
        json::default_to(spec, "internalTrafficPolicy", "Cluster");
    }
    let outside = ["NodePort", "LoadBalancer"]
        .contains(&spec.get("type").and_then(Value::as_str).unwrap_or_default());
    if outside {
        json::default_to(spec, "externalTrafficPolicy", "Cluster");
    }
    if spec.get("type").and_then(Value::as_str) == Some("LoadBalancer") {
        json::default_to(spec, "allocateLoadBalancerNodePorts", true);
    }
    if spec.get("sessionAffinity").and_then(Value::as_str) == Some("ClientIP") {
        json::default_to(
            spec,
            "sessionAffinityConfig",
            json!({"clientIP": {"timeoutSeconds": 10800}}),
        );
    }
    if let Some(Value::Array(ports)) = spec.get_mut("ports") {
        for port in ports {
            json::default_to(json::as_object(port), "protocol", "TCP");
            let number = json::at(port, &["port"]).cloned().unwrap_or_default();
            let target = json::at(port, &["targetPort"]).cloned();
            if matches!(&target, None | Some(Value::Null))
                || target == Some(json!(0))
                || target == Some(json!(""))
            {
                json::put(port, &["targetPort"], number);
            }
        }
    }
    json::default_to(json::object_mut(value, "status"), "loadBalancer", json!({}));
}

/// Allots addresses, families and ports.
pub(crate) fn prepare_create(value: &mut Value, state: &mut State) {
    json::put(value, &["status"], json!({"loadBalancer": {}}));
    allot(value, state);
}

fn allot(value: &mut Value, state: &mut State) {
    if kind(value) == "ExternalName" {
        return;
    }
    if is_headless(value) {
        json::put(value, &["spec", "clusterIPs"], json!(["None"]));
    } else {
        let mut address = json::text(value, &["spec", "clusterIP"]).to_owned();
        if address.is_empty() {
            address = state.allocate_address();
        }
        json::put(value, &["spec", "clusterIPs"], json!([address]));
        json::put(value, &["spec", "clusterIP"], address.into());
    }
    let selectorless = json::at(value, &["spec", "selector"]).is_none();
    let spec = json::object_mut(value, "spec");
    let (families, policy) = if spec.get("clusterIP") == Some(&json!("None")) && selectorless {
        (json!(["IPv4", "IPv6"]), "RequireDualStack")
    } else {
        (json!(["IPv4"]), "SingleStack")
    };
    json::default_to(spec, "ipFamilies", families);
    json::default_to(spec, "ipFamilyPolicy", policy);
    let outside = spec
        .get("type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind == "NodePort" || kind == "LoadBalancer");
    let outside = outside && spec.get("allocateLoadBalancerNodePorts") != Some(&Value::Bool(false));
    if let (true, Some(Value::Array(ports))) = (outside, spec.get_mut("ports")) {
        for port in ports {
            json::default_to(json::as_object(port), "nodePort", state.allocate_port());
        }
    }
}

/// Keeps what was allotted.
pub(crate) fn prepare_update(value: &mut Value, old: &Value, state: &mut State) {
    let was_plain = kind(old) != "ExternalName" && kind(value) != "ExternalName";
    if was_plain {
        for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if let (None, Some(kept)) =
                (json::at(value, &["spec", key]), json::at(old, &["spec", key]).cloned())
            {
                json::put(value, &["spec", key], kept);
            }
        }
    }
    let old_ports = json::list(old, &["spec", "ports"]).to_vec();
    if let Some(Value::Array(ports)) = value.pointer_mut("/spec/ports") {
        for port in ports {
            let same = old_ports.iter().find(|was| {
                was.get("port") == port.get("port") && was.get("protocol") == port.get("protocol")
            });
            let kept = same.and_then(|was| was.get("nodePort")).cloned();
            if let (Some(kept), None) = (kept, port.get("nodePort")) {
                json::put(port, &["nodePort"], kept);
            }
        }
    }
    if kind(value) == "ClusterIP"
        && let Some(Value::Array(ports)) = value.pointer_mut("/spec/ports")
    {
        ports.iter_mut().for_each(|port| {
            json::take(port, &["nodePort"]);
        });
    }
    allot(value, state);
}

pub(crate) fn validate(value: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let ports = json::list(value, &["spec", "ports"]);
    if ports.is_empty() && !is_headless(value) && kind(value) != "ExternalName" {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        let field = format!("spec.ports[{index}]");
        let name = json::text(port, &["name"]);
        if name.is_empty() && ports.len() > 1 {
            causes.push(Cause::required(format!("{field}.name"), ""));
        }
        if !name.is_empty()
            && ports.iter().take(index).any(|other| json::text(other, &["name"]) == name)
        {
            causes.push(Cause::duplicate(format!("{field}.name"), &name.into()));
        }
        let number = json::int(port, &["port"]).unwrap_or_default();
        if !(1..=65535).contains(&number) {
            let why = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("{field}.port"), &number.into(), why));
        }
    }
    if let Some(old) = old {
        let both = |key: &str| (json::at(value, &["spec", key]), json::at(old, &["spec", key]));
        let plain = kind(value) != "ExternalName" && kind(old) != "ExternalName";
        if let (true, (Some(new), Some(was))) = (plain, both("clusterIP"))
            && new != was
        {
            let list = json::at(value, &["spec", "clusterIPs"]).unwrap_or(&Value::Null);
            causes.push(Cause::invalid("spec.clusterIPs[0]", list, "may not change once set"));
        }
    }
    causes
}

/// The addresses of a load balancer are addresses, and there is a load balancer.
pub(crate) fn validate_status(value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let ingress = json::list(value, &["status", "loadBalancer", "ingress"]);
    let field = "status.loadBalancer.ingress";
    if !ingress.is_empty() && kind(value) != "LoadBalancer" {
        causes.push(Cause::forbidden(field, "may only be used when `spec.type` is 'LoadBalancer'"));
        return causes;
    }
    for (index, point) in ingress.iter().enumerate() {
        let here = |key: &str| format!("{field}[{index}].{key}");
        let ip = json::text(point, &["ip"]);
        if !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err() {
            let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            causes.push(Cause::invalid(here("ip"), &ip.into(), why));
        }
        let mode = json::text(point, &["ipMode"]);
        if ip.is_empty() && !mode.is_empty() {
            let why = "may not be specified when `ip` is not set";
            causes.push(Cause::forbidden(here("ipMode"), why));
        } else if !["", "Proxy", "VIP"].contains(&mode) {
            causes.push(Cause::unsupported(here("ipMode"), &mode.into(), &["Proxy", "VIP"]));
        }
        let host = json::text(point, &["hostname"]);
        if let Some(why) = Some(host)
            .filter(|host| !host.is_empty())
            .and_then(|host| crate::meta::fault_of(crate::meta::NameKind::Subdomain, host))
        {
            causes.push(Cause::invalid(here("hostname"), &host.into(), why));
        }
    }
    causes
}
