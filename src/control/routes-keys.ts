/** The routes of keys (docs/CONTROL.md). */
import { z } from "zod";
import { formatKeyId, parseKeyId } from "../vnet/key-ring.ts";
import { parseAbsolutePath, parseVnetRef } from "./references.ts";
import { type Call, type ControlAnswer, created, EMPTY, ok, type Route } from "./route.ts";
import { check, parsedBy } from "./schema.ts";

export const KEY_ROUTES: readonly Route[] = [
  { method: "GET", path: "/keys", query: ["vnet"], run: listKeys },
  { method: "POST", path: "/keys", run: addKey },
  { method: "POST", path: "/keys/*/*", run: activateKey },
  { method: "DELETE", path: "/keys/*/*", run: deleteKey },
  { method: "POST", path: "/sa-exports", run: exportSas },
];

const keyRequest = z.strictObject({
  vnet: parsedBy(parseVnetRef),
  keyFile: parsedBy(parseAbsolutePath),
});

const exportRequest = z.strictObject({ vnet: parsedBy(parseVnetRef) });

/** The only change there is: the key that was active before is held. */
const keyChange = z.strictObject({ state: z.literal("active") });

async function listKeys({ api, query }: Call): Promise<ControlAnswer> {
  return ok(await api.keys.list((query.get("vnet") ?? []).map(parseVnetRef)));
}

async function addKey({ api, body }: Call): Promise<ControlAnswer> {
  const { vnet, keyFile } = check(keyRequest, body);
  return created(await api.keys.add(vnet, keyFile));
}

async function activateKey({ api, segments, body }: Call): Promise<ControlAnswer> {
  check(keyChange, body);
  return ok(await api.keys.activate(...keyOf(segments)));
}

async function deleteKey({ api, segments }: Call): Promise<ControlAnswer> {
  await api.keys.delete(...keyOf(segments));
  return EMPTY;
}

async function exportSas({ api, body }: Call): Promise<ControlAnswer> {
  return created(await api.keys.exportSas(check(exportRequest, body).vnet));
}

function keyOf(segments: Call["segments"]): [vnet: string, keyId: string] {
  const [vnet = "", keyId = ""] = segments;
  return [parseVnetRef(vnet), formatKeyId(parseKeyId(keyId))];
}
