#!/usr/bin/env python3
"""Makes protobuf.json.gz from a clone of github.com/kubernetes/api: the wire's field numbers of the served kinds.

    protobuf.py CLONE > protobuf.json.gz

A message is a map from a field's number to its JSON name and type. A type is `text`, `int`, `bool`, `bytes`, or the
name of a message; before it `*` if the field may be unset, `[]` for a list, `{}` for a map, `^` for a message whose
fields stand in the object itself.
"""

import gzip
import json
import re
import subprocess
import sys

GROUPS = [
    "core/v1", "apps/v1", "batch/v1", "policy/v1", "rbac/v1", "networking/v1", "scheduling/v1", "storage/v1",
    "authentication/v1", "authorization/v1", "autoscaling/v1", "autoscaling/v2", "certificates/v1", "coordination/v1",
    "discovery/v1", "events/v1",
]
SUFFIXED = {"rbac", "networking", "scheduling", "storage", "authentication", "authorization", "certificates",
            "coordination", "discovery", "events"}
# The messages of k8s.io/apimachinery. Times, quantities and the like are read by code.
META = {
    "ObjectMeta": "1 name text,2 generateName text,3 namespace text,4 selfLink text,5 uid text,6 resourceVersion text,"
    "7 generation int,8 creationTimestamp meta.Time,9 deletionTimestamp *meta.Time,10 deletionGracePeriodSeconds *int,"
    "11 labels {}text,12 annotations {}text,13 ownerReferences []meta.OwnerReference,14 finalizers []text,"
    "17 managedFields []meta.ManagedFieldsEntry",
    "ManagedFieldsEntry": "1 manager text,2 operation text,3 apiVersion text,4 time *meta.Time,6 fieldsType text,"
    "7 fieldsV1 *Raw,8 subresource text",
    "OwnerReference": "1 kind text,3 name text,4 uid text,5 apiVersion text,6 controller *bool,7 blockOwnerDeletion *bool",
    "LabelSelector": "1 matchLabels {}text,2 matchExpressions []meta.LabelSelectorRequirement",
    "LabelSelectorRequirement": "1 key text,2 operator text,3 values []text",
    "FieldSelectorRequirement": "1 key text,2 operator text,3 values []text",
    "Condition": "1 type text,2 status text,3 observedGeneration int,4 lastTransitionTime meta.Time,5 reason text,6 message text",
    "DeleteOptions": "1 gracePeriodSeconds *int,2 preconditions *meta.Preconditions,3 orphanDependents *bool,"
    "4 propagationPolicy *text,5 dryRun []text,6 ignoreStoreReadErrorWithClusterBreakingPotential *bool",
    "Preconditions": "1 uid *text,2 resourceVersion *text",
}
BASIC = {"string": "text", "int32": "int", "int64": "int", "int": "int", "bool": "bool", "[]byte": "bytes",
         "types.UID": "text", "types.NodeName": "text"}
CODED = {"metav1.Time": "meta.Time", "metav1.MicroTime": "meta.MicroTime", "resource.Quantity": "Quantity",
         "intstr.IntOrString": "IntOrString", "runtime.RawExtension": "Raw"}


def group_version(package):
    group, version = package.split("/")
    group = "" if group == "core" else group
    return f"{group}.{'authorization.' if group == 'rbac' else ''}k8s.io/{version}" if group in SUFFIXED else (
        f"{group}/{version}" if group else version)


def read(clone, package):
    source = subprocess.run(["git", "-C", clone, "show", f"HEAD:{package}/types.go"], check=True, text=True,
                            capture_output=True).stdout
    named = dict(re.findall(r"^type (\w+) (\[\]\w+|\w+)$", source, re.M))
    structs = re.findall(r"^type (\w+) struct \{\n(.*?)^\}", source, re.M | re.S)
    home = group_version(package)

    def resolve(go):
        for go_prefix, prefix in (("*", "*"), ("[]", "[]")):
            if go.startswith(go_prefix) and go != "[]byte":
                return prefix + resolve(go[len(go_prefix):])
        if go == "ResourceList" or go.endswith(".ResourceList"):
            return "{}Quantity"
        found = re.match(r"map\[[\w.]+\](.+)", go)
        if found:
            return "{}" + resolve(found[1])
        go = re.sub(r"^(v1|corev1|apiv1)\.", "CORE.", go)
        if go in BASIC or go in CODED:
            return BASIC.get(go) or CODED[go]
        if go.startswith("CORE."):
            name = go[len("CORE."):]
            return core_named.get(name) or f"v1.{name}"
        if go.startswith("metav1."):
            name = go[len("metav1."):]
            return f"meta.{name}" if name in META else "text"
        if go in named:
            # A list with a name of its own is a message around the list.
            return f"list.{resolve(named[go][2:])}" if named[go].startswith("[]") else resolve(named[go])
        return f"{home}.{go}"

    messages = {}
    for name, body in structs:
        fields = {}
        for go, tags in re.findall(r"^\t(?:\w+\s+)?(\S+)\s+`(.*)`", body, re.M):
            js, wire = (re.search(rf'{tag}:"([^"]*)"', tags) for tag in ("json", "protobuf"))
            if js and wire:
                js = js[1].split(",")[0]
                fields[wire[1].split(",")[1]] = [js, ("" if js else "^") + resolve(go)]
        messages[f"{home}.{name}"] = fields
    return messages, {name: BASIC[go] for name, go in named.items() if go in BASIC}


core_named = {}
messages, core_named = read(sys.argv[1], "core/v1")
for package in GROUPS[1:]:
    messages |= read(sys.argv[1], package)[0]
for name, fields in META.items():
    split = (field.split() for field in fields.split(","))
    messages[f"meta.{name}"] = {number: [js, kind] for number, js, kind in split}
text = json.dumps({name: fields for name, fields in messages.items() if fields}, sort_keys=True)
sys.stdout.buffer.write(gzip.compress(text.encode(), mtime=0))
