/** What the control API offers of keys, done: the daemon's side of src/control/keys-api.ts. */
import type { VnetRef } from "../control/api.ts";
import { ControlError } from "../control/control-error.ts";
import type { KeysApi, KeyView, SaExportView } from "../control/keys-api.ts";
import { quoteValue } from "../net/parse-error.ts";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import { findVnet } from "../vnet/desired-state.ts";
import { formatKeyId, parseKeyId } from "../vnet/key-ring.ts";
import type { SecureKeyView } from "../vnet/secure-events.ts";
import { type KeyRings, readKeyFile } from "./key-rings.ts";
import type { Log } from "./log.ts";
import type { Overlay } from "./overlay.ts";
import type { SaExports } from "./sa-export.ts";

export type KeyServiceOptions = {
  readonly overlay: Overlay;
  readonly keyRings: KeyRings;
  /** What is known of other hosts' keys; one entry a key of a ring that is in use. */
  readonly listHolders: () => readonly SecureKeyView[];
  readonly saExports: SaExports;
  readonly udpPort: number;
  readonly refuseWhenStopping: () => void;
  readonly log: Log;
};

export class KeyService implements KeysApi {
  readonly #options: KeyServiceOptions;

  constructor(options: KeyServiceOptions) {
    this.#options = options;
  }

  async list(refs: readonly VnetRef[]): Promise<readonly KeyView[]> {
    const { desired } = this.#options.overlay;
    const vnets =
      refs.length > 0
        ? refs.map((ref) => this.#need(ref))
        : desired.vnets.filter(({ security }) => security !== "none").map(({ id }) => id);
    return vnets.flatMap((vnet) => this.#view(vnet));
  }

  async add(ref: VnetRef, keyFile: string): Promise<KeyView> {
    this.#options.refuseWhenStopping();
    const key = await readKeyFile(keyFile);
    return await this.#change(ref, "added a key", async (vnet) => {
      await this.#options.keyRings.add(vnet, key);
      return key.id;
    });
  }

  async activate(ref: VnetRef, keyId: string): Promise<KeyView> {
    this.#options.refuseWhenStopping();
    return await this.#change(ref, "activated a key", async (vnet) => {
      const id = parseKeyId(keyId);
      await this.#options.keyRings.activate(vnet, id);
      return id;
    });
  }

  async delete(ref: VnetRef, keyId: string): Promise<void> {
    this.#options.refuseWhenStopping();
    const { overlay, keyRings, log } = this.#options;
    await overlay.exclusively(async () => {
      const vnet = this.#need(ref);
      await keyRings.delete(vnet, parseKeyId(keyId));
      log.info({ vnet: shortVnetId(vnet), key: keyId }, "deleted a key");
      await overlay.bring();
    });
  }

  async exportSas(ref: VnetRef): Promise<SaExportView> {
    const { saExports, udpPort } = this.#options;
    return { file: await saExports.write(this.#need(ref)), udpPort };
  }

  #change(ref: VnetRef, done: string, change: (vnet: VnetId) => Promise<number>): Promise<KeyView> {
    const { overlay, log } = this.#options;
    return overlay.exclusively(async () => {
      const vnet = this.#need(ref);
      const id = await change(vnet);
      const keyId = formatKeyId(id);
      log.info({ vnet: shortVnetId(vnet), key: keyId }, done);
      await overlay.bring();
      const view = this.#view(vnet).find((key) => key.keyId === keyId);
      if (view === undefined) {
        throw new Error(`key ${keyId} of vnet ${shortVnetId(vnet)} was changed and is not there`);
      }
      return view;
    });
  }

  /** @throws ControlError */
  #need(ref: VnetRef): VnetId {
    const vnet = findVnet(this.#options.overlay.desired, ref);
    if (vnet === null) {
      throw new ControlError("VNETD_UNKNOWN_VNET", `No vnet ${quoteValue(ref)} on this host`);
    }
    if (vnet.security === "none") {
      const message = `Vnet ${shortVnetId(vnet.id)} has no keys: its security is none`;
      throw new ControlError("VNETD_NO_SECURITY", message);
    }
    return vnet.id;
  }

  /** A ring that cannot be read has no keys to show; `vn vnets` has its error. */
  #view(vnet: VnetId): readonly KeyView[] {
    const ring = this.#options.keyRings.find(vnet);
    const holders = this.#options.listHolders().filter((key) => key.vnet === vnet);
    return (ring?.keys ?? []).map(({ id }) => {
      const known = holders.find(({ keyId }) => keyId === id);
      return {
        ...{ vnet, keyId: formatKeyId(id), active: id === ring?.activeId },
        hostCount: known?.hostCount ?? 0,
        heldBy: known?.heldBy ?? [],
        usedBy: known?.usedBy ?? [],
        missingAt: known?.missingAt ?? [],
      };
    });
  }
}
