#!/usr/bin/env bash
# Rules of the house that no compiler knows, checked on the text of the sources:
#
#   1. the arrows: operator, fake-apiserver and fake-agent are strangers to each other;
#   2. fake-apiserver has no word of TimesTen, and the operator does not know that fakes exist;
#   3. a file of code has 450 lines at most; tables may be longer, and are listed in ci/tables.txt;
#   4. no paths of somebody's machine, no tests that are switched off, no notes to oneself.
#
# Prints every offender, with what to do about it. Rule 3 only prints; the others fail.

set -euo pipefail
cd "$(dirname "$0")/.."

longest=450
strangers=(operator fake-apiserver fake-agent)
failures=0

# offend RULE: prints what comes on stdin, if anything, under the rule that it breaks.
offend() {
    local found
    found=$(cat)
    [ -n "$found" ] || return 0
    printf '%s\n%s\n\n' "$1:" "$(sed 's/^/    /' <<<"$found")" >&2
    failures=$((failures + 1))
}

# Tracked files that match; nothing is no error.
look() { git grep -nI "$@" || [ $? -eq 1 ]; }

# 1. The arrows, by package name (also of renamed dependencies), by path, and by included file.
for crate in "${strangers[@]}"; do
    others=(scenarios timesten-operator)
    for other in "${strangers[@]}"; do others+=("$other"); done
    for other in "${others[@]}"; do
        [ "$other" != "$crate" ] && [ "timesten-$crate" != "$other" ] || continue
        offend "$crate must not depend on $other (see ARCHITECTURE.md, The house)" < <(
            look -E "^\"?$other\"?[ .=]|package *= *\"$other\"|\.\./$other|dependencies\.\"?$other\"?\]" -- "$crate/Cargo.toml"
            look -E "include(_str|_bytes)?!\(\"(\.\./)+$other/" -- "$crate"
        )
    done
done

# 2. Who knows of whom. What was recorded from Kubernetes tells of the kind that was used there.
offend "fake-apiserver is for any project: no word of TimesTen" < <(look -iE 'timesten|\bttc\b' -- fake-apiserver ':!fake-apiserver/conformance')
offend "the operator must not know that it runs against a fake" < <(look -iE 'fake[-_](agent|apiserver)|is_fake' -- operator/src operator/Cargo.toml)

# 3. Lengths, up to the unit tests of a file.
before=$failures
offend "longer than $longest lines: split it, or list it in ci/tables.txt if it is a table" < <(
    git ls-files '*.rs' '*.sh' .ci/run | grep -vxFf <(sed 's/ *#.*//; /^$/d' ci/tables.txt) | while read -r file; do
        lines=$(awk '/^#\[cfg\(test\)\]/ { exit } { n++ } END { print n + 0 }' "$file")
        [ "$lines" -le "$longest" ] || echo "$file: $lines lines"
    done
)
failures=$before
offend "listed in ci/tables.txt, but no longer there" < <(
    sed 's/ *#.*//; /^$/d' ci/tables.txt | while read -r file; do [ -f "$file" ] || echo "$file"; done
)

# 4. Words and paths. This file has to name them and is left out.
everywhere=(. ':!ci/sources.sh')
offend "a path of somebody's machine" < <(look -E '(^|[^[:alnum:]_.<>/-])/(work|home|root|Users)/|\.\./shared' -- "${everywhere[@]}")
offend "a test that is switched off" < <(look -E '#\[ignore' -- '*.rs')
offend "a note to oneself: do it, or file an issue" < <(look -wE 'TODO|FIXME|XXX|HACK' -- "${everywhere[@]}" ':!*.snap' ':!*.gz')
offend "unsafe code outside the harness's seeded getrandom" < <(
    look -E '\bunsafe (fn|impl|\{|extern)|allow\(unsafe_code' -- '*.rs' ':!scenarios/src/determinism.rs'
)

if [ "$failures" -gt 0 ]; then
    echo "ci/sources.sh: $failures rules are broken" >&2
    exit 1
fi
echo "arrows, words, paths: all well"
