import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { after, before, describe, test } from "node:test";
import { type MetricsServer, serveMetrics } from "../../src/control/metrics-server.ts";
import { StatusPage } from "../../src/daemon/status-page.ts";
import { monotonicClock } from "../../src/host/clock.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { FakeControlApi } from "../control/fake-control-api.ts";
import { eventually } from "../netns/wait.ts";

describe("the status page", () => {
  const api = new FakeControlApi();
  let page: StatusPage;
  let server: MetricsServer;
  before(async () => {
    await api.createVnets([{ id: parseVnetId("97") }]);
    page = new StatusPage({
      ...{ traffic: api.traffic, hostName: "host-a", now: monotonicClock.now, intervalMs: 10 },
    });
    server = await serveMetrics({
      ...{ host: "127.0.0.1", tcpPort: 0, api, page, log: { info() {}, error() {} } },
    });
  });
  after(async () => {
    page.close();
    await server.close();
  });

  const url = (path: string): string => `http://127.0.0.1:${server.tcpPort}${path}`;

  async function ask(
    path: string,
    options: { readonly method?: string; readonly host?: string } = {},
  ): Promise<IncomingMessage> {
    const { method = "GET", host } = options;
    const headers = host === undefined ? {} : { host };
    const request = get(url(path), { method, headers, agent: false });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    return response;
  }

  async function textOf(response: IncomingMessage): Promise<string> {
    response.setEncoding("utf8");
    let text = "";
    for await (const chunk of response) {
      text += String(chunk);
    }
    return text;
  }

  test("is one document whose policy lets run nothing but itself", async () => {
    const response = await ask("/");
    const text = await textOf(response);
    assert.match(response.headers["content-type"] ?? "", /^text\/html; charset=utf-8$/);
    assert.match(text, /<th scope="row">97<\/th>/);
    const hashOf = (element: string): string => {
      const content = new RegExp(`<${element}>([^]*?)</${element}>`).exec(text)?.[1] ?? "";
      return `'sha256-${createHash("sha256").update(content).digest("base64")}'`;
    };
    assert.equal(
      response.headers["content-security-policy"],
      `default-src 'none'; script-src ${hashOf("script")}; style-src ${hashOf("style")}; ` +
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; " +
        "frame-ancestors 'none'",
    );
    assert.equal(response.headers["cache-control"], "no-store");
    assert.equal(response.headers["x-content-type-options"], "nosniff");
  });

  test("is only read, at a name of its own, and beside it are the metrics", async () => {
    const CASES: readonly (readonly [string, Parameters<typeof ask>[1], number])[] = [
      ["/", { method: "POST" }, 400],
      ["/", { method: "DELETE" }, 400],
      ["/", { method: "HEAD" }, 200],
      ["/", { host: "rebound.example:9798" }, 400],
      ["/live", { host: "rebound.example" }, 400],
      ["/", { host: "localhost:9798" }, 200],
      ["/", { host: "[::1]:9798" }, 200],
      ["/", { host: "10.0.0.1" }, 400],
      ["/metrics", { host: "prometheus.example" }, 200],
      ["/traffic", {}, 404],
      ["/vnets", {}, 404],
    ];
    for (const [path, options, status] of CASES) {
      const response = await ask(path, options);
      response.resume();
      assert.equal(response.statusCode, status, `${path} ${JSON.stringify(options)}`);
    }
  });

  test("sends its parts again and again while somebody looks, and then rests", async () => {
    const response = await ask("/live");
    assert.equal(response.headers["content-type"], "text/event-stream");
    response.setEncoding("utf8");
    let text = "";
    response.on("data", (chunk: string) => {
      text += chunk;
    });
    await eventually("three times", () => text.split("event: sections\n").length > 3);
    const data = /event: sections\ndata: (.*)\n\n/.exec(text)?.[1] ?? "";
    const sections = JSON.parse(data) as Record<string, string>;
    assert.deepEqual(Object.keys(sections), [
      ...["host", "problems", "picture", "vnets", "vifs", "hosts"],
    ]);
    assert.match(text, /out<\/dt><dd>800k bit\/s, 1\.00k frames\/s/);
    response.destroy();
    let readings = -1;
    await eventually("nothing is read any more", async () => {
      const former = readings;
      readings = api.traffic.asked.length;
      await new Promise((resolve) => setTimeout(resolve, 30));
      return former === readings;
    });
  });

  test("has room for sixteen, and again when one has gone", async () => {
    const readers: IncomingMessage[] = [];
    for (let count = 0; count < 16; count += 1) {
      readers.push(await ask("/live"));
    }
    const refused = await ask("/live");
    assert.equal(refused.statusCode, 409);
    assert.match(await textOf(refused), /VNETD_LIMIT/);
    readers.pop()?.destroy();
    await eventually("there is room", async () => {
      const response = await ask("/live");
      readers.push(response);
      return response.statusCode === 200;
    });
    for (const reader of readers) {
      reader.destroy();
    }
  });

  test("gives a slow reader the newest parts only", async () => {
    // Those of the test before may not be gone yet.
    const answer = await eventually("there is room", () => page.follow());
    assert.ok(answer.kind === "stream");
    const chunks = answer.chunks[Symbol.asyncIterator]();
    await chunks.next();
    const before = api.traffic.asked.length;
    await eventually("many readings", () => api.traffic.asked.length > before + 20);
    const seen = new TextDecoder().decode((await chunks.next()).value);
    assert.equal(seen.split("event: sections").length, 2);
    await chunks.return?.();
  });

  test("tells of a daemon that cannot answer, and goes on", async () => {
    const read = api.traffic.read.bind(api.traffic);
    let hasFailed = false;
    const flaky = new StatusPage({
      ...{ hostName: "a", now: monotonicClock.now, intervalMs: 5 },
      traffic: {
        read: async (parts) => {
          if (!hasFailed) {
            hasFailed = true;
            throw new Error("the data plane has gone");
          }
          return await read(parts);
        },
      },
    });
    const answer = flaky.follow();
    assert.ok(answer.kind === "stream");
    const events: string[] = [];
    for await (const chunk of answer.chunks) {
      events.push(new TextDecoder().decode(chunk).split("\n")[0] ?? "");
      if (events.length === 3) {
        flaky.close();
      }
    }
    assert.deepEqual(events, ["retry: 2000", "event: trouble", "event: sections"]);
    assert.throws(() => flaky.follow(), { code: "VNETD_STOPPING" });
  });
});
