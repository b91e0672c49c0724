/** What the data plane does, read from it or known because it did as it was told. */
import type { DataplaneClient } from "../dataplane/client.ts";
import { ALL_VNETS, type VnetId } from "../net/vnet-id.ts";
import type { DataplaneAnswer } from "../vnet/dataplane-messages.ts";
import type { AppliedState, DataplaneTarget } from "../vnet/plan.ts";

type Answer<Kind extends DataplaneAnswer["kind"]> = Extract<
  DataplaneAnswer,
  { readonly kind: Kind }
>;

/** @throws DataplaneError */
export async function readApplied(client: DataplaneClient): Promise<AppliedState> {
  const [state, vifs] = await Promise.all([
    client.request({ kind: "get-state" }),
    client.request({ kind: "list-vifs", vnet: ALL_VNETS }),
  ]);
  return {
    underlay: ofKind(state, "underlay-state")[0] ?? null,
    ages: ofKind(state, "ages-state")[0] ?? null,
    vnets: ofKind(state, "vnet-state"),
    peers: ofKind(state, "peer-state"),
    vifs: ofKind(vifs, "vif-entry"),
  };
}

/** What `readApplied` would find after every command for `target` was done, what is learned left out. */
export function appliedOf(target: DataplaneTarget, former: AppliedState): AppliedState {
  const carried = new Set(target.vnets.map(({ vnet }) => vnet));
  return {
    underlay:
      target.underlay === null ? former.underlay : { ...target.underlay, kind: "underlay-state" },
    ages: { ...target.ages, kind: "ages-state" },
    vnets: target.vnets.map((vnet) => ({
      ...vnet,
      kind: "vnet-state",
      attached: true,
      ...{ fdbCount: 0, vifCount: 0 },
    })),
    peers: target.peers.map((host) => ({
      kind: "peer-state",
      host,
      forwardedOut: 0n,
      forwardedIn: 0n,
    })),
    vifs: target.pinnedVifs
      .filter(({ vnet }) => carried.has(vnet))
      .map(({ vnet, mac }) => ({ kind: "vif-entry", vnet, mac, ageMs: 0, pinned: true })),
  };
}

/** The same with the TAP of one vnet lost. */
export function withoutTap(applied: AppliedState, lost: VnetId): AppliedState {
  return {
    ...applied,
    vnets: applied.vnets.map((state) =>
      state.vnet === lost ? { ...state, attached: false } : state,
    ),
  };
}

export function ofKind<Kind extends DataplaneAnswer["kind"]>(
  answers: readonly DataplaneAnswer[],
  kind: Kind,
): Answer<Kind>[] {
  return answers.filter((answer): answer is Answer<Kind> => answer.kind === kind);
}
