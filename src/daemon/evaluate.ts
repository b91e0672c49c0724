/** The original's control protocol, done through the control API. */
import type { ControlApi } from "../control/api.ts";
import { setMulticastGroup } from "../vnet/desired-state.ts";
import { type EvalRequest, parseEvalRequest } from "../vnet/eval.ts";
import { printPeerList, printVarpList, printVifList, printVnetList } from "../vnet/sxp-views.ts";
import type { Config } from "./config.ts";
import { expectChange } from "./desired-changes.ts";
import type { Overlay } from "./overlay.ts";
import { changeDesired } from "./peers.ts";
import type { StateFile } from "./state-file.ts";

export type EvaluateOptions = {
  readonly api: ControlApi;
  readonly config: Config;
  readonly overlay: Overlay;
  readonly stateFile: StateFile;
};

/**
 * Runs one expression; answers its text.
 *
 * @throws ParseError, ControlError, KeyFileError, KeyRingError
 */
export async function evaluate(expression: string, options: EvaluateOptions): Promise<string> {
  return await evaluateRequest(parseEvalRequest(expression), options);
}

/** @throws ControlError */
export async function evaluateRequest(
  request: EvalRequest,
  options: EvaluateOptions,
): Promise<string> {
  const { api, config } = options;
  switch (request.kind) {
    case "vnet.list":
      return printVnetList(await api.listVnets([]));
    case "vif.list":
      return printVifList(await api.listVifs([]), { vifTtlMs: config.fdbTtlMs });
    case "peer.list":
      return printPeerList(await api.listPeers());
    case "varp.list":
      return await listVarp(options);
    case "varp.print": {
      const parts = ["vnet.list", "vif.list", "varp.list"] as const;
      const texts = await Promise.all(parts.map((kind) => evaluateRequest({ kind }, options)));
      return texts.join("");
    }
    default:
      await change(request, options);
      return "";
  }
}

async function change(
  request: Exclude<
    EvalRequest,
    { kind: "vnet.list" | "vif.list" | "peer.list" | "varp.list" | "varp.print" }
  >,
  options: EvaluateOptions,
): Promise<void> {
  const { api } = options;
  switch (request.kind) {
    case "vnet.add":
      await api.createVnets([request.vnet]);
      break;
    case "vnet.del":
      await api.deleteVnets([request.vnet], { bridge: false });
      break;
    case "vif.add":
      await api.addVif(request.vnet, { mac: request.mac });
      break;
    case "vif.del":
      await api.deleteVif(request.vnet, { mac: request.mac });
      break;
    case "peer.add":
      await api.addPeer(request.host, request.udpPort);
      break;
    case "peer.del":
      await api.deletePeer(request.host);
      break;
    case "varp.flush":
      await api.flushVarp();
      break;
    case "varp.mcaddr": {
      const what = `multicast to ${request.group}`;
      await changeDesired(options, (state) =>
        expectChange(what, setMulticastGroup(state, request.group)),
      );
      break;
    }
  }
}

async function listVarp({ api, config }: EvaluateOptions): Promise<string> {
  const [{ underlay }, entries] = await Promise.all([api.status(), api.listVarp([])]);
  return printVarpList({
    device: underlay.device,
    multicastGroup: underlay.multicastGroup,
    address: underlay.addresses[0] ?? null,
    udpPort: underlay.udpPort,
    fdbTtlMs: config.fdbTtlMs,
    entries,
  });
}
