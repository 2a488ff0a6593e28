//! Cells of services, endpoints and ingresses.

use jiff::Timestamp;
use serde_json::Value;

use super::{joined, or_none, selector_at, some_of};
use crate::json;

fn ingress_points(item: &Value) -> Vec<&str> {
    let points = json::list(item, &["status", "loadBalancer", "ingress"]).iter();
    points
        .map(|point| match json::text(point, &["ip"]) {
            "" => json::text(point, &["hostname"]),
            ip => ip,
        })
        .collect()
}

pub(in crate::table) fn external_ip(item: &Value, _: Timestamp) -> Value {
    let given = json::list(item, &["spec", "externalIPs"]).iter().filter_map(Value::as_str);
    match json::text(item, &["spec", "type"]) {
        "ExternalName" => json::text(item, &["spec", "externalName"]).into(),
        "LoadBalancer" => {
            let all: Vec<&str> = ingress_points(item).into_iter().chain(given).collect();
            if all.is_empty() { "<pending>".into() } else { all.join(",").into() }
        }
        _ => or_none(&given.collect::<Vec<_>>().join(",")),
    }
}

pub(in crate::table) fn service_ports(item: &Value, _: Timestamp) -> Value {
    let ports = json::list(item, &["spec", "ports"]).iter().map(|port| {
        let number = json::int(port, &["port"]).unwrap_or_default();
        let node = json::int(port, &["nodePort"]).map(|node| format!(":{node}"));
        format!("{number}{}/{}", node.unwrap_or_default(), json::text(port, &["protocol"]))
    });
    or_none(&ports.collect::<Vec<_>>().join(","))
}

pub(in crate::table) fn load_balancer(item: &Value, _: Timestamp) -> Value {
    ingress_points(item).join(",").into()
}

pub(in crate::table) fn hosts(item: &Value, _: Timestamp) -> Value {
    let rules = json::list(item, &["spec", "rules"]).iter();
    let hosts = rules.map(|rule| json::text(rule, &["host"]).to_owned());
    let hosts: Vec<String> = hosts.filter(|host| !host.is_empty()).collect();
    if hosts.is_empty() { "*".into() } else { some_of(&hosts) }
}

pub(in crate::table) fn ingress_ports(item: &Value, _: Timestamp) -> Value {
    let secure = !json::list(item, &["spec", "tls"]).is_empty();
    if secure { "80, 443".into() } else { "80".into() }
}

pub(in crate::table) fn parameters(item: &Value, _: Timestamp) -> Value {
    let text = |key: &str| json::text(item, &["spec", "parameters", key]);
    match (text("apiGroup"), text("kind"), text("name")) {
        (_, _, "") => "<none>".into(),
        ("", kind, name) => format!("{kind}/{name}").into(),
        (group, kind, name) => format!("{kind}.{group}/{name}").into(),
    }
}

pub(in crate::table) fn pod_selector(item: &Value, _: Timestamp) -> Value {
    selector_at(item, &["spec", "podSelector"])
}

pub(in crate::table) fn parent(item: &Value, _: Timestamp) -> Value {
    let text = |key: &str| json::text(item, &["spec", "parentRef", key]);
    let kind = match (text("resource"), text("group")) {
        (resource, "") => resource.to_owned(),
        (resource, group) => format!("{resource}.{group}"),
    };
    format!("{kind}/{}/{}", text("namespace"), text("name")).into()
}

pub(in crate::table) fn cidrs(item: &Value, _: Timestamp) -> Value {
    joined(json::list(item, &["spec", "cidrs"]).iter().filter_map(Value::as_str))
}

/// Every ready address with every port; nothing if there is no address.
pub(in crate::table) fn endpoints(item: &Value, _: Timestamp) -> Value {
    let mut all = Vec::new();
    for subset in json::list(item, &["subsets"]) {
        let addresses = json::list(subset, &["addresses"]).iter();
        let addresses = addresses.map(|address| json::text(address, &["ip"]));
        let ports = json::list(subset, &["ports"]);
        for address in addresses {
            if ports.is_empty() {
                all.push(address.to_owned());
            }
            for port in ports {
                let number = json::int(port, &["port"]).unwrap_or_default();
                all.push(if address.contains(':') {
                    format!("[{address}]:{number}")
                } else {
                    format!("{address}:{number}")
                });
            }
        }
    }
    some_of(&all)
}

pub(in crate::table) fn slice_ports(item: &Value, _: Timestamp) -> Value {
    let ports = json::list(item, &["ports"]).iter().map(|port| match json::int(port, &["port"]) {
        Some(number) => number.to_string(),
        None => "*".to_owned(),
    });
    let ports: Vec<String> = ports.collect();
    if ports.is_empty() { "<unset>".into() } else { some_of(&ports) }
}

pub(in crate::table) fn slice_addresses(item: &Value, _: Timestamp) -> Value {
    let endpoints = json::list(item, &["endpoints"]).iter();
    let addresses = endpoints.flat_map(|endpoint| json::list(endpoint, &["addresses"]));
    let all: Vec<String> = addresses.filter_map(Value::as_str).map(str::to_owned).collect();
    if all.is_empty() { "<unset>".into() } else { some_of(&all) }
}
