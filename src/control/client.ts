/**
 * The control API's client: a ControlApi whose methods are requests on the
 * daemon's socket. One connection a request; it holds nothing.
 */
import type { ControlApi, VnetRef } from "./api.ts";
import { createVifRulesClient } from "./client-vif-rules.ts";
import { ControlError, type ControlErrorCode, isControlErrorCode } from "./control-error.ts";
import type { EventFilter } from "./events-api.ts";
import { exchangeHttp, type HttpReply, type HttpRequest } from "./http-exchange.ts";
import { type HttpStream, streamHttp } from "./http-stream.ts";

/** Nobody answers on the socket; `vn` ends with exit status 3. */
export class NoDaemonError extends Error {
  override readonly name = "NoDaemonError";
  readonly code = "VNETD_NO_DAEMON";
}

/** A thousand vnets are created in seconds; silence for this long is a daemon that hangs. */
const SILENCE_MS_MAX = 60_000;
/** The kernel takes about 30 ms to remove a device, and a vnet has up to two. */
const SILENCE_MS_PER_DELETED = 200;

const UNREACHABLE = new Set(["ENOENT", "ECONNREFUSED", "ENOTSOCK", "ENOTDIR", "EACCES", "EPERM"]);

export function createControlClient(socketPath: string): ControlApi {
  const get = async <T>(path: string): Promise<T> =>
    parseJson(await exchange(socketPath, { method: "GET", path })) as T;
  const post = async <T>(path: string, body: unknown): Promise<T> => {
    const reply = await exchange(socketPath, { method: "POST", path, body });
    return (reply.text === "" ? undefined : parseJson(reply)) as T;
  };
  const remove = async (path: string, silenceMsMax?: number): Promise<void> => {
    await exchange(socketPath, { method: "DELETE", path }, silenceMsMax);
  };
  return {
    keys: {
      list: (vnets) => get(`/keys${queryOf(vnets)}`),
      add: (vnet, keyFile) => post("/keys", { vnet, keyFile }),
      activate: (vnet, keyId) => post(keyPath(vnet, keyId), { state: "active" }),
      delete: (vnet, keyId) => remove(keyPath(vnet, keyId)),
      exportSas: (vnet) => post("/sa-exports", { vnet }),
    },
    vifRules: createVifRulesClient({ get, post, remove }),
    libvirt: { hook: (call) => post("/libvirt-hook", call) },
    traffic: { read: (parts) => get(`/traffic?${parts.map((part) => `part=${part}`).join("&")}`) },
    status: () => get("/status"),
    listVnets: (vnets) => get(`/vnets${queryOf(vnets)}`),
    createVnets: (vnets) => post("/vnets", vnets),
    deleteVnets: (vnets, { bridge }) =>
      remove(
        `/vnets${queryOf(vnets, bridge ? ["bridge=true"] : [])}`,
        SILENCE_MS_MAX + vnets.length * SILENCE_MS_PER_DELETED,
      ),
    listVifs: (vnets) => get(`/vifs${queryOf(vnets)}`),
    addVif: (vnet, vif) => post("/vifs", { vnet, ...vif }),
    deleteVif: (vnet, vif) =>
      remove(
        "mac" in vif
          ? `/vifs/${encodeURIComponent(vnet)}/${vif.mac}`
          : `/vifs/${encodeURIComponent(vnet)}?device=${encodeURIComponent(vif.device)}`,
      ),
    listPeers: () => get("/peers"),
    addPeer: (host, udpPort) => post("/peers", udpPort === null ? { host } : { host, udpPort }),
    deletePeer: (host) => remove(`/peers/${encodeURIComponent(host)}`),
    listVarp: (vnets) => get(`/varp${queryOf(vnets)}`),
    capture: (vnet, { snapBytes }) =>
      stream(socketPath, `/captures/${encodeURIComponent(vnet)}?snapBytes=${snapBytes}`),
    watchEvents: (filter) => stream(socketPath, `/events${eventQuery(filter)}`),
    flushVarp: () => remove("/varp"),
    stats: (vnet) => get(`/stats${queryOf(vnet === null ? [] : [vnet])}`),
    evaluate: async (expression) =>
      (await post<{ readonly output: string }>("/eval", { expression })).output,
    metrics: async () => (await exchange(socketPath, { method: "GET", path: "/metrics" })).text,
  };
}

function queryOf(vnets: readonly VnetRef[], more: readonly string[] = []): string {
  const pairs = [...vnets.map((vnet) => `vnet=${encodeURIComponent(vnet)}`), ...more];
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

function eventQuery({ events, vnets, peers, vifs }: EventFilter): string {
  const pairs = Object.entries({ event: events, vnet: vnets, peer: peers, vif: vifs }).flatMap(
    ([key, values]) => values.map((value) => `${key}=${encodeURIComponent(value)}`),
  );
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

function keyPath(vnet: VnetRef, keyId: string): string {
  return `/keys/${encodeURIComponent(vnet)}/${encodeURIComponent(keyId)}`;
}

/** @throws NoDaemonError, ControlError */
async function stream(socketPath: string, target: string): Promise<AsyncIterable<Uint8Array>> {
  let answer: HttpStream;
  try {
    answer = await streamHttp(socketPath, { method: "GET", target, body: null });
  } catch (error) {
    throw connectionError(socketPath, error as NodeJS.ErrnoException);
  }
  if (answer.kind === "reply") {
    throw readError(answer.reply);
  }
  return answer.chunks;
}

/** @throws NoDaemonError, ControlError */
async function exchange(
  socketPath: string,
  call: { readonly method: HttpRequest["method"]; readonly path: string; readonly body?: unknown },
  silenceMsMax = SILENCE_MS_MAX,
): Promise<HttpReply> {
  const { method, path: target } = call;
  const body = call.body === undefined ? null : JSON.stringify(call.body);
  let reply: HttpReply;
  try {
    reply = await exchangeHttp({ socketPath, silenceMsMax }, { method, target, body });
  } catch (error) {
    throw connectionError(socketPath, error as NodeJS.ErrnoException);
  }
  if (reply.status >= 400) {
    throw readError(reply);
  }
  return reply;
}

function connectionError(socketPath: string, error: NodeJS.ErrnoException): Error {
  const { code } = error;
  if (code === undefined || !UNREACHABLE.has(code)) {
    // Whether the daemon has done it, nobody knows: it went away between request and answer.
    return new ControlError("VNETD_STOPPING", `vnetd gave no answer: ${error.message}`, {
      cause: error,
    });
  }
  const remedy =
    code === "EACCES" || code === "EPERM"
      ? "permission denied, be root or a member of the group vnetd"
      : "is it running? start vnetd as root with the same --run-dir";
  return new NoDaemonError(`cannot reach vnetd: ${remedy} (${socketPath})`, { cause: error });
}

function parseJson(reply: HttpReply): unknown {
  try {
    return JSON.parse(reply.text) as unknown;
  } catch (error) {
    throw new ControlError("VNETD_INTERNAL", "vnetd answered with something that is not JSON", {
      cause: error,
    });
  }
}

/** Codes that a newer daemon may have are kept in the message, and their class by the status. */
function readError(reply: HttpReply): ControlError {
  const { code, message } = errorOf(reply);
  if (isControlErrorCode(code)) {
    return new ControlError(code, message);
  }
  return new ControlError(codeForStatus(reply.status), `${message} [${code}]`);
}

function errorOf(reply: HttpReply): { readonly code: string; readonly message: string } {
  const value = parseJson(reply) as {
    readonly error?: { readonly code?: unknown; readonly message?: unknown };
  } | null;
  return {
    code: String(value?.error?.code ?? `HTTP ${reply.status}`),
    message: String(value?.error?.message ?? "vnetd refused the request"),
  };
}

function codeForStatus(status: number): ControlErrorCode {
  if (status === 404) {
    return "VNETD_UNKNOWN_PATH";
  }
  if (status === 409) {
    return "VNETD_LIMIT";
  }
  return status < 500 ? "VNETD_BAD_REQUEST" : "VNETD_INTERNAL";
}
