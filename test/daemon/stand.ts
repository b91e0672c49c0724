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
import { EventStreams } from "../../src/daemon/event-streams.ts";
import type { Identity } from "../../src/daemon/identity.ts";
import type { RawSettings } from "../../src/daemon/options.ts";
import { StateFile } from "../../src/daemon/state-file.ts";
import { assembleVifRules } from "../../src/daemon/vif-assembly.ts";
import { VifPolicyStore } from "../../src/daemon/vif-policy-store.ts";
import { UnknownHostError } from "../../src/host/resolver.ts";
import type { IpAddress } from "../../src/net/ip-address.ts";
import { FakeDataplane } from "../fakes/fake-dataplane.ts";
import { FakeHost } from "../fakes/fake-host.ts";

export type StandOptions = {
  readonly settings?: RawSettings;
  /** Left out: a host with the card u0, 10.9.0.1/24. */
  readonly host?: FakeHost;
  readonly identity?: Identity;
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
  readonly #identity: Identity;
  fake: FakeDataplane;
  parts: Parts;
  /** How far the daemon's clock is ahead. */
  skippedMs = 0;

  private constructor(options: {
    folder: string;
    host: FakeHost;
    config: Config;
    fake: FakeDataplane;
    desired: Awaited<ReturnType<StateFile["load"]>>;
    stateFile: StateFile;
    identity: Identity;
  }) {
    this.#identity = options.identity;
    this.folder = options.folder;
    this.host = options.host;
    this.config = options.config;
    this.fake = options.fake;
    this.stateFile = options.stateFile;
    this.parts = this.#assemble(options.desired);
  }

  static async start({
    settings = {},
    host = cardHost(),
    identity = { senderId: new Uint8Array(16).fill(7), bootCounter: 1n },
  }: StandOptions = {}): Promise<Stand> {
    const folder = mkdtempSync(join(tmpdir(), "vnetd-stand-"));
    const config = readConfig({
      configFile: "/dev/null",
      settings: {
        "state-dir": folder,
        "run-dir": folder,
        "key-dir": join(folder, "keys"),
        "log-level": "debug",
        ...settings,
      },
    });
    const stateFile = new StateFile(folder);
    const fake = await FakeDataplane.listen({ socketPath: join(folder, "dp.sock") });
    const desired = await stateFile.load();
    const stand = new Stand({ folder, host, config, fake, desired, stateFile, identity });
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

  /** The data plane dies, and an empty one takes its place. */
  async loseDataplane(): Promise<void> {
    await this.fake.close();
    this.fake = await FakeDataplane.listen({ socketPath: join(this.folder, "dp.sock") });
  }

  stop(): void {
    this.parts.overlay.close();
    this.parts.discovery.close();
    this.parts.secure.close();
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
    const write = (line: string) => this.log.push(JSON.parse(line));
    const log = pino({ level: "debug" }, { write });
    const clock = { now: () => performance.now() + this.skippedMs };
    const store = new VifPolicyStore(folder);
    const events = new EventStreams();
    return assemble({
      ...{ config, stateFile, desired, log, events, clock },
      vifs: assembleVifRules({ config, log, events, store, sources: [], run: host.run, clock }),
      programFile: join(folder, "vnetd"),
      dataplaneSocket: join(folder, "dp.sock"),
      dataplanePidFile: join(folder, "dp.pid"),
      dataplaneServiceFile: join(folder, "vnet-dp.env"),
      identity: this.#identity,
      owner: { name: "nobody", uid: 65_534 },
      run: host.run,
      resolveHost: async (name) => {
        const addresses = this.names.get(name);
        if (addresses === undefined) {
          throw new UnknownHostError(`Cannot resolve "${name}": no such name`);
        }
        return addresses as readonly IpAddress[];
      },
    });
  }
}

export function cardHost(): FakeHost {
  const host = new FakeHost();
  host.addCard("u0", "10.9.0.1");
  return host;
}
