//! Label and annotation keys, and what goes onto every object that is made.
//!
//! Never: lets a user's label get in the way of a selector.

use std::collections::BTreeMap;

use crate::desired::Owner;
use crate::observation::Role;

/// Names the object; Oracle's headless Service selects by it.
pub const APP: &str = "app";
/// Names the object; everything that is made carries it, and the watches select by it.
pub const OBJECT: &str = "database.oracle.com";
/// The role of a pod: the Service that selects the active selects by it.
pub const ROLE: &str = "timesten.oracle.com/role";
/// Sets the pods of subscribers apart from those of the pair.
pub const SUBSCRIBER: &str = "timesten.oracle.com/subscriber";
/// Label in which Kubernetes says of which template a pod was made.
pub const REVISION: &str = "controller-revision-hash";
/// Annotation of pods: the UID of the object that they belong to.
pub const OWNER_UID: &str = "TTC";
/// Annotation that kubectl keeps on the object: it means nothing on what is made of it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The word of a role.
#[must_use]
pub const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Active => "active",
        Role::Standby => "standby",
    }
}

/// The role of a word.
#[must_use]
pub fn role(word: &str) -> Option<Role> {
    [Role::Active, Role::Standby].into_iter().find(|role| role_word(*role) == word)
}

/// What selects the pods of an object.
#[must_use]
pub fn selector(owner: &Owner) -> BTreeMap<String, String> {
    BTreeMap::from([(APP.to_owned(), owner.name.clone()), (OBJECT.to_owned(), owner.name.clone())])
}

/// The labels of what is made: the object's own, and ours, which win.
#[must_use]
pub fn all(owner: &Owner) -> BTreeMap<String, String> {
    let mut labels = owner.labels.clone();
    labels.remove(ROLE);
    labels.remove(SUBSCRIBER);
    labels.extend(selector(owner));
    labels
}

/// What selects the pods of subscribers, beside what they have in common with all pods.
#[must_use]
pub fn subscriber() -> (String, String) {
    (SUBSCRIBER.to_owned(), "true".to_owned())
}

/// The annotations of stateful sets and pods: the object's own, and its UID.
#[must_use]
pub fn annotations(owner: &Owner) -> BTreeMap<String, String> {
    let mut annotations = owner.annotations.clone();
    annotations.remove(LAST_APPLIED);
    annotations.insert(OWNER_UID.to_owned(), owner.uid.clone());
    annotations
}
