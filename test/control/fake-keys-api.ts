/** The KeysApi of a ControlApi in memory; its keys are the names of their files. */
import type { VnetRef, VnetView } from "../../src/control/api.ts";
import { ControlError } from "../../src/control/control-error.ts";
import type { KeysApi, KeyView, SaExportView } from "../../src/control/keys-api.ts";
import type { VnetId } from "../../src/net/vnet-id.ts";

export class FakeKeysApi implements KeysApi {
  readonly #find: (ref: VnetRef) => VnetView;
  #keys: KeyView[] = [];

  constructor(find: (ref: VnetRef) => VnetView) {
    this.#find = find;
  }

  /** A vnet's first key. */
  create(vnet: VnetId, keyFile: string): void {
    this.#keys.push({ ...keyOf(vnet, keyFile), active: true });
  }

  forget(vnet: VnetId): void {
    this.#keys = this.#keys.filter((key) => key.vnet !== vnet);
  }

  async list(refs: readonly VnetRef[]): Promise<readonly KeyView[]> {
    const vnets = refs.map((ref) => this.#need(ref));
    return refs.length === 0 ? this.#keys : this.#keys.filter(({ vnet }) => vnets.includes(vnet));
  }

  async add(ref: VnetRef, keyFile: string): Promise<KeyView> {
    const key = keyOf(this.#need(ref), keyFile);
    if (this.#keys.some(({ vnet, keyId }) => vnet === key.vnet && keyId === key.keyId)) {
      throw new ControlError("VNETD_KEY_EXISTS", `Cannot add a key: ${key.keyId} is there already`);
    }
    this.#keys.push(key);
    return key;
  }

  async activate(ref: VnetRef, keyId: string): Promise<KeyView> {
    const active = { ...this.#needKey(ref, keyId), active: true };
    this.#keys = this.#keys.map((key) => {
      const isOther = key.vnet !== active.vnet;
      return isOther ? key : key.keyId === keyId ? active : { ...key, active: false };
    });
    return active;
  }

  async delete(ref: VnetRef, keyId: string): Promise<void> {
    const key = this.#needKey(ref, keyId);
    if (key.active) {
      throw new ControlError("VNETD_KEY_ACTIVE", `Cannot delete key ${keyId}: it is active`);
    }
    this.#keys = this.#keys.filter((other) => other !== key);
  }

  async exportSas(ref: VnetRef): Promise<SaExportView> {
    this.#need(ref);
    return { file: "/run/vnetd/sa-export-0123456789abcdef", udpPort: 1798 };
  }

  #need(ref: VnetRef): VnetId {
    const { id, security } = this.#find(ref);
    if (security === "none") {
      throw new ControlError("VNETD_NO_SECURITY", `Vnet ${ref} has no keys`);
    }
    return id;
  }

  #needKey(ref: VnetRef, keyId: string): KeyView {
    const vnet = this.#need(ref);
    const found = this.#keys.find((key) => key.vnet === vnet && key.keyId === keyId);
    if (found === undefined) {
      throw new ControlError("VNETD_UNKNOWN_KEY", `No key ${keyId}`);
    }
    return found;
  }
}

/** The id that a key of this file has: any 16 bits that the name gives every time. */
export function fakeKeyId(keyFile: string): string {
  const sum = Buffer.from(keyFile).reduce((total, octet) => (total * 31 + octet) & 0xffff, 1);
  return sum.toString(16).padStart(4, "0");
}

function keyOf(vnet: VnetId, keyFile: string): KeyView {
  if (keyFile.includes("missing")) {
    throw new ControlError("VNETD_KEY_FILE", `Cannot use key file "${keyFile}": no such file`);
  }
  return {
    ...{ vnet, keyId: fakeKeyId(keyFile), active: false, hostCount: 0 },
    ...{ heldBy: [], usedBy: [], missingAt: [] },
  };
}
