/** Whatever is asked, the answer is an answer or a refusal with a code: never a defect. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isControlErrorCode } from "../../src/control/control-error.ts";
import { answer } from "../../src/control/routes.ts";
import { FakeControlApi } from "./fake-control-api.ts";
import { fakeKeyId } from "./fake-keys-api.ts";

const NOUNS = [
  "status",
  "vnets",
  "vifs",
  "peers",
  "varp",
  "stats",
  "eval",
  "metrics",
  "keys",
  "sa-exports",
  "names",
  "",
];
const KEYS = ["id", "vnetif", "bridge", "ovs", "security", "mtu", "encapsulation", "vnet", "mac"];
const MORE_KEYS = [
  "keyFile",
  "suite",
  "state",
  "device",
  "host",
  "udpPort",
  "expression",
  "__proto__",
  "constructor",
];
const VALUES = [
  "97",
  "1",
  "0",
  "vnif0097",
  "02:00:00:00:00:01",
  "192.0.2.1",
  "none",
  "auth",
  "(vnet.list)",
];

const method = fc.constantFrom("GET", "POST", "DELETE", "HEAD", "PUT", "get", "");
const word = fc.oneof(
  fc.constantFrom(...NOUNS, ...VALUES),
  fc.string(),
  fc.string({ unit: "binary" }),
);
const query = fc.array(fc.tuple(fc.constantFrom("vnet", "bridge", "device", "kind", "x"), word));
const target = fc.oneof(
  fc.string(),
  fc
    .tuple(fc.array(word, { maxLength: 4 }), query, fc.boolean())
    .map(([segments, pairs, encoded]) => {
      const encode = encoded ? encodeURIComponent : (text: string) => text;
      const search = pairs.map(([key, value]) => `${key}=${encode(value)}`).join("&");
      return `/${segments.map(encode).join("/")}${search === "" ? "" : `?${search}`}`;
    }),
);
const field = fc.oneof(fc.constantFrom(...VALUES), fc.jsonValue(), fc.integer());
const object = fc.dictionary(fc.constantFrom(...KEYS, ...MORE_KEYS), field, { maxKeys: 4 });
const body = fc.oneof(
  fc.constant(undefined),
  object,
  fc.array(object, { maxLength: 3 }),
  fc.jsonValue(),
);

describe("answer()", () => {
  test("answers or refuses by a code, for any method, target and body", async () => {
    const api = new FakeControlApi();
    await fc.assert(
      fc.asyncProperty(method, target, body, async (someMethod, someTarget, someBody) => {
        try {
          const result = await answer(api, {
            method: someMethod,
            target: someTarget,
            body: someBody,
          });
          assert.ok([200, 201, 204].includes(result.status));
        } catch (error) {
          assert.ok(error instanceof Error);
          assert.ok("code" in error && isControlErrorCode(String(error.code)), String(error.stack));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("takes every route with what it needs", async () => {
    const api = new FakeControlApi();
    const ROUTES: readonly (readonly [
      method: string,
      target: string,
      body: unknown,
      status: number,
    ])[] = [
      ["POST", "/vnets", [{ id: "97" }, { id: "98", vnetif: "vnif98" }], 201],
      ["GET", "/status", undefined, 200],
      ["GET", "/vnets", undefined, 200],
      ["GET", "/vnets?vnet=97&vnet=vnif98", undefined, 200],
      ["GET", "/vnets/0:0:97", undefined, 200],
      ["POST", "/vifs", { vnet: "97", mac: "02-00-00-00-00-01" }, 201],
      ["POST", "/vifs", { vnet: "vnif98", device: "tap0" }, 201],
      ["GET", "/vifs?vnet=97", undefined, 200],
      ["DELETE", "/vifs/97/02%3A00:00:00:00:01", undefined, 204],
      ["DELETE", "/vifs/98?device=tap0", undefined, 204],
      ["POST", "/peers", { host: "2001:db8::7", udpPort: null }, 201],
      ["POST", "/peers", { host: "host7.example" }, 201],
      ["GET", "/peers", undefined, 200],
      ["DELETE", "/peers/2001:db8::7", undefined, 204],
      ["GET", "/varp?vnet=98", undefined, 200],
      ["DELETE", "/varp", undefined, 204],
      ["GET", "/stats", undefined, 200],
      ["GET", "/stats?vnet=97", undefined, 200],
      ["POST", "/eval", { expression: "(vnet.list)" }, 200],
      ["GET", "/metrics", undefined, 200],
      ["POST", "/vnets", { id: "99", security: "conf", keyFile: "/k" }, 201],
      ["POST", "/keys", { vnet: "99", keyFile: "/other" }, 201],
      ["GET", "/keys", undefined, 200],
      ["POST", "/sa-exports", { vnet: "99" }, 201],
      ["GET", "/keys?vnet=99", undefined, 200],
      ["POST", `/keys/99/${fakeKeyId("/other")}`, { state: "active" }, 200],
      ["DELETE", `/keys/99/${fakeKeyId("/k").toUpperCase()}`, undefined, 204],
      ["DELETE", "/vnets/vnif98?bridge=true", undefined, 204],
      ["DELETE", "/vnets?vnet=97&vnet=99&bridge=false", undefined, 204],
    ];
    for (const [someMethod, someTarget, someBody, status] of ROUTES) {
      const result = await answer(api, { method: someMethod, target: someTarget, body: someBody });
      assert.equal(result.status, status, `${someMethod} ${someTarget}`);
    }
    assert.deepEqual(await api.listVnets([]), []);
  });
});
