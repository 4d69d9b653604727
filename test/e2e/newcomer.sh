#!/usr/bin/env bash
# Does what a newcomer does: clones the project, installs it, runs the main job, and looks at what came of it.
# Usage: test/e2e/newcomer.sh [repository]   (default: this one)
set -euo pipefail
repository=${1:-$(git -C "$(dirname "$0")" rev-parse --show-toplevel)}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git clone -q "$repository" "$folder/rolec"
cd "$folder/rolec"
npm ci --no-audit --no-fund
npm -s start -- --exit --json --port 20545 --p2p-port 20745 > "$folder/report.json"
npm -s run rolec -- --version
node --input-type=module -e '
import { existsSync, readFileSync } from "node:fs";
const report = JSON.parse(readFileSync(process.argv[1], "utf8"));
const check = (what, is) => { if (!is) { console.error(`not so: ${what}`); process.exit(1); } console.log(`so: ${what}`); };
check("all tasks are completed", report.tasks.total === 20 && report.tasks.completed === 20);
check(`first final block after ${report.firstFinalizedSeconds} s`, report.firstFinalizedSeconds > 0);
check(`the job took ${report.jobSeconds} s`, report.jobSeconds > 0);
check("verified work is credit", report.powerAfter.some((row) => BigInt(row.contribution) > 0n));
check("every result file is there", report.files.length > 0 && report.files.every(existsSync));
' "$folder/report.json"
