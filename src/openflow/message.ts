/**
 * OpenFlow messages as values, and how a stream is cut into them. Every message begins with the
 * same header (OpenFlow 1.4 §7.1):
 *
 *     | version 8 | type 8 | length 16, with this header | xid 32 |
 *
 * encode-message.ts and decode-message.ts know the bodies; a reply has the xid of its request.
 */

import type { CookieMask, FlowMod } from "./flow.ts";
import type { FlowUpdate, ListedFlow } from "./flow-codec.ts";
import type { FrameFields } from "./oxm.ts";
import type { SwitchError } from "./switch-error.ts";

export const HEADER_OCTETS = 8;

/** Version numbers on the wire. */
export const OPENFLOW_10 = 1;
export const OPENFLOW_14 = 5;

/** The types of both versions that are the same in each. */
export const TYPE_HELLO = 0;
export const TYPE_ERROR = 1;
export const TYPE_ECHO_REQUEST = 2;
export const TYPE_ECHO_REPLY = 3;
export const TYPE_EXPERIMENTER = 4;

/** What a connection of version 1.4 sends. */
export type Request =
  | { readonly kind: "echo-request" }
  | { readonly kind: "echo-reply"; readonly data: Uint8Array }
  | { readonly kind: "features-request" }
  | { readonly kind: "get-config-request" }
  /**
   * From 1 on, packet-ins and changes of ports are sent to this connection. First fragments of
   * packets are matched with their ports, from now on and for the whole bridge.
   */
  | { readonly kind: "set-config"; readonly missSendBytes: number }
  /** Packet-ins shall be Nicira's of the second kind: with registers and user data. */
  | { readonly kind: "set-packet-in-format" }
  | { readonly kind: "barrier-request" }
  | { readonly kind: "flow-mod"; readonly mod: FlowMod }
  | {
      readonly kind: "bundle-control";
      readonly bundleId: number;
      readonly command: "open" | "commit" | "discard";
    }
  | { readonly kind: "bundle-add"; readonly bundleId: number; readonly mod: FlowMod }
  | { readonly kind: "flow-stats-request"; readonly owner: CookieMask }
  /** Tell every change of a flow that others make. */
  | { readonly kind: "flow-monitor-request" };

/** What comes back, or by itself. */
export type Reply =
  /** The versions it speaks. */
  | { readonly kind: "hello"; readonly versions: readonly number[] }
  | { readonly kind: "error"; readonly error: SwitchError }
  | { readonly kind: "echo-request"; readonly data: Uint8Array }
  | { readonly kind: "echo-reply" }
  | { readonly kind: "features-reply"; readonly datapathId: bigint; readonly tableCount: number }
  | { readonly kind: "get-config-reply"; readonly missSendBytes: number }
  | { readonly kind: "barrier-reply" }
  | {
      readonly kind: "bundle-reply";
      readonly bundleId: number;
      readonly command: "open" | "commit" | "discard";
    }
  /** `more`: another part with the same xid follows. */
  | { readonly kind: "flow-stats"; readonly flows: readonly ListedFlow[]; readonly more: boolean }
  | {
      readonly kind: "flow-monitor";
      readonly updates: readonly FlowUpdate[];
      readonly more: boolean;
    }
  | { readonly kind: "port-status"; readonly change: PortChange }
  | { readonly kind: "packet-in"; readonly packetIn: PacketIn }
  /** Nothing wrong with it, but of no use to us. */
  | { readonly kind: "other"; readonly type: number }
  | { readonly kind: "malformed"; readonly why: string };

export type PortChange = {
  readonly change: "added" | "deleted" | "modified";
  readonly ofport: number;
  readonly name: string;
};

/** A frame that a `controller` action sent us. */
export type PacketIn = FrameFields & {
  readonly table: number;
  /** Of the flow that has the action. */
  readonly cookie: bigint;
  /** As in the action, hex digits. */
  readonly userdata: string;
  /** Its beginning; shares memory with the message. */
  readonly frame: Uint8Array;
  /** How long the frame was. */
  readonly frameBytes: number;
};

export type Received = { readonly version: number; readonly xid: number; readonly reply: Reply };

/** Cuts a stream into messages. Holds at most one incomplete message, which is below 64 KiB. */
export class MessageSplitter {
  #held = new Uint8Array(0);

  /**
   * The messages that `bytes` complete, with their headers; they share memory with `bytes`. Null
   * when a header says less than its own length: nothing after it can be made out.
   */
  split(bytes: Uint8Array): readonly Uint8Array[] | null {
    const all = this.#held.length === 0 ? bytes : concatenate(this.#held, bytes);
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    const messages: Uint8Array[] = [];
    let at = 0;
    while (all.length - at >= HEADER_OCTETS) {
      const length = view.getUint16(at + 2);
      if (length < HEADER_OCTETS) {
        return null;
      }
      if (all.length - at < length) {
        break;
      }
      messages.push(all.subarray(at, at + length));
      at += length;
    }
    this.#held = all.slice(at);
    return messages;
  }
}

function concatenate(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const all = new Uint8Array(head.length + tail.length);
  all.set(head);
  all.set(tail, head.length);
  return all;
}
