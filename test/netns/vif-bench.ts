/**
 * The bridge of cast.ts with real devices, for frames that are really sent: each port is one end of
 * a pair, the other end is where a VM or the wire would be.
 *
 *      ends                             switch
 *     ┌─────────────────────────────┐  ┌──────────────────────────┐
 *     │ p10 p11 p12 p13 p14 … p19 ──┼──┼─ p10 … p19 ─ br0 (host)  │
 *     └─────────────────────────────┘  └──────────────────────────┘
 *
 * Nobody here has an address or speaks unasked, so that each frame on a device is one of the test.
 */
import { LOCAL_PORT } from "../../src/openflow/match.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { SENDERS, type Sender } from "../vifrules/admit-cases.ts";
import { HOST_MAC } from "../vifrules/bench-bridge.ts";
import { FlowSwitch } from "../vifrules/flow-switch.ts";
import { RECEIVERS } from "../vifrules/spoof-cases.ts";
import { BROADCAST_MAC, EXPERIMENTAL_TYPE, ethernet } from "./frames.ts";
import { Lab } from "./lab.ts";
import { Tap } from "./link-tools.ts";
import { eventually } from "./wait.ts";

const ENDS = { ...SENDERS, vif: 10 } as const;
export type End = Sender | "vif";

/** The order in which a fate names who received a frame. */
const ORDER: readonly End[] = [...RECEIVERS, "disabled", "quarantine"];

/** A frame that someone sends. */
export type Letter = { readonly from: End; readonly frame: Uint8Array };

/** What a socket's buffer of the switch holds for certain. */
const CHUNK_LENGTH = 64;
/** Shorter ones are malformed because of their length; a number behind them would change that. */
const NUMBERED_BYTES_MIN = 42;
const NUMBER_MAGIC = Buffer.from("76666e21", "hex");
const MARK_MAC = "02:00:00:00:00:fe";

export class VifBench {
  readonly flows: FlowSwitch;
  readonly #lab: Lab;
  readonly #taps: ReadonlyMap<End, Tap>;
  #markCount = 0;

  private constructor(lab: Lab, flows: FlowSwitch, taps: ReadonlyMap<End, Tap>) {
    this.#lab = lab;
    this.flows = flows;
    this.#taps = taps;
  }

  static async create(): Promise<VifBench> {
    const lab = await Lab.create();
    try {
      const [host, ends] = [await lab.namespace("switch"), await lab.namespace("ends")];
      for (const namespace of [host, ends]) {
        await lab.sysctl(namespace, "net.ipv6.conf.default.disable_ipv6", "1");
        await lab.sysctl(namespace, "net.ipv6.conf.all.disable_ipv6", "1");
      }
      const ovs = PrivateSwitch.startIn(host);
      lab.onClose(async () => ovs.stop());
      ovs.vsctl("set", "bridge", "br0", `other-config:hwaddr="${HOST_MAC}"`);
      const ports = Object.values(ENDS).filter((port) => port !== LOCAL_PORT);
      await lab.batch(host, [
        ...ports.map((port) => `link add name p${port} type veth peer name p${port} netns ${ends}`),
        ...ports.map((port) => `link set p${port} up`),
        "link set br0 up",
      ]);
      await lab.batch(
        ends,
        ports.map((port) => `link set p${port} up`),
      );
      ovs.vsctl(...ports.flatMap(addPort));
      const opened = Object.entries(ENDS).map(async ([end, port]): Promise<[End, Tap]> => {
        const [where, device] = port === LOCAL_PORT ? [host, "br0"] : [ends, `p${port}`];
        return [end as End, await Tap.open(lab, where, device, "--promiscuous")];
      });
      return new VifBench(lab, new FlowSwitch(ovs), new Map(await Promise.all(opened)));
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#lab.close();
  }

  /** Somebody else's flows as text, and floods into every port, as in a bridge that nobody manages. */
  loadForeign(flows: readonly string[]): void {
    const { ovs } = this.flows;
    this.flows.replaceText(flows);
    this.flows.forgetLearned();
    for (const port of Object.values(ENDS)) {
      ovs.ofctl(["mod-port", "br0", port === LOCAL_PORT ? "br0" : String(port), "flood"]);
    }
  }

  /**
   * Sends all, and gives for each who received it: names in the order of `RECEIVERS`, one for each
   * copy, with a "!" behind it when the copy is not what was sent, or "-". A tag that has only a
   * priority may be missing. Waits for no time: the switch counts what it has done with, and a last
   * frame to every port has what came before it in front.
   */
  async deliver(letters: readonly Letter[]): Promise<readonly string[]> {
    const sent = letters.map(({ frame }, index) => numbered(frame, index));
    for (const tap of this.#taps.values()) {
      tap.clear();
    }
    for (let start = 0; start < sent.length; start += CHUNK_LENGTH) {
      const chunk = sent.slice(start, start + CHUNK_LENGTH);
      const before = this.#processedCount();
      for (const [index, frame] of chunk.entries()) {
        this.#tap(letters[start + index]?.from ?? "vif").send(frame);
      }
      await eventually("the switch has done with the frames", () => {
        return this.#processedCount() >= before + chunk.length;
      });
    }
    await this.#mark();
    return this.#fates(sent);
  }

  #tap(end: End): Tap {
    const tap = this.#taps.get(end);
    if (tap === undefined) {
      throw new Error(`No such end: ${end}`);
    }
    return tap;
  }

  #processedCount(): number {
    const text = this.flows.ovs.appctl("dpif-netdev/pmd-stats-show");
    return Number(/^main thread:\n\s+packets received: (\d+)$/m.exec(text)?.[1]);
  }

  async #mark(): Promise<void> {
    this.#markCount += 1;
    const payload = Buffer.alloc(46, this.#markCount);
    payload.writeUInt32BE(this.#markCount);
    const mark = ethernet({ to: BROADCAST_MAC, from: MARK_MAC }, EXPERIMENTAL_TYPE, payload);
    const outputs = Object.values(ENDS).map((port) => (port === LOCAL_PORT ? "LOCAL" : port));
    const order = `in_port=CONTROLLER packet=${mark.toString("hex")} actions=${outputs.join()}`;
    this.flows.ovs.ofctl(["-O", "OpenFlow14", "packet-out", "br0", order]);
    for (const [end, tap] of this.#taps) {
      await tap.expect(mark, `the mark at ${end}`);
      tap.frames.pop();
    }
  }

  #fates(sent: readonly Buffer[]): readonly string[] {
    const byContent = new Map(sent.map((frame, index) => [frame.toString("hex"), index]));
    const names: string[][] = sent.map(() => []);
    for (const end of ORDER) {
      for (const { frame } of this.#tap(end).frames) {
        const index = byContent.get(frame.toString("hex")) ?? numberOf(frame);
        const list = names[index];
        if (list === undefined) {
          throw new Error(`${end} received what nobody sent: ${frame.toString("hex")}`);
        }
        list.push(isSame(frame, sent[index]) ? end : `${end}!`);
      }
    }
    return names.map((list) => list.join(" ") || "-");
  }
}

function addPort(port: number): readonly string[] {
  const set = ["set", "interface", `p${port}`, `ofport_request=${port}`];
  return ["--", "add-port", "br0", `p${port}`, "--", ...set];
}

function numbered(frame: Uint8Array, index: number): Buffer {
  if (frame.length < NUMBERED_BYTES_MIN) {
    return Buffer.from(frame);
  }
  // Behind what its lengths say, like the padding of a short frame.
  const number = Buffer.alloc(4);
  number.writeUInt32BE(index);
  return Buffer.concat([frame, NUMBER_MAGIC, number]);
}

/** @returns -1 for one without a number */
function numberOf(frame: Buffer): number {
  const hasNumber = frame.subarray(-8, -4).equals(NUMBER_MAGIC);
  return hasNumber ? frame.readUInt32BE(frame.length - 4) : -1;
}

function isSame(received: Buffer, sent: Buffer | undefined): boolean {
  if (sent === undefined || received.equals(sent)) {
    return sent !== undefined;
  }
  const hasPriorityTag = sent.readUInt16BE(12) === 0x8100 && (sent.readUInt16BE(14) & 0xfff) === 0;
  const untagged = Buffer.concat([sent.subarray(0, 12), sent.subarray(16)]);
  return hasPriorityTag && received.equals(untagged);
}
