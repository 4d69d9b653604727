import { homedir } from "node:os";
import { join } from "node:path";

/** A service of the system's, as a file, and how it is turned on. */
export interface Service {
  readonly path: string;
  readonly text: string;
  readonly enable: readonly string[];
}

export interface ServiceOptions {
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly folder: string;
}

const NAME = "rolec-worker";
const LABEL = "network.rolec.worker";

/** Writes an argument as systemd reads it: in double quotes, with % and $ doubled. */
const systemdWord = (text: string): string =>
  `"${text.replace(/[\\"]/g, "\\$&").replace(/%/g, "%%").replace(/\$/g, "$$$$")}"`;

/** Makes a systemd unit of the user's own: no root, lowest priority, what the worker does not need closed off. */
export const systemdService = ({ command, folder }: ServiceOptions): Service => ({
  path: join(process.env.XDG_CONFIG_HOME ?? join(homedir(), ".config"), "systemd", "user", `${NAME}.service`),
  text: `[Unit]
Description=rolec worker: computes what the chain draws this machine for
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=${command.map(systemdWord).join(" ")}
WorkingDirectory=${folder.replace(/%/g, "%%")}
Restart=on-failure
RestartSec=10
# Computation under way is thrown away, what was committed is in the journal.
TimeoutStopSec=30
Nice=19
CPUSchedulingPolicy=idle
IOSchedulingClass=idle
NoNewPrivileges=yes
PrivateTmp=yes

[Install]
WantedBy=default.target
`,
  enable: [
    "systemctl --user daemon-reload",
    `systemctl --user enable --now ${NAME}`,
    "loginctl enable-linger   # to run it while you are not logged in",
    `journalctl --user -u ${NAME} -f   # its log`,
  ],
});

const xml = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** Makes a launchd agent of the user's own. */
export const launchdService = ({ command, folder }: ServiceOptions): Service => {
  const path = join(homedir(), "Library", "LaunchAgents", `${LABEL}.plist`);
  return {
    path,
    text: `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>${LABEL}</string>
  <key>ProgramArguments</key>
  <array>${command.map((word) => `\n    <string>${xml(word)}</string>`).join("")}
  </array>
  <key>WorkingDirectory</key><string>${xml(folder)}</string>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>ProcessType</key><string>Background</string>
  <key>Nice</key><integer>19</integer>
  <key>StandardErrorPath</key><string>${xml(join(folder, "worker.log"))}</string>
</dict>
</plist>
`,
    enable: [`launchctl bootstrap gui/$(id -u) ${path}`, `launchctl print gui/$(id -u)/${LABEL}   # its state`],
  };
};
