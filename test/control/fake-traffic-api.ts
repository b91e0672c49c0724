/** A TrafficApi over another fake: its vnets, VIFs and peers, with counters that a test advances. */
import type { ControlApi } from "../../src/control/api.ts";
import type {
  Carried,
  TrafficApi,
  TrafficPart,
  TrafficView,
} from "../../src/control/traffic-api.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";

const FRAME_OCTETS = 100;

type Source = Pick<ControlApi, "status" | "listVnets" | "listPeers" | "vifRules">;

export class FakeTrafficApi implements TrafficApi {
  /** What it was asked for, call by call. */
  readonly asked: (readonly TrafficPart[])[] = [];
  readonly #api: Source;
  /** A thousand frames each way, every second. */
  #seconds = 0;

  constructor(api: Source) {
    this.#api = api;
  }

  async read(parts: readonly TrafficPart[]): Promise<TrafficView> {
    this.asked.push(parts);
    this.#seconds += 1;
    const has = (part: TrafficPart): boolean => parts.length === 0 || parts.includes(part);
    const counted = { carried: this.#carried(), dropped: { "drop-short": 10 * this.#seconds } };
    return {
      ...{ atMs: 1_000 * this.#seconds, status: await this.#api.status(), ...counted },
      duplicates: [],
      vnets: !has("vnets")
        ? null
        : (await this.#api.listVnets([])).map((view) => ({
            ...{ vnet: view.id, vnetif: view.vnetif, bridge: view.bridge },
            ...{ security: view.security, state: view.state, error: view.error },
            ...{ localMacs: 1, remoteMacs: 2, ...counted },
          })),
      vifs: !has("vifs")
        ? null
        : (await this.#api.vifRules.listVifRules([])).map((view) => ({
            ...{ vif: view.vif ?? "", bridge: view.bridge, vnet: null, state: view.state },
            ...{ error: view.error, mac: view.policy?.mac ?? null, ...counted },
          })),
      hosts: !has("hosts")
        ? null
        : (await this.#api.listPeers()).map(({ vnets, ...peer }) => ({
            ...{ ...peer, address: parseIpAddress(peer.address) },
            ...{ opened: 0, replayed: 0, forged: 0, macs: 2 },
            vnets: vnets.map(({ vnet, state }) => ({ vnet, state })),
          })),
    };
  }

  #carried(): Carried {
    const frames = 1_000 * this.#seconds;
    const octets = frames * FRAME_OCTETS;
    return {
      ...{ outboundFrames: frames, outboundOctets: octets },
      ...{ inboundFrames: frames, inboundOctets: octets },
    };
  }
}
