/** The codec against test/vectors/openflow.tsv, and against octets that nobody sends. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { decodeMessage } from "../../src/openflow/decode-message.ts";
import { encodeHello, encodeRequests } from "../../src/openflow/encode-message.ts";
import { decodePortList } from "../../src/openflow/flood-flag.ts";
import type { Flow } from "../../src/openflow/flow.ts";
import type { ListedFlow } from "../../src/openflow/flow-codec.ts";
import { formatFlow } from "../../src/openflow/format-flow.ts";
import {
  MessageSplitter,
  OPENFLOW_14,
  type Reply,
  type Request,
} from "../../src/openflow/message.ts";
import { describeSwitchError } from "../../src/openflow/switch-error.ts";
import { anyFlow } from "./flow-arbitraries.ts";

type Vector = {
  readonly kind: string;
  readonly text: string;
  readonly octets: Buffer;
  readonly listed: Buffer;
};

const VECTORS: readonly Vector[] = readFileSync("test/vectors/openflow.tsv", "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .slice(1)
  .map((line) => {
    const [kind = "", text = "", octets = "", listed = ""] = line.split("\t");
    return { kind, text, octets: Buffer.from(octets, "hex"), listed: Buffer.from(listed, "hex") };
  });

const OWNER = { cookie: 0x7600_0000_0000_0000n, mask: 0xff00_0000_0000_0000n };
const ADDED: Flow = {
  ...{ cookie: 0x7601_0001_0000_0010n, table: 10, priority: 5 },
  ...{ match: { protocol: "ip" }, actions: [] },
};

/** What each recorded request is as a value. */
const REQUESTS: Readonly<Record<string, Request>> = {
  "flows of an owner": { kind: "flow-stats-request", owner: OWNER },
  "open a bundle": { kind: "bundle-control", bundleId: 0, command: "open" },
  "add to a bundle: add a flow": {
    ...{ kind: "bundle-add", bundleId: 0, mod: { kind: "add", flow: ADDED } },
  },
  "add to a bundle: delete the flows of an owner": {
    ...{ kind: "bundle-add", bundleId: 0, mod: { kind: "delete-owned", owner: OWNER } },
  },
  barrier: { kind: "barrier-request" },
  "commit a bundle": { kind: "bundle-control", bundleId: 0, command: "commit" },
  "ask for the features": { kind: "features-request" },
  "ask for the configuration": { kind: "get-config-request" },
  "turn events on": { kind: "set-config", missSendBytes: 128 },
  "form of packet-ins": { kind: "set-packet-in-format" },
};

const MONITORED = { cookie: 0x77n, table: 0, priority: 3, match: { inPort: 11 } };

/** What each recorded reply is as a value; frames and data are left out here. */
const REPLIES: Readonly<Record<string, unknown>> = {
  "no flows": { kind: "flow-stats", flows: [], more: false },
  "a refused action": { kind: "error", text: "bad action: bad group (type 2, code 9)" },
  "a bundle is open": { kind: "bundle-reply", bundleId: 0, command: "open" },
  barrier: { kind: "barrier-reply" },
  "a bundle is committed": { kind: "bundle-reply", bundleId: 0, command: "commit" },
  features: { kind: "features-reply", datapathId: 0xaa18e5e00a40n, tableCount: 254 },
  configuration: { kind: "get-config-reply", missSendBytes: 0 },
  "hello of versions 1.0 to 1.5": { kind: "hello", versions: [1, 2, 3, 4, 5, 6] },
  "hello of versions 1.0 and 1.3": { kind: "hello", versions: [1, 4] },
  "flow monitor none yet": { kind: "flow-monitor", updates: [], more: false },
  "flow monitor added": monitor("added"),
  "flow monitor modified": monitor("modified"),
  "flow monitor removed": monitor("removed"),
  "a frame sent up": {
    kind: "packet-in",
    packetIn: {
      ...{ inPort: 11, table: 0, cookie: 0x77n, userdata: "76010a", frameBytes: 60 },
      registers: [0, 0, 0, 5, ...Array(12).fill(0)],
      frame: `ffffffffffff0200000000110806${"00".repeat(46)}`,
    },
  },
  "port added": port("added"),
  "port modified": port("modified"),
  "port deleted": port("deleted"),
};

function monitor(kind: string): unknown {
  return { kind: "flow-monitor", updates: [{ kind, flow: MONITORED }], more: false };
}

function port(change: string): unknown {
  return { kind: "port-status", change: { change, ofport: 30, name: "p30" } };
}

/** The reply with octets as text, and an error as its sentence. */
function comparable(reply: Reply): unknown {
  if (reply.kind === "error") {
    return { kind: "error", text: describeSwitchError(reply.error) };
  }
  if (reply.kind !== "packet-in") {
    return reply;
  }
  const { packetIn } = reply;
  const frame = Buffer.from(packetIn.frame).toString("hex");
  return { kind: "packet-in", packetIn: { ...packetIn, frame } };
}

function listedFlow({ listed }: Vector): ListedFlow {
  const { reply } = decodeMessage(listed);
  assert.ok(reply.kind === "flow-stats" && reply.flows.length === 1);
  const [flow] = reply.flows;
  assert.ok(flow !== undefined);
  return flow;
}

describe("vectors of a real switch", () => {
  test("there are some of every kind", () => {
    const kinds = VECTORS.map(({ kind }) => kind);
    assert.deepEqual(new Set(kinds), new Set(["flow", "foreign", "request", "reply"]));
    const named = (kind: string) =>
      new Set(VECTORS.filter((vector) => vector.kind === kind).map(({ text }) => text));
    assert.deepEqual(named("request"), new Set([...Object.keys(REQUESTS), "hello"]));
    assert.deepEqual(named("reply"), new Set(Object.keys(REPLIES)));
  });

  for (const vector of VECTORS.filter(({ kind }) => kind === "flow")) {
    test(`flow: ${vector.text}`, () => {
      const { installed } = listedFlow(vector);
      assert.ok(installed.kind === "known");
      assert.equal(formatFlow(installed.flow), vector.text);
      const mod = { kind: "add", flow: installed.flow } as const;
      const xid = vector.octets.readUInt32BE(4);
      const encoded = encodeRequests([{ xid, request: { kind: "flow-mod", mod } }]);
      assert.equal(Buffer.from(encoded).toString("hex"), vector.octets.toString("hex"));
    });
  }

  for (const vector of VECTORS.filter(({ kind }) => kind === "foreign")) {
    test(`none of ours: ${vector.text}`, () => {
      const { installed } = listedFlow(vector);
      assert.equal(installed.kind, "unknown");
      // It can be deleted: the match goes out as it came.
      const mod = { kind: "delete-strict", flow: installed } as const;
      const encoded = encodeRequests([{ xid: 1, request: { kind: "flow-mod", mod } }]);
      const match = Buffer.from(encoded).subarray(48);
      assert.ok(vector.listed.includes(match), match.toString("hex"));
    });
  }

  for (const { text, octets } of VECTORS.filter(({ kind }) => kind === "request")) {
    test(`request: ${text}`, () => {
      const xid = octets.readUInt32BE(4);
      const request = REQUESTS[text];
      const encoded =
        request === undefined ? encodeHello(OPENFLOW_14, xid) : encodeRequests([{ xid, request }]);
      assert.equal(Buffer.from(encoded).toString("hex"), octets.toString("hex"));
    });
  }

  for (const { text, octets } of VECTORS.filter(({ kind }) => kind === "reply")) {
    test(`reply: ${text}`, () => {
      const { xid, reply } = decodeMessage(octets);
      assert.equal(xid, octets.readUInt32BE(4));
      assert.deepEqual(comparable(reply), REPLIES[text]);
    });
  }
});

describe("decodeMessage", () => {
  test("reads what a monitor says of its own changes, and that it leaves some out", () => {
    const updates = "0008000400000123" + "0008000500000000" + "0008000600000000";
    const { reply } = decodeMessage(
      Buffer.from(`05130028000000000010000000000000${updates}`, "hex"),
    );
    assert.deepEqual(reply, {
      kind: "flow-monitor",
      updates: [{ kind: "own", xid: 0x123 }, { kind: "gap" }, { kind: "gap" }],
      more: false,
    });
  });

  test("gives an outcome for every beginning of every reply", () => {
    for (const { octets, listed } of VECTORS) {
      for (const whole of [octets, listed]) {
        for (let length = 8; length < whole.length; length++) {
          const { reply } = decodeMessage(whole.subarray(0, length));
          assert.ok(typeof reply.kind === "string");
        }
      }
    }
    const features = VECTORS.find(({ text }) => text === "features");
    assert.equal(
      decodeMessage(features?.octets.subarray(0, 15) ?? Buffer.of()).reply.kind,
      "malformed",
    );
  });

  test("gives an outcome for any octets", () => {
    const type = fc.constantFrom(0, 1, 4, 6, 8, 12, 19, 21, 33);
    const body = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(type, body, (number, octets) => {
        const message = Buffer.concat([Buffer.from([5, number, 0, 0, 0, 0, 0, 0]), octets]);
        assert.ok(typeof decodeMessage(message).reply.kind === "string");
        decodePortList(message);
      }),
      { numRuns: 2_000, endOnFailure: true },
    );
  });

  test("gives an outcome for recorded replies with octets changed", () => {
    const recorded = VECTORS.flatMap(({ octets, listed }) => [octets, listed]).filter(
      (octets) => octets.length > 8,
    );
    const change = fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(
        fc.constantFrom(...recorded),
        fc.array(change, { maxLength: 6 }),
        (whole, changes) => {
          const octets = Buffer.from(whole);
          for (const [at, octet] of changes) {
            octets[8 + (at % (octets.length - 8))] = octet;
          }
          const { reply } = decodeMessage(octets);
          if (reply.kind === "flow-stats") {
            for (const { installed } of reply.flows) {
              encodeRequests([
                {
                  xid: 1,
                  request: { kind: "flow-mod", mod: { kind: "delete-strict", flow: installed } },
                },
              ]);
            }
          }
        },
      ),
      { numRuns: 5_000, endOnFailure: true },
    );
  });

  test("is not exhausted by clones in clones", () => {
    const depth = 3_000;
    const size = depth * 16;
    const octets = Buffer.alloc(16 + 56 + 8 + size);
    octets.set([5, 19], 0);
    octets.writeUInt16BE(1, 8);
    octets.writeUInt16BE(octets.length - 16, 16);
    octets.set([0, 1, 0, 4], 16 + 48);
    octets.writeUInt16BE(4, 72);
    octets.writeUInt16BE(octets.length - 72, 74);
    for (let level = 0; level < depth; level++) {
      const at = 80 + level * 16;
      octets.set([0xff, 0xff, 0, 0, 0, 0, 0x23, 0x20, 0, 42], at);
      octets.writeUInt16BE(octets.length - at, at + 2);
    }
    const { reply } = decodeMessage(octets);
    assert.ok(reply.kind === "flow-stats");
    assert.equal(reply.flows[0]?.installed.kind, "unknown");
  });
});

describe("MessageSplitter", () => {
  test("gives the same messages however the stream is cut", () => {
    const whole = Buffer.concat(
      VECTORS.filter(({ kind }) => kind === "reply").map(({ octets }) => octets),
    );
    const expected = new MessageSplitter()
      .split(whole)
      ?.map((one) => Buffer.from(one).toString("hex"));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }), (sizes) => {
        const splitter = new MessageSplitter();
        const messages: string[] = [];
        for (let at = 0, turn = 0; at < whole.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          const part = splitter.split(whole.subarray(at, at + size));
          messages.push(...(part ?? []).map((one) => Buffer.from(one).toString("hex")));
          at += size;
        }
        assert.deepEqual(messages, expected);
      }),
      { numRuns: 50 },
    );
  });

  test("gives up at a message that is shorter than its header", () => {
    assert.equal(new MessageSplitter().split(Buffer.from("0500000700000000", "hex")), null);
  });
});

test("a flow that is encoded, listed and decoded is the same flow", () => {
  fc.assert(
    fc.property(anyFlow, (flow) => {
      const request = { kind: "flow-mod", mod: { kind: "add", flow } } as const;
      const mod = Buffer.from(encodeRequests([{ xid: 1, request }]));
      const { reply } = decodeMessage(listingOf(mod));
      assert.ok(reply.kind === "flow-stats");
      // The generated records have no prototype; their copies do.
      assert.deepEqual(reply.flows[0]?.installed, structuredClone({ kind: "known", flow }));
    }),
    { numRuns: 1_000 },
  );
});

/** A flow-mod's fields put where a listing has them. */
function listingOf(mod: Buffer): Buffer {
  const rest = mod.subarray(48);
  const listing = Buffer.alloc(16 + 48);
  listing.set([5, 19], 0);
  listing.writeUInt16BE(1, 8);
  listing.writeUInt16BE(48 + rest.length, 16);
  listing.set(mod.subarray(24, 25), 18);
  listing.set(mod.subarray(30, 32), 28);
  listing.set(mod.subarray(8, 16), 40);
  return Buffer.concat([listing, rest]);
}
