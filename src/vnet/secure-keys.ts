/**
 * A vnet's keys. All of them open, one of them seals; a key that is taken out takes its SAs with it.
 */
import { deriveControlKey, deriveVnetTag } from "../encap/key-schedule.ts";
import { announceEpoch, startEpoch, stopSending } from "./secure-epochs.ts";
import type { RingKey, SecureEvent } from "./secure-events.ts";
import { helloAfterChange } from "./secure-hello.ts";
import { removeSa } from "./secure-hosts.ts";
import { type SecureKey, type SecureStep, type SecureVnet, tagName } from "./secure-state.ts";

/** Takes in the whole ring. */
export function changeKeys(
  step: SecureStep,
  { vnet: id, keys }: Extract<SecureEvent, { readonly kind: "keys-changed" }>,
): void {
  const vnet = step.secure.vnets.get(id);
  if (vnet === undefined) {
    return;
  }
  const wanted = new Set(keys.map(({ keyId }) => keyId));
  const gone = [...vnet.keys.values()].filter(({ keyId }) => !wanted.has(keyId));
  for (const ringKey of keys) {
    if (!vnet.keys.has(ringKey.keyId)) {
      addKey(step, vnet, ringKey);
    }
  }
  vnet.activeKeyId = keys.find(({ active }) => active)?.keyId ?? null;
  for (const key of gone) {
    removeKey(step, vnet, key);
  }
  if (step.secure.isListed) {
    useActiveKey(step, vnet);
  }
}

/** Overwrites the vnet's keys: it is not carried any more. */
export function wipeKeys(step: SecureStep, vnet: SecureVnet): void {
  for (const key of vnet.keys.values()) {
    wipeKey(step, vnet, key);
  }
}

/** Seals with the active key: at once if nothing is sealed yet, else after an announcement. */
function useActiveKey(step: SecureStep, vnet: SecureVnet): void {
  const { activeKeyId, send, next } = vnet;
  if (activeKeyId === null || send === null) {
    startEpoch(step, vnet);
  } else if ((next ?? send).keyId !== activeKeyId) {
    announceEpoch(step, vnet);
  } else {
    helloAfterChange(step, vnet);
  }
}

function addKey(
  { secure }: SecureStep,
  vnet: SecureVnet,
  { keyId, psk }: Pick<RingKey, "keyId" | "psk">,
): void {
  const name = { vnet: vnet.id, keyId };
  const key: SecureKey = {
    keyId,
    psk: psk.slice(),
    controlKey: deriveControlKey(secure.crypto, psk, name),
    vnetTag: deriveVnetTag(secure.crypto, psk, name),
  };
  vnet.keys.set(keyId, key);
  secure.keysByTag.set(tagName(key), { vnet, key });
}

function removeKey(step: SecureStep, vnet: SecureVnet, key: SecureKey): void {
  wipeKey(step, vnet, key);
  for (const host of vnet.hosts.values()) {
    host.heldKeys.delete(key.keyId);
    for (const sa of host.sas.filter(({ keyId }) => keyId === key.keyId)) {
      removeSa(step, vnet, { host, sa });
    }
  }
  if (vnet.next?.keyId === key.keyId) {
    vnet.next = null;
  }
  if (vnet.send?.keyId === key.keyId) {
    stopSending(step, vnet);
  }
}

function wipeKey({ secure }: SecureStep, vnet: SecureVnet, key: SecureKey): void {
  secure.keysByTag.delete(tagName(key));
  vnet.keys.delete(key.keyId);
  key.psk.fill(0);
  key.controlKey.fill(0);
}
