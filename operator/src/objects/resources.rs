//! Memory and processors of the containers.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::desired::{Bytes, Desired};

/// The shared memory of a database of PermSize 200, which is what there is without a `db.ini`.
const DEFAULT_DATABASE: Bytes = Bytes(554 * Bytes::MI);
/// Names of the resources that make a user's say on memory the last one.
const MEMORY: [&str; 3] = ["memory", "hugepages-2Mi", "hugepages-1Gi"];

type Amounts = BTreeMap<String, Quantity>;

/// Those of `tt`: the user's word on memory is the last one; else the database's size and more.
pub(super) fn of_tt(
    desired: &Desired,
    user: Option<&ResourceRequirements>,
) -> Option<ResourceRequirements> {
    let settings = &desired.resources;
    let says = |name: &str| {
        user.is_some_and(|user| {
            let limits = user.limits.as_ref().is_some_and(|limits| limits.contains_key(name));
            limits || user.requests.as_ref().is_some_and(|requests| requests.contains_key(name))
        })
    };
    if !settings.automatic || MEMORY.iter().any(|name| says(name)) {
        return user.cloned();
    }
    let database = settings.database.unwrap_or(DEFAULT_DATABASE);
    let amounts: Amounts = if settings.huge_pages {
        [
            ("hugepages-2Mi", database.huge_pages().quantity()),
            ("memory", settings.additional.quantity()),
        ]
        .map(amount)
        .into()
    } else {
        let memory = Bytes(database.0.saturating_add(settings.additional.0));
        [
            ("memory", memory.quantity()),
            ("hugepages-1Gi", "0".to_owned()),
            ("hugepages-2Mi", "0".to_owned()),
        ]
        .map(amount)
        .into()
    };
    // Half of the user's say is not filled up with ours: a request could exceed its limit.
    let ours = if says("cpu") { None } else { settings.database_cpu.clone().map(Quantity) };
    let cpu = |given: Option<&Amounts>| -> Option<Quantity> {
        given.and_then(|amounts| amounts.get("cpu").cloned()).or_else(|| ours.clone())
    };
    let with_cpu = |given: Option<&Amounts>| {
        let mut amounts = amounts.clone();
        amounts.extend(cpu(given).map(|cpu| ("cpu".to_owned(), cpu)));
        Some(amounts)
    };
    Some(ResourceRequirements {
        requests: with_cpu(user.and_then(|user| user.requests.as_ref())),
        limits: with_cpu(user.and_then(|user| user.limits.as_ref())),
        ..ResourceRequirements::default()
    })
}

/// Those of a container beside it: the user's where given, else the fields of the spec.
pub(super) fn of_sidecar(
    user: Option<&Container>,
    memory: &str,
    cpu: &str,
) -> Option<ResourceRequirements> {
    let given = user.and_then(|user| user.resources.clone()).unwrap_or_default();
    let (requests, limits) = (given.requests.unwrap_or_default(), given.limits.unwrap_or_default());
    // Where the user says only one of request and limit, it is the other too: else a request
    // could exceed its limit.
    let filled = |first: &Amounts, second: &Amounts| {
        let mut amounts = first.clone();
        amounts.retain(|name, _| !name.starts_with("hugepages"));
        for (name, ours) in [("memory", memory), ("cpu", cpu)] {
            let amount = || second.get(name).cloned().unwrap_or_else(|| Quantity(ours.to_owned()));
            amounts.entry(name.to_owned()).or_insert_with(amount);
        }
        Some(amounts)
    };
    Some(ResourceRequirements {
        requests: filled(&requests, &limits),
        limits: filled(&limits, &requests),
        ..ResourceRequirements::default()
    })
}

fn amount((name, value): (&str, String)) -> (String, Quantity) {
    (name.to_owned(), Quantity(value))
}
