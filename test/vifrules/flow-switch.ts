/** The pipeline on a switch of its own: what becomes of a frame, as the switch itself says. */
import type { Flow } from "../../src/openflow/flow.ts";
import { formatFlow } from "../../src/openflow/format-flow.ts";
import { LOCAL_PORT } from "../../src/openflow/match.ts";
import { planBridgeFlows } from "../../src/vifrules/bridge-flows.ts";
import type { BridgeView } from "../../src/vifrules/bridge-rules.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { type Bytes, toHex } from "./frame-builder.ts";

/** The number that the dummy datapath gives the bridge's own port. */
const LOCAL_DATAPATH_PORT = 100;

export class FlowSwitch {
  readonly ovs: PrivateSwitch;

  /** @param ports numbers of dummy ports, or a switch that has its ports */
  constructor(ports: readonly number[] | PrivateSwitch) {
    this.ovs = ports instanceof PrivateSwitch ? ports : PrivateSwitch.start(ports);
    this.ovs.vsctl("set", "bridge", "br0", "protocols=OpenFlow10,OpenFlow14");
    // As our OpenFlow connection sets it.
    this.ovs.ofctl(["set-frags", this.ovs.bridge, "nx-match"]);
  }

  /** The flows of the view, and none besides. */
  load(view: BridgeView): void {
    const { sections, noFloodPorts } = planBridgeFlows(view);
    this.replace([...sections.values()].flat());
    this.forgetLearned();
    for (const ofport of noFloodPorts) {
      const name = ofport === LOCAL_PORT ? this.ovs.bridge : String(ofport);
      this.ovs.ofctl(["mod-port", this.ovs.bridge, name, "no-flood"]);
    }
  }

  /** What the switch has learned from frames of an earlier case is no part of the next one. */
  forgetLearned(): void {
    this.ovs.appctl("fdb/flush", this.ovs.bridge);
  }

  replace(flows: readonly Flow[]): void {
    this.replaceText(flows.map(formatFlow));
  }

  replaceText(flows: readonly string[]): void {
    const lines = ["delete", ...flows].join("\n");
    this.ovs.ofctl(["-O", "OpenFlow14", "--bundle", "add-flows", this.ovs.bridge, "-"], lines);
  }

  trace(inPort: number, frame: Bytes): string {
    const from = `in_port=${inPort === LOCAL_PORT ? "LOCAL" : inPort}`;
    return this.ovs.appctl("ofproto/trace", this.ovs.bridge, from, toHex(frame));
  }

  /** The ports that would get the frame, LOCAL_PORT among them, each once for each copy. */
  receivers(inPort: number, frame: Bytes): readonly number[] {
    return outputsOf(this.trace(inPort, frame));
  }

  stop(): void {
    this.ovs.stop();
  }
}

/** `Datapath actions: 10,pop_vlan,11`: what is in parentheses is no port. */
function outputsOf(trace: string): readonly number[] {
  const [, actions = ""] = /^Datapath actions: (.*)$/m.exec(trace) ?? [];
  const plain = actions.replaceAll(/\([^()]*\)/g, "");
  return plain
    .split(",")
    .filter((word) => /^\d+$/.test(word))
    .map(Number)
    .map((port) => (port === LOCAL_DATAPATH_PORT ? LOCAL_PORT : port));
}
