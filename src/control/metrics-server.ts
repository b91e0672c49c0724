/**
 * What `vnetd` serves over TCP: `GET /metrics` for a Prometheus that is not on this host, and, if
 * it was asked for, the status page. Both are only read, by anybody who gets there; the page is
 * for this host's own users, and so is served on a loopback address only (daemon/config.ts).
 */
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { isLoopbackIp, parseIpAddress } from "../net/ip-address.ts";
import { quoteValue } from "../net/parse-error.ts";
import type { ControlApi } from "./api.ts";
import { ControlError } from "./control-error.ts";
import type { ControlAnswer } from "./route.ts";
import { METRICS_TYPE } from "./routes.ts";
import {
  type ControlLog,
  type ControlServer,
  closeServer,
  httpServer,
  logFailures,
} from "./server.ts";

export type MetricsServer = ControlServer & {
  /** The port that was bound, when 0 was asked for. */
  readonly tcpPort: number;
};

/** The status page, whatever is on it. */
export type ServedPage = {
  /** The document, with its headers. */
  open(): Promise<ControlAnswer>;
  /** Its parts from now on, as server-sent events. */
  follow(): ControlAnswer;
};

export type ServeMetricsOptions = {
  readonly host: string;
  /** 0: any that is free. */
  readonly tcpPort: number;
  readonly api: Pick<ControlApi, "metrics">;
  /** Left out: there is none. */
  readonly page?: ServedPage;
  readonly log: ControlLog;
};

type Answerer = () => ControlAnswer | Promise<ControlAnswer>;

const HEADER_BYTES_MAX = 8 * 1024;

/** @throws the system's error, such as EADDRINUSE */
export async function serveMetrics(options: ServeMetricsOptions): Promise<MetricsServer> {
  const { host, tcpPort, log } = options;
  const paths = pathsOf(options);
  const server = httpServer(log, HEADER_BYTES_MAX, async (request) => {
    const path = (request.url ?? "").split("?")[0] ?? "";
    const answerer = paths.get(path);
    if (answerer === undefined) {
      const known = [...paths.keys()].join(", ");
      throw new ControlError("VNETD_UNKNOWN_PATH", `Here is nothing but ${known}`);
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      throw new ControlError("VNETD_METHOD_NOT_ALLOWED", `${path} takes GET`);
    }
    if (path !== "/metrics") {
      requireOwnName(request);
    }
    return await answerer();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(tcpPort, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  logFailures(server, log);
  const address = server.address();
  const boundPort = typeof address === "object" && address !== null ? address.port : tcpPort;
  return { tcpPort: boundPort, close: () => closeServer(server) };
}

function pathsOf({ api, page }: ServeMetricsOptions): ReadonlyMap<string, Answerer> {
  const metrics: Answerer = async () => ({
    ...{ kind: "text", status: 200, type: METRICS_TYPE, text: await api.metrics() },
  });
  return new Map<string, Answerer>([
    ["/metrics", metrics],
    ...(page === undefined
      ? []
      : ([
          ["/", () => page.open()],
          ["/live", () => page.follow()],
        ] as const)),
  ]);
}

/**
 * A page of somebody else, open in a browser of this host, may have its own name point to
 * 127.0.0.1 and would then read ours as its own (DNS rebinding). It cannot choose the Host header.
 *
 * @throws ControlError
 */
function requireOwnName({ headers }: IncomingMessage): void {
  const host = (headers.host ?? "").replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  const isOwn = host === "localhost" || (isIP(host) !== 0 && isLoopbackIp(parseIpAddress(host)));
  if (!isOwn) {
    const message = `The status page is at localhost only: ${quoteValue(headers.host ?? "")}`;
    throw new ControlError("VNETD_BAD_REQUEST", message);
  }
}
