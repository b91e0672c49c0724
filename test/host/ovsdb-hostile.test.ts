/** The database's client against a server that does what none should, and against an old one. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { JsonStreamSplitter } from "../../src/host/json-stream.ts";
import { openSwitchDatabase } from "../../src/host/ovsdb-switch-database.ts";
import type { SwitchDatabase } from "../../src/host/switch-database.ts";

type Message = { readonly id: unknown; readonly method?: string; readonly params?: unknown[] };

/** What a server sends upon a message; an object is the result of a request. */
type Answer = (message: Message, socket: Socket) => object | string | null;

const WITHIN_MS = 5_000;
const UUID = "00000000-0000-0000-0000-00000000000a";
const BRIDGE_COLUMNS = { name: {}, ports: {}, protocols: {} };
const SCHEMA = { tables: { Bridge: { columns: BRIDGE_COLUMNS }, Open_vSwitch: { columns: {} } } };
const EMPTY_BRIDGE = { Bridge: { [UUID]: { initial: { name: "br0" } } } };

const agree: Answer = ({ method }) => {
  switch (method) {
    case "get_schema":
      return SCHEMA;
    case "monitor_cond":
      return EMPTY_BRIDGE;
    default:
      return {};
  }
};

describe("a hostile ovsdb-server", () => {
  let runDirectory = "";
  let server: Server | null = null;
  let database: SwitchDatabase | null = null;
  let wake: () => void = () => {};
  const sockets: Socket[] = [];
  const received: Message[] = [];

  beforeEach(() => {
    runDirectory = mkdtempSync(join(tmpdir(), "vnetd-ovs-"));
    received.length = 0;
  });
  afterEach(() => {
    database?.close();
    for (const socket of sockets.splice(0)) {
      socket.destroy();
    }
    server?.close();
    rmSync(runDirectory, { recursive: true });
  });

  async function listen(answer: Answer): Promise<void> {
    server = createServer((socket) => {
      const splitter = new JsonStreamSplitter(1 << 20);
      sockets.push(socket);
      socket.on("error", () => socket.destroy());
      socket.on("data", (bytes) => {
        for (const text of splitter.split(bytes) ?? []) {
          const message = JSON.parse(text) as Message;
          received.push(message);
          wake();
          reply(socket, message, answer(message, socket));
        }
      });
    });
    await new Promise<void>((resolve) => {
      server?.listen(join(runDirectory, "db.sock"), resolve);
    });
  }

  function open(options = {}): SwitchDatabase {
    const onChange = () => wake();
    database = openSwitchDatabase({ runDirectory, onChange, deadlineMs: 200, ...options });
    return database;
  }

  async function until(isSo: () => boolean): Promise<void> {
    const giveUpAt = Date.now() + WITHIN_MS;
    const deadline = setTimeout(() => wake(), WITHIN_MS);
    while (!isSo()) {
      assert.ok(Date.now() < giveUpAt, `it did not come to pass: ${JSON.stringify(received)}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    clearTimeout(deadline);
  }

  async function ready(options = {}): Promise<SwitchDatabase> {
    const opened = open(options);
    await until(() => opened.view !== null);
    return opened;
  }

  test("asks whether we live, and gets its own words back", async () => {
    await listen(agree);
    await ready();
    sockets[0]?.write('{"id":"echo","method":"echo","params":["x",1]}');
    sockets[0]?.write('{"id":7,"method":"surprise","params":[]}');
    await until(() => received.some(({ id }) => id === 7));
    const [echo, surprise] = received.slice(-2);
    assert.deepEqual(echo, { id: "echo", result: ["x", 1], error: null });
    assert.deepEqual(surprise, { id: 7, result: null, error: "unknown method" });
  });

  test("has only the columns of its own schema, and whole rows, as before version 2.6", async () => {
    await listen((message) => {
      switch (message.method) {
        case "monitor_cond":
          return '{"id":ID,"result":null,"error":{"error":"unknown method"}}';
        case "monitor":
          return { Bridge: { [UUID]: { new: { name: "br0" } } } };
        default:
          return agree(message, sockets[0] as Socket);
      }
    });
    const opened = await ready();
    assert.equal(opened.view?.bridges.get("br0")?.failMode, null);
    const request = received.find(({ method }) => method === "monitor")?.params?.[2];
    const { Bridge, Port } = request as { readonly Bridge: unknown; readonly Port: unknown };
    assert.deepEqual(Bridge, [{ columns: ["name", "ports", "protocols"] }]);
    assert.deepEqual(Port, [{ columns: [] }]);
    const changed = { new: { name: "br0", protocols: "OpenFlow10" }, old: { protocols: [] } };
    const params = ["vnetd", { Bridge: { [UUID]: changed } }];
    sockets[0]?.write(JSON.stringify({ id: null, method: "update", params }));
    await until(() => opened.view?.bridges.get("br0")?.protocols.length === 1);
  });

  test("tells of changes together with its first answer", async () => {
    await listen((message) => {
      if (message.method !== "monitor_cond") {
        return agree(message, sockets[0] as Socket);
      }
      const modify = { protocols: ["set", ["OpenFlow10", "OpenFlow14"]] };
      const params = ["vnetd", { Bridge: { [UUID]: { modify } } }];
      const first = JSON.stringify({ id: message.id, error: null, result: EMPTY_BRIDGE });
      return first + JSON.stringify({ id: null, method: "update2", params });
    });
    const opened = await ready();
    assert.deepEqual(opened.view?.bridges.get("br0")?.protocols, ["OpenFlow10", "OpenFlow14"]);
  });

  test("tells that the lock was stolen together with giving it", async () => {
    await listen((message) => {
      const stolen = JSON.stringify({ id: null, method: "stolen", params: ["vnetd_vifs"] });
      return message.method === "lock"
        ? `{"id":ID,"error":null,"result":{"locked":true}}${stolen}`
        : agree(message, sockets[0] as Socket);
    });
    const opened = await ready({ lock: "vnetd_vifs" });
    assert.equal(opened.locked, false);
    sockets[0]?.write('{"id":null,"method":"locked","params":["another"]}');
    sockets[0]?.write('{"id":null,"method":"locked","params":["vnetd_vifs"]}');
    await until(() => opened.locked);
  });

  const endings: readonly (readonly [name: string, method: string, text: string, why: RegExp])[] = [
    ["no JSON", "lock", "nonsense", /sent what it must not: what is no JSON object of a bear/],
    ["half of JSON", "lock", '{"id":ID,"result":}', /sent what it must not: what is no JSON$/],
    ["no schema", "get_schema", '{"id":ID,"error":"unknown database"}', /^unknown database$/],
    [
      "rows of no table",
      "monitor_cond",
      '{"id":ID,"error":null,"result":{"QoS":{}}}',
      /sent what it must not: a table QoS, which was not asked for$/,
    ],
    ["nothing", "monitor_cond", "", /^ovsdb-server did not answer monitor_cond in 200 ms$/],
    [
      "a change of what is not there",
      "echo",
      '{"id":null,"method":"update2","params":["vnetd",{"Port":{"x":{"modify":{}}}}]}',
      /sent what it must not: a change of a row of Port that is not there$/,
    ],
  ];
  for (const [name, method, text, why] of endings) {
    test(`answers ${method} with ${name}`, async () => {
      await listen((message, socket) =>
        message.method === method ? text : agree(message, socket),
      );
      const opened = open({ lock: "vnetd_vifs", probeIntervalMs: 20 });
      await until(() => why.test(opened.failure?.message ?? ""));
      assert.equal(opened.view, null);
      assert.equal(opened.failure?.code, "VNETD_OVS_FAILED");
    });
  }

  const results: readonly (readonly [name: string, result: string, message: RegExp])[] = [
    ["no list", "{}", /: ovsdb-server did not answer with a list of results$/],
    [
      "an error with several lines",
      '[{},null,{"error":"constraint violation","details":"one\\ntwo"}]',
      /^Cannot add port p1 to br0: constraint violation: one two$/,
    ],
    ["the end of a wait", '[{"error":"timed out"}]', /: it was deleted at the same time$/],
  ];
  for (const [name, result, message] of results) {
    test(`answers a transaction with ${name}`, async () => {
      await listen((request, socket) =>
        request.method === "transact"
          ? `{"id":ID,"error":null,"result":${result}}`
          : agree(request, socket),
      );
      const opened = await ready();
      await assert.rejects(opened.addPort({ bridge: "br0", name: "p1" }), { message });
    });
  }

  test("gives up at once where there is no permission", { skip: cannotDrop() }, async () => {
    await listen(agree);
    process.seteuid?.(65534);
    try {
      const opened = open();
      await until(() => opened.failure !== null);
      assert.equal(opened.failure?.reason, "no-permission");
    } finally {
      process.seteuid?.(0);
    }
  });
});

function reply(socket: Socket, { id, method }: Message, found: object | string | null): void {
  if (typeof found === "string") {
    socket.write(found.replace("ID", String(id)));
  } else if (found !== null && method !== undefined) {
    socket.write(JSON.stringify({ id, error: null, result: found }));
  }
}

function cannotDrop(): string | false {
  return process.getuid?.() === 0 ? false : "needs root";
}
