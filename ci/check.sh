#!/usr/bin/env bash
# All that CI checks, in the order in which a mistake is cheapest to find. Run it from anywhere:
#
#   ci/check.sh              everything
#   ci/check.sh fmt clippy   only these sections
#   ci/check.sh fuzz mutants what takes longer, and is not among everything
#
# The commands share one target folder and the same set of features (always --workspace), so that
# dependencies are compiled twice and no more: checked for clippy and the doc build, built for the
# tests. Programs are called from target/debug, because `cargo run -p` would choose other features.

set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
export RUSTDOCFLAGS=-Dwarnings
mkdir -p target/ci
programs=${CARGO_TARGET_DIR:-target}/debug

sources() { ci/sources.sh; }
fmt() { cargo fmt --all -- --check; }
clippy() { cargo clippy --locked --workspace --all-targets -- -D warnings; }
doc() { cargo doc --locked --workspace --no-deps --document-private-items; }
build() { cargo build --locked --workspace --all-targets; }
# The command of README.md. The scenarios of the catalogue are among the tests.
tests() { cargo test --locked --workspace; }

# The committed CRD is what the program prints.
crd() {
    if ! "$programs/timesten-operator" crd | diff -u deploy/crd/timestenclassics.yaml -; then
        echo 'deploy/crd/timestenclassics.yaml is not what the code says. Renew it:' >&2
        echo '  cargo run -p timesten-operator -- crd > deploy/crd/timestenclassics.yaml' >&2
        return 1
    fi
}

# The catalogue through the command that people use, with its reports as artefacts.
catalog() {
    "$programs/ttlab" run --junit target/ci/scenarios.xml --json target/ci/scenarios.json \
        --book target/ci/scenarios.md
    if ! diff -u docs/scenarios.md target/ci/scenarios.md; then
        echo 'docs/scenarios.md is not what the scenarios show. Renew it:' >&2
        echo '  cargo run --release -- run --book docs/scenarios.md' >&2
        return 1
    fi
}

# A new user's first minute: the fake cluster in real time, until the sample is Normal.
up() { "$programs/ttlab" up --once --port 0 --speed 20 --write-kubeconfig target/ci/kubeconfig; }

# serve ARGUMENTS...: the API server alone, without nodes, in a process that ends with the section.
# Sets `url` when it listens.
serve() {
    local server said
    coproc { exec "$programs/ttlab" serve --port 0 --no-kubelet "$@"; }
    server=$COPROC_PID
    # shellcheck disable=SC2064 # the process of now
    trap "kill $server" EXIT
    # The first line comes when it listens: "serving on URL; ...".
    read -r said <&"${COPROC[0]}"
    url=${said#serving on }
    url=${url%%;*}
}

# Every recorded exchange once more, over HTTP between two processes.
conform() {
    local url
    serve --token conform
    "$programs/ttlab" conform --server "$url" --token conform --jobs 32
}

# The operator, agents and nodes on an API server in another process, in real time: a pair comes up
# and fails over.
elsewhere() {
    local url
    serve --tls --token elsewhere --kubeconfig target/ci/elsewhere.kubeconfig
    "$programs/ttlab" run --quick --kubeconfig target/ci/elsewhere.kubeconfig \
        scenarios/tests/elsewhere/failover.yaml
}

# Patches and server-side apply under any input, a minute each: FUZZ_SECONDS says otherwise. It takes
# the nightly toolchain and cargo-fuzz, which the checks above do without.
fuzz() {
    local target
    if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
        echo 'no fuzzer: rustup toolchain install nightly && cargo install --locked cargo-fuzz' >&2
        return 1
    fi
    cd fake-apiserver
    for target in apply patch; do
        # Long inputs from the start: short ones are hardly a patch.
        cargo +nightly fuzz run "$target" -- -len_control=0 -max_total_time="${FUZZ_SECONDS:-60}"
    done
}

# Faults put into the decision core one by one: which of them do its tests not notice? There are over a
# thousand, at half a minute each and more: SHARD=0/25 takes one in 25 of them, evenly spread.
mutants() {
    if ! cargo mutants --version >/dev/null 2>&1; then
        echo 'no mutants: cargo install --locked cargo-mutants' >&2
        return 1
    fi
    INSTA_UPDATE=no cargo mutants --package timesten-operator --output target/ci \
        ${SHARD:+--sharding round-robin --shard "$SHARD"}
}

all=(sources fmt clippy doc build tests crd catalog up conform elsewhere)
longer=(fuzz mutants)
chosen=("$@")
[ $# -gt 0 ] || chosen=("${all[@]}")
for section in "${chosen[@]}"; do
    if [[ " ${all[*]} ${longer[*]} " != *" $section "* ]]; then
        echo "ci/check.sh: there is no section '$section'; there are: ${all[*]} ${longer[*]}" >&2
        exit 2
    fi
done

timings=()
report() {
    printf '\n== timings ==\n'
    printf '%s\n' "${timings[@]}"
}
trap report EXIT

for section in "${chosen[@]}"; do
    printf '\n== %s ==\n' "$section"
    began=$SECONDS
    # A subshell of its own, not in a condition: `set -e` holds inside.
    set +e
    (set -e; "$section")
    status=$?
    set -e
    verdict=ok
    [ "$status" -eq 0 ] || verdict=FAILED
    timings+=("$(printf '%-8s %5d s  %s' "$section" $((SECONDS - began)) "$verdict")")
    [ "$status" -eq 0 ] || exit "$status"
done
