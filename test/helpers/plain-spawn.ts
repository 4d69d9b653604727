// tap puts a loader into every process that a test starts. A sandboxed process may not load it and ends, so tests of the
// sandbox, and of programs that start one, import this file first.
import { createRequire } from "node:module";

const hooks = createRequire(import.meta.url)("process-on-spawn") as { removeAllListeners(): void };
hooks.removeAllListeners();
// Programs that a test starts pass their environment on to what they start.
delete process.env.NODE_OPTIONS;
