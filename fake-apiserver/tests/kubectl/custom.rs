//! Custom kinds.

use crate::session;

#[test]
fn a_custom_kind_is_explained_shown_edited_and_scaled() {
    session!(
        "custom",
        "create -f well-kind.yaml",
        "wait --for=condition=Established crd/wells.example.com --timeout=20s",
        "get crd",
        "api-resources --api-group=example.com",
        "explain wells",
        "explain we.spec.depth",
        "explain we.spec --recursive",
        "create -f well.yaml",
        "create -f well.yaml",
        "get we",
        "get wells.example.com deep -o yaml",
        "describe we deep",
        "edit we deep",
        "patch we deep --type=merge -p '{\"spec\":{\"depth\":32}}'",
        "patch we deep --type=json -p '[{\"op\":\"replace\",\"path\":\"/spec/depth\",\"value\":33}]'",
        "patch we deep -p '{\"spec\":{\"depth\":34}}'",
        "patch we deep --type=merge -p '{\"spec\":{\"depth\":\"deep\"}}'",
        "patch we deep --type=merge -p '{\"spec\":{\"width\":1}}'",
        "patch we deep --subresource=status --type=merge -p '{\"status\":{\"replicas\":4}}'",
        "scale we deep --replicas=4",
        "wait --for=jsonpath='{.spec.replicas}'=4 we/deep --timeout=20s",
        "get we deep -o jsonpath='{.spec}{.status}'",
        "delete we deep",
        "wait --for=delete we/deep --timeout=20s",
        "delete crd wells.example.com",
    );
}
