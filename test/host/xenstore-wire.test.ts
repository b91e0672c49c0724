import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import type { XenstoreError } from "../../src/host/xenstore.ts";
import { xenstoreSocketPath } from "../../src/host/xenstore-client.ts";
import { XenstoreConnection } from "../../src/host/xenstore-connection.ts";
import { transactXenstore, xenstoreOperations } from "../../src/host/xenstore-operations.ts";
import {
  encodeXenstoreMessage,
  splitTerminated,
  XENSTORE_BODY_OCTETS_MAX,
  XENSTORE_TYPES,
  XenstoreSplitter,
} from "../../src/host/xenstore-wire.ts";

const uint32 = fc.nat(0xffff_ffff);
const body = fc.uint8Array({ maxLength: 200 }).map((octets) => Buffer.from(octets));
const fields = { type: uint32, requestId: uint32, transactionId: uint32, body };
const message = fc.record(fields, { noNullPrototype: true });

describe("XenstoreSplitter", () => {
  test("gives back each message, wherever the stream is cut", () => {
    fc.assert(
      fc.property(fc.array(message), fc.integer({ min: 1, max: 50 }), (messages, size) => {
        const stream = Buffer.concat(messages.map(encodeXenstoreMessage));
        const splitter = new XenstoreSplitter();
        const found: unknown[] = [];
        for (let at = 0; at < stream.length; at += size) {
          const chunk = Buffer.from(stream.subarray(at, at + size));
          found.push(...(splitter.split(chunk) ?? assert.fail()));
          chunk.fill(0xff);
        }
        assert.deepEqual(found, messages);
      }),
    );
  });

  test("refuses a message that is too long, and never makes one", () => {
    const body = Buffer.alloc(XENSTORE_BODY_OCTETS_MAX);
    const longest = encodeXenstoreMessage({ type: 2, requestId: 1, transactionId: 0, body });
    assert.equal(new XenstoreSplitter().split(longest)?.length, 1);
    longest.writeUInt32LE(XENSTORE_BODY_OCTETS_MAX + 1, 12);
    assert.equal(new XenstoreSplitter().split(longest), null);
    const tooLong = { type: 2, requestId: 1, transactionId: 0, body: Buffer.alloc(4097) };
    assert.throws(() => encodeXenstoreMessage(tooLong), RangeError);
  });
});

describe("splitTerminated", () => {
  const cases: readonly (readonly [text: string, parts: readonly string[]])[] = [
    ["", []],
    ["\0", [""]],
    ["a\0b\0", ["a", "b"]],
    ["a\0b", ["a", "b"]],
    ["a\0\0", ["a", ""]],
  ];
  for (const [text, parts] of cases) {
    test(JSON.stringify(text), () => {
      assert.deepEqual(splitTerminated(Buffer.from(text)), parts);
    });
  }
});

describe("xenstoreSocketPath", () => {
  test("is as the environment says, or where it usually is", () => {
    const both = { XENSTORED_PATH: "/a/b", XENSTORED_RUNDIR: "/c" };
    assert.equal(xenstoreSocketPath(both), "/a/b");
    assert.equal(xenstoreSocketPath({ XENSTORED_RUNDIR: "/c" }), "/c/socket");
    assert.match(xenstoreSocketPath({ XENSTORED_PATH: "" }), /^(\/var)?\/run\/xenstored\/socket$/);
  });
});

describe("a hostile xenstored", () => {
  let folder = "";
  let server: Server | null = null;
  const sockets: Socket[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "vnetd-xs-"));
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) {
      socket.destroy();
    }
    server?.close();
    rmSync(folder, { recursive: true });
  });

  /** Answers every request with this. */
  async function connect(
    answer: { readonly type?: number; readonly body: string } | null,
    onEnd: (error: XenstoreError) => void = () => {},
  ): Promise<XenstoreConnection> {
    const splitter = new XenstoreSplitter();
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => socket.destroy());
      socket.on("data", (bytes) => {
        for (const request of answer === null ? [] : (splitter.split(bytes) ?? [])) {
          const { type = request.type } = answer ?? {};
          const body = Buffer.from(answer?.body ?? "");
          socket.write(encodeXenstoreMessage({ ...request, type, body }));
        }
      });
    });
    const socketPath = join(folder, "socket");
    await new Promise<void>((resolve) => {
      server?.listen(socketPath, resolve);
    });
    return await XenstoreConnection.open({
      socketPath,
      deadlineMs: 100,
      onWatchEvent() {},
      onEnd,
    });
  }

  test("does not answer", async () => {
    const ends: string[] = [];
    const connection = await connect(null, (error) => ends.push(error.message));
    const first = xenstoreOperations(connection).read("/a");
    const second = xenstoreOperations(connection).list("/b");
    await assert.rejects(first, {
      reason: "deadline",
      message: "xenstored did not read /a in 100 ms",
    });
    await assert.rejects(second, { reason: "deadline" });
    assert.deepEqual(ends, ["xenstored did not read /a in 100 ms"]);
  });

  test("answers with another type", async () => {
    const connection = await connect({ type: XENSTORE_TYPES.write, body: "OK\0" });
    const read = xenstoreOperations(connection).read("/a");
    await assert.rejects(read, {
      message: "xenstored sent what it must not: an answer of type 11",
    });
    await assert.rejects(xenstoreOperations(connection).read("/a"), { reason: "ended" });
  });

  test("answers with permissions that are none", async () => {
    for (const body of ["", "x0\0", "n\0", "n0\0r5x\0", "n-1\0"]) {
      const connection = await connect({ body });
      await assert.rejects(xenstoreOperations(connection).permissions("/a"), {
        reason: "ended",
        message: /^xenstored sent what it must not: /,
      });
      connection.close();
      server?.close();
    }
  });

  test("begins a transaction without a number", async () => {
    const connection = await connect({ body: "0\0" });
    const work = transactXenstore(connection, () => assert.fail("there is none to work in"));
    await assert.rejects(work, {
      message: 'xenstored sent what it must not: the transaction "0"',
    });
  });

  test("refuses with an errno that it does not name", async () => {
    const connection = await connect({ type: XENSTORE_TYPES.error, body: "" });
    await assert.rejects(xenstoreOperations(connection).read("/a"), { reason: "refused" });
  });
});
