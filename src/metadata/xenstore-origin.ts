/** Where a document of xenstore stands, `xenstore /xapi/…/private/vif/0 (vif5.0)`, as text. */

/** What the port of a VIF is known by. */
export type VifName = { readonly vif: string } | { readonly ifaceId: string };

/** Also that of what is wrong with the store itself. */
export const ORIGIN = "xenstore";
/** Of a VIF of Xen's, with the numbers of its domain and of the device. */
export const VIF_NAME = /^(?:vif|tap)([1-9]\d{0,4})\.(\d{1,5})(?:-emu)?$/;

export function originOf(path: string, about: string): string {
  return `${ORIGIN} ${path} (${about})`;
}

export function nameText(name: VifName): string {
  return "vif" in name ? name.vif : name.ifaceId;
}

/** Of the domain whose VIF it is about; null when it is about a VIF of no domain. */
export function domainIdOf(origin: string): number | null {
  const about = origin.slice(origin.lastIndexOf("(") + 1, -1);
  const domainId = VIF_NAME.exec(about)?.[1];
  return domainId === undefined ? null : Number(domainId);
}

export function groupByPath(origins: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const byPath = new Map<string, string[]>();
  for (const origin of origins) {
    const path = pathOfOrigin(origin);
    byPath.set(path, [...(byPath.get(path) ?? []), origin]);
  }
  return byPath;
}

function pathOfOrigin(origin: string): string {
  return origin.slice(ORIGIN.length + 1, origin.lastIndexOf(" ("));
}
