/**
 * A real libvirtd of its own in the host's namespaces: its configuration, state and sockets are in
 * the lab's folder, seen by it alone at their usual places, and its hooks folder holds our script.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { HotplugHost } from "../hotplug-host.ts";
import { REPOSITORY } from "../lab.ts";
import { type Finished, tryRun } from "../programs.ts";
import { eventually } from "../wait.ts";

const PROGRAMS = ["/usr/sbin/libvirtd", "/usr/bin/virsh", "/usr/bin/qemu-system-x86_64"];

/** Why there cannot be one here, or false. */
export function libvirtIsMissing(): string | false {
  const missing = PROGRAMS.find((program) => !existsSync(program));
  return missing === undefined ? false : `there is no ${missing}`;
}

/** The hook's environment is libvirt's own: vnetd is at its default place there. */
const SETUP = `
mount --make-rprivate /
mount -t tmpfs none /run
mkdir /run/openvswitch /run/vnetd /run/libvirt
mount --bind "$1" /run/openvswitch
mount --bind "$2" /run/vnetd
mount --bind "$3/run" /run/libvirt
for folder in lib log cache; do mount --bind "$3/$folder" /var/$folder/libvirt; done
mount -t tmpfs none /etc/libvirt
mkdir -p /etc/libvirt/hooks/qemu.d /etc/libvirt/qemu
ln -s "$4/scripts/libvirt-qemu-hook" /etc/libvirt/hooks/qemu.d/50-vnetd
cp "$3/libvirtd.conf" "$3/qemu.conf" /etc/libvirt/
exec libvirtd
`;

export class LibvirtHost {
  readonly #child: ChildProcess;
  readonly #socketPath: string;
  log = "";

  private constructor(child: ChildProcess, socketPath: string) {
    this.#child = child;
    this.#socketPath = socketPath;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.log += text;
    });
  }

  static async start(there: HotplugHost): Promise<LibvirtHost> {
    const folder = join(there.lab.folder, "libvirt");
    for (const part of ["run", "lib", "log", "cache"]) {
      mkdirSync(join(folder, part), { recursive: true });
    }
    // No cgroups, no security driver, no log daemon: this machine need not have any of them.
    const qemu = [`user = "root"`, `group = "root"`, `security_driver = "none"`];
    const own = [`stdio_handler = "file"`, "cgroup_controllers = []", "namespaces = []"];
    writeFileSync(join(folder, "qemu.conf"), [...qemu, ...own, ""].join("\n"));
    writeFileSync(join(folder, "libvirtd.conf"), `auth_unix_rw = "none"\n`);
    const child = spawn(
      "ip",
      [
        ...["netns", "exec", there.host.namespace, "sh", "-ec", SETUP, "sh"],
        ...[there.switch.runDirectory, there.host.runDir, folder, REPOSITORY],
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    const host = new LibvirtHost(child, join(folder, "run/libvirt-sock"));
    there.lab.onClose(() => host.stop());
    await eventually(
      "libvirtd serves",
      async () => {
        if (child.exitCode !== null) {
          throw new Error(`libvirtd ended: ${host.log}`);
        }
        return (await host.virsh("version")).status === 0;
      },
      30_000,
    );
    return host;
  }

  async virsh(...args: readonly string[]): Promise<Finished> {
    const uri = `qemu+unix:///system?socket=${this.#socketPath}`;
    return await tryRun("virsh", ["-q", "-c", uri, ...args], { timeoutMs: 60_000 });
  }

  async stop(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) {
      const ended = once(this.#child, "exit");
      this.#child.kill("SIGTERM");
      await ended;
    }
  }
}
