/**
 * A whole daemon short of its API socket, on a fake host and a fake data plane: the real parts of
 * src/daemon, joined as the daemon joins them.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { assemble, type Parts } from "../../src/daemon/assembly.ts";
import { type Config, readConfig } from "../../src/daemon/config.ts";
import type { RawSettings } from "../../src/daemon/options.ts";
import { StateFile } from "../../src/daemon/state-file.ts";
import { UnknownHostError } from "../../src/host/resolver.ts";
import type { IpAddress } from "../../src/net/ip-address.ts";
import { FakeDataplane } from "../fakes/fake-dataplane.ts";
import { FakeHost } from "../fakes/fake-host.ts";

export type StandOptions = {
  readonly settings?: RawSettings;
  /** Left out: a host with the card u0, 10.9.0.1/24. */
  readonly host?: FakeHost;
};

/** What is on the disk, as text; null when nothing is. */
export type LogLine = Readonly<Record<string, unknown>>;

export class Stand {
  readonly folder: string;
  readonly host: FakeHost;
  readonly config: Config;
  readonly log: LogLine[] = [];
  /** Names that resolve. */
  readonly names = new Map<string, readonly string[]>();
  readonly stateFile: StateFile;
  fake: FakeDataplane;
  parts: Parts;

  private constructor(options: {
    folder: string;
    host: FakeHost;
    config: Config;
    fake: FakeDataplane;
    desired: Awaited<ReturnType<StateFile["load"]>>;
    stateFile: StateFile;
  }) {
    this.folder = options.folder;
    this.host = options.host;
    this.config = options.config;
    this.fake = options.fake;
    this.stateFile = options.stateFile;
    this.parts = this.#assemble(options.desired);
  }

  static async start({ settings = {}, host = cardHost() }: StandOptions = {}): Promise<Stand> {
    const folder = mkdtempSync(join(tmpdir(), "vnetd-stand-"));
    const config = readConfig({
      configFile: "/dev/null",
      settings: { "state-dir": folder, "run-dir": folder, "log-level": "debug", ...settings },
    });
    const stateFile = new StateFile(folder);
    const fake = await FakeDataplane.listen({ socketPath: join(folder, "dp.sock") });
    const desired = await stateFile.load();
    const stand = new Stand({ folder, host, config, fake, desired, stateFile });
    await stand.run();
    return stand;
  }

  /** As the daemon starts: look, reconcile, connect. */
  async run(): Promise<void> {
    const { view, overlay, dataplane } = this.parts;
    await view.readAll();
    await overlay.reconcile();
    await dataplane.start();
    await this.settled();
  }

  /** Everything that was asked for so far is done. */
  async settled(): Promise<void> {
    await this.parts.overlay.exclusively(async () => {});
    // Whatever discovery has sent without waiting is answered before this is.
    await this.parts.dataplane.client?.request({ kind: "get-state" });
  }

  /** Ends the daemon's part and starts another on the same host, data plane and state. */
  async restart(): Promise<void> {
    this.stop();
    this.parts = this.#assemble(await this.stateFile.load());
    await this.run();
  }

  stop(): void {
    this.parts.overlay.close();
    this.parts.discovery.close();
    this.parts.dataplane.close();
  }

  async close(): Promise<void> {
    this.stop();
    await this.fake.close();
    rmSync(this.folder, { recursive: true });
  }

  /** The stored document. */
  stored(): { readonly vnets: readonly { readonly vnetif: string }[] } {
    return JSON.parse(readFileSync(this.stateFile.path, "utf8"));
  }

  /** Forgets what was done so far, so that a test sees what comes after. */
  forget(): void {
    this.host.commands.length = 0;
    this.fake.changes.length = 0;
    this.log.length = 0;
  }

  messages(): string[] {
    return this.log.map(({ msg }) => String(msg));
  }

  #assemble(desired: Awaited<ReturnType<StateFile["load"]>>): Parts {
    const { config, stateFile, folder, host } = this;
    return assemble({
      ...{ config, stateFile, desired },
      log: pino({ level: "debug" }, { write: (line: string) => this.log.push(JSON.parse(line)) }),
      programFile: join(folder, "vnetd"),
      dataplaneSocket: join(folder, "dp.sock"),
      dataplanePidFile: join(folder, "dp.pid"),
      owner: { name: "nobody", uid: 65_534 },
      run: host.run,
      resolveHost: async (name) => {
        const addresses = this.names.get(name);
        if (addresses === undefined) {
          throw new UnknownHostError(`Cannot resolve "${name}": no such name`);
        }
        return addresses as readonly IpAddress[];
      },
      clock: { now: () => performance.now() },
    });
  }
}

export function cardHost(): FakeHost {
  const host = new FakeHost();
  host.addCard("u0", "10.9.0.1");
  return host;
}
