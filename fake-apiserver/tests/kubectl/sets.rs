//! StatefulSets: applied, scaled, rolled out and back.

use crate::session;

#[test]
fn a_set_is_applied_and_its_differences_are_told() {
    session!(
        "apply",
        "apply -f set.yaml",
        "apply -f set.yaml",
        "diff -f set.yaml",
        "diff -f set-of-three.yaml",
        "apply --server-side --field-manager=me -f set-of-three.yaml",
        "apply --server-side --field-manager=me --force-conflicts -f set-of-three.yaml",
        "get sts db -o jsonpath={.spec.replicas}",
        "apply -f maps.yaml",
        "apply --prune -l set=maps -f one-map.yaml",
        "apply view-last-applied cm kept",
    );
}

#[test]
fn a_set_is_shown_scaled_and_rolled_out() {
    session!(
        "sets",
        "create -f set.yaml",
        "wait --for=jsonpath={.status.replicas}=1 sts/db --timeout=20s",
        "wait --for=jsonpath={.metadata.name}=db-0 pod/db-0 --timeout=20s",
        "get sts,svc,pods",
        "get sts,svc,pods -o wide",
        "describe sts db",
        "describe pod db-0",
        "describe svc db",
        "scale sts db --replicas=1",
        "scale sts db --replicas=3 --current-replicas=7",
        "set image sts/db main=db:2",
        "wait --for=jsonpath={.status.observedGeneration}=3 sts/db --timeout=20s",
        "rollout history sts db",
        "rollout status sts db --watch=false",
        "rollout restart sts db",
        "wait --for=jsonpath={.status.observedGeneration}=4 sts/db --timeout=20s",
        "rollout undo sts db --to-revision=1",
        "wait --for=jsonpath={.status.observedGeneration}=5 sts/db --timeout=20s",
        "rollout history sts db",
        "get sts db -o jsonpath={.spec.template.spec.containers[0].image}",
        "logs db-0",
        "exec db-0 -- ls",
        "port-forward pod/db-0 9999:80",
        "delete sts db --cascade=orphan",
        "get pods",
        "delete pod db-0 --grace-period=0 --force",
    );
}
