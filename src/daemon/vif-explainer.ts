/** Asks the switch what becomes of one frame, by its own flows and tables. */
import { ControlError } from "../control/control-error.ts";
import type { ExplainRequest, ExplainView } from "../control/vif-rules-api.ts";
import { JsonRpcError } from "../host/json-rpc.ts";
import { callUnixctl } from "../host/unixctl.ts";
import type { IpAddress } from "../net/ip-address.ts";
import type { MacAddress } from "../net/mac-address.ts";
import { LOCAL_PORT } from "../openflow/match.ts";
import { explainTrace } from "../vifrules/explain.ts";
import { completeFrameText } from "../vifrules/frame-text.ts";
import type { PlannedBridge, PlannedVif } from "./vif-plan.ts";
import type { VifReconciler } from "./vif-reconciler.ts";

export type VifExplainerOptions = {
  readonly reconciler: VifReconciler;
  readonly ovsRunDirectory: string;
};

const HEX = /^(?:[0-9a-f]{2})+$/i;
/** `    vif5.0 10/3: (system)`: name, OpenFlow's number, the datapath's. */
const PORT_LINE = /^\s+(\S+) \d+\/(\d+): /gm;

export class VifExplainer {
  readonly #options: VifExplainerOptions;

  constructor(options: VifExplainerOptions) {
    this.#options = options;
  }

  /** @throws ControlError */
  async explain(vif: PlannedVif, request: ExplainRequest): Promise<ExplainView> {
    const bridge = this.#options.reconciler.plan.bridges.get(vif.bridge ?? "");
    const [ofport] = vif.ports.flatMap((port) => port.ofport ?? []);
    if (bridge === undefined || ofport === undefined) {
      const message = `VIF ${request.vif} has no port on a managed bridge`;
      throw new ControlError("VNETD_VIF_NOT_APPLIED", message);
    }
    const { frame, direction } = request;
    const uplinks = bridge.others.flatMap(({ interfaces }) =>
      interfaces.flatMap((device) => device.ofport ?? []),
    );
    const inPort = direction === "from" ? ofport : (uplinks[0] ?? LOCAL_PORT);
    const policy = vif.failure === null ? (vif.sourced?.policy ?? null) : null;
    const nextHop = (address: IpAddress): MacAddress | null => this.#nextHop(bridge, address);
    const flow = HEX.test(frame)
      ? [`in_port=${inPort}`, frame]
      : [completeFrameText(frame, { policy, direction, inPort, nextHop })];
    const trace = await this.#trace([bridge.bridge.name, ...flow]);
    const names = await this.#portNames();
    const name = vif.name ?? vif.key;
    const { verdict, outputs, lines } = explainTrace({
      ...{ trace, direction, vif: { name, port: ofport, policy } },
      portName: (port) => names.get(port) ?? null,
      vifPorts: vif.ports.map((port) => port.name),
    });
    return { verdict, outputs, lines };
  }

  /** As the VIF would have asked: the neighbour that has the address, else the gateway. */
  #nextHop(bridge: PlannedBridge, address: IpAddress): MacAddress | null {
    const neighbour = bridge.vifs.find(({ sourced }) =>
      [...(sourced?.policy.ipv4 ?? []), ...(sourced?.policy.ipv6 ?? [])].includes(address),
    );
    const network = this.#options.reconciler.policies.networks.find(
      ({ policy }) => policy.bridge === bridge.bridge.name,
    );
    return neighbour?.sourced?.policy.mac ?? network?.policy.infra.macs[0] ?? null;
  }

  async #trace(args: readonly string[]): Promise<string> {
    try {
      return await this.#call("ofproto/trace", args);
    } catch (error) {
      if (error instanceof JsonRpcError && error.reason === "refused") {
        const [why = ""] = error.message.split("\n");
        throw new ControlError("VNETD_PARSE", `Not a frame: ${why}`, { cause: error });
      }
      throw error;
    }
  }

  async #portNames(): Promise<ReadonlyMap<string, string>> {
    const text = await this.#call("dpif/show", []);
    return new Map(
      Array.from(text.matchAll(PORT_LINE), ([, name = "", port = ""]) => [port, name]),
    );
  }

  async #call(command: string, args: readonly string[]): Promise<string> {
    const { ovsRunDirectory: runDirectory } = this.#options;
    try {
      return await callUnixctl({ runDirectory, command, args });
    } catch (error) {
      if (error instanceof JsonRpcError && error.reason !== "refused") {
        throw new ControlError("VNETD_OVS_FAILED", error.message, { cause: error });
      }
      throw error;
    }
  }
}
