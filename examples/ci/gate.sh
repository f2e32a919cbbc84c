#!/bin/sh
# What a job of CI runs: is this change slower than where it began? Run it from the top of the checkout, with
#
#   TARGET    what to measure: `module:function`, `file.py:function`, or a workload file
#   ITEMS     what a function is called with (nothing for a workload file)
#   BASE_REF  the branch that the change goes to [default: origin/main]
#   GATE      further options, e.g. "--max-regression throughput=5%,p99=10% --budget 60s"
#
# It writes gate.json (everything) and gate.xml (a test report), and ends with the gate's code: 0 not regressed, 10
# regressed, 11 undecided, 12 the choice changed, 13 a side could not run.
set -eu

base=$(git merge-base "${BASE_REF:-origin/main}" HEAD)
if [ -n "${ITEMS:-}" ]; then
    set -- --items "$ITEMS"
else
    set --
fi
code=0
# GATE is several words.
# shellcheck disable=SC2086
conbench gate "$TARGET" "$@" --base "$base" --format github --output gate.json --junit gate.xml ${GATE:-} || code=$?
exit "$code"
