/**
 * The machine of secure vnets at work: vnets, rings, the data plane's events and the clock go in,
 * what comes out goes down at once. It holds the machine's only timer.
 *
 * Between a data plane that goes and the listing of the SAs of the one that comes, events wait: an
 * SA that is made in between would be in no listing and no table.
 */
import type { DataplaneClient } from "../dataplane/client.ts";
import type { Clock } from "../host/clock.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import { ALL_VNETS, type VnetId } from "../net/vnet-id.ts";
import type { DataplaneCommand } from "../vnet/dataplane-messages.ts";
import type { KeyRing } from "../vnet/key-ring.ts";
import { countSecureRefused, createSecure, nextSecureWakeAt, stepSecure } from "../vnet/secure.ts";
import type {
  CounterRequest,
  SecureEffect,
  SecureEvent,
  SecureHostView,
  SecureKeyView,
  SecureRefusal,
  SecureSaView,
} from "../vnet/secure-events.ts";
import { exportSecureSas, listSecureHosts, listSecureKeys } from "../vnet/secure-views.ts";
import type { VnetSuite } from "../vnet/vnet-security.ts";
import { ofKind } from "./dataplane-state.ts";
import type { EventStreams } from "./event-streams.ts";
import type { Identity } from "./identity.ts";
import type { Log } from "./log.ts";
import { nodeCrypto } from "./node-crypto.ts";
import { SecureAlerts } from "./secure-alerts.ts";

export type SecureVnetsOptions = {
  readonly identity: Identity;
  readonly rekeyPackets: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventStreams;
  readonly client: () => DataplaneClient | null;
  /** Writes down the sender id; it must not reject. */
  readonly storeSenderId: (senderId: Uint8Array) => void;
};

/** A secure vnet that the data plane is to carry. */
export type SecureTarget = {
  readonly vnet: VnetId;
  readonly suite: VnetSuite;
  readonly ring: KeyRing;
};

export type SecureUnderlay = {
  /** Where this host sends from and is reached. */
  readonly endpoints: readonly Endpoint[];
  readonly mtuBytes: number;
};

// Node's timers wake up to a millisecond early.
const TIMER_SLACK_MS = 1;
const TIMER_MS_MAX = 60_000;
/** While the SAs are being listed; what is lost of it is said again by the other hosts. */
const HELD_EVENTS_MAX = 1_024;

export class SecureVnets {
  readonly #options: SecureVnetsOptions;
  readonly #machine;
  readonly #alerts: SecureAlerts;
  /** Those that the machine knows. */
  readonly #vnets = new Map<VnetId, SecureTarget>();
  #underlayKey = "";
  /** Null: events are handled as they come. */
  #held: SecureEvent[] | null = [];
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(options: SecureVnetsOptions) {
    this.#options = options;
    this.#alerts = new SecureAlerts(options);
    const { identity, rekeyPackets } = options;
    this.#machine = createSecure({ crypto: nodeCrypto, ...identity, rekeyPackets });
  }

  /** Another one after a clone of this host was heard. */
  get senderId(): Uint8Array {
    return this.#machine.senderId;
  }

  has(vnet: VnetId): boolean {
    return this.#vnets.has(vnet);
  }

  handle(event: SecureEvent): void {
    if (this.#held === null) {
      this.#step(event);
    } else if (this.#held.length < HELD_EVENTS_MAX) {
      this.#held.push(event);
    }
  }

  /** Before the data plane is told: vnets that go say goodbye while they still can. */
  before(targets: readonly SecureTarget[], { endpoints, mtuBytes }: SecureUnderlay): void {
    const underlayKey = JSON.stringify([endpoints, mtuBytes]);
    if (underlayKey !== this.#underlayKey) {
      this.#underlayKey = underlayKey;
      this.#step({ kind: "underlay-changed", endpoints, mtuBytes });
    }
    const wanted = new Map(targets.map((target) => [target.vnet, target]));
    for (const { vnet, suite } of this.#vnets.values()) {
      if (wanted.get(vnet)?.suite !== suite) {
        this.#vnets.delete(vnet);
        this.#step({ kind: "vnet-removed", vnet });
      }
    }
  }

  /** After it has been told: these vnets are carried. */
  after(targets: readonly SecureTarget[]): void {
    for (const target of targets) {
      const { vnet, suite, ring } = target;
      const former = this.#vnets.get(vnet);
      this.#vnets.set(vnet, target);
      if (former === undefined) {
        this.#step({ kind: "vnet-added", vnet, suite });
      }
      if (former?.ring !== ring) {
        const keys = ring.keys.map(({ id, secret }) => ({
          ...{ keyId: id, psk: secret, active: id === ring.activeId },
        }));
        this.#step({ kind: "keys-changed", vnet, keys });
      }
    }
  }

  /** The data plane is gone, and its SAs with it. */
  lost(): void {
    this.#held ??= [];
  }

  /**
   * Has the machine know the SAs that the data plane has.
   *
   * @throws DataplaneError
   */
  async readSas(client: DataplaneClient): Promise<void> {
    this.#held ??= [];
    const answers = await client.request({ kind: "list-sas", vnet: ALL_VNETS, spi: 0 });
    const sas = ofKind(answers, "sa-state");
    const paths = ofKind(await client.request({ kind: "list-path-mtus" }), "path-mtu-state");
    this.#step({
      ...{ kind: "sas-listed", sas },
      paths: paths.flatMap(({ host, mtuBytes }) => (host === null ? [] : { host, mtuBytes })),
    });
    const held = this.#held ?? [];
    this.#held = null;
    for (const event of held) {
      this.#step(event);
    }
  }

  /** New boot nonces for all vnets, at once. */
  renew(): void {
    this.#options.log.info({ vnetCount: this.#vnets.size }, "renewing all security associations");
    this.handle({ kind: "renew", vnet: null });
  }

  /** The data plane is about to end: says goodbye. */
  stop(): void {
    this.#step({ kind: "stop" });
  }

  close(): void {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = null;
    this.#timerAt = Number.NEGATIVE_INFINITY;
  }

  listHosts(): readonly SecureHostView[] {
    return listSecureHosts(this.#machine, null, this.#options.clock.now());
  }

  listKeys(): readonly SecureKeyView[] {
    return listSecureKeys(this.#machine, null);
  }

  /** With the traffic keys: whoever asks overwrites them. */
  listSas(vnet: VnetId): readonly SecureSaView[] {
    return exportSecureSas(this.#machine, vnet);
  }

  countRefused(): ReadonlyMap<SecureRefusal, number> {
    return countSecureRefused(this.#machine);
  }

  #step(event: SecureEvent): void {
    this.#run(stepSecure(this.#machine, event, this.#options.clock.now()));
    this.#arm();
  }

  #run(effects: readonly SecureEffect[]): void {
    let commands: DataplaneCommand[] = [];
    for (const effect of effects) {
      switch (effect.kind) {
        case "read-counter":
          // In its place: the counter of an SA that was set just before it is to be read.
          this.#send(commands);
          commands = [];
          this.#readCounter(effect.request);
          break;
        case "store-sender-id":
          this.#options.storeSenderId(effect.senderId);
          break;
        case "path-mtu":
          this.#notePathMtu(effect.host, effect.mtuBytes);
          break;
        case "alert":
          this.#alerts.tell(effect, this.#options.clock.now());
          break;
        default:
          commands.push(effect);
      }
    }
    this.#send(commands);
  }

  #send(commands: readonly DataplaneCommand[]): void {
    const client = this.#options.client();
    // Without a data plane there is nobody to tell: the next one starts from its listing.
    if (client === null || commands.length === 0) {
      return;
    }
    const { log } = this.#options;
    const answered = client.apply(commands);
    for (const command of commands) {
      if ("keys" in command) {
        // They are on their way, and derived again when they are needed again.
        command.keys.fill(0);
      }
    }
    answered.then(
      (failures) => {
        for (const { command, error } of failures) {
          const isSa = command.kind === "set-send-sa" || command.kind === "set-receive-sa";
          const fields = { command: command.kind, errno: error.errno };
          log[isSa ? "warn" : "debug"](fields, error.message);
        }
      },
      (error: unknown) =>
        log.debug({ err: error }, "secure vnets were cut off from the data plane"),
    );
  }

  #readCounter(request: CounterRequest): void {
    const { client, log } = this.#options;
    client()
      ?.request({ kind: "list-sas", vnet: request.vnet, spi: request.spi })
      .then(
        (answers) => {
          const sa = ofKind(answers, "sa-state").find(({ send }) => send);
          if (sa !== undefined) {
            this.handle({ kind: "counter-read", request, counter: sa.counter });
          }
        },
        (error: unknown) => log.debug({ err: error }, "cannot read a packet counter"),
      );
  }

  #notePathMtu(host: Endpoint, mtuBytes: number): void {
    this.#options.log.info({ peer: formatEndpoint(host), mtuBytes }, "found the MTU of a path");
  }

  #arm(): void {
    const at = nextSecureWakeAt(this.#machine);
    // A timer that is due earlier finds nothing to do and sets the next one.
    if (at >= this.#timerAt) {
      return;
    }
    clearTimeout(this.#timer ?? undefined);
    const delayMs = Math.max(0, at - this.#options.clock.now()) + TIMER_SLACK_MS;
    this.#timerAt = at;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#timerAt = Number.POSITIVE_INFINITY;
        if (this.#held === null) {
          this.#step({ kind: "tick" });
        }
      },
      Math.min(delayMs, TIMER_MS_MAX),
    );
  }
}
