/** Which domain each VM is now, by what xenstore says; a VM that migrates to its own host is two. */
import { isWrittenByDom0Only, type Xenstore } from "../host/xenstore.ts";

/** Domain ids by VM uuid, lower case. */
export type XenDomains = ReadonlyMap<string, ReadonlySet<number>>;

const VM_PATH = /^\/vm\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;
const DOMAIN_ID = /^[1-9]\d{0,4}$/;

/** @throws XenstoreError */
export async function readDomainIds(store: Xenstore): Promise<XenDomains> {
  const domains = new Map<string, Set<number>>();
  const add = (vm: string, domainId: string): void => {
    const key = vm.toLowerCase();
    domains.set(key, (domains.get(key) ?? new Set()).add(Number(domainId)));
  };
  const [running, vms] = await Promise.all([store.list("/local/domain"), store.list("/xapi")]);
  await Promise.all([
    ...(running ?? [])
      .filter((domainId) => DOMAIN_ID.test(domainId))
      .map(async (domainId) => {
        const vm = await readVm(store, domainId);
        if (vm !== null) {
          add(vm, domainId);
        }
      }),
    ...(vms ?? []).map(async (vm) => {
      const domainIds = (await store.list(`/xapi/${vm}/hotplug`)) ?? [];
      for (const domainId of domainIds.filter((name) => DOMAIN_ID.test(name))) {
        add(vm, domainId);
      }
    }),
  ]);
  return domains;
}

/**
 * The uuid of the VM that a domain is; null when it is none.
 *
 * @throws XenstoreError
 */
export async function readVm(store: Xenstore, domainId: string): Promise<string | null> {
  const path = `/local/domain/${domainId}/vm`;
  const [text, permissions] = await Promise.all([store.read(path), store.permissions(path)]);
  // A guest that could write it would have itself taken for another VM.
  if (text === null || permissions === null || !isWrittenByDom0Only(permissions)) {
    return null;
  }
  return VM_PATH.exec(text)?.[1]?.toLowerCase() ?? null;
}
