/** What the machine of secure vnets shows: hosts and their states in words, keys and who has them. */
import { deriveTrafficKeys } from "../encap/key-schedule.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import type { VnetId } from "../net/vnet-id.ts";
import type {
  SecureHostState,
  SecureHostView,
  SecureKeyView,
  SecureSaView,
} from "./secure-events.ts";
import {
  type HostSa,
  type OwnSa,
  type Secure,
  type SecureHost,
  type SecureVnet,
  type Stranger,
  UNREACHABLE_AFTER_MS,
} from "./secure-state.ts";
import type { Millis } from "./varp-events.ts";

/** The other hosts of one vnet, or (null) of all. */
export function listSecureHosts(
  secure: Secure,
  vnet: VnetId | null,
  now: Millis,
): readonly SecureHostView[] {
  return vnetsOf(secure, vnet).flatMap((one) => {
    const hosts = [...one.hosts.values()].map((host) => viewHost(secure, one, { host, now }));
    const shown = new Set(hosts.map(({ senderId }) => senderId));
    const strangers = [...one.strangers.values()].filter(
      (stranger) => isStillHeard(stranger, now) && !shown.has(stranger.senderHex),
    );
    return [...hosts, ...strangers.map((stranger) => viewStranger(one, stranger, now))];
  });
}

/** The keys of one vnet, or (null) of all, and who has them. */
export function listSecureKeys(secure: Secure, vnet: VnetId | null): readonly SecureKeyView[] {
  return vnetsOf(secure, vnet).flatMap((one) => {
    const hosts = [...one.hosts.values()].filter(({ isUnreachable }) => !isUnreachable);
    return [...one.keys.keys()].map((keyId) => {
      const holders = hosts.filter(({ heldKeys }) => heldKeys.has(keyId));
      return {
        ...{ vnet: one.id, keyId, active: keyId === one.activeKeyId, hostCount: hosts.length },
        heldBy: holders.map(({ endpoint }) => endpoint),
        usedBy: hosts
          .filter((host) => currentSa(host)?.keyId === keyId)
          .map(({ endpoint }) => endpoint),
        missingAt: hosts
          .filter(({ heldKeys }) => !heldKeys.has(keyId))
          .map(({ endpoint }) => endpoint),
      };
    });
  });
}

/** All SAs of one vnet, or (null) of all, with their secret keys. */
export function exportSecureSas(secure: Secure, vnet: VnetId | null): readonly SecureSaView[] {
  return vnetsOf(secure, vnet).flatMap((one) => {
    const own = [one.send, one.next].flatMap((sa) =>
      sa === null ? [] : exportSa(secure, one, { sa, host: null }),
    );
    const others = [...one.hosts.values()].flatMap((host) =>
      host.sas.flatMap((sa) => exportSa(secure, one, { sa, host })),
    );
    return [...own, ...others];
  });
}

function exportSa(
  secure: Secure,
  vnet: SecureVnet,
  { sa, host }: { readonly sa: OwnSa; readonly host: SecureHost | null },
): readonly SecureSaView[] {
  const psk = vnet.keys.get(sa.keyId)?.psk;
  if (psk === undefined) {
    return [];
  }
  const senderId = host?.senderId ?? secure.senderId;
  const keys = deriveTrafficKeys(secure.crypto, psk, {
    ...{ ...sa, vnet: vnet.id, suite: vnet.suite, senderId },
  });
  const direction = host === null ? "send" : "receive";
  const { keyId, epoch, spi } = sa;
  const suite = vnet.suite.name;
  return [
    { vnet: vnet.id, direction, spi, suite, keyId, epoch, host: host?.endpoint ?? null, keys },
  ];
}

function viewHost(
  secure: Secure,
  vnet: SecureVnet,
  { host, now }: { readonly host: SecureHost; readonly now: Millis },
): SecureHostView {
  const current = currentSa(host);
  const stranger = vnet.strangers.get(formatEndpoint(host.endpoint));
  const state = stateOf(vnet, { host, stranger, now });
  const since = {
    up: host.provedAt,
    unreachable: host.heardAt,
    clone: host.heardAt,
    "stale key": current?.installedAt ?? host.provedAt,
    "key mismatch": stranger?.since ?? host.heardAt,
    "suite mismatch": stranger?.since ?? host.heardAt,
  }[state];
  return {
    ...{ vnet: vnet.id, host: host.endpoint, senderId: host.senderHex, state },
    ...{ sinceMs: now - since, heardMs: now - host.heardAt },
    keyId: current?.keyId ?? null,
    spi: current?.spi ?? null,
    epoch: current?.epoch ?? null,
    mtuBytes: host.mtuBytes,
    pathMtuBytes: host.pathMtuBytes ?? pathMtuOf(secure, host),
    csum: host.checksumPartial,
  };
}

function viewStranger(vnet: SecureVnet, stranger: Stranger, now: Millis): SecureHostView {
  return {
    ...{ vnet: vnet.id, host: stranger.endpoint, senderId: stranger.senderHex },
    ...{ state: stranger.problem, sinceMs: now - stranger.since, heardMs: now - stranger.heardAt },
    ...{ keyId: null, spi: null, epoch: null, mtuBytes: null, pathMtuBytes: null, csum: false },
  };
}

function stateOf(
  vnet: SecureVnet,
  {
    host,
    stranger,
    now,
  }: {
    readonly host: SecureHost;
    readonly stranger: Stranger | undefined;
    readonly now: Millis;
  },
): SecureHostState {
  if (host.cloneUntil > now) {
    return "clone";
  }
  if (now - host.heardAt >= UNREACHABLE_AFTER_MS) {
    const speaks = stranger !== undefined && isStillHeard(stranger, now);
    return speaks ? stranger.problem : "unreachable";
  }
  const keyId = currentSa(host)?.keyId;
  return keyId === undefined || keyId === vnet.activeKeyId ? "up" : "stale key";
}

/** What another vnet has found of the same path, or this one before the daemon was started. */
function pathMtuOf(secure: Secure, host: SecureHost): number | null {
  const name = formatEndpoint(host.endpoint);
  const prober = secure.probers.get(name);
  const hosts = prober === undefined ? undefined : secure.vnets.get(prober)?.hosts.values();
  const same = [...(hosts ?? [])].find(({ endpoint }) => formatEndpoint(endpoint) === name);
  return same?.pathMtuBytes ?? secure.paths.get(host.endpoint.address) ?? null;
}

function currentSa({ sas }: SecureHost): HostSa | undefined {
  return sas.find(({ role }) => role === "current");
}

function isStillHeard({ heardAt }: Stranger, now: Millis): boolean {
  return now - heardAt < UNREACHABLE_AFTER_MS;
}

function vnetsOf(secure: Secure, id: VnetId | null): readonly SecureVnet[] {
  return [...secure.vnets.values()].filter((vnet) => id === null || vnet.id === id);
}
