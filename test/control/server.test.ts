import assert from "node:assert/strict";
import { mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { request } from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createControlClient, NoDaemonError } from "../../src/control/client.ts";
import { ControlError } from "../../src/control/control-error.ts";
import { serveMetrics } from "../../src/control/metrics-server.ts";
import {
  BODY_BYTES_MAX,
  type ControlLog,
  type ControlServer,
  serveControl,
} from "../../src/control/server.ts";
import { describeContract } from "./contract.ts";
import { FakeControlApi } from "./fake-control-api.ts";
import { sendRaw } from "./raw-http.ts";

const DEVICE = { name: "tap0", mac: "00:16:3e:00:00:aa" };

describeContract({
  subject: "FakeControlApi",
  device: DEVICE,
  start: async () => ({ api: new FakeControlApi(), close: async () => {} }),
});

describeContract({
  subject: "createControlClient() over serveControl()",
  device: DEVICE,
  start: async () => {
    const served = await serve(new FakeControlApi());
    return { api: createControlClient(served.socketPath), close: served.close };
  },
});

describe("serveControl()", () => {
  let served: Served;
  before(async () => {
    served = await serve(new FakeControlApi());
    await call(served, "POST", "/vnets", '{"id":"97"}');
  });
  after(async () => {
    await served.close();
  });

  const REFUSED: readonly (readonly [
    claim: string,
    method: string,
    target: string,
    body: string | Buffer | null,
    status: number,
    code: string,
    message: RegExp,
  ])[] = [
    ["a path that is none", "GET", "/nothing", null, 404, "VNETD_UNKNOWN_PATH", /"\/nothing"/],
    ["a path too deep", "GET", "/vnets/97/x", null, 404, "VNETD_UNKNOWN_PATH", /vnets/],
    ["an empty segment", "GET", "/vnets/", null, 404, "VNETD_UNKNOWN_PATH", /vnets/],
    ["a target that is no path", "OPTIONS", "*", null, 404, "VNETD_UNKNOWN_PATH", /\*/],
    [
      "another method",
      "PUT",
      "/vnets",
      "{}",
      400,
      "VNETD_METHOD_NOT_ALLOWED",
      /GET, POST, DELETE: "PUT"/,
    ],
    ["a method of another path", "POST", "/status", "{}", 400, "VNETD_METHOD_NOT_ALLOWED", /GET/],
    ["bad percent encoding", "GET", "/vnets/%zz", null, 400, "VNETD_BAD_REQUEST", /percent.*"%zz"/],
    ["a cut UTF-8 sequence", "GET", "/vnets/%e2%82", null, 400, "VNETD_BAD_REQUEST", /percent/],
    ["a NUL in a name", "GET", "/vnets/a%00b", null, 400, "VNETD_PARSE", /Neither a vnet id nor/],
    ["an unknown query key", "GET", "/vnets?vnte=97", null, 400, "VNETD_BAD_REQUEST", /"vnte"/],
    [
      "a query key twice",
      "GET",
      "/stats?vnet=97&vnet=98",
      null,
      400,
      "VNETD_BAD_REQUEST",
      /more than once: vnet/,
    ],
    ["a flag that is none", "DELETE", "/vnets/97?bridge=yes", null, 400, "VNETD_PARSE", /"yes"/],
    ["a delete of nothing", "DELETE", "/vnets", null, 400, "VNETD_BAD_REQUEST", /none is named/],
    [
      "a vif of nothing",
      "DELETE",
      "/vifs/97",
      null,
      400,
      "VNETD_BAD_REQUEST",
      /no MAC and no device/,
    ],
    ["a body where none belongs", "GET", "/vnets", "{}", 400, "VNETD_BAD_REQUEST", /takes no body/],
    [
      "no body where one belongs",
      "POST",
      "/vnets",
      null,
      400,
      "VNETD_BAD_REQUEST",
      /needs a JSON body/,
    ],
    ["broken JSON", "POST", "/vnets", '{"id":', 400, "VNETD_BAD_REQUEST", /not JSON/],
    [
      "JSON that is not UTF-8",
      "POST",
      "/vnets",
      Buffer.from([0x22, 0xff, 0x22]),
      400,
      "VNETD_BAD_REQUEST",
      /UTF-8/,
    ],
    ["JSON null", "POST", "/vnets", "null", 400, "VNETD_BAD_REQUEST", /expected object/],
    ["an empty list", "POST", "/vnets", "[]", 400, "VNETD_BAD_REQUEST", />=1 items/],
    [
      "an unknown key, by its path",
      "POST",
      "/vnets",
      '[{"id":"98"},{"id":"99","bridg":"x"}]',
      400,
      "VNETD_BAD_REQUEST",
      /\[1\]: .*"bridg"/,
    ],
    [
      "a key of the prototype",
      "POST",
      "/vnets",
      '{"id":"98","__proto__":{"ovs":true}}',
      400,
      "VNETD_BAD_REQUEST",
      /__proto__/,
    ],
    [
      "an id of the wrong type",
      "POST",
      "/vnets",
      '{"id":97}',
      400,
      "VNETD_BAD_REQUEST",
      /id: .*string/,
    ],
    ["an id that is none", "POST", "/vnets", '{"id":"12345"}', 400, "VNETD_PARSE", /id: .*"12345"/],
    ["vnet id 0", "POST", "/vnets", '{"id":"0:0"}', 400, "VNETD_PARSE", /id 0/],
    ["vnet id 1", "POST", "/vnets", '{"id":"1"}', 400, "VNETD_RESERVED_VNET_ID", /physical/],
    [
      "a name of 16 bytes",
      "POST",
      "/vnets",
      '{"id":"98","vnetif":"abcdefghijklmnop"}',
      400,
      "VNETD_PARSE",
      /vnetif: .*15 bytes.*"abcdefghijklmnop"/,
    ],
    ["an MTU of 1.5", "POST", "/vnets", '{"id":"98","mtu":1.5}', 400, "VNETD_BAD_REQUEST", /mtu/],
    [
      "a secure vnet without a key",
      "POST",
      "/vnets",
      '{"id":"98","security":"conf"}',
      400,
      "VNETD_PARSE",
      /needs the file of a key/,
    ],
    [
      "a key file by a path of the caller's folder",
      "POST",
      "/vnets",
      '{"id":"98","security":"conf","keyFile":"k"}',
      400,
      "VNETD_PARSE",
      /keyFile: Not an absolute path: "k"/,
    ],
    [
      "a key itself",
      "POST",
      "/keys",
      '{"vnet":"97","key":"c2VjcmV0"}',
      400,
      "VNETD_BAD_REQUEST",
      /keyFile/,
    ],
    [
      "a key of a vnet without security",
      "POST",
      "/keys",
      '{"vnet":"97","keyFile":"/k"}',
      409,
      "VNETD_NO_SECURITY",
      /no keys/,
    ],
    [
      "a level that is none",
      "POST",
      "/vnets",
      '{"id":"98","security":"high"}',
      400,
      "VNETD_PARSE",
      /"high"/,
    ],
    ["a vnet that exists", "POST", "/vnets", '{"id":"97"}', 409, "VNETD_VNET_EXISTS", /97/],
    ["a vnet that is not here", "GET", "/vnets/98", null, 404, "VNETD_UNKNOWN_VNET", /"98"/],
    ["a MAC that is none", "DELETE", "/vifs/97/00:16:3e", null, 400, "VNETD_PARSE", /"00:16:3e"/],
    [
      "a vif with both",
      "POST",
      "/vifs",
      '{"vnet":"97","mac":"02:00:00:00:00:01","device":"tap0"}',
      400,
      "VNETD_BAD_REQUEST",
      /"mac"/,
    ],
    ["a vif with neither", "POST", "/vifs", '{"vnet":"97"}', 400, "VNETD_BAD_REQUEST", /mac: /],
    [
      "a peer port above the last",
      "POST",
      "/peers",
      '{"host":"192.0.2.9","udpPort":65536}',
      400,
      "VNETD_BAD_REQUEST",
      /udpPort: .*65535/,
    ],
    [
      "a host with a space",
      "POST",
      "/peers",
      '{"host":"a b"}',
      400,
      "VNETD_PARSE",
      /host: .*"a b"/,
    ],
    ["a host like an option", "DELETE", "/peers/-x", null, 400, "VNETD_PARSE", /"-x"/],
  ];
  for (const [claim, method, target, body, status, code, message] of REFUSED) {
    test(`refuses ${claim} and changes nothing`, async () => {
      const before = await served.api.listVnets([]);
      const answer = await call(served, method, target, body);
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.type, "application/json");
      const { error } = JSON.parse(answer.text) as { error: { code: string; message: string } };
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n/);
      assert.deepEqual(await served.api.listVnets([]), before);
      assert.deepEqual(served.logged, []);
    });
  }

  const BYTES: readonly (readonly [claim: string, bytes: string, code: string])[] = [
    ["a line that is not HTTP", "(vnet.list)\n\r\n\r\n", "VNETD_BAD_REQUEST"],
    ["a TLS greeting", "\u0016\u0003\u0001\u0002\u0000\u0001", "VNETD_BAD_REQUEST"],
    ["headers without end", `GET / HTTP/1.1\r\nX: ${"a".repeat(1_100_000)}`, "VNETD_TOO_LARGE"],
    [
      "a header with a control character",
      "GET /status HTTP/1.1\r\nHost: x\r\nA: \u0001\r\n\r\n",
      "VNETD_BAD_REQUEST",
    ],
    [
      "a length and chunks at once",
      "POST /eval HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "VNETD_BAD_REQUEST",
    ],
    [
      "a negative length",
      "POST /eval HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
      "VNETD_BAD_REQUEST",
    ],
    [
      "an expectation",
      "GET /status HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n",
      "VNETD_BAD_REQUEST",
    ],
  ];
  for (const [claim, bytes, code] of BYTES) {
    test(`answers 400 to ${claim} and hangs up`, async () => {
      const answer = await sendRaw(served.socketPath, Buffer.from(bytes, "latin1"), { end: false });
      assert.equal(answer.status, 400);
      assert.equal((JSON.parse(answer.body) as { error: { code: string } }).error.code, code);
      assert.match(answer.headers, /Connection: close/i);
    });
  }

  test("takes a query that names a thousand vnets", async () => {
    const ids = Array.from(
      { length: 1_000 },
      (_, index) => `0:0:0:0:0:0:0:${(index + 4_096).toString(16)}`,
    );
    const client = createControlClient(served.socketPath);
    await assert.rejects(client.deleteVnets(ids, { bridge: false }), {
      code: "VNETD_UNKNOWN_VNET",
    });
  });

  test("answers 400 to a request that does not arrive in time, and hangs up", async () => {
    const answer = await sendRaw(served.socketPath, "GET /status HTTP/1.1\r\nHost", { end: false });
    assert.equal(answer.status, 400);
    assert.match(answer.body, /took too long/);
  });

  test("refuses a body above the limit, and its sender sees the answer", async () => {
    const answer = await call(served, "POST", "/eval", Buffer.alloc(BODY_BYTES_MAX + 1, 0x20));
    assert.equal(answer.status, 400);
    assert.match(answer.text, /VNETD_TOO_LARGE/);
  });

  test("serves on after a caller that hangs up in the middle of a body", async () => {
    await new Promise<void>((resolve, reject) => {
      const socket = connect(served.socketPath, () => {
        socket.write("POST /vnets HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", () => {
          socket.destroy();
          resolve();
        });
      });
      socket.once("error", reject);
    });
    assert.equal((await call(served, "GET", "/status", null)).status, 200);
    assert.deepEqual(served.logged, []);
  });

  test("answers requests in a pipeline in their order", async () => {
    const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
    const answer = await sendRaw(
      served.socketPath,
      get("/vnets/97") + get("/nothing") + get("/peers", "Connection: close\r\n"),
    );
    assert.deepEqual(
      [
        answer.status,
        ...[...answer.body.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status)),
      ],
      [200, 404, 200],
    );
  });

  test("answers HEAD as GET without the body", async () => {
    const answer = await call(served, "HEAD", "/status", null);
    assert.deepEqual([answer.status, answer.text], [200, ""]);
  });

  test("takes a bare vnet as well as a list, with any content type", async () => {
    const answer = await call(served, "POST", "/vnets", '{"id":"abc","vnetif":"vnif\u00e9"}');
    assert.equal(answer.status, 201);
    const [vnet] = JSON.parse(answer.text) as readonly { id: string; vnetif: string }[];
    assert.deepEqual(
      [vnet?.id, vnet?.vnetif],
      ["0000:0000:0000:0000:0000:0000:0000:0abc", "vnif\u00e9"],
    );
    const shown = await call(served, "GET", `/vnets/${encodeURIComponent("vnif\u00e9")}`, null);
    assert.equal(shown.status, 200);
    assert.equal((await call(served, "DELETE", "/vnets/abc", null)).status, 204);
  });
});

describe("serveControl() and failures of ours", () => {
  test("answers an unexpected error with 500, without its text, and logs it once", async () => {
    const api = new FakeControlApi();
    api.status = async () => {
      throw new TypeError("secret detail");
    };
    const served = await serve(api);
    try {
      const answer = await call(served, "GET", "/status", null);
      assert.equal(answer.status, 500);
      assert.match(answer.text, /VNETD_INTERNAL/);
      assert.doesNotMatch(answer.text, /secret/);
      assert.equal(served.logged.length, 1);
    } finally {
      await served.close();
    }
  });

  test("gives on a ControlError and an error that carries one of its codes, in one line", async () => {
    const api = new FakeControlApi();
    const failures = [
      new ControlError(
        "VNETD_HOST_FAILED",
        "Cannot create the vnet: ip exited 2:\n  no permission\n",
      ),
      Object.assign(new Error("the switch is gone"), { code: "VNETD_OVS_FAILED" }),
    ];
    api.flushVarp = async () => {
      throw failures.shift();
    };
    const served = await serve(api);
    try {
      const client = createControlClient(served.socketPath);
      await assert.rejects(client.flushVarp(), {
        code: "VNETD_HOST_FAILED",
        message: "Cannot create the vnet: ip exited 2: no permission",
      });
      await assert.rejects(client.flushVarp(), { code: "VNETD_OVS_FAILED", status: 500 });
      assert.deepEqual(served.logged, []);
    } finally {
      await served.close();
    }
  });
});

describe("serveControl() and its socket", () => {
  test("lets nobody but the owner in when the group is not on the host", async () => {
    const served = await serve(new FakeControlApi(), "no-such-group");
    const { mode } = await stat(served.socketPath);
    await served.close();
    assert.equal(mode & 0o777, 0o600);
  });

  test("lets the group in when it is on the host", { skip: process.getuid?.() !== 0 }, async () => {
    const served = await serve(new FakeControlApi(), "daemon");
    const { mode, uid, gid } = await stat(served.socketPath);
    await served.close();
    assert.deepEqual([mode & 0o777, uid, gid], [0o660, 0, 1]);
  });

  test("leaves nothing in the directory after close()", async () => {
    const served = await serve(new FakeControlApi());
    assert.deepEqual(await readdir(served.directory), ["vnetd.sock"]);
    await served.server.close();
    assert.deepEqual(await readdir(served.directory), []);
    await served.close();
  });

  test("close() lets a running request end", async () => {
    const api = new FakeControlApi();
    let release = () => {};
    const entered = new Promise<void>((resolve) => {
      api.flushVarp = async () => {
        resolve();
        await new Promise<void>((done) => {
          release = done;
        });
      };
    });
    const served = await serve(api);
    const flushed = createControlClient(served.socketPath).flushVarp();
    await entered;
    const closed = served.server.close();
    release();
    await Promise.all([flushed, closed]);
    await served.close();
  });

  test("takes the place of a socket that nobody serves, never of one that is served", async () => {
    const served = await serve(new FakeControlApi());
    const { socketPath } = served;
    await assert.rejects(serveControl({ socketPath, api: new FakeControlApi(), log: served.log }), {
      code: "EADDRINUSE",
    });
    assert.deepEqual(await readdir(served.directory), ["vnetd.sock"]);
    assert.equal((await createControlClient(socketPath).status()).serving, true);
    await served.close();

    const stale = await serveStale();
    const again = await serveControl({
      socketPath: stale.socketPath,
      api: new FakeControlApi(),
      log: served.log,
    });
    assert.equal((await createControlClient(stale.socketPath).status()).serving, true);
    await again.close();
    await stale.close();
  });

  test("says so when the path is too long for a socket", async () => {
    await assert.rejects(
      serveControl({
        socketPath: `/tmp/${"x".repeat(100)}`,
        api: new FakeControlApi(),
        log: quiet([]),
      }),
      { code: "ENAMETOOLONG" },
    );
  });
});

describe("serveMetrics()", () => {
  test("answers /metrics on TCP and nothing else", async () => {
    const server = await serveMetrics({
      host: "127.0.0.1",
      tcpPort: 0,
      api: new FakeControlApi(),
      log: quiet([]),
    });
    try {
      const base = `http://127.0.0.1:${server.tcpPort}`;
      const answer = await fetch(`${base}/metrics`);
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
      assert.match(await answer.text(), /vnetd_vnets 0/);
      assert.equal((await fetch(`${base}/status`)).status, 404);
      assert.equal((await fetch(`${base}/metrics`, { method: "DELETE" })).status, 400);
    } finally {
      await server.close();
    }
  });
});

describe("createControlClient()", () => {
  test("says what to do when no daemon is there", async () => {
    await assert.rejects(createControlClient("/nonexistent/vnetd.sock").status(), (error) => {
      assert.ok(error instanceof NoDaemonError);
      assert.match(
        error.message,
        /cannot reach vnetd: .*start vnetd.*\(\/nonexistent\/vnetd\.sock\)/,
      );
      return true;
    });
    const stale = await serveStale();
    await assert.rejects(createControlClient(stale.socketPath).status(), NoDaemonError);
    await stale.close();
  });

  test("fails when the daemon goes away before it answers", async () => {
    const directory = await mkdtemp(join(tmpdir(), "vnt-control-"));
    const socketPath = join(directory, "vnetd.sock");
    const server = createServer((socket) => {
      socket.once("data", () => socket.destroy());
    });
    await new Promise<void>((resolve) => {
      server.listen(socketPath, resolve);
    });
    await assert.rejects(createControlClient(socketPath).status(), {
      code: "VNETD_STOPPING",
      message: /gave no answer/,
    });
    await new Promise((resolve) => {
      server.close(resolve);
    });
    await rm(directory, { recursive: true });
  });

  test("keeps a code that it does not know in the message", async () => {
    const body = '{"error":{"code":"VNETD_FROM_TOMORROW","message":"Cannot do it: 7"}}';
    const directory = await mkdtemp(join(tmpdir(), "vnt-control-"));
    const socketPath = join(directory, "vnetd.sock");
    const server = createServer((socket) => {
      socket.once("data", () => {
        socket.end(`HTTP/1.1 409 Conflict\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(socketPath, resolve);
    });
    await assert.rejects(createControlClient(socketPath).status(), {
      status: 409,
      message: "Cannot do it: 7 [VNETD_FROM_TOMORROW]",
    });
    await new Promise((resolve) => {
      server.close(resolve);
    });
    await rm(directory, { recursive: true });
  });
});

type Served = {
  readonly socketPath: string;
  readonly directory: string;
  readonly api: FakeControlApi;
  readonly server: ControlServer;
  readonly log: ControlLog;
  /** What the server logged as an error. */
  readonly logged: readonly object[];
  close(): Promise<void>;
};

async function serve(api: FakeControlApi, group?: string): Promise<Served> {
  const directory = await mkdtemp(join(tmpdir(), "vnt-control-"));
  const socketPath = join(directory, "vnetd.sock");
  const logged: object[] = [];
  const log = quiet(logged);
  const server = await serveControl({
    socketPath,
    api,
    log,
    ...(group === undefined ? {} : { group }),
  });
  return {
    socketPath,
    directory,
    api,
    server,
    log,
    logged,
    async close() {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function quiet(logged: object[]): ControlLog {
  return { info: () => {}, error: (fields) => logged.push(fields) };
}

/** A socket file whose server is gone, as SIGKILL leaves it. */
async function serveStale(): Promise<{ readonly socketPath: string; close(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "vnt-control-"));
  const socketPath = join(directory, "vnetd.sock");
  const boundPath = join(directory, "bound");
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(boundPath, resolve);
  });
  await rename(boundPath, socketPath);
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return { socketPath, close: () => rm(directory, { recursive: true, force: true }) };
}

async function call(
  served: Served,
  method: string,
  target: string,
  body: string | Buffer | null,
): Promise<{ readonly status: number; readonly type: string; readonly text: string }> {
  return await new Promise((resolve, reject) => {
    // Told explicitly, because the library leaves the length out of a GET.
    const headers = body === null ? {} : { "Content-Length": Buffer.byteLength(body) };
    const { socketPath } = served;
    const outgoing = request({ socketPath, method, path: target, agent: false, headers });
    outgoing.once("error", reject);
    outgoing.once("response", (incoming) => {
      incoming.setEncoding("utf8");
      let text = "";
      incoming.on("data", (chunk: string) => {
        text += chunk;
      });
      incoming.once("end", () => {
        resolve({
          status: incoming.statusCode ?? 0,
          type: incoming.headers["content-type"] ?? "",
          text,
        });
      });
      incoming.once("error", reject);
    });
    if (body === null) {
      outgoing.end();
    } else {
      outgoing.end(body);
    }
  });
}
