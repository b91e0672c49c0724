/** The connection against a switch that does what none should: every case is one clear end. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { FloodGuard } from "../../src/host/flood-guard.ts";
import { OpenflowConnection } from "../../src/host/openflow-connection.ts";
import { HEADER_OCTETS, MessageSplitter } from "../../src/openflow/message.ts";

const HELLO = "0600000800000000";
const HELLO_10 = "0100000800000000";
const TYPE_ECHO_REPLY = 3;
const TYPE_BARRIER_REQUEST = 20;
const TYPE_BARRIER_REQUEST_10 = 18;
const TYPE_PORT_MOD_10 = 15;
const DEADLINE_MS = 1_000;
const NO_FLOODS = { mayFlood: () => false, flagged: new Set<number>() };
const OURS = { cookie: 0n, mask: 0n };

/** What the switch answers to a message of a type with this xid, in hex digits. */
type Answer = (type: number, xid: string, socket: Socket) => string;

/** Says that all is well. */
const agree: Answer = (type, xid) => (type === TYPE_BARRIER_REQUEST ? `05150008${xid}` : "");

describe("a hostile switch", () => {
  let runDirectory = "";
  let server: Server | null = null;
  const sockets: Socket[] = [];
  const received: Buffer[] = [];

  beforeEach(() => {
    runDirectory = mkdtempSync(join(tmpdir(), "vnetd-of-"));
    sockets.length = 0;
    received.length = 0;
  });
  afterEach(() => {
    for (const socket of sockets) {
      socket.destroy();
    }
    server?.close();
    rmSync(runDirectory, { recursive: true });
  });

  async function listen(greeting: string, answer: Answer): Promise<void> {
    server = createServer((socket) => {
      sockets.push(socket);
      const splitter = new MessageSplitter();
      socket.on("error", () => socket.destroy());
      socket.write(Buffer.from(greeting, "hex"));
      socket.on("data", (bytes) => {
        for (const message of splitter.split(bytes) ?? []) {
          const whole = Buffer.from(message);
          received.push(whole);
          const xid = whole.subarray(4, HEADER_OCTETS).toString("hex");
          socket.write(Buffer.from(answer(whole[1] ?? 0, xid, socket), "hex"));
        }
      });
    });
    await new Promise<void>((resolve) => {
      server?.listen(join(runDirectory, "br0.mgmt"), resolve);
    });
  }

  function connect(onEnd: (why: string) => void = () => {}): Promise<OpenflowConnection> {
    const settings = { bridge: "br0", deadlineMs: DEADLINE_MS, onEvent() {} };
    return OpenflowConnection.connect({ runDirectory, onEnd, ...settings });
  }

  const greetings: readonly (readonly [name: string, octets: string, message: RegExp])[] = [
    ["another message", "0515000800000001", /^br0 did not begin with an OpenFlow hello$/],
    ["a header that is too short", "0500000700000000", /^br0 sent what is no OpenFlow message$/],
    [
      "an element beyond the end",
      "0500000c0000000000010008",
      /did not begin with an OpenFlow hello/,
    ],
    ["half a header", "050000", /^br0 sent no OpenFlow hello in 1000 ms$/],
  ];
  for (const [name, octets, message] of greetings) {
    test(`greets with ${name}`, async () => {
      await listen(octets, agree);
      await assert.rejects(connect(), { name: "OpenflowError", message });
    });
  }

  test("refuses the monitor", async () => {
    await listen(HELLO, (type, xid) =>
      type === 18 ? `0501000c${xid}00010002` : agree(type, xid, sockets[0] as Socket),
    );
    await assert.rejects(connect(), {
      reason: "refused",
      message: "Cannot watch the flows of br0: bad request: bad multipart type (type 1, code 2)",
    });
  });

  const endings: readonly (readonly [name: string, octets: string, why: RegExp])[] = [
    [
      "a listing that is cut off",
      "05130014XID0001000000000000000000ff",
      /^br0 sent what it must not: /,
    ],
    ["a message of another version", "01150008XID", /^br0 sent what it must not: .* version 1$/],
    ["a length of nothing", "05130000XID", /^br0 sent what is no OpenFlow message$/],
  ];
  for (const [name, octets, why] of endings) {
    test(`answers with ${name}`, async () => {
      let subscribed = false;
      await listen(HELLO, (type, xid, socket) => {
        const answer = subscribed ? octets.replace("XID", xid) : agree(type, xid, socket);
        subscribed ||= type === TYPE_BARRIER_REQUEST;
        return answer;
      });
      const ends: string[] = [];
      const connection = await connect((text) => ends.push(text));
      await assert.rejects(connection.dumpFlows(OURS), { reason: "ended", message: why });
      assert.equal(ends.length, 1);
      assert.match(ends[0] ?? "", why);
    });
  }

  test("answers what was not asked, which is passed over", async () => {
    await listen(HELLO, (type, xid, socket) => `0515000800ffffff${agree(type, xid, socket)}`);
    const connection = await connect();
    await connection.applyBundle([{ kind: "delete-owned", owner: OURS }]);
    connection.close();
    connection.close();
  });

  test("asks whether we live, and gets its own octets back", async () => {
    let echoed: () => void = () => {};
    const whenEchoed = new Promise<void>((resolve) => {
      echoed = resolve;
    });
    await listen(HELLO, (type, xid, socket) => {
      if (type === TYPE_ECHO_REPLY) {
        echoed();
      }
      return agree(type, xid, socket);
    });
    const connection = await connect();
    sockets[0]?.write(Buffer.from("0502000c0000beefcafef00d", "hex"));
    await whenEchoed;
    assert.equal(received.at(-1)?.toString("hex"), "0503000c0000beefcafef00d");
    connection.close();
  });

  test("lists its ports in two messages that come together", async () => {
    const port = (number: string) => `${number}02000000000a${"00".repeat(40)}`;
    const part = (more: string, number: string, xid: string) =>
      `0111003c${xid}000d${more}${port(number)}`;
    await listen(HELLO_10, (type, xid) => {
      const lists = `${part("0001", "0001", xid)}${part("0000", "0002", xid)}`;
      const barrier = type === TYPE_BARRIER_REQUEST_10 ? `01130008${xid}` : "";
      return type === 16 ? lists : barrier;
    });
    const events = { ...NO_FLOODS, onPortChange() {}, onEnd() {} };
    const guard = await FloodGuard.open({ runDirectory, bridge: "br0", ...events });
    assert.deepEqual(await guard.keepOut([1, 2, 3]), [3]);
    const changes = received.map((message) => message.toString("hex", 0, 10));
    assert.equal(changes.filter((change) => change.startsWith("010f0020")).length, 2);
    guard.close();
  });

  test("denies floods to a new port before anything is asked, also when it has gone again", async () => {
    const echo = "0102000c0000beefcafef00d";
    let echoCount = 0;
    let echoed: () => void = () => {};
    const whenEchoed = new Promise<void>((resolve) => {
      echoed = resolve;
    });
    const onEcho = (): string => {
      echoCount += 1;
      if (echoCount === 2) {
        echoed();
      }
      // Asked again once the answer to the port-mod has been read.
      return echoCount === 1 ? echo : "";
    };
    await listen(HELLO_10, (type, xid) => {
      const answers = new Map([
        [TYPE_BARRIER_REQUEST_10, `01130008${xid}`],
        [TYPE_PORT_MOD_10, `0101000c${xid}00070000`],
      ]);
      return type === TYPE_ECHO_REPLY ? onEcho() : (answers.get(type) ?? "");
    });
    let changeCount = 0;
    const guard = await FloodGuard.open({
      ...{ runDirectory, bridge: "br0", flagged: new Set(), onEnd() {} },
      mayFlood: (ofport) => ofport === 6,
      onPortChange() {
        changeCount += 1;
      },
    });
    const before = received.length;
    const status = (reason: string, port: string): string =>
      `010c004000000000${reason}00000000000000${port}02000000000a${"00".repeat(40)}`;
    const told = [status("00", "0006"), status("01", "0007"), status("00", "0007")].join("");
    sockets[0]?.write(Buffer.from(`${told}${echo}`, "hex"));
    await whenEchoed;
    const sent = received.slice(before).map((message) => message.toString("hex"));
    assert.equal(changeCount, 3);
    assert.deepEqual(
      sent.map((message) => message.slice(0, 4)),
      ["010f", "0103", "0103"],
    );
    assert.match(sent[0] ?? "", /^010f0020.{8}000702000000000a0000001000000010/);
    guard.close();
  });

  const portLists: readonly (readonly [name: string, octets: string, message: RegExp])[] = [
    ["a port that is cut off", "01110010XID000d000000000001", /sent a malformed list of ports/],
    ["a refusal", "0101000cXID00010002", /^Cannot keep floods out of ports of br0: bad request/],
    ["something else", "01030008XID", /^br0 sent an OpenFlow message of type 3$/],
    ["nothing", "", /^br0 did not answer in 1000 ms$/],
  ];
  for (const [name, octets, message] of portLists) {
    test(`answers the question for its ports with ${name}`, async () => {
      await listen(HELLO_10, (type, xid) => {
        const barrier = type === TYPE_BARRIER_REQUEST_10 ? `01130008${xid}` : "";
        return type === 16 ? octets.replace("XID", xid) : barrier;
      });
      const events = { ...NO_FLOODS, onPortChange() {}, onEnd() {} };
      const settings = { runDirectory, bridge: "br0", deadlineMs: DEADLINE_MS, ...events };
      const guard = await FloodGuard.open(settings);
      await assert.rejects(guard.keepOut([1]), { name: "OpenflowError", message });
      guard.close();
    });
  }
});
