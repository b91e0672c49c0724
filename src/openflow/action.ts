/**
 * What a flow does with a frame, as values. No action at all is `drop`. On the wire they are one
 * apply-actions instruction (OpenFlow 1.4 §5.9), partly Nicira extensions: action-codec.ts.
 */
import type { RegisterNumber } from "./match.ts";

export type Action =
  /** Looks the frame up in another table; what that does stays done, then the list goes on. */
  | { readonly kind: "resubmit"; readonly table: number }
  /** Sets a whole register (unsigned, 32 bits). */
  | { readonly kind: "load"; readonly register: RegisterNumber; readonly value: number }
  /** Removes the outermost 802.1Q header; the flow must match `vlan` so that there is one. */
  | { readonly kind: "strip-vlan" }
  /** Adds an 802.1Q header with this VLAN id in front; there must be none. */
  | { readonly kind: "push-vlan"; readonly vlan: number }
  | { readonly kind: "output"; readonly port: number }
  | { readonly kind: "output-register"; readonly register: RegisterNumber }
  /** The bridge's own forwarding: learning, VLANs, bonds. */
  | { readonly kind: "normal" }
  /** Clause `clause` (from 1) of `clauseCount` of conjunction `id`; a flow has only such actions. */
  | {
      readonly kind: "conjunction";
      readonly id: number;
      readonly clause: number;
      readonly clauseCount: number;
    }
  /** Acts on a copy: neither registers nor headers changed in it are seen after it. */
  | { readonly kind: "clone"; readonly actions: readonly Action[] }
  /** Sends the first `maxBytes` of the frame to us as a packet-in with `userdata`. */
  | {
      readonly kind: "controller";
      readonly maxBytes: number;
      /** Hex digits, an even count, at least one octet. */
      readonly userdata: string;
      /** A meter that limits how many are sent. */
      readonly meterId?: number;
    };

export type ActionKind = Action["kind"];
