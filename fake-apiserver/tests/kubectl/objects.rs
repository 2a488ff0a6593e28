//! Built-in objects: made by every `create`, shown with their own columns, changed and removed.

use crate::session;

#[test]
fn objects_are_made_and_shown() {
    session!(
        "create",
        "create cm conf --from-literal=a=1",
        "create cm conf --from-literal=a=1",
        "create secret generic key --from-literal=p=x",
        "create secret tls cert --cert=none --key=none",
        "create ns side",
        "create deploy web --image=w:1",
        "create job once --image=j:1",
        "create cronjob often --image=j:1 '--schedule=* * * * *'",
        "create role reader --verb=get --resource=pods",
        "create rolebinding readers --role=reader --serviceaccount=default:default --user=ann",
        "create clusterrole looker --verb=get --resource=nodes",
        "create clusterrolebinding lookers --clusterrole=looker --group=all",
        "create pdb budget --selector=app=db --min-available=1",
        "create quota few --hard=pods=3",
        "create ingress door --rule=a.example.com/*=db:80",
        "create priorityclass high --value=1000",
        "create service clusterip front --tcp=80:8080",
        "expose deploy web --port=80 --name=behind",
        "run lone --image=x:1",
        "apply -f storage.yaml",
        "get cm,secret,deploy,job,cronjob,pdb,ingress,quota",
        "get deploy,job,cronjob -o wide",
        "get role,rolebinding -o wide",
        "get clusterrole/looker clusterrolebinding/lookers",
        "get priorityclass high",
        "get sc,pv,pvc -o wide",
        "get lease,netpol,hpa,sa",
        "get nodes -o wide",
        "get events -o wide",
        "describe secret key",
        "describe node machine",
    );
}

#[test]
fn objects_are_selected_and_printed() {
    session!(
        "get",
        "get cm",
        "apply -f maps.yaml",
        "get cm -l set=maps",
        "get cm -l 'set in (maps),other'",
        "get cm --field-selector=metadata.name=kept",
        "get cm --chunk-size=1",
        "get cm -A -l set=maps",
        "get cm -l set=maps --show-labels",
        "get cm -l set=maps -L set --no-headers",
        "get cm -l set=maps --sort-by=.data.b -o name",
        "get cm kept -o yaml",
        "get cm kept -o json",
        "get cm -l set=maps -o jsonpath='{.items[*].metadata.name}'",
        "get cm -l set=maps -o custom-columns=N:.metadata.name,A:.data.a",
        "get cm kept nope",
        "get cm kept -o go-template='{{.data.a}}'",
        "events",
    );
}

#[test]
fn objects_are_labelled_replaced_and_deleted() {
    session!(
        "change",
        "apply -f maps.yaml",
        "label cm kept a=b",
        "label cm kept a=c",
        "label cm kept a=c --overwrite",
        "label cm kept a-",
        "annotate cm kept note=hello",
        "annotate cm --all note=all --overwrite",
        "patch cm kept -p '{\"data\":{\"a\":null,\"z\":\"9\"}}'",
        "patch cm kept --type=json -p '[{\"op\":\"test\",\"path\":\"/data/z\",\"value\":\"8\"}]'",
        "replace -f one-map.yaml",
        "replace --force -f one-map.yaml",
        "wait --for=jsonpath='{.data.a}'=3 cm/kept --timeout=20s",
        "wait --for=jsonpath='{.data.a}'=4 cm/kept --timeout=1s",
        "delete cm kept --dry-run=server",
        "delete -f maps.yaml",
        "delete cm nope",
        "delete cm nope --ignore-not-found",
        "create ns side",
        "delete ns side",
        "get ns",
    );
}

#[test]
fn a_certificate_is_approved_and_issued() {
    session!(
        "certificates",
        "create -f certificate.yaml",
        "get csr",
        "certificate approve ann",
        "wait --for=jsonpath={.status.certificate} csr/ann --timeout=10s",
        "get csr",
        "certificate deny ann",
        "create token default -o jsonpath={.spec} --audience=vault",
        "create token none",
    );
}
