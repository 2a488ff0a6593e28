//! Services.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::check;
use crate::refusal::{Cause, Named, Refusal};
use crate::state::State;
use crate::store::GroupResource;
use crate::{json, meta};

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
pub(crate) fn prepare_create(value: &mut Value, state: &mut State) -> Result<(), Refusal> {
    json::put(value, &["status"], json!({"loadBalancer": {}}));
    let address = json::text(value, &["spec", "clusterIP"]).to_owned();
    if let Ok(address) = address.parse::<Ipv4Addr>()
        && let Err(why) = claim_address(address, state)
    {
        let why = format!("failed to allocate IP {address}: {why}");
        let list = json!([address.to_string()]);
        let cause = Cause::invalid("spec.clusterIPs", &list, &why);
        let of = Named { group: "", resource: "Service" };
        return Err(Refusal::invalid(of, json::text(value, &["metadata", "name"]), &[cause]));
    }
    allot(value, state);
    Ok(())
}

/// Takes the address that a new service asks for.
fn claim_address(address: Ipv4Addr, state: &mut State) -> Result<(), &'static str> {
    if !matches!(address.octets(), [10, 96, _, _]) {
        return Err("the provided network does not match the current range");
    }
    let services = GroupResource { group: String::new(), resource: "services".into() };
    let text = address.to_string();
    let taken = state
        .store
        .list(&services, None)
        .any(|(_, known)| json::text(&known.value(), &["spec", "clusterIP"]) == text);
    if taken {
        return Err("provided IP is already allocated");
    }
    state.reserve_address(text);
    Ok(())
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
    drop_type_dependent_fields(value, old);
    if kind(value) == "ClusterIP"
        && let Some(Value::Array(ports)) = value.pointer_mut("/spec/ports")
    {
        ports.iter_mut().for_each(|port| {
            json::take(port, &["nodePort"]);
        });
    }
    allot(value, state);
}

/// Fields that only one type of service has go with the type, if the update left them as they were.
fn drop_type_dependent_fields(value: &mut Value, old: &Value) {
    const OUTSIDE: &[&str] = &["NodePort", "LoadBalancer"];
    for (key, types) in [
        ("externalTrafficPolicy", OUTSIDE),
        ("healthCheckNodePort", &["LoadBalancer"]),
        ("allocateLoadBalancerNodePorts", &["LoadBalancer"]),
        ("loadBalancerClass", &["LoadBalancer"]),
    ] {
        let same = json::at(value, &["spec", key]) == json::at(old, &["spec", key]);
        if same && types.contains(&kind(old)) && !types.contains(&kind(value)) {
            json::take(value, &["spec", key]);
        }
    }
}

/// `ValidateService` and `ValidateServiceUpdate`.
pub(crate) fn validate(value: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(old) = old {
        validate_update(value, old, &mut causes);
    }
    let ports = json::list(value, &["spec", "ports"]);
    if ports.is_empty() && !is_headless(value) && kind(value) != "ExternalName" {
        causes.push(Cause::required("spec.ports", ""));
    }
    if is_headless(value) && ["NodePort", "LoadBalancer"].contains(&kind(value)) {
        let why = format!("may not be set to 'None' for {} services", kind(value));
        causes.push(Cause::invalid("spec.clusterIPs[0]", &"None".into(), &why));
    }
    for (index, port) in ports.iter().enumerate() {
        validate_port(port, ports.get(..index).unwrap_or_default(), ports.len(), &mut causes);
    }
    if let Some(Value::Object(selector)) = json::at(value, &["spec", "selector"]) {
        meta::validate_labels(selector, "spec.selector", &mut causes);
    }
    if kind(value) == "ExternalName" {
        let name = json::text(value, &["spec", "externalName"]);
        if name.is_empty() {
            causes.push(Cause::required("spec.externalName", ""));
        } else if let Some(why) =
            meta::fault_of(meta::NameKind::Subdomain, name.trim_end_matches('.'))
        {
            causes.push(Cause::invalid("spec.externalName", &name.into(), why));
        }
    }
    for (index, port) in ports.iter().enumerate() {
        let key =
            |port: &Value| (json::int(port, &["port"]), json::at(port, &["protocol"]).cloned());
        if ports.iter().take(index).any(|other| key(other) == key(port)) {
            let message = format!(
                "Duplicate value: {{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
                json::at(port, &["protocol"]).unwrap_or(&Value::Null),
                json::int(port, &["port"]).unwrap_or_default(),
            );
            causes.push(Cause::new("FieldValueDuplicate", message, format!("spec.ports[{index}]")));
        }
    }
    validate_families(value, &mut causes);
    causes
}

fn validate_port(port: &Value, before: &[Value], count: usize, causes: &mut Vec<Cause>) {
    let field = format!("spec.ports[{}]", before.len());
    let name = json::text(port, &["name"]);
    if name.is_empty() {
        if count > 1 {
            causes.push(Cause::required(format!("{field}.name"), ""));
        }
    } else {
        check::dns_label(name, &format!("{field}.name"), causes);
        if before.iter().any(|other| json::text(other, &["name"]) == name) {
            causes.push(Cause::duplicate(format!("{field}.name"), &name.into()));
        }
    }
    let number = json::at(port, &["port"]).cloned().unwrap_or_else(|| 0.into());
    check::port(&number, &format!("{field}.port"), causes);
    if let Some(target) = json::at(port, &["targetPort"]) {
        check::port(target, &format!("{field}.targetPort"), causes);
    }
}

/// The cluster has addresses of one family; only a headless service without a selector can say otherwise.
fn validate_families(value: &Value, causes: &mut Vec<Cause>) {
    if is_headless(value) && json::at(value, &["spec", "selector"]).is_none() {
        return;
    }
    let policy = json::text(value, &["spec", "ipFamilyPolicy"]);
    if policy == "RequireDualStack" {
        let why = "this cluster is not configured for dual-stack services";
        causes.push(Cause::invalid("spec.ipFamilyPolicy", &policy.into(), why));
    }
    for (index, family) in json::list(value, &["spec", "ipFamilies"]).iter().enumerate() {
        if family == "IPv6" {
            let field = format!("spec.ipFamilies[{index}]");
            causes.push(Cause::invalid(field, family, "not configured on this cluster"));
        }
    }
}

fn validate_update(value: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let both = |key: &str| (json::at(value, &["spec", key]), json::at(old, &["spec", key]));
    let plain = kind(value) != "ExternalName" && kind(old) != "ExternalName";
    if let (true, (Some(new), Some(was))) = (plain, both("clusterIP"))
        && new != was
    {
        let list = json::at(value, &["spec", "clusterIPs"]).unwrap_or(&Value::Null);
        causes.push(Cause::invalid("spec.clusterIPs[0]", list, "may not change once set"));
    }
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
            .and_then(|host| meta::fault_of(meta::NameKind::Subdomain, host))
        {
            causes.push(Cause::invalid(here("hostname"), &host.into(), why));
        }
    }
    causes
}
